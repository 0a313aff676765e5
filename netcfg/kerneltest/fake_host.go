package kerneltest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// NIC is what AddNIC makes. The zero value is hardware with a MAC of its own, an
// MTU of 1500 and a range of 68 to 65535, and a cable that is plugged in.
type NIC struct {
	// MAC is the permanent MAC; empty for one that follows from the index.
	MAC string
	// Veth makes the end of a veth pair: no permanent MAC, and it can be deleted.
	Veth bool
	// Unplugged leaves out the cable.
	Unplugged bool
	// MACNeedsDown is a driver that takes a new MAC only while the NIC is down.
	MACNeedsDown bool
	// MTU, MinMTU and MaxMTU are 1500, 68 and 65535 where they are 0.
	MTU, MinMTU, MaxMTU int
	// Speed in bits per second; 0 is unknown.
	Speed int64
	// BusPath and Driver as in state.Link.
	BusPath, Driver string
}

// AddNIC plugs in a NIC. It is down. The index is returned.
func (f *Fake) AddNIC(name string, n NIC) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := &link{cable: !n.Unplugged, macNeedsDown: n.MACNeedsDown, v6: true}
	l.Link = state.Link{Name: name, Type: typeEthernet, Discovery: state.UsualDiscovery(), BusPath: n.BusPath, Driver: n.Driver,
		MTU: or(n.MTU, 1500), MinMTU: or(n.MinMTU, 68), MaxMTU: or(n.MaxMTU, 65535)}
	f.register(l)
	l.MAC = n.MAC
	if l.MAC == "" {
		l.MAC = fmt.Sprintf("52:54:00:00:%02x:%02x", l.Index>>8, l.Index&0xff)
	}
	if n.Veth {
		l.Kind, l.origin = kindVeth, random
	} else {
		l.PermMAC = l.MAC
	}
	if n.Speed != 0 {
		l.Speed, l.Duplex = &n.Speed, "full"
	}
	return l.Index
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Foreign performs operations as somebody else would: nobody counts, logs or
// injects them. With it a test puts in place what the agent does not own.
func (f *Fake) Foreign(ops ...plan.Op) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, op := range ops {
		if err := f.perform(op).opError(op); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// AddBond makes somebody else's bond: up, in the mode, with the slaves, which may
// be up.
func (f *Fake) AddBond(name, mode string, slaves ...string) (int, error) {
	up, down := true, false
	err := f.Foreign(plan.Op{Action: plan.LinkAdd, Name: name, Kind: kindBond, Options: []plan.Option{{Name: "mode", Value: mode}, {Name: "miimon", Value: "100"}}})
	index := f.Index(name)
	for _, s := range slaves {
		i := f.Index(s)
		err = errors.Join(err, f.Foreign(plan.Op{Action: plan.LinkSet, Index: i, Name: s, Up: &down},
			plan.Op{Action: plan.LinkSet, Index: i, Name: s, Master: &index, MasterName: name}))
	}
	return index, errors.Join(err, f.Foreign(plan.Op{Action: plan.LinkSet, Index: index, Name: name, Up: &up}))
}

// AddVLAN makes somebody else's VLAN, down.
func (f *Fake) AddVLAN(name, parent string, id int) (int, error) {
	err := f.Foreign(plan.Op{Action: plan.LinkAdd, Name: name, Kind: kindVLAN, Parent: f.Index(parent), ParentName: parent, VLANID: id})
	return f.Index(name), err
}

// AddBridge makes somebody else's bridge, and sets it and its ports up.
func (f *Fake) AddBridge(name string, ports ...string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := &link{Link: state.Link{Name: name, Kind: kindBridge, Type: typeEthernet, MTU: 1500, MinMTU: 68, MaxMTU: 65535, Discovery: state.UsualDiscovery()}, v6: true, origin: random}
	b.MAC = f.randomMAC()
	f.register(b)
	for _, p := range append(ports, name) {
		l := f.byName(p)
		if l != b {
			_ = f.setMaster(l, b.Index)
		}
		_ = f.setUp(l)
	}
	f.settle()
	return b.Index
}

func (f *Fake) joinBridge(b, l *link) *refusal {
	l.master = b
	b.ports = append(b.ports, l)
	return nil
}

func (f *Fake) leaveBridge(l *link) {
	l.master.ports = without(l.master.ports, l)
	l.master = nil
}

// Index finds a link by its name; 0 when there is none.
func (f *Fake) Index(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.byName(name); l != nil {
		return l.Index
	}
	return 0
}

// SetCarrier plugs a NIC's cable in or out.
func (f *Fake) SetCarrier(name string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.byName(name); l != nil {
		l.cable = on
		f.settle()
	}
}

// SetRAOther has a router say, or not, that DHCPv6 has more to tell than addresses.
func (f *Fake) SetRAOther(name string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.byName(name); l != nil {
		l.RAOther = on
	}
}

// Remove takes a link away as unplugging does: nobody is asked.
func (f *Fake) Remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.byName(name); l != nil {
		f.unregister([]*link{l})
		f.settle()
	}
}

// Rename gives a link another name, as udev does, and its labels with it. A slave
// that gets or loses the name of its bond's primary becomes or is no longer that.
func (f *Fake) Rename(name, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.byName(name)
	if l == nil || f.byName(to) != nil {
		return
	}
	l.Name = to
	for i := range l.ip4 {
		if rest, ok := strings.CutPrefix(l.ip4[i].Label, name); ok {
			l.ip4[i].Label = to + rest
		}
	}
	if l.slave != nil && l.master.bond.usesPrimary() {
		f.selectActive(l.master)
	}
	f.settle()
}
