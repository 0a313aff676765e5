package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// readings is how often each reader reads, and idling how long nobody does.
const (
	readings = 10
	idling   = 5 * time.Second
)

// reader reads how all links of the host are.
type reader struct {
	name string
	read func(context.Context) error
}

// reads measures how long reading all of a host with so many links takes, what the daemon
// has in memory for it, and what it costs while nothing happens.
func reads(o options, links int) error {
	const ipName = "ip -j -s -d addr"
	var took results
	var listed, resident int
	var idle time.Duration
	err := inScratch(20*time.Minute, func(ctx context.Context, dir string) error {
		if _, err := cableAmong(links); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
		if err := number(links / 2); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
		a := &agent{daemon: o.daemon}
		defer a.stop()
		if err := a.start(ctx, vlans(1), dir); err != nil {
			return fmt.Errorf("start: %w", err)
		}
		time.Sleep(o.settle)
		var err error
		if idle, err = a.idle(); err != nil {
			return err
		}
		readers := []reader{
			{"ListHostNics", func(ctx context.Context) (err error) { listed, err = a.list(ctx); return err }},
			{ipName, program("ip", "-j", "-s", "-d", "addr")},
		}
		if o.agentctl != "" {
			readers = append(readers, reader{"agentctl nics", program(o.agentctl, "--socket", filepath.Join(dir, "sock"), "nics")})
		}
		for range readings {
			for _, r := range readers {
				runtime.GC()
				began := time.Now()
				if err := r.read(ctx); err != nil {
					return fmt.Errorf("%s: %w", r.name, err)
				}
				took.add(r.name, reading, time.Since(began), 0)
			}
		}
		resident, err = a.resident()
		return err
	})
	if err != nil {
		return fmt.Errorf("read, %d links: %w", links, err)
	}
	fmt.Printf("\nread: all of a host with %d links, %d times\n", links, readings)
	const row = "  %-18s %10s %20s\n"
	fmt.Printf(row, "reader", "median ms", "/ "+ipName)
	for _, name := range took.names {
		fmt.Printf(row, name, milliseconds(took.median(name, reading)), ratio(took.median(name, reading), took.median(ipName, reading)))
	}
	fmt.Printf("  the answer has %d KiB; the daemon then has %d MiB resident; %s ms of processor in %s before, with nobody asking\n",
		listed>>10, resident>>10, milliseconds(idle), idling)
	return nil
}

const reading task = "read"

// number gives each of the cables an address.
func number(cables int) error {
	for i := range cables {
		link, err := netlink.LinkByName("eth" + strconv.Itoa(i))
		if err != nil {
			return err
		}
		address, err := netlink.ParseAddr(fmt.Sprintf("10.%d.%d.1/24", i/256, i%256))
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, address); err != nil {
			return err
		}
	}
	return nil
}

func program(name string, args ...string) func(context.Context) error {
	return func(ctx context.Context) error { return exec.CommandContext(ctx, name, args...).Run() }
}

// list asks for all NICs, and returns how many bytes the answer has.
func (a *agent) list(ctx context.Context) (int, error) {
	answer, err := hostnicv1.NewHostNicServiceClient(a.conn).ListHostNics(ctx, &hostnicv1.ListHostNicsRequest{})
	return proto.Size(answer), err
}

// idle is how much of a processor the daemon takes while nothing happens.
func (a *agent) idle() (time.Duration, error) {
	before, err := a.worked()
	if err != nil {
		return 0, err
	}
	time.Sleep(idling)
	after, err := a.worked()
	return after - before, err
}

// worked is how much of a processor the daemon has had so far: its CPU clock, whose number
// is made of the number of the process (MAKE_PROCESS_CPUCLOCK, CPUCLOCK_SCHED, in
// include/linux/posix-timers.h).
func (a *agent) worked() (time.Duration, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(int32(^a.cmd.Process.Pid<<3|2), &ts) //nolint:gosec // process numbers have 22 bits
	return time.Duration(ts.Nano()), err
}
