package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// clients measures a host with so many NICs on dhcp, each with a cable of its own to the
// one server: until all have an address, and what the agent takes then.
func clients(o options, count int) error {
	if count == 0 {
		return nil
	}
	return inScratch(10*time.Minute, func(ctx context.Context, dir string) error {
		far, err := netlink.NewHandle()
		if err != nil {
			return err
		}
		defer func() { _ = far.Close() }()
		if err := leaseSwitch(far); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
		server := &process{}
		defer server.stop()
		if err := server.startKea(ctx, dir); err != nil {
			return err
		}
		return inNamespace(func() error { return manyClients(ctx, o, far, count, dir) })
	})
}

// startKea has it serve br0. dnsmasq would lose most of what so many clients send at once.
func (p *process) startKea(ctx context.Context, dir string) error {
	config := filepath.Join(dir, "kea.conf")
	if err := os.WriteFile(config, []byte(`{"Dhcp4": {"interfaces-config": {"interfaces": ["br0"]}, "authoritative": true,
		"lease-database": {"type": "memfile", "persist": false}, "valid-lifetime": 3600,
		"loggers": [{"name": "kea-dhcp4", "severity": "WARN", "output_options": [{"output": "stdout"}]}, {"name": "kea-dhcp4.dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}],
		"subnet4": [{"interface": "br0", "subnet": "10.0.0.0/16", "pools": [{"pool": "10.0.1.0 - 10.0.99.255"}]}]}}`), 0o600); err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	return p.start(ctx, "DHCP4_STARTED", "env", "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir, "PATH="+os.Getenv("PATH")+":"+filepath.Join(cache, "hostnic", "kea"), "kea-dhcp4", "-c", config)
}

// leaseSwitch makes a bridge with the server's address.
func leaseSwitch(far *netlink.Handle) error {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	if err := far.LinkAdd(bridge); err != nil {
		return err
	}
	address, err := netlink.ParseAddr("10.0.0.1/16")
	if err != nil {
		return err
	}
	return errors.Join(far.AddrAdd(bridge, address), far.LinkSetUp(bridge))
}

// manyCables lays them from here to the bridge. No port hears of another.
func manyCables(far *netlink.Handle, count int) error {
	here, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(here) //nolint:errcheck // it was only asked
	bridge, err := far.LinkByName("br0")
	if err != nil {
		return err
	}
	for i := range count {
		port := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "s" + strconv.Itoa(i), MasterIndex: bridge.Attrs().Index},
			PeerName:  "eth" + strconv.Itoa(i), PeerNamespace: netlink.NsFd(here),
		}
		if err := far.LinkAdd(port); err != nil {
			return err
		}
		if err := errors.Join(far.LinkSetIsolated(port, true), far.LinkSetUp(port)); err != nil {
			return err
		}
	}
	return nil
}

func manyClients(ctx context.Context, o options, far *netlink.Handle, count int, dir string) error {
	if err := manyCables(far, count); err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	a := &agent{daemon: o.daemon, settings: filepath.Join(dir, "agent.yaml")}
	defer a.stop()
	metrics := filepath.Join(dir, "metrics")
	if err := os.WriteFile(a.settings, fmt.Appendf(nil, "{dhcp: {conflict_detection: false}, allow_overlap: true, metrics: %q}\n", metrics), 0o600); err != nil {
		return err
	}
	if err := a.start(ctx, vlans(1), dir); err != nil {
		return err
	}
	var doc strings.Builder
	for i := range count {
		fmt.Fprintf(&doc, "- {name: eth%d, boot_protocol: dhcp}\n", i)
	}
	a.stages[apply] = &hostnicv1.StageRequest{Documents: []*hostnicv1.Document{{Content: []byte("host_nics:\n" + doc.String()), Format: hostnicv1.DocumentFormat_DOCUMENT_FORMAT_YAML}}}
	fmt.Printf("\nDHCP clients on one host: %d\n", count)
	return a.crowd(ctx, metrics, count)
}

// crowd puts the NICs on dhcp.
func (a *agent) crowd(ctx context.Context, metrics string, count int) error {
	none, err := a.effort(ctx, metrics, count)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := a.do(ctx, apply); err != nil {
		return err
	}
	committed := time.Since(began)
	if err := until(ctx, func() (bool, error) { n, err := addressed(); return n == count, err }); err != nil {
		return fmt.Errorf("an address for each: %w", err)
	}
	fmt.Printf("  committed after %s ms, each has an address after %s ms\n", milliseconds(committed), milliseconds(time.Since(began)))
	bound, err := a.effort(ctx, metrics, count)
	if err != nil {
		return err
	}
	const renewals = 10
	for range renewals {
		if err := a.renewAll(ctx, count); err != nil {
			return err
		}
	}
	after, err := a.effort(ctx, metrics, count)
	if err != nil {
		return err
	}
	const row = "  %-24s %12v %12v %28v\n"
	fmt.Printf(row, "", "goroutines", "RSS MB", "wake-ups in "+restTime.String()+" of rest")
	for _, e := range []struct {
		when string
		effort
	}{{"no NIC on dhcp", none}, {"all have an address", bound}, {fmt.Sprintf("renewed %d times", renewals), after}} {
		fmt.Printf(row, e.when, e.goroutines, fmt.Sprintf("%.1f", float64(e.rss)/1024), e.wakeups)
	}
	return nil
}

// until polls.
func until(ctx context.Context, cond func() (bool, error)) error {
	for {
		if done, err := cond(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// addressed is how many NICs of this namespace have a leased address.
func addressed() (int, error) {
	all, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	links := map[int]bool{}
	for _, a := range all {
		links[a.LinkIndex] = links[a.LinkIndex] || !a.IP.IsLoopback()
	}
	delete(links, 1)
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		return 0, nil // somebody has changed something meanwhile: it is asked again
	}
	return len(links), err
}

// renewAll has each client renew its lease, and waits until each has.
func (a *agent) renewAll(ctx context.Context, count int) error {
	nics := hostnicv1.NewHostNicServiceClient(a.conn)
	began := time.Now()
	for i := range count {
		if _, err := nics.RenewLease(ctx, &hostnicv1.RenewLeaseRequest{Nic: "eth" + strconv.Itoa(i)}); err != nil {
			return err
		}
	}
	return until(ctx, func() (bool, error) {
		list, err := nics.ListHostNics(ctx, &hostnicv1.ListHostNicsRequest{})
		renewed := 0
		for _, n := range list.GetHostNics() {
			if l := n.GetLease(); l.GetState() == "bound" && l.GetObtained().AsTime().After(began) {
				renewed++
			}
		}
		return renewed == count, err
	})
}

// effort is what the agent takes while it has nothing to do: its memory in kB, and how
// often its threads had to go on within restTime.
type effort struct{ goroutines, rss, wakeups int }

const restTime = 5 * time.Second

// effort waits until the agent has come to rest.
func (a *agent) effort(ctx context.Context, metrics string, many int) (e effort, err error) {
	for e.wakeups = many; e.wakeups >= many && ctx.Err() == nil; {
		before := a.wakeups()
		time.Sleep(restTime)
		e.wakeups = a.wakeups() - before
	}
	if e.goroutines, err = goroutines(ctx, metrics); err != nil {
		return e, err
	}
	e.rss, err = a.resident()
	return e, err
}
