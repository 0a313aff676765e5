//go:build kernel

package kerneltest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/need"
)

// TestFakeWalksLikeKernel takes the fake and the kernel on the same random walk.
// After each step both must have given the same answer and look the same. More
// walks: WALKS=100 (the first 100 seeds), or WALKS=7-7 (seed 7).
func TestFakeWalksLikeKernel(t *testing.T) {
	need.Kernel(t, need.Root, need.Netns, need.Veth, need.Bond, need.LACP, need.VLAN, need.Bridge, need.IPv6)
	from, to := seeds()
	for seed := from; seed <= to; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWalk(t, Seeded(uint64(seed)))
			for range 60 {
				if !w.step() {
					return
				}
			}
		})
	}
}

// seeds are those of the walks to take.
func seeds() (from, to int) {
	from, to = 1, 6
	v := os.Getenv("WALKS")
	first, last, isRange := strings.Cut(v, "-")
	switch {
	case isRange:
		from, _ = strconv.Atoi(first)
		to, _ = strconv.Atoi(last)
	case v != "":
		to, _ = strconv.Atoi(v)
	}
	return from, to
}

// walk is two hosts in step.
type walk struct {
	*testing.T
	*rand.Rand
	fake, real *lab
	log        []string
}

var walkNICs = []string{"x", "y", "z"}

func newWalk(t *testing.T, r *rand.Rand) *walk {
	w := &walk{T: t, Rand: r, fake: newLab(t, fakeHost{NewFake()}), real: newLab(t, openReal(t))}
	for _, l := range []*lab{w.fake, w.real} {
		l.nics(walkNICs...)
		for i, name := range walkNICs {
			l.do(l.set(name, mac(fmt.Sprintf("02:00:00:00:01:%02x", i))))
		}
		for i, name := range append(walkNICs, "a", "b", "v", "w", "u") {
			l.indexes[name] = 100 + i
			if s := l.look(); s.ByName(name) != nil {
				l.indexes[name] = s.ByName(name).Index
			}
		}
	}
	return w
}

// step does one thing to both; false after a difference.
func (w *walk) step() bool {
	w.Helper()
	var what string
	var answers [2]syscall.Errno
	if w.IntN(8) == 0 {
		nic, on := walkNICs[w.IntN(3)], w.IntN(2) == 0
		what = fmt.Sprintf("carrier of %s: %v", nic, on)
		w.fake.SetCarrier(nic, on)
		w.real.SetCarrier(nic, on)
	} else {
		made := w.operation()
		what = made(w.fake).String()
		for i, l := range []*lab{w.fake, w.real} {
			answers[i] = errnoOf(l.Apply(context.Background(), []plan.Op{made(l)}))
		}
	}
	w.log = append(w.log, fmt.Sprintf("%s  => %d", what, answers[1]))
	if answers[0] != answers[1] {
		w.Errorf("%s\nthe fake says %q, the kernel %q", strings.Join(w.log, "\n"), answers[0], answers[1])
		return false
	}
	want := portrait(w.fake.look())
	for end := time.Now().Add(8 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got := portrait(w.real.look())
		if got == want {
			return true
		}
		if time.Now().After(end) {
			w.Errorf("%s\n%s", strings.Join(w.log, "\n"), wordDiff(want, got))
			return false
		}
	}
}

func errnoOf(err error) syscall.Errno {
	var e *plan.OpError
	if errors.As(err, &e) {
		return e.Errno
	}
	return 0
}

// wordDiff shows the words in which two portraits differ, each with its link.
func wordDiff(fake, kernel string) string {
	var out []string
	a, b := strings.Split(fake, "\n"), strings.Split(kernel, "\n")
	for len(a) < len(b) {
		a = append(a, "")
	}
	for i := range b {
		x, y := strings.Split(a[i], "\t"), strings.Split(b[i], "\t")
		for j := range max(len(x), len(y)) {
			if j >= len(x) || j >= len(y) || x[0] != y[0] {
				out = append(out, "fake:   "+a[i], "kernel: "+b[i])
				break
			}
			if x[j] != y[j] {
				out = append(out, "fake:   "+x[0]+" "+x[j], "kernel: "+y[0]+" "+y[j])
			}
		}
	}
	return strings.Join(out, "\n")
}

// portrait is all that can be compared. Random MACs are named after the first
// link that has them. Link-local addresses are left out: a carrier that is there
// for a moment only is enough for one, or not.
func portrait(s state.Snapshot) string {
	macs := map[string]string{}
	name := func(mac, link string) string {
		if strings.HasPrefix(mac, "02:00:00:00:") || mac == zeroMAC {
			return mac
		}
		if macs[mac] == "" {
			macs[mac] = "that of " + link
		}
		return macs[mac]
	}
	var out []string
	for i := range s.Links {
		l := &s.Links[i]
		line := []string{l.Name + ":", name(l.MAC, l.Name)}
		for _, what := range []string{"kind", "up", "carrier", "mtu", "master", "parent", "vlan", "group", "genmode", "active", "ad", "state", "mii", "aggregator", "ip", "routes"} {
			v := fact(&s, l.Name+"."+what)
			line = append(line, what+"="+strings.ReplaceAll(v, "?", ""))
		}
		if l.Slave != nil {
			line = append(line, "perm="+name(l.Slave.PermMAC, l.Name))
		}
		// Which of the two a veth says depends on the index of its other end.
		line = append(line, "oper="+strings.TrimPrefix(l.OperState, "lowerlayer"))
		if l.Bond != nil {
			for _, p := range params {
				line = append(line, p.name+"="+fact(&s, l.Name+".opt."+p.name))
			}
		}
		out = append(out, strings.Join(line, "\t"))
	}
	return strings.Join(out, "\n")
}
