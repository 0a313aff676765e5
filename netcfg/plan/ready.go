package plan

import (
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Unready is what a host that is as wanted still lacks to be of use: NICs that are not
// there, carriers, partners that speak LACP, IPv6 addresses that the kernel is still
// checking for duplicates (RFC 4862, 5.4). Of a bond's slaves nothing is asked.
func Unready(in Intent, s state.Snapshot) []Waiting {
	out := slices.Clone(in.Waiting)
	tentative := map[int]string{}
	for _, a := range s.Addresses {
		if a.Flags&state.FlagTentative != 0 && a.Flags&state.FlagDADFailed == 0 && !a.LinkLocal() {
			tentative[a.Link] = a.Prefix.Addr().String()
		}
	}
	for _, w := range in.Links {
		l := s.Link(w.Index)
		if l == nil || !w.Up || w.NoAddresses || w.Restored {
			continue
		}
		wait := func(reason string) { out = append(out, Waiting{w.Name, reason}) }
		switch {
		case !l.Carrier:
			wait("it has no carrier")
		case !Aggregated(l):
			wait("nobody speaks LACP at the other end")
		case tentative[w.Index] != "":
			wait("the kernel is checking whether another host has " + tentative[w.Index])
		}
	}
	return out
}

// Duplicates are the addresses that stay although another host on the link has them, and
// that the kernel therefore does not use, each with its NIC. Those of servers are declined.
func Duplicates(in Intent, s state.Snapshot) (out []string) {
	for i := range in.Links {
		w := &in.Links[i]
		for _, have := range s.AddressesOf(w.Index) {
			wanted := slices.ContainsFunc(w.Addresses, func(a state.Address) bool { return a.Prefix == have.Prefix })
			lent := w.DHCP6 && have.Prefix.IsSingleIP()
			if wanted && !lent && have.Valid == state.Forever && have.Flags&state.FlagDADFailed != 0 {
				out = append(out, w.Name+": another host on the link has "+have.Prefix.Addr().String())
			}
		}
	}
	return out
}

// Aggregated is false of a bond in mode 802.3ad while nobody speaks LACP at the other
// end.
func Aggregated(l *state.Link) bool {
	return l.Bond == nil || l.Bond.Options["mode"] != netcfg.Mode8023AD || partnered(l.Bond.AD)
}

func partnered(ad *state.AggregatorInfo) bool {
	return ad != nil && ad.PartnerMAC != "" && ad.PartnerMAC != "00:00:00:00:00:00"
}
