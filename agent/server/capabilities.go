package server

import (
	"context"
	"slices"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/plan"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// The limits that package netcfg holds documents to.
const (
	vlanIDMin = 1
	vlanIDMax = 4094
	mtuMin    = 68
	nameBytes = 15
)

type capabilitiesService struct {
	hostnicv1.UnimplementedCapabilitiesServiceServer
	server *Server
}

// GetCapabilities says what may be asked of this host.
func (c *capabilitiesService) GetCapabilities(context.Context, *hostnicv1.GetCapabilitiesRequest) (*hostnicv1.GetCapabilitiesResponse, error) {
	s := c.server
	resp := &hostnicv1.GetCapabilitiesResponse{
		BootProtocols:     words(netcfg.BootNone, netcfg.BootStatic, netcfg.BootDHCP),
		Ipv6BootProtocols: words(netcfg.BootNone, netcfg.BootStatic, netcfg.BootDHCP, netcfg.BootAutoconf, netcfg.BootPolyDHCPAutoconf),
		HostNicStates:     []string{upDown(true), upDown(false)},
		BondModes:         netcfg.BondModes,
		BondOptions:       bondOptions(s.Features),
		BondNames:         slices.Concat(netcfg.BondNames, s.Engine.Limits.ExtraBondNames),
		Limits: &hostnicv1.Limits{NicsPerDocument: codec.MaxNics, DocumentBytes: codec.MaxDocument,
			VlanIdMin: vlanIDMin, VlanIdMax: vlanIDMax, MtuMin: mtuMin, NameBytes: nameBytes},
		Kernel: s.Features.Release, Version: s.Version, HostId: s.Engine.HostID,
	}
	for _, m := range s.Engine.Missing {
		resp.Missing = append(resp.Missing, &hostnicv1.Missing{Feature: m.Feature, Reason: m.Reason})
	}
	return resp, nil
}

func words(all ...netcfg.BootProtocol) []string {
	var out []string
	for _, b := range all {
		out = append(out, string(b))
	}
	return out
}

// bondOptions are the options of the bonding driver, without those that this
// kernel is known not to have.
func bondOptions(f Features) []*hostnicv1.BondOption {
	var out []*hostnicv1.BondOption
	for _, spec := range netcfg.BondOptions {
		o := &hostnicv1.BondOption{Name: spec.Name, Allowed: spec.Allowed(), DefaultValue: spec.Default, Disruption: disruption(spec.Class)}
		for _, mode := range netcfg.BondModes {
			if f.BondOptions == nil && spec.ValidIn(mode) || slices.Contains(f.BondOptions[mode], spec.Name) {
				o.Modes = append(o.Modes, mode)
			}
		}
		if len(o.Modes) > 0 {
			out = append(out, o)
		}
	}
	return out
}

func disruption(c netcfg.OptionClass) string {
	switch c {
	case netcfg.ClassDown:
		return plan.LinkDown.String()
	case netcfg.ClassSlavesOut:
		return plan.SlavesReleased.String()
	}
	return plan.Live.String()
}
