package agent

import (
	"context"
	"log/slog"
	"net"
	"os"
	"time"
)

// keepPace is how often it is looked whether the files of the sockets are still there.
const keepPace = 2 * time.Second

// keep makes sockets anew whose files somebody has removed or replaced, until ctx ends:
// nobody would find the agent any more. Connections that are there stay. Where another
// program listens now it is left to it, with a word in the log.
func (s sockets) keep(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(keepPace)
	defer tick.Stop()
	told := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, one := range s {
			again, err := one.renew(log)
			switch {
			case err != nil && !told[one.path]:
				log.Error("the file of the socket is gone, and it cannot be made anew", "socket", one.path, "error", err)
			case again:
				log.Warn("the file of the socket was removed or replaced; it is there again", "socket", one.path)
			}
			told[one.path] = err != nil
		}
	}
}

// renew makes a socket anew whose file is not its own any more.
func (s *socket) renew(log *slog.Logger) (again bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.file == nil || !s.lost() {
		return false, nil
	}
	fresh, err := listen(s.path, s.group, log)
	if err != nil {
		return false, err
	}
	_ = s.listener.Close() // whoever accepts goes on with the other
	s.listener, s.file = fresh.listener, fresh.file
	return true, nil
}

// lost is true when the file is gone, or is somebody else's by now.
func (s *socket) lost() bool {
	now, err := os.Lstat(s.path)
	return err != nil || !os.SameFile(now, s.file)
}

func (s *socket) now() (l *net.UnixListener, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listener, s.closed
}

// Accept is that of net.Listener.
func (s *socket) Accept() (net.Conn, error) {
	for {
		l, _ := s.now()
		conn, err := l.Accept()
		if err == nil {
			return conn, nil
		}
		if now, closed := s.now(); closed || now == l {
			return nil, err
		}
	}
}

// Close is that of net.Listener. The file stays; see remove.
func (s *socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.listener.Close()
}

// Addr is that of net.Listener.
func (s *socket) Addr() net.Addr {
	l, _ := s.now()
	return l.Addr()
}
