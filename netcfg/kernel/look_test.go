package kernel

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// onePlace plays a kernel with lo and one address, and hands each link dump to
// links, which may spoil it. It counts the dumps.
func onePlace(links func(n int, m message, say func(...any))) (*script, *int) {
	n := 0
	return &script{answer: func(m message, tell func(...any)) {
		switch m.typ {
		case unix.RTM_GETLINK:
			n++
			links(n, m, tell)
		case unix.RTM_GETADDR:
			tell(say(m, request{typ: unix.RTM_NEWADDR, body: appendAddress(nil, 1, wantAddress(1, "127.0.0.1/8"), true)}), done(m))
		default:
			tell(done(m))
		}
	}}, &n
}

func lo(m message) []byte {
	return say(m, request{typ: unix.RTM_NEWLINK, body: appendText(appendIfInfo(nil, 1, 0, 0), unix.IFLA_IFNAME, "lo")})
}

func stranger(m message) []byte {
	return say(m, request{typ: unix.RTM_NEWLINK, body: appendText(appendIfInfo(nil, 2, 0, 0), unix.IFLA_IFNAME, "stranger")})
}

// TestTornLooks has dumps that are no good in some way twice, and then a good one.
func TestTornLooks(t *testing.T) {
	for name, spoil := range map[string]func(m message, tell func(...any)){
		"marked in the middle":          func(m message, tell func(...any)) { tell(interrupted(stranger(m)), lo(m), done(m)) },
		"marked at the end":             func(m message, tell func(...any)) { tell(lo(m), stranger(m), interrupted(done(m))) },
		"something was lost":            func(m message, tell func(...any)) { tell(lo(m), unix.ENOBUFS, done(m)) },
		"something was too long":        func(m message, tell func(...any)) { tell(stranger(m), errCut, done(m)) },
		"no end":                        func(m message, tell func(...any)) { tell(lo(m), stranger(m)) },
		"nothing at all":                func(message, func(...any)) {},
		"the link came too late for it": func(m message, tell func(...any)) { tell(done(m)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dumps := onePlace(func(n int, m message, tell func(...any)) {
					if n <= 2 {
						spoil(m, tell)
						return
					}
					tell(lo(m), done(m))
				})
				k := scripted(t, Options{}, s, nil)
				got, err := k.Snapshot(t.Context())
				if err != nil || len(got.Links) != 1 || got.Links[0].Name != "lo" || len(got.Addresses) != 1 || *dumps != 3 {
					t.Errorf("%+v, %v after %d dumps", got, err, *dumps)
				}
			})
		})
	}
}

// TestTornForEver gives up after 25 tries, or a second.
func TestTornForEver(t *testing.T) {
	for _, test := range []struct {
		name  string
		takes time.Duration // a dump
		most  int
		whole bool // it is torn between the dumps only
	}{{"fast", 0, lookTries, false}, {"slow", 100 * time.Millisecond, 11, false}, {"links missing", 0, lookTries, true}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dumps := onePlace(func(_ int, m message, tell func(...any)) {
					time.Sleep(test.takes)
					if test.whole {
						tell(done(m))
					} else {
						tell(interrupted(lo(m)), done(m))
					}
				})
				k := scripted(t, Options{}, s, nil)
				start := time.Now()
				got, err := k.Snapshot(t.Context())
				if !errors.Is(err, ErrInterrupted) || got.Links != nil {
					t.Errorf("%+v, %v", got, err)
				}
				if *dumps > test.most || *dumps < 5 || time.Since(start) > lookTime+test.takes {
					t.Errorf("%d dumps in %v", *dumps, time.Since(start))
				}
			})
		})
	}
}

// TestFailedLooks has answers that no further try makes better.
func TestFailedLooks(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(m message, tell func(...any))
		want   string
		is     error
	}{
		"refused": {func(m message, tell func(...any)) { tell(refused(m, unix.EINVAL, "no such filter")) }, "links: kernel: no such filter (invalid argument)", unix.EINVAL},
		"refused at the end": {func(m message, tell func(...any)) {
			end := refusal(unix.ENOMEM, "")
			end.typ = unix.NLMSG_DONE
			tell(lo(m), say(m, end))
		}, "links: kernel: cannot allocate memory", unix.ENOMEM},
		"not sent": {func(_ message, tell func(...any)) { tell(sendError{unix.EBADF}) }, "bad file descriptor", unix.EBADF},
		"not read": {func(m message, tell func(...any)) { tell(lo(m), unix.ENOMEM) }, "cannot allocate memory", unix.ENOMEM},
		"malformed": {func(m message, tell func(...any)) {
			tell(say(m, request{typ: unix.RTM_NEWLINK, body: []byte{1}}), lo(m), done(m))
		}, "malformed", errTorn},
	} {
		t.Run(name, func(t *testing.T) {
			s, dumps := onePlace(func(_ int, m message, tell func(...any)) { test.answer(m, tell) })
			_, err := scripted(t, Options{}, s, nil).Snapshot(t.Context())
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) || *dumps != 1 {
				t.Errorf("%v after %d dumps", err, *dumps)
			}
		})
	}
}

// TestStaleAnswers finds answers to somebody who did not wait for them.
func TestStaleAnswers(t *testing.T) {
	s, _ := onePlace(func(_ int, m message, tell func(...any)) {
		old := m
		old.seq += 77
		tell(stranger(old), done(old), lo(m), done(m))
	})
	s.queue = []any{unix.ENOBUFS, stranger(message{seq: 1}), done(message{seq: 1})}
	got, err := scripted(t, Options{}, s, nil).Snapshot(t.Context())
	if err != nil || len(got.Links) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestLookHangs has a kernel that holds the call. The caller goes after 5 seconds
// without progress, the next one too, and when the kernel comes to, all is well.
func TestLookHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, _ := onePlace(func(n int, m message, tell func(...any)) {
			if n == 1 {
				<-release
			}
			tell(lo(m), done(m))
		})
		k := scripted(t, Options{}, s, nil)
		for range 2 {
			start := time.Now()
			if _, err := k.Snapshot(t.Context()); !errors.Is(err, ErrHung) || time.Since(start) != 5*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
		if err := k.Close(); !errors.Is(err, ErrHung) || s.closed {
			t.Errorf("close: %v, closed %v", err, s.closed)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := k.Snapshot(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a deadline: %v", err)
		}
		close(release)
		synctest.Wait()
		if got, err := k.Snapshot(t.Context()); err != nil || len(got.Links) != 1 {
			t.Errorf("afterwards: %+v, %v", got, err)
		}
	})
}

// TestSlowLook takes long, but there is progress.
func TestSlowLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := onePlace(func(_ int, m message, tell func(...any)) {
			time.Sleep(4 * time.Second)
			tell(lo(m), done(m))
		})
		answer := s.answer
		s.answer = func(m message, tell func(...any)) {
			time.Sleep(4 * time.Second)
			answer(m, tell)
		}
		if _, err := scripted(t, Options{}, s, nil).Snapshot(t.Context()); !errors.Is(err, ErrHung) {
			t.Errorf("8 s without an answer: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s, _ := onePlace(func(_ int, m message, tell func(...any)) { tell(lo(m), done(m)) })
		answer := s.answer
		s.answer = func(m message, tell func(...any)) {
			time.Sleep(4 * time.Second)
			answer(m, tell)
		}
		if _, err := scripted(t, Options{}, s, nil).Snapshot(t.Context()); err != nil {
			t.Errorf("four answers, 4 s each: %v", err)
		}
	})
}

// TestNoIPv6 has a kernel that dumps the routes of IPv4 when asked for IPv6.
func TestNoIPv6(t *testing.T) {
	s, _ := onePlace(func(_ int, m message, tell func(...any)) { tell(lo(m), done(m)) })
	answer := s.answer
	s.answer = func(m message, tell func(...any)) {
		if m.typ == unix.RTM_GETROUTE {
			tell(say(m, request{typ: unix.RTM_NEWROUTE, body: appendRoute(nil, route(0, 1, "10.0.0.0/8", "").Route)}), done(m))
			return
		}
		answer(m, tell)
	}
	got, err := scripted(t, Options{}, s, nil).Snapshot(t.Context())
	if err != nil || len(got.Routes) != 1 {
		t.Errorf("%+v, %v", got.Routes, err)
	}
}
