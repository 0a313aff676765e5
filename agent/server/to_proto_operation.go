package server

import (
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

func operationToProto(op *engine.Operation) *hostnicv1.Operation {
	out := &hostnicv1.Operation{
		Id: op.ID, Kind: string(op.Kind), State: string(op.State), Done: op.State != engine.Running,
		Started: timestamppb.New(op.Started), Duration: durationpb.New(op.Duration), Author: op.Author,
		Writes:    int64(min(op.Writes, math.MaxInt64)),
		Remaining: driftToProto(op.Remaining), Waiting: waitingToProto(op.Waiting),
		Warnings: problemsToProto(op.Warnings), Disrupted: forecastToProto(op.Disrupted), Healed: driftToProto(op.Healed), Caller: netcfg.Printable(op.Caller),
	}
	for _, c := range op.Changes {
		out.Changes = append(out.Changes, netcfg.Printable(c))
	}
	out.UnlistedChanges = int32(min(op.Unlisted, math.MaxInt32))
	if op.Revision != 0 {
		out.Revision = &op.Revision
	}
	if op.Window != 0 {
		out.RevertAfter = durationpb.New(op.Window)
	}
	for _, p := range op.Probes {
		out.Probes = append(out.Probes, &hostnicv1.Probe{Name: netcfg.Printable(p.Name), State: string(p.State), Detail: oneLineText(p.Detail)})
	}
	if op.RevertedBy != "" {
		out.RevertedBy = &op.RevertedBy
	}
	if op.Err != nil {
		out.Error = lines(op.Err)
	}
	return out
}

// lines is an error as a person reads it, a reason a line.
func lines(err error) string {
	var out []string
	for line := range strings.Lines(err.Error()) {
		out = append(out, netcfg.Printable(strings.TrimRight(line, "\n")))
	}
	return strings.Join(out, "\n")
}

// pendingToProto is the change that waits, by a reading of the engine's clock.
func pendingToProto(p *engine.Pending, now time.Duration) *hostnicv1.Pending {
	if p == nil {
		return nil
	}
	return &hostnicv1.Pending{OperationId: p.ID, Remaining: durationpb.New(max(0, p.Deadline-now))}
}

func incompleteToProto(i *engine.IncompleteRollback, now time.Duration) *hostnicv1.IncompleteRollback {
	if i == nil {
		return nil
	}
	return &hostnicv1.IncompleteRollback{OperationId: i.ID, Remaining: driftToProto(i.Remaining), Error: lines(i.Err),
		Attempts: int32(min(i.Attempts, math.MaxInt32)), Next: durationpb.New(max(0, i.Next-now))}
}

func stepToProto(s engine.Step) *hostnicv1.Step {
	return &hostnicv1.Step{Time: timestamppb.New(s.Time), Phase: s.Phase, Text: oneLineText(s.Text)}
}

func planToProto(r engine.PlanResult) *hostnicv1.Plan {
	out := &hostnicv1.Plan{Forecast: forecastToProto(r.Plan.Forecast), Waiting: waitingToProto(r.Waiting), Warnings: problemsToProto(r.Warnings)}
	for _, op := range r.Plan.Ops() {
		out.Operations = append(out.Operations, &hostnicv1.PlannedOperation{
			Command: netcfg.Printable(op.String()), Disruption: op.Disruption.String(), Nic: netcfg.Printable(op.Name), Reason: netcfg.Printable(op.Why)})
	}
	if h := r.Rehearsal; h != nil {
		out.Rehearsal = &hostnicv1.Rehearsal{Skipped: oneLineText(h.Skipped), Duration: durationpb.New(h.Took)}
		for _, open := range h.Open {
			out.Rehearsal.Open = append(out.Rehearsal.Open, oneLineText(open))
		}
	}
	for _, c := range r.Cuts {
		cut := &hostnicv1.Cut{Path: &hostnicv1.Path{Client: c.Path.Client.String()}, Nic: netcfg.Printable(c.Nic), ForGood: c.ForGood, Reason: netcfg.Printable(c.Reason)}
		if c.Path.Host.IsValid() {
			cut.Path.Host = c.Path.Host.String()
		}
		out.Cuts = append(out.Cuts, cut)
	}
	return out
}

func forecastToProto(all []plan.Forecast) []*hostnicv1.Forecast {
	var out []*hostnicv1.Forecast
	for _, f := range all {
		out = append(out, &hostnicv1.Forecast{Nic: netcfg.Printable(f.Nic), Disruption: f.Disruption, Reason: netcfg.Printable(f.Reason)})
	}
	return out
}

func revisionToProto(r *engine.Revision) *hostnicv1.Revision {
	return &hostnicv1.Revision{Revision: r.Revision, Time: timestamppb.New(r.Time), Author: r.Author, Comment: netcfg.Printable(r.Comment)}
}
