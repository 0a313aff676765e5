package server

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/hostnic/hostnic/agent/engine"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// Every method that the server has is in the table of roles, and the table names no
// other. What changes the configuration takes an operator.
func TestEveryMethodHasARole(t *testing.T) {
	h := newHost(t)
	var methods []string
	for service, info := range h.server.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			methods = append(methods, "/"+service+"/"+m.Name)
		}
	}
	for _, m := range methods {
		if _, ok := needed[m]; !ok {
			t.Errorf("%s has no role", m)
		}
	}
	for m, role := range needed {
		if !slices.Contains(methods, m) {
			t.Errorf("there is no method %s", m)
		}
		if role == Nobody {
			t.Errorf("%s is open to everybody", m)
		}
		change := slices.ContainsFunc([]string{"/Stage", "/Discard", "/Apply", "/Commit", "/Rollback", "/ExtendDeadline", "/RenewLease", "/ReleaseLease"}, func(end string) bool { return strings.HasSuffix(m, end) })
		if change != (role >= Operator) {
			t.Errorf("%s takes a %s", m, role)
		}
	}
}

func TestRole(t *testing.T) {
	group, readers := uint32(500), uint32(501)
	for name, tc := range map[string]struct {
		access   Access
		uid, gid uint32
		groups   []uint32
		want     Role
	}{
		"root":                      {Access{}, 0, 0, nil, Admin},
		"the agent's own user":      {Access{Owner: 99}, 99, 99, nil, Admin},
		"a stranger":                {Access{Operators: &group}, 1000, 1000, []uint32{4, 24}, Nobody},
		"a member":                  {Access{Operators: &group}, 1000, 1000, []uint32{4, 500}, Operator},
		"a member by primary group": {Access{Operators: &group}, 1000, 500, nil, Operator},
		"no such group":             {Access{}, 1000, 500, []uint32{500}, Nobody},
		"a reader":                  {Access{Operators: &group, Readers: &readers}, 1000, 1000, []uint32{501}, Reader},
		"in both groups":            {Access{Operators: &group, Readers: &readers}, 1000, 501, []uint32{500}, Operator},
		"root's group is not root":  {Access{}, 1000, 0, []uint32{0}, Nobody},
	} {
		if got := tc.access.role(tc.uid, tc.gid, tc.groups); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// dialAs connects as another user: the kernel notes the ids of the thread that
// connects. The thread is thrown away.
func dialAs(uid, gid int, groups []int) func(context.Context, string) (net.Conn, error) {
	return func(_ context.Context, path string) (net.Conn, error) {
		type result struct {
			conn net.Conn
			err  error
		}
		done := make(chan result, 1)
		go func() {
			runtime.LockOSThread()
			if syscall.Gettid() == syscall.Getpid() {
				// The first thread cannot be thrown away: let another one do it.
				conn, err := dialAs(uid, gid, groups)(context.Background(), path)
				runtime.UnlockOSThread()
				done <- result{conn, err}
				return
			}
			err := become(uid, gid, groups)
			var conn net.Conn
			if err == nil {
				conn, err = net.DialUnix("unix", nil, &net.UnixAddr{Name: strings.TrimPrefix(path, "unix:"), Net: "unix"})
			}
			done <- result{conn, err}
		}()
		r := <-done
		return r.conn, r.err
	}
}

// become changes the ids of this thread only, as the bare system calls do.
func become(uid, gid int, groups []int) error {
	list := make([]uint32, len(groups)+1)
	for i, g := range groups {
		list[i] = uint32(g)
	}
	for _, call := range [][4]uintptr{
		{syscall.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&list[0])), 0},
		{syscall.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)},
		{syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
	} {
		if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
			return errno
		}
	}
	runtime.KeepAlive(list)
	return nil
}

const nobody = 65534

// Who is neither root nor in the group: PERMISSION_DENIED by every method.
func TestFault_D5(t *testing.T) {
	h := newHost(t, func(_ *engine.Options, s *Options) {
		if os.Geteuid() != 0 {
			s.Access.Owner = nobody // whoever runs the test is a stranger
		}
	})
	conn := h.conn
	if os.Geteuid() == 0 {
		conn = h.dial(dialAs(nobody, nobody, nil))
	}
	_, err := hostnicv1.NewHostNicServiceClient(conn).ListHostNics(h.ctx(), &hostnicv1.ListHostNicsRequest{})
	wantCode(t, err, codes.PermissionDenied)
	_, err = hostnicv1.NewNetConfigServiceClient(conn).Stage(h.ctx(), staging("{}"))
	wantCode(t, err, codes.PermissionDenied)
	stream, err := hostnicv1.NewNetConfigServiceClient(conn).Apply(h.ctx(), &hostnicv1.ApplyRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	wantCode(t, err, codes.PermissionDenied)
	_, err = healthpb.NewHealthClient(conn).Check(h.ctx(), &healthpb.HealthCheckRequest{})
	wantCode(t, err, codes.PermissionDenied)
	look, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(h.ctx())
	if err == nil {
		_ = look.Send(&reflectionpb.ServerReflectionRequest{})
		_, err = look.Recv()
	}
	wantCode(t, err, codes.PermissionDenied)
	if h.kernel.Writes() != 0 {
		t.Error("the kernel was touched")
	}
}

// A member of the group, by a supplementary group, is an operator and is named.
func TestOperatorOfTheGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	group := uint32(54321)
	h := newHost(t, func(_ *engine.Options, s *Options) { s.Access.Operators = &group })
	groups := []int{54321}
	for i := range 40 { // more than fit into the first answer
		groups = append(groups, 60000+i)
	}
	h.conn = h.dial(dialAs(54322, nobody, groups))
	h.config = hostnicv1.NewNetConfigServiceClient(h.conn)
	h.stage("host_nics: [{name: eth0, mtu: 1400}]")
	op, _, err := h.commit(nil, "")
	if err != nil || op.GetAuthor() != "uid:54322" {
		t.Errorf("%v, %v", op, err)
	}
}

func TestAdmit(t *testing.T) {
	h := newHost(t)
	const list = hostnicv1.HostNicService_ListHostNics_FullMethodName
	for name, tc := range map[string]struct {
		ctx    context.Context
		method string
		want   codes.Code
	}{
		"a reader reads":         {asCaller(Reader), list, codes.OK},
		"a reader changes":       {asCaller(Reader), hostnicv1.NetConfigService_Commit_FullMethodName, codes.PermissionDenied},
		"an operator changes":    {asCaller(Operator), hostnicv1.NetConfigService_Commit_FullMethodName, codes.OK},
		"an unlisted method":     {asCaller(Admin), "/hostnic.v1.Other/Do", codes.PermissionDenied},
		"nobody is known":        {context.Background(), list, codes.Unauthenticated},
		"other credentials":      {peer.NewContext(context.Background(), &peer.Peer{}), list, codes.Unauthenticated},
		"health is not for all":  {asCaller(Nobody), healthpb.Health_Watch_FullMethodName, codes.PermissionDenied},
		"nor is the reflection ": {asCaller(Nobody), reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName, codes.PermissionDenied},
	} {
		if got := status.Code(h.server.admit(tc.ctx, tc.method)); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// Connections over anything but a unix socket have no identity.
func TestNotAUnixSocket(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, _, err := (peerCredentials{}).ServerHandshake(a); !errors.Is(err, errNotUnix) {
		t.Errorf("pipe: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, caller, err := (peerCredentials{}).ServerHandshake(server); err == nil {
		t.Errorf("over TCP somebody is %v", caller)
	}
}

func asCaller(r Role) context.Context {
	return peer.NewContext(context.Background(), &peer.Peer{AuthInfo: Caller{UID: 1000, Name: "somebody", Role: r}})
}

var infoApply = &grpc.StreamServerInfo{FullMethod: hostnicv1.NetConfigService_Apply_FullMethodName}

func panics(any, grpc.ServerStream) error { panic("a fault") }

// strangerStream is a stream of which only the context is looked at.
type strangerStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *strangerStream) Context() context.Context     { return s.ctx }
func (*strangerStream) SetHeader(metadata.MD) error    { return nil }
func (*strangerStream) SendMsg(any) error              { return nil }
func (*strangerStream) RecvMsg(any) error              { return nil }
func (*strangerStream) SendHeader(_ metadata.MD) error { return nil }
func (*strangerStream) SetTrailer(_ metadata.MD)       {}
