package codec

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func printJSON(b *bufio.Writer, n node, newline string) {
	deeper := newline + "  "
	switch n.kind {
	case object:
		b.WriteByte('{')
		for i, f := range n.fields {
			separate(b, i, deeper)
			b.WriteString(jsonText(f.name) + ": ")
			printJSON(b, f.value, deeper)
		}
		closeWith(b, len(n.fields), newline, '}')
	case list:
		b.WriteByte('[')
		for i, item := range n.items {
			separate(b, i, deeper)
			printJSON(b, item, deeper)
		}
		closeWith(b, len(n.items), newline, ']')
	case text:
		b.WriteString(jsonText(n.text))
	default:
		b.WriteString(n.text)
	}
}

func separate(b *bufio.Writer, i int, newline string) {
	if i > 0 {
		b.WriteByte(',')
	}
	b.WriteString(newline)
}

func closeWith(b *bufio.Writer, members int, newline string, bracket byte) {
	if members > 0 {
		b.WriteString(newline)
	}
	b.WriteByte(bracket)
}

func jsonText(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func yamlNode(n node) *yaml.Node {
	switch n.kind {
	case object:
		y := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, f := range n.fields {
			y.Content = append(y.Content, yamlText(f.name), yamlNode(f.value))
		}
		return y
	case list:
		y := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range n.items {
			y.Content = append(y.Content, yamlNode(item))
		}
		return y
	case number:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: n.text}
	case boolean:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: n.text}
	}
	return yamlText(n.text)
}

// yamlText also quotes what readers of YAML 1.1, Ansible's among them, would take
// for a boolean (on, yes) or for a number of base sixty (52:54:00:12:34:56).
func yamlText(s string) *yaml.Node {
	y := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off":
		y.Style = yaml.DoubleQuotedStyle
	}
	if strings.Contains(s, ":") {
		y.Style = yaml.DoubleQuotedStyle
	}
	return y
}
