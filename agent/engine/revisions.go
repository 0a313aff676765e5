package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Revision is one commit.
type Revision = revisionRecord

func (e *Engine) revision(n int64) (Revision, error) {
	var r revisionRecord
	err := e.Store.GetRevision(n, &r)
	if errors.Is(err, fs.ErrNotExist) {
		return r, &Error{Kind: NotFound, Rule: "revision-unknown", Message: fmt.Sprintf("there is no revision %d; agentctl history lists them", n)}
	}
	return r, err
}

// Revision returns a commit by number.
func (e *Engine) Revision(ctx context.Context, n int64) (r Revision, err error) {
	if cerr := e.call(ctx, func() { r, err = e.revision(n) }); cerr != nil {
		return r, cerr
	}
	return r, err
}

// Revisions are the commits that are kept, newest first. A damaged one is left out
// and shows in View.Degraded.
func (e *Engine) Revisions(ctx context.Context) (out []Revision, err error) {
	cerr := e.call(ctx, func() {
		var all []int64
		if all, err = e.Store.Revisions(); err != nil {
			return
		}
		for i := len(all) - 1; i >= 0; i-- {
			r, rerr := e.revision(all[i])
			if rerr != nil {
				e.degrade(rerr)
				continue
			}
			out = append(out, r)
		}
	})
	if cerr != nil {
		return nil, cerr
	}
	return out, err
}
