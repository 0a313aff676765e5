package server

import (
	"context"

	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/hostnic/hostnic/agent/engine"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// health is the standard health service. The whole, and what only reads, serve
// while the agent runs; NetConfigService does not while every change is refused, a
// change could not be taken back, or the host has not been brought to its configuration
// yet.
type health struct {
	*grpchealth.Server
	engine *engine.Engine
}

func newHealth(e *engine.Engine) *health {
	h := &health{grpchealth.NewServer(), e}
	h.refresh()
	return h
}

func (h *health) register(to grpc.ServiceRegistrar) { healthpb.RegisterHealthServer(to, h) }

// refresh tells watchers what has changed. It is called wherever the engine may
// have become able or unable to write.
func (h *health) refresh() {
	h.SetServingStatus(hostnicv1.HostNicService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	h.SetServingStatus(hostnicv1.DoctorService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	h.SetServingStatus(hostnicv1.CapabilitiesService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	writes := healthpb.HealthCheckResponse_NOT_SERVING
	select {
	case <-h.engine.Ready():
		if h.engine.View().Writable() {
			writes = healthpb.HealthCheckResponse_SERVING
		}
	default:
	}
	h.SetServingStatus(hostnicv1.NetConfigService_ServiceDesc.ServiceName, writes)
}

// Check answers for now.
func (h *health) Check(ctx context.Context, req *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	h.refresh()
	return h.Server.Check(ctx, req)
}

// List answers for now.
func (h *health) List(ctx context.Context, req *healthpb.HealthListRequest) (*healthpb.HealthListResponse, error) {
	h.refresh()
	return h.Server.List(ctx, req)
}

// Watch begins with what is so now.
func (h *health) Watch(req *healthpb.HealthCheckRequest, stream healthpb.Health_WatchServer) error {
	h.refresh()
	return h.Server.Watch(req, stream)
}
