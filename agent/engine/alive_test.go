package engine

import (
	"testing"
	"testing/synctest"
	"time"
)

// A loop that has nothing to do lives, and one that hangs does not, once what it was
// at has had its time.
func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		time.Sleep(time.Hour)
		if !r.Alive() {
			t.Error("a loop that has nothing to do counts as hung")
		}
		hang, probing := make(chan struct{}), make(chan struct{})
		answered := make(chan error)
		go func() {
			answered <- r.call(t.Context(), func() {
				<-probing
				r.arm(r.Clock() + 3*time.Minute) // as before probes
				<-hang
			})
		}()
		expect := func(after time.Duration, alive bool) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if r.Alive() != alive {
				t.Errorf("after %s more: alive %v, want %v", after, !alive, alive)
			}
		}
		expect(applyLimit-time.Second, true)
		close(probing)
		expect(3*time.Minute-time.Second, true)
		expect(2*time.Second, false)
		close(hang)
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
		expect(0, true)
	})
}
