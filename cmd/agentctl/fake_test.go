package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// fakeAgent answers every method of the API from files, first those of the test
// and then those of testdata/agent:
//
//	Method.json   an answer, or a list of them: all of them in a stream, else one a call
//	Method.error  the google.rpc.Status with which the call ends
//	Method.break  the call ends with all connections cut; "die" also ends the agent
//	Method.hang   there is no answer at all
//
// It writes what it was asked into the file requests, documents below their request.
type fakeAgent struct {
	dir    string
	socket string
	server *grpc.Server
	served chan error

	mu    sync.Mutex
	conns []net.Conn
	calls map[string]int
}

func startFakeAgent(dir string) (*fakeAgent, error) {
	a := newFakeAgent(dir)
	a.socket = filepath.Join(dir, "agent.sock")
	listener, err := net.Listen("unix", a.socket)
	if err != nil {
		return nil, err
	}
	a.serve(listener)
	return a, nil
}

func newFakeAgent(dir string, options ...grpc.ServerOption) *fakeAgent {
	a := &fakeAgent{dir: dir, calls: map[string]int{}, served: make(chan error, 1)}
	a.server = grpc.NewServer(append(options, grpc.UnknownServiceHandler(a.handle))...)
	return a
}

func (a *fakeAgent) serve(listener net.Listener) {
	go func() { a.served <- a.server.Serve(remembering{listener, a}) }()
}

func (a *fakeAgent) stop() {
	a.server.Stop()
}

// leaveSocket makes a socket on which nobody listens, as a killed agent does.
func leaveSocket(path string) error {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	return listener.Close()
}

// remembering keeps the connections, so that they can be cut.
type remembering struct {
	net.Listener
	agent *fakeAgent
}

func (l remembering) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.agent.mu.Lock()
		defer l.agent.mu.Unlock()
		l.agent.conns = append(l.agent.conns, conn)
	}
	return conn, err
}

func (a *fakeAgent) cut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, conn := range a.conns {
		conn.Close()
	}
	a.conns = nil
}

func (a *fakeAgent) handle(_ any, stream grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(stream)
	service, name, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service + "." + name))
	if err != nil {
		return err
	}
	method, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return fmt.Errorf("%s is no method", full)
	}
	request, err := a.receive(stream, method)
	if err != nil {
		return err
	}
	call := a.note(name, request)
	if a.has(name + ".hang") {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	if err := a.answer(stream, method, call); err != nil {
		return err
	}
	if how, err := a.own(name + ".break"); err == nil {
		if strings.Contains(string(how), "die") {
			go a.stop()
		}
		a.cut()
	}
	return a.failure(name)
}

func (a *fakeAgent) receive(stream grpc.ServerStream, method protoreflect.MethodDescriptor) (proto.Message, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
	if err != nil {
		return nil, err
	}
	request := kind.New().Interface()
	return request, stream.RecvMsg(request)
}

// note writes the request down and tells how often the method was called before.
func (a *fakeAgent) note(name string, request proto.Message) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	var documents [][]byte
	if stage, ok := request.(*hostnicv1.StageRequest); ok {
		for _, d := range stage.GetDocuments() {
			documents, d.Content = append(documents, d.GetContent()), nil
		}
	}
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(request)
	if err != nil {
		panic(err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		panic(err)
	}
	f, err := os.OpenFile(filepath.Join(a.dir, "requests"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "%s %s\n", name, line.Bytes())
	for _, document := range documents {
		fmt.Fprintf(f, "%s\n", bytes.TrimSuffix(document, []byte("\n")))
	}
	call := a.calls[name]
	a.calls[name]++
	return call
}

func (a *fakeAgent) own(name string) ([]byte, error) { return os.ReadFile(filepath.Join(a.dir, name)) }

func (a *fakeAgent) has(name string) bool {
	_, err := a.own(name)
	return err == nil
}

func (a *fakeAgent) failure(name string) error {
	if !a.has(name + ".error") {
		return nil
	}
	raw, err := a.own(name + ".error")
	if err != nil {
		return err
	}
	var s spb.Status
	if err := protojson.Unmarshal(raw, &s); err != nil {
		return status.Errorf(codes.Internal, "%s.error: %v", name, err)
	}
	return status.FromProto(&s).Err()
}

func (a *fakeAgent) answer(stream grpc.ServerStream, method protoreflect.MethodDescriptor, call int) error {
	name := string(method.Name())
	raw, err := a.own(name + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		if a.has(name+".error") || a.has(name+".break") {
			return nil
		}
		raw, err = os.ReadFile(filepath.Join("testdata", "agent", name+".json"))
	}
	if err != nil {
		return status.Errorf(codes.Unimplemented, "the fake agent has no answer: %v", err)
	}
	answers := []json.RawMessage{raw}
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		if err := json.Unmarshal(raw, &answers); err != nil {
			return status.Errorf(codes.Internal, "%s.json: %v", name, err)
		}
	}
	if !method.IsStreamingServer() {
		if a.has(name + ".error") {
			return nil
		}
		answers = answers[min(call, len(answers)-1):][:1]
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName())
	if err != nil {
		return err
	}
	for _, one := range answers {
		m := kind.New().Interface()
		if err := protojson.Unmarshal(one, m); err != nil {
			return status.Errorf(codes.Internal, "%s.json: %v", name, err)
		}
		if err := stream.SendMsg(m); err != nil {
			return err
		}
	}
	return nil
}

// agentFor is a fake agent for a test in this process, with these files.
func agentFor(t *testing.T, files map[string]string) *fakeAgent {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	agent, err := startFakeAgent(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(agent.stop)
	return agent
}
