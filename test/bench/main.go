// Command bench measures how long a configuration takes to reach the kernel: the
// agent through its API, `ip -batch`, and a floor of raw netlink, in turn on fresh
// network namespaces of the same kernel. It prints medians and ratios; only the
// ratios mean anything on another machine.
//
// Scripts take part as further contestants: each executable in the folder that
// -contestants names. Inside the namespace, which has the NICs, it is called as
//
//	SCRIPT start FILE.json     untimed: translate the document, start what is to be resident
//	SCRIPT apply FILE.json     timed
//	SCRIPT teardown FILE.json  timed
//	SCRIPT stop FILE.json      untimed
//
// with the document that the agent gets and the NICs' far ends up. Status 0 means
// done; that the kernel agrees is then checked for it as for everybody. So a script
// for ifupdown2 writes an interfaces file and calls ifreload, one for networkd
// writes .netdev and .network files and calls networkctl reload, and waits.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	daemon   string
	agentctl string
	scripts  []string
	only     []string
	rounds   int
	settle   time.Duration
}

// many is the number of VLANs from which one round is enough: the run is long, and
// the longer the less the rounds differ.
const many = 4000

func run() error {
	var o options
	flag.StringVar(&o.daemon, "hostnicd", os.Getenv("HOSTNICD"), "the daemon")
	flag.StringVar(&o.agentctl, "agentctl", os.Getenv("AGENTCTL"), "the client")
	flag.IntVar(&o.rounds, "rounds", 3, fmt.Sprintf("rounds of each measurement, but one from %d VLANs on", many))
	flag.DurationVar(&o.settle, "settle", time.Second, "pause before each measurement, in which the kernel finishes what the last one left it")
	folder := flag.String("contestants", "", "folder of scripts that take part")
	only := flag.String("only", "", "the contestants that take part, a,b,c (default all)")
	rack := flag.Bool("rack", true, "also measure the rack")
	sizes := flag.String("n", "10,100,1000,4000", "numbers of VLANs")
	lent := flag.Int("leases", 0, "how often each DHCP client gets an address (default never)")
	careful := flag.Int("leases-probed", 0, "the same for clients that first look whether somebody else has it, which takes seconds")
	crowd := flag.Int("clients", 0, "NICs on dhcp of a host (default none)")
	hosts := flag.String("events", "10,1000,4000", "numbers of links of the hosts on which a cable is pulled")
	stormy := flag.String("storms", "200", "numbers of links of the hosts on which links change as fast as they can")
	large := flag.String("reads", "1000,4000", "numbers of links of the hosts that are read")
	started := flag.String("starts", strconv.Itoa(startNICs), "numbers of NICs of the hosts on which the daemon is started")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("%q: flags only, see -h", flag.Args())
	}
	workloads, err := workloads(*rack, *sizes)
	if err != nil {
		return err
	}
	if *folder != "" {
		if o.scripts, err = filepath.Glob(filepath.Join(*folder, "*")); err != nil {
			return err
		}
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	// The collector runs between the measurements instead of in them.
	debug.SetGCPercent(-1)
	fmt.Printf("kernel %s, %d processor(s), %s\n", release(), runtime.NumCPU(), runtime.Version())
	bad := 0
	for _, w := range workloads {
		if err := measure(o, w); err != nil {
			fmt.Println(err)
			bad++
		}
	}
	all := len(workloads)
	for _, part := range []struct {
		flag, sizes string
		measure     func(options, int) error
	}{{"-reads", *large, reads}, {"-events", *hosts, events}, {"-storms", *stormy, storm}, {"-starts", *started, starts}} {
		sizes, err := numbers(part.sizes)
		if err != nil {
			return fmt.Errorf("%s %w", part.flag, err)
		}
		all += len(sizes)
		for _, n := range sizes {
			if err := part.measure(o, n); err != nil {
				fmt.Println(err)
				bad++
			}
		}
	}
	if len(workloads) > 0 {
		fmt.Print(legend)
	}
	if bad > 0 {
		return fmt.Errorf("something failed in %d of %d workloads", bad, all)
	}
	return errors.Join(leases(o, *lent, *careful), clients(o, *crowd))
}

const legend = `
ms are medians. raw is a floor: messages made beforehand and sent at once; its
no-op only looks, its teardown is one deletion of a link group. ip -batch has
commands worked out beforehand. hostnic is a stage and a commit over the
daemon's socket: read, validated, planned, journaled, applied, verified, stored.
After each task the kernel was asked whether it is done, outside the clock.
`

func workloads(withRack bool, sizes string) ([]workload, error) {
	var out []workload
	if withRack {
		out = append(out, rack())
	}
	all, err := numbers(sizes)
	if err != nil {
		return nil, fmt.Errorf("-n %w", err)
	}
	for _, n := range all {
		out = append(out, vlans(n))
	}
	return out, nil
}

// numbers reads a list of them.
func numbers(list string) (out []int, err error) {
	for f := range strings.SplitSeq(list, ",") {
		if f == "" {
			continue
		}
		n, err := strconv.Atoi(f)
		if err != nil || n < 1 || n > 4094 {
			return nil, fmt.Errorf("%s: numbers from 1 to 4094, as in 10,100", list)
		}
		out = append(out, n)
	}
	return out, nil
}

func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// task is what is timed.
type task string

// The tasks, in the order in which a round goes through them.
const (
	apply    task = "apply"
	noop     task = "no-op"
	change   task = "one change"
	teardown task = "teardown"
)

var tasks = []task{apply, noop, change, teardown}

// contestant does the tasks of one workload.
type contestant interface {
	name() string
	// start is called in the fresh namespace, before the clock runs. What can be
	// prepared is prepared here.
	start(ctx context.Context, w workload, dir string) error
	// do does a task, or says errAbsent.
	do(ctx context.Context, t task) error
	// writes is how many requests to change something the kernel has had from it,
	// -1 if it does not say.
	writes() int
	stop()
}

var errAbsent = errors.New("does not take part in this")

// entrants makes new contestants, in the order of the table.
func (o options) entrants() []contestant {
	all := []contestant{&raw{}, &ipBatch{}, &agent{daemon: o.daemon}, &agent{daemon: o.daemon, rehearse: true}}
	for _, s := range o.scripts {
		all = append(all, &script{path: s})
	}
	return slices.DeleteFunc(all, func(c contestant) bool {
		return o.only != nil && !slices.Contains(o.only, c.name())
	})
}

// measure runs all rounds of a workload and prints its table. A contestant that
// fails is out, and named below the table.
func measure(o options, w workload) error {
	rounds := o.rounds
	if len(w.vlans) >= many {
		rounds = 1
	}
	var res results
	failed := map[string]error{}
	for range rounds {
		for _, c := range o.entrants() {
			if failed[c.name()] != nil {
				continue
			}
			if err := round(o, w, c, &res); err != nil {
				failed[c.name()] = fmt.Errorf("%s: %w", c.name(), err)
			}
		}
	}
	fmt.Printf("\n%s: %s, %d round(s)\n", w.name, w.text, rounds)
	res.print(os.Stdout)
	return errors.Join(slices.Collect(maps.Values(failed))...)
}

// round takes one contestant through all tasks in a namespace of its own.
func round(o options, w workload, c contestant, res *results) error {
	return inScratch(20*time.Minute, func(ctx context.Context, dir string) error {
		if err := w.cables(); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
		defer c.stop()
		if err := c.start(ctx, w, dir); err != nil {
			return fmt.Errorf("start: %w", err)
		}
		for _, t := range tasks {
			time.Sleep(o.settle)
			runtime.GC()
			before, began := c.writes(), time.Now()
			err := c.do(ctx, t)
			took := time.Since(began)
			if errors.Is(err, errAbsent) {
				continue
			}
			if err == nil {
				err = w.verify(t)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", t, err)
			}
			writes := -1
			if before >= 0 {
				writes = c.writes() - before
			}
			res.add(c.name(), t, took, writes)
		}
		return nil
	})
}

// inScratch runs fn as inNamespace does, with a folder of its own that goes with it.
func inScratch(limit time.Duration, fn func(ctx context.Context, dir string) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a scratch folder
	return inNamespace(func() error { return fn(ctx, dir) })
}

// inNamespace runs fn on a thread in a network namespace of its own, which ends
// with the thread. Processes that fn starts are in it, too.
func inNamespace(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("make a network namespace (this needs root): %w", err)
			return
		}
		done <- fn()
	}()
	return <-done
}
