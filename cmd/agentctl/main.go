// Command agentctl is what an operator asks and tells hostnicd with. It speaks the
// API of the agent and nothing else: whatever it can do, any client can.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc/codes"
)

// version is set by the linker.
var version = "unknown"

// The exit codes, which scripts rely on.
const (
	exitDone        = 0
	exitError       = 1
	exitUsage       = 2
	exitRefused     = 3
	exitRolledBack  = 4
	exitIncomplete  = 5
	exitUnreachable = 6
	exitChanges     = 10
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process, for tests. It returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends the process the hard way

	g := &globals{getenv: getenv}
	checked := &checkedWriter{Writer: out}
	root := newRootCommand(g)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(checked)
	root.SetErr(errOut)

	err := root.ExecuteContext(ctx)
	if checked.err != nil && (err == nil || exitCode(err) == exitChanges) {
		err = fmt.Errorf("writing the output: %w", checked.err)
	}
	if err != nil && !silent(err) {
		g.printError(errOut, err, args)
	}
	return exitCode(err)
}

// Two outcomes are no failure of the command, and what it printed says it all.
var (
	errChanges    = errors.New("there are changes")
	errUnresolved = errors.New("the last rollback is incomplete")
)

func silent(err error) bool {
	return errors.Is(err, errChanges) || errors.Is(err, errUnresolved)
}

// exitCode is the only place that knows which error ends with which code.
func exitCode(err error) int {
	var (
		usage     *usageError
		operation *operationError
		agent     *agentError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errChanges):
		return exitChanges
	case errors.Is(err, errUnresolved):
		return exitIncomplete
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &operation):
		return exitOfState(operation.op.GetState())
	case errors.As(err, &agent):
		return exitOfStatus(agent)
	}
	return exitError
}

func exitOfState(state string) int {
	switch state {
	case stateRefused:
		return exitRefused
	case stateRolledBack:
		return exitRolledBack
	case stateIncomplete:
		return exitIncomplete
	}
	return exitError
}

func exitOfStatus(e *agentError) int {
	switch e.code {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.AlreadyExists, codes.NotFound, codes.Unimplemented:
		return exitRefused
	case codes.Aborted:
		// The code stands for a stale revision and for a kernel that refused.
		if e.rule == stateRolledBack {
			return exitRolledBack
		}
		return exitRefused
	case codes.DataLoss:
		return exitIncomplete
	case codes.Unavailable, codes.PermissionDenied, codes.Unauthenticated:
		return exitUnreachable
	}
	return exitError
}
