package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// States of operations, and the kind of which an error speaks differently.
const (
	stateRunning    = "running"
	stateDone       = "done"
	stateRefused    = "refused"
	stateRolledBack = "rolled-back"
	stateIncomplete = "incomplete"

	kindRollback = "rollback"
)

// stream is the progress of an operation: the next update, or why there is none.
type stream func() (*hostnicv1.OperationUpdate, error)

// starter begins an operation with options that all kinds of them share.
type starter func(ctx context.Context, c *connection, options *hostnicv1.ApplyOptions) (stream, error)

// receiver makes the streams of the three kinds of operations alike.
func receiver[T any, P interface {
	*T
	GetUpdate() *hostnicv1.OperationUpdate
}](s grpc.ServerStreamingClient[T], err error) (stream, error) {
	if err != nil {
		return nil, err
	}
	return func() (*hostnicv1.OperationUpdate, error) {
		answer, err := s.Recv()
		if err != nil {
			return nil, err
		}
		return P(answer).GetUpdate(), nil
	}, nil
}

// operate starts an operation and follows it to its end, also past a connection
// that breaks: the operation has an id of ours and goes on without us. It prints
// what became of it; success says that in the words of the command.
func (g *globals) operate(ctx context.Context, out, errOut io.Writer, start starter, success func(screen, *hostnicv1.Operation) (next string)) error {
	c, err := g.connect()
	if err != nil {
		return err
	}
	defer c.close()
	p := &progress{s: g.screen(errOut), quiet: g.machine()}
	op, err := c.follow(ctx, newID(), start, p)
	p.end()
	if err != nil {
		return err
	}
	if g.machine() {
		if err := g.printMessage(out, op, ""); err != nil {
			return err
		}
	}
	if op.GetState() != stateDone {
		return &operationError{op}
	}
	if g.machine() {
		return nil
	}
	next := success(g.screen(out), op)
	printOutcome(g.screen(errOut), op)
	if next != "" {
		g.screen(errOut).println(next)
	}
	return nil
}

// queuedAfter is how long nobody need be told that the operation has not begun.
const queuedAfter = time.Second

// queued tells why nothing is to be seen while the agent takes its time to begin: it
// does one thing after the other. begun has to be called when that is over.
func (c *connection) queued(p *progress) (begun func()) {
	told := make(chan struct{})
	timer := time.AfterFunc(queuedAfter, func() {
		defer close(told)
		if reached, _ := c.dialed(); reached {
			p.note("the agent has not begun yet: agentctl status tells what it is at")
		}
	})
	return sync.OnceFunc(func() {
		if !timer.Stop() {
			<-told
		}
	})
}

// follow returns the operation when it has ended, however it has.
func (c *connection) follow(ctx context.Context, id string, start starter, p *progress) (*hostnicv1.Operation, error) {
	begun := c.queued(p)
	defer begun()
	next, err := start(ctx, c, &hostnicv1.ApplyOptions{OperationId: id, Paths: c.paths})
	for err == nil {
		var update *hostnicv1.OperationUpdate
		update, err = next()
		if begun(); err != nil {
			break
		}
		if c.clean {
			sanitize(update)
		}
		if step := update.GetStep(); step != nil {
			p.step(step)
		}
		if op := update.GetOperation(); op.GetDone() {
			return op, nil
		}
	}
	failure := c.streamError(err)
	switch {
	case ctx.Err() != nil:
		return nil, &agentError{
			code: codes.Canceled, what: "no longer watching: the operation goes on, unless it had not begun",
			next: "see what becomes of it: agentctl status",
		}
	case failure.code != codes.Unavailable:
		return nil, failure
	}
	if reached, _ := c.dialed(); !reached {
		return nil, failure // nobody there: nothing has been started
	}
	p.note("lost sight of the operation; asking the agent what became of it")
	return c.await(ctx, id, failure)
}

// streamError is why a stream has ended without a result. A clean end is a broken
// stream too.
func (c *connection) streamError(err error) *agentError {
	if errors.Is(err, io.EOF) {
		return &agentError{code: codes.Unavailable, what: "the agent at " + c.target + " ended the connection"}
	}
	var e *agentError
	if !errors.As(c.explain(err), &e) {
		return &agentError{code: codes.Unknown, what: err.Error()}
	}
	return e
}

// pollEvery is how often an operation is asked for whose stream is lost.
const pollEvery = 200 * time.Millisecond

// await asks for the operation until it has ended. The agent remembers it when it is
// started again in the middle, and says what it has made of it. await gives up when
// nobody answers for the length of the time limit; while the agent says running there
// is no limit, as there is none for a stream.
func (c *connection) await(ctx context.Context, id string, lost *agentError) (*hostnicv1.Operation, error) {
	lost.next = "see what became of it: agentctl status"
	for answered := time.Now(); time.Since(answered) < c.timeout; {
		answer, err := c.config().GetOperation(ctx, &hostnicv1.GetOperationRequest{Id: id}, grpc.WaitForReady(true))
		var failure *agentError
		switch {
		case err == nil && answer.GetOperation().GetDone():
			return answer.GetOperation(), nil
		case err == nil:
			answered = time.Now()
		case errors.As(err, &failure) && failure.code == codes.NotFound:
			lost.what += "; it is there again and does not know the operation, of which nothing was done"
			lost.next = "do it again"
			return nil, lost
		case errors.As(err, &failure) && failure.code != codes.Unavailable && failure.code != codes.DeadlineExceeded:
			return nil, err
		}
		select {
		case <-ctx.Done():
			lost.what += "; no longer waiting for it"
			return nil, lost
		case <-time.After(pollEvery):
		}
	}
	lost.what += fmt.Sprintf("; it has not come back within %v, and the operation may be going on", c.timeout)
	return nil, lost
}

// newID is a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it does not fail, by its documentation
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// printOutcome writes what else is to be known about an operation that succeeded.
func printOutcome(s screen, op *hostnicv1.Operation) {
	for _, f := range op.GetDisrupted() {
		s.paragraph("interrupted: ", yellow, forecastLine(f), 4)
	}
	printProbes(s, op)
	printNotes(s, op.GetWaiting(), op.GetWarnings())
}

// howMuch is what an operation did: 12 operations in 0.31 s.
func howMuch(op *hostnicv1.Operation) string {
	text := fmt.Sprintf("%d operations", op.GetWrites())
	if op.GetWrites() == 1 {
		text = "1 operation"
	}
	return text + " in " + seconds(op.GetDuration().AsDuration())
}

func seconds(d time.Duration) string {
	if d >= 10*time.Second {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
