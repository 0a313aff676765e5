package netcfg

import (
	"fmt"
	"strings"
)

// Neighbour is who is at the other end of a cable, as that says by LLDP (IEEE 802.1AB).
// Empty is what it does not say.
type Neighbour struct {
	// SystemName is the name of the switch.
	SystemName string `json:"system_name,omitempty"`
	// ChassisID and PortID tell one port from all others. MACs are in colon form.
	ChassisID string `json:"chassis_id,omitempty"`
	PortID    string `json:"port_id,omitempty"`
	// PortDescription is what people know the port by.
	PortDescription string `json:"port_description,omitempty"`
}

// ExpectedNeighbour is who ought to be at the other end of a cable. What is empty may be
// anything.
type ExpectedNeighbour struct {
	SystemName      string `json:"system_name,omitempty"`
	ChassisID       string `json:"chassis_id,omitempty"`
	PortID          string `json:"port_id,omitempty"`
	PortDescription string `json:"port_description,omitempty"`
	// Required takes a change back at whose end somebody else, or nobody, is there. Nil is
	// false: it is told, and no more.
	Required *bool `json:"required,omitempty"`
}

// IsRequired is false of none.
func (e *ExpectedNeighbour) IsRequired() bool { return e != nil && e.Required != nil && *e.Required }

// neighbourField is one of the texts of an expected neighbour.
type neighbourField struct {
	name string
	want *string
	of   func(Neighbour) string
}

func (e *ExpectedNeighbour) fields() []neighbourField {
	return []neighbourField{
		{"system_name", &e.SystemName, func(n Neighbour) string { return n.SystemName }},
		{"chassis_id", &e.ChassisID, func(n Neighbour) string { return n.ChassisID }},
		{"port_id", &e.PortID, func(n Neighbour) string { return n.PortID }},
		{"port_description", &e.PortDescription, func(n Neighbour) string { return n.PortDescription }},
	}
}

// Among is true where one of the neighbours is the expected one.
func (e *ExpectedNeighbour) Among(heard []Neighbour) bool {
	for _, n := range heard {
		right := true
		for _, f := range e.fields() {
			right = right && (*f.want == "" || *f.want == f.of(n))
		}
		if right {
			return true
		}
	}
	return false
}

// String is what is expected, in a few words.
func (e *ExpectedNeighbour) String() string {
	var words []string
	for _, f := range e.fields() {
		if *f.want != "" {
			words = append(words, f.name+" "+*f.want)
		}
	}
	return strings.Join(words, ", ")
}

// Others says who was heard instead, in a few words.
func (e *ExpectedNeighbour) Others(heard []Neighbour) string {
	if len(heard) == 0 {
		return "nobody is heard by LLDP"
	}
	var all []string
	for _, n := range heard {
		var words []string
		for _, f := range e.fields() {
			if *f.want != "" {
				words = append(words, f.name+" "+orWords(f.of(n), "unknown"))
			}
		}
		all = append(all, strings.Join(words, ", "))
	}
	return "there is " + strings.Join(all, "; ")
}

func mergeNeighbour(n, e *HostNic) {
	if e.ExpectedNeighbour == nil {
		return
	}
	if n.ExpectedNeighbour == nil {
		n.ExpectedNeighbour = &ExpectedNeighbour{}
	}
	given := e.ExpectedNeighbour.fields()
	for i, f := range n.ExpectedNeighbour.fields() {
		setString(f.want, *given[i].want)
	}
	if e.ExpectedNeighbour.Required != nil {
		n.ExpectedNeighbour.Required = clonePointer(e.ExpectedNeighbour.Required)
	}
}

func unsetNeighbour(n *HostNic, rest []string) {
	if len(rest) == 0 || n.ExpectedNeighbour == nil {
		n.ExpectedNeighbour = nil
		return
	}
	if rest[0] == "required" {
		n.ExpectedNeighbour.Required = nil
	}
	for _, f := range n.ExpectedNeighbour.fields() {
		if f.name == rest[0] {
			*f.want = ""
		}
	}
}

func cloneNeighbour(e *ExpectedNeighbour) *ExpectedNeighbour {
	e = clonePointer(e)
	if e != nil {
		e.Required = clonePointer(e.Required)
	}
	return e
}

func equalNeighbour(a, b *ExpectedNeighbour) bool {
	return a == b || a != nil && b != nil && a.String() == b.String() && alike(a.Required, b.Required)
}

// canonicalizeNeighbour writes MACs as they are told, and forgets what expects nothing.
func (n *HostNic) canonicalizeNeighbour() {
	e := n.ExpectedNeighbour
	if e == nil {
		return
	}
	for _, id := range []*string{&e.ChassisID, &e.PortID} {
		if m, err := ParseMAC(*id); err == nil {
			*id = m.String()
		}
	}
	if *e == (ExpectedNeighbour{}) {
		n.ExpectedNeighbour = nil
	}
}

// longestNeighbour is what LLDP has room for in each of the texts (IEEE 802.1AB-2016,
// 8.5.2 to 8.5.7).
const longestNeighbour = 255

func checkNeighbour(k *checker) {
	for _, n := range k.nics {
		e := n.ExpectedNeighbour
		if e == nil {
			continue
		}
		if kind := n.Kind(); kind != KindNIC {
			k.refuse(n.at("expected_neighbour"), Problem{Found: e.String(), Allowed: "NICs",
				Message: fmt.Sprintf("%s is a %s and has no cable of its own: expect the neighbour at the NICs below it", n.Name, kind)})
			continue
		}
		if e.String() == "" {
			k.refuse(n.at("expected_neighbour"), Problem{Allowed: "system_name, chassis_id, port_id, port_description",
				Message: "nothing is said of the neighbour that is expected: give one of these, or unset it"})
		}
		for _, f := range e.fields() {
			if len(*f.want) > longestNeighbour {
				k.refuse(n.at("expected_neighbour."+f.name), Problem{Found: *f.want, Allowed: fmt.Sprintf("at most %d bytes", longestNeighbour),
					Message: "no neighbour can say as much by LLDP: correct it"})
			}
		}
	}
}
