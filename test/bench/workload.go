package main

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
)

// workload is a configuration that is applied, looked at again, changed in one
// place and taken away.
type workload struct {
	name, text string
	ports      []string
	bonds      []bond
	vlans      []vlan
	mtu        int
	gateway    string
}

type bond struct {
	name   string
	slaves []string
}

type vlan struct {
	parent string
	id     int
	v4, v6 string // with prefix length; v6 may be empty
}

func (v vlan) name() string { return fmt.Sprintf("%s.%d", v.parent, v.id) }

// miimon of all bonds, in milliseconds.
const miimon = 100

// change is what the one change is about: the last VLAN, on whose address no
// gateway depends, and its new address in the same subnet.
func (w workload) change() (vlan, string) {
	v := w.vlans[len(w.vlans)-1]
	return v, strings.TrimSuffix(v.v4, ".1/24") + ".200/24"
}

// vlans is n VLANs on one NIC, an IPv4 address each.
func vlans(n int) workload {
	w := workload{name: fmt.Sprintf("%d VLANs", n), text: "on one NIC, an IPv4 address each", ports: []string{"eth0"}, mtu: 1500}
	for i := range n {
		w.vlans = append(w.vlans, vlan{parent: "eth0", id: i + 1, v4: fmt.Sprintf("10.%d.%d.1/24", i>>8, i&255)})
	}
	return w
}

// rack is five bonds of two, twenty VLANs on each, both families, jumbo frames.
func rack() workload {
	w := workload{name: "rack", text: "5 bonds of 2 slaves, 20 VLANs on each, IPv4 and IPv6 on these, MTU 9000, a default route", mtu: 9000, gateway: "10.0.0.254"}
	for b := range 5 {
		name := fmt.Sprintf("bond%d", b)
		slaves := []string{fmt.Sprintf("eth%d", 2*b), fmt.Sprintf("eth%d", 2*b+1)}
		w.ports = append(w.ports, slaves...)
		w.bonds = append(w.bonds, bond{name, slaves})
		for i := range 20 {
			w.vlans = append(w.vlans, vlan{parent: name, id: i + 1, v4: fmt.Sprintf("10.%d.%d.1/24", b, i), v6: fmt.Sprintf("fd00:%x:%x::1/64", b+1, i+1)})
		}
	}
	return w
}

// cables makes the NICs: ends of veth pairs, their far ends up.
func (w workload) cables() error {
	for _, p := range w.ports {
		l := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "far-" + p}
		l.Name = p
		if err := netlink.LinkAdd(l); err != nil {
			return err
		}
		far, err := netlink.LinkByName(l.PeerName)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(far); err != nil {
			return err
		}
	}
	return nil
}

// perDocument is how many NICs a document may have.
const perDocument = 1000

// documents are the configuration as the agent takes it.
func (w workload) documents() ([][]byte, error) {
	nics := w.nics()
	var out [][]byte
	for len(nics) > 0 {
		n := min(perDocument, len(nics))
		doc, err := json.Marshal(map[string]any{"host_nics": nics[:n]})
		if err != nil {
			return nil, err
		}
		out, nics = append(out, doc), nics[n:]
	}
	return out, nil
}

func (w workload) nics() []map[string]any {
	var nics []map[string]any
	for _, b := range w.bonds {
		nics = append(nics, map[string]any{"name": b.name, "mtu": w.mtu, "bonding": map[string]any{
			"options": map[string]any{"mode": "active-backup", "miimon": miimon}, "slaves": b.slaves}})
	}
	for i, v := range w.vlans {
		nic := map[string]any{"name": v.name(), "vlan": map[string]any{"id": v.id}, "base_interface": v.parent}
		ip := address(v.v4)
		if i == 0 && w.gateway != "" {
			ip["gateway"] = w.gateway
		}
		nic["ip"] = ip
		if v.v6 != "" {
			a, n, _ := net.ParseCIDR(v.v6)
			prefix, _ := n.Mask.Size()
			nic["ipv6"] = map[string]any{"address": a.String(), "prefix": prefix}
		}
		nics = append(nics, nic)
	}
	return nics
}

func address(prefix string) map[string]any {
	a, n, _ := net.ParseCIDR(prefix)
	return map[string]any{"address": a.String(), "netmask": net.IP(n.Mask).String()}
}

// removal takes everything away.
func (w workload) removal() ([]byte, error) {
	var names []string
	for _, v := range w.vlans {
		names = append(names, v.name())
	}
	for _, b := range w.bonds {
		names = append(names, b.name)
	}
	return json.Marshal(map[string]any{"removed": names})
}

// oneChange is the one change as a document.
func (w workload) oneChange() ([]byte, error) {
	v, changed := w.change()
	return json.Marshal(map[string]any{"host_nics": []any{map[string]any{"name": v.name(), "ip": address(changed)}}})
}
