package server

import (
	"context"
	"path"
	"strings"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// mostAsked is how much of the documents that somebody stages is logged, in bytes.
const mostAsked = 2048

// asked is what documents say, on one line, as far as there is room for it.
func asked(documents []*hostnicv1.Document) string {
	var b strings.Builder
	for _, d := range documents {
		if nic := d.GetNic(); nic != "" {
			b.WriteString(printable(nic) + ": ")
		}
		text := d.GetContent()
		if room := mostAsked - b.Len(); len(text) > room {
			return b.String() + oneLineText(strings.ToValidUTF8(string(text[:max(room, 0)]), "")) + " …"
		}
		b.WriteString(oneLineText(strings.TrimSpace(string(text))) + " ")
	}
	return strings.TrimSpace(b.String())
}

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
		line = append(line, "documents", len(r.GetDocuments()), "replace", r.GetReplace(), "asked", asked(r.GetDocuments()))
	case interface{ GetNic() string }: // a lease to be renewed or given back
		line = append(line, "nic", printable(r.GetNic()))
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
