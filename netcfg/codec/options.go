package codec

import (
	"strings"

	"github.com/hostnic/hostnic/netcfg"
)

// options reads the options of a bond in any of their forms: an object of name
// and value, oVirt's list of objects with name, value and type, that list within
// an object option, or one text as the kernel module takes it (mode=4 miimon=100).
func (d *decoder) options(n node, at place) []netcfg.BondOption {
	if n.kind == object && len(n.fields) == 1 && n.fields[0].name == "option" && n.fields[0].value.kind == list {
		n = n.fields[0].value
	}
	o := optionReader{decoder: d, at: at, out: []netcfg.BondOption{}}
	switch n.kind {
	case object:
		first := map[string]int{}
		for _, f := range n.fields {
			if line, twice := first[f.name]; twice {
				d.twice(f, line, at.field(f.name))
				continue
			}
			first[f.name] = f.line
			o.member(f)
		}
	case list:
		for i, item := range n.items {
			o.element(item, at.item(i))
		}
	case text:
		o.assignments(n)
	default:
		d.wrongType(n, at, "an object of name and value, a list of name and value, or text such as mode=4 miimon=100")
	}
	return o.out
}

type optionReader struct {
	*decoder
	at  place
	out []netcfg.BondOption
}

// named says whether the option has a name that can be shown. That it is given
// once is for netcfg.Merge, which knows that an option may have two names.
func (o *optionReader) named(name node) bool {
	at := o.at.field(excerpt(name.text))
	if name.text == "" {
		o.refuse(netcfg.Problem{Path: o.at.path, Rule: ruleMissing, Allowed: "the name of an option", Line: name.line, Column: name.column,
			Message: "an option is given without its name"})
		return false
	}
	if !o.clean(name, at) {
		return false
	}
	o.line(at.path, name.line)
	return true
}

// member reads an option from an object, where null unsets it.
func (o *optionReader) member(f field) {
	if !o.named(node{kind: text, text: f.name, line: f.line, column: f.column}) {
		return
	}
	at := o.at.field(f.name)
	if f.value.kind != null {
		o.out = append(o.out, netcfg.BondOption{Name: f.name, Value: o.optionValue(f.name, f.value, at)})
		return
	}
	if _, ok := netcfg.BondOptionSpec(f.name); !ok {
		o.refuse(netcfg.Problem{Path: at.path, Rule: ruleUnknown, Found: f.name, Allowed: optionNames(), Line: f.line, Column: f.column,
			Message: "bonds have no such option, so there is nothing to unset: correct its name or take it out"})
		return
	}
	o.null(f, at)
}

// element reads an option from oVirt's list.
func (o *optionReader) element(n node, at place) {
	var value *node
	var name node
	var named bool
	var display string
	o.fields(n, at, []string{"name", "value", "type"}, nil, func(f field, at place) {
		switch f.name {
		case "name":
			named, name = true, node{kind: text, text: o.text(f.value, at), line: f.value.line, column: f.value.column}
		case "value":
			value = &f.value
		case "type":
			display = o.text(f.value, at)
		}
	})
	switch {
	case n.kind != object:
		return
	case !named:
		o.named(node{line: n.line, column: n.column})
	case value == nil:
		o.refuse(netcfg.Problem{Path: join(at.path, "value"), Rule: ruleMissing, Line: n.line, Column: n.column,
			Message: "an option is given without its value"})
	case name.text != "" && o.named(name):
		at := o.at.field(name.text)
		o.out = append(o.out, netcfg.BondOption{Name: name.text, Value: o.optionValue(name.text, *value, at), Type: display})
	}
}

// assignments reads name=value pairs between blanks.
func (o *optionReader) assignments(n node) {
	if n.text == "" {
		o.decoder.text(n, o.at)
		return
	}
	if !o.printable(n, o.at) {
		return
	}
	for pair := range strings.FieldsSeq(n.text) {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			o.refuse(netcfg.Problem{Path: o.at.path, Rule: ruleSyntax, Found: pair, Allowed: "name=value", Line: n.line, Column: n.column,
				Message: "options in one text are name=value pairs with blanks between them"})
			continue
		}
		if o.named(node{kind: text, text: name, line: n.line, column: n.column}) {
			o.out = append(o.out, netcfg.BondOption{Name: name, Value: value})
		}
	}
}

// optionValue is the value as given. Whether the option takes it is for
// netcfg.Validate, which knows the words and the ranges.
func (d *decoder) optionValue(name string, n node, at place) string {
	s, known := netcfg.BondOptionSpec(name)
	onOff := len(s.Words) == 2 && s.Words[0] == "off" && s.Words[1] == "on"
	addresses := s.Type == netcfg.TypeIPv4s || s.Type == netcfg.TypeIPv6s
	switch {
	case n.kind == text && n.text == "":
		return ""
	case n.kind == text:
		return d.text(n, at)
	case n.kind == number && isDecimal(n.text):
		return n.text
	case n.kind == boolean && (onOff || !known) && d.boolean(n, at):
		return "on"
	case n.kind == boolean && (onOff || !known):
		return "off"
	case n.kind == list && known && addresses:
		return d.addressList(n, at)
	}
	want := "text or a plain decimal integer"
	if known {
		want = s.Allowed()
	}
	d.wrongType(n, at, want)
	return ""
}

func (d *decoder) addressList(n node, at place) string {
	var out []string
	for i, item := range n.items {
		out = append(out, d.text(item, at.item(i)))
	}
	return strings.Join(out, ",")
}

func optionNames() string {
	var names []string
	for _, s := range netcfg.BondOptions {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}
