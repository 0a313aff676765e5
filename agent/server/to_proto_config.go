package server

import (
	"github.com/hostnic/hostnic/netcfg"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

func configToProto(c netcfg.Config) *hostnicv1.Config {
	out := &hostnicv1.Config{}
	for _, n := range c.Networks {
		out.Networks = append(out.Networks, &hostnicv1.Network{Id: n.ID, Name: n.Name, Vlan: vlanToProto(n.VLAN), Mtu: int32Of(n.MTU), Bridged: n.Bridged})
	}
	for i := range c.HostNics {
		out.HostNics = append(out.HostNics, wishToProto(&c.HostNics[i]))
	}
	for _, r := range c.Routes {
		out.Routes = append(out.Routes, &hostnicv1.Route{Destination: r.Destination, Gateway: r.Gateway, Nic: r.NIC, Metric: int32Of(r.Metric), Table: int32Of(r.Table)})
	}
	if c.DNS != nil {
		out.Dns = &hostnicv1.Dns{Servers: c.DNS.Servers, Search: c.DNS.Search, StaticOnly: c.DNS.StaticOnly}
	}
	return out
}

// wishToProto is a configured NIC; the fields that are reported stay empty.
func wishToProto(n *netcfg.HostNic) *hostnicv1.HostNic {
	out := &hostnicv1.HostNic{
		Name: n.Name, Id: n.ID, Host: referenceToProto(n.Host), Network: referenceToProto(n.Network),
		Ip: ipToProto(n.IP), Ipv6: ipv6ToProto(n.IPv6), AdditionalIps: n.AdditionalIPs,
		BootProtocol: string(n.BootProtocol), Ipv6BootProtocol: string(n.IPv6BootProtocol),
		Mtu: int32Of(n.MTU), Vlan: vlanToProto(n.VLAN), BaseInterface: n.BaseInterface, Bonding: bondingToProto(n.Bonding),
	}
	if n.MAC != nil {
		out.Mac = &hostnicv1.Mac{Address: n.MAC.Address}
	}
	if e := n.ExpectedNeighbour; e != nil {
		out.ExpectedNeighbour = &hostnicv1.ExpectedNeighbour{SystemName: e.SystemName, ChassisId: e.ChassisID, PortId: e.PortID, PortDescription: e.PortDescription, Required: e.Required}
	}
	return out
}

func referenceToProto(r *netcfg.Reference) *hostnicv1.Reference {
	if r == nil {
		return nil
	}
	return &hostnicv1.Reference{Id: r.ID, Name: r.Name}
}

func ipToProto(i *netcfg.IP) *hostnicv1.Ip {
	if i == nil {
		return nil
	}
	return &hostnicv1.Ip{Address: i.Address, Netmask: i.Netmask, Gateway: i.Gateway}
}

func ipv6ToProto(i *netcfg.IPv6) *hostnicv1.Ipv6 {
	if i == nil {
		return nil
	}
	return &hostnicv1.Ipv6{Address: i.Address, Prefix: int32Of(i.Prefix), Gateway: i.Gateway}
}

func vlanToProto(v *netcfg.VLAN) *hostnicv1.Vlan {
	if v == nil {
		return nil
	}
	return &hostnicv1.Vlan{Id: int32Of(v.ID)}
}

// bondingToProto prints options as canonical words. How they were spelled, and
// oVirt's display text, is for XML.
func bondingToProto(b *netcfg.Bonding) *hostnicv1.Bonding {
	if b == nil {
		return nil
	}
	out := &hostnicv1.Bonding{Slaves: b.Slaves}
	for _, o := range b.Options {
		if out.Options == nil {
			out.Options = map[string]string{}
		}
		name, value := o.Name, o.Value
		if s, ok := netcfg.BondOptionSpec(o.Name); ok {
			name = s.Name
			if word, err := s.Canonical(o.Value); err == nil {
				value = word
			}
		}
		out.Options[name] = value
	}
	return out
}

// int32Of keeps absent and zero apart. What does not fit, which no valid
// configuration holds, is the nearest that does.
func int32Of(n *int) *int32 {
	if n == nil {
		return nil
	}
	v := int32(min(max(*n, -1<<31), 1<<31-1))
	return &v
}
