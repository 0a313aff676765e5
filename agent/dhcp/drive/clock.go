package drive

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg"
)

// Never is a time that does not come.
const Never = netcfg.LeaseForever

// Clock is the clock since boot, which goes on while the machine sleeps: a lease does
// too. Tests have another.
type Clock interface {
	Now() time.Duration
	Timer() (Timer, error)
}

// Timer says once that its time has come. One that is set again may say so once too
// often.
type Timer interface {
	// C has a token when the time has come.
	C() <-chan struct{}
	// Set moves it to a reading of the clock, or to Never. The past is now.
	Set(at time.Duration)
	Close()
}

// BootClock is CLOCK_BOOTTIME. Go's own timers stand still in suspend.
type BootClock struct{}

// Now is what it reads.
func (BootClock) Now() time.Duration {
	var ts unix.Timespec
	// It fails for clocks that the kernel does not have, and has had this one since 2.6.39.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}

// bootTimer is a timerfd, and a goroutine that waits for it.
type bootTimer struct {
	file  *os.File
	raw   syscall.RawConn
	at    time.Duration
	c     chan struct{}
	ended chan struct{}
}

// Timer is one that is not set.
func (BootClock) Timer() (Timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("timer: %w", err)
	}
	t := &bootTimer{file: os.NewFile(uintptr(fd), "timer"), at: Never, c: make(chan struct{}, 1), ended: make(chan struct{})}
	if t.raw, err = t.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("timer: %w", err), t.file.Close())
	}
	go t.wait()
	return t, nil
}

func (t *bootTimer) wait() {
	defer close(t.ended)
	var count [8]byte
	for {
		if _, err := t.file.Read(count[:]); err != nil {
			return // closed
		}
		select {
		case t.c <- struct{}{}:
		default:
		}
	}
}

func (t *bootTimer) C() <-chan struct{} { return t.c }

func (t *bootTimer) Set(at time.Duration) {
	if at == t.at {
		return
	}
	t.at = at
	var spec unix.ItimerSpec // zero disarms
	if at != Never {
		spec.Value = unix.NsecToTimespec(int64(max(at, 1)))
	}
	_ = t.raw.Control(func(fd uintptr) {
		// It fails for times that are none.
		_ = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME, &spec, nil)
	})
}

func (t *bootTimer) Close() {
	_ = t.file.Close()
	<-t.ended
}
