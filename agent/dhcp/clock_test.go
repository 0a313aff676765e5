package dhcp

import (
	"testing"
	"time"
)

func TestBootTimer(t *testing.T) {
	c := bootClock{}
	timer, err := c.timer()
	if err != nil {
		t.Fatal(err)
	}
	defer timer.close()
	rings := func(at time.Duration) {
		t.Helper()
		timer.set(at)
		select {
		case <-timer.C():
			if now := c.now(); now < at {
				t.Errorf("rang at %s, before %s", now, at)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("does not ring")
		}
	}
	rings(c.now() + 30*time.Millisecond)
	rings(c.now() - time.Second)
	rings(0)
	timer.set(c.now() + 30*time.Millisecond)
	timer.set(never)
	select {
	case <-timer.C():
		t.Error("rings although it has been stopped")
	case <-time.After(100 * time.Millisecond):
	}
	timer.set(c.now() + time.Hour)
	rings(c.now() + time.Millisecond)
}
