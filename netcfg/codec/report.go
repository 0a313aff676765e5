package codec

import (
	"cmp"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/hostnic/hostnic/netcfg"
)

// The rules that a document can break; see the package comment.
const (
	ruleSyntax    = "syntax"
	ruleText      = "text"
	ruleEmpty     = "empty"
	ruleTooLarge  = "too-large"
	ruleTooDeep   = "too-deep"
	ruleTooMany   = "too-many"
	ruleUnknown   = "unknown-field"
	ruleDuplicate = "duplicate-field"
	ruleMissing   = "missing-field"
	ruleType      = "wrong-type"
	ruleRange     = "out-of-range"
	ruleAlias     = "yaml-alias"
	ruleTag       = "yaml-tag"
	ruleDocuments = "yaml-documents"
	ruleDTD       = "xml-dtd"

	ruleOutput  = "output-only"
	ruleIgnored = "ignored-element"
)

// maxProblems bounds what one document can make us say: four megabytes of
// unknown keys are as wrong as the first few hundred of them.
const maxProblems = 256

// report collects what is wrong with a document and what was ignored in it.
type report struct {
	problems, warnings findings
}

func (r *report) refuse(p netcfg.Problem) { r.problems.add(p) }

func (r *report) warn(p netcfg.Problem) { r.warnings.add(p) }

type findings struct {
	list netcfg.Problems
	left int
}

// add escapes what came from outside: problems travel to terminals and into
// protobuf messages, which take valid UTF-8 only.
func (f *findings) add(p netcfg.Problem) {
	if len(f.list) == maxProblems {
		f.left++
		return
	}
	p.Path, p.Found = netcfg.Printable(clip(p.Path, 4*foundLength)), excerpt(p.Found)
	p.Message = netcfg.Printable(clip(p.Message, 8*foundLength))
	f.list = append(f.list, p)
}

// inOrder gives the findings in the order of the document.
func (f *findings) inOrder() netcfg.Problems {
	slices.SortStableFunc(f.list, func(a, b netcfg.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if f.left > 0 {
		f.list = append(f.list, netcfg.Problem{Rule: ruleTooMany,
			Message: fmt.Sprintf("%d more of these are not listed", f.left)})
		f.left = 0
	}
	return f.list
}

// foundLength is how many characters of an offending value are shown.
const foundLength = 64

// excerpt is a short printable form of what was found.
func excerpt(s string) string { return netcfg.Printable(clip(s, foundLength)) }

func clip(s string, most int) string {
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// unprintable finds the first character that netcfg.Printable would escape.
func unprintable(s string) (rune, bool) {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return r, true
		}
	}
	return 0, false
}
