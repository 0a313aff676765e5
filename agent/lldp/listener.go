package lldp

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Port is a link to listen on.
type Port struct {
	Index int
	Name  string
}

// Listener keeps the neighbours of links. Update says which; Run listens.
type Listener struct {
	log     *slog.Logger
	open    func(Port) (conn, error)
	updates chan []Port
	current atomic.Pointer[[]Neighbour]
}

// conn is a socket on one link.
type conn interface {
	// read waits for a frame, without its Ethernet header; it ends with an error when
	// the socket is closed.
	read(buf []byte) (n int, from net.HardwareAddr, err error)
	close()
}

// New makes a listener that listens nowhere yet.
func New(log *slog.Logger) *Listener {
	l := &Listener{log: log, open: openSocket, updates: make(chan []Port, 1)}
	l.current.Store(&[]Neighbour{})
	return l
}

// Neighbours are those known now, in the order of the kernel's index. They are not to be
// changed.
func (l *Listener) Neighbours() []Neighbour { return *l.current.Load() }

// Update says on which links to listen from now on. It does not wait.
func (l *Listener) Update(ports []Port) {
	select {
	case <-l.updates: // an older one, which nobody has read
	default:
	}
	l.updates <- ports
}

// framePause is the time between two frames that are read from one link. A switch sends
// one in 30 seconds; what a flood has more the kernel throws away.
const framePause = 20 * time.Millisecond

// most is the longest LLDPDU: it has to fit into one frame that every bridge takes.
const most = 1500

// frame is one that has come.
type frame struct {
	at   time.Time
	ear  *ear
	from net.HardwareAddr
	pdu  []byte
}

// ear listens on one link.
type ear struct {
	port   Port
	conn   conn
	closed chan struct{}
}

// Run listens until ctx ends.
func (l *Listener) Run(ctx context.Context) error {
	var readers sync.WaitGroup
	defer readers.Wait()
	ears, frames, t := map[int]*ear{}, make(chan frame), newTable()
	defer func() {
		for _, e := range ears {
			e.end()
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	failed := map[Port]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case ports := <-l.updates:
			l.follow(ears, t, ports, failed, func(e *ear) { readers.Go(func() { e.listen(frames) }) })
		case f := <-frames:
			if ears[f.ear.port.Index] == f.ear { // else it was on its way when the ear was closed
				l.take(t, f)
			}
		case <-timer.C:
		}
		if next, ok := t.age(time.Now()); ok {
			timer.Reset(max(0, time.Until(next)))
		}
		all := t.all()
		l.current.Store(&all)
	}
}

// follow opens and closes sockets, and forgets the neighbours of links that are left. A
// failure is logged once and tried again at the next update.
func (l *Listener) follow(ears map[int]*ear, t *table, ports []Port, failed map[Port]bool, start func(*ear)) {
	wanted := map[int]Port{}
	for _, p := range ports {
		wanted[p.Index] = p
	}
	for index, e := range ears {
		if wanted[index] != e.port {
			e.end()
			delete(ears, index)
			t.drop(index)
		}
	}
	maps.DeleteFunc(failed, func(p Port, _ bool) bool { return wanted[p.Index] != p })
	for index, p := range wanted {
		if ears[index] != nil {
			continue
		}
		conn, err := l.open(p)
		if err != nil {
			if !failed[p] && !errors.Is(err, unix.ENODEV) { // it has just gone
				l.log.Warn("LLDP is not listened to", "nic", p.Name, "error", err)
			}
			failed[p] = true
			continue
		}
		ears[index] = &ear{port: p, conn: conn, closed: make(chan struct{})}
		start(ears[index])
	}
}

// take reads a frame. What is malformed says nothing about anybody.
func (l *Listener) take(t *table, f frame) {
	n, err := Parse(f.pdu)
	if err != nil {
		l.log.Debug("LLDP frame thrown away", "nic", f.ear.port.Name, "error", err)
		return
	}
	n.Nic, n.Index, n.MAC = f.ear.port.Name, f.ear.port.Index, f.from.String()
	t.hear(f.at, n)
}

func (e *ear) end() {
	close(e.closed)
	e.conn.close()
}

// listen passes frames on until the ear is closed.
func (e *ear) listen(frames chan<- frame) {
	buf := make([]byte, most)
	pause := time.NewTimer(framePause)
	defer pause.Stop()
	for {
		n, from, err := e.conn.read(buf)
		if err == nil {
			select {
			case frames <- frame{at: time.Now(), ear: e, from: from, pdu: append([]byte(nil), buf[:n]...)}:
			case <-e.closed:
				return
			}
		}
		pause.Reset(framePause) // also after an error, such as that the link went down
		select {
		case <-pause.C:
		case <-e.closed:
			return
		}
	}
}
