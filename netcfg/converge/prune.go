package converge

import (
	"slices"
	"strings"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// prune takes the NICs that the problems speak of, and what stands on them, out of
// a configuration, so that one NIC that does not fit keeps no other from coming up
// at boot. ok is false when a problem names no NIC.
func prune(c netcfg.Config, problems netcfg.Problems) (out netcfg.Config, waiting []plan.Waiting, ok bool) {
	out = c.Clone()
	reasons := map[string]string{}
	for _, p := range problems {
		name, found := nicOf(p.Path)
		if !found {
			return c, nil, false
		}
		reasons[name] = p.Message
	}
	for again := true; again; {
		again = false
		out.HostNics = slices.DeleteFunc(out.HostNics, func(n netcfg.HostNic) bool {
			reason, bad := reasons[n.Name]
			if base, below := reasons[n.BaseInterface]; !bad && n.BaseInterface != "" && below {
				reason, bad = "its base interface "+n.BaseInterface+" cannot be configured: "+base, true
			}
			if bad {
				waiting = append(waiting, plan.Waiting{Nic: n.Name, Reason: reason})
				reasons[n.Name], again = reason, true
			}
			return bad
		})
	}
	return out, waiting, len(waiting) > 0
}

func nicOf(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "host_nics[")
	if !ok {
		return "", false
	}
	name, _, ok := strings.Cut(rest, "]")
	return name, ok
}
