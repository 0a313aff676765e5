package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/hostnic/hostnic/agent/doctor"
	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/agent/lldp"
	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/state"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// The limits of the API. They keep a hostile or broken client from costing the
// host more than it is worth.
const (
	// maxReceive leaves room for what stands around the largest document.
	maxReceive = codec.MaxDocument + 64<<10
	maxSend    = 16 << 20
	maxHeaders = 16 << 10
	// maxStreams is per connection; without it a client that opens and resets
	// streams makes handlers without end (CVE-2023-44487).
	maxStreams        = 64
	connectionTimeout = 5 * time.Second
	// A dead peer is found within pingAfter and pingTimeout. A client may ping every
	// pingMinimum, and is sent away when it does so more often.
	pingAfter      = 20 * time.Second
	pingTimeout    = 10 * time.Second
	pingMinimum    = 10 * time.Second
	idleConnection = 15 * time.Minute
	// stopPatience is how long calls may take to end when the agent stops.
	stopPatience = 5 * time.Second
)

// Options are what a Server is made of. All but Remote, Transient and Features are
// required.
type Options struct {
	Engine *engine.Engine
	// Look is a look at the host as it is now.
	Look func(context.Context) (state.Snapshot, error)
	// Inventory keeps the NICs.
	Inventory *inventory.Inventory
	// Counters is the look with counters, and Meter what is made of it.
	Counters func(context.Context) (state.Snapshot, error)
	Meter    *inventory.Meter
	// Access says who of this host may do what.
	Access Access
	// Remote is for everybody else; nil lets nobody in.
	Remote *Remote
	// Transient are errors that pass by themselves, answered as worth another try.
	Transient []error
	Features  Features
	// Examine looks for what is wrong on the host.
	Examine func(context.Context) ([]doctor.Finding, []doctor.Skipped, error)
	// Neighbours are those known by LLDP.
	Neighbours func() []lldp.Neighbour
	// Called is told of each call that has ended, with its status code; nil is nobody.
	Called func(method, code string, took time.Duration)
	// Version is that of the agent.
	Version string
	Log     *slog.Logger
}

// Features are what is told of the kernel.
type Features struct {
	// Release of the kernel.
	Release string
	// BondOptions are by mode the options that the kernel has; nil is not known.
	BondOptions map[string][]string
}

// Server is the API.
type Server struct {
	Options
	grpc   *grpc.Server
	health *health
	quiet  quiet
	paces  paces
	// stopping ends streams that only watch.
	stopping context.Context
	stop     context.CancelFunc
}

// New makes a server; Serve starts it.
func New(o Options) *Server {
	s := &Server{Options: o, health: newHealth(o.Engine)}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(
		grpc.Creds(doors{s}),
		grpc.MaxRecvMsgSize(maxReceive),
		grpc.MaxSendMsgSize(maxSend),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(connectionTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout, MaxConnectionIdle: idleConnection}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingMinimum, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
		grpc.InTapHandle(s.tap),
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
	)
	hostnicv1.RegisterHostNicServiceServer(s.grpc, &nicService{server: s})
	hostnicv1.RegisterNetConfigServiceServer(s.grpc, &configService{server: s})
	hostnicv1.RegisterCapabilitiesServiceServer(s.grpc, &capabilitiesService{server: s})
	hostnicv1.RegisterDoctorServiceServer(s.grpc, &doctorService{server: s})
	s.health.register(s.grpc)
	reflection.RegisterV1(s.grpc)
	return s
}

// Serve answers on the listeners, which it closes, until ctx ends. Calls that are
// under way then have stopPatience to end.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	served := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { served <- serving(l, s.grpc.Serve(l)) }()
	}
	ready := s.Engine.Ready()
	for running := true; running; {
		select {
		case <-ready:
			s.health.refresh()
			ready = nil
		case <-s.Engine.Turned():
			s.health.refresh()
		case err := <-served:
			s.stop()
			s.grpc.Stop()
			for range len(listeners) - 1 {
				err = errors.Join(err, <-served)
			}
			return err
		case <-ctx.Done():
			running = false
		}
	}
	return s.end(served, len(listeners))
}

// serving is the error of having served on a listener, for whatever it ended.
func serving(l net.Listener, err error) error {
	if err == nil || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", l.Addr(), err)
}

// end lets the calls that are under way end, and waits for everything that serves.
func (s *Server) end(served <-chan error, listeners int) (err error) {
	s.health.Shutdown()
	s.stop()
	stopped := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(stopped)
	}()
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case <-stopped:
	case <-patience.C:
		s.Log.Warn("clients did not end in time and are cut off")
		s.grpc.Stop()
		<-stopped
	}
	for range listeners {
		err = errors.Join(err, <-served)
	}
	return err
}
