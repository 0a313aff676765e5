package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// usageError is a command line that cannot be understood.
type usageError struct {
	what    string
	command *cobra.Command
}

func (e *usageError) Error() string { return e.what }

// agentError is a call that failed, by the agent's word or for want of an agent.
type agentError struct {
	code     codes.Code
	what     string
	rule     string
	problems []*hostnicv1.Problem
	// reasons is how many problems there are; an error carries so many at most.
	reasons int
	// file is the name of the document that lines of problems count in. Without
	// one they count in something that the operator has never seen.
	file string
	next string
}

func (e *agentError) Error() string { return e.what }

// operationError is an operation that ended otherwise than it should.
type operationError struct {
	op *hostnicv1.Operation
}

func (e *operationError) Error() string { return e.op.GetError() }

// domain is whose rules the reasons in google.rpc.ErrorInfo are.
const domain = "hostnic"

// agentErrorOf reads the agent's refusal: its own problems where it sent them, else
// the standard details that any client of gRPC can read.
func agentErrorOf(s *status.Status) *agentError {
	e := &agentError{code: s.Code(), what: s.Message()}
	var violations []*hostnicv1.Problem
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *hostnicv1.Problem:
			e.problems = append(e.problems, d)
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				violations = append(violations, &hostnicv1.Problem{Field: v.GetField(), Rule: v.GetReason(), Message: v.GetDescription()})
			}
		case *errdetails.ErrorInfo:
			if d.GetDomain() == domain {
				e.rule = d.GetReason()
				e.reasons, _ = strconv.Atoi(d.GetMetadata()["problems"]) // absent where there is no list
			}
		}
	}
	if len(e.problems) == 0 {
		e.problems = violations
	}
	if e.rule == "" && len(e.problems) > 0 {
		e.rule = e.problems[0].GetRule()
	}
	if e.rule != "rate" { // of which the message says what to do
		e.next = advice[e.code]
	}
	return e
}

// advice is what to do about an error of which no command knows better.
var advice = map[codes.Code]string{
	codes.Aborted:           "look at how things are now (agentctl status) and try again",
	codes.Unavailable:       "try again in a moment; what the agent is doing: journalctl -u hostnicd",
	codes.PermissionDenied:  "be root, or a member of the group hostnic",
	codes.Unauthenticated:   "show a certificate that the agent takes: --cert and --key",
	codes.DeadlineExceeded:  "wait longer (--timeout), and see what the agent is doing: journalctl -u hostnicd",
	codes.Internal:          "this is a fault of the agent; its log has more: journalctl -u hostnicd",
	codes.Unknown:           "this is a fault of the agent; its log has more: journalctl -u hostnicd",
	codes.DataLoss:          "see what is left: agentctl status",
	codes.ResourceExhausted: "see what is full: agentctl doctor",
	codes.Unimplemented:     "see what this agent on this kernel can do: agentctl capabilities",
}

// orElse is what to do about a refusal, told by the command that was refused unless
// the agent has told it.
func orElse(err error, next string) error {
	var e *agentError
	if errors.As(err, &e) && exitCode(e) == exitRefused && advice[e.code] == "" &&
		(len(e.problems) > 0 || !strings.Contains(e.what, "agentctl ")) {
		e.next = next
	}
	return err
}

// ofFile tells which file the lines of the problems count in.
func ofFile(err error, name string) error {
	var e *agentError
	if errors.As(err, &e) {
		e.file = name
	}
	return err
}

// complaint is an error in the parts in which it is printed.
type complaint struct {
	code     string
	rule     string
	what     string
	problems []*hostnicv1.Problem
	file     string
	next     []string
}

func (e *usageError) complaint() complaint {
	return complaint{code: "USAGE", what: e.what, next: []string{"how it goes: " + e.command.CommandPath() + " --help"}}
}

func (e *agentError) complaint() complaint {
	c := complaint{code: canonical(e.code), rule: e.rule, what: e.headline(), problems: e.problems, file: e.file}
	if e.next != "" {
		c.next = []string{e.next}
	}
	return c
}

// headline does not repeat what the problems say below it.
func (e *agentError) headline() string {
	if len(e.problems) == 0 {
		return e.what
	}
	repeats := e.what == ""
	for _, p := range e.problems {
		repeats = repeats || strings.Contains(e.what, p.GetMessage())
	}
	switch {
	case !repeats:
		return e.what
	case len(e.problems) < e.reasons:
		return fmt.Sprintf("refused by the agent, for %d reasons, of which these are the first", e.reasons)
	case len(e.problems) == 1:
		return "refused by the agent"
	}
	return fmt.Sprintf("refused by the agent, for %d reasons", len(e.problems))
}

func (e *operationError) complaint() complaint {
	what, kind := e.op.GetError(), e.op.GetKind()
	if what == "" {
		what = "the agent does not say why"
	}
	switch e.op.GetState() {
	case stateRolledBack:
		c := complaint{code: canonical(codes.Aborted), rule: stateRolledBack, what: kind + " rolled back: " + what}
		c.next = []string{"nothing was applied: the host is as it was before"}
		if kind != kindRollback {
			c.next = append(c.next, "what was staged still is: correct it (agentctl stage, agentctl set), or agentctl discard")
		}
		return c
	case stateIncomplete:
		c := complaint{code: canonical(codes.DataLoss), rule: stateIncomplete, what: kind + " failed, and its rollback is incomplete: " + what}
		for _, d := range e.op.GetRemaining() {
			c.problems = append(c.problems, &hostnicv1.Problem{
				Field: d.GetField(), Message: fmt.Sprintf("should be %q and is %q", d.GetWanted(), d.GetActual()),
			})
		}
		c.next = []string{"what was changed and what the kernel said: journalctl -u hostnicd; try again: agentctl rollback"}
		return c
	case stateRefused:
		return complaint{
			code: canonical(codes.FailedPrecondition), rule: stateRefused, what: kind + " refused: " + what,
			next: []string{"nothing was touched"},
		}
	}
	return complaint{
		code: canonical(codes.Unknown), rule: e.op.GetState(), what: fmt.Sprintf("%s ended as %q: %s", kind, e.op.GetState(), what),
		next: []string{"see where the host stands: agentctl status"},
	}
}

// tooLarge is the agent's refusal of a document that is not worth sending.
func tooLarge(name string) error {
	return &agentError{
		code: codes.InvalidArgument, rule: "too-large", what: name + " is larger than a document may be: 4 MiB",
		next: "split it, and stage the parts one after the other",
	}
}
