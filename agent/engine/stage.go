package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// StageRequest is an edit of the candidate.
type StageRequest struct {
	Documents []netcfg.Document
	// Replace makes the documents the whole candidate.
	Replace bool
	// BaseRevision is the candidate's revision that was edited; nil is any.
	BaseRevision *int64
	// ValidateOnly leaves the candidate as it is.
	ValidateOnly bool
}

// StageResult is what became of an edit.
type StageResult struct {
	Revision int64
	Warnings netcfg.Problems
}

// Stage merges documents into the candidate and stores it; the kernel is only
// looked at. Either all is taken or nothing. The error is netcfg.Problems or
// *Error.
func (e *Engine) Stage(ctx context.Context, req StageRequest) (res StageResult, err error) {
	cerr := e.call(ctx, func() { res, err = e.stage(ctx, req) })
	if cerr != nil {
		return res, cerr
	}
	return res, err
}

func (e *Engine) stage(ctx context.Context, req StageRequest) (StageResult, error) {
	if req.BaseRevision != nil && *req.BaseRevision != e.stagedRevision {
		return StageResult{}, &Error{Kind: Stale, Rule: "stale-revision",
			Message: fmt.Sprintf("the candidate is at revision %d, not at %d: somebody else has edited it; look at it again (agentctl config staged)", e.stagedRevision, *req.BaseRevision)}
	}
	s, err := e.Kernel.Snapshot(ctx)
	if err != nil {
		return StageResult{}, fmt.Errorf("look at the host: %w", err)
	}
	next := e.staged
	if req.Replace {
		next = netcfg.Config{}
	}
	names := e.names(s)
	var warnings, problems netcfg.Problems
	for i := range req.Documents {
		doc := &req.Documents[i]
		var ps netcfg.Problems
		next, ps = netcfg.Merge(next, *doc, names)
		problems = append(problems, doc.Locate(ps, names)...)
		warnings = append(warnings, doc.Warnings...)
	}
	ps, more := e.judgeOnce(next)
	problems = append(problems, ps...)
	if len(problems) == 0 {
		intent, found := plan.Resolve(e.input(next, s))
		problems = append(problems, found.Without(netcfg.Unimplemented)...)
		more = append(more, found.Only(netcfg.Unimplemented)...)
		more = append(more, intent.Warnings...)
	}
	for i := range req.Documents {
		problems, more = req.Documents[i].Locate(problems, names), req.Documents[i].Locate(more, names)
	}
	if len(problems) > 0 {
		return StageResult{}, problems
	}
	return e.take(next, req.ValidateOnly, append(warnings, more...))
}

// judge holds a whole configuration against every rule that needs no look at the
// host, but for what the kernel of this host lacks.
func (e *Engine) judge(c netcfg.Config) (problems, warnings netcfg.Problems) {
	problems, warnings = c.Validate(e.Limits)
	return append(problems, e.lacking(c)...), warnings
}

// verdict is what judge has said of a configuration.
type verdict struct {
	config             netcfg.Config
	problems, warnings netcfg.Problems
}

// judgeOnce is judge for the loop, which is mostly asked to commit what it has just
// staged: the same configuration is not judged twice.
func (e *Engine) judgeOnce(c netcfg.Config) (problems, warnings netcfg.Problems) {
	if e.verdict == nil || !netcfg.Equal(c, e.verdict.config) {
		problems, warnings = e.judge(c)
		e.verdict = &verdict{c, problems, warnings}
	}
	// Clones, because the lines of a document are filled in.
	return slices.Clone(e.verdict.problems), slices.Clone(e.verdict.warnings)
}

// lacking refuses what this kernel cannot make, naming the module.
func (e *Engine) lacking(c netcfg.Config) netcfg.Problems {
	var out netcfg.Problems
	for _, m := range e.Missing {
		for _, n := range c.HostNics {
			if m.Feature == string(n.Kind()) {
				out = append(out, netcfg.Problem{Kind: netcfg.Unimplemented, Path: netcfg.NicPath(n.Name, ""), Rule: "kernel-lacks-" + m.Feature,
					Message: fmt.Sprintf("this kernel cannot make a %s: %s", m.Feature, m.Reason)})
			}
		}
	}
	return out
}

// input is what a strict resolve works from.
func (e *Engine) input(c netcfg.Config, s snapshot) plan.Input {
	return plan.Input{Config: c, Snapshot: s, Memory: e.memory, Known: known(e.running), Leases: e.lent()}
}

// known are the running configuration and one that is rolled back to. What they speak
// of was there once or is waited for, and a NIC that has died, or that somebody has
// taken, must not stand in the way of other changes.
func known(configs ...netcfg.Config) plan.Known { return configs }

// take stores the candidate. One that is as before keeps its revision.
func (e *Engine) take(next netcfg.Config, validateOnly bool, warnings netcfg.Problems) (StageResult, error) {
	if validateOnly {
		return StageResult{e.stagedRevision, warnings}, nil
	}
	if netcfg.Equal(next, e.staged) {
		return StageResult{e.stagedRevision, warnings}, nil
	}
	e.unlapse()
	if err := e.saveStaged(next, e.stagedRevision+1); err != nil {
		return StageResult{}, err
	}
	return StageResult{e.stagedRevision, warnings}, nil
}

// Import describes what is on the host as a configuration; see plan.Import. The
// candidate stays as it is. The error is netcfg.Problems for names that stand for
// nothing that can be imported.
func (e *Engine) Import(ctx context.Context, nics []string) (netcfg.Config, netcfg.Problems, error) {
	s, err := e.Kernel.Snapshot(ctx)
	if err != nil {
		return netcfg.Config{}, nil, fmt.Errorf("look at the host: %w", err)
	}
	c, warnings, problems := plan.Import(plan.ImportInput{
		Snapshot: s, Running: e.View().Running, Nics: nics, BondNames: slices.Concat(netcfg.BondNames, e.Limits.ExtraBondNames),
	})
	return c, warnings, problems.Err()
}

// Discard makes the candidate what is running, and gives its revision.
func (e *Engine) Discard(ctx context.Context) (revision int64, err error) {
	cerr := e.call(ctx, func() {
		e.unlapse()
		if !netcfg.Equal(e.staged, e.running) {
			err = e.saveStaged(e.running, e.stagedRevision+1)
		}
		revision = e.stagedRevision
	})
	if cerr != nil {
		return 0, cerr
	}
	return revision, err
}
