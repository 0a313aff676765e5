package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// A link that differs again after this many corrections within this time is fought
// over: somebody sets it back as fast as the agent sets it right.
const (
	mostCorrections  = 5
	correctionWindow = time.Minute
)

// damping keeps the agent from fighting somebody for ever. It is pure: times are
// handed in, as readings of one clock.
type damping struct {
	// corrections are when each link was set right, as far as that counts.
	corrections map[string][]time.Duration
	// refusals are the kernel's words on the last correction, where it had any.
	refusals map[string]string
	// lost are the alarms about links that are left alone.
	lost map[string]string
}

// fights finds links that have been corrected too often to be corrected once more,
// leaves them alone from now on, and gives an alarm for each.
func (d *damping) fights(now time.Duration, drift []plan.Drift) []string {
	var out []string
	for _, x := range drift {
		link, _ := netcfg.NicOf(x.Field)
		if _, lost := d.lost[link]; lost || len(d.recent(now, link)) < mostCorrections {
			continue
		}
		if d.lost == nil {
			d.lost = map[string]string{}
		}
		d.lost[link] = alarm(link, x, d.refusals[link])
		out = append(out, d.lost[link])
	}
	return out
}

// called is the name of what is fought over, to be told: the empty one is no link's, but
// the resolver's file.
func called(link string) string { return cmp.Or(link, netcfg.DNSPath) }

func alarm(link string, d plan.Drift, refusal string) string {
	what, next := fmt.Sprintf("it was set right %d times within %s and did not stay so", mostCorrections, correctionWindow), "find out who changes it, and then agentctl apply"
	if refusal != "" {
		what, next = fmt.Sprintf("it could not be set right in %d tries (%s)", mostCorrections, refusal), "agentctl apply tries again"
	}
	return fmt.Sprintf("%s is left alone, and not healed any more: %s; %s should be %q, is %q: %s", called(link), what, d.Field, d.Wanted, d.Actual, next)
}

// corrected counts one correction of each of the links, with the kernel's words where
// it has refused it.
func (d *damping) corrected(now time.Duration, links map[string]string) {
	if d.corrections == nil {
		d.corrections, d.refusals = map[string][]time.Duration{}, map[string]string{}
	}
	for link := range d.corrections {
		if d.corrections[link] = d.recent(now, link); len(d.corrections[link]) == 0 {
			delete(d.corrections, link)
			delete(d.refusals, link)
		}
	}
	for link, refusal := range links {
		d.corrections[link] = append(d.corrections[link], now)
		d.refusals[link] = refusal
	}
}

// recent are the corrections of a link that still count.
func (d *damping) recent(now time.Duration, link string) []time.Duration {
	return slices.DeleteFunc(slices.Clone(d.corrections[link]), func(at time.Duration) bool { return now-at >= correctionWindow })
}

// leave are the links that are left alone.
func (d *damping) leave() map[string]bool {
	out := make(map[string]bool, len(d.lost))
	for link := range d.lost {
		out[link] = true
	}
	return out
}

// leftAlone are their names, and alarms what to tell of them, in order.
func (d *damping) leftAlone() []string {
	var out []string
	for link := range d.lost {
		out = append(out, called(link))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (d *damping) alarms() []string {
	var out []string
	for _, link := range slices.Sorted(maps.Keys(d.lost)) {
		out = append(out, d.lost[link])
	}
	return out
}
