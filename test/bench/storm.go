package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// A storm is so many changes of links a second, by so many at once, for so long, beside so
// many watchers that do not read.
const (
	stormRate    = 10000
	stormSenders = 4
	stormTime    = 10 * time.Second
	stormTick    = 4 * time.Millisecond
	stormStalled = 20
	// stormTruth is how soon after it all has to be told as it is.
	stormTruth = time.Second
)

// storm measures what the daemon does while links change as fast as they can.
func storm(o options, links int) error {
	return inScratch(5*time.Minute, func(ctx context.Context, dir string) error {
		if _, err := cableAmong(links); err != nil {
			return fmt.Errorf("storm: set up: %w", err)
		}
		a := &agent{daemon: o.daemon, settings: filepath.Join(dir, "agent.yaml")}
		if err := os.WriteFile(a.settings, []byte("metrics: "+filepath.Join(dir, "metrics")+"\n"), 0o600); err != nil {
			return err
		}
		defer a.stop()
		if err := a.start(ctx, vlans(1), dir); err != nil {
			return fmt.Errorf("storm: start: %w", err)
		}
		time.Sleep(o.settle)
		if err := a.weather(ctx, filepath.Join(dir, "metrics")); err != nil {
			return fmt.Errorf("storm, %d links: %w", links, err)
		}
		return nil
	})
}

// weather has the storm come and go, and prints how it was.
func (a *agent) weather(ctx context.Context, metrics string) error {
	changing, err := idleCables()
	if err != nil {
		return err
	}
	watching, end := context.WithCancel(ctx)
	defer end()
	before, err := goroutines(ctx, metrics)
	if err != nil {
		return err
	}
	first, err := a.resident()
	if err != nil {
		return err
	}
	nics := hostnicv1.NewHostNicServiceClient(a.conn)
	for range stormStalled {
		if _, err := nics.WatchHostNics(watching, &hostnicv1.WatchHostNicsRequest{}); err != nil {
			return err
		}
	}
	changed := make([]atomic.Int64, len(changing))
	storming, over := context.WithTimeout(ctx, stormTime)
	defer over()
	blows := make(chan error, stormSenders)
	began := time.Now()
	var senders sync.WaitGroup
	for s := range stormSenders {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		senders.Go(func() {
			defer unix.Close(fd) //nolint:errcheck // it was only written to
			blows <- blow(storming, fd, changing, changed, s)
		})
	}
	slowest, largest := a.ask(storming)
	senders.Wait()
	took := time.Since(began)
	var total int64
	for range stormSenders {
		err = errors.Join(err, <-blows)
	}
	for i := range changed {
		total += changed[i].Load()
	}
	if err != nil {
		return err
	}
	truth, err := a.truth(ctx, changing, changed)
	if err != nil {
		return err
	}
	end()
	after, err := a.calm(ctx, metrics, before)
	if err != nil {
		return err
	}
	rest, err := a.resident()
	if err != nil {
		return err
	}
	rate := float64(total) / took.Seconds()
	fmt.Printf("\nstorm: %d links changed %d times in %.1f s, %.0f a second, beside %d watchers that do not read\n", len(changing), total, took.Seconds(), rate, stormStalled)
	if rate < stormRate*0.95 {
		fmt.Printf("  this machine gets no nearer to %d a second\n", stormRate)
	}
	fmt.Printf("  slowest answer meanwhile %s ms; true %s ms after it; %d MiB resident before it, at most %d, and %d after; %d goroutines before, %d after\n",
		milliseconds(slowest), milliseconds(truth), first>>10, largest>>10, rest>>10, before, after)
	if truth > stormTruth {
		return fmt.Errorf("all was told as it is only %v after the storm", truth)
	}
	return nil
}

// idleCables are all but the one that is up.
func idleCables() (indexes []int, err error) {
	all, err := netlink.LinkList()
	for _, l := range all {
		if l.Type() == "veth" && l.Attrs().Flags&net.FlagUp == 0 {
			indexes = append(indexes, l.Attrs().Index)
		}
	}
	return indexes, err
}

// blow gives links other MTUs, each event one message. A link belongs to one sender.
func blow(ctx context.Context, fd int, links []int, changed []atomic.Int64, sender int) error {
	const each = stormRate * int(stormTick) / int(time.Second) / stormSenders
	tick := time.NewTicker(stormTick)
	defer tick.Stop()
	began, done := time.Now(), 0
	for next := sender; ; {
		var batch []byte
		due := int(time.Since(began)/stormTick)*each - done // what a late tick has missed too
		for range min(max(due, 0), 8*each) {
			batch = appendMTU(batch, links[next], stormMTU(changed[next].Add(1)))
			done++
			if next += stormSenders; next >= len(links) {
				next = sender
			}
		}
		if len(batch) > 0 {
			if err := unix.Sendto(fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// stormMTU is the MTU of a link that has been changed so often.
func stormMTU(changes int64) uint32 { return uint32(1000 + changes%400) } //nolint:gosec // below 1400

// appendMTU appends an RTM_SETLINK, which is not acknowledged.
func appendMTU(b []byte, index int, mtu uint32) []byte {
	const length = unix.SizeofNlMsghdr + unix.SizeofIfInfomsg + unix.SizeofRtAttr + 4
	order := binary.NativeEndian
	b = order.AppendUint32(b, length)
	b = order.AppendUint16(b, unix.RTM_SETLINK)
	b = order.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...) // sequence and port
	b = append(b, make([]byte, 4)...)
	b = order.AppendUint32(b, uint32(index)) //nolint:gosec // the kernel's
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint16(b, unix.SizeofRtAttr+4)
	b = order.AppendUint16(b, unix.IFLA_MTU)
	return order.AppendUint32(b, mtu)
}

// ask calls the daemon while it storms. It returns how long the slowest answer took, and
// the most memory.
func (a *agent) ask(ctx context.Context) (slowest time.Duration, largest int) {
	for ctx.Err() == nil {
		began := time.Now()
		_, err := a.client.GetStatus(ctx, &hostnicv1.GetStatusRequest{})
		if err == nil {
			slowest = max(slowest, time.Since(began))
		}
		if now, err := a.resident(); err == nil {
			largest = max(largest, now)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return slowest, largest
}

// truth is how long it takes until every link is told as it is.
func (a *agent) truth(ctx context.Context, links []int, changed []atomic.Int64) (time.Duration, error) {
	want := map[int32]int32{}
	for i, index := range links {
		if n := changed[i].Load(); n > 0 {
			want[int32(index)] = int32(stormMTU(n)) //nolint:gosec // see there
		}
	}
	began := time.Now()
	for time.Since(began) < eventPatience {
		answer, err := hostnicv1.NewHostNicServiceClient(a.conn).ListHostNics(ctx, &hostnicv1.ListHostNicsRequest{})
		if err != nil {
			return 0, err
		}
		wrong := len(want)
		for _, n := range answer.GetHostNics() {
			if mtu, ok := want[n.GetIndex()]; ok && mtu == n.GetMtu() {
				wrong--
			}
		}
		if wrong == 0 {
			return time.Since(began), nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0, fmt.Errorf("links are told as they are not %v after the storm", eventPatience)
}

// calm waits until there are as many goroutines as before, but for a few that come and go.
func (a *agent) calm(ctx context.Context, metrics string, before int) (after int, err error) {
	for began := time.Now(); time.Since(began) < eventPatience; time.Sleep(50 * time.Millisecond) {
		if after, err = goroutines(ctx, metrics); err != nil || after <= before+5 {
			return after, err
		}
	}
	return after, fmt.Errorf("%d goroutines are left, and %d were before the storm", after, before)
}
