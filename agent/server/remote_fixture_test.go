package server

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/remote"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
	"github.com/hostnic/hostnic/test/pki"
	"github.com/hostnic/hostnic/test/textlog"
)

// The identities of the tests.
const (
	theReader   = "spiffe://test/reader"
	theOperator = "spiffe://test/operator"
	theAdmin    = "CN=client,O=Test"
)

// farHost is a host with the API on the network, on 127.0.0.1.
type farHost struct {
	*host
	ca      *pki.Authority
	dir     string
	files   remote.Files
	address string
	log     *textlog.Log
}

func newFarHost(t *testing.T, change ...func(*engine.Options, *Options)) *farHost {
	t.Helper()
	f := &farHost{ca: pki.New(t, "test"), dir: t.TempDir(), log: &textlog.Log{}}
	f.files = remote.Files{CA: pki.Put(t, f.dir, "ca.pem", f.ca.PEM())}
	f.files.Cert, f.files.Key = f.ca.Agent("127.0.0.1").Write(t, f.dir, "agent")
	f.files.CRL = pki.Put(t, f.dir, "crl.pem", f.ca.Revoke(time.Now().Add(time.Hour)))
	f.host = newHost(t, append([]func(*engine.Options, *Options){func(_ *engine.Options, o *Options) {
		o.Log = slog.New(slog.NewTextHandler(io.MultiWriter(f.log, t.Output()), nil))
		o.Remote = NewRemote(remote.NewCertificates(f.files, o.Log), map[string]Role{
			theReader: Reader, theOperator: Operator, theAdmin: Admin, "spiffe://test/readers/*": Reader, "spiffe://test/readers/of/*": Operator,
		})
	}}, change...)...)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- f.server.ServeRemote(f.address, listener) }()
	stop := f.stop
	f.stop = sync.OnceFunc(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("the remote API: %v", err)
		}
	})
	return f
}

// far is a connection over TLS.
func (f *farHost) far(c pki.Issued) *grpc.ClientConn {
	f.t.Helper()
	return f.farWith(c.TLS(f.t, f.ca))
}

func (f *farHost) farWith(c *tls.Config, more ...grpc.DialOption) *grpc.ClientConn {
	f.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+f.address, append(more, grpc.WithTransportCredentials(credentials.NewTLS(c)))...)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// as makes the calls of the fixture those of a client from the network.
func (f *farHost) as(identity string) {
	f.t.Helper()
	if identity == theAdmin {
		identity = ""
	}
	f.conn = f.far(f.ca.Client(identity))
	f.nics, f.config = hostnicv1.NewHostNicServiceClient(f.conn), hostnicv1.NewNetConfigServiceClient(f.conn)
}

func getStatus(ctx context.Context, c *grpc.ClientConn) (*hostnicv1.GetStatusResponse, error) {
	return hostnicv1.NewNetConfigServiceClient(c).GetStatus(ctx, &hostnicv1.GetStatusRequest{})
}

// raw speaks HTTP/2 (RFC 9113) by the byte, to do what no client does.
type raw struct {
	t *testing.T
	*tls.Conn
}

// Types and flags of frames.
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway = 0, 1, 3, 4, 6, 7

	endHeaders = 4
)

func (f *farHost) raw(c pki.Issued) *raw {
	f.t.Helper()
	conn, err := tls.Dial("tcp", f.address, c.TLS(f.t, f.ca))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	r := &raw{f.t.(*testing.T), conn}
	_ = r.SetDeadline(time.Now().Add(time.Minute))
	_, _ = r.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	if err := r.frame(frameSettings, 0, 0, nil); err != nil {
		f.t.Fatal(err)
	}
	return r
}

// frame sends one. The error is that the other side does not want any more.
func (r *raw) frame(kind, flags byte, stream uint32, payload []byte) error {
	head := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	_, err := r.Write(append(binary.BigEndian.AppendUint32(head, stream), payload...))
	return err
}

// next is the frame that comes next.
func (r *raw) next() (kind byte, stream uint32, payload []byte, err error) {
	head := make([]byte, 9)
	if _, err = io.ReadFull(r, head); err != nil {
		return 0, 0, nil, err
	}
	payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(r, payload)
	return head[3], binary.BigEndian.Uint32(head[5:]) &^ (1 << 31), payload, err
}

// call are the headers of a call, in HPACK's plainest form (RFC 7541 section 6.2.2).
func call(method string) []byte {
	var out []byte
	for _, h := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":path", method}, {":authority", "agent"}, {"content-type", "application/grpc"}, {"te", "trailers"}} {
		out = append(out, 0, byte(len(h[0])))
		out = append(append(append(out, h[0]...), byte(len(h[1]))), h[1]...)
	}
	return out
}

// until reads until a frame of that kind, or the end.
func (r *raw) until(kind byte) (payload []byte, err error) {
	for {
		got, _, payload, err := r.next()
		if err != nil || got == kind {
			return payload, err
		}
	}
}

func (f *farHost) dialTCP() (net.Conn, error) {
	conn, err := net.Dial("tcp", f.address)
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
	}
	return conn, err
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (f *farHost) eventually(what string, cond func() bool) {
	f.t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("waited in vain: %s", what)
		}
	}
}
