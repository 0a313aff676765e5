package server

import (
	"context"

	"github.com/hostnic/hostnic/agent/doctor"
	"github.com/hostnic/hostnic/netcfg"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type doctorService struct {
	hostnicv1.UnimplementedDoctorServiceServer
	server *Server
}

// Examine looks for what is wrong on the host.
func (d *doctorService) Examine(ctx context.Context, _ *hostnicv1.ExamineRequest) (*hostnicv1.ExamineResponse, error) {
	findings, skipped, err := d.server.Options.Examine(ctx)
	if err != nil {
		return nil, err
	}
	resp := &hostnicv1.ExamineResponse{}
	for i := range findings {
		resp.Findings = append(resp.Findings, findingToProto(&findings[i]))
	}
	for _, s := range skipped {
		resp.Skipped = append(resp.Skipped, &hostnicv1.SkippedCheck{Rule: s.Rule, Reason: oneLineText(s.Reason)})
	}
	return resp, nil
}

func findingToProto(f *doctor.Finding) *hostnicv1.Finding {
	out := &hostnicv1.Finding{Rule: f.Rule, Weight: string(f.Weight), Nic: netcfg.Printable(f.Nic), What: oneLineText(f.What), Remedy: oneLineText(f.Do)}
	for _, e := range f.Evidence {
		out.Evidence = append(out.Evidence, oneLineText(e))
	}
	return out
}
