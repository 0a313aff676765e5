package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/hostnic/hostnic/agent/managers"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/plan"
)

// Managers are the other programs of the host that configure links.
type Managers interface {
	// Claims are the links that they have.
	Claims(links []managers.Link) []managers.Claim
	// TakeOver tells them to leave links alone, and waits until they do.
	TakeOver(ctx context.Context, claims []managers.Claim) error
	// Release gives back what was taken over, but for what is kept.
	Release(ctx context.Context, keep func(link string) bool) error
}

// mentioned are the names that a configuration makes the agent's.
func mentioned(c netcfg.Config) []string {
	var out []string
	for i := range c.HostNics {
		n := &c.HostNics[i]
		out = append(out, n.Name)
		if n.Bonding != nil {
			out = append(out, n.Bonding.Slaves...)
		}
		if n.BaseInterface != "" {
			out = append(out, n.BaseInterface)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// claimed are the links that a configuration would make the agent's and another program
// has. What the agent has already it has asked for before.
func (e *Engine) claimed(ctx context.Context, c netcfg.Config, m plan.Memory) ([]managers.Claim, error) {
	if e.Managers == nil {
		return nil, nil
	}
	fresh := slices.DeleteFunc(mentioned(c), func(name string) bool {
		_, known := m.Baseline[name]
		return known || m.Owned.Links[name] != ""
	})
	if len(fresh) == 0 {
		return nil, nil
	}
	s, err := e.Kernel.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at the host: %w", err)
	}
	var links []managers.Link
	for _, name := range fresh {
		if l := s.ByName(name); l != nil {
			links = append(links, managers.Link{Index: l.Index, Name: name})
		}
	}
	return e.Managers.Claims(links), nil
}

// elsewhere says what stands against making links the agent's, and what to do about it.
func elsewhere(claims []managers.Claim) netcfg.Problems {
	var out netcfg.Problems
	for _, c := range claims {
		say := func(format string, args ...any) {
			out = append(out, netcfg.Problem{Kind: netcfg.Precondition, Path: netcfg.NicPath(c.Link.Name, ""), Rule: "managed-elsewhere", Message: fmt.Sprintf(format, args...)})
		}
		how := "as follows"
		if c.Drop != nil {
			how += ", or with --take-over"
		}
		say("%s manages %s (%s), and two managers undo each other's work: hand it over %s", c.Manager, c.Link.Name, c.Reason, how)
		for _, command := range c.HandOver {
			say("hand over: %s", command) // one each, as no text of an error is long
		}
	}
	return out
}

// takeOver refuses links of other managers, or takes them over where that is asked for.
func (e *Engine) takeOver(ctx context.Context, t *tracked, next netcfg.Config) error {
	claims, err := e.claimed(ctx, next, e.memory)
	if err != nil || len(claims) == 0 {
		return err
	}
	manual := slices.ContainsFunc(claims, func(c managers.Claim) bool { return c.Drop == nil })
	if !t.request.TakeOver || manual {
		return elsewhere(claims)
	}
	for _, c := range claims {
		t.step("taking-over", "%s from %s: /%s", c.Link.Name, c.Manager, c.Drop.Path)
	}
	if err := e.Managers.TakeOver(ctx, claims); err != nil {
		return &Error{Kind: Precondition, Rule: "take-over-failed", Message: "the links were not handed over, and the host was not touched: " + err.Error()}
	}
	return nil
}

// release gives links back that no configuration speaks of any more.
func (e *Engine) release() {
	if e.Managers == nil {
		return
	}
	var keep []string
	configs := []netcfg.Config{e.running, e.committed}
	if e.window != nil {
		configs = append(configs, e.window.journal.Previous, e.window.journal.Next)
	}
	for _, c := range configs {
		keep = append(keep, mentioned(c)...)
	}
	if err := e.Managers.Release(context.Background(), func(link string) bool { return slices.Contains(keep, link) }); err != nil {
		e.degrade(fmt.Errorf("a link was not given back to its manager: %w", err))
	}
}
