package engine

import (
	"testing"
	"testing/synctest"
	"time"
)

// Nothing is written before the client knows that its operation has begun, and a client
// that does not listen is waited for so long and no longer.
func TestToldBeforeTheFirstWrite(t *testing.T) {
	for _, listens := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer r.stop()
			r.stage(another)
			before := r.seen.Load() // counts files, too
			listening, ended := make(chan struct{}), make(chan struct{})
			var first Step
			go func() {
				defer close(ended)
				_, err := r.Do(t.Context(), Request{Kind: Apply, ID: "mine"}, func(s Step) {
					if first.Phase == "" {
						first = s
						<-listening
					}
				})
				if err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
			if op := r.operation("mine"); op.State != Running || first.Phase != PhaseStarted || r.seen.Load() != before {
				t.Errorf("%s, told %q, %d points have passed", op.State, first.Phase, r.seen.Load()-before)
			}
			if listens {
				close(listening)
			} else {
				time.Sleep(patience)
			}
			synctest.Wait()
			if op := r.operation("mine"); op.State != Done || r.kernel.Writes() == 0 {
				t.Errorf("%s after %d requests", op.State, r.kernel.Writes())
			}
			if !listens {
				close(listening)
			}
			<-ended
		})
	}
}

func TestAmount(t *testing.T) {
	for n, want := range map[int]string{0: "0 NICs", 1: "1 NIC", 2: "2 NICs"} {
		if got := amount(n, "NIC"); got != want {
			t.Errorf("%d are %q, want %q", n, got, want)
		}
	}
}
