package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

const (
	// domain is that of all our ErrorInfo.
	domain = "hostnic"
	// mostDetails and mostDetailBytes bound what an error carries: it travels in
	// HTTP headers, and few clients take large ones.
	mostDetails     = 32
	mostDetailBytes = 16 << 10
	// mostText is how many bytes of a text from outside go into an error.
	mostText = 300
)

// engineCodes is what each kind of the engine's errors is on the wire.
var engineCodes = map[engine.ErrorKind]codes.Code{
	engine.Stale:        codes.Aborted,
	engine.Precondition: codes.FailedPrecondition,
	engine.NotFound:     codes.NotFound,
	engine.Misused:      codes.InvalidArgument,
	engine.Full:         codes.ResourceExhausted,
	engine.Storage:      codes.FailedPrecondition,
	engine.Unsupported:  codes.Unimplemented,
	engine.Unavailable:  codes.Unavailable,
}

// problemCodes is what problems of one kind are on the wire.
var problemCodes = map[netcfg.ProblemKind]codes.Code{
	netcfg.Invalid:       codes.InvalidArgument,
	netcfg.NotFound:      codes.NotFound,
	netcfg.Exists:        codes.AlreadyExists,
	netcfg.Precondition:  codes.FailedPrecondition,
	netcfg.Unimplemented: codes.Unimplemented,
}

// statusOf is the one way of our errors to the wire. What is a status already goes
// through as it is.
func (s *Server) statusOf(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		return err
	}
	var problems netcfg.Problems
	var refused *engine.Error
	switch {
	case errors.As(err, &problems):
		return problemStatus(problems)
	case errors.As(err, &refused):
		return s.engineStatus(refused)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	for _, t := range s.Transient {
		if errors.Is(err, t) {
			return status.Error(codes.Unavailable, oneLine(err)+"; try again")
		}
	}
	return status.Error(codes.Internal, oneLine(err))
}

func (s *Server) engineStatus(e *engine.Error) error {
	info := &errdetails.ErrorInfo{Reason: e.Rule, Domain: domain}
	if e.Kind == engine.Stale {
		info.Metadata = map[string]string{"staged_revision": strconv.FormatInt(s.Engine.View().StagedRevision, 10)}
	}
	code, ok := engineCodes[e.Kind]
	if !ok {
		code = codes.Internal
	}
	return withDetails(status.New(code, oneLine(e)), info)
}

// problemCode is the code of a document's problems: that of their kind when they
// are of one kind; INVALID_ARGUMENT when something is wrong in itself; else it is
// the state of the host that is in the way.
func problemCode(ps netcfg.Problems) codes.Code {
	kinds := map[netcfg.ProblemKind]bool{}
	for _, p := range ps {
		kinds[p.Kind] = true
	}
	switch code, ok := problemCodes[ps[0].Kind]; {
	case len(kinds) == 1 && ok:
		return code
	case kinds[netcfg.Invalid]:
		return codes.InvalidArgument
	}
	return codes.FailedPrecondition
}

func problemStatus(ps netcfg.Problems) error {
	if len(ps) == 0 {
		return status.Error(codes.Internal, "refused without a reason")
	}
	bad := &errdetails.BadRequest{}
	details := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: ps[0].Rule, Domain: domain, Metadata: map[string]string{"problems": strconv.Itoa(len(ps))}},
		bad,
	}
	size, told := 0, 0
	for _, p := range ps {
		one := problemToProto(p)
		violation := &errdetails.BadRequest_FieldViolation{Field: one.GetField(), Description: one.GetMessage(), Reason: one.GetRule()}
		if size += proto.Size(one) + proto.Size(violation); told == mostDetails || size > mostDetailBytes {
			break
		}
		told++
		bad.FieldViolations = append(bad.FieldViolations, violation)
		details = append(details, one)
	}
	st, err := status.New(problemCode(ps), sentence(ps, told)).WithDetails(details...)
	if err != nil {
		return status.Error(problemCode(ps), sentence(ps, 0))
	}
	return st.Err()
}

// sentence is for those who see the message only.
func sentence(ps netcfg.Problems, told int) string {
	first := ps[0]
	first.Found, first.Message = clip(first.Found), clip(first.Message)
	text := first.String()
	switch n := len(ps); {
	case n == 1:
	case told == n:
		text = fmt.Sprintf("%s; and %d more", text, n-1)
	default:
		text = fmt.Sprintf("%s; and %d more, of which the details tell %d", text, n-1, max(told-1, 0))
	}
	return text
}

func withDetails(st *status.Status, info *errdetails.ErrorInfo) error {
	if full, err := st.WithDetails(info); err == nil {
		return full.Err()
	}
	return st.Err()
}

func problemToProto(p netcfg.Problem) *hostnicv1.Problem {
	return &hostnicv1.Problem{
		Field: printable(p.Path), Rule: p.Rule, Message: printable(p.Message), Found: printable(p.Found), Allowed: printable(p.Allowed),
		Line: int32(min(max(p.Line, 0), 1<<31-1)),
	}
}

func problemsToProto(ps netcfg.Problems) []*hostnicv1.Problem {
	var out []*hostnicv1.Problem
	for _, p := range ps {
		out = append(out, problemToProto(p))
	}
	return out
}

// printable is text from outside: short, and nothing that steers a terminal.
func printable(s string) string { return netcfg.Printable(clip(s)) }

func clip(s string) string {
	if len(s) <= mostText {
		return s
	}
	return strings.ToValidUTF8(s[:mostText], "") + " …"
}

// oneLine is an error as one line for a person.
func oneLine(err error) string { return oneLineText(err.Error()) }

func oneLineText(s string) string {
	return netcfg.Printable(strings.ReplaceAll(s, "\n", "; "))
}
