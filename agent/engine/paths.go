package engine

import (
	"fmt"
	"slices"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// paths are those that a request names, and those to the control plane.
func (e *Engine) paths(asked []plan.Path) []plan.Path {
	all := slices.Clone(asked)
	for _, client := range e.ControlPlane {
		all = append(all, plan.Path{Client: client})
	}
	return all
}

// watchPaths refuses, before the first write, a change that cuts off those who manage
// the host: where they could still come back by another way, unless the change goes
// back by itself or is forced; where no way is left to any of them, unless it is
// forced.
func (e *Engine) watchPaths(r Request, before snapshot, p plan.Plan) error {
	if r.Force {
		return nil
	}
	cuts := plan.Cuts(before, p, e.paths(r.Paths))
	i := slices.IndexFunc(cuts, func(c plan.Cut) bool { return c.ForGood })
	switch {
	case i >= 0:
		return &Error{Kind: Precondition, Rule: "no-path-left", Message: fmt.Sprintf("the change cuts the path from %s (%s): leave a way to it in the document, or use --force, best with --revert-after", cuts[i].Path, cuts[i].Reason)}
	case len(cuts) > 0 && r.RevertAfter == 0:
		return &Error{Kind: Precondition, Rule: "path-cut", Message: fmt.Sprintf("the change interrupts the path from %s (%s): apply it with --revert-after 2m, so that it goes back unless a commit confirms it, or with --force", cuts[0].Path, cuts[0].Reason)}
	}
	return nil
}
