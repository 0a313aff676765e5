package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What comes from the agent has come from documents, from files and from the wire
// before. None of it may write to the operator's terminal by itself, nor show
// other than it is.

// hidden is true of what a terminal acts on or does not show, and of what reorders
// the text around it.
func hidden(r rune) bool {
	if r >= ' ' && r < 0x7f { // nearly all there is, on a host with thousands of links
		return false
	}
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == utf8.RuneError
}

// printable is one line of text with whatever is hidden spelled out.
func printable(s string) string { return spell(s, "") }

// printableDocument leaves the lines of a document as they are. What it spells out
// is still JSON where it was.
func printableDocument(document []byte) []byte { return []byte(spell(string(document), "\n\t")) }

func spell(s, allowed string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !hidden(r) || strings.ContainsRune(allowed, r):
			b.WriteRune(r)
		default:
			b.WriteString(spelled(r))
		}
		s = s[size:]
	}
	return b.String()
}

// spelled is a character as JSON escapes it.
func spelled(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// quoted is what somebody typed, as an error repeats it.
func quoted(s string) string { return `"` + printable(s) + `"` }

// signs are the characters beyond ASCII that the agent's own texts use.
var signs = strings.NewReplacer("–", "-", "—", "-", "…", "...", "→", "->", "←", "<-", "≤", "<=", "≥", ">=", "×", "x")

// inASCII is text for a terminal that shows nothing else.
func inASCII(s string) string {
	s = signs.Replace(s)
	if !strings.ContainsFunc(s, beyondASCII) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if beyondASCII(r) {
			b.WriteString(spelled(r))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func beyondASCII(r rune) bool { return r > unicode.MaxASCII }

// sanitize makes all text in a message printable, so that no command can forget.
func sanitize(m proto.Message) { sanitizeMessage(m.ProtoReflect()) }

func sanitizeMessage(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.IsMap():
			sanitizeMap(field.MapValue(), v.Map())
		case field.IsList():
			for i := range v.List().Len() {
				if clean, other := sanitized(field, v.List().Get(i)); other {
					v.List().Set(i, clean)
				}
			}
		default:
			if clean, other := sanitized(field, v); other {
				m.Set(field, clean)
			}
		}
		return true
	})
}

func sanitizeMap(field protoreflect.FieldDescriptor, m protoreflect.Map) {
	var unclean []protoreflect.MapKey
	m.Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
		if clean, other := sanitized(field, v); other {
			m.Set(key, clean)
		}
		if strings.ContainsFunc(key.String(), hidden) {
			unclean = append(unclean, key)
		}
		return true
	})
	slices.SortFunc(unclean, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range unclean {
		v := m.Get(key)
		m.Clear(key)
		m.Set(protoreflect.ValueOfString(printable(key.String())).MapKey(), v)
	}
}

// sanitized is a value in print, and whether that is another one.
func sanitized(field protoreflect.FieldDescriptor, v protoreflect.Value) (clean protoreflect.Value, other bool) {
	switch field.Kind() {
	case protoreflect.StringKind:
		allowed := ""
		if field.Name() == "error" { // of an operation, which has a reason a line
			allowed = "\n"
		}
		text := spell(v.String(), allowed)
		return protoreflect.ValueOfString(text), text != v.String()
	case protoreflect.MessageKind:
		sanitizeMessage(v.Message())
	}
	return v, false
}
