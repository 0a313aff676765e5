package server

import (
	"bytes"
	"context"
	"fmt"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg/state"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type nicService struct {
	hostnicv1.UnimplementedHostNicServiceServer
	server *Server
}

// nics are all NICs, from memory.
func (s *Server) nics(ctx context.Context) ([]*inventory.Nic, error) {
	v, err := s.Inventory.Current(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at the host: %w", err)
	}
	return v.Nics(), nil
}

func (s *Server) look(ctx context.Context) (state.Snapshot, error) {
	look, err := s.Look(ctx)
	if err != nil {
		return state.Snapshot{}, fmt.Errorf("look at the host: %w", err)
	}
	return look, nil
}

// ListHostNics returns all NICs.
func (n *nicService) ListHostNics(ctx context.Context, req *hostnicv1.ListHostNicsRequest) (*hostnicv1.ListHostNicsResponse, error) {
	nics, err := n.server.nics(ctx)
	if err != nil {
		return nil, err
	}
	resp := &hostnicv1.ListHostNicsResponse{}
	for _, one := range nics {
		resp.HostNics = append(resp.HostNics, n.server.nicToProto(one))
	}
	resp.Document, err = n.render(nics, nil, req.GetRender())
	return resp, err
}

// GetHostNic returns one NIC.
func (n *nicService) GetHostNic(ctx context.Context, req *hostnicv1.GetHostNicRequest) (*hostnicv1.GetHostNicResponse, error) {
	if req.GetNic() == "" {
		return nil, misused("nic-required", "say which NIC is meant, by name or id")
	}
	nics, err := n.server.nics(ctx)
	if err != nil {
		return nil, err
	}
	one := inventory.Find(nics, req.GetNic())
	if one == nil {
		return nil, noSuchNic(req.GetNic())
	}
	out := n.server.nicToProto(one)
	if req.GetStatistics() {
		if out.Statistics, err = n.statisticsOf(ctx, one.Name); err != nil {
			return nil, err
		}
	}
	document, err := n.render(nics, one, req.GetRender())
	return &hostnicv1.GetHostNicResponse{HostNic: out, Document: document}, err
}

func noSuchNic(ref string) error {
	return &engine.Error{Kind: engine.NotFound, Rule: "nic-unknown",
		Message: fmt.Sprintf("there is no NIC %s on this host; agentctl nics lists those that are there", printable(ref))}
}

// render writes all NICs, or one of them, as text.
func (n *nicService) render(nics []*inventory.Nic, one *inventory.Nic, f hostnicv1.DocumentFormat) ([]byte, error) {
	switch f {
	case hostnicv1.DocumentFormat_DOCUMENT_FORMAT_UNSPECIFIED:
		return nil, nil
	case hostnicv1.DocumentFormat_DOCUMENT_FORMAT_XML, hostnicv1.DocumentFormat_DOCUMENT_FORMAT_XML_V3:
	default:
		return nil, misused("render-unknown", "NICs are rendered as XML only; JSON and YAML are the mapping of the message")
	}
	var b bytes.Buffer
	x := newNicXML(n.server.Engine.HostID, nics, f == hostnicv1.DocumentFormat_DOCUMENT_FORMAT_XML_V3)
	if err := x.write(&b, one); err != nil {
		return nil, fmt.Errorf("write the NICs as XML: %w", err)
	}
	return b.Bytes(), nil
}

// Known is what an engine knows beside a look at the host.
func Known(e *engine.Engine, s state.Snapshot) inventory.Knowledge {
	sight := e.Sight(s)
	return inventory.Knowledge{
		Config: sight.Running, Links: sight.Links, Drift: sight.Differences(), Waiting: sight.Waiting, Memory: sight.Memory, Leases: sight.Leases, Leases6: sight.Leases6, ID: e.NicID,
	}
}
