package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/user"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/hostnic/hostnic/agent/remote"
	"github.com/hostnic/hostnic/netcfg"
)

// Access says who may do what, by what the kernel tells of the process at the
// other end of the socket.
type Access struct {
	// Owner is the uid that the agent runs as. It is trusted like root, which
	// matters only where it is not root.
	Owner uint32
	// Operators is the gid of the group whose members may change the
	// configuration; nil where there is no such group.
	Operators *uint32
	// Readers is that of the group whose members may look.
	Readers *uint32
}

// Role is what a caller may do. Each role may do what the roles before it may.
type Role int

// The roles.
const (
	Nobody   Role = iota
	Reader        // look
	Operator      // change the configuration
	Admin         // everything
)

// String is the word used in messages.
func (r Role) String() string { return [...]string{"nobody", "reader", "operator", "admin"}[r] }

// Caller is the process at the other end of a connection, as it was when it
// connected, or whoever has the certificate that came over the network.
type Caller struct {
	// UID, GID, Groups and PID are those of a process on this host.
	UID, GID uint32
	// Groups are the supplementary groups.
	Groups []uint32
	PID    int32
	// Name is the user's name, or uid:1000 for a uid that has none, or the identity in
	// the certificate.
	Name string
	Role Role
	// Accepted is when the connection was.
	Accepted time.Time
	// chain and from, the address, are those of a caller from the network.
	chain *remote.Chain
	from  string
}

// client tells the process from others, whatever connection it uses; empty where the
// kernel cannot name it, because it is of another PID namespace. From the network each
// connection is one of its own.
func (c Caller) client() string {
	switch {
	case c.chain != nil:
		return fmt.Sprintf("%s (%s)", c.Name, c.from)
	case c.PID == 0:
		return ""
	}
	return fmt.Sprintf("%s (process %d)", c.Name, c.PID)
}

// proof is how it is known who calls.
func (c Caller) proof() string {
	if c.chain != nil {
		return fmt.Sprintf("certificate of %s, from %s", c.Name, c.from)
	}
	return fmt.Sprintf("uid %d (%s), process %d", c.UID, c.Name, c.PID)
}

// AuthType is for credentials.AuthInfo.
func (c Caller) AuthType() string {
	if c.chain != nil {
		return "tls"
	}
	return "peercred"
}

// GetCommonAuthInfo tells grpc that nobody else reads a local socket, or TLS.
func (Caller) GetCommonAuthInfo() credentials.CommonAuthInfo {
	return credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
}

// role decides from uid and groups alone.
func (a Access) role(uid, gid uint32, groups []uint32) Role {
	switch {
	case uid == 0, uid == a.Owner:
		return Admin
	case a.Operators != nil && (gid == *a.Operators || slices.Contains(groups, *a.Operators)):
		return Operator
	case a.Readers != nil && (gid == *a.Readers || slices.Contains(groups, *a.Readers)):
		return Reader
	}
	return Nobody
}

// peerCredentials asks the kernel who is at the other end of a unix socket. grpc
// has nothing of the kind (grpc-go#3004).
type peerCredentials struct{ access Access }

var errNotUnix = errors.New("only callers on a unix socket can be told apart")

func (p peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	local, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, nil, errNotUnix
	}
	raw, err := local.SyscallConn()
	if err != nil {
		return nil, nil, fmt.Errorf("peer credentials: %w", err)
	}
	accepted := time.Now()
	var c Caller
	var asked error
	if err := raw.Control(func(fd uintptr) { c, asked = ask(int(fd)) }); err != nil {
		asked = err
	}
	if asked != nil {
		return nil, nil, fmt.Errorf("peer credentials: %w", asked)
	}
	c.Name, c.Role, c.Accepted = userName(c.UID), p.access.role(c.UID, c.GID, c.Groups), accepted
	return conn, c, nil
}

// ask gets what the kernel noted when the peer connected: a process cannot borrow
// another's pid for it, nor gain by a change of its groups afterwards.
func ask(fd int) (Caller, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Caller{}, fmt.Errorf("SO_PEERCRED: %w", err)
	}
	groups, err := peerGroups(fd)
	if err != nil {
		return Caller{}, fmt.Errorf("SO_PEERGROUPS: %w", err)
	}
	return Caller{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid, Groups: groups}, nil
}

// peerGroups reads SO_PEERGROUPS (unix(7), since Linux 4.13), for which x/sys has no
// function. The kernel says how much room it wants when there is too little.
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 32)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == unix.ERANGE && int(size/4) > len(groups):
			groups = make([]uint32, size/4)
		case errno == unix.ENODATA: // no credentials were noted
			return nil, nil
		case errno != 0:
			return nil, errno
		default:
			return groups[:size/4], nil
		}
	}
}

func userName(uid uint32) string {
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		return netcfg.Printable(u.Username)
	}
	return fmt.Sprintf("uid:%d", uid)
}

func (peerCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("these credentials are for servers")
}

func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "peercred"}
}

func (p peerCredentials) Clone() credentials.TransportCredentials { return p }

// OverrideServerName is a part of the interface that nobody uses any more.
func (peerCredentials) OverrideServerName(string) error { return nil }

// callerOf is who makes the call; ok is false when nobody asked.
func callerOf(ctx context.Context) (c Caller, ok bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return c, false
	}
	c, ok = p.AuthInfo.(Caller)
	return c, ok
}
