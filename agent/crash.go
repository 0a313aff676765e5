//go:build crash

package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg/kernel"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// This daemon is for tests. It dies, as by kill -9, where the file says that
// HOSTNIC_FAULTS names, and has the kernel refuse what the file says, below the
// encoder. The file is read again at each point; when it has changed, counting begins
// anew. Its lines:
//
//	kill N               at the Nth point: a temporary file made, a file put in
//	                     place, an operation of the kernel answered
//	kill N steps         the same, but every single step with a file is a point
//	refuse FROM TO ERRNO the operations of these numbers, from 1; one that is tried
//	                     again is counted again
//
// A line that begins with "guard" is for the guard, all others are for the daemon.
// What was reached is written, a point a line, into the same name with .log.
var planned = &faults{path: os.Getenv("HOSTNIC_FAULTS"), guard: len(os.Args) > 1 && os.Args[1] == GuardCommand}

type faults struct {
	path  string
	guard bool

	mu   sync.Mutex
	text string
	plot
}

// plot is what the file says, and how far it is.
type plot struct {
	kill   int
	steps  bool
	refuse []refusal
	// points and operations are how many there were since the file was changed.
	points, operations int
}

// refusal is of the operations from the first number to the last.
type refusal struct {
	from, to int
	errno    syscall.Errno
}

// kernelOptions have the kernel refuse what is planned.
func kernelOptions() kernel.Options { return kernel.Options{Inject: planned.inject} }

// crashing has the daemon die where it is planned.
func crashing(k engine.Kernel, st *store.Store) engine.Kernel {
	if planned.path == "" {
		return k
	}
	st.Trace = planned.step
	return &crashKernel{k}
}

type crashKernel struct{ engine.Kernel }

// Apply sends one operation at a time, and goes on behind a refused one as the
// kernel does.
func (c *crashKernel) Apply(ctx context.Context, ops []plan.Op) error {
	var errs []error
	for _, op := range ops {
		errs = append(errs, c.Kernel.Apply(ctx, []plan.Op{op}))
		planned.point("kernel "+op.String(), true)
	}
	return errors.Join(errs...)
}

// step is a point of the store.
func (f *faults) step(s store.Step) error {
	name := filepath.Base(s.Path)
	if strings.HasPrefix(name, ".") { // a temporary file
		name = name[1:max(1, strings.LastIndexByte(name, '-'))]
	}
	f.point(fmt.Sprint(s.Deed, " ", name), s.Deed == store.Created || s.Deed == store.Renamed)
	return nil
}

// point counts, notes, and dies if it is time.
func (f *faults) point(label string, coarse bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read()
	if !coarse && !f.steps {
		return
	}
	f.points++
	f.note(label)
	if f.points == f.kill {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

func (f *faults) inject(int, plan.Op) syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read()
	f.operations++
	for _, r := range f.refuse {
		if r.from <= f.operations && f.operations <= r.to {
			return r.errno
		}
	}
	return 0
}

// read takes over the file. One that is not there plans nothing.
func (f *faults) read() {
	data, err := os.ReadFile(f.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) && f.path != "" {
		panic(err)
	}
	if string(data) == f.text {
		return
	}
	f.text, f.plot = string(data), plot{}
	for in := bufio.NewScanner(strings.NewReader(f.text)); in.Scan(); {
		words := strings.Fields(in.Text())
		guard := len(words) > 0 && words[0] == GuardCommand
		if guard {
			words = words[1:]
		}
		if guard == f.guard {
			f.plot.add(words)
		}
	}
}

func (p *plot) add(words []string) {
	number := func(i int) int {
		n, err := strconv.Atoi(words[i])
		if err != nil {
			panic(err)
		}
		return n
	}
	switch {
	case len(words) >= 2 && words[0] == "kill":
		p.kill, p.steps = number(1), len(words) == 3 && words[2] == "steps"
	case len(words) == 4 && words[0] == "refuse":
		p.refuse = append(p.refuse, refusal{number(1), number(2), syscall.Errno(number(3))})
	default:
		panic(fmt.Sprintf("%s: %q is not understood", os.Getenv("HOSTNIC_FAULTS"), words))
	}
}

// note writes down what was reached.
func (f *faults) note(label string) {
	log, err := os.OpenFile(f.path+".log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	_, err = fmt.Fprintln(log, label)
	if err := errors.Join(err, log.Close()); err != nil {
		panic(err)
	}
}
