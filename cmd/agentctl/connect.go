package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// mostAnswer is the longest answer that is read, in bytes. A list of 4,000 links
// with all they have is a few megabytes.
const mostAnswer = 16 << 20

// connection is a way to one agent. It is made without a look whether anybody is
// there; the first call finds out.
type connection struct {
	conn    *grpc.ClientConn
	target  string // socket path or host:port, as the operator wrote it
	local   bool
	timeout time.Duration
	// paths are the connections that a change is not to cut unasked.
	paths []*hostnicv1.Path
	// clean makes answers printable. Programs get text as it is, in the escapes
	// of their format.
	clean bool

	mu      sync.Mutex
	dialErr error
	reached bool
}

func (g *globals) connect() (*connection, error) {
	c := &connection{target: g.socket, local: true, timeout: g.timeout, clean: !g.machine()}
	network, secure := "unix", insecure.NewCredentials()
	if g.address == "" {
		c.paths = sshPath(g.getenv)
	} else {
		c.target, c.local, network = g.address, false, "tcp"
		config, err := g.tls()
		if err != nil {
			return nil, err
		}
		secure = credentials.NewTLS(config)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return c.dial(ctx, network) }),
		grpc.WithUnaryInterceptor(c.call),
		grpc.WithUserAgent("agentctl/" + version),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(mostAnswer)),
		// An agent that restarts is back soon, and somebody waits for it.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	}
	authority := "localhost"
	if !c.local {
		authority = c.target
		// Without it an agent whose host has lost its network, perhaps by this very
		// change, would be waited for until the kernel gives up.
		options = append(options, grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}))
	}
	conn, err := grpc.NewClient("passthrough:///"+authority, options...)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", c.target, err)
	}
	c.conn = conn
	return c, nil
}

// dial goes by the path or address itself and not by gRPC's target, in which some
// characters of file names mean something else. It remembers what went wrong,
// because gRPC hands on text only.
func (c *connection) dial(ctx context.Context, network string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, c.target)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialErr = err
	c.reached = c.reached || err == nil
	return conn, err
}

func (c *connection) dialed() (reached bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reached, c.dialErr
}

// call is what every call with one answer goes through: it has a time limit, its
// error is one of ours, and its answer can be printed.
func (c *connection) call(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := invoke(ctx, method, req, reply, conn, opts...); err != nil {
		return c.explain(err)
	}
	if m, ok := reply.(proto.Message); ok && c.clean {
		sanitize(m)
	}
	return nil
}

func (c *connection) close() { _ = c.conn.Close() }

func (c *connection) nics() hostnicv1.HostNicServiceClient {
	return hostnicv1.NewHostNicServiceClient(c.conn)
}

func (c *connection) config() hostnicv1.NetConfigServiceClient {
	return hostnicv1.NewNetConfigServiceClient(c.conn)
}

func (c *connection) doctor() hostnicv1.DoctorServiceClient {
	return hostnicv1.NewDoctorServiceClient(c.conn)
}

func (c *connection) capabilities() hostnicv1.CapabilitiesServiceClient {
	return hostnicv1.NewCapabilitiesServiceClient(c.conn)
}

// tls is for an agent elsewhere: both sides show a certificate, and the agent's
// must be one of --ca for the host in --address.
func (g *globals) tls() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(g.cert, g.key)
	if err != nil {
		return nil, fmt.Errorf("reading --cert %s and --key %s: %w", g.cert, g.key, err)
	}
	pem, err := os.ReadFile(g.ca)
	if err != nil {
		return nil, fmt.Errorf("reading --ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading --ca %s: there is no certificate in it; it must be a PEM file", g.ca)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: roots}, nil
}
