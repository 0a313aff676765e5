package kernel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/hostnic/hostnic/netcfg/plan"
	"github.com/hostnic/hostnic/netcfg/state"
)

// Stage is a network namespace that nobody else sees, in which stand-ins play the
// part of the host that a plan deals with. It looks like the whole host, and takes
// operations; the host takes no part in it.
type Stage struct {
	scratch *Kernel
	// host is how the host was; rest is what operations on links without a stand-in
	// would have made of it.
	host, rest state.Snapshot
	// cast are the links of the host that have a stand-in.
	cast map[int]bool
}

// StageError says that there can be no rehearsal, which says nothing of the plan.
type StageError struct{ Err error }

// Error gives the reason.
func (e *StageError) Error() string { return "there can be no rehearsal: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *StageError) Unwrap() error { return e.Err }

// Rehearse sets a stage for a plan on a host as it was seen, and calls play with it.
// All is gone when play has returned, and its error is the one that is returned. It
// takes CAP_SYS_ADMIN; without that, and where the stage does not come out as the
// host is, the error is a *StageError and play is not called.
//
// The namespace is new, so that what others have set in the host's stays out of it:
// firewalls, policy rules, neighbours. Only whether IPv6 is switched off is copied.
func Rehearse(ctx context.Context, host state.Snapshot, p plan.Plan, play func(*Stage) error) error {
	cast := plan.Cast(host, p)
	sysctls := disabledIPv6(cast)
	played := false
	err := Scratch(Options{}, func(k *Kernel) error {
		if err := set(ctx, k, cast, sysctls); err != nil {
			return err
		}
		s := &Stage{scratch: k, host: host, rest: host, cast: map[int]bool{}}
		for _, l := range cast.Links {
			s.cast[l.Index] = true
		}
		played = true
		return play(s)
	})
	if err != nil && !played {
		return &StageError{err}
	}
	return err
}

// set puts the stand-ins up.
func set(ctx context.Context, k *Kernel, cast state.Snapshot, sysctls map[string]string) error {
	if v, ok := sysctls[defaultIPv6]; ok {
		if err := os.WriteFile(defaultIPv6, []byte(v), 0); err != nil {
			return err
		}
	}
	for _, phase := range plan.StandIns(cast) {
		if err := k.Apply(ctx, phase.Ops); err != nil && !onlyRoutes(err) {
			return fmt.Errorf("the host cannot be copied: %w", err)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(sysctls)) {
		if err := os.WriteFile(path, []byte(sysctls[path]), 0); err != nil {
			return err
		}
	}
	return nil
}

// onlyRoutes is true when the kernel has nothing against the stand-ins but routes that
// came about in another order on the host: before one of its own, or before an address
// that they go by was taken off. A rehearsal without them lets pass what they would
// be in the way of, and refuses nothing more.
func onlyRoutes(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return false
	}
	return !slices.ContainsFunc(joined.Unwrap(), func(e error) bool {
		var op *plan.OpError
		return !errors.As(e, &op) || op.Op.Action != plan.RouteAdd
	})
}

const defaultIPv6 = "/proc/sys/net/ipv6/conf/default/disable_ipv6"

// disabledIPv6 are the switches that are on, in the namespace of the process.
func disabledIPv6(cast state.Snapshot) map[string]string {
	out := map[string]string{}
	paths := []string{defaultIPv6}
	for _, l := range cast.Links {
		paths = append(paths, "/proc/sys/net/ipv6/conf/"+strings.ReplaceAll(l.Name, "/", ".")+"/disable_ipv6")
	}
	for _, path := range paths {
		// A kernel without IPv6 has no such file, here and there.
		if v, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(v)) == "1" {
			out[path] = "1"
		}
	}
	return out
}

// Apply performs operations on the stand-ins. Of links without one, such as VLANs that
// only go, it takes down what would become of them.
func (s *Stage) Apply(ctx context.Context, ops []plan.Op) error {
	var live, foretold []plan.Op
	for _, op := range ops {
		switch {
		case op.Action == plan.ResolverSet:
			foretold = append(foretold, op)
		case op.Action == plan.GroupDel:
			foretold = append(foretold, op)
			if slices.ContainsFunc(op.Names, s.stands) {
				live = append(live, op)
			}
		case s.host.Link(op.Index) != nil && !s.cast[op.Index]:
			foretold = append(foretold, op)
		default:
			live = append(live, op)
		}
	}
	if len(foretold) > 0 {
		s.rest = plan.Project(s.rest, foretold)
	}
	return s.scratch.Apply(ctx, live)
}

// stands is true of the name of a link that has a stand-in.
func (s *Stage) stands(name string) bool {
	l := s.host.ByName(name)
	return l == nil || s.cast[l.Index]
}

// Snapshot is the host with the stand-ins as they are now in the place of their
// links. What a stand-in cannot have, such as a permanent MAC, is that of the host.
func (s *Stage) Snapshot(ctx context.Context) (state.Snapshot, error) {
	now, err := s.scratch.Snapshot(ctx)
	if err != nil {
		return state.Snapshot{}, err
	}
	// A route with several ways has no link: none of those is on the stage.
	played := func(index int) bool { return s.cast[index] || index != 0 && s.host.Link(index) == nil }
	out := part(now, played)
	out.Resolver = s.rest.Resolver
	for i := range out.Links {
		out.Links[i] = s.dressed(out.Links[i])
	}
	there := map[int]bool{0: true}
	for _, l := range out.Links {
		there[l.Index] = true
	}
	aside := func(index int) bool {
		for i := index; i != 0; {
			l := s.rest.Link(i)
			switch {
			case l == nil || s.cast[i] && !there[i]:
				return false // gone with what it stood on
			case s.cast[i]:
				i = 0
			default:
				i = l.Parent
			}
		}
		return !s.cast[index]
	}
	rest := part(s.rest, aside)
	out.Links = append(out.Links, rest.Links...)
	out.Addresses = append(out.Addresses, rest.Addresses...)
	out.Routes = append(rest.Routes, out.Routes...)
	slices.SortFunc(out.Links, func(a, b state.Link) int { return a.Index - b.Index })
	slices.SortStableFunc(out.Addresses, func(a, b state.Address) int { return a.Link - b.Link })
	return out, nil
}

// part is what of a snapshot is on the links that are wanted.
func part(s state.Snapshot, wanted func(index int) bool) state.Snapshot {
	return state.Snapshot{
		Links:     kept(s.Links, func(l state.Link) bool { return wanted(l.Index) }),
		Addresses: kept(s.Addresses, func(a state.Address) bool { return wanted(a.Link) }),
		Routes:    kept(s.Routes, func(r state.Route) bool { return wanted(r.Link) }),
	}
}

func kept[T any](list []T, wanted func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), func(v T) bool { return !wanted(v) })
}

// dressed is a stand-in with what the link has that it stands for.
func (s *Stage) dressed(l state.Link) state.Link {
	was := s.host.Link(l.Index)
	if was == nil {
		return l
	}
	l.Kind, l.Type, l.PermMAC, l.BusPath, l.Driver, l.Firmware = was.Kind, was.Type, was.PermMAC, was.BusPath, was.Driver, was.Firmware
	l.MinMTU, l.MaxMTU, l.Speed, l.Duplex = was.MinMTU, was.MaxMTU, was.Speed, was.Duplex
	if was.Master != 0 && !s.cast[was.Master] && l.Master == 0 {
		l.Master = was.Master
	}
	return l
}
