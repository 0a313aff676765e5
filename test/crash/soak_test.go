//go:build kernel

package crash

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

var (
	soak     = flag.Int("soak", 0, "how many random kills of the daemon to survive (make soak)")
	soakSeed = flag.Uint64("soak-seed", 0, "seed of the random kills; 0 takes one from the clock and prints it")
)

// soaking is a host in a long life.
type soaking struct {
	*victim
	*rand.Rand
	// home is where it stands between two rounds: what is committed runs.
	home standing
	// what is the round that is under way, in words.
	what string
	ledger
}

// TestSoak does to the real daemon, at random and by the thousand, what
// TestKilledAnywhere and its neighbours do to it one by one.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("it takes long: make soak")
	}
	seed := *soakSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	s := &soaking{victim: newVictim(t), Rand: kerneltest.Seeded(seed), ledger: newLedger(seed)}
	fmt.Printf("make soak SOAK=%d SEED=%d\n", *soak, seed)
	defer func() {
		if t.Failed() {
			s.wrong++
			t.Log(s.what)
		}
		fmt.Println(s.table(s.victim.kills))
	}()
	s.home = s.standing()
	for next := 100; s.victim.kills < *soak; {
		if s.round(); t.Failed() {
			return
		}
		if s.victim.kills >= next {
			fmt.Printf("%d kills in %v\n", s.victim.kills, time.Since(s.began).Round(time.Second))
			next += 100
		}
	}
}

func (s *soaking) chance(percent int) bool { return s.IntN(100) < percent }

// document is a random configuration of the host.
func (s *soaking) document() string {
	s.T.Helper()
	c := kerneltest.GenConfig(s.Rand, []string{"eth0", "eth1", "eth2", "eth3"})
	c.Routes = nil // kept, and not applied yet
	var b bytes.Buffer
	if err := codec.Encode(&b, c, codec.YAML, codec.EncodeOptions{}); err != nil {
		s.T.Fatal(err)
	}
	return b.String()
}

// mission is a kind of change to a host at home.
type mission struct {
	name string
	// first is done without a fault, and then is asked for ask. Without it the daemon is
	// killed, and its guard acts.
	first, ask asking
	kept       func([]string) bool
	// back says that the way leads home, where it is kept; again, that it is tried again
	// when something is refused on it.
	back, again bool
}

func (s *soaking) mission() mission {
	waits := apply(time.Hour)
	switch n := s.IntN(100); {
	case n < 7:
		return mission{name: "commit", ask: carefulCommit, kept: placed("revision", 1)}
	case n < 35:
		return mission{name: "commit", ask: commit, kept: placed("revision", 1)}
	case n < 50:
		return mission{name: "apply", ask: apply(0), kept: placed("running", 1)}
	case n < 65:
		return mission{name: "apply with a window", ask: waits, kept: placed("journal", 2)}
	case n < 70:
		return mission{name: "confirm", first: waits, ask: commit, kept: placed("revision", 1)}
	case n < 80:
		return mission{name: "take back", first: waits, ask: rollback(0), kept: placed("journal", 1), back: true, again: true}
	case n < 93:
		return mission{name: "roll back", first: apply(0), ask: rollback(0), kept: placed("running", 1), back: true}
	case n < 97:
		return mission{name: "deadline", first: apply(time.Second), ask: lapse, kept: always, back: true, again: true}
	}
	return mission{name: "deadline without a daemon", first: apply(time.Second), kept: always, back: true, again: true}
}

// round is one change, with a fault or two, and the way home.
func (s *soaking) round() {
	s.T.Helper()
	doc, m := s.document(), s.mission()
	s.replace(doc)
	ops := len(s.todo(hostnicv1.ConfigSource_CONFIG_SOURCE_STAGED))
	if ops == 0 {
		s.discard()
		return
	}
	s.rounds++
	if m.first != nil {
		s.must(m.first)
	}
	f := s.faults(m, ops)
	s.what = fmt.Sprintf("round %d, %s, %s:\n%s", s.rounds, m.name, strings.Join(f.lines(), ", "), doc)
	before := s.standing()
	s.plan(f.lines()...)
	if m.ask == nil {
		s.deadline(m)
		return
	}
	answer := s.survives(m.ask)
	passed := s.reached()
	var want standing
	var sure bool
	if kept := m.kept(passed) && (m.again || f.undone(passed) == 0); answer == nil {
		s.killed(phase(m, f, passed))
		rebooted := s.comeBack()
		want, sure = s.expected(m, before, kept, rebooted)
		if !rebooted && m.name != "deadline" {
			s.tells("killed", m.ask, kept)
		}
	} else {
		s.plan()
		want, sure = s.answered(m, before, answer)
	}
	s.arrived(want, sure)
	s.goHome(m, doc, before)
}

// fault is what is planned for one round.
type fault struct {
	kill  int
	steps bool
	guard bool
	// refuse is the number of an operation, 0 for none; for good means that it is not
	// worth another try.
	refuse  int
	errno   unix.Errno
	forGood bool
}

func (s *soaking) faults(m mission, ops int) fault {
	f := fault{guard: m.ask == nil}
	if s.chance(25) {
		f.refuse, f.errno, f.forGood = 1+s.IntN(ops), pick(s, unix.EINVAL, unix.EPERM, unix.EOPNOTSUPP), true
	} else if s.chance(15) {
		f.refuse, f.errno = 1+s.IntN(ops), unix.ENOBUFS
	}
	if f.refuse == 0 || s.chance(60) {
		f.kill = 1 + s.IntN(ops+9)
		if s.chance(40) { // at the end
			f.kill = ops + 1 + s.IntN(9)
		}
	}
	if f.kill > 0 && s.chance(20) {
		f.kill, f.steps = 1+s.IntN(ops+24), true
	}
	if f.kill == 0 && s.chance(20) {
		f.errno, f.forGood = pick(s, unix.ENODEV, unix.EEXIST, unix.EBUSY), false
	}
	return f
}

func pick[T any](s *soaking, of ...T) T { return of[s.IntN(len(of))] }

func (f fault) lines() (out []string) {
	who := ""
	if f.guard {
		who = "guard "
	}
	if f.kill > 0 {
		line := fmt.Sprint(who, "kill ", f.kill)
		if f.steps {
			line += " steps"
		}
		out = append(out, line)
	}
	if f.refuse > 0 {
		out = append(out, fmt.Sprintf("%srefuse %d %d %d", who, f.refuse, f.refuse, f.errno))
	}
	return out
}

// undone is how many operations were passed since the one that was refused for good.
func (f fault) undone(passed []string) int {
	if !f.forGood {
		return 0
	}
	return max(0, len(operations(passed))-f.refuse+1)
}

// comeBack starts the daemon that has died, at times after others that die, too, and at
// times after the whole host was switched off.
func (s *soaking) comeBack() (rebooted bool) {
	s.T.Helper()
	s.buried()
	if rebooted = s.chance(5); rebooted {
		s.reboot()
		s.reboots++
	}
	for s.chance(15) {
		if s.diesAtStart(1 + s.IntN(12)) {
			s.killed("recovery")
			continue
		}
		s.Kill()
		s.killed("at rest")
		s.buried()
	}
	s.live()
	return rebooted
}

// expected is where a host stands whose daemon was killed. sure is false where only the
// agent knows how the host looks.
func (s *soaking) expected(m mission, before standing, kept, rebooted bool) (want standing, sure bool) {
	want, sure = before, true
	switch {
	case kept && m.back:
		want = s.atHome(m)
	case kept:
		want, sure = s.changed(m, before)
	}
	switch {
	case rebooted && want.revision == s.home.revision:
		return s.madeAnew(s.home), true
	case rebooted: // what was committed just now
		return s.madeAnew(want), m.name == "confirm"
	case kept && !m.back:
		s.on++
	default:
		s.returned++
	}
	return want, sure
}

// atHome is home after a mission. A rollback to a revision makes bonds by their documents;
// what takes a change back knows how they were.
func (s *soaking) atHome(m mission) standing {
	if m.name == "roll back" {
		return s.madeAnew(s.home)
	}
	return s.home
}

var bondMAC = regexp.MustCompile(`(?m)^(\S+ bond mac) \S+`)

// madeAnew is the same with bonds that are new: one that was there before its document
// keeps the MAC of the slave that it had it from, for as long as that is a slave.
func (s *soaking) madeAnew(want standing) standing {
	s.T.Helper()
	if now := s.look(); bondMAC.ReplaceAllString(now, "$1") == bondMAC.ReplaceAllString(want.image, "$1") {
		want.image = now
	}
	return want
}

// changed is where a change leads that is kept.
func (s *soaking) changed(m mission, before standing) (want standing, sure bool) {
	want = before
	switch m.name {
	case "commit", "confirm":
		want.revision++
		want.pending, want.uncommitted = false, false
	case "apply":
		want.uncommitted = true
	case "apply with a window":
		want.uncommitted, want.pending = true, true
	}
	return want, m.name == "confirm"
}

// answered is where a host stands whose daemon has answered.
func (s *soaking) answered(m mission, before standing, op *hostnicv1.Operation) (want standing, sure bool) {
	s.T.Helper()
	switch state := op.GetState(); {
	case state == "done" && m.back:
		s.undisturbed++
		return s.atHome(m), true
	case state == "done":
		s.undisturbed++
		return s.changed(m, before)
	case state == "rolled-back":
		s.takenBack++
		return before, true
	case state != "incomplete":
		s.T.Errorf("%s: %s", state, op.GetError())
	}
	s.incomplete++
	s.Eventually("what was incomplete is completed", patience, s.healthy)
	if m.again {
		return s.home, true
	}
	return before, true
}

// deadline kills the daemon, and has its guard act, or die.
func (s *soaking) deadline(m mission) {
	s.T.Helper()
	s.Kill()
	s.killed("in a window")
	s.victim.kills++
	s.Eventually("the guard has ended", patience, func() bool { return len(s.guards()) == 0 })
	if passed := s.reached(); len(passed) > 0 {
		s.guardsKilled++
	}
	s.live()
	s.returned++
	s.arrived(s.home, true)
	s.goHome(m, "", s.home)
}

// arrived wants the host there. Where nobody else is sure how it looks the agent says
// so, by a plan that is empty.
func (s *soaking) arrived(want standing, sure bool) {
	s.T.Helper()
	if !sure {
		want.image = s.look()
	}
	s.stands("after that", want, "")
	s.settled("after that")
}

// goHome makes what runs the committed configuration, or the other way round. From time
// to time it sees to it that the way to and fro leads to the same.
func (s *soaking) goHome(m mission, doc string, before standing) {
	s.T.Helper()
	now := s.standing()
	if now.revision > s.home.revision && s.chance(15) {
		s.must(rollback(s.home.revision))
		s.same("the revision before", s.home.image)
		s.must(rollback(0))
		s.same("the revision again", now.image)
	}
	if now.pending || now.uncommitted {
		if s.chance(30) && !now.pending {
			s.must(commit)
		} else {
			s.must(rollback(0))
			s.same("home", s.home.image)
		}
	}
	s.discard()
	s.home = s.standing()
}

// same wants the host to look so, but for bonds that were made anew.
func (s *soaking) same(what, want string) {
	s.T.Helper()
	if now := s.look(); now != s.madeAnew(standing{image: want}).image {
		s.T.Errorf("%s:\n%s\nwas:\n%s", what, now, want)
	}
}
