//go:build kernel

package crash

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// patience is how long any answer may take on a machine that is busy.
const patience = 2 * time.Minute

func (v *victim) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(v.T.Context(), patience)
}

// ready waits until the daemon has brought the host to where it ought to be: a
// staging waits for that, and an empty one changes nothing.
func (v *victim) ready() {
	v.T.Helper()
	ctx, cancel := v.context()
	defer cancel()
	for {
		_, err := v.api.Stage(ctx, &hostnicv1.StageRequest{ValidateOnly: true})
		if err == nil {
			return
		}
		// The connection may be that to the daemon before.
		if status.Code(err) != codes.Unavailable {
			v.T.Fatal(err)
		}
	}
}

// isUp waits until the daemon is ready, and is false when it dies before.
func (v *victim) isUp() bool {
	v.T.Helper()
	ctx, cancel := v.context()
	defer cancel()
	for {
		select {
		case <-v.Exited:
			return false
		case <-ctx.Done():
			v.T.Fatal("the daemon is neither ready nor dead")
		default:
		}
		// Not waiting for a connection: nobody may come.
		if _, err := v.api.Stage(ctx, &hostnicv1.StageRequest{ValidateOnly: true}, grpc.WaitForReady(false)); err == nil {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// replace makes a document the whole candidate.
func (v *victim) replace(doc string) {
	v.T.Helper()
	ctx, cancel := v.context()
	defer cancel()
	_, err := v.api.Stage(ctx, &hostnicv1.StageRequest{Replace: true, Documents: []*hostnicv1.Document{{Content: []byte(doc)}}})
	if err != nil {
		v.T.Fatalf("stage: %v\n%s", err, doc)
	}
}

// discard forgets what is staged, and a window that has lapsed along with it.
func (v *victim) discard() {
	v.T.Helper()
	ctx, cancel := v.context()
	defer cancel()
	if _, err := v.api.Discard(ctx, &hostnicv1.DiscardRequest{}); err != nil {
		v.T.Fatalf("discard: %v", err)
	}
}

func (v *victim) status() *hostnicv1.GetStatusResponse {
	v.T.Helper()
	ctx, cancel := v.context()
	defer cancel()
	s, err := v.api.GetStatus(ctx, &hostnicv1.GetStatusRequest{})
	if err != nil {
		v.T.Fatalf("status: %v", err)
	}
	return s
}

// todo is what an apply of the configuration would do now.
func (v *victim) todo(source hostnicv1.ConfigSource) (out []string) {
	v.T.Helper()
	ctx, cancel := v.context()
	defer cancel()
	res, err := v.api.Plan(ctx, &hostnicv1.PlanRequest{To: &hostnicv1.ConfigSelector{Source: source}})
	if err != nil {
		v.T.Fatalf("plan: %v", err)
	}
	for _, op := range res.GetPlan().GetOperations() {
		out = append(out, op.GetCommand())
	}
	return out
}

// asking is an operation that a client asks for, under an id, and waits for.
type asking func(ctx context.Context, c hostnicv1.NetConfigServiceClient, id string) (*hostnicv1.Operation, error)

// quick are options without rehearsal and probes: they take longer than all the rest.
func quick(id string, window time.Duration) *hostnicv1.ApplyOptions {
	o := &hostnicv1.ApplyOptions{OperationId: id, NoRehearse: true, Probes: []string{"none"}}
	if window > 0 {
		o.RevertAfter = durationpb.New(window)
	}
	return o
}

func commit(ctx context.Context, c hostnicv1.NetConfigServiceClient, id string) (*hostnicv1.Operation, error) {
	return follow(c.Commit(ctx, &hostnicv1.CommitRequest{Options: quick(id, 0)}))
}

// carefulCommit is a commit as agentctl asks for it.
func carefulCommit(ctx context.Context, c hostnicv1.NetConfigServiceClient, id string) (*hostnicv1.Operation, error) {
	return follow(c.Commit(ctx, &hostnicv1.CommitRequest{Options: &hostnicv1.ApplyOptions{OperationId: id}}))
}

// apply asks for an apply; a window of 0 is none.
func apply(window time.Duration) asking {
	return func(ctx context.Context, c hostnicv1.NetConfigServiceClient, id string) (*hostnicv1.Operation, error) {
		return follow(c.Apply(ctx, &hostnicv1.ApplyRequest{Options: quick(id, window)}))
	}
}

// rollback asks to go back to a revision; 0 is the committed one.
func rollback(revision int64) asking {
	return func(ctx context.Context, c hostnicv1.NetConfigServiceClient, id string) (*hostnicv1.Operation, error) {
		req := &hostnicv1.RollbackRequest{Options: quick(id, 0)}
		if revision > 0 {
			req.Revision = &revision
		}
		return follow(c.Rollback(ctx, req))
	}
}

// follow waits for the end of an operation. The error is that it was refused, or that
// the daemon has gone.
func follow[R interface {
	GetUpdate() *hostnicv1.OperationUpdate
}](stream interface{ Recv() (R, error) }, err error) (*hostnicv1.Operation, error) {
	for err == nil {
		var answer R
		if answer, err = stream.Recv(); err == nil && answer.GetUpdate().GetOperation().GetDone() {
			return answer.GetUpdate().GetOperation(), nil
		}
	}
	return nil, err
}

// newID is the id of the next operation.
func (v *victim) newID() string {
	v.asked++
	return fmt.Sprint("operation-", v.asked)
}

// lastID is the id of the operation that was asked for last.
func (v *victim) lastID() string { return fmt.Sprint("operation-", v.asked) }

// tells wants the agent to tell, after all, what has become of the operation that was
// asked for last, and to tell whoever repeats the request the same.
func (v *victim) tells(what string, ask asking, kept bool) {
	v.T.Helper()
	ctx, cancel := v.context()
	defer cancel()
	answer, err := v.api.GetOperation(ctx, &hostnicv1.GetOperationRequest{Id: v.lastID()})
	if status.Code(err) == codes.NotFound && !kept {
		return // it had not begun to do anything
	}
	if err != nil {
		v.T.Fatalf("%s: %s: %v", what, v.lastID(), err)
	}
	op, want := answer.GetOperation(), "rolled-back"
	if kept {
		want = "done"
	}
	if op.GetState() != want {
		v.T.Errorf("%s: %v, want it %s", what, op, want)
	}
	again, err := ask(ctx, v.api, v.lastID())
	if err != nil || !proto.Equal(again, op) {
		v.T.Errorf("%s: asked again: %v, %v, want %v", what, again, err, op)
	}
}

// must asks for an operation that has to succeed.
func (v *victim) must(ask asking) *hostnicv1.Operation {
	v.T.Helper()
	ctx, cancel := v.context()
	defer cancel()
	op, err := ask(ctx, v.api, v.newID())
	if err != nil || op.GetState() != "done" {
		v.T.Fatalf("%v, %s: %s", err, op.GetState(), op.GetError())
	}
	return op
}

// answer asks for an operation that is not refused.
func (v *victim) answer(ask asking) *hostnicv1.Operation {
	v.T.Helper()
	ctx, cancel := v.context()
	defer cancel()
	op, err := ask(ctx, v.api, v.newID())
	if err != nil {
		v.T.Fatal(err)
	}
	return op
}

// survives asks for an operation and tells what came of it; nil when the daemon has
// died of it.
func (v *victim) survives(ask asking) *hostnicv1.Operation {
	v.T.Helper()
	ctx, cancel := v.context()
	defer cancel()
	// Whoever waits for a daemon that has died waits for the next.
	answered := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-v.Exited:
			cancel()
		case <-answered:
		}
	})
	op, err := ask(ctx, v.api, v.newID())
	close(answered)
	watching.Wait()
	if err == nil {
		return op
	}
	if code := status.Code(err); code != codes.Unavailable && code != codes.Canceled {
		v.T.Fatalf("refused: %v", err)
	}
	select {
	case <-v.Exited:
	case <-time.After(patience):
		v.T.Fatalf("the daemon neither answers nor dies: %v", err)
	}
	return nil
}
