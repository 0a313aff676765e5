package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// A request that says that it has 100 MB is refused by its first five bytes, and costs
// no memory.
func TestFault_D1_Remote(t *testing.T) {
	f := newFarHost(t)
	r := f.raw(f.ca.Client(theOperator))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := r.frame(frameHeaders, endHeaders, 1, call(hostnicv1.NetConfigService_Stage_FullMethodName)); err != nil {
		t.Fatal(err)
	}
	message := binary.BigEndian.AppendUint32([]byte{0}, 100<<20)
	if err := r.frame(frameData, 0, 1, append(message, make([]byte, 16000)...)); err != nil {
		t.Fatal(err)
	}
	answer, err := r.until(frameHeaders)
	runtime.ReadMemStats(&after)
	// grpc-status 8 is RESOURCE_EXHAUSTED; HPACK may have it in Huffman's code.
	if err != nil || len(answer) == 0 {
		t.Fatalf("no answer: %v", err)
	}
	if more := after.TotalAlloc - before.TotalAlloc; more > 8<<20 {
		t.Errorf("%d MiB were allocated", more>>20)
	}
	f.as(theOperator)
	_, err = f.config.Stage(f.ctx(), staging(strings.Repeat("#", 100<<20)))
	wantCode(t, err, codes.ResourceExhausted)
	if _, err := getStatus(f.ctx(), f.conn); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// good is a client that asks for the status again and again, on a new connection now
// and then, while others misbehave; it returns how long each call took.
func (f *farHost) good(ctx context.Context) (took []time.Duration) {
	// It tries again when it is not let in: on a machine that does a lot else a handshake
	// may take long enough for the agent to need its place for somebody else.
	patient := []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.WaitForReady(true)), grpc.WithConnectParams(grpc.ConnectParams{
		Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}, MinConnectTimeout: time.Second})}
	client := f.ca.Client(theReader).TLS(f.t, f.ca)
	conn := f.farWith(client, patient...)
	for i := 1; ctx.Err() == nil; i++ {
		if i%10 == 0 {
			_ = conn.Close()
			conn = f.farWith(client, patient...)
		}
		began := time.Now()
		one, cancel := context.WithTimeout(ctx, 20*time.Second)
		_, err := getStatus(one, conn)
		cancel()
		if err != nil && ctx.Err() == nil {
			f.t.Errorf("the good client: %v", err)
			return took
		}
		took = append(took, time.Since(began))
		wait(ctx, 25*time.Millisecond)
	}
	slices.Sort(took)
	return took
}

// besides runs the good client while something else goes on.
func (f *farHost) besides(something func()) []time.Duration {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	answers := make(chan []time.Duration, 1)
	go func() { answers <- f.good(ctx) }()
	something()
	cancel()
	took := <-answers
	if len(took) < 3 {
		f.t.Fatalf("the good client was answered %d times", len(took))
	}
	return took
}

// 1,000 connections that say nothing, or half of a greeting, or nonsense, beside one
// good client, who goes on making calls and new connections.
func TestHostileConnections(t *testing.T) {
	f := newFarHost(t)
	var open []net.Conn
	took := f.besides(func() {
		for i := range 1000 {
			conn, err := f.dialTCP()
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, conn)
			switch i % 4 {
			case 1:
				_, _ = conn.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}) // the head of a ClientHello
			case 2:
				_, _ = conn.Write(bytes.Repeat([]byte{0xff}, 100))
			}
		}
		time.Sleep(time.Second)
	})
	t.Logf("%d calls, the 99th percentile %v, the longest %v", len(took), took[len(took)*99/100], took[len(took)-1])
	// The goal is 100 ms; this is for a machine that does a lot else.
	if p := took[len(took)*99/100]; p > 2*time.Second {
		t.Errorf("the good client waits %v", p)
	}
	// Those that the agent keeps are few, and gone when their time is over.
	f.eventually("all of them are cut off", func() bool {
		for i, conn := range open {
			if i%4 == 3 { // looked at below
				continue
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := conn.Read(make([]byte, 200)); isTimeout(err) {
				return false
			}
		}
		return true
	})
	for _, conn := range open {
		conn.Close()
	}
	lines := f.log.With("connection refused\"")
	if len(lines) > 10*12 {
		t.Errorf("%d lines were logged", len(lines))
	}
}

func isTimeout(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}

// Many bad connections a second: at most ten lines a second, and one tells how many
// were left out. Every one is counted.
func TestFault_D24(t *testing.T) {
	f := newFarHost(t)
	began := time.Now()
	const flood = 300
	for range flood {
		conn, err := f.dialTCP()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte("GET /\r\n"))
		_, _ = conn.Read(make([]byte, 100))
		conn.Close()
	}
	f.eventually("all are counted", func() bool {
		_, refused := f.server.Remote.gate.Counts()
		return refused == flood
	})
	seconds := int(time.Since(began)/time.Second) + 1
	if n := len(f.log.With("connection refused")); n > 10*seconds || n < mostLines {
		t.Errorf("%d lines in %d s", n, seconds)
	}
	var q quiet
	now := time.Now()
	for i := range 100 {
		if _, ok := q.may("a", now); ok != (i < mostLines) {
			t.Fatalf("line %d: %v", i, ok)
		}
	}
	if left, ok := q.may("a", now.Add(time.Second)); !ok || left != 100-mostLines {
		t.Errorf("a second later: %v, %d left out", ok, left)
	}
	if left, ok := q.may("b", now); !ok || left != 0 {
		t.Error("one kind is held against another")
	}
}

// Pings without end, streams that are opened and reset at once, more streams than there
// may be, and headers that never end: the connection is ended or the stream refused, and
// the good client notices nothing.
func TestFault_D12(t *testing.T) {
	f := newFarHost(t)
	method := call(hostnicv1.HostNicService_WatchHostNics_FullMethodName)
	var both sync.WaitGroup
	took := f.besides(func() {
		both.Go(func() {
			r := f.raw(f.ca.Client("spiffe://test/readers/1"))
			for i := 0; i < 10000 && r.frame(framePing, 0, 0, make([]byte, 8)) == nil; i++ {
			}
			if payload, err := r.until(frameGoAway); err == nil && !bytes.Contains(payload, []byte("too_many_pings")) {
				t.Errorf("a flood of pings: %q", payload)
			}
			f.ended("a flood of pings", r)
		})
		both.Go(func() {
			r := f.raw(f.ca.Client("spiffe://test/readers/2"))
			go func() { _, _ = r.until(255) }() // so that no answer is in the way
			var err error
			for i := uint32(0); i < 5000 && err == nil; i++ {
				if err = r.frame(frameHeaders, endHeaders, 2*i+1, method); err == nil {
					err = r.frame(frameReset, 0, 2*i+1, []byte{0, 0, 0, 8})
				}
			}
			_ = r.Close()
		})
		both.Go(func() {
			r := f.raw(f.ca.Client("spiffe://test/readers/3"))
			go func() {
				for i := uint32(0); i < 10000; i++ {
					if r.frame(frameHeaders, endHeaders, 2*i+1, method) != nil {
						return
					}
				}
			}()
			// REFUSED_STREAM (RFC 9113 section 7) for the 65th.
			if payload, err := r.until(frameReset); err != nil || !bytes.Equal(payload, []byte{0, 0, 0, 7}) {
				t.Errorf("10,000 streams: %v, %v", payload, err)
			}
			_ = r.Close()
		})
		both.Go(func() {
			r := f.raw(f.ca.Client("spiffe://test/readers/4"))
			for i := 0; i < 30; i++ {
				if r.frame(frameHeaders, 0, 1, method[i:i+1]) != nil {
					break // HEADERS again where CONTINUATION is due is the end
				}
				time.Sleep(10 * time.Millisecond)
			}
			f.ended("headers by the byte", r)
		})
		both.Wait()
	})
	t.Logf("%d calls, the longest %v", len(took), took[len(took)-1])
	f.eventually("what they have begun is gone", func() bool {
		known, _ := f.server.Remote.gate.Counts()
		return known <= 2
	})
}

// ended waits for the end of a connection that the agent is to end.
func (f *farHost) ended(what string, r *raw) {
	f.t.Helper()
	_ = r.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		_, _, _, err := r.next()
		if isTimeout(err) {
			f.t.Errorf("%s: the connection goes on", what)
		}
		if err != nil {
			_ = r.Close()
			return
		}
	}
}

// A client that is let in and then says nothing of HTTP/2 is cut off in time, too.
func TestSilentAfterHandshake(t *testing.T) {
	f := newFarHost(t)
	began := time.Now()
	conn, err := tls.Dial("tcp", f.address, f.ca.Client(theReader).TLS(t, f.ca))
	if err != nil {
		t.Fatal(err)
	}
	f.ended("a client that says nothing", &raw{t, conn})
	if took := time.Since(began); took < connectionTimeout-time.Second || took > 3*connectionTimeout {
		t.Errorf("cut off after %v", took)
	}
	f.eventually("nobody is connected", func() bool { known, _ := f.server.Remote.gate.Counts(); return known == 0 })
}
