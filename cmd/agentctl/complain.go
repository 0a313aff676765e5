package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// canonical is the name of a status as the API's manual writes it.
func canonical(c codes.Code) string { return code.Code(c).String() }

// printError writes an error once, in the form that the operator asked for.
func (g *globals) printError(errOut io.Writer, err error, args []string) {
	c := complaintOf(err)
	if g.output == formatJSON || asksForJSON(args) {
		printErrorJSON(errOut, c)
		return
	}
	printErrorText(g.screen(errOut), c)
}

func complaintOf(err error) complaint {
	var complaining interface {
		error
		complaint() complaint
	}
	if errors.As(err, &complaining) {
		return complaining.complaint()
	}
	return complaint{code: canonical(codes.Unknown), what: err.Error()}
}

// asksForJSON looks for the flag itself: the parser gives up at the first mistake
// and may not have come to it.
func asksForJSON(args []string) bool {
	for i, arg := range args {
		switch arg {
		case "--":
			return false
		case "-ojson", "-o=json", "--output=json":
			return true
		case "-o", "--output":
			if i+1 < len(args) && args[i+1] == formatJSON {
				return true
			}
		}
	}
	return false
}

// printErrorText writes what went wrong, where and why, a line each, and what to do.
func printErrorText(s screen, c complaint) {
	first, more, _ := strings.Cut(strings.TrimSpace(c.what), "\n")
	s.paragraph("error: ", red, printable(first), 2)
	if more != "" {
		for line := range strings.SplitSeq(more, "\n") {
			s.println(wrap("  "+printable(line), s.width, 4))
		}
	}
	for _, p := range c.problems {
		s.println(wrap("  "+problemLine(c.file, p), s.width, 4))
	}
	for _, next := range c.next {
		s.println(wrap(printable(next), s.width, 2))
	}
}

// problemLine is one problem, or warning, as one line.
func problemLine(file string, p *hostnicv1.Problem) string {
	var b strings.Builder
	if file != "" && p.GetLine() > 0 {
		fmt.Fprintf(&b, "%s:%d: ", printable(file), p.GetLine())
	}
	if p.GetField() != "" {
		b.WriteString(printable(p.GetField()) + ": ")
	}
	b.WriteString(printable(p.GetMessage()))
	var details []string
	if p.GetFound() != "" {
		details = append(details, "found "+quoted(p.GetFound()))
	}
	if p.GetAllowed() != "" {
		details = append(details, "allowed "+printable(p.GetAllowed()))
	}
	if len(details) > 0 {
		b.WriteString(" (" + strings.Join(details, ", ") + ")")
	}
	if p.GetRule() != "" {
		b.WriteString(" [" + printable(p.GetRule()) + "]")
	}
	return b.String()
}

// errorJSON is an error for programs. Rule, field and message are those of the
// first problem, for the many clients that show one.
type errorJSON struct {
	Code     string        `json:"code"`
	Rule     string        `json:"rule"`
	Field    string        `json:"field"`
	Message  string        `json:"message"`
	Problems []problemJSON `json:"problems,omitempty"`
}

type problemJSON struct {
	Field   string `json:"field,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Message string `json:"message"`
	Found   string `json:"found,omitempty"`
	Allowed string `json:"allowed,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int32  `json:"line,omitempty"`
}

func printErrorJSON(out io.Writer, c complaint) {
	e := errorJSON{Code: c.code, Rule: c.rule, Message: c.what}
	for _, p := range c.problems {
		problem := problemJSON{
			Field: p.GetField(), Rule: p.GetRule(), Message: p.GetMessage(), Found: p.GetFound(), Allowed: p.GetAllowed(),
		}
		if c.file != "" && p.GetLine() > 0 {
			problem.File, problem.Line = c.file, p.GetLine()
		}
		e.Problems = append(e.Problems, problem)
	}
	if len(e.Problems) > 0 && c.rule != stateIncomplete {
		first := e.Problems[0]
		e.Field, e.Message = first.Field, first.Message
		if first.Rule != "" {
			e.Rule = first.Rule
		}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(e) // of strings and numbers: cannot fail
	fmt.Fprint(out, string(printableDocument([]byte(b.String()))))
}
