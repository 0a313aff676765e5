package codec

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hostnic/hostnic/netcfg"
)

// decoder holds a tree against the types of netcfg: the json tags of the types
// are the schema. It carries on after a problem, so that all are found.
type decoder struct {
	report
	// lines are the lines by path; nil where nobody asks for them.
	lines map[string]int
	// unset collects the nulls of the NIC that is being read.
	unset []string
}

func (d *decoder) line(path string, line int) {
	if d.lines != nil {
		d.lines[path] = line
	}
}

// place is where in the document a value stands.
type place struct {
	// path is what an operator is told: host_nics[bond0].ip.gateway.
	path string
	// nic is how much of path is the NIC's.
	nic int
	// nullable is true where null has a meaning: in a NIC, outside of lists.
	nullable bool
}

func (p place) field(name string) place {
	return place{path: join(p.path, name), nic: p.nic, nullable: p.nullable}
}

// below is the part of path below the NIC, ip.gateway, which null unsets.
func (p place) below() string { return strings.TrimPrefix(p.path[p.nic:], ".") }

func (p place) item(i int) place {
	return place{path: fmt.Sprintf("%s[%d]", p.path, i)}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// value decodes n into a value of whatever type.
func (d *decoder) value(n node, to reflect.Value, at place) {
	if n.kind == wrong {
		return
	}
	if options, ok := to.Addr().Interface().(*[]netcfg.BondOption); ok {
		*options = d.options(n, at)
		return
	}
	switch to.Kind() {
	case reflect.Pointer:
		v := reflect.New(to.Type().Elem())
		d.value(n, v.Elem(), at)
		to.Set(v)
	case reflect.Struct:
		d.object(n, to, at)
	case reflect.Slice:
		d.list(n, to, at)
	case reflect.String:
		to.SetString(d.text(n, at))
	case reflect.Int:
		to.SetInt(d.integer(n, at))
	case reflect.Bool:
		to.SetBool(d.boolean(n, at))
	default:
		d.refuse(netcfg.Problem{Path: at.path, Rule: ruleType, Line: n.line, Column: n.column,
			Message: fmt.Sprintf("the codec does not know how to read a %s: this is a fault of the agent", to.Type())})
	}
}

// object decodes into a struct. A list is made even when it is empty, because an
// empty list replaces and a missing one does not.
func (d *decoder) object(n node, to reflect.Value, at place) {
	schema := schemaOf(to.Type())
	d.fields(n, at, schema.names, outputOnly[to.Type()], func(f field, at place) {
		member := to.Field(schema.index[f.name])
		switch {
		case f.value.kind == null:
			d.null(f, at)
		case to.Type() == bondingType && f.name == "slaves":
			member.Set(reflect.ValueOf(d.references(f.value, at)))
		case to.Type() == ipType && f.name == "netmask":
			member.SetString(d.netmask(f.value, at))
		case f.name == "id" && member.Kind() == reflect.String:
			member.SetString(d.ident(f.value, at))
		default:
			d.value(f.value, member, at)
		}
	})
}

// fields hands each known field of an object to each, once.
func (d *decoder) fields(n node, at place, names, outputs []string, each func(field, place)) {
	if n.kind != object {
		d.wrongType(n, at, "an object with "+strings.Join(names, ", "))
		return
	}
	first := map[string]int{}
	for _, f := range n.fields {
		here := at.field(f.name)
		line, twice := first[f.name]
		first[f.name] = f.line
		switch {
		case twice:
			d.twice(f, line, here)
		case slices.Contains(names, f.name):
			d.line(here.path, f.line)
			each(f, here)
		case slices.Contains(outputs, f.name):
			d.warn(netcfg.Problem{Path: here.path, Rule: ruleOutput, Line: f.line, Column: f.column,
				Message: f.name + " is what the agent reports and cannot be set: it is ignored"})
		default:
			d.refuse(netcfg.Problem{Path: join(at.path, excerpt(f.name)), Rule: ruleUnknown, Found: f.name, Allowed: strings.Join(names, ", "),
				Message: "there is no such field here: correct its name or take it out", Line: f.line, Column: f.column})
		}
	}
}

func (d *decoder) twice(f field, first int, at place) {
	d.refuse(netcfg.Problem{Path: at.path, Rule: ruleDuplicate, Line: f.line, Column: f.column,
		Message: fmt.Sprintf("%s is given twice, first in line %d: keep one of the two", excerpt(f.name), first)})
}

func (d *decoder) null(f field, at place) {
	if !at.nullable || at.below() == "name" || at.below() == "id" {
		d.refuse(netcfg.Problem{Path: at.path, Rule: ruleType, Found: "null", Line: f.line, Column: f.column,
			Message: f.name + " cannot be unset here: give it a value or leave it out"})
		return
	}
	d.unset = append(d.unset, at.below())
}

func (d *decoder) list(n node, to reflect.Value, at place) {
	if n.kind != list {
		d.wrongType(n, at, "a list")
		return
	}
	to.Set(reflect.MakeSlice(to.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		here := at.item(i)
		d.line(here.path, item.line)
		d.value(item, to.Index(i), here)
	}
}

// text takes text only. A number is refused rather than guessed at: YAML would
// read the name 1e3 as a thousand.
func (d *decoder) text(n node, at place) string {
	if n.kind != text {
		d.wrongType(n, at, "text")
		return ""
	}
	if n.text == "" {
		d.refuse(netcfg.Problem{Path: at.path, Rule: ruleEmpty, Line: n.line, Column: n.column,
			Message: "empty text says nothing: give a value, write null to unset, or leave the field out"})
		return ""
	}
	if !d.clean(n, at) {
		return ""
	}
	return n.text
}

// clean refuses text that would show other than it is. Blanks around it are a
// slip that no one would see; XML, where they are typing, has taken them off.
func (d *decoder) clean(n node, at place) bool {
	if !d.printable(n, at) {
		return false
	}
	if strings.TrimSpace(n.text) != n.text {
		d.refuse(netcfg.Problem{Path: at.path, Rule: ruleText, Found: n.text, Line: n.line, Column: n.column,
			Message: "this text begins or ends with a blank: take it out"})
		return false
	}
	return true
}

func (d *decoder) printable(n node, at place) bool {
	r, bad := unprintable(n.text)
	if !bad {
		return true
	}
	what := fmt.Sprintf("the character %U, which cannot be seen or reorders what can", r)
	if r < 0x20 || r >= 0x7f && r < 0xa0 {
		what = fmt.Sprintf("the control character %U", r)
	}
	d.refuse(netcfg.Problem{Path: at.path, Rule: ruleText, Found: n.text, Allowed: "printable characters",
		Message: "this text holds " + what + ": take it out", Line: n.line, Column: n.column})
	return false
}

// isDecimal is the one rule for integers: digits without a needless zero or sign.
func isDecimal(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	return s == "0" || digits[0] != '0'
}

func (d *decoder) integer(n node, at place) int64 {
	if n.kind != number && n.kind != text || !isDecimal(n.text) {
		d.wrongType(n, at, "a plain decimal integer such as 1500")
		return 0
	}
	v, err := strconv.ParseInt(n.text, 10, strconv.IntSize)
	if err != nil {
		d.refuse(netcfg.Problem{Path: at.path, Rule: ruleRange, Found: n.text, Line: n.line, Column: n.column,
			Message: "this number is far out of range: nothing on a NIC is as large"})
	}
	return v
}

func (d *decoder) boolean(n node, at place) bool {
	if n.kind != boolean && n.kind != text || n.text != "true" && n.text != "false" {
		d.wrongType(n, at, "true or false")
	}
	return n.text == "true"
}

// ident takes an id. XML takes blanks out of ids; here they would make another id.
func (d *decoder) ident(n node, at place) string {
	s := d.text(n, at)
	if strings.Contains(s, " ") {
		d.refuse(netcfg.Problem{Path: at.path, Rule: ruleText, Found: s, Line: n.line, Column: n.column,
			Message: "an id holds no blanks: take them out"})
	}
	return s
}

// netmask takes a prefix length as a number too: netmask: 24 is what people write.
func (d *decoder) netmask(n node, at place) string {
	if n.kind == number && isDecimal(n.text) {
		return n.text
	}
	if n.kind == number {
		d.wrongType(n, at, "a dotted mask such as 255.255.255.0, or a prefix length such as 24")
		return ""
	}
	return d.text(n, at)
}

func (d *decoder) wrongType(n node, at place, want string) {
	if n.kind == wrong {
		return
	}
	found := n.text
	if found == "" {
		found = n.kind.String()
	}
	hint := ""
	if n.kind == number || n.kind == boolean {
		if want == "text" {
			hint = ": put it in quotes if it is meant as text"
		}
	}
	what := "the document"
	if at.path != "" {
		what = "this field"
	}
	d.refuse(netcfg.Problem{Path: at.path, Rule: ruleType, Found: found, Allowed: want, Line: n.line, Column: n.column,
		Message: fmt.Sprintf("%s takes %s, and this is %s%s", what, want, n.kind, hint)})
}

var (
	ipType      = reflect.TypeFor[netcfg.IP]()
	bondingType = reflect.TypeFor[netcfg.Bonding]()
)

// outputOnly are the fields that the agent prints beside the configuration, by
// the object in which they stand. They are read and ignored, so that what show
// prints can be edited and handed back.
var outputOnly = map[reflect.Type][]string{
	reflect.TypeFor[netcfg.HostNic](): {
		"permanent_mac", "speed", "duplex", "status", "admin_state", "oper_state", "carrier", "master",
		"active_slave", "ad_aggregator_id", "ad_partner_mac", "lease", "addresses", "statistics", "lldp",
		"drift", "waiting", "owner", "kind", "href",
	},
	bondingType: {
		"active_slave", "ad_aggregator_id", "ad_partner_mac", "effective_options",
	},
	reflect.TypeFor[netcfg.Reference](): {"href"},
}

// schema is what the json tags of a struct say.
type schema struct {
	names []string
	index map[string]int
}

// schemas are those of the types seen so far; each is told by its type alone.
var schemas sync.Map

func schemaOf(t reflect.Type) *schema {
	if s, ok := schemas.Load(t); ok {
		return s.(*schema)
	}
	s := &schema{index: make(map[string]int, t.NumField())}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		s.names = append(s.names, name)
		s.index[name] = i
	}
	schemas.Store(t, s)
	return s
}
