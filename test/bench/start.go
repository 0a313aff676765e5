package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

const (
	// times is how often the daemon is started.
	times = 5
	// idle is how long it has had nothing to do when its memory is looked at.
	idle = 10 * time.Second
	// What there is no excuse to be beyond with startNICs of them, memory in KiB.
	startNICs   = 100
	startLimit  = 300 * time.Millisecond
	memoryLimit = 25 << 10
)

// starts measures how long the daemon takes, on a host that is as committed, from its
// start to its READY=1, and how much memory is resident when it is idle.
func starts(o options, nics int) error {
	var took []time.Duration
	var resident int
	err := inScratch(20*time.Minute, func(ctx context.Context, dir string) error {
		if err := committed(ctx, o, nics, dir); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
		for range times {
			time.Sleep(o.settle)
			var one time.Duration
			var err error
			if one, resident, err = start(ctx, o.daemon, dir, len(took) == times-1); err != nil {
				return err
			}
			took = append(took, one)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("start, %d NICs: %w", nics, err)
	}
	median := quantile(took, 0.5)
	fmt.Printf("\nstart: %d NICs with an address each, all as committed, %d times\n", nics, times)
	fmt.Printf("  until READY=1, median: %s ms; resident %v later: %.1f MiB\n", milliseconds(median), idle, float64(resident)/(1<<10))
	if nics == startNICs && (median > startLimit || resident > memoryLimit) {
		return fmt.Errorf("start, %d NICs: at most %v and %d MiB are promised", nics, startLimit, memoryLimit>>10)
	}
	return nil
}

// committed makes NICs, and a state in which they have an address each.
func committed(ctx context.Context, o options, nics int, dir string) error {
	var doc strings.Builder
	doc.WriteString("host_nics:\n")
	for i := range nics {
		name := "eth" + strconv.Itoa(i)
		if i%2 == 0 {
			if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth" + strconv.Itoa(i+1)}); err != nil {
				return err
			}
		}
		fmt.Fprintf(&doc, "- {name: %s, ip: {address: 10.%d.%d.1, netmask: '24'}}\n", name, i>>8, i&255)
	}
	a := &agent{daemon: o.daemon}
	defer a.stop()
	if err := a.start(ctx, vlans(1), dir); err != nil {
		return err
	}
	if _, err := a.client.Stage(ctx, &hostnicv1.StageRequest{Documents: []*hostnicv1.Document{{Content: []byte(doc.String())}}}); err != nil {
		return err
	}
	return a.commit(ctx)
}

// start starts the daemon, waits until it is ready, and where that is asked for until it
// is idle, and ends it. resident is in KiB, 0 where it was not asked for.
func start(ctx context.Context, daemon, dir string, look bool) (took time.Duration, resident int, err error) {
	path := filepath.Join(dir, "notify")
	_ = os.Remove(path)
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return 0, 0, err
	}
	defer told.Close() //nolint:errcheck // it was only listened to
	if err := told.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, 0, err
	}
	cmd := exec.CommandContext(ctx, daemon, "--state-dir", filepath.Join(dir, "state"), "--socket", filepath.Join(dir, "sock"), "--log-level", "error")
	cmd.Env, cmd.Stderr = append(os.Environ(), "NOTIFY_SOCKET="+path), os.Stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()) }()
	buf := make([]byte, 4096)
	for {
		n, err := told.Read(buf)
		if err != nil {
			return 0, 0, fmt.Errorf("no READY=1: %w", err)
		}
		if strings.Contains(string(buf[:n]), "READY=1") {
			break
		}
	}
	took = time.Since(began)
	if look {
		time.Sleep(idle)
		resident, err = residentOf(cmd.Process.Pid)
	}
	return took, resident, err
}
