package dhcp

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// A socket that is closed ends its reader without a word, and passes on what came
// before.
func TestSocketIsClosed(t *testing.T) {
	for range 100 {
		s, err := open(byUDP, unix.AF_INET, 0, func(fd int) error {
			return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
		})
		if err != nil {
			t.Fatal(err)
		}
		in, ended := make(chan inbound, 2), make(chan struct{})
		go func() {
			s.read(in)
			close(ended)
		}()
		sent := bytes.Repeat([]byte{7}, 300)
		if err := s.control(func(fd int) error {
			to, err := unix.Getsockname(fd)
			if err != nil {
				return err
			}
			return unix.Sendto(fd, sent, 0, to)
		}); err != nil {
			t.Fatal(err)
		}
		if got := <-in; !bytes.Equal(got.data, sent) || got.from != byUDP || got.by != s || got.err != nil {
			t.Fatalf("got %+v", got)
		}
		s.close()
		<-ended
		if len(in) > 0 {
			t.Fatalf("after it was closed: %+v", <-in)
		}
	}
}
