package remote

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files are PEM files.
type Files struct {
	// Cert is the agent's certificate, and those that lead from it to a CA of its
	// clients; Key is its key, which nobody but its owner and group may read.
	Cert, Key string
	// CA are the certificates that a client's has to be issued by.
	CA string
	// CRL are lists of revoked certificates (RFC 5280 section 5), each signed by one of
	// CA; empty is none.
	CRL string
}

// lookAgain is how long it takes at most until a file that was changed is seen.
const lookAgain = time.Second

// Certificates are those of the files as they are now. A file that was changed is read
// again when the next client comes, and what cannot be used does not replace what can.
type Certificates struct {
	files Files
	log   *slog.Logger
	// now is the wall clock, by which certificates expire.
	now func() time.Time

	mu      sync.Mutex
	looked  time.Time
	stamps  []stamp
	good    *material
	problem error
}

// NewCertificates reads the files. It has no error: what is wrong with them is said by
// Problem, and may be put right at any time.
func NewCertificates(files Files, log *slog.Logger) *Certificates {
	return newCertificates(files, log, time.Now)
}

func newCertificates(files Files, log *slog.Logger, now func() time.Time) *Certificates {
	c := &Certificates{files: files, log: log, now: now}
	c.current()
	return c
}

// stamp tells one content of a file from another without reading it.
type stamp struct {
	info fs.FileInfo
	err  string
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{err: err.Error()}
	}
	return stamp{info: info}
}

func (s stamp) same(o stamp) bool {
	if s.info == nil || o.info == nil {
		return s.info == nil && o.info == nil && s.err == o.err
	}
	return os.SameFile(s.info, o.info) && s.info.ModTime().Equal(o.info.ModTime()) && s.info.Size() == o.info.Size() && s.info.Mode() == o.info.Mode()
}

// current is what is good now; nil while nothing is.
func (c *Certificates) current() *material {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.looked.IsZero() && time.Since(c.looked) < lookAgain {
		return c.good
	}
	c.looked = time.Now()
	var stamps []stamp
	same := true
	for i, path := range c.files.paths() {
		stamps = append(stamps, stampOf(path))
		same = same && i < len(c.stamps) && stamps[i].same(c.stamps[i])
	}
	if !same {
		c.read(stamps)
	}
	return c.good
}

func (c *Certificates) read(stamps []stamp) {
	c.stamps = stamps
	m, err := c.files.load(c.now)
	first := c.good == nil
	if c.problem = err; err != nil {
		c.log.Error("the certificates of the remote API cannot be used", "error", err, "old ones kept", !first)
		return
	}
	c.good = m
	c.log.Info("certificates of the remote API read", "serial", m.leaf.SerialNumber, "expires", m.leaf.NotAfter, "first", first)
}

// Problem is what keeps the files from being used, or will soon; nil when nothing does.
func (c *Certificates) Problem() error {
	m := c.current()
	c.mu.Lock()
	problem := c.problem
	c.mu.Unlock()
	switch {
	case problem != nil && m != nil:
		return fmt.Errorf("%w; the ones from before are still in use", problem)
	case problem != nil:
		return problem
	}
	return m.timely(c.files, c.now())
}

// Expires is when the agent's certificate does; ok is false while there is none.
func (c *Certificates) Expires() (at time.Time, ok bool) {
	if m := c.current(); m != nil {
		return m.leaf.NotAfter, true
	}
	return time.Time{}, false
}

var errNone = errors.New("the agent has no certificate that it can use, see its log")

// Chain is what a client has shown when it connected.
type Chain struct {
	certs []*x509.Certificate
	mu    sync.Mutex
	// by is what it was held against last.
	by *material
}

// Again says why a client that was let in would not be any more: its certificate has
// expired, or is revoked, or is of a CA that has gone. It costs little while nothing
// has changed.
func (c *Certificates) Again(chain *Chain) error {
	m, now := c.current(), c.now()
	if leaf := chain.certs[0]; now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return x509.CertificateInvalidError{Cert: leaf, Reason: x509.Expired,
			Detail: fmt.Sprintf("it holds from %s to %s, and by the agent's clock it is %s", stampTime(leaf.NotBefore), stampTime(leaf.NotAfter), stampTime(now))}
	}
	chain.mu.Lock()
	defer chain.mu.Unlock()
	if chain.by == m {
		return nil
	}
	if err := m.verify(chain.certs, now); err != nil {
		return err
	}
	chain.by = m
	return nil
}

func stampTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
