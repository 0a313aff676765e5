package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// printMessage writes a message as the API's own JSON mapping, or the same tree as
// YAML. A list named by always, the message's first field, stands there even when
// it is empty, so that programs can walk it.
func (g *globals) printMessage(out io.Writer, m proto.Message, always string) error {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing the answer as JSON: %w", err)
	}
	return g.printTree(out, withList(raw, always))
}

func withList(raw []byte, name string) []byte {
	members := bytes.TrimLeft(raw, "{ ")
	if name == "" || bytes.HasPrefix(members, []byte(`"`+name+`"`)) {
		return raw
	}
	empty := `{"` + name + `":[]`
	if !bytes.HasPrefix(members, []byte("}")) {
		empty += ","
	}
	return append([]byte(empty), members...)
}

// printTree writes JSON in our layout, or as YAML. protojson varies its blanks on
// purpose, so they are set anew.
func (g *globals) printTree(out io.Writer, raw []byte) error {
	if g.output == formatYAML {
		return printYAML(out, raw)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("laying out the answer as JSON: %w", err)
	}
	b.WriteByte('\n')
	_, err := out.Write(printableDocument(b.Bytes()))
	return err
}

func printYAML(out io.Writer, raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	tree, err := yamlNode(dec)
	if err != nil {
		return fmt.Errorf("laying out the answer as YAML: %w", err)
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(tree); err != nil {
		return fmt.Errorf("laying out the answer as YAML: %w", err)
	}
	_, err = out.Write(printableDocument(b.Bytes()))
	return err
}

// yamlNode reads one JSON value, keeping the order of its members.
func yamlNode(dec *json.Decoder) (*yaml.Node, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		node := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if v == '{' {
			node = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		}
		for dec.More() {
			// Of an object this reads names and values in turn, which is how
			// the library keeps them.
			member, err := yamlNode(dec)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, member)
		}
		_, err := dec.Token()
		return node, err
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: v.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}, nil
	case string:
		return yamlText(v), nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

// yamlText also quotes what readers of YAML 1.1 take for a boolean (on, yes) or
// for a number to the base of sixty (52:54:00:12:34:56).
func yamlText(s string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off":
		node.Style = yaml.DoubleQuotedStyle
	}
	if strings.Contains(s, ":") {
		node.Style = yaml.DoubleQuotedStyle
	}
	return node
}

// documentFormat is the text that the agent is asked to render; none where the
// message itself is printed.
func (g *globals) documentFormat() hostnicv1.DocumentFormat {
	if g.output == formatXML {
		return hostnicv1.DocumentFormat_DOCUMENT_FORMAT_XML
	}
	return hostnicv1.DocumentFormat_DOCUMENT_FORMAT_UNSPECIFIED
}

// printDocument writes a text that the agent has rendered.
func printDocument(out io.Writer, document []byte) error {
	if len(document) == 0 {
		return &agentError{what: "the agent has answered without the document that was asked for; it may be older than this agentctl"}
	}
	if !bytes.HasSuffix(document, []byte("\n")) {
		document = append(document, '\n')
	}
	_, err := out.Write(printableDocument(document))
	return err
}
