package kernel

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/plan"
)

// Options of a Kernel. The zero value is right for production.
type Options struct {
	// Patience is how long the kernel may take without a sign of progress before
	// a call ends with ErrHung, or an operation with plan.Hung. 5 seconds if zero;
	// 20 ms are added for each link there is.
	Patience time.Duration
	// Inject is for tests that want to see a failure. It is asked before each
	// operation of an Apply, and again before each further try; any answer but 0
	// stands for the kernel's, and the operation is not sent. ETIMEDOUT stands for
	// no answer.
	Inject func(i int, op plan.Op) syscall.Errno
}

// Kernel is one network namespace. It has a socket each for looking at everything,
// looking at one link, acting, asking drivers and watching, so that none of them waits
// for another. It may be used from many goroutines.
type Kernel struct {
	options Options
	reader  *lane // rtnetlink, looking
	single  *lane // rtnetlink, looking at what there are news of
	writer  *lane // rtnetlink, acting
	drivers *lane // generic netlink, ethtool
	ioctls  int   // a socket for ethtool where netlink does not have it
	events  *events
	netns   *os.File // the namespace
	home    bool     // it is that of the process

	// family is the number of ethtool in generic netlink: 0 before anybody asked,
	// negative when the kernel does not have it.
	family atomic.Int32
	// links is how many there were at the last look, the measure for how long
	// deleting may take.
	links  atomic.Int64
	writes atomic.Uint64
	// acting is how many Applies are under way, acted when the last one ended, in
	// nanoseconds since opened.
	acting atomic.Int32
	acted  atomic.Int64
	opened time.Time
}

// Open opens the door to the network namespace of the calling thread. A goroutine
// that has changed the namespace of its thread must stay on it for the call, and for
// the call only.
func Open(options Options) (*Kernel, error) {
	if options.Patience == 0 {
		options.Patience = 5 * time.Second
	}
	k := &Kernel{options: options, ioctls: -1, opened: time.Now()}
	if err := k.open(); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

func (k *Kernel) open() (err error) {
	if k.netns, k.home, err = openNetns(); err != nil {
		return err
	}
	if k.reader, err = openLane(unix.NETLINK_ROUTE, k.patience); err != nil {
		return err
	}
	if k.single, err = openLane(unix.NETLINK_ROUTE, k.patience); err != nil {
		return err
	}
	if k.writer, err = openLane(unix.NETLINK_ROUTE, k.patience); err != nil {
		return err
	}
	if k.drivers, err = openLane(unix.NETLINK_GENERIC, k.patience); err != nil {
		return err
	}
	if k.ioctls, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	k.events, err = openEvents()
	return err
}

// Close waits for the calls that are under way and gives the sockets back. A Watch
// has to be ended before. What the kernel does not let go of stays open, and the
// error says so. Close may be called again.
func (k *Kernel) Close() error {
	var errs []error
	for _, l := range []*lane{k.reader, k.single, k.writer} {
		if l != nil {
			errs = append(errs, l.close())
		}
	}
	if k.drivers != nil {
		err := k.drivers.close()
		if err == nil && k.ioctls >= 0 { // the lane of the drivers has it
			err = unix.Close(k.ioctls)
			k.ioctls = -1
		}
		errs = append(errs, err)
	}
	if k.events != nil {
		errs = append(errs, k.events.close())
	}
	if k.netns != nil {
		errs = append(errs, k.netns.Close())
		k.netns = nil
	}
	return errors.Join(errs...)
}

// patiencePerLink is for the operations that take what is on a link along. Deleting
// 4,000 links at once took 11 s on an emulated processor, and all others wait for it.
const patiencePerLink = 20 * time.Millisecond

func (k *Kernel) patience() time.Duration {
	return k.options.Patience + time.Duration(k.links.Load())*patiencePerLink
}

// Writes is how many operations have been sent to the kernel so far, tried again or
// not. Looking does not count.
func (k *Kernel) Writes() uint64 { return k.writes.Load() }
