package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
)

// jsonReader builds nodes from JSON, because decoding it into values would lose
// repeated keys and the places. It finds its way through what is JSON, and gets
// through anything else somehow: what is JSON encoding/json knows.
type jsonReader struct {
	*report
	data   []byte
	at     int
	cursor *cursor
	values int
	// names are the names of fields so far, as there are few and they repeat.
	names map[string]string
	// fields and items are those of the objects and lists that are not over yet.
	fields []field
	items  []node
}

// The ways in which reading ends early: the reason has been reported, or the
// grammar will say it.
var (
	errReported = errors.New("already reported")
	errNotJSON  = errors.New("it cannot be read")
)

func parseJSON(data []byte, r *report) node {
	j := jsonReader{report: r, data: data, cursor: newCursor(data), names: map[string]string{}}
	n, err := j.value(0)
	if errors.Is(err, errReported) {
		return node{}
	}
	// The depth is known to be harmless now, or the text to be wrong before it gets
	// deep.
	if err == nil && json.Valid(data) {
		return n
	}
	var whole json.RawMessage
	if e := json.Unmarshal(data, &whole); e != nil {
		err = e
	}
	j.syntax(err)
	return node{}
}

func (j *jsonReader) syntax(err error) {
	p := netcfg.Problem{Rule: ruleSyntax, Message: "this is not JSON: " + err.Error()}
	var se *json.SyntaxError
	if errors.As(err, &se) {
		p.Line, p.Column = newCursor(j.data).at(int(max(se.Offset, 1)) - 1)
	}
	j.refuse(p)
}

// peek gives the first byte that is not blank, 0 at the end.
func (j *jsonReader) peek() byte {
	for ; j.at < len(j.data); j.at++ {
		switch c := j.data[j.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// skip takes the given byte, if it is the next.
func (j *jsonReader) skip(c byte) bool {
	if j.peek() != c {
		return false
	}
	j.at++
	return true
}

func (j *jsonReader) value(depth int) (n node, err error) {
	c := j.peek()
	n.line, n.column = j.cursor.at(j.at)
	if j.values++; j.values > maxValues {
		j.refuse(tooManyValues(n.line))
		return n, errReported
	}
	switch c {
	case '{', '[':
		if depth == MaxDepth {
			j.refuse(tooDeep(n.line, n.column))
			return n, errReported
		}
		j.at++
		if c == '{' {
			return j.object(n, depth+1)
		}
		return j.list(n, depth+1)
	case '"':
		n.kind = text
		n.text, err = j.quoted()
	case 'n':
		n.kind = null
		j.word()
	case 't', 'f':
		n.kind, n.text = boolean, string(j.word())
	default:
		n.kind, n.text = number, string(j.word())
	}
	return n, err
}

// word takes what stands up to the next blank or delimiter.
func (j *jsonReader) word() []byte {
	start := j.at
	for j.at < len(j.data) && bytes.IndexByte([]byte(" \t\r\n,:]}"), j.data[j.at]) < 0 {
		j.at++
	}
	return j.data[start:j.at]
}

// quotes takes a text with its quotes, and says whether anything in it is escaped.
func (j *jsonReader) quotes() (quoted []byte, escaped bool, err error) {
	start := j.at
	for j.at++; j.at < len(j.data); j.at++ {
		switch j.data[j.at] {
		case '"':
			j.at++
			return j.data[start:j.at], escaped, nil
		case '\\':
			escaped = true
			j.at++
		}
	}
	return nil, false, errNotJSON
}

func (j *jsonReader) quoted() (s string, err error) {
	quoted, escaped, err := j.quotes()
	switch {
	case err != nil:
		return "", err
	case escaped:
		err = json.Unmarshal(quoted, &s)
		return s, err
	}
	return string(quoted[1 : len(quoted)-1]), nil
}

// name is quoted for the name of a field.
func (j *jsonReader) name() (string, error) {
	start := j.at
	quoted, _, err := j.quotes()
	if err != nil {
		return "", err
	}
	if s, ok := j.names[string(quoted)]; ok {
		return s, nil
	}
	j.at = start
	s, err := j.quoted()
	j.names[string(quoted)] = s
	return s, err
}

func (j *jsonReader) object(n node, depth int) (node, error) {
	n.kind = object
	start := len(j.fields)
	for more := j.peek() != '}'; more; more = j.skip(',') {
		if j.peek() != '"' {
			return n, errNotJSON
		}
		f := field{}
		f.line, f.column = j.cursor.at(j.at)
		var err error
		if f.name, err = j.name(); err != nil {
			return n, err
		}
		if !j.skip(':') {
			return n, errNotJSON
		}
		if f.value, err = j.value(depth); err != nil {
			return n, err
		}
		j.fields = append(j.fields, f)
	}
	n.fields, j.fields = slices.Clone(j.fields[start:]), j.fields[:start]
	if !j.skip('}') {
		return n, errNotJSON
	}
	return n, nil
}

func (j *jsonReader) list(n node, depth int) (node, error) {
	n.kind = list
	start := len(j.items)
	for more := j.peek() != ']'; more; more = j.skip(',') {
		v, err := j.value(depth)
		if err != nil {
			return n, err
		}
		j.items = append(j.items, v)
	}
	n.items, j.items = slices.Clone(j.items[start:]), j.items[:start]
	if !j.skip(']') {
		return n, errNotJSON
	}
	return n, nil
}

func tooDeep(line, column int) netcfg.Problem {
	return netcfg.Problem{Rule: ruleTooDeep, Allowed: fmt.Sprintf("up to %d levels", MaxDepth), Line: line, Column: column,
		Message: "the document nests too deeply: no part of a configuration does"}
}

func tooManyValues(line int) netcfg.Problem {
	return netcfg.Problem{Rule: ruleTooLarge, Allowed: fmt.Sprintf("up to %d values", maxValues), Line: line,
		Message: "the document holds too many values: split it and stage the parts one after the other"}
}
