package probe

import (
	"context"
	"net"
	"syscall"
	"testing"
	"time"

	"errors"
)

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	for range 2 {
		if err := (TCP{}).Connect(t.Context(), address); err != nil {
			t.Error(err)
		}
		// A new connection each time, and a closed one.
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("read %d, %v", n, err)
		}
		conn.Close()
	}
	l.Close()
	if err := (TCP{}).Connect(t.Context(), address); !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "connection refused" {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if err := (TCP{}).Connect(ctx, address); err == nil {
		t.Error("connected after the time was over")
	}
}
