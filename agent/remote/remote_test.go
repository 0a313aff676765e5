package remote

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hostnic/hostnic/test/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench has the files of an agent, and its clock.
type bench struct {
	*testing.T
	dir    string
	ca     *pki.Authority
	files  Files
	offset time.Duration
	certs  *Certificates
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, dir: t.TempDir(), ca: pki.New(t, "clients")}
	b.files = Files{CA: pki.Put(t, b.dir, "ca.pem", b.ca.PEM())}
	b.files.Cert, b.files.Key = b.ca.Agent("127.0.0.1").Write(t, b.dir, "agent")
	return b
}

func (b *bench) open() *bench {
	b.certs = newCertificates(b.files, slog.New(slog.DiscardHandler), func() time.Time { return time.Now().Add(b.offset) })
	return b
}

// again makes the files be looked at now.
func (b *bench) again() {
	b.certs.mu.Lock()
	b.certs.looked = time.Time{}
	b.certs.mu.Unlock()
}

// shake makes a handshake, and gives what each side got.
func (b *bench) shake(config *tls.Config) (client Client, agentErr, clientErr error) {
	b.Helper()
	config.ServerName = "127.0.0.1"
	near, far := net.Pipe()
	defer near.Close()
	var both sync.WaitGroup
	both.Go(func() {
		conn := tls.Client(far, config)
		if clientErr = conn.Handshake(); clientErr == nil {
			// A refusal comes after the client is done with its part (RFC 8446 section 4.4.2).
			_, clientErr = conn.Read(make([]byte, 1))
		}
		far.Close()
	})
	g := NewGate()
	c := &Conn{Conn: near, gate: g}
	_ = near.SetDeadline(time.Now().Add(10 * time.Second))
	secure, client, agentErr := b.certs.Handshake(c)
	if agentErr == nil {
		_, _ = secure.Write([]byte{1})
		secure.Close()
	}
	near.Close()
	both.Wait()
	if errors.Is(clientErr, io.EOF) {
		clientErr = nil
	}
	return client, agentErr, clientErr
}

func TestIdentity(t *testing.T) {
	b := newBench(t).open()
	for name, tc := range map[string]struct {
		cert    pki.Issued
		want    string
		refused string
	}{
		"a SPIFFE id":       {b.ca.Client("spiffe://example.org/engine"), "spiffe://example.org/engine", ""},
		"another URI":       {b.ca.Client("https://example.org/engine"), "https://example.org/engine", ""},
		"a subject":         {b.ca.Client(""), "CN=client,O=Test", ""},
		"an odd subject":    {b.ca.Client("", func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "a\n\x1b[1m,b"} }), `CN=a\n\x1b[1m\\,b`, ""},
		"two URIs":          {b.ca.Client("spiffe://a/b", func(c *x509.Certificate) { c.URIs = append(c.URIs, pki.URL(t, "spiffe://a/c")) }), "", "names 2 URIs"},
		"nothing":           {b.ca.Client("", func(c *x509.Certificate) { c.Subject = pkix.Name{} }), "", "neither a URI nor a subject"},
		"a very long one":   {b.ca.Client("spiffe://a/" + strings.Repeat("x", 300)), "", "311 bytes"},
		"an agent's":        {b.ca.Agent("127.0.0.1"), "", "key usage"},
		"a URI with a port": {b.ca.Client("", func(c *x509.Certificate) { c.URIs = []*url.URL{pki.URL(t, "spiffe://a:1/b")} }), "spiffe://a:1/b", ""},
	} {
		client, err, _ := b.shake(tc.cert.TLS(t, b.ca))
		if client.Identity != tc.want || (err == nil) != (tc.refused == "") || err != nil && !strings.Contains(err.Error(), tc.refused) {
			t.Errorf("%s: %q, %v", name, client.Identity, err)
		}
	}
}

// No certificate, that of another CA, an expired one, one that does not hold yet, a
// revoked one: no connection, and the agent's side knows why. Nor is there one below TLS
// 1.3, or without HTTP/2.
func TestFault_D2(t *testing.T) {
	b := newBench(t)
	good, revoked := b.ca.Client("spiffe://a/good"), b.ca.Client("spiffe://a/revoked")
	b.files.CRL = pki.Put(t, b.dir, "crl.pem", b.ca.Revoke(time.Now().Add(time.Hour), revoked))
	b.open()
	change := func(i pki.Issued, with func(*tls.Config)) *tls.Config {
		c := i.TLS(t, b.ca)
		with(c)
		return c
	}
	for name, tc := range map[string]struct {
		config *tls.Config
		want   string
	}{
		"none":          {change(good, func(c *tls.Config) { c.Certificates = nil }), "didn't provide a certificate"},
		"another CA":    {pki.New(t, "clients").Client("spiffe://a/good").TLS(t, b.ca), "unknown authority"},
		"expired":       {b.ca.Client("spiffe://a/b", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }).TLS(t, b.ca), "by the agent's clock it is"},
		"not yet valid": {b.ca.Client("spiffe://a/b", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }).TLS(t, b.ca), "by the agent's clock it is"},
		"revoked":       {revoked.TLS(t, b.ca), "is revoked"},
		"TLS 1.2":       {change(good, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }), "unsupported versions"},
		"no HTTP/2":     {change(good, func(c *tls.Config) { c.NextProtos = nil }), "ALPN h2"},
	} {
		_, err, clientErr := b.shake(tc.config)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if clientErr == nil && name != "no HTTP/2" {
			t.Errorf("%s: the client is told nothing", name)
		}
	}
	if _, err, clientErr := b.shake(good.TLS(t, b.ca)); err != nil || clientErr != nil {
		t.Errorf("the good one: %v, %v", err, clientErr)
	}
}

// The wall clock jumps: a certificate that was good is not, and the error says by which
// clock. Nothing is left of it when the clock is right again.
func TestFault_D25(t *testing.T) {
	b := newBench(t).open()
	good := b.ca.Client("spiffe://a/good")
	client, err, _ := b.shake(good.TLS(t, b.ca))
	if err != nil {
		t.Fatal(err)
	}
	year := 365 * 24 * time.Hour
	for _, b.offset = range []time.Duration{10 * year, -10 * year, time.Since(time.Unix(0, 0)) * -1, 2 * time.Hour} {
		clock := time.Now().Add(b.offset).UTC().Format("2006-01-02T")
		if _, err, _ := b.shake(good.TLS(t, b.ca)); err == nil || !strings.Contains(err.Error(), "by the agent's clock it is "+clock) {
			t.Errorf("%v: %v", b.offset, err)
		}
		if err := b.certs.Again(client.Chain); err == nil || !strings.Contains(err.Error(), "by the agent's clock it is "+clock) {
			t.Errorf("%v, a connection from before: %v", b.offset, err)
		}
		if err := b.certs.Problem(); err == nil || !strings.Contains(err.Error(), clock) {
			t.Errorf("%v, the agent's own: %v", b.offset, err)
		}
	}
	b.offset = 0
	if _, err, _ := b.shake(good.TLS(t, b.ca)); err != nil || b.certs.Again(client.Chain) != nil || b.certs.Problem() != nil {
		t.Errorf("the clock is right again: %v, %v", err, b.certs.Problem())
	}
}

// New files are taken up without anybody being told, and wrong ones are not: what was
// good goes on, and the problem is told until it is mended.
func TestRotation(t *testing.T) {
	b := newBench(t).open()
	old := b.ca.Client("spiffe://a/old")
	first, err, _ := b.shake(old.TLS(t, b.ca))
	if err != nil {
		t.Fatal(err)
	}
	broken := func(what, want string) {
		t.Helper()
		b.again()
		if p := b.certs.Problem(); p == nil || !strings.Contains(p.Error(), want) || !strings.Contains(p.Error(), "still in use") {
			t.Errorf("%s: %v", what, p)
		}
		if _, err, _ := b.shake(old.TLS(t, b.ca)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	next := b.ca.Agent("127.0.0.1")
	pki.Put(t, b.dir, "agent.pem", next.CertPEM)
	broken("half of a pair", "private key does not match")
	pki.Put(t, b.dir, "agent-key.pem", next.KeyPEM)
	pki.Put(t, b.dir, "ca.pem", []byte("nothing"))
	broken("no CA", "no PEM block")
	pki.Put(t, b.dir, "ca.pem", b.ca.PEM())
	if err := os.Chmod(b.files.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	broken("a key for everybody", "chmod 600")
	if err := os.Chmod(b.files.Key, 0o640); err != nil {
		t.Fatal(err)
	}
	b.again()
	if err := b.certs.Problem(); err != nil {
		t.Errorf("mended: %v", err)
	}
	if m := b.certs.current(); m.leaf.SerialNumber.Cmp(next.Cert.SerialNumber) != 0 {
		t.Error("the new certificate is not served")
	}
	// Both CAs, and then the new one only.
	newCA := pki.New(t, "clients")
	young := newCA.Client("spiffe://a/young")
	pki.Put(t, b.dir, "ca.pem", append(b.ca.PEM(), newCA.PEM()...))
	b.again()
	for _, c := range []pki.Issued{old, young} {
		if _, err, _ := b.shake(c.TLS(t, b.ca)); err != nil {
			t.Errorf("with both CAs: %v", err)
		}
	}
	if err := b.certs.Again(first.Chain); err != nil {
		t.Errorf("with both CAs, a connection from before: %v", err)
	}
	pki.Put(t, b.dir, "ca.pem", newCA.PEM())
	b.again()
	if _, err, _ := b.shake(old.TLS(t, b.ca)); err == nil {
		t.Error("a client of a CA that has gone gets in")
	}
	if err := b.certs.Again(first.Chain); err == nil {
		t.Error("a connection of a client of a CA that has gone is still good")
	}
}

// What is missing when the agent starts may come later.
func TestFilesComeLater(t *testing.T) {
	b := newBench(t)
	hidden := filepath.Join(b.dir, "hidden")
	if err := os.Rename(b.files.Key, hidden); err != nil {
		t.Fatal(err)
	}
	b.open()
	good := b.ca.Client("spiffe://a/good")
	if _, err, clientErr := b.shake(good.TLS(t, b.ca)); !errors.Is(err, errNone) || clientErr == nil {
		t.Errorf("without a key: %v, %v", err, clientErr)
	}
	if _, ok := b.certs.Expires(); ok || b.certs.Problem() == nil {
		t.Error("nothing is said of the missing key")
	}
	if err := os.Rename(hidden, b.files.Key); err != nil {
		t.Fatal(err)
	}
	b.again()
	if _, err, _ := b.shake(good.TLS(t, b.ca)); err != nil || b.certs.Problem() != nil {
		t.Errorf("with one: %v, %v", err, b.certs.Problem())
	}
}

func TestRevocationLists(t *testing.T) {
	b := newBench(t)
	c := b.ca.Client("spiffe://a/b")
	b.files.CRL = pki.Put(t, b.dir, "crl.pem", pki.New(t, "others").Revoke(time.Now().Add(time.Hour), c))
	b.open()
	if err := b.certs.Problem(); err == nil || !strings.Contains(err.Error(), "signed by none") {
		t.Errorf("a list of others: %v", err)
	}
	pki.Put(t, b.dir, "crl.pem", pki.New(t, "clients").Revoke(time.Now().Add(time.Hour), c)) // of the same name
	b.again()
	if err := b.certs.Problem(); err == nil {
		t.Error("a forged list is taken")
	}
	pki.Put(t, b.dir, "crl.pem", b.ca.Revoke(time.Now().Add(-time.Minute)))
	b.again()
	first, err, _ := b.shake(c.TLS(t, b.ca))
	if p := b.certs.Problem(); err != nil || p == nil || !strings.Contains(p.Error(), "should have been renewed") {
		t.Errorf("an old list: %v, %v", err, p)
	}
	pki.Put(t, b.dir, "crl.pem", b.ca.Revoke(time.Now().Add(time.Hour), c))
	b.again()
	if err := b.certs.Again(first.Chain); err == nil || !strings.Contains(err.Error(), "is revoked") {
		t.Errorf("revoked while connected: %v", err)
	}
}

// addressed is a connection from somewhere.
type addressed struct {
	net.Conn
	from net.Addr
}

func (a *addressed) RemoteAddr() net.Addr { return a.from }
func (a *addressed) Close() error         { return nil }

func from(g *Gate, address string) *Conn {
	a := &net.TCPAddr{IP: net.ParseIP(address), Port: 1}
	return &Conn{Conn: &addressed{from: a}, gate: g, source: sourceOf(a)}
}

// Those who say nothing make room, from whom there are most of them first; those who
// are known do not.
func TestGate(t *testing.T) {
	g := NewGate()
	quiet, known := from(g, "192.0.2.9"), from(g, "192.0.2.1")
	if g.enter(quiet) != nil || g.enter(known) != nil || known.Admit("me") != nil {
		t.Fatal("an empty gate is full")
	}
	var crowd []*Conn
	for i := range MostPending - 1 {
		crowd = append(crowd, from(g, fmt.Sprintf("2001:db8::%x", i+1)))
		if out := g.enter(crowd[i]); out != nil {
			t.Fatalf("connection %d has to go for the next", i)
		}
	}
	for i := range 10 {
		if out := g.enter(from(g, fmt.Sprintf("2001:db8::ffff:%x", i+1))); out != crowd[i] {
			t.Errorf("%v has to go, and not the oldest of the crowd", out.source)
		}
	}
	if err := quiet.Admit("slow"); err != nil {
		t.Errorf("who came before the crowd: %v", err)
	}
	if n, _ := g.Counts(); n != 2 {
		t.Errorf("%d connections are known, want 2", n)
	}
	for i := range MostOfOne - 1 {
		if err := from(g, "192.0.2.1").Admit("me"); err != nil {
			t.Errorf("connection %d: %v", i+2, err)
		}
	}
	if err := from(g, "192.0.2.1").Admit("me"); err == nil || !strings.Contains(err.Error(), "me has 16 connections") {
		t.Errorf("one too many: %v", err)
	}
	_ = known.Close()
	_ = known.Close() // counted once
	if err := from(g, "192.0.2.1").Admit("me"); err != nil {
		t.Errorf("after one has gone: %v", err)
	}
	for i := range MostConnections - MostOfOne - 1 {
		if err := from(g, "192.0.2.1").Admit(fmt.Sprint("other", i)); err != nil {
			t.Errorf("connection %d of others: %v", i, err)
		}
	}
	if err := from(g, "192.0.2.1").Admit("another"); err == nil || !strings.Contains(err.Error(), "128 connections already") {
		t.Errorf("the whole gate: %v", err)
	}
	if err := known.Admit("me"); err == nil {
		t.Error("a closed connection is admitted")
	}
}

func TestSource(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1": "fe80::",
	} {
		if got := sourceOf(&net.TCPAddr{IP: net.ParseIP(address)}); got != netip.MustParseAddr(want) {
			t.Errorf("%s is held against %s, want %s", address, got, want)
		}
	}
}
