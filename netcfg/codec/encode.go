package codec

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/hostnic/hostnic/netcfg"
)

// EncodeOptions say what a document is to look like. The zero value is right for
// YAML, JSON and for XML of API version 4. YAML and JSON have no options.
type EncodeOptions struct {
	// Version is the form of XML: 3 or 4, where 0 means 4.
	Version int
	// List writes the root host_nics around a single NIC too, as answers to a
	// listing have it.
	List bool
	// ID gives the id of a link by its name, empty when it has none. It puts ids
	// into XML, where clients look for them; nil puts none.
	ID func(name string) string
}

// Encode writes a configuration so that Decode reads the same. YAML and JSON say
// all of it, with the options of a bond as name and canonical word in the order
// of netcfg.BondOptions; what distinguishes 4 from 802.3ad, and the display text
// of an option, is lost there. XML says what oVirt's host_nic can, see XMLOmits,
// and echoes the options of a bond as they were given.
//
// The error is that of w, or tells of a format or version that does not exist.
func Encode(w io.Writer, c netcfg.Config, format Format, o EncodeOptions) error {
	switch format {
	case YAML:
		return encodeYAML(w, c)
	case JSON:
		return encodeJSON(w, c)
	case XML:
		return encodeXML(w, c, o)
	}
	return fmt.Errorf("cannot write a document as %s: use yaml, json or xml", format)
}

// EncodeStored writes a configuration for DecodeStored: the types of netcfg as
// they are, with the options of a bond spelled and ordered as given.
func EncodeStored(w io.Writer, c netcfg.Config) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(c)
}

// DecodeStored reads what EncodeStored wrote: the same value, but that an empty
// list may come back as nil. Fields of a later version of the agent are ignored,
// so that an earlier one can still start from its files.
func DecodeStored(data []byte) (netcfg.Config, error) {
	var c netcfg.Config
	if err := json.Unmarshal(data, &c); err != nil {
		return netcfg.Config{}, fmt.Errorf("stored configuration: %w", err)
	}
	return c, nil
}

func encodeYAML(w io.Writer, c netcfg.Config) error {
	root, _ := builder{numericOptions: true}.node(reflect.ValueOf(c))
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(yamlNode(root)); err != nil {
		return err
	}
	return enc.Close()
}

func encodeJSON(w io.Writer, c netcfg.Config) error {
	root, _ := builder{}.node(reflect.ValueOf(c))
	b := bufio.NewWriter(w)
	printJSON(b, root, "\n")
	b.WriteByte('\n')
	return b.Flush()
}

// builder builds the tree that YAML and JSON print.
type builder struct {
	// numericOptions prints miimon: 100 and not miimon: "100". People write the
	// former; the JSON mapping of the API has the latter, a map of strings.
	numericOptions bool
}

// node is the tree of a value; ok is false for what is not said.
func (b builder) node(v reflect.Value) (n node, ok bool) {
	if options, is := v.Interface().([]netcfg.BondOption); is {
		return b.options(options), len(options) > 0
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return n, false
		}
		n, _ = b.node(v.Elem())
		return n, true
	case reflect.Struct:
		n.kind = object
		for i, name := range schemaOf(v.Type()).names {
			if m, ok := b.node(v.Field(i)); ok {
				n.add(name, m)
			}
		}
		return n, true
	case reflect.Slice:
		n.kind = list
		for i := range v.Len() {
			m, _ := b.node(v.Index(i))
			n.items = append(n.items, m)
		}
		return n, v.Len() > 0
	case reflect.Int:
		return node{kind: number, text: strconv.FormatInt(v.Int(), 10)}, true
	case reflect.Bool:
		return node{kind: boolean, text: strconv.FormatBool(v.Bool())}, true
	default:
		return node{kind: text, text: v.String()}, v.String() != ""
	}
}

// optionsNode prints words. What it does not know comes last, as given, so that
// a candidate which is not valid yet can be shown and corrected.
func (b builder) options(options []netcfg.BondOption) node {
	values, unknown := map[string]node{}, []string{}
	for _, o := range options {
		name, v := o.Name, node{kind: text, text: o.Value}
		if s, ok := netcfg.BondOptionSpec(o.Name); ok {
			name = s.Name
			if word, err := s.Canonical(o.Value); err == nil {
				v.text = word
				if s.Type == netcfg.TypeInt && b.numericOptions {
					v.kind = number
				}
			}
		} else if _, twice := values[name]; !twice {
			unknown = append(unknown, name)
		}
		values[name] = v
	}
	n := node{kind: object}
	for _, s := range netcfg.BondOptions {
		if v, ok := values[s.Name]; ok {
			n.add(s.Name, v)
		}
	}
	for _, name := range unknown {
		n.add(name, values[name])
	}
	return n
}
