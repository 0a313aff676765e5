package drive

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// A socket that is closed ends its reader without a word, and passes on what came
// before.
func TestSocketIsClosed(t *testing.T) {
	for range 100 {
		s, err := (&Socket{Source: 3, Name: "UDP socket", Size: Largest}).Open(unix.AF_INET, 0, func(fd int) error {
			return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
		})
		if err != nil {
			t.Fatal(err)
		}
		in, ended := make(chan Inbound, 2), make(chan struct{})
		go func() {
			s.Read(in)
			close(ended)
		}()
		sent := bytes.Repeat([]byte{7}, 300)
		if err := s.Control(func(fd int) error {
			to, err := unix.Getsockname(fd)
			if err != nil {
				return err
			}
			return unix.Sendto(fd, sent, 0, to)
		}); err != nil {
			t.Fatal(err)
		}
		if got := <-in; !bytes.Equal(got.Data, sent) || got.Source != 3 || got.By != s || got.Err != nil {
			t.Fatalf("got %+v", got)
		}
		s.Close()
		<-ended
		if len(in) > 0 {
			t.Fatalf("after it was closed: %+v", <-in)
		}
	}
}
