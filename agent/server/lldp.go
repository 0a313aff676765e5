package server

import (
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/agent/lldp"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// nicToProto is a NIC, and who is at the other end of its cable.
func (s *Server) nicToProto(n *inventory.Nic) *hostnicv1.HostNic {
	out := nicToProto(n, s.booted())
	out.Lldp = s.neighboursOf(n)
	return out
}

func (s *Server) neighboursOf(n *inventory.Nic) (out []string) {
	for _, neighbour := range s.Neighbours() {
		if n.Present && neighbour.Index == n.Index {
			out = append(out, neighbour.Summary())
		}
	}
	return out
}

// ListLldpNeighbours returns who is at the other ends of the cables.
func (n *nicService) ListLldpNeighbours(ctx context.Context, req *hostnicv1.ListLldpNeighboursRequest) (*hostnicv1.ListLldpNeighboursResponse, error) {
	wanted := map[int]bool{}
	if len(req.GetNics()) > 0 {
		nics, err := n.server.nics(ctx)
		if err != nil {
			return nil, err
		}
		for _, ref := range req.GetNics() {
			one := inventory.Find(nics, ref)
			if one == nil {
				return nil, noSuchNic(ref)
			}
			below(nics, one, wanted)
		}
	}
	resp := &hostnicv1.ListLldpNeighboursResponse{}
	all := n.server.Neighbours()
	for i := range all {
		if len(req.GetNics()) == 0 || wanted[all[i].Index] {
			resp.Neighbours = append(resp.Neighbours, neighbourToProto(&all[i]))
		}
	}
	return resp, nil
}

// below notes a NIC and those that it stands on. What stands on itself is noted once.
func below(nics []*inventory.Nic, n *inventory.Nic, into map[int]bool) {
	if into[n.Index] {
		return
	}
	into[n.Index] = true
	names := []string{n.Base}
	if n.Bonding != nil {
		names = append(names, n.Bonding.Slaves...)
	}
	for _, name := range names {
		if i := slices.IndexFunc(nics, func(o *inventory.Nic) bool { return o.Name == name && o.Present }); name != "" && i >= 0 {
			below(nics, nics[i], into)
		}
	}
}

func neighbourToProto(n *lldp.Neighbour) *hostnicv1.LldpNeighbour {
	out := &hostnicv1.LldpNeighbour{
		Nic: printable(n.Nic), Mac: n.MAC, ChassisIdKind: n.Chassis.Kind, ChassisId: n.Chassis.Value, PortIdKind: n.Port.Kind, PortId: n.Port.Value,
		Ttl: durationpb.New(n.TTL), FirstHeard: timestamppb.New(n.First), LastHeard: timestamppb.New(n.Last),
		PortDescription: n.PortDescription, SystemName: n.SystemName, SystemDescription: n.SystemDescription,
		Capabilities: n.Capabilities, EnabledCapabilities: n.Enabled, ManagementAddresses: n.Management, PortVlanId: int32Of(n.PVID),
	}
	for _, v := range n.VLANs {
		out.Vlans = append(out.Vlans, &hostnicv1.LldpVlan{Id: int32(v.ID), Name: v.Name}) //nolint:gosec // 12 bits
	}
	if a := n.Aggregation; a != nil {
		out.Aggregation = &hostnicv1.LldpAggregation{Capable: a.Capable, Enabled: a.Enabled}
		if a.Port != 0 {
			out.Aggregation.Port = new(int64(a.Port))
		}
	}
	if n.MaxFrame != 0 {
		out.MaxFrameSize = int32Of(&n.MaxFrame)
	}
	return out
}
