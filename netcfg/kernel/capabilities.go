package kernel

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Capabilities are what this kernel can, and what this process may do with it.
type Capabilities struct {
	// Release as uname tells it.
	Release string
	// Admin is whether the process may change the network it is in.
	Admin bool
	// Bonds and VLANs are whether the kernel can make them.
	Bonds, VLANs bool
	// BondOptions are by mode the options that the kernel has there, of those in
	// netcfg.BondOptions and in their order. Nil when that could not be tried out.
	BondOptions map[string][]string
	// Missing says in a sentence each what is missing, and what brings it: a
	// module or a right.
	Missing []string
}

// Capabilities finds out by trying: bonds and VLANs by requests that the kernel is
// bound to refuse, but in different words; the options with bonds in a network
// namespace of their own, which takes CAP_SYS_ADMIN. The kernel loads its modules
// for that. The error is for when nothing could be found out.
func (k *Kernel) Capabilities(ctx context.Context) (Capabilities, error) {
	c := Capabilities{Release: release()}
	err := k.writer.talk(ctx, func(conn *socket) error {
		c.Admin = mayChange(conn)
		c.Bonds = c.Admin && knowsKind(conn, "bond")
		c.VLANs = c.Admin && knowsKind(conn, "vlan")
		return nil
	})
	if err != nil {
		return Capabilities{}, fmt.Errorf("capabilities: %w", err)
	}
	if !c.Admin {
		c.Missing = []string{"this process may not change the network: it needs CAP_NET_ADMIN"}
		return c, nil
	}
	if !c.VLANs {
		c.Missing = append(c.Missing, "this kernel cannot make VLANs: it needs the module 8021q")
	}
	if !c.Bonds {
		c.Missing = append(c.Missing, "this kernel cannot make bonds: it needs the module bonding")
		return c, nil
	}
	err = Scratch(Options{Patience: k.options.Patience}, func(scratch *Kernel) (err error) {
		c.BondOptions, err = tryOptions(ctx, scratch)
		return err
	})
	if errors.Is(err, unix.EPERM) {
		c.Missing = append(c.Missing, "this process may not make network namespaces, to try things out in: it needs CAP_SYS_ADMIN")
		return c, nil
	}
	if err != nil {
		return Capabilities{}, fmt.Errorf("capabilities: %w", err)
	}
	return c, nil
}

func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return text(u.Release[:])
}

// tryBase is the index of the first bond in the scratch namespace.
const tryBase = 100

// tryOptions makes a bond of each mode and looks what the kernel tells of it.
func tryOptions(ctx context.Context, k *Kernel) (map[string][]string, error) {
	var ops []plan.Op
	for i, mode := range netcfg.BondModes {
		ops = append(ops, plan.Op{Action: plan.LinkAdd, Kind: "bond", Index: tryBase + i, Name: fmt.Sprint("bond", i),
			Options: []plan.Option{{Name: "mode", Value: mode}, {Name: "ns_ip6_target", Value: "2001:db8::1"}}})
	}
	if err := k.Apply(ctx, ops); err != nil {
		return nil, err
	}
	s, err := k.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	options := map[string][]string{}
	for i, mode := range netcfg.BondModes {
		if l := s.Link(tryBase + i); l != nil && l.Bond != nil {
			options[mode] = optionsOf(l.Bond, mode)
		}
	}
	return options, nil
}

// optionsOf are the options that the kernel told of a scratch bond. An empty list of
// targets it does not tell, so that of IPv6 targets had one put in.
func optionsOf(b *state.Bond, mode string) []string {
	var names []string
	for _, spec := range netcfg.BondOptions {
		value, told := b.Options[spec.Name]
		if spec.Name == "ns_ip6_target" {
			told = value != ""
		}
		if told && spec.ValidIn(mode) {
			names = append(names, spec.Name)
		}
	}
	return names
}

// knowsKind asks for a link with the name of a directory, which is refused by every
// kernel, but with EOPNOTSUPP only by one that does not know the kind (rtnl_newlink
// in net/core/rtnetlink.c).
func knowsKind(conn *socket, kind string) bool {
	r, err := encode(plan.Op{Action: plan.LinkAdd, Name: "..", Kind: kind})
	if err != nil {
		return false
	}
	_, err = conn.get(r)
	return err != nil && !errors.Is(err, unix.EOPNOTSUPP)
}
