package server

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/inventory"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/plan"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type configService struct {
	hostnicv1.UnimplementedNetConfigServiceServer
	server *Server
}

// GetConfig returns one of the configurations.
func (c *configService) GetConfig(ctx context.Context, req *hostnicv1.GetConfigRequest) (*hostnicv1.GetConfigResponse, error) {
	selector, err := selectorFromProto(req.GetConfig())
	if err != nil {
		return nil, err
	}
	config, revision, err := c.server.Engine.Config(ctx, selector)
	if err != nil {
		return nil, err
	}
	document, err := c.render(ctx, config, req.GetRender())
	return &hostnicv1.GetConfigResponse{Config: configToProto(config), Revision: revision, Document: document}, err
}

// render writes a configuration as text that Stage takes back.
func (c *configService) render(ctx context.Context, config netcfg.Config, f hostnicv1.DocumentFormat) ([]byte, error) {
	how, ok := formats[f]
	switch {
	case !ok:
		return nil, unknownFormat(f)
	case how.format == codec.Auto:
		return nil, nil
	}
	options := codec.EncodeOptions{Version: how.version, List: true}
	if how.format == codec.XML {
		nics, err := c.server.nics(ctx)
		if err != nil {
			return nil, err
		}
		options.ID = func(name string) string {
			if n := inventory.Find(nics, name); n != nil {
				return n.ID
			}
			return netcfg.NicID(c.server.Engine.HostID, "name:"+name)
		}
	}
	var b bytes.Buffer
	if err := codec.Encode(&b, config, how.format, options); err != nil {
		return nil, fmt.Errorf("write the configuration as %s: %w", how.format, err)
	}
	return b.Bytes(), nil
}

// Import describes what is on the host.
func (c *configService) Import(ctx context.Context, req *hostnicv1.ImportRequest) (*hostnicv1.ImportResponse, error) {
	config, warnings, err := c.server.Engine.Import(ctx, req.GetNics())
	if err != nil {
		return nil, err
	}
	document, err := c.render(ctx, config, req.GetRender())
	return &hostnicv1.ImportResponse{Config: configToProto(config), Document: document, Warnings: problemsToProto(warnings)}, err
}

// Stage merges documents into the candidate.
func (c *configService) Stage(ctx context.Context, req *hostnicv1.StageRequest) (*hostnicv1.StageResponse, error) {
	documents, err := c.documents(ctx, req.GetDocuments())
	if err != nil {
		return nil, err
	}
	defer c.server.health.refresh()
	res, err := c.server.Engine.Stage(ctx, engine.StageRequest{
		Documents: documents, Replace: req.GetReplace(), BaseRevision: req.BaseRevision, ValidateOnly: req.GetValidateOnly(),
	})
	if err != nil {
		return nil, err
	}
	return &hostnicv1.StageResponse{Revision: res.Revision, Warnings: problemsToProto(res.Warnings)}, nil
}

// documents decodes all documents, and tells the problems of all of them.
func (c *configService) documents(ctx context.Context, all []*hostnicv1.Document) ([]netcfg.Document, error) {
	var nics []*inventory.Nic
	var out []netcfg.Document
	var problems netcfg.Problems
	for _, d := range all {
		name := ""
		if d.GetNic() != "" {
			if nics == nil {
				var err error
				if nics, err = c.server.nics(ctx); err != nil {
					return nil, err
				}
			}
			if n := inventory.Find(nics, d.GetNic()); n != nil {
				name = n.Name
			}
		}
		doc, err := documentFromProto(d, name)
		var ps netcfg.Problems
		switch {
		case errors.As(err, &ps):
			problems = append(problems, ps...)
		case err != nil:
			return nil, err
		}
		out = append(out, doc)
	}
	return out, problems.Err()
}

// Discard forgets what is staged.
func (c *configService) Discard(ctx context.Context, _ *hostnicv1.DiscardRequest) (*hostnicv1.DiscardResponse, error) {
	defer c.server.health.refresh()
	revision, err := c.server.Engine.Discard(ctx)
	if err != nil {
		return nil, err
	}
	return &hostnicv1.DiscardResponse{Revision: revision}, nil
}

// Plan shows what an apply would do.
func (c *configService) Plan(ctx context.Context, req *hostnicv1.PlanRequest) (*hostnicv1.PlanResponse, error) {
	to, err := selectorFromProto(req.GetTo())
	if err != nil {
		return nil, err
	}
	var from *engine.Selector
	if req.GetFrom() != nil {
		selector, err := selectorFromProto(req.GetFrom())
		if err != nil {
			return nil, err
		}
		from = &selector
	}
	paths, err := paths(ctx, req.GetPaths())
	if err != nil {
		return nil, err
	}
	res, err := c.server.Engine.Plan(ctx, to, from, paths)
	if err != nil {
		return nil, err
	}
	return &hostnicv1.PlanResponse{Plan: planToProto(res)}, nil
}

// Check says whether an apply would be taken.
func (c *configService) Check(ctx context.Context, req *hostnicv1.CheckRequest) (*hostnicv1.CheckResponse, error) {
	paths, err := paths(ctx, req.GetPaths())
	if err != nil {
		return nil, err
	}
	res, err := c.server.Engine.Check(ctx, paths)
	if err != nil {
		return nil, err
	}
	return &hostnicv1.CheckResponse{Plan: planToProto(res)}, nil
}

// ListRevisions returns the commits.
func (c *configService) ListRevisions(ctx context.Context, _ *hostnicv1.ListRevisionsRequest) (*hostnicv1.ListRevisionsResponse, error) {
	all, err := c.server.Engine.Revisions(ctx)
	if err != nil {
		return nil, err
	}
	resp := &hostnicv1.ListRevisionsResponse{}
	for i := range all {
		resp.Revisions = append(resp.Revisions, revisionToProto(&all[i]))
	}
	return resp, nil
}

// GetStatus says where the host stands. It answers even where the host cannot be
// looked at, because then it is needed most.
func (c *configService) GetStatus(ctx context.Context, _ *hostnicv1.GetStatusRequest) (*hostnicv1.GetStatusResponse, error) {
	e := c.server.Engine
	sight := engine.Sight{View: e.View()}
	look, err := c.server.look(ctx)
	if err == nil {
		sight = e.Sight(look)
	}
	resp := &hostnicv1.GetStatusResponse{
		StagedRevision: sight.StagedRevision, StagedChanges: sight.StagedChanges,
		CommittedRevision: sight.CommittedRevision, Uncommitted: sight.Uncommitted,
		Waiting: waitingToProto(sight.Waiting), Version: c.server.Version,
		Pending:     pendingToProto(sight.Pending, e.Clock()),
		Incomplete:  incompleteToProto(sight.Incomplete, e.Clock()),
		DriftPolicy: string(cmp.Or(e.DriftPolicy, engine.DriftReport)), LeftAlone: sight.LeftAlone,
		Remote: c.server.Remote.toProto(), StateLost: sight.Lost,
	}
	for _, d := range sight.Drift {
		one := driftToProto([]plan.Drift{d.Drift})[0]
		one.Since = timestamppb.New(d.Since)
		resp.Drift = append(resp.Drift, one)
	}
	for _, d := range sight.Degraded {
		resp.Degraded = append(resp.Degraded, oneLineText(d))
	}
	if err != nil {
		resp.Degraded = append(resp.Degraded, oneLine(err))
	}
	resp.Degraded = append(resp.Degraded, c.server.Remote.problems()...)
	if all := e.Operations(); len(all) > 0 {
		resp.Operation = operationToProto(&all[0])
	}
	return resp, nil
}
