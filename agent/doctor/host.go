package doctor

import (
	"fmt"
	"time"
)

// Room that the state wants: some 200 revisions of a large host.
const (
	littleBytes  = 64 << 20
	noBytes      = 4 << 20
	littleInodes = 1000
	noInodes     = 16
)

// disk is whether a commit will find room.
func (e *examiner) disk() {
	d := e.Around.Disk
	if !d.Known {
		return
	}
	bytes := fmt.Sprintf("%d of %d MiB are free", d.FreeBytes>>20, d.Bytes>>20)
	inodes := fmt.Sprintf("%d of %d inodes are free", d.FreeInodes, d.Inodes)
	limited := d.Inodes > 0
	f := Finding{Rule: "disk", What: "there is little room for the agent's state", Do: "make room: df " + d.Path}
	switch {
	case d.ReadOnlyMount:
		e.found(Finding{Rule: "disk-read-only", Weight: Error, What: "the agent's state is on a file system that cannot be written", Evidence: []string{d.Path}, Do: "mount -o remount,rw, after dmesg has said why"})
		return
	case d.FreeBytes < noBytes:
		f.Weight, f.Evidence = Error, []string{bytes}
	case limited && d.FreeInodes < noInodes:
		f.Weight, f.Evidence = Error, []string{inodes}
	case d.FreeBytes < littleBytes:
		f.Weight, f.Evidence = Warning, []string{bytes}
	case limited && d.FreeInodes < littleInodes:
		f.Weight, f.Evidence = Warning, []string{inodes}
	default:
		return
	}
	f.Evidence = append(f.Evidence, d.Path)
	e.found(f)
}

// past is a time before which no agent was made.
var past = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (e *examiner) clock() {
	c := e.Around.Clock
	if c.Now.Before(past) {
		e.found(Finding{Rule: "clock-wrong", Weight: Error, What: "the clock is wrong: certificates will not be good by it", Evidence: []string{c.Now.UTC().Format(time.RFC3339)}, Do: "timedatectl set-time …"})
		return
	}
	if c.Disciplined != nil && !*c.Disciplined {
		e.found(Finding{Rule: "clock-free", Weight: Note, What: "nobody keeps the clock right", Evidence: []string{"the kernel says STA_UNSYNC"}, Do: "timedatectl set-ntp true"})
	}
}

// soon is how long before its end a certificate ought to be renewed.
const soon = 14 * 24 * time.Hour

func (e *examiner) certificate() {
	if e.Certificate.IsZero() {
		return
	}
	left := e.Certificate.Sub(e.Around.Clock.Now)
	f := Finding{Rule: "certificate", Evidence: []string{"good until " + e.Certificate.UTC().Format(time.RFC3339)}, Do: "put a new one where tls in agent.yaml says; it is read at once"}
	switch {
	case left <= 0:
		f.Weight, f.What = Error, "the agent's certificate has expired: nobody can call from the network"
	case left < soon:
		f.Weight, f.What = Warning, "the agent's certificate expires soon"
	default:
		return
	}
	e.found(f)
}
