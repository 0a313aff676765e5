package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg/state"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
	"github.com/hostnic/hostnic/test/pki"
)

// Who a certificate names is who the operation is by, and what the role lets it do is
// what it can do.
func TestRemote(t *testing.T) {
	f := newFarHost(t)
	f.as(theOperator)
	f.stage("host_nics: [{name: eth0, mtu: 1400}]")
	op, _, err := f.commit(nil, "from afar")
	if err != nil || op.GetAuthor() != theOperator || op.GetState() != "done" {
		t.Fatalf("%v, %v", op, err)
	}
	f.as(theReader)
	list, err := f.config.ListRevisions(f.ctx(), &hostnicv1.ListRevisionsRequest{})
	if err != nil || len(list.GetRevisions()) != 1 || list.GetRevisions()[0].GetAuthor() != theOperator {
		t.Errorf("%v, %v", list, err)
	}
	where, err := getStatus(f.ctx(), f.conn)
	if r := where.GetRemote(); err != nil || len(r.GetAddresses()) != 1 || r.GetAddresses()[0] != f.address || r.GetConnections() != 2 || r.GetRefused() != 0 || r.GetCertificateExpires() == nil {
		t.Errorf("%v, %v", r, err)
	}
	f.as(theAdmin)
	if f.stage("host_nics: [{name: eth0, mtu: 1300}]") == 0 {
		t.Error("nothing was staged")
	}
}

func TestRemoteRoles(t *testing.T) {
	f := newFarHost(t)
	for identity, want := range map[string]Role{
		theReader: Reader, theOperator: Operator, theAdmin: Admin,
		"spiffe://test/readers/one": Reader, "spiffe://test/readers/of/this": Operator, "spiffe://test/readers/of": Reader,
		"spiffe://test/readers": Nobody, "spiffe://test/readersof/this": Nobody, "spiffe://test/reader/one": Nobody, "CN=client": Nobody, "": Nobody,
	} {
		if got := f.server.Remote.role(identity); got != want {
			t.Errorf("%q is %s, want %s", identity, got, want)
		}
	}
}

// everyMethod calls each method that the server has, as a client of gRPC would.
func (f *farHost) everyMethod(conn *grpc.ClientConn, check func(method string, err error)) {
	f.t.Helper()
	for service, info := range f.server.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			method := "/" + service + "/" + m.Name
			stream, err := conn.NewStream(f.ctx(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
			if err == nil {
				_ = stream.CloseSend()
				err = stream.RecvMsg(&hostnicv1.GetStatusRequest{})
			}
			check(method, err)
		}
	}
}

// The right CA and an identity that nobody has given a role: PERMISSION_DENIED by every
// method.
func TestFault_D3(t *testing.T) {
	f := newFarHost(t)
	n := 0
	f.everyMethod(f.far(f.ca.Client("spiffe://test/stranger")), func(method string, err error) {
		n++
		if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "spiffe://test/stranger is nobody") {
			t.Errorf("%s: %v", method, err)
		}
	})
	if n < 20 {
		t.Errorf("only %d methods", n)
	}
	if f.kernel.Writes() != 0 {
		t.Error("the kernel was touched")
	}
}

// Without a certificate, and without TLS, no method can be reached, reflection and
// health included. A call of which it is not known who makes it is refused by each
// method, too.
func TestFault_D4(t *testing.T) {
	f := newFarHost(t)
	anonymous := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: f.ca.Pool()}
	plain, err := grpc.NewClient("passthrough:///"+f.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for name, conn := range map[string]*grpc.ClientConn{"no certificate": f.farWith(anonymous), "no TLS": plain} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if _, err := getStatus(ctx, conn); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	for method := range needed {
		if got := status.Code(f.server.admit(context.Background(), method)); got != codes.Unauthenticated {
			t.Errorf("%s: %v", method, got)
		}
	}
}

// A connection that is refused costs one line of the log and is counted; see the tests
// of agent/remote for each kind.
func TestFault_D2(t *testing.T) {
	f := newFarHost(t)
	revoked := f.ca.Client(theOperator)
	pki.Put(t, f.dir, "crl.pem", f.ca.Revoke(time.Now().Add(time.Hour), revoked))
	time.Sleep(1100 * time.Millisecond) // after which files are looked at again
	wrong := map[string]*tls.Config{
		"unknown authority":        pki.New(t, "test").Client(theOperator).TLS(t, f.ca),
		"is revoked":               revoked.TLS(t, f.ca),
		"by the agent's clock":     f.ca.Client(theOperator, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }).TLS(t, f.ca),
		"provide a certificate":    {MinVersion: tls.VersionTLS13, RootCAs: f.ca.Pool(), NextProtos: []string{"h2"}},
		"first record does not lo": nil, // like a TLS handshake
	}
	for want, config := range wrong {
		var conn io.ReadWriteCloser
		var err error
		if config == nil {
			conn, err = f.dialTCP()
			if err == nil {
				_, err = conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
			}
		} else {
			conn, err = tls.Dial("tcp", f.address, config)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, conn)
			conn.Close()
		}
		if err == nil && config != nil {
			t.Errorf("%s: the client is told nothing", want)
		}
		f.eventually(want, func() bool { return len(f.log.With(want)) == 1 })
	}
	if lines := f.log.With("connection refused"); len(lines) != len(wrong) {
		t.Errorf("%d connections were refused in %d lines:\n%s", len(wrong), len(lines), strings.Join(lines, ""))
	}
	f.as(theReader)
	where, err := getStatus(f.ctx(), f.conn)
	if err != nil || where.GetRemote().GetRefused() != int64(len(wrong)) {
		t.Errorf("%v, %v", where.GetRemote(), err)
	}
}

// A reader who wants to change something: PERMISSION_DENIED, and the log knows who
// wanted what.
func TestFault_D6(t *testing.T) {
	f := newFarHost(t)
	f.as(theReader)
	_, _, err := f.commit(nil, "")
	wantCode(t, err, codes.PermissionDenied)
	_, err = f.config.Stage(f.ctx(), staging("host_nics: [{name: eth0, mtu: 1400}]"))
	wantCode(t, err, codes.PermissionDenied)
	if !strings.Contains(err.Error(), "is reader and may not do this, which takes operator") {
		t.Errorf("%v", err)
	}
	for _, method := range []string{"Commit", "Stage"} {
		audit := f.log.With("/" + method)
		if len(audit) != 1 || !strings.Contains(audit[0], theReader) || !strings.Contains(audit[0], "from=127.0.0.1:") {
			t.Errorf("%s: %q", method, audit)
		}
	}
	if f.kernel.Writes() != 0 {
		t.Error("the kernel was touched")
	}
	if _, err := f.nics.ListHostNics(f.ctx(), &hostnicv1.ListHostNicsRequest{}); err != nil {
		t.Errorf("looking: %v", err)
	}
}

// Certificate, key and CA are replaced while a watch is open and calls are made: no
// stream is dropped, no call fails, and new connections see the new certificate.
func TestFault_D22(t *testing.T) {
	f := newFarHost(t)
	client := f.ca.Client(theReader)
	conn := f.far(client)
	watch, err := hostnicv1.NewHostNicServiceClient(conn).WatchHostNics(t.Context(), &hostnicv1.WatchHostNicsRequest{})
	for synced := false; err == nil && !synced; {
		var m *hostnicv1.WatchHostNicsResponse
		m, err = watch.Recv()
		synced = m.GetEvent() == hostnicv1.WatchEvent_WATCH_EVENT_SYNCED
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for range 2 {
		load.Go(func() {
			for ctx.Err() == nil {
				if _, err := getStatus(ctx, conn); err != nil && ctx.Err() == nil {
					t.Errorf("a call while the certificate rotates: %v", err)
				}
				fresh := f.far(client)
				if _, err := getStatus(ctx, fresh); err != nil && ctx.Err() == nil {
					t.Errorf("a new connection while the certificate rotates: %v", err)
				}
				_ = fresh.Close()
				wait(ctx, 100*time.Millisecond) // more would be too many calls
			}
		})
	}
	next := pki.New(t, "next")
	agent := f.ca.Agent("127.0.0.1")
	pki.Put(t, f.dir, "ca.pem", append(f.ca.PEM(), next.PEM()...))
	pki.Put(t, f.dir, "agent.pem", agent.CertPEM)
	pki.Put(t, f.dir, "agent-key.pem", agent.KeyPEM)
	f.eventually("the new certificate is served", func() bool {
		c, err := tls.Dial("tcp", f.address, client.TLS(t, f.ca))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Cmp(agent.Cert.SerialNumber) == 0
	})
	young := next.Client(theOperator).TLS(t, f.ca)
	if _, err := getStatus(f.ctx(), f.farWith(young)); err != nil {
		t.Errorf("a client of the new CA: %v", err)
	}
	cancel()
	load.Wait()
	// The old CA goes: the watch still does not, but calls on its connection do.
	pki.Put(t, f.dir, "crl.pem", next.Revoke(time.Now().Add(time.Hour)))
	pki.Put(t, f.dir, "ca.pem", next.PEM())
	f.eventually("clients of the old CA are refused", func() bool {
		_, err := getStatus(f.ctx(), conn)
		return status.Code(err) == codes.Unauthenticated && strings.Contains(err.Error(), "connect again")
	})
	f.conn = f.farWith(young)
	f.nics, f.config = hostnicv1.NewHostNicServiceClient(f.conn), hostnicv1.NewNetConfigServiceClient(f.conn)
	f.stage("host_nics: [{name: eth0, mtu: 1400}]")
	if _, _, err := f.commit(nil, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := f.nics.ListHostNics(f.ctx(), &hostnicv1.ListHostNicsRequest{}); err != nil { // sees to it that it is looked
		t.Fatal(err)
	}
	for changed := false; !changed; {
		m, err := watch.Recv()
		if err != nil {
			t.Fatalf("the watch from before: %v", err)
		}
		changed = m.GetNew().GetMtu() == 1400
	}
}

// A panic in the handler of a call from the network is that call's end only.
func TestFault_D23_Remote(t *testing.T) {
	f := newFarHost(t)
	f.as(theReader)
	f.look = func(context.Context) (state.Snapshot, error) { panic("a fault of ours") }
	for range 3 {
		_, err := f.nics.ListHostNics(f.ctx(), &hostnicv1.ListHostNicsRequest{})
		wantCode(t, err, codes.Internal)
	}
	if lines := f.log.With("fault of the agent"); len(lines) != 3 {
		t.Errorf("%d lines", len(lines))
	}
	f.look = nil
	if _, err := f.nics.ListHostNics(f.ctx(), &hostnicv1.ListHostNicsRequest{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if where, err := getStatus(f.ctx(), f.conn); err != nil || where.GetRemote().GetConnections() != 1 {
		t.Errorf("not on the same connection: %v, %v", where.GetRemote(), err)
	}
}

// A call by another connection over TLS is the contact that the probe waits for, also
// of the same identity; one of a reader is not.
func TestRemoteCaller(t *testing.T) {
	p := &fakeProber{lost: map[string]error{}}
	f := newFarHost(t, func(o *engine.Options, _ *Options) { o.Prober, o.ProbeLimit = p, 4*time.Second })
	f.as(theOperator)
	f.stage("host_nics: [{name: eth0, mtu: 1400}]")
	calls := func(c pki.Issued, anew bool) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		conn := f.far(c)
		if _, err := getStatus(ctx, conn); err != nil { // it is there before anything is applied
			t.Fatal(err)
		}
		var done sync.WaitGroup
		done.Go(func() {
			for ctx.Err() == nil {
				if _, err := getStatus(ctx, conn); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				if anew {
					_ = conn.Close()
					conn = f.far(c)
				}
				wait(ctx, 200*time.Millisecond)
			}
		})
		return func() { cancel(); done.Wait() }
	}
	session, reader := calls(f.ca.Client(""), false), calls(f.ca.Client(theReader), true)
	op, _, err := f.apply(&hostnicv1.ApplyOptions{Probes: []string{"caller"}})
	if err != nil || op.GetState() != "rolled-back" || strings.Contains(op.GetError(), " 0 on connections from before") {
		t.Errorf("nobody else who may change anything has made a new connection: %v, %v", op, err)
	}
	same := calls(f.ca.Client(theOperator), true)
	op, _, err = f.apply(&hostnicv1.ApplyOptions{Probes: []string{"caller"}})
	if err != nil || op.GetState() != "done" || !strings.Contains(fmt.Sprint(op.GetProbes()), "called by "+theOperator+" (127.0.0.1:") {
		t.Errorf("%v, %v", op, err)
	}
	session()
	reader()
	same()
}

func TestRemoteRate(t *testing.T) {
	f := newFarHost(t)
	f.as(theOperator)
	var err error
	n := 0
	for ; n < 100 && err == nil; n++ {
		_, _, err = f.apply(nil)
	}
	wantCode(t, err, codes.ResourceExhausted)
	if infoOf(t, err).GetReason() != "rate" || n <= int(changeRate.burst) {
		t.Errorf("after %d: %v", n, err)
	}
	// Others, and other calls, are not held up by that.
	if _, err := getStatus(f.ctx(), f.conn); err != nil {
		t.Error(err)
	}
	f.as(theAdmin)
	if _, _, err := f.apply(nil); err != nil {
		t.Error(err)
	}
	now := time.Now()
	var p paces
	for range int(callRate.burst) {
		if !p.take("a", callRate, now) {
			t.Fatal("refused within the burst")
		}
	}
	if p.take("a", callRate, now) || !p.take("b", callRate, now) || !p.take("a", callRate, now.Add(time.Second/50)) || p.take("a", callRate, now.Add(time.Second/50)) {
		t.Error("50 a second are not 50 a second")
	}
}
