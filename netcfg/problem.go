package netcfg

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ProblemKind says which kind of refusal a Problem is; callers branch on it and
// never on the text.
type ProblemKind string

// The kinds of refusal. The zero value is Invalid.
const (
	Invalid       ProblemKind = ""              // the document is wrong in itself
	NotFound      ProblemKind = "not-found"     // it names something that is not on this host
	Exists        ProblemKind = "exists"        // it would take a name that somebody else holds
	Precondition  ProblemKind = "precondition"  // right in itself, but not in this state of the host
	Unimplemented ProblemKind = "unimplemented" // this kernel or this version cannot do it
)

// Problem is one reason why a document is refused, or one warning about it.
type Problem struct {
	Kind ProblemKind
	// Path is the field: host_nics[bond0].bonding.options.mode.
	Path string
	// Rule is the stable name of the rule that was broken, in kebab case.
	Rule string
	// Found is the offending value as given; Allowed says what would be accepted.
	Found   string
	Allowed string
	// Message is one sentence: what is wrong, why, and what to do.
	Message string
	// Line and Column are the place in the document, counted from 1; 0 is unknown.
	Line, Column int
}

// String is one line for an operator. What came from outside is printed escaped.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Path != "" {
		fmt.Fprintf(&b, "%s: ", Printable(p.Path))
	}
	b.WriteString(Printable(p.Message))
	if p.Found != "" {
		fmt.Fprintf(&b, ` (found "%s"`, Printable(p.Found))
		if p.Allowed != "" {
			fmt.Fprintf(&b, ", allowed %s", Printable(p.Allowed))
		}
		b.WriteString(")")
	} else if p.Allowed != "" {
		fmt.Fprintf(&b, " (allowed %s)", Printable(p.Allowed))
	}
	if p.Rule != "" {
		fmt.Fprintf(&b, " [%s]", p.Rule)
	}
	return b.String()
}

// Problems is the error that carries every reason at once.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err is ps as an error, nil when there is none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// Printable is s with control characters, invalid UTF-8, and the invisible
// characters that reorder text replaced by escapes, so that a hostile document
// cannot write to the operator's terminal.
func Printable(s string) string {
	clean := true
	for _, r := range s {
		if !printable(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	q := fmt.Sprintf("%+q", s)
	return q[1 : len(q)-1]
}

// printable takes what Unicode calls printable (letters, marks, numbers,
// punctuation, symbols and the ASCII space) and so none of the many formats,
// separators and unassigned characters. U+FFFD is what invalid UTF-8 reads as.
func printable(r rune) bool { return r != utf8.RuneError && unicode.IsPrint(r) }

// Only are the problems of that kind.
func (ps Problems) Only(kind ProblemKind) Problems {
	var out Problems
	for _, p := range ps {
		if p.Kind == kind {
			out = append(out, p)
		}
	}
	return out
}

// Without are the problems of all other kinds.
func (ps Problems) Without(kind ProblemKind) Problems {
	var out Problems
	for _, p := range ps {
		if p.Kind != kind {
			out = append(out, p)
		}
	}
	return out
}
