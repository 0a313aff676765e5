package main

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

func TestExitCodeOfStatus(t *testing.T) {
	want := map[codes.Code]int{
		codes.InvalidArgument: 3, codes.FailedPrecondition: 3, codes.AlreadyExists: 3, codes.NotFound: 3,
		codes.Aborted: 3, codes.Unimplemented: 3,
		codes.DataLoss:    5,
		codes.Unavailable: 6, codes.PermissionDenied: 6, codes.Unauthenticated: 6,
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		w, ok := want[code]
		if !ok {
			w = 1
		}
		if got := exitCode(fmt.Errorf("wrapped: %w", &agentError{code: code})); got != w {
			t.Errorf("%v ends with %d, want %d", code, got, w)
		}
	}
}

func TestExitCode(t *testing.T) {
	operation := func(state string) error { return &operationError{&hostnicv1.Operation{State: state}} }
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"done", nil, 0},
		{"something else", errors.New("no"), 1},
		{"usage", &usageError{}, 2},
		{"refused operation", operation("refused"), 3},
		{"rolled back", operation("rolled-back"), 4},
		{"rolled back, as a status", &agentError{code: codes.Aborted, rule: "rolled-back"}, 4},
		{"incomplete", operation("incomplete"), 5},
		{"last operation incomplete", errUnresolved, 5},
		{"a state of a later agent", operation("pondering"), 1},
		{"changes", errChanges, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := exitCode(c.err); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}
