package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/agent/lldp"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testHost = "2ab5e1da-b726-4274-bbf7-0a42b16a0fc3"

// host is an agent with a kernel in memory, behind a real socket.
type host struct {
	t      testing.TB
	kernel *gatedKernel
	engine *engine.Engine
	server *Server
	socket string
	conn   *grpc.ClientConn
	nics   hostnicv1.HostNicServiceClient
	config hostnicv1.NetConfigServiceClient
	caps   hostnicv1.CapabilitiesServiceClient
	// look, when set, stands in for the look at the kernel.
	look func(context.Context) (state.Snapshot, error)
	// stop ends the agent and waits for it.
	stop func()
	// start makes an agent on the same host and state.
	start func()
	died  chan struct{} // closed when the engine has ended
}

// gatedKernel is the fake kernel, with a gate before its door.
type gatedKernel struct {
	*kerneltest.Fake
	mu sync.Mutex
	// entered is told of an Apply that waits for gate.
	entered chan struct{}
	gate    chan struct{}
}

func (k *gatedKernel) Writes() uint64 { return uint64(k.Fake.Writes()) }

func (k *gatedKernel) Apply(ctx context.Context, ops []plan.Op) error {
	k.mu.Lock()
	entered, gate := k.entered, k.gate
	k.mu.Unlock()
	if gate != nil {
		entered <- struct{}{}
		<-gate
	}
	return k.Fake.Apply(ctx, ops)
}

// hold makes every Apply wait until the function that it returns is called.
func (k *gatedKernel) hold() (entered <-chan struct{}, release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, gate := make(chan struct{}, 100), make(chan struct{})
	k.entered, k.gate = e, gate
	return e, func() {
		k.mu.Lock()
		k.entered, k.gate = nil, nil
		k.mu.Unlock()
		close(gate)
	}
}

// newHost makes a host with eth0 to eth3.
func newHost(t testing.TB, change ...func(*engine.Options, *Options)) *host {
	t.Helper()
	h := &host{t: t, kernel: &gatedKernel{Fake: kerneltest.NewFake()}}
	for _, name := range []string{"eth0", "eth1", "eth2", "eth3"} {
		h.kernel.AddNIC(name, kerneltest.NIC{Speed: 1e9, Driver: "fake", BusPath: "0000:00:00." + name[3:]})
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	log := slog.New(slog.NewTextHandler(h.logTo(), nil))
	h.start = func() {
		t.Helper()
		st, err := store.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		eo := engine.Options{Kernel: h.kernel, Store: st, HostID: testHost, BootID: "this boot", Clock: func() time.Duration { return time.Since(began) }, Log: log, Limits: netcfg.Limits{MaxNics: 1024}}
		so := Options{Look: h.lookNow, Counters: h.lookNow, Meter: inventory.NewMeter(), Neighbours: func() []lldp.Neighbour { return nil }, Inventory: inventory.New(freshly{h, &atomic.Uint64{}}, h.known), Access: Access{Owner: uint32(os.Geteuid())}, Version: "test", Log: log}
		for _, c := range change {
			c(&eo, &so)
		}
		h.engine = engine.New(eo)
		so.Engine = h.engine
		h.server = New(so)
		h.serve(st)
		h.conn = h.dial(nil)
		h.nics, h.config, h.caps = hostnicv1.NewHostNicServiceClient(h.conn), hostnicv1.NewNetConfigServiceClient(h.conn), hostnicv1.NewCapabilitiesServiceClient(h.conn)
	}
	h.start()
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *host) restart() {
	h.t.Helper()
	_ = h.conn.Close()
	h.stop()
	h.start()
}

func (h *host) logTo() io.Writer {
	if testing.Verbose() {
		return os.Stderr
	}
	return io.Discard
}

// freshly is the host for an inventory that nobody brings news: it says that something
// was written each time, so that each reader sees the host as it is.
type freshly struct {
	h     *host
	reads *atomic.Uint64
}

func (f freshly) Snapshot(ctx context.Context) (state.Snapshot, error) { return f.h.lookNow(ctx) }

func (f freshly) Routes(ctx context.Context) ([]state.Route, error) {
	s, err := f.h.lookNow(ctx)
	return s.Routes, err
}

func (f freshly) Link(ctx context.Context, index int) (*state.Link, []state.Address, error) {
	s, err := f.h.lookNow(ctx)
	return s.Link(index), s.AddressesOf(index), err
}

func (f freshly) Writes() uint64 { return f.reads.Add(1) }

func (h *host) known(s state.Snapshot) inventory.Knowledge { return Known(h.engine, s) }

func (h *host) lookNow(ctx context.Context) (state.Snapshot, error) {
	if h.look != nil {
		return h.look(ctx)
	}
	return h.kernel.Snapshot(ctx)
}

// serve runs engine and server until h.stop.
func (h *host) serve(st *store.Store) {
	h.t.Helper()
	// Not t.TempDir, which strangers may not enter, and whose path may be too long.
	dir, err := os.MkdirTemp("", "hostnic-")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h.socket = filepath.Join(dir, "s")
	listener, err := net.Listen("unix", h.socket)
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.Chmod(h.socket, 0o777))
	}
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	died := make(chan struct{})
	h.died = died
	tasks.Go(func() {
		defer close(died)
		if err := h.engine.Run(ctx); err != nil {
			h.t.Errorf("engine: %v", err)
		}
	})
	tasks.Go(func() {
		if err := h.server.Serve(ctx, listener); err != nil {
			h.t.Errorf("server: %v", err)
		}
	})
	h.stop = sync.OnceFunc(func() {
		cancel()
		tasks.Wait()
		_ = st.Close()
	})
	<-h.engine.Ready()
}

func (h *host) dial(dialer func(context.Context, string) (net.Conn, error)) *grpc.ClientConn {
	h.t.Helper()
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if dialer != nil {
		options = append(options, grpc.WithContextDialer(dialer))
	}
	conn, err := grpc.NewClient("unix:"+h.socket, options...)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ctx is that of one call.
func (h *host) ctx() context.Context {
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	h.t.Cleanup(cancel)
	return ctx
}

func document(text string) *hostnicv1.Document { return &hostnicv1.Document{Content: []byte(text)} }

func staging(text string) *hostnicv1.StageRequest {
	return &hostnicv1.StageRequest{Documents: []*hostnicv1.Document{document(text)}}
}

// stage stages a document that is taken.
func (h *host) stage(text string) int64 {
	h.t.Helper()
	resp, err := h.config.Stage(h.ctx(), staging(text))
	if err != nil {
		h.t.Fatalf("stage: %v", err)
	}
	return resp.GetRevision()
}

type updates interface {
	Recv() (*hostnicv1.OperationUpdate, error)
}

type applyUpdates struct {
	hostnicv1.NetConfigService_ApplyClient
}

func (a applyUpdates) Recv() (*hostnicv1.OperationUpdate, error) {
	resp, err := a.NetConfigService_ApplyClient.Recv()
	return resp.GetUpdate(), err
}

type commitUpdates struct {
	hostnicv1.NetConfigService_CommitClient
}

func (c commitUpdates) Recv() (*hostnicv1.OperationUpdate, error) {
	resp, err := c.NetConfigService_CommitClient.Recv()
	return resp.GetUpdate(), err
}

type rollbackUpdates struct {
	hostnicv1.NetConfigService_RollbackClient
}

func (r rollbackUpdates) Recv() (*hostnicv1.OperationUpdate, error) {
	resp, err := r.NetConfigService_RollbackClient.Recv()
	return resp.GetUpdate(), err
}

func (h *host) apply(options *hostnicv1.ApplyOptions) (*hostnicv1.Operation, []*hostnicv1.Step, error) {
	stream, err := h.config.Apply(h.ctx(), &hostnicv1.ApplyRequest{Options: options})
	return follow(applyUpdates{stream}, err)
}

func (h *host) commit(options *hostnicv1.ApplyOptions, comment string) (*hostnicv1.Operation, []*hostnicv1.Step, error) {
	stream, err := h.config.Commit(h.ctx(), &hostnicv1.CommitRequest{Options: options, Comment: comment})
	return follow(commitUpdates{stream}, err)
}

func (h *host) rollback(revision *int64) (*hostnicv1.Operation, []*hostnicv1.Step, error) {
	stream, err := h.config.Rollback(h.ctx(), &hostnicv1.RollbackRequest{Revision: revision})
	return follow(rollbackUpdates{stream}, err)
}

// follow reads a stream to its end: the operation of the last message, which must
// be the only one that is done, and all steps.
func follow(from updates, err error) (op *hostnicv1.Operation, steps []*hostnicv1.Step, _ error) {
	if err != nil {
		return nil, nil, err
	}
	for {
		update, err := from.Recv()
		switch {
		case errors.Is(err, io.EOF) && !op.GetDone():
			return op, steps, errors.New("the stream ended without a result")
		case errors.Is(err, io.EOF):
			return op, steps, nil
		case err != nil:
			return op, steps, err
		case op.GetDone():
			return op, steps, errors.New("a message after the result")
		}
		op = update.GetOperation()
		if update.GetStep() != nil {
			steps = append(steps, update.GetStep())
		}
	}
}

func wantCode(t testing.TB, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Fatalf("code %v, want %v: %v", got, want, err)
	}
}
