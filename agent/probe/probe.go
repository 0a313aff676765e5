// Package probe reaches out from the host by sockets.
package probe

import (
	"context"
	"errors"
	"net"
	"os"
)

// TCP makes connections from the network namespace of the calling thread.
type TCP struct{}

// Connect makes a TCP connection to host:port and closes it again; a name is looked
// up each time. It waits until ctx ends at most. The error is short, and wraps that
// of the system: ENETUNREACH where no route leads there.
func (TCP) Connect(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		return conn.Close()
	}
	var op *net.OpError
	var call *os.SyscallError
	switch {
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &op):
		return op.Err
	}
	return err
}
