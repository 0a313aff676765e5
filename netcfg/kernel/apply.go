package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// chunkSize is how many bytes of requests go into one sendmsg. More than 32 KiB
// gains nothing.
const chunkSize = 256 << 10

// chunkRequests is about how many requests fill a chunk.
const chunkRequests = chunkSize / usualMessage

// retryPauses come before each further try of an operation that was refused for
// the moment only.
var retryPauses = []time.Duration{5 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond}

// Apply performs the operations in order, many in one system call, and asks for
// every one to be acknowledged. See converge.Kernel for what it promises. With the
// context's end no more are sent, but for those that were the answers are taken in.
// One Apply runs at a time.
//
// An operation that the kernel neither performs nor refuses for 5 seconds, and 20 ms
// more for each link on the host, ends the Apply: it and those sent along are Hung.
// The kernel may still perform them.
func (k *Kernel) Apply(ctx context.Context, ops []plan.Op) error {
	if len(ops) == 0 {
		return nil
	}
	if first := ops[0].Action; slices.ContainsFunc(ops, func(op plan.Op) bool { return (op.Action == plan.DiscoverySet) != (first == plan.DiscoverySet) }) {
		return k.applyApart(ctx, ops)
	} else if first == plan.DiscoverySet {
		return k.setDiscovery(ctx, ops)
	}
	if err := k.writer.take(ctx); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	k.begun(ops)
	defer k.ended()
	b := &batch{Kernel: k, ctx: ctx, ops: ops, errs: make([]*plan.OpError, len(ops)), tried: make([]bool, len(ops))}
	b.run()
	if b.stuck == nil {
		k.writer.give()
	} else {
		go func() { // Close waits for it, by the turn
			<-b.stuck
			k.writer.give()
		}()
	}
	return b.result()
}

// applyApart performs what goes by netlink and what does not in their order, until
// something is refused.
func (k *Kernel) applyApart(ctx context.Context, ops []plan.Op) error {
	for len(ops) > 0 {
		apart := ops[0].Action == plan.DiscoverySet
		end := slices.IndexFunc(ops, func(op plan.Op) bool { return (op.Action == plan.DiscoverySet) != apart })
		if end < 0 {
			end = len(ops)
		}
		if err := k.Apply(ctx, ops[:end]); err != nil {
			return err
		}
		ops = ops[end:]
	}
	return nil
}

// batch is one Apply.
type batch struct {
	*Kernel
	ctx   context.Context
	ops   []plan.Op
	errs  []*plan.OpError
	tried []bool // sent, or refused before that
	// stuck is set when the kernel did not answer: the send that is still under
	// way.
	stuck chan struct{}
}

func (b *batch) run() {
	all := make([]int, len(b.ops))
	for i := range all {
		all[i] = i
	}
	b.perform(all, 0)
	for _, pause := range retryPauses {
		again := b.ofKind(plan.Busy)
		if len(again) == 0 || !b.sleep(pause) {
			break
		}
		for _, i := range again {
			b.perform([]int{i}, 0)
		}
	}
	for _, i := range b.ofKind(plan.Present) {
		if b.ops[i].Action == plan.AddrAdd {
			b.settleAddress(i)
		}
	}
}

func (b *batch) goesOn() bool { return b.stuck == nil && b.ctx.Err() == nil }

func (b *batch) sleep(d time.Duration) bool {
	select {
	case <-b.ctx.Done():
	case <-time.After(d):
	}
	return b.goesOn()
}

func (b *batch) ofKind(kind plan.ErrorKind) []int {
	var found []int
	for i, e := range b.errs {
		if e != nil && e.Kind == kind {
			found = append(found, i)
		}
	}
	return found
}

// result joins the refusals in the order of the operations.
func (b *batch) result() error {
	var errs []error
	unsent := 0
	for i, e := range b.errs {
		switch {
		case e != nil:
			errs = append(errs, e)
		case !b.tried[i]:
			unsent++
		}
	}
	if unsent > 0 {
		errs = append(errs, fmt.Errorf("%d of %d operations were not sent", unsent, len(b.ops)), b.ctx.Err())
	}
	return errors.Join(errs...)
}

// perform sends the operations of these numbers, in chunks. A refusal in one chunk
// does not keep the next back, just as it does not within a chunk.
func (b *batch) perform(numbers []int, flags uint16) {
	limit := min(chunkSize, b.writer.sendLimit)
	c := newChunk(min(len(numbers), chunkRequests))
	for n, i := range numbers {
		if !b.goesOn() {
			return
		}
		r, refusal := b.request(i)
		if refusal != nil {
			b.errs[i], b.tried[i] = refusal, true
			continue
		}
		c.add(i, b.writer.sequence(), r, flags)
		if len(c.bytes) >= limit || len(c.waiting) >= b.writer.answerLimit {
			b.exchange(c)
			c = newChunk(min(len(numbers)-n, chunkRequests))
		}
	}
	if len(c.waiting) > 0 && b.goesOn() {
		b.exchange(c)
	}
}

// request encodes an operation, unless a test wants it to fail.
func (b *batch) request(i int) (request, *plan.OpError) {
	op := b.ops[i]
	if b.options.Inject != nil {
		if errno := b.options.Inject(i, op); errno != 0 {
			return request{}, b.judge(op, answer{errno: errno})
		}
	}
	r, err := encode(op)
	if err != nil {
		return request{}, opError(op, plan.Refused, answer{errno: unix.EINVAL, text: err.Error()})
	}
	return r, nil
}

// judge turns an answer into the outcome of an operation: nil if it is done.
func (b *batch) judge(op plan.Op, a answer) *plan.OpError {
	// While the kernel does not answer, there is nobody to ask.
	permitted := func() bool { return b.stuck != nil || mayChange(b.writer.socket) }
	kind, done := verdict(op.Action, a, permitted)
	if done {
		return nil
	}
	return opError(op, kind, a)
}

// settleAddress looks closer at an address that is "there already". To the kernel
// that may be an IPv6 address of another prefix length, which is a refusal, or one
// on loan, which is given the lifetimes of the operation.
func (b *batch) settleAddress(i int) {
	op := b.ops[i]
	var addresses []state.Address
	err := b.reader.talk(b.ctx, func(conn *socket) (err error) {
		addresses, err = dumpAddresses(conn, newBudget(b.ctx), op.Index)
		return err
	})
	if err != nil {
		return
	}
	for _, a := range addresses {
		if a.Prefix != op.Address.Prefix || a.Peer != op.Address.Peer {
			continue
		}
		if finite(a) || finite(op.Address) {
			b.perform([]int{i}, unix.NLM_F_REPLACE)
		} else {
			b.errs[i] = nil
		}
		return
	}
}
