package plan

import (
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// enslave puts slaves in, in document order. A slave has to be down for that, as a
// request of its own: one request for both left the slave down in some kernels.
// The bond brings it up and gives it its MTU and MAC.
func (b *builder) enslave() {
	for _, bond := range b.in.Links {
		have := b.now.links[bond.Index]
		if bond.Kind != netcfg.KindBond || have == nil || have.Bond == nil {
			continue
		}
		for _, s := range bond.Slaves {
			slave := b.now.links[s]
			switch {
			case slave == nil:
			case slave.Master != bond.Index:
				b.enslaveOne(bond, slave)
			case b.left[s]:
			default:
				b.keepSlave(bond, slave)
			}
		}
		b.lastPrimary(bond, have)
	}
}

func (b *builder) enslaveOne(bond Link, slave *state.Link) {
	if slave.AdminUp {
		b.do(Op{Action: LinkSet, Index: slave.Index, Name: slave.Name, Up: no()})
		b.disrupt(slave.Index, LinkDown, "becomes a slave of "+bond.Name)
	}
	b.do(Op{Action: LinkSet, Index: slave.Index, Name: slave.Name, Master: &bond.Index, MasterName: bond.KernelName})
}

// keepSlave mends what somebody did to a slave: the driver takes an MTU on a slave
// alone and does not tell the others.
func (b *builder) keepSlave(bond Link, slave *state.Link) {
	if bond.MTU != 0 && slave.MTU != bond.MTU {
		b.do(Op{Action: LinkSet, Index: slave.Index, Name: slave.Name, MTU: bond.MTU})
	}
	if !slave.AdminUp {
		b.do(Op{Action: LinkSet, Index: slave.Index, Name: slave.Name, Up: yes()})
	}
}

// lastPrimary sets the primary once it is a slave: before that the driver only
// remembers it, and reads as if it had none.
func (b *builder) lastPrimary(bond Link, have *state.Link) {
	want := bond.Options["primary"]
	if want == "" || have.Bond.Options["primary"] == want {
		return
	}
	opts := []Option{{"primary", want}}
	if index := b.primary(bond, opts); index != 0 {
		b.do(Op{Action: LinkSet, Index: bond.Index, Name: have.Name, Options: opts, PrimaryIndex: index})
	}
}

func (b *builder) basesUp() {
	for _, l := range b.in.Links {
		have := b.now.links[l.Index]
		if have != nil && !isVLAN(l) && l.Up && !have.AdminUp && !l.NoAddresses {
			b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, Up: yes()})
		}
	}
}

// vlans makes new VLANs complete, and changes old ones. What was clamped by a
// smaller parent is raised here again.
func (b *builder) vlans() {
	b.room(2)
	for _, l := range b.in.Links {
		if !isVLAN(l) {
			continue
		}
		have := b.now.links[l.Index]
		switch {
		case have == nil && l.New:
			b.newVLAN(l)
		case have == nil:
		default:
			if l.MAC != "" && l.MAC != have.MAC {
				b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, MAC: l.MAC})
			}
			if l.MTU != 0 && l.MTU != have.MTU {
				b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, MTU: l.MTU})
			}
			b.linkLocal(l)
		}
	}
}

// newVLAN leaves the MAC out where it is the parent's: a VLAN that was given none
// goes on following its parent.
func (b *builder) newVLAN(l Link) {
	parent := b.now.links[l.Parent]
	op := Op{Action: LinkAdd, Index: l.Index, Name: l.KernelName, Kind: "vlan", Parent: l.Parent, VLANID: l.VLANID, Group: OwnerGroup}
	if parent != nil {
		op.ParentName = parent.Name
		if l.MTU != parent.MTU {
			op.MTU = l.MTU
		}
		if l.MAC != parent.MAC {
			op.MAC = l.MAC
		}
	}
	if l.NoLinkLocal == nil || !*l.NoLinkLocal {
		op.Up = yes()
	}
	b.do(op)
	b.linkLocal(l)
}

func (b *builder) vlansUp() {
	b.room(1)
	for _, l := range b.in.Links {
		have := b.now.links[l.Index]
		if have != nil && isVLAN(l) && l.Up && !have.AdminUp {
			b.do(Op{Action: LinkSet, Index: l.Index, Name: have.Name, Up: yes()})
		}
	}
}
