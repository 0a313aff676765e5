package codec

import (
	"bytes"
	"fmt"
)

// Format is how a configuration is written down.
type Format int

// The formats. Auto is for reading only: the first character that is not a blank
// decides, < for XML, { and [ for JSON, anything else for YAML. A { with a bare word
// behind it is YAML in its flow style.
const (
	Auto Format = iota
	YAML
	JSON
	XML
)

// ParseFormat reads the name of a format: auto, yaml, yml, json or xml. An empty
// name is Auto.
func ParseFormat(name string) (Format, error) {
	switch name {
	case "", "auto":
		return Auto, nil
	case "yaml", "yml":
		return YAML, nil
	case "json":
		return JSON, nil
	case "xml":
		return XML, nil
	}
	return Auto, fmt.Errorf("%q is not a format of documents: use yaml, json or xml", name)
}

// String is the name that ParseFormat reads.
func (f Format) String() string {
	switch f {
	case Auto:
		return "auto"
	case YAML:
		return "yaml"
	case JSON:
		return "json"
	case XML:
		return "xml"
	}
	return fmt.Sprintf("format %d", int(f))
}

func sniff(data []byte) Format {
	data = bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(data) == 0:
		return YAML
	case data[0] == '<':
		return XML
	case data[0] == '{' && bareWord(data[1:]):
		return YAML
	case data[0] == '{', data[0] == '[':
		return JSON
	}
	return YAML
}

// bareWord is true of text that begins with a letter, as no key of JSON does.
func bareWord(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0]|0x20 >= 'a' && data[0]|0x20 <= 'z')
}
