package codec

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hostnic/hostnic/netcfg"
)

// element is an XML element as read and as written. Namespaces play no part:
// oVirt has none.
type element struct {
	name         string
	attributes   []attribute
	children     []element
	text         string
	line, column int
}

type attribute struct{ name, value string }

// maxRun is the longest stretch without a < in an XML document. Neither text nor
// an attribute can hold a <, so that no value grows longer, and the XML reader
// never gathers more than this in memory.
const maxRun = 64 << 10

func (e element) child(name string) (element, bool) {
	for _, c := range e.children {
		if c.name == name {
			return c, true
		}
	}
	return element{}, false
}

// textOf is the text of the named child, or empty.
func (e element) textOf(name string) string {
	c, _ := e.child(name)
	return strings.TrimSpace(c.text)
}

func (e element) attribute(name string) string {
	for _, a := range e.attributes {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// elementReader builds elements from the tokens of encoding/xml.
type elementReader struct {
	*report
	tokens *xml.Decoder
	cursor *cursor
	values int
}

// parseElement reads the root element with everything in it; ok is false when
// the reason has been reported.
func parseElement(data []byte, r *report) (root element, ok bool) {
	if at, long := longRun(data); long {
		line, column := newCursor(data).at(at)
		r.refuse(netcfg.Problem{Rule: ruleTooLarge, Allowed: fmt.Sprintf("up to %d bytes", maxRun), Line: line, Column: column,
			Message: "a text or an attribute of this document is too long: nothing in a configuration is"})
		return root, false
	}
	x := elementReader{report: r, tokens: xml.NewDecoder(bytes.NewReader(data)), cursor: newCursor(data)}
	found := false
	for {
		line, column := x.cursor.at(int(x.tokens.InputOffset()))
		tok, err := x.tokens.Token()
		switch {
		case errors.Is(err, io.EOF) && found:
			return root, true
		case err != nil:
			return root, x.syntax(err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if found {
				return root, x.syntaxAt(line, column, "a second root element begins here: put several NICs into one host_nics element")
			}
			found = true
			if root, err = x.element(t, line, column, 1); err != nil {
				return root, x.syntax(err)
			}
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return root, x.syntaxAt(line, column, "there is text outside of the root element")
			}
		case xml.Directive:
			return root, x.syntax(x.doctype(line, column))
		}
	}
}

// syntax reports an error of the XML reader. It returns false, for the caller to
// pass on.
func (x *elementReader) syntax(err error) bool {
	var se *xml.SyntaxError
	switch {
	case errors.Is(err, errReported):
		return false
	case errors.Is(err, io.EOF):
		return x.syntaxAt(0, 0, "there is no element")
	case errors.As(err, &se):
		return x.syntaxAt(se.Line, 0, se.Msg)
	}
	line, column := x.tokens.InputPos()
	return x.syntaxAt(line, column, err.Error())
}

func (x *elementReader) syntaxAt(line, column int, why string) bool {
	x.refuse(netcfg.Problem{Rule: ruleSyntax, Message: "this is not XML: " + why, Line: line, Column: column})
	return false
}

func (x *elementReader) doctype(line, column int) error {
	x.refuse(netcfg.Problem{Rule: ruleDTD, Line: line, Column: column,
		Message: "document type declarations and entities are not taken, because they can pull in files and stand for gigabytes: take the declaration out"})
	return errReported
}

func (x *elementReader) element(start xml.StartElement, line, column, depth int) (element, error) {
	e := element{name: start.Name.Local, line: line, column: column}
	if depth > MaxDepth {
		x.refuse(tooDeep(line, column))
		return e, errReported
	}
	if x.values += 1 + len(start.Attr); x.values > maxValues {
		x.refuse(tooManyValues(line))
		return e, errReported
	}
	for _, a := range start.Attr {
		if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
			e.attributes = append(e.attributes, attribute{a.Name.Local, a.Value})
		}
	}
	var content strings.Builder
	for {
		line, column := x.cursor.at(int(x.tokens.InputOffset()))
		tok, err := x.tokens.Token()
		if err != nil {
			return e, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			child, err := x.element(t, line, column, depth+1)
			if err != nil {
				return e, err
			}
			e.children = append(e.children, child)
		case xml.EndElement:
			e.text = content.String()
			return e, nil
		case xml.CharData:
			content.Write(t)
		case xml.Directive:
			return e, x.doctype(line, column)
		}
	}
}

// longRun finds a stretch without < that is longer than any value may be.
func longRun(data []byte) (at int, long bool) {
	for at < len(data) {
		n := bytes.IndexByte(data[at:], '<')
		if n < 0 {
			n = len(data) - at
		}
		if n > maxRun {
			return at, true
		}
		at += n + 1
	}
	return 0, false
}
