package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"google.golang.org/grpc/status"

	"github.com/hostnic/hostnic/agent/engine"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// Apply brings the host to the candidate.
func (c *configService) Apply(req *hostnicv1.ApplyRequest, stream hostnicv1.NetConfigService_ApplyServer) error {
	return c.run(stream.Context(), req.GetOptions(), request(engine.Apply, req.GetOptions()), func(u *hostnicv1.OperationUpdate) error {
		return stream.Send(&hostnicv1.ApplyResponse{Update: u})
	})
}

// Commit stores what is running, after applying what is staged.
func (c *configService) Commit(req *hostnicv1.CommitRequest, stream hostnicv1.NetConfigService_CommitServer) error {
	r := request(engine.Commit, req.GetOptions())
	r.Comment = req.GetComment()
	return c.run(stream.Context(), req.GetOptions(), r, func(u *hostnicv1.OperationUpdate) error {
		return stream.Send(&hostnicv1.CommitResponse{Update: u})
	})
}

// Rollback applies an earlier revision.
func (c *configService) Rollback(req *hostnicv1.RollbackRequest, stream hostnicv1.NetConfigService_RollbackServer) error {
	r := request(engine.Rollback, req.GetOptions())
	r.Revision = req.Revision
	return c.run(stream.Context(), req.GetOptions(), r, func(u *hostnicv1.OperationUpdate) error {
		return stream.Send(&hostnicv1.RollbackResponse{Update: u})
	})
}

func request(kind engine.Kind, o *hostnicv1.ApplyOptions) engine.Request {
	r := engine.Request{Kind: kind, ID: o.GetOperationId()}
	if o != nil {
		r.StagedRevision = o.StagedRevision
		r.RevertAfter = o.GetRevertAfter().AsDuration()
		r.Wait = o.GetWait().AsDuration()
		r.Force, r.NoRehearse, r.TakeOver = o.GetForce(), o.GetNoRehearse(), o.GetTakeOver()
		r.Probes = o.GetProbes()
	}
	return r
}

// checkWindow refuses a window that is given but is none.
func checkWindow(o *hostnicv1.ApplyOptions) error {
	if o.GetRevertAfter() == nil {
		return nil
	}
	return engine.ValidWindow(o.GetRevertAfter().AsDuration())
}

// checkWait refuses a wait that is given but is none.
func checkWait(o *hostnicv1.ApplyOptions) error {
	if o.GetWait() == nil {
		return nil
	}
	return engine.ValidWait(o.GetWait().AsDuration())
}

// ExtendDeadline moves the deadline of the change that waits to be confirmed.
func (c *configService) ExtendDeadline(ctx context.Context, req *hostnicv1.ExtendDeadlineRequest) (*hostnicv1.ExtendDeadlineResponse, error) {
	p, err := c.server.Engine.ExtendDeadline(ctx, req.GetOperationId(), req.GetRevertAfter().AsDuration())
	if err != nil {
		return nil, err
	}
	return &hostnicv1.ExtendDeadlineResponse{Pending: pendingToProto(&p, c.server.Engine.Clock())}, nil
}

// run follows an operation to its end and reports each step as it comes. A refusal
// is an error of the call; every other outcome is in the last message. When the
// client goes away, or does not read, the operation goes on.
func (c *configService) run(ctx context.Context, o *hostnicv1.ApplyOptions, r engine.Request, send func(*hostnicv1.OperationUpdate) error) error {
	if err := checkOperation(r.ID, r.Comment); err != nil {
		return err
	}
	if err := checkWindow(o); err != nil {
		return err
	}
	if err := checkWait(o); err != nil {
		return err
	}
	var err error
	if r.Paths, err = paths(ctx, o.GetPaths()); err != nil {
		return err
	}
	if r.ID == "" {
		// Made up here and not by the engine, so that the first message tells it.
		r.ID = rand.Text()
	}
	if caller, ok := callerOf(ctx); ok {
		r.Author, r.Client, r.Caller = caller.Name, caller.client(), caller.proof()
	}
	e := c.server.Engine
	var gone error
	op, err := e.Do(ctx, r, func(step engine.Step) {
		if gone != nil {
			return
		}
		now, err := e.Operation(r.ID)
		if err != nil {
			now = engine.Operation{ID: r.ID, Kind: r.Kind, State: engine.Running}
		}
		// Steps are told before the outcome, although it may be there by now.
		now.State, now.Err = engine.Running, nil
		update := &hostnicv1.OperationUpdate{Operation: operationToProto(&now)}
		if step.Phase != engine.PhaseStarted { // of which the operation itself tells
			update.Step = stepToProto(step)
		}
		gone = send(update)
	})
	c.server.health.refresh()
	switch {
	case gone != nil:
		return gone
	case err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) && op.State == engine.Running:
		return status.Error(status.FromContextError(err).Code(), fmt.Sprintf("the operation goes on; ask for its outcome by its id %q", r.ID))
	case err != nil:
		return err
	}
	return send(&hostnicv1.OperationUpdate{Operation: operationToProto(&op)})
}

// GetOperation returns an operation by its id.
func (c *configService) GetOperation(_ context.Context, req *hostnicv1.GetOperationRequest) (*hostnicv1.GetOperationResponse, error) {
	op, err := c.server.Engine.Operation(req.GetId())
	if err != nil {
		return nil, err
	}
	return &hostnicv1.GetOperationResponse{Operation: operationToProto(&op)}, nil
}

// ListOperations returns the operations that are remembered.
func (c *configService) ListOperations(context.Context, *hostnicv1.ListOperationsRequest) (*hostnicv1.ListOperationsResponse, error) {
	resp := &hostnicv1.ListOperationsResponse{}
	all := c.server.Engine.Operations()
	for i := range all {
		resp.Operations = append(resp.Operations, operationToProto(&all[i]))
	}
	return resp, nil
}
