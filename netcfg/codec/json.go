package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hostnic/hostnic/netcfg"
)

// jsonReader builds nodes from the tokens of encoding/json, because decoding into
// values would lose repeated keys and the places.
type jsonReader struct {
	*report
	data   []byte
	tokens *json.Decoder
	cursor *cursor
	values int
}

// errReported stops a reader whose reason has been reported.
var errReported = errors.New("already reported")

func parseJSON(data []byte, r *report) node {
	j := jsonReader{report: r, data: data, tokens: json.NewDecoder(bytes.NewReader(data)), cursor: newCursor(data)}
	j.tokens.UseNumber()
	n, err := j.value(0)
	if errors.Is(err, errReported) {
		return node{}
	}
	// The token reader is laxer than the grammar and says less about where it
	// stopped, so the grammar has the last word. The depth is known to be harmless
	// now, or the text to be wrong before it gets deep.
	var whole json.RawMessage
	if e := json.Unmarshal(data, &whole); e != nil {
		err = e
	}
	if err != nil {
		j.syntax(err)
		return node{}
	}
	return n
}

func (j *jsonReader) syntax(err error) {
	p := netcfg.Problem{Rule: ruleSyntax, Message: "this is not JSON: " + err.Error()}
	var se *json.SyntaxError
	if errors.As(err, &se) {
		p.Line, p.Column = newCursor(j.data).at(int(max(se.Offset, 1)) - 1)
	}
	j.refuse(p)
}

// next reads a token and says where it begins.
func (j *jsonReader) next() (tok json.Token, line, column int, err error) {
	start := int(j.tokens.InputOffset())
	for start < len(j.data) && bytes.IndexByte([]byte(" \t\r\n,:"), j.data[start]) >= 0 {
		start++
	}
	line, column = j.cursor.at(start)
	tok, err = j.tokens.Token()
	return tok, line, column, err
}

func (j *jsonReader) value(depth int) (node, error) {
	tok, line, column, err := j.next()
	if err != nil {
		return node{}, err
	}
	n := node{line: line, column: column}
	if j.values++; j.values > maxValues {
		j.refuse(tooManyValues(line))
		return n, errReported
	}
	switch t := tok.(type) {
	case nil:
		n.kind = null
	case string:
		n.kind, n.text = text, t
	case json.Number:
		n.kind, n.text = number, t.String()
	case bool:
		n.kind, n.text = boolean, fmt.Sprint(t)
	case json.Delim:
		if depth == MaxDepth {
			j.refuse(tooDeep(line, column))
			return n, errReported
		}
		if t == '{' {
			return j.object(n, depth+1)
		}
		return j.list(n, depth+1)
	}
	return n, nil
}

func (j *jsonReader) object(n node, depth int) (node, error) {
	n.kind = object
	for j.tokens.More() {
		tok, line, column, err := j.next()
		if err != nil {
			return n, err
		}
		name, ok := tok.(string)
		if !ok {
			return n, errors.New("the name of a field must stand in quotes")
		}
		v, err := j.value(depth)
		if err != nil {
			return n, err
		}
		n.fields = append(n.fields, field{name: name, line: line, column: column, value: v})
	}
	_, err := j.tokens.Token()
	return n, err
}

func (j *jsonReader) list(n node, depth int) (node, error) {
	n.kind = list
	for j.tokens.More() {
		v, err := j.value(depth)
		if err != nil {
			return n, err
		}
		n.items = append(n.items, v)
	}
	_, err := j.tokens.Token()
	return n, err
}

func tooDeep(line, column int) netcfg.Problem {
	return netcfg.Problem{Rule: ruleTooDeep, Allowed: fmt.Sprintf("up to %d levels", MaxDepth), Line: line, Column: column,
		Message: "the document nests too deeply: no part of a configuration does"}
}

func tooManyValues(line int) netcfg.Problem {
	return netcfg.Problem{Rule: ruleTooLarge, Allowed: fmt.Sprintf("up to %d values", maxValues), Line: line,
		Message: "the document holds too many values: split it and stage the parts one after the other"}
}
