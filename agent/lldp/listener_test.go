package lldp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a socket on which a test says what comes.
type wire struct {
	frames chan []byte
	closed chan struct{}
}

func (w *wire) read(buf []byte) (int, net.HardwareAddr, error) {
	select {
	case f := <-w.frames:
		return copy(buf, f), net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0x99}, nil
	case <-w.closed:
		return 0, nil, io.EOF
	}
}

func (w *wire) close() { close(w.closed) }

// listening runs a listener on wires, in a bubble of time.
func listening(t *testing.T, test func(l *Listener, on func(int) *wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		wires := map[int]*wire{}
		l := New(slog.New(slog.DiscardHandler))
		l.open = func(p Port) (conn, error) {
			if p.Name == "broken" {
				return nil, errors.New("it cannot be opened")
			}
			wires[p.Index] = &wire{make(chan []byte), make(chan struct{})}
			return wires[p.Index], nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if err := l.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		test(l, func(index int) *wire { synctest.Wait(); return wires[index] })
		cancel()
		<-ended
	})
}

func pdu(port, seconds string) []byte {
	return []byte(chassis + tlv(tlvPort, "\x05"+port) + tlv(tlvTTL, seconds) + end)
}

func known(l *Listener) string {
	synctest.Wait()
	out := ""
	for _, n := range l.Neighbours() {
		out += fmt.Sprint(n.Nic, " ", n.Port.Value, ";")
	}
	return out
}

func TestListener(t *testing.T) {
	listening(t, func(l *Listener, on func(int) *wire) {
		want := func(when, want string) {
			t.Helper()
			if got := known(l); got != want {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		l.Update([]Port{{2, "eth0"}, {3, "eth1"}, {9, "broken"}})
		on(2).frames <- pdu("a", "\x00\x78")
		on(3).frames <- pdu("b", "\x00\x3c")
		on(3).frames <- []byte("nonsense")
		want("both", "eth0 a;eth1 b;")
		time.Sleep(59 * time.Second)
		want("just in time", "eth0 a;eth1 b;")
		time.Sleep(time.Second)
		want("one is over", "eth0 a;")
		on(2).frames <- pdu("a", "\x00\x78")
		time.Sleep(119 * time.Second)
		want("refreshed", "eth0 a;")
		if n := l.Neighbours()[0]; n.Last.Sub(n.First).Round(time.Second) != time.Minute {
			t.Errorf("first heard %v, last %v", n.First, n.Last)
		}
		on(2).frames <- pdu("c", "\x00\x78")
		want("two on one cable", "eth0 a;eth0 c;")
		on(2).frames <- pdu("a", "\x00\x00")
		want("leave taken", "eth0 c;")
		first := on(2)
		l.Update([]Port{{2, "renamed"}})
		want("of another name", "")
		if on(2) == first {
			t.Error("the socket is the old one")
		}
		on(2).frames <- pdu("c", "\x00\x78")
		l.Update(nil)
		want("down", "")
	})
}

// Somebody who makes up neighbours does not drive out the one that was first, nor fill the
// memory.
func TestListenerBounded(t *testing.T) {
	listening(t, func(l *Listener, on func(int) *wire) {
		l.Update([]Port{{2, "eth0"}})
		began := time.Now()
		for i := range 100 {
			on(2).frames <- pdu(fmt.Sprintf("port%03d", i), "\xff\xff")
		}
		synctest.Wait()
		all := l.Neighbours()
		if len(all) != mostNeighbours || all[0].Port.Value != "port000" {
			t.Errorf("%d neighbours, the first %v", len(all), all[0].Port)
		}
		if took := time.Since(began); took < 99*framePause {
			t.Errorf("100 frames are read in %v", took)
		}
	})
}
