package server

import (
	"time"

	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// nicToProto tells times by a wall clock that says when the machine was booted.
func nicToProto(n *inventory.Nic, booted time.Time) *hostnicv1.HostNic {
	out := wishToProto(&netcfg.HostNic{
		Name: n.Name, ID: n.ID, Host: n.Host, Network: n.Network,
		IP: n.IP, IPv6: n.IPv6, AdditionalIPs: n.AdditionalIPs, BootProtocol: n.BootProtocol, IPv6BootProtocol: n.IPv6Boot,
		VLAN: n.VLAN, BaseInterface: n.Base, Bonding: n.Bonding, ExpectedNeighbour: n.ExpectedNeighbour,
	})
	if n.MAC != "" {
		out.Mac = &hostnicv1.Mac{Address: n.MAC}
	}
	if n.MTU != 0 {
		out.Mtu = int32Of(&n.MTU)
	}
	out.Kind, out.PermanentMac = n.Kind, n.PermMAC
	out.Speed, out.Duplex = n.Speed, n.Duplex
	out.Status = &hostnicv1.Status{State: upDown(n.Up)}
	out.OperState, out.Carrier = n.OperState, n.Carrier
	if n.Present {
		out.CarrierUps, out.CarrierDowns = &n.CarrierUps, &n.CarrierDowns
		out.Index, out.AdminState = int32Of(&n.Index), upDown(n.AdminUp)
	}
	out.Master, out.ActiveSlave = n.Master, n.ActiveSlave
	out.AdAggregatorId, out.AdPartnerMac = int32Of(n.Aggregator), n.PartnerMAC
	for _, a := range n.Addresses {
		out.Addresses = append(out.Addresses, &hostnicv1.Address{Address: a.Prefix, Owner: a.Owner, State: a.State, Protocol: a.Protocol})
	}
	out.Lease, out.Ipv6Lease = leaseToProto(n.Lease, booted), leaseToProto(n.Lease6, booted)
	out.Drift = driftToProto(n.Drift)
	out.Waiting, out.Owner = n.Waiting, n.Owner
	out.BusPath, out.Driver, out.AbsentReasons = n.BusPath, n.Driver, n.Absent
	out.Firmware, out.Autonegotiation, out.AdPorts = n.Firmware, n.Autoneg, int32Of(n.Ports)
	if s := n.Slave; s != nil {
		out.SlaveState, out.MiiStatus, out.LinkFailures = s.State, s.MIIStatus, &s.Failures
		out.LacpActorState, out.LacpPartnerState = s.Actor, s.Partner
	}
	return out
}

func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func driftToProto(all []plan.Drift) []*hostnicv1.Drift {
	var out []*hostnicv1.Drift
	for _, d := range all {
		out = append(out, &hostnicv1.Drift{Field: netcfg.Printable(d.Field), Wanted: netcfg.Printable(d.Wanted), Actual: netcfg.Printable(d.Actual),
			Hint: netcfg.Printable(d.Hint)})
	}
	return out
}

func waitingToProto(all []plan.Waiting) []*hostnicv1.Waiting {
	var out []*hostnicv1.Waiting
	for _, w := range all {
		out = append(out, &hostnicv1.Waiting{Nic: netcfg.Printable(w.Nic), Reason: netcfg.Printable(w.Reason)})
	}
	return out
}
