package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// resident is how many KiB of the daemon are in memory.
func (a *agent) resident() (int, error) { return residentOf(a.cmd.Process.Pid) }

// residentOf a process, in KiB.
func residentOf(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return numberOf(residentSize, text)
}

// wakeups is how often the threads of the daemon had to go on.
func (a *agent) wakeups() (sum int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", a.cmd.Process.Pid))
	for _, file := range files {
		text, _ := os.ReadFile(file) //nolint:gosec // a thread may have ended
		n, _ := numberOf(wakeupCount, text)
		sum += n
	}
	return sum
}

var (
	residentSize   = regexp.MustCompile(`(?m)^VmRSS:\s*(\d+) kB$`)
	wakeupCount    = regexp.MustCompile(`(?m)^voluntary_ctxt_switches:\s*(\d+)$`)
	goroutineCount = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)
)

func numberOf(what *regexp.Regexp, text []byte) (int, error) {
	found := what.FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("there is no %s", what)
	}
	return strconv.Atoi(string(found[1]))
}

// goroutines is how many the daemon has, by its metrics.
func goroutines(ctx context.Context, socket string) (int, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://metrics/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	answer, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	return numberOf(goroutineCount, text)
}
