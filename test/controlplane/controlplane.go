// Package controlplane is a small control plane for one host, as an example of a client
// of the API that outlives its connections: it lists, watches from where it was, makes
// changes under ids of its own, and confirms them on a connection that the change has
// let through.
package controlplane

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// Host is one host, as a control plane knows it.
type Host struct {
	// Addresses are where its agent may be, HOST:PORT. A change may move it from one to
	// another: all are tried until one answers, the one that did last first.
	Addresses []string
	// TLS has the client's certificate, and the CA of the agent's.
	TLS *tls.Config
	// Dial makes connections; nil is from the network namespace of the process.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Patience is how long an answer may take before another connection is tried.
	Patience time.Duration

	answered atomic.Int64 // which of Addresses did last
}

// connect makes a connection. It does not wait for it: the first call does.
func (h *Host) connect(address string) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(h.TLS)),
		// A watch is silent for long, and has to notice that nobody is there any more. The
		// agent ends a connection that pings more often than every 10 s.
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: h.Patience}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 11 * time.Second, Timeout: 3 * time.Second}),
	}
	if h.Dial != nil {
		options = append(options, grpc.WithContextDialer(h.Dial))
	}
	return grpc.NewClient("passthrough:///"+address, options...)
}

// passing is true of an error that another connection, or another moment, may not have.
func passing(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted:
		return true
	}
	return errors.Is(err, io.EOF)
}

// again is the pause before all addresses are tried once more.
const again = 200 * time.Millisecond

// anywhere does something on a new connection to each address in turn until it is done,
// or has failed in a way that no other connection mends, or ctx ends.
func (h *Host) anywhere(ctx context.Context, do func(context.Context, *grpc.ClientConn) error) error {
	var last error
	for {
		begin := h.answered.Load()
		for i := range h.Addresses {
			which := (int(begin) + i) % len(h.Addresses)
			conn, err := h.connect(h.Addresses[which])
			if err != nil {
				return err
			}
			err = do(ctx, conn)
			_ = conn.Close()
			switch {
			case err == nil:
				h.answered.Store(int64(which))
				return nil
			case ctx.Err() != nil:
				return fmt.Errorf("%w; the last try: %w", ctx.Err(), errors.Join(last, err))
			case !passing(err):
				return err
			}
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; the last try: %w", ctx.Err(), last)
		case <-time.After(again):
		}
	}
}

// once is anywhere for a call with one answer.
func once[A any](ctx context.Context, h *Host, call func(context.Context, *grpc.ClientConn) (A, error)) (answer A, err error) {
	err = h.anywhere(ctx, func(ctx context.Context, conn *grpc.ClientConn) (err error) {
		ctx, cancel := context.WithTimeout(ctx, h.Patience)
		defer cancel()
		answer, err = call(ctx, conn)
		return err
	})
	return answer, err
}

// Nics lists the NICs.
func (h *Host) Nics(ctx context.Context) ([]*hostnicv1.HostNic, error) {
	answer, err := once(ctx, h, func(ctx context.Context, conn *grpc.ClientConn) (*hostnicv1.ListHostNicsResponse, error) {
		return hostnicv1.NewHostNicServiceClient(conn).ListHostNics(ctx, &hostnicv1.ListHostNicsRequest{})
	})
	return answer.GetHostNics(), err
}

// Stage makes a document the whole candidate, and returns the candidate's revision.
func (h *Host) Stage(ctx context.Context, document string) (int64, error) {
	answer, err := once(ctx, h, func(ctx context.Context, conn *grpc.ClientConn) (*hostnicv1.StageResponse, error) {
		return hostnicv1.NewNetConfigServiceClient(conn).Stage(ctx, &hostnicv1.StageRequest{
			Replace: true, Documents: []*hostnicv1.Document{{Content: []byte(document)}},
		})
	})
	return answer.GetRevision(), err
}

// A Change is an apply of that revision of the candidate, which goes back unless it is
// confirmed in time.
type Change struct {
	ID            string
	Staged        int64
	ConfirmWithin time.Duration
	// Moves says that the host is to be found at another address afterwards, so that a
	// change after which no way leads here is what is wanted.
	Moves bool
}

// Apply makes a change. The same id again joins the operation or gives its result: that
// is what makes it safe to ask again on another connection, however the one before has
// ended.
func (h *Host) Apply(ctx context.Context, c Change, told func(*hostnicv1.Step)) (*hostnicv1.Operation, error) {
	options := &hostnicv1.ApplyOptions{OperationId: c.ID, StagedRevision: &c.Staged, RevertAfter: durationpb.New(c.ConfirmWithin), Force: c.Moves}
	return h.operate(ctx, told, func(ctx context.Context, conn *grpc.ClientConn) (updates, error) {
		stream, err := hostnicv1.NewNetConfigServiceClient(conn).Apply(ctx, &hostnicv1.ApplyRequest{Options: options})
		return func() (*hostnicv1.OperationUpdate, error) {
			answer, err := stream.Recv()
			return answer.GetUpdate(), err
		}, err
	})
}

// Confirm keeps what was applied, for good. That it gets through to the agent, on a new
// connection, is what it proves.
func (h *Host) Confirm(ctx context.Context, id, comment string) (*hostnicv1.Operation, error) {
	request := &hostnicv1.CommitRequest{Options: &hostnicv1.ApplyOptions{OperationId: id + "-confirmed"}, Comment: comment}
	return h.operate(ctx, nil, func(ctx context.Context, conn *grpc.ClientConn) (updates, error) {
		stream, err := hostnicv1.NewNetConfigServiceClient(conn).Commit(ctx, request)
		return func() (*hostnicv1.OperationUpdate, error) {
			answer, err := stream.Recv()
			return answer.GetUpdate(), err
		}, err
	})
}

// updates are what an operation's stream tells, one after the other.
type updates func() (*hostnicv1.OperationUpdate, error)

// operate follows an operation to its end, on as many connections as it takes.
func (h *Host) operate(ctx context.Context, told func(*hostnicv1.Step), begin func(context.Context, *grpc.ClientConn) (updates, error)) (op *hostnicv1.Operation, err error) {
	err = h.anywhere(ctx, func(ctx context.Context, conn *grpc.ClientConn) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		// One that says nothing for long may be busy, or out of reach: asking again tells.
		silence := time.AfterFunc(h.Patience, cancel)
		defer silence.Stop()
		next, err := begin(ctx, conn)
		for err == nil {
			var update *hostnicv1.OperationUpdate
			if update, err = next(); err != nil {
				break
			}
			silence.Reset(h.Patience)
			if step := update.GetStep(); step != nil && told != nil {
				told(step)
			}
			if op = update.GetOperation(); op.GetDone() {
				return nil
			}
		}
		return err
	})
	return op, err
}

// Watch tells of every change until ctx ends: what a NIC was and what it is, nil where it
// was not or is not any more. A connection that breaks loses nothing, because the next
// begins where it was; where that is too long ago all NICs are told anew, with anew true
// before the first of them.
func (h *Host) Watch(ctx context.Context, told func(before, after *hostnicv1.HostNic), anew func()) error {
	resume := ""
	return h.anywhere(ctx, func(ctx context.Context, conn *grpc.ClientConn) error {
		stream, err := hostnicv1.NewHostNicServiceClient(conn).WatchHostNics(ctx, &hostnicv1.WatchHostNicsRequest{Resume: resume})
		fresh := resume == ""
		for err == nil {
			var m *hostnicv1.WatchHostNicsResponse
			if m, err = stream.Recv(); err != nil {
				break
			}
			if m.GetResume() != "" {
				resume = m.GetResume()
			}
			switch m.GetEvent() {
			case hostnicv1.WatchEvent_WATCH_EVENT_RESYNC:
				fresh = true
			case hostnicv1.WatchEvent_WATCH_EVENT_PRESENT:
				if fresh {
					anew()
				}
				fresh = false
				told(nil, m.GetNew())
			case hostnicv1.WatchEvent_WATCH_EVENT_CHANGED:
				told(m.GetOld(), m.GetNew())
			case hostnicv1.WatchEvent_WATCH_EVENT_UNSPECIFIED, hostnicv1.WatchEvent_WATCH_EVENT_SYNCED, hostnicv1.WatchEvent_WATCH_EVENT_BOOKMARK:
			}
		}
		if status.Code(err) == codes.OutOfRange { // the agent was started again
			resume = ""
			return status.Error(codes.Unavailable, "watching anew")
		}
		return err
	})
}
