package kernel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
)

func linkOps(n int) []plan.Op {
	var ops []plan.Op
	for i := range n {
		ops = append(ops, plan.Op{Action: plan.LinkSet, Index: i + 1, Name: fmt.Sprint("l", i+1), MTU: 1500})
	}
	return ops
}

// indexOf is which link a request of linkOps is about.
func indexOf(m message) int { return int(u32(m.body[4:])) }

// kinds are the outcomes by link, of those that were not done.
func kinds(t *testing.T, err error) map[int]plan.ErrorKind {
	t.Helper()
	found := map[int]plan.ErrorKind{}
	if err == nil {
		return found
	}
	for _, one := range err.(interface{ Unwrap() []error }).Unwrap() {
		if op, ok := errors.AsType[*plan.OpError](one); ok {
			found[op.Op.Index] = op.Kind
		}
	}
	return found
}

// TestLostAnswers loses some of the answers. What they were for is tried again.
func TestLostAnswers(t *testing.T) {
	asked := map[int]int{}
	s := &script{answer: func(m message, tell func(...any)) {
		i := indexOf(m)
		asked[i]++
		switch {
		case i == 2 && asked[i] == 1:
			tell(unix.ENOBUFS)
		case i == 3:
			tell(refused(m, unix.ERANGE, ""))
		default:
			tell(acknowledged(m))
		}
	}}
	k := scripted(t, Options{}, nil, s)
	err := k.Apply(t.Context(), linkOps(4))
	if got := kinds(t, err); len(got) != 1 || got[3] != plan.Refused || asked[2] != 2 || asked[1] != 1 || k.Writes() != 5 {
		t.Errorf("%v, asked %v, %d writes", err, asked, k.Writes())
	}
}

// TestNotSent has a kernel that does not take the whole chunk.
func TestNotSent(t *testing.T) {
	s := &script{answer: func(_ message, tell func(...any)) { tell(sendError{unix.EMSGSIZE}) }}
	err := scripted(t, Options{}, nil, s).Apply(t.Context(), linkOps(3))
	if got := kinds(t, err); len(got) != 3 || got[1] != plan.Refused || !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("%v", err)
	}
}

// TestApplyHangs has a kernel that acknowledges two operations, refuses one and
// holds the next. Each has its outcome; those not sent are told; the kernel can come
// to later.
func TestApplyHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &script{answer: func(m message, tell func(...any)) {
			switch indexOf(m) {
			case 2:
				tell(refused(m, unix.EPERM, "a reason"))
			case 4:
				<-release
				tell(acknowledged(m))
			default:
				tell(acknowledged(m))
			}
		}}
		k := scripted(t, Options{}, nil, s)
		k.writer.answerLimit = 5
		k.links.Store(100)
		start := time.Now()
		err := k.Apply(t.Context(), linkOps(12))
		got := kinds(t, err)
		if len(got) != 3 || got[2] != plan.Refused || got[4] != plan.Hung || got[5] != plan.Hung {
			t.Errorf("outcomes %v", got)
		}
		if !strings.Contains(err.Error(), "7 of 12 operations were not sent") {
			t.Errorf("error: %v", err)
		}
		// The first tick sees the answers that came, the second that none came.
		if took := time.Since(start); took != 2*(5*time.Second+100*patiencePerLink) {
			t.Errorf("it took %v", took)
		}
		k.links.Store(0)
		if err := k.Apply(t.Context(), linkOps(1)); !errors.Is(err, ErrHung) {
			t.Errorf("the next: %v", err)
		}
		close(release)
		synctest.Wait()
		if err := k.Apply(t.Context(), linkOps(1)); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// TestApplySlow takes 4 s for each of 10 operations, which is not hanging.
func TestApplySlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answer: func(m message, tell func(...any)) {
			time.Sleep(4 * time.Second)
			tell(acknowledged(m))
		}}
		if err := scripted(t, Options{}, nil, s).Apply(t.Context(), linkOps(10)); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // a group of 1,000 links has 20 s more
		s := &script{answer: func(m message, tell func(...any)) {
			time.Sleep(24 * time.Second)
			tell(acknowledged(m))
		}}
		op := plan.Op{Action: plan.GroupDel, Group: plan.DoomedGroup, Names: make([]string, 1000)}
		if err := scripted(t, Options{}, nil, s).Apply(t.Context(), []plan.Op{op}); err != nil {
			t.Error(err)
		}
	})
}

// TestApplyCanceled ends in the middle: what was sent has its outcome, the rest is
// not sent.
func TestApplyCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &script{answer: func(m message, tell func(...any)) {
		if indexOf(m) == 2 {
			cancel()
			tell(refused(m, unix.EBUSY, "")) // and not tried again
			return
		}
		tell(acknowledged(m))
	}}
	k := scripted(t, Options{}, nil, s)
	k.writer.answerLimit = 3
	err := k.Apply(ctx, linkOps(8))
	if got := kinds(t, err); len(got) != 1 || got[2] != plan.Busy || !errors.Is(err, context.Canceled) || s.sent != 3 {
		t.Errorf("%v, %d sent", err, s.sent)
	}
	if !strings.Contains(err.Error(), "5 of 8 operations were not sent") {
		t.Errorf("error: %v", err)
	}
}

// TestCanceledBeforeSending ends while the chunk is being put together: none of it is
// sent, and none of it counts as done.
func TestCanceledBeforeSending(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &script{answer: func(m message, tell func(...any)) { tell(acknowledged(m)) }}
	for at := range 5 {
		k := scripted(t, Options{Inject: func(i int, _ plan.Op) syscall.Errno {
			if i == at {
				cancel()
			}
			return 0
		}}, nil, s)
		err := k.Apply(ctx, linkOps(5))
		if err == nil || s.sent != 0 || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "5 of 5 operations were not sent") {
			t.Errorf("canceled at %d: %v, %d sent", at, err, s.sent)
		}
		ctx, cancel = context.WithCancel(t.Context())
	}
	cancel()
}

// TestUnplannable has operations that cannot be written down.
func TestUnplannable(t *testing.T) {
	s := &script{answer: func(m message, tell func(...any)) { tell(acknowledged(m)) }}
	k := scripted(t, Options{}, nil, s)
	for name, op := range map[string]plan.Op{
		"action":        {Action: 99},
		"MAC":           {Action: plan.LinkSet, MAC: "not one"},
		"option":        {Action: plan.LinkSet, Options: []plan.Option{{Name: "warp", Value: "9"}}},
		"option's word": {Action: plan.LinkSet, Options: []plan.Option{{Name: "mode", Value: "9"}}},
		"too big":       {Action: plan.LinkSet, Options: []plan.Option{{Name: "resend_igmp", Value: "256"}}},
		"target":        {Action: plan.LinkSet, Options: []plan.Option{{Name: "arp_ip_target", Value: "2001:db8::1"}}},
		"option's MAC":  {Action: plan.LinkSet, Options: []plan.Option{{Name: "ad_actor_system", Value: "x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			err := k.Apply(t.Context(), []plan.Op{op})
			if e, ok := errors.AsType[*plan.OpError](err); !ok || e.Kind != plan.Refused || e.Message == "" || k.Writes() != 0 {
				t.Errorf("%v, %d writes", err, k.Writes())
			}
		})
	}
}
