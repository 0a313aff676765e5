package server

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hostnic/hostnic/agent/remote"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// Remote is the API on the network.
type Remote struct {
	Certificates *remote.Certificates
	// Roles are what clients may do by their identity, as remote.Client has it. One that
	// ends in /* stands for all below it; the longest that fits counts.
	Roles map[string]Role

	gate      *remote.Gate
	mu        sync.Mutex
	addresses []string
	// failed are, by address, why the API is not there.
	failed map[string]string
}

// NewRemote makes one that listens nowhere yet.
func NewRemote(c *remote.Certificates, roles map[string]Role) *Remote {
	return &Remote{Certificates: c, Roles: roles, gate: remote.NewGate(), failed: map[string]string{}}
}

// role is what a client of that identity may do.
func (r *Remote) role(identity string) Role {
	if role, ok := r.Roles[identity]; ok {
		return role
	}
	for below := identity; ; {
		i := strings.LastIndexByte(below, '/')
		if i < 0 {
			return Nobody
		}
		below = below[:i]
		if role, ok := r.Roles[below+"/*"]; ok {
			return role
		}
	}
}

// Failed notes that the API cannot be had at an address, and why.
func (r *Remote) Failed(address string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed[address] = fmt.Sprintf("nobody is served at %s: %v", address, err)
}

func (r *Remote) opened(address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.failed, address)
	r.addresses = append(r.addresses, address)
	slices.Sort(r.addresses)
}

func (r *Remote) closed(address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addresses = slices.DeleteFunc(r.addresses, func(have string) bool { return have == address })
}

// Counts are how many clients are connected, and how many connections were refused.
func (r *Remote) Counts() (connections int, refused int64) { return r.gate.Counts() }

// toProto is nil where there is none.
func (r *Remote) toProto() *hostnicv1.Remote {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known, refused := r.Counts()
	out := &hostnicv1.Remote{Addresses: slices.Clone(r.addresses), Connections: int32(known), Refused: refused}
	if at, ok := r.Certificates.Expires(); ok {
		out.CertificateExpires = timestamppb.New(at)
	}
	return out
}

// problems are why it does not work as it should.
func (r *Remote) problems() (out []string) {
	if r == nil {
		return nil
	}
	if err := r.Certificates.Problem(); err != nil {
		out = append(out, oneLineText("remote API: "+err.Error()))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, why := range r.failed {
		out = append(out, oneLineText("remote API: "+why))
	}
	slices.Sort(out)
	return out
}

// ServeRemote answers clients with a certificate on a TCP listener, which it closes,
// until Serve has ended. The address is how it is called.
func (s *Server) ServeRemote(address string, listener net.Listener) error {
	s.Remote.opened(address)
	defer s.Remote.closed(address)
	return serving(listener, s.grpc.Serve(s.Remote.gate.Listen(listener)))
}

// doors tells callers apart by the door that they come through: processes of this host
// by what the kernel says of them, all others by their certificate.
type doors struct{ s *Server }

func (d doors) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if far, ok := conn.(*remote.Conn); ok && d.s.Remote != nil {
		return d.s.greet(far)
	}
	return peerCredentials{d.s.Access}.ServerHandshake(conn)
}

// greet lets a client in from the network. What is wrong with it is logged, as the
// client itself learns little of it.
func (s *Server) greet(conn *remote.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, client, err := s.Remote.Certificates.Handshake(conn)
	if err == nil {
		err = conn.Admit(client.Identity)
	}
	if err != nil {
		s.Remote.gate.Refused()
		s.quiet.warn(s.Log, "connection refused", "from", conn.RemoteAddr().String(), "error", oneLine(err))
		return nil, nil, err
	}
	return secure, Caller{Name: client.Identity, Role: s.Remote.role(client.Identity), Accepted: conn.Accepted, chain: client.Chain, from: conn.RemoteAddr().String()}, nil
}

func (doors) ClientHandshake(ctx context.Context, name string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return peerCredentials{}.ClientHandshake(ctx, name, conn)
}

func (doors) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls or peercred"}
}

func (d doors) Clone() credentials.TransportCredentials { return d }

// OverrideServerName is a part of the interface that nobody uses any more.
func (doors) OverrideServerName(string) error { return nil }

// longestCall is how long a call with one answer may take.
const longestCall = 5 * time.Minute
