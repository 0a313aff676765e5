//go:build kernel

package kerneltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hostnic/hostnic/netcfg/kernel"
	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
	"github.com/hostnic/hostnic/test/need"
)

// TestRehearsalForetells plays random plans, which nobody has validated, on stand-ins
// and then on the host: what the kernel refuses of them, and with which error, is the
// same in both. A plan that would be refused half way is thus refused before. A host
// that can no longer be made as it is, such as one with a bond that has both monitors
// from former modes, is not copied.
func TestRehearsalForetells(t *testing.T) {
	need.Kernel(t, need.Root, need.Netns, need.Veth, need.Bond, need.LACP, need.VLAN, need.Bridge, need.IPv6)
	plans, skipped, operations, refused := 0, 0, 0, 0
	from, to := seeds()
	for seed := from; seed <= to; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWalk(t, Seeded(uint64(seed)))
			for range 60 {
				ops := w.someOperations()
				want, err := w.rehearsed(ops)
				var stage *kernel.StageError
				if err != nil && !errors.As(err, &stage) {
					t.Fatal(err)
				}
				got := w.performed(w.real, ops)
				w.performed(w.fake, ops) // keeps up, to tell what is there
				for i, op := range ops {
					w.log = append(w.log, fmt.Sprintf("%s  => %d", op(w.real), got[i]))
					operations++
					if got[i] != 0 {
						refused++
					}
				}
				if stage != nil {
					t.Log(stage)
					skipped++
				}
				if plans++; stage == nil && fmt.Sprint(want) != fmt.Sprint(got) {
					t.Fatalf("%s\nthe rehearsal of the last %d foretold %q", strings.Join(w.log, "\n"), len(ops), want)
				}
			}
		})
	}
	t.Logf("%d plans, %d not rehearsed, %d operations, of which %d refused", plans, skipped, operations, refused)
	if !t.Failed() && (refused < operations/10 || refused > operations*9/10 || skipped > plans/20) {
		t.Errorf("that proves little")
	}
}

func (w *walk) someOperations() []func(*lab) plan.Op {
	var ops []func(*lab) plan.Op
	for n := 1 + w.IntN(4); len(ops) < n; {
		op := w.operation()
		made := op(w.real)
		six := made.AddrGenModeNone != nil || made.Address.Prefix.Addr().Is6() || made.Route.Dst.Addr().Is6()
		switch {
		case (six || made.MTU != 0) && slices.Contains(walkNICs, made.Name):
			continue // of a slave the kernel tells neither its former MTU nor whether that has cost it IPv6
		case made.Route.Protocol == state.ProtocolKernel:
			continue // nobody's but the kernel's
		}
		ops = append(ops, op)
	}
	return ops
}

// rehearsed is what the kernel says to each of the operations on stand-ins.
func (w *walk) rehearsed(ops []func(*lab) plan.Op) (answers []syscall.Errno, err error) {
	var p plan.Plan
	for _, op := range ops {
		p.Phases = append(p.Phases, plan.Phase{Ops: []plan.Op{op(w.real)}})
	}
	err = kernel.Rehearse(w.Context(), w.real.look(), p, func(s *kernel.Stage) error {
		for _, ph := range p.Phases {
			answers = append(answers, errnoOf(s.Apply(w.Context(), ph.Ops)))
			if _, err := s.Snapshot(w.Context()); err != nil {
				return err
			}
		}
		return nil
	})
	return answers, err
}

func (w *walk) performed(l *lab, ops []func(*lab) plan.Op) (answers []syscall.Errno) {
	for _, op := range ops {
		err := l.Apply(context.Background(), []plan.Op{op(l)})
		var e *plan.OpError
		if err != nil && !errors.As(err, &e) {
			w.Fatal(err)
		}
		answers = append(answers, errnoOf(err))
	}
	return answers
}
