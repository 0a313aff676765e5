package server

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/hostnic/hostnic/agent/engine"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// needed is the role that each method asks for. What is not here nobody may call,
// and a test sees to it that nothing is missing.
var needed = map[string]Role{
	hostnicv1.HostNicService_ListHostNics_FullMethodName:       Reader,
	hostnicv1.HostNicService_GetHostNic_FullMethodName:         Reader,
	hostnicv1.HostNicService_WatchHostNics_FullMethodName:      Reader,
	hostnicv1.HostNicService_GetStatistics_FullMethodName:      Reader,
	hostnicv1.HostNicService_ListLldpNeighbours_FullMethodName: Reader,
	hostnicv1.HostNicService_RenewLease_FullMethodName:         Operator,
	hostnicv1.HostNicService_ReleaseLease_FullMethodName:       Operator,

	hostnicv1.NetConfigService_GetConfig_FullMethodName:      Reader,
	hostnicv1.NetConfigService_Import_FullMethodName:         Reader,
	hostnicv1.NetConfigService_Stage_FullMethodName:          Operator,
	hostnicv1.NetConfigService_Discard_FullMethodName:        Operator,
	hostnicv1.NetConfigService_Plan_FullMethodName:           Reader,
	hostnicv1.NetConfigService_Check_FullMethodName:          Reader,
	hostnicv1.NetConfigService_Apply_FullMethodName:          Operator,
	hostnicv1.NetConfigService_Commit_FullMethodName:         Operator,
	hostnicv1.NetConfigService_Rollback_FullMethodName:       Operator,
	hostnicv1.NetConfigService_ExtendDeadline_FullMethodName: Operator,
	hostnicv1.NetConfigService_GetOperation_FullMethodName:   Reader,
	hostnicv1.NetConfigService_ListOperations_FullMethodName: Reader,
	hostnicv1.NetConfigService_ListRevisions_FullMethodName:  Reader,
	hostnicv1.NetConfigService_GetStatus_FullMethodName:      Reader,

	hostnicv1.CapabilitiesService_GetCapabilities_FullMethodName: Reader,

	hostnicv1.DoctorService_Examine_FullMethodName: Reader,

	grpc_health_v1.Health_Check_FullMethodName: Reader,
	grpc_health_v1.Health_List_FullMethodName:  Reader,
	grpc_health_v1.Health_Watch_FullMethodName: Reader,

	grpc_reflection_v1.ServerReflection_ServerReflectionInfo_FullMethodName: Reader,
}

// tap refuses a call before anything of it is read: what grpc calls interceptors have
// the whole request by then, and a stranger's may be large. It is called with the
// connection held up, so that it must not wait.
func (s *Server) tap(ctx context.Context, call *tap.Info) (context.Context, error) {
	if _, listed := needed[call.FullMethodName]; !listed {
		return ctx, nil // there is no such method, or admit says the rest
	}
	if err := s.admit(ctx, call.FullMethodName); err != nil {
		return ctx, err
	}
	if caller, _ := callerOf(ctx); caller.chain != nil {
		return ctx, s.pace(caller, call.FullMethodName)
	}
	return ctx, nil
}

// admit refuses a caller who may not call the method.
func (s *Server) admit(ctx context.Context, method string) error {
	need, listed := needed[method]
	caller, known := callerOf(ctx)
	switch {
	case !known:
		return status.Error(codes.Unauthenticated, "it is not known who calls")
	case !listed:
		s.Log.Error("a method has no rule of access", "method", method)
		return status.Error(codes.PermissionDenied, "nobody may call "+method)
	case caller.chain != nil:
		return s.admitRemote(caller, method, need)
	case caller.Role < need:
		s.quiet.warn(s.Log, "call refused", "method", method, "user", caller.Name, "uid", caller.UID, "pid", caller.PID)
		return status.Errorf(codes.PermissionDenied, "%s may not do this: it takes a member of the agent's group, or root", caller.Name)
	}
	return nil
}

// admitRemote refuses a caller from the network, whose certificate may have become a bad
// one since it has connected.
func (s *Server) admitRemote(caller Caller, method string, need Role) error {
	if err := s.Remote.Certificates.Again(caller.chain); err != nil {
		s.quiet.warn(s.Log, "call refused", "method", method, "identity", caller.Name, "from", caller.from, "error", oneLine(err))
		return status.Errorf(codes.Unauthenticated, "the certificate of %s is not good any more: %s; connect again with one that is", caller.Name, oneLine(err))
	}
	if caller.Role < need {
		s.quiet.warn(s.Log, "call refused", "method", method, "identity", caller.Name, "from", caller.from, "role", caller.Role.String(), "needs", need.String())
		return status.Errorf(codes.PermissionDenied, "%s is %s and may not do this, which takes %s: roles in agent.yaml has who is what", caller.Name, caller.Role, need)
	}
	return nil
}

// pace refuses a caller from the network who calls too often.
func (s *Server) pace(caller Caller, method string) error {
	most := callRate
	if changing[method] {
		most = changeRate
	}
	if s.paces.take(caller.Name, most, time.Now()) {
		return nil
	}
	s.quiet.warn(s.Log, "call refused", "method", method, "identity", caller.Name, "from", caller.from, "error", "too many calls")
	return withDetails(status.Newf(codes.ResourceExhausted, "%s calls too often: %v a second is the most; wait a second and try again", caller.Name, most.second),
		&errdetails.ErrorInfo{Reason: "rate", Domain: domain})
}

// changing are the calls that may take the host's network away.
var changing = map[string]bool{
	hostnicv1.NetConfigService_Apply_FullMethodName:    true,
	hostnicv1.NetConfigService_Commit_FullMethodName:   true,
	hostnicv1.NetConfigService_Rollback_FullMethodName: true,
}

// unary is around each call with one answer.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	began := time.Now()
	defer func() { s.note(info.FullMethod, began, err) }()
	if err := s.admit(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			resp, err = nil, s.panicked(info.FullMethod, r)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, longestCall)
	defer cancel()
	resp, err = handle(ctx, req)
	s.audit(ctx, info.FullMethod, req, resp, err)
	if err == nil {
		s.met(ctx, info.FullMethod, began)
	}
	return resp, s.statusOf(err)
}

// note tells of a call that has ended.
func (s *Server) note(method string, began time.Time, err error) {
	if s.Called != nil {
		s.Called(method, status.Code(err).String(), time.Since(began))
	}
}

// met tells the engine of a call that has been answered, by whoever may change the
// configuration.
func (s *Server) met(ctx context.Context, method string, began time.Time) {
	caller, known := callerOf(ctx)
	if known && caller.Role >= Operator && strings.HasPrefix(method, "/hostnic.") {
		s.Engine.Met(engine.Contact{Client: caller.client(), Accepted: caller.Accepted, Began: began})
	}
}

// stream is around each call with many answers.
func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	began := time.Now()
	defer func() { s.note(info.FullMethod, began, err) }()
	if err := s.admit(ss.Context(), info.FullMethod); err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			err = s.panicked(info.FullMethod, r)
		}
	}()
	if !strings.HasPrefix(info.FullMethod, "/hostnic.") {
		// Who only watches does not keep the agent from stopping.
		ctx, cancel := context.WithCancel(ss.Context())
		defer cancel()
		defer context.AfterFunc(s.stopping, cancel)()
		ss = &endingStream{ss, ctx}
	}
	return s.statusOf(handle(srv, ss))
}

// endingStream is a stream with a context that ends earlier.
type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (e *endingStream) Context() context.Context { return e.ctx }

// panicked makes a fault of ours the end of one call and not of the agent. Nothing
// that the handlers share is left half changed: the engine's loop is not theirs.
func (s *Server) panicked(method string, r any) error {
	s.quiet.say(s.Log, slog.LevelError, "fault of the agent", "method", method, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	return status.Error(codes.Internal, "a fault of the agent ended this call, and nothing else; the agent's log has the details")
}
