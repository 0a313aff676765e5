//go:build kernel

package lease

import (
	"context"
	"testing"
	"time"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// A watcher is told of a lease that is obtained, of one that is renewed, and of one that
// is given back, each as a change with what was and what is.
func TestScenario_E09(t *testing.T) {
	t.Parallel()
	h := newHost(t, 1, "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := hostnicv1.NewHostNicServiceClient(h.Dial()).WatchHostNics(ctx, &hostnicv1.WatchHostNicsRequest{Nics: []string{"eth0"}})
	if err != nil {
		t.Fatal(err)
	}
	next := func(what string, enough func(before, after *hostnicv1.Lease) bool) *hostnicv1.Lease {
		t.Helper()
		for {
			m, err := stream.Recv()
			if err != nil {
				t.Fatalf("before %s: %v", what, err)
			}
			if m.GetOld() != nil && enough(m.GetOld().GetLease(), m.GetNew().GetLease()) {
				return m.GetNew().GetLease()
			}
		}
	}
	h.dnsmasq("s0", "192.0.2.1/24", "192.0.2.100,192.0.2.150")
	h.apply(onDHCP)
	first := next("the lease", func(before, after *hostnicv1.Lease) bool {
		return before.GetAddress() == "" && after.GetAddress() != ""
	})
	same(t, "server", first.GetServer(), "192.0.2.1")
	h.run("renew", "eth0")
	renewed := next("the renewal", func(before, after *hostnicv1.Lease) bool {
		// The same time since boot is told a few microseconds differently each time.
		return before.GetAddress() != "" && after.GetObtained().AsTime().Sub(before.GetObtained().AsTime()) > 20*time.Millisecond
	})
	same(t, "address", renewed.GetAddress(), first.GetAddress())
	h.run("release", "eth0")
	next("the end", func(before, after *hostnicv1.Lease) bool {
		return before.GetAddress() == first.GetAddress() && after.GetAddress() == ""
	})
	h.eventually("the address is gone", func() bool { return h.addresses("eth0") == "" })
}
