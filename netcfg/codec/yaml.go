package codec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/hostnic/hostnic/netcfg"
)

// yamlReader turns the nodes of the YAML library into ours. The library only
// parses: resolving aliases, merging and decoding are where YAML bites.
type yamlReader struct {
	*report
	values int
}

func parseYAML(data []byte, r *report) node {
	if structure(data) > maxValues {
		r.refuse(tooManyValues(0))
		return node{}
	}
	y := yamlReader{report: r}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := nextDocument(dec, &doc)
	if errors.Is(err, io.EOF) {
		return node{kind: null}
	}
	if err == nil {
		switch err = nextDocument(dec, &second); {
		case errors.Is(err, io.EOF):
			err = nil
		case err == nil:
			y.refuse(netcfg.Problem{Rule: ruleDocuments, Allowed: "one document", Line: second.Line, Column: second.Column,
				Message: "a second YAML document begins here: stage them one after the other"})
		}
	}
	if err != nil {
		y.syntax(err)
		return node{}
	}
	return y.value(doc.Content[0], 0)
}

// structure counts the places where a value can begin, because the library builds
// its whole tree, at some 400 bytes a value, before anyone can count values.
// Dashes and colons within words, of which MACs, UUIDs and IPv6 addresses are
// full, do not count.
func structure(data []byte) int {
	n := 0
	for i, c := range data {
		next, before := byte(' '), byte(' ')
		if i+1 < len(data) {
			next = data[i+1]
		}
		if i > 0 {
			before = data[i-1]
		}
		switch c {
		case '[', '{', ',', '&', '*', '!':
			n++
		case '-', '?':
			if isBlank(next) {
				n++
			}
		case ':':
			if isBlank(next) || !isWord(before) || bytes.IndexByte([]byte("[]{},"), next) >= 0 {
				n++
			}
		}
	}
	return n
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// nextDocument also turns a panic of the library into an error: its scanner is
// a translation from C, and a document must not take the daemon down.
func nextDocument(dec *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: the YAML reader gave up: %v", p)
		}
	}()
	return dec.Decode(into)
}

var yamlError = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

func (y *yamlReader) syntax(err error) {
	p := netcfg.Problem{Rule: ruleSyntax, Message: "this is not YAML: " + err.Error()}
	if m := yamlError.FindStringSubmatch(err.Error()); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Message = "this is not YAML: " + m[2]
	}
	y.refuse(p)
}

func (y *yamlReader) value(from *yaml.Node, depth int) node {
	n := node{line: from.Line, column: from.Column}
	if from.Anchor != "" || from.Kind == yaml.AliasNode {
		y.alias(from)
	}
	if y.values++; y.values > maxValues {
		if y.values == maxValues+1 {
			y.refuse(tooManyValues(from.Line))
		}
		return n
	}
	if from.Kind != yaml.AliasNode && !plainTag(from) {
		y.refuse(netcfg.Problem{Rule: ruleTag, Found: from.Tag, Line: from.Line, Column: from.Column,
			Message: "this YAML tag does not fit the value: leave it out"})
		return n
	}
	if (from.Kind == yaml.MappingNode || from.Kind == yaml.SequenceNode) && depth == MaxDepth {
		y.refuse(tooDeep(from.Line, from.Column))
		return n
	}
	switch from.Kind {
	case yaml.ScalarNode:
		n.kind, n.text = scalarKind(from), from.Value
	case yaml.SequenceNode:
		n.kind = list
		for _, c := range from.Content {
			n.items = append(n.items, y.value(c, depth+1))
		}
	case yaml.MappingNode:
		n.kind = object
		for i := 0; i+1 < len(from.Content); i += 2 {
			if name, ok := y.key(from.Content[i]); ok {
				k := from.Content[i]
				n.fields = append(n.fields, field{name: name, line: k.Line, column: k.Column, value: y.value(from.Content[i+1], depth+1)})
			}
		}
	}
	return n
}

func (y *yamlReader) alias(from *yaml.Node) {
	found := "&" + from.Anchor
	if from.Kind == yaml.AliasNode {
		found = "*" + from.Value
	}
	y.refuse(netcfg.Problem{Rule: ruleAlias, Found: found, Line: from.Line, Column: from.Column,
		Message: "YAML anchors and aliases are not taken, because a few lines of them can stand for gigabytes: write the value out"})
}

// key is the name of a field. A merge key is an alias in other clothes.
func (y *yamlReader) key(from *yaml.Node) (string, bool) {
	if from.Kind != yaml.ScalarNode || from.Anchor != "" || !plainTag(from) {
		y.refuse(netcfg.Problem{Rule: ruleSyntax, Line: from.Line, Column: from.Column,
			Message: "the name of a field must be a plain word"})
		return "", false
	}
	if from.ShortTag() == "!!merge" {
		y.refuse(netcfg.Problem{Rule: ruleAlias, Found: "<<", Line: from.Line, Column: from.Column,
			Message: "YAML merge keys are not taken: write the fields out"})
		return "", false
	}
	return from.Value, true
}

// plainTag reports whether the value has no tag of its own, or one of the
// standard tags on a value that it fits.
func plainTag(n *yaml.Node) bool {
	if n.Style&yaml.TaggedStyle == 0 {
		return true
	}
	switch n.ShortTag() {
	case "!!map":
		return n.Kind == yaml.MappingNode
	case "!!seq":
		return n.Kind == yaml.SequenceNode
	case "!!str", "!!int", "!!float", "!!bool", "!!null":
		return n.Kind == yaml.ScalarNode
	}
	return false
}

// scalarKind takes what YAML resolves to anything but null, number or boolean as
// text: dates are text to us.
func scalarKind(n *yaml.Node) kind {
	switch n.ShortTag() {
	case "!!null":
		return null
	case "!!int", "!!float":
		return number
	case "!!bool":
		return boolean
	}
	return text
}
