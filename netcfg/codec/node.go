package codec

import (
	"unicode/utf8"
)

// node is a value of a document in whatever format: what the three readers give,
// what the schema is held against, and what the writers of YAML and JSON print.
type node struct {
	kind kind
	// text is the text, or a number or boolean exactly as written.
	text   string
	fields []field
	items  []node
	line   int
	column int
}

// field is a member of an object. Repeated names are kept, for the schema to
// refuse with both places.
type field struct {
	name         string
	line, column int
	value        node
}

type kind int

const (
	// wrong is a value that has been reported already; nothing more is said of it.
	wrong kind = iota
	null
	text
	number
	boolean
	list
	object
)

func (k kind) String() string {
	return [...]string{"something unreadable", "null", "text", "a number", "true or false", "a list", "an object"}[k]
}

// add appends a member that stands where the value stands.
func (n *node) add(name string, v node) {
	n.fields = append(n.fields, field{name: name, line: v.line, column: v.column, value: v})
}

// textOf is the text of the named member, or empty.
func (n *node) textOf(name string) string {
	for _, f := range n.fields {
		if f.name == name && f.value.kind == text {
			return f.value.text
		}
	}
	return ""
}

// cursor turns offsets into lines and columns. It walks forward only, so that a
// document of one very long line does not cost quadratic time.
type cursor struct {
	data         []byte
	offset       int
	line, column int
}

func newCursor(data []byte) *cursor { return &cursor{data: data, line: 1, column: 1} }

// at gives the place of offset, which must not lie before that of an earlier call.
// Columns count characters.
func (c *cursor) at(offset int) (line, column int) {
	for c.offset < offset && c.offset < len(c.data) {
		size := 1
		switch b := c.data[c.offset]; {
		case b == '\n':
			c.line, c.column = c.line+1, 0
		case b >= utf8.RuneSelf:
			_, size = utf8.DecodeRune(c.data[c.offset:])
		}
		c.column++
		c.offset += size
	}
	return c.line, c.column
}
