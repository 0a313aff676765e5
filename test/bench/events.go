package main

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// pulls is how often the cable is pulled and put back in.
const pulls = 100

// watcher tells when it has been told of a change of the cable's carrier.
type watcher struct {
	name string
	told chan told
}

type told struct {
	carrier bool
	at      time.Time
}

// events measures how long it takes until watchers are told of a carrier that is lost, on
// a host with so many links.
func events(o options, links int) error {
	took := map[string][]time.Duration{}
	var names []string
	err := inScratch(20*time.Minute, func(ctx context.Context, dir string) error {
		far, err := cableAmong(links)
		if err != nil {
			return fmt.Errorf("set up: %w", err)
		}
		a := &agent{daemon: o.daemon}
		defer a.stop()
		if err := a.start(ctx, vlans(1), dir); err != nil {
			return fmt.Errorf("start: %w", err)
		}
		var watchers []*watcher
		for _, start := range []func(context.Context) (*watcher, error){rawWatcher, ipMonitor, a.watcher} {
			w, err := start(ctx)
			if err != nil {
				return err
			}
			watchers, names = append(watchers, w), append(names, w.name)
		}
		time.Sleep(o.settle)
		return pull(far, watchers, took)
	})
	if err != nil {
		return fmt.Errorf("carrier lost, %d links: %w", links, err)
	}
	fmt.Printf("\ncarrier lost: until a watcher is told, %d links, %d times\n", links, pulls)
	const row = "  %-18s %10s %10s %12s %22s\n"
	fmt.Printf(row, "watcher", "median ms", "p99 ms", "/ ip monitor", "p99 behind ip monitor")
	for _, name := range names {
		fmt.Printf(row, name, milliseconds(quantile(took[name], 0.5)), milliseconds(quantile(took[name], 0.99)),
			ratio(quantile(took[name], 0.5), quantile(took[ipMonitorName], 0.5)), milliseconds(quantile(behind(took[name], took[ipMonitorName]), 0.99)))
	}
	return nil
}

// pull pulls the cable again and again, and waits each time until everybody has been told.
func pull(far netlink.Link, watchers []*watcher, took map[string][]time.Duration) error {
	for range pulls {
		began := time.Now()
		if err := netlink.LinkSetDown(far); err != nil {
			return err
		}
		for _, w := range watchers {
			at, err := w.until(false)
			if err != nil {
				return err
			}
			took[w.name] = append(took[w.name], at.Sub(began))
		}
		if err := netlink.LinkSetUp(far); err != nil {
			return err
		}
		for _, w := range watchers {
			if _, err := w.until(true); err != nil {
				return err
			}
		}
	}
	return nil
}

// behind is how much later one was told than the other, of each event: when the kernel
// tells late, both are.
func behind(one, other []time.Duration) []time.Duration {
	out := make([]time.Duration, len(one))
	for i := range one {
		out[i] = one[i] - other[i]
	}
	return out
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/1e6) }

func quantile(all []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// cableAmong makes the cable eth0, of which it returns the far end, among other links.
func cableAmong(links int) (netlink.Link, error) {
	for i := range max(1, links/2) {
		name := "eth" + strconv.Itoa(i)
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "p-" + name}); err != nil {
			return nil, err
		}
	}
	near, err := netlink.LinkByName("eth0")
	if err != nil {
		return nil, err
	}
	far, err := netlink.LinkByName("p-eth0")
	if err != nil {
		return nil, err
	}
	if err := netlink.LinkSetUp(near); err != nil {
		return nil, err
	}
	return far, netlink.LinkSetUp(far)
}

// eventPatience is how long anybody may take to tell.
const eventPatience = time.Minute

func (w *watcher) until(carrier bool) (time.Time, error) {
	limit := time.After(eventPatience)
	for {
		select {
		case t, ok := <-w.told:
			switch {
			case !ok:
				return time.Time{}, fmt.Errorf("%s has ended", w.name)
			case t.carrier == carrier:
				return t.at, nil
			}
		case <-limit:
			return time.Time{}, fmt.Errorf("%s has not told of the carrier", w.name)
		}
	}
}

// rawWatcher is a socket that nobody else is behind.
func rawWatcher(ctx context.Context) (*watcher, error) {
	w, updates := &watcher{"raw", make(chan told, pulls)}, make(chan netlink.LinkUpdate, pulls)
	if err := netlink.LinkSubscribe(updates, ctx.Done()); err != nil {
		return nil, err
	}
	go func() {
		defer close(w.told)
		for u := range updates {
			if u.Link.Attrs().Name == "eth0" {
				w.told <- told{u.IfInfomsg.Flags&unix.IFF_LOWER_UP != 0, time.Now()}
			}
		}
	}()
	return w, nil
}

const ipMonitorName = "ip monitor"

// ipMonitor is iproute2's.
func ipMonitor(ctx context.Context) (*watcher, error) {
	w, cmd := &watcher{ipMonitorName, make(chan told, pulls)}, exec.CommandContext(ctx, "ip", "monitor", "link")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	go func() {
		defer close(w.told)
		for s := bufio.NewScanner(out); s.Scan(); {
			if at := time.Now(); strings.Contains(s.Text(), " eth0@") {
				w.told <- told{strings.Contains(s.Text(), "LOWER_UP"), at}
			}
		}
		_ = cmd.Wait()
	}()
	return w, nil
}

// watcher is a client of the agent.
func (a *agent) watcher(ctx context.Context) (*watcher, error) {
	stream, err := hostnicv1.NewHostNicServiceClient(a.conn).WatchHostNics(ctx, &hostnicv1.WatchHostNicsRequest{})
	if err != nil {
		return nil, err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		if m.GetEvent() == hostnicv1.WatchEvent_WATCH_EVENT_SYNCED {
			break
		}
	}
	w := &watcher{"hostnic watch", make(chan told, pulls)}
	go func() {
		defer close(w.told)
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			if n := m.GetNew(); n.GetName() == "eth0" && n.Carrier != nil {
				w.told <- told{n.GetCarrier(), time.Now()}
			}
		}
	}()
	return w, nil
}
