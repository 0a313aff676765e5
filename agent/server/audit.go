package server

import (
	"context"
	"path"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// audit logs what was edited, by whom, and what came of it. The engine does that of
// operations, which may outlast the call.
func (s *Server) audit(ctx context.Context, method string, req, resp any, err error) {
	if needed[method] < Operator {
		return
	}
	caller, _ := callerOf(ctx)
	line := []any{"what", path.Base(method), "author", caller.Name, "caller", caller.proof()}
	switch r := req.(type) {
	case *hostnicv1.StageRequest:
		if r.GetValidateOnly() {
			return
		}
		line = append(line, "documents", len(r.GetDocuments()), "replace", r.GetReplace())
	case *hostnicv1.ExtendDeadlineRequest:
		line = append(line, "operation", printable(r.GetOperationId()), "revert_after", r.GetRevertAfter().AsDuration())
	}
	if err != nil {
		s.quiet.warn(s.Log, "edit refused", append(line, "error", oneLine(err))...)
		return
	}
	if r, ok := resp.(interface{ GetRevision() int64 }); ok {
		line = append(line, "revision", r.GetRevision())
	}
	s.Log.Info("edited", line...)
}
