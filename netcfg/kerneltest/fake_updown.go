package kerneltest

import "syscall"

// setUp is dev_open and NETDEV_UP.
func (f *Fake) setUp(l *link) *refusal {
	if l.Up() {
		return nil
	}
	if l.parent != nil {
		if !l.parent.Up() {
			return refuse(syscall.ENETDOWN, "")
		}
		f.inheritMAC(l)
	}
	l.AdminUp = true
	if l.bond == nil && f.wantCarrier(l) {
		f.setCarrier(l, true)
	}
	f.addConnected4(l)
	f.ipv6Up(l)
	if l.v6 && l.carrier {
		// Here already, because a bond may lose its carrier when it looks.
		f.becomeReady(l)
	}
	// vlan_device_event: all VLANs come up, those too that were set down by hand.
	for _, v := range l.vlans {
		_ = f.setUp(v)
	}
	return nil
}

// setDown is dev_close and NETDEV_DOWN: all routes by way of the link go, and
// its IPv6 addresses; its IPv4 addresses stay. Its VLANs go down with it.
func (f *Fake) setDown(l *link) {
	if !l.Up() {
		return
	}
	l.AdminUp = false
	if l.bond == nil {
		f.setCarrier(l, false)
	}
	f.flushRoutes(l, true)
	f.ipv6Down(l)
	for _, v := range l.vlans {
		f.setDown(v)
	}
}

// setCarrier is netif_carrier_on and netif_carrier_off.
func (f *Fake) setCarrier(l *link, on bool) {
	if l.carrier == on {
		return
	}
	l.carrier = on
	if on {
		l.CarrierUps++
	} else {
		l.CarrierDowns++
	}
}

// wantCarrier is whether there is a signal from below, for all but bonds. A VLAN
// that is down follows its parent, too, but not while that is down.
func (f *Fake) wantCarrier(l *link) bool {
	switch {
	case l.parent != nil:
		if !l.parent.Up() {
			return l.carrier
		}
		return l.parent.carrier
	case !l.Up():
		return false
	case l.Kind == kindBridge:
		for _, p := range l.ports {
			if p.Up() && p.carrier {
				return true
			}
		}
		return false
	}
	return l.cable
}

// settle lets the kernel's own work come to rest: carrier goes up through bonds,
// VLANs and bridges, bonds look at their slaves, and links that have become
// ready get their link-local address.
func (f *Fake) settle() {
	for moved := true; moved; {
		moved = false
		for _, l := range f.links {
			if l.bond != nil {
				moved = f.monitor(l) || moved
			} else if want := f.wantCarrier(l); want != l.carrier {
				f.setCarrier(l, want)
				moved = true
			}
		}
	}
	for _, l := range f.links {
		if l.v6 && !l.ready && l.Up() && l.carrier && l.slave == nil {
			f.becomeReady(l)
		}
	}
}
