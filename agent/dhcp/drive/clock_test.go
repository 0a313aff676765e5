package drive

import (
	"testing"
	"time"
)

func TestBootTimer(t *testing.T) {
	c := BootClock{}
	timer, err := c.Timer()
	if err != nil {
		t.Fatal(err)
	}
	defer timer.Close()
	rings := func(at time.Duration) {
		t.Helper()
		timer.Set(at)
		select {
		case <-timer.C():
			if now := c.Now(); now < at {
				t.Errorf("rang at %s, before %s", now, at)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("does not ring")
		}
	}
	rings(c.Now() + 30*time.Millisecond)
	rings(c.Now() - time.Second)
	rings(0)
	timer.Set(c.Now() + 30*time.Millisecond)
	timer.Set(Never)
	select {
	case <-timer.C():
		t.Error("rings although it has been stopped")
	case <-time.After(100 * time.Millisecond):
	}
	timer.Set(c.Now() + time.Hour)
	rings(c.Now() + time.Millisecond)
}
