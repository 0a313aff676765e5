package main

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// untold are fields that only follow from others.
var untold = []protoreflect.Name{"absent_reasons", "oper_state", "carrier_ups", "carrier_downs"}

// changeLine says what has become of an interface.
func changeLine(before, after *hostnicv1.HostNic) string {
	switch {
	case before == nil:
		state, _ := stateWords(after)
		return fmt.Sprintf("%s has come: %s, %s", after.GetName(), after.GetKind(), state)
	case after == nil:
		return before.GetName() + " has gone"
	}
	var parts []string
	fields := after.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if slices.Contains(untold, f.Name()) || proto.Equal(only(before, f), only(after, f)) {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %s → %s", f.Name(), fieldWords(before, f), fieldWords(after, f)))
	}
	if len(parts) == 0 { // it was, and is again
		parts = append(parts, flaps(before, after))
	}
	return after.GetName() + ": " + strings.Join(parts, ", ")
}

// flaps says what has happened between two looks.
func flaps(before, after *hostnicv1.HostNic) string {
	if lost := after.GetCarrierDowns() - before.GetCarrierDowns(); lost > 0 {
		return fmt.Sprintf("has lost its carrier for a moment, %d times", lost)
	}
	return "has changed"
}

// only is an interface with one of its fields.
func only(n *hostnicv1.HostNic, f protoreflect.FieldDescriptor) proto.Message {
	out := &hostnicv1.HostNic{}
	if m := n.ProtoReflect(); m.Has(f) {
		out.ProtoReflect().Set(f, m.Get(f))
	}
	return out
}

func fieldWords(n *hostnicv1.HostNic, f protoreflect.FieldDescriptor) string {
	m := n.ProtoReflect()
	if !m.Has(f) {
		return "none"
	}
	switch {
	case f.Name() == "speed":
		return speed(n.Speed)
	case f.Name() == "status":
		return n.GetStatus().GetState()
	case f.Name() == "mac":
		return n.GetMac().GetAddress()
	case f.Name() == "lease":
		return leaseWords(n.GetLease())
	case f.Name() == "ipv6_lease":
		return leaseWords(n.GetIpv6Lease())
	case f.Name() == "addresses":
		var all []string
		for _, a := range n.GetAddresses() {
			all = append(all, strings.TrimSpace(a.GetAddress()+" "+a.GetState()))
		}
		return strings.Join(all, " ")
	case f.Name() == "drift":
		var all []string
		for _, d := range n.GetDrift() {
			all = append(all, d.GetField())
		}
		return strings.Join(all, " ")
	case f.IsList():
		return fmt.Sprintf("%d of them", m.Get(f).List().Len())
	case f.Message() != nil:
		return messageWords(m.Get(f).Message())
	}
	return m.Get(f).String()
}

// messageWords are the values of a message in braces.
func messageWords(m protoreflect.Message) string {
	var parts []string
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		parts = append(parts, fmt.Sprintf("%s: %v", f.Name(), v))
		return true
	})
	slices.Sort(parts)
	return "{" + strings.Join(parts, ", ") + "}"
}
