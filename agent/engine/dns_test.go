package engine

import (
	"os"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/netcfg/state"
)

// The file of DNS servers outlives a boot, and so does what was in it before: also where
// what put servers there was not committed.
func TestResolverOverBoots(t *testing.T) {
	const byHand = "nameserver 192.0.2.200\n"
	for _, committed := range []bool{true, false} {
		r := newRig(t)
		if err := os.WriteFile(r.resolvConf(), []byte(byHand), 0o600); err != nil {
			t.Fatal(err)
		}
		reboot := func(boot string) {
			r.stop()
			r.boot = boot
			r.plug()
			r.start()
		}
		r.stage("dns: {servers: [192.0.2.53]}")
		if committed {
			r.do(Request{Kind: Commit})
		} else {
			r.do(Request{Kind: Apply})
		}
		reboot("the next")
		if kept := strings.HasPrefix(r.content(), state.ResolverHead); kept != committed {
			t.Errorf("committed %v, and after a reboot:\n%s", committed, r.content())
		}
		if d := r.drift(); len(d) != 0 {
			t.Errorf("drift %v", d)
		}
		if committed {
			r.stage("dns: null")
			r.do(Request{Kind: Commit})
			reboot("the last")
		}
		if r.content() != byHand {
			t.Errorf("committed %v, and without dns:\n%s", committed, r.content())
		}
	}
}

func (r *rig) content() string {
	r.t.Helper()
	data, err := os.ReadFile(r.resolvConf())
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}
