package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/test/textlog"
)

// dhcpClient gets an address for eth0, over and over in fresh namespaces.
type dhcpClient interface {
	name() string
	// wait is called while eth0 has no carrier yet, outside the clock. Who can wait for
	// one is started here, and does wait when this returns.
	wait(ctx context.Context, dir string, careful bool) error
	// begin is called when the carrier comes. Who cannot wait for it is started here.
	begin() error
	stop()
}

// leasePatience is how long anybody may take to get an address.
const leasePatience = 30 * time.Second

// sideBySide is how many careful clients are measured at once: they wait, for seconds that
// are drawn at random, so that only many of them say something.
const sideBySide = 24

// lent is one address that a client has got. Times are since the carrier.
type lent struct {
	after  time.Duration
	probes []time.Duration // those of RFC 5227
}

// leases measures how long it takes from a carrier to an address: first with nobody
// looking whether somebody else has the address, then with those that can look.
func leases(o options, rounds, careful int) error {
	bad := 0
	for _, t := range []struct {
		text    string
		rounds  int
		atOnce  int
		careful bool
	}{{"used at once", rounds, 1, false}, {"looked for on the link first", careful, sideBySide, true}} {
		if t.rounds == 0 {
			continue
		}
		got, failed := leaseRounds(o, t.rounds, t.atOnce, t.careful)
		printLeases(t.text, t.rounds, got, t.careful)
		for _, err := range failed {
			fmt.Println(err)
			bad++
		}
	}
	if rounds+careful > 0 {
		fmt.Print(leaseLegend)
	}
	if bad > 0 {
		return fmt.Errorf("%d DHCP clients failed", bad)
	}
	return nil
}

const leaseLegend = `
Taken in turn, those that look first many at a time, each on a new cable to a dnsmasq
that answers at once, and without an earlier lease. hostnic, systemd-networkd and dhcpcd
run already and wait for the carrier; udhcpc and dhclient, which know of none, are
started when it comes.
`

// leaseRounds has all clients take turns. One that fails is out.
func leaseRounds(o options, rounds, atOnce int, careful bool) (map[string][]lent, map[string]error) {
	var mu sync.Mutex
	got, failed := map[string][]lent{}, map[string]error{}
	var all errgroup.Group
	all.SetLimit(atOnce)
	for range rounds {
		for _, c := range dhcpClients(o, careful) {
			all.Go(func() error {
				mu.Lock()
				out := failed[c.name()] != nil
				mu.Unlock()
				if out {
					return nil
				}
				l, err := leaseRound(o, c, careful)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed[c.name()] = fmt.Errorf("%s: %w", c.name(), err)
				} else {
					got[c.name()] = append(got[c.name()], l)
				}
				return nil
			})
		}
	}
	_ = all.Wait() // who has failed is in there
	return got, failed
}

func printLeases(text string, rounds int, got map[string][]lent, careful bool) {
	fmt.Printf("\nDHCP: from the carrier to the address, which is %s, %d times\n", text, rounds)
	took, best := map[string][]time.Duration{}, time.Duration(0)
	for name, all := range got {
		for _, l := range all {
			took[name] = append(took[name], l.after)
		}
		if m := quantile(took[name], 0.5); name != agentName && (best == 0 || m < best) {
			best = m
		}
	}
	const row = "  %-18s %10s %10s %10s %18s\n"
	fmt.Printf(row, "client", "median ms", "p90 ms", "worst ms", "/ fastest other")
	for _, c := range dhcpClients(options{}, careful) {
		if all := took[c.name()]; all != nil {
			fmt.Printf(row, c.name(), milliseconds(quantile(all, 0.5)), milliseconds(quantile(all, 0.9)),
				milliseconds(slices.Max(all)), ratio(quantile(all, 0.5), best))
		}
	}
	if careful {
		printProbes(got)
	}
}

// leaseRound is one client that gets one address. The server's end of the cable is in a
// namespace of its own.
func leaseRound(o options, c dhcpClient, careful bool) (l lent, err error) {
	err = inScratch(2*leasePatience, func(ctx context.Context, dir string) error {
		far, err := netlink.NewHandle()
		if err != nil {
			return err
		}
		defer func() { _ = far.Close() }()
		if err := leaseCable(far); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
		ear, err := listenForProbes()
		if err != nil {
			return fmt.Errorf("set up: %w", err)
		}
		defer unix.Close(ear) //nolint:errcheck // it was only listened to
		server, err := leaseServer(ctx, dir)
		if err != nil {
			return err
		}
		defer server.stop()
		return inNamespace(func() error {
			if err := errors.Join(takeCable(far), ownFolders()); err != nil {
				return fmt.Errorf("set up: %w", err)
			}
			defer c.stop()
			if err := c.wait(ctx, dir, careful); err != nil {
				return err
			}
			time.Sleep(o.settle)
			began, err := untilAddress(ctx, far, c)
			if err != nil {
				return err
			}
			l.after = time.Since(began)
			l.probes, err = probesSince(began, ear)
			return err
		})
	})
	return l, err
}

// untilAddress gives eth0 its carrier, and waits until it has an address. It returns when
// the carrier came.
func untilAddress(ctx context.Context, far *netlink.Handle, c dhcpClient) (began time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, leasePatience)
	defer cancel()
	updates := make(chan netlink.AddrUpdate, 16)
	if err := netlink.AddrSubscribe(updates, ctx.Done()); err != nil {
		return began, err
	}
	end, err := far.LinkByName("s0")
	if err != nil {
		return began, err
	}
	began = time.Now()
	if err := far.LinkSetUp(end); err != nil {
		return began, err
	}
	if err := c.begin(); err != nil {
		return began, err
	}
	for {
		select {
		case u, ok := <-updates:
			switch {
			case !ok:
				return began, errors.New("the kernel's news are lost")
			case u.NewAddr && leaseSubnet.Contains(u.LinkAddress.IP):
				return began, nil
			}
		case <-ctx.Done():
			return began, fmt.Errorf("no address within %s", leasePatience)
		}
	}
}

var leaseSubnet = net.IPNet{IP: net.IPv4(192, 0, 2, 0), Mask: net.CIDRMask(24, 32)}

// leaseCable makes the cable in the server's namespace, whose end is up.
func leaseCable(far *netlink.Handle) error {
	if err := far.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "s0"}, PeerName: "eth0"}); err != nil {
		return err
	}
	end, err := far.LinkByName("s0")
	if err != nil {
		return err
	}
	address, err := netlink.ParseAddr("192.0.2.1/24")
	if err != nil {
		return err
	}
	if err := far.AddrAdd(end, address); err != nil {
		return err
	}
	return far.LinkSetUp(end)
}

// takeCable takes eth0 into the namespace of this thread, up and without a carrier.
func takeCable(far *netlink.Handle) error {
	here, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(here) //nolint:errcheck // it was only read
	near, err := far.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := far.LinkSetNsFd(near, here); err != nil {
		return err
	}
	end, err := far.LinkByName("s0")
	if err != nil {
		return err
	}
	if err := far.LinkSetDown(end); err != nil {
		return err
	}
	for _, name := range []string{"lo", "eth0"} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(l); err != nil {
			return err
		}
	}
	return nil
}

// leaseServer is dnsmasq, which answers at once.
func leaseServer(ctx context.Context, dir string) (*process, error) {
	p := &process{}
	return p, p.start(ctx, "sockets bound exclusively", "dnsmasq", "--keep-in-foreground", "--port=0", "--conf-file=/dev/null",
		"--interface=s0", "--except-interface=lo", "--bind-interfaces", "--no-ping", "--user=root", "--log-facility=-", "--dhcp-authoritative",
		"--pid-file="+filepath.Join(dir, "dnsmasq.pid"), "--dhcp-leasefile="+filepath.Join(dir, "dnsmasq.leases"), "--dhcp-range=192.0.2.100,192.0.2.150,2m")
}

// process is a program that runs until it is told to end.
type process struct {
	cmd   *exec.Cmd
	log   textlog.Log
	ended chan struct{}
}

// start starts it, and waits until it has said something; empty is not at all.
func (p *process) start(ctx context.Context, ready string, program string, args ...string) error {
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.WaitDelay = time.Second
	p.cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	return p.until(ctx, "to say "+ready, func() bool { return strings.Contains(p.log.String(), ready) })
}

// until waits for a condition while the program runs.
func (p *process) until(ctx context.Context, what string, cond func() bool) error {
	for !cond() {
		select {
		case <-p.ended:
			return fmt.Errorf("%s has ended: %s\n%s", p.cmd.Path, p.cmd.ProcessState, p.log.String())
		case <-ctx.Done():
			return fmt.Errorf("%s: waited in vain for it %s\n%s", p.cmd.Path, what, p.log.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// stop ends it, and what it has started.
func (p *process) stop() {
	if p.ended == nil {
		return
	}
	_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
		<-p.ended
	}
}
