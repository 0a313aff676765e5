package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/agent/remote"
	"github.com/hostnic/hostnic/agent/server"
)

// TLS are the files of the remote API, PEM. They are read again when they change.
type TLS struct {
	// Cert is the agent's certificate with its intermediate ones, Key its key.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// CA are the certificates that clients' are to be issued by.
	CA string `yaml:"ca"`
	// CRL are lists of revoked certificates; empty is none.
	CRL string `yaml:"crl"`
}

// Roles are who may do what over the remote API. An identity is the URI in a client's
// certificate (spiffe://example.org/engine; one that ends in /* stands for all below
// it), or where that has none its subject (CN=engine,O=Example).
type Roles struct {
	// Reader may look, Operator change the configuration, Admin do everything.
	Reader   []string `yaml:"reader"`
	Operator []string `yaml:"operator"`
	Admin    []string `yaml:"admin"`
}

// Where the files of the remote API are unless somebody says otherwise.
const (
	DefaultCert = "/etc/hostnic/tls/agent.pem"
	DefaultKey  = "/etc/hostnic/tls/agent-key.pem"
	DefaultCA   = "/etc/hostnic/tls/clients-ca.pem"
)

// byIdentity turns the lists around. The error is that one says nothing, or that two
// say different things.
func (r Roles) byIdentity() (map[string]server.Role, error) {
	out := map[string]server.Role{}
	for _, list := range []struct {
		role       server.Role
		identities []string
	}{{server.Reader, r.Reader}, {server.Operator, r.Operator}, {server.Admin, r.Admin}} {
		for _, id := range list.identities {
			before, twice := out[id]
			switch {
			case twice && before != list.role:
				return nil, fmt.Errorf("roles: %q is %s and %s: decide on one", id, before, list.role)
			case !strings.Contains(id, "://") && !strings.Contains(id, "="):
				return nil, fmt.Errorf("roles.%s: %q is neither a URI (spiffe://example.org/engine) nor a subject (CN=engine,O=Example)", list.role, id)
			}
			out[id] = list.role
		}
	}
	return out, nil
}

// checkRemote refuses settings of the remote API that make no sense.
func (c Config) checkRemote() error {
	roles, err := c.Roles.byIdentity()
	if err != nil {
		return err
	}
	for _, address := range c.Listen {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return fmt.Errorf("listen %q is not HOST:PORT: %w", address, err)
		}
		if _, err := netip.ParseAddr(host); err != nil && host != "" {
			return fmt.Errorf("listen %q: the host has to be an IP address, as there may be nobody to look names up when the agent starts", address)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("listen %q: the port is a number from 1 to 65535", address)
		}
	}
	switch {
	case len(c.Listen) == 0:
		return nil
	case len(roles) == 0:
		return errors.New("listen is set and roles names nobody: nobody could do anything; name those who may (roles: {operator: [spiffe://example.org/engine]})")
	case slices.Contains([]string{c.TLS.Cert, c.TLS.Key, c.TLS.CA}, ""):
		return errors.New("tls.cert, tls.key and tls.ca must not be empty where listen is set")
	}
	return nil
}

// entrance is who may come in, and how.
type entrance struct {
	access server.Access
	remote *server.Remote
}

func entranceOf(c Config, log *slog.Logger) (in entrance, err error) {
	in.access = server.Access{Owner: uint32(os.Geteuid()), Operators: socketGroup(c.Group, log), Readers: readers(c)}
	in.remote, err = remoteAPI(c, log)
	return in, err
}

// remoteAPI is nil where nobody listens. What is wrong with its certificates does not
// keep the agent from its work: the host would be without its network.
func remoteAPI(c Config, log *slog.Logger) (*server.Remote, error) {
	if len(c.Listen) == 0 {
		return nil, nil
	}
	roles, err := c.Roles.byIdentity()
	if err != nil {
		return nil, err
	}
	return server.NewRemote(remote.NewCertificates(remote.Files(c.TLS), log), roles), nil
}

// listenAgain is the pause before an address that could not be had is tried again.
const listenAgain = 5 * time.Second

// again serves until that comes to an end, or ctx does. What fails is told, and tried
// again and again: another program may have the address for a while.
func again(ctx context.Context, serve func() error, failed func(err error, first bool)) {
	for first := true; ; first = false {
		err := serve()
		if err == nil || ctx.Err() != nil {
			return
		}
		failed(err, first)
		select {
		case <-ctx.Done():
			return
		case <-time.After(listenAgain):
		}
	}
}

// serveRemote serves one address until ctx ends.
func (a *agent) serveRemote(ctx context.Context, address string) error {
	again(ctx, func() error { return a.listenRemote(ctx, address) }, func(err error, _ bool) {
		a.server.Remote.Failed(address, err)
		a.log.Error("the remote API is not there; trying again", "address", address, "error", err)
	})
	return nil
}

func (a *agent) listenRemote(ctx context.Context, address string) error {
	listener, err := listenTCP(ctx, address)
	if err != nil {
		return err
	}
	a.log.Info("remote API", "address", address)
	return a.server.ServeRemote(address, listener)
}

// listenTCP binds also to an address that the host has not got yet (IP_FREEBIND, ip(7)):
// it may be the agent that gives it to the host.
func listenTCP(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
		return errors.Join(failed, err)
	}}
	return lc.Listen(ctx, "tcp", address)
}
