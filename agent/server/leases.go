package server

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hostnic/hostnic/agent/inventory"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// RenewLease has the lease of a NIC asked for again.
func (n *nicService) RenewLease(ctx context.Context, req *hostnicv1.RenewLeaseRequest) (*hostnicv1.RenewLeaseResponse, error) {
	lease, lease6, err := n.server.withLeases(ctx, req.GetNic(), n.server.Engine.RenewLease)
	return &hostnicv1.RenewLeaseResponse{Lease: lease, Ipv6Lease: lease6}, err
}

// ReleaseLease gives the lease of a NIC back.
func (n *nicService) ReleaseLease(ctx context.Context, req *hostnicv1.ReleaseLeaseRequest) (*hostnicv1.ReleaseLeaseResponse, error) {
	lease, lease6, err := n.server.withLeases(ctx, req.GetNic(), n.server.Engine.ReleaseLease)
	return &hostnicv1.ReleaseLeaseResponse{Lease: lease, Ipv6Lease: lease6}, err
}

// withLeases does something about the leases of a NIC, and says where its clients were
// then.
func (s *Server) withLeases(ctx context.Context, ref string, do func(context.Context, string) error) (v4, v6 *hostnicv1.Lease, err error) {
	if ref == "" {
		return nil, nil, misused("nic-required", "say which NIC is meant, by name or id")
	}
	nics, err := s.nics(ctx)
	if err != nil {
		return nil, nil, err
	}
	one := inventory.Find(nics, ref)
	if one == nil {
		return nil, nil, noSuchNic(ref)
	}
	if err := do(ctx, one.Name); err != nil {
		return nil, nil, err
	}
	// What the engine has heard is in the inventory a little later.
	if err := s.Inventory.Renew(ctx); err != nil {
		return nil, nil, fmt.Errorf("look at the host: %w", err)
	}
	if nics, err = s.nics(ctx); err != nil {
		return nil, nil, err
	}
	if one = inventory.Find(nics, ref); one == nil {
		return nil, nil, nil
	}
	return leaseToProto(one.Lease, s.booted()), leaseToProto(one.Lease6, s.booted()), nil
}

// booted is when the machine was, by the wall clock of now: the times of leases are
// measured from then.
func (s *Server) booted() time.Time { return time.Now().Add(-s.Engine.Clock()) }

func leaseToProto(l *inventory.Lease, booted time.Time) *hostnicv1.Lease {
	if l == nil {
		return nil
	}
	at := func(t time.Duration) *timestamppb.Timestamp {
		if t == 0 {
			return nil
		}
		return timestamppb.New(booted.Add(t))
	}
	var lent []*hostnicv1.LeaseAddress
	for _, a := range l.Addresses {
		lent = append(lent, &hostnicv1.LeaseAddress{Address: a.Address, PreferredUntil: at(a.Preferred), Expires: at(a.Expires)})
	}
	return &hostnicv1.Lease{
		Addresses: lent, ServerId: l.ServerID,
		State: l.State, Address: l.Address, Server: l.Server, Gateways: l.Gateways, Routes: l.Routes, Dns: l.DNS, Ntp: l.NTP,
		Domain: l.Domain, Search: l.Search, HostName: l.HostName, Mtu: int32Of(l.MTU),
		Obtained: at(l.Obtained), RenewAt: at(l.RenewAt), RebindAt: at(l.RebindAt), Expires: at(l.Expires), NextTry: at(l.NextTry),
		Tries: int32(l.Tries), Refusal: printable(l.Refusal), Trouble: printable(l.Trouble),
	}
}
