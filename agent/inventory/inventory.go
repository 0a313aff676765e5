package inventory

import (
	"cmp"
	"context"
	"crypto/rand"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hostnic/hostnic/netcfg/state"
)

// Source is where an Inventory looks.
type Source interface {
	// Snapshot looks at everything.
	Snapshot(ctx context.Context) (state.Snapshot, error)
	// Link looks at one link and its addresses; the link is nil when there is none.
	Link(ctx context.Context, index int) (*state.Link, []state.Address, error)
	// Routes looks at the routes.
	Routes(ctx context.Context) ([]state.Route, error)
	// Writes counts what the agent itself has done to the host.
	Writes() uint64
}

// News says what has changed on the host.
type News struct {
	// All says that anything may have.
	All bool
	// Index is the link; Link and Gateways what of it. Addresses count as Link. Of the
	// routes only those by default are shown.
	Index          int
	Link, Gateways bool
}

// Version is how the NICs were at one moment. It is never changed.
type Version struct {
	// Epoch and Revision tell one moment from another; an epoch is one run of the agent.
	Epoch    string
	Revision uint64

	list list
	once sync.Once
	nics []*Nic
}

// Nics are in the order of the kernel's index, those that are not there at the end. The
// slice is for all readers.
func (v *Version) Nics() []*Nic {
	// Most versions have no reader but those who are told of what has changed.
	v.once.Do(func() { v.nics = v.list.all() })
	return v.nics
}

// Change is one NIC that has come (Old is nil), changed, or gone (New is nil).
type Change struct {
	Revision uint64
	Old, New *Nic
}

// Inventory keeps how the NICs of the host are, by the kernel's news: what is read
// again is what they are about. Readers take a Version and never wait for it, but
// right after a change by the agent itself, which they are to see.
type Inventory struct {
	source Source
	known  func(state.Snapshot) Knowledge
	epoch  string

	// turn is held by who looks; what follows belongs to that one.
	turn chan struct{}
	b    *builder
	nics map[string]*Nic // by key
	keys map[int]string  // of the links, by index
	// lacking are the keys of the NICs that ought to be there and are not, by name.
	lacking map[string]string
	acted   uint64 // Source.Writes before the last look at everything
	whole   bool   // there has been one

	current atomic.Pointer[Version]
	mu      sync.Mutex // of what follows
	past    history
	watches map[*Watch]struct{}
}

// New makes an inventory that has seen nothing yet. known tells what is known beside a
// look at everything, and must not wait.
func New(source Source, known func(state.Snapshot) Knowledge) *Inventory {
	inv := &Inventory{source: source, known: known, epoch: rand.Text(), turn: make(chan struct{}, 1), b: newBuilder(),
		nics: map[string]*Nic{}, keys: map[int]string{}, lacking: map[string]string{}, watches: map[*Watch]struct{}{}}
	inv.current.Store(&Version{Epoch: inv.epoch})
	return inv
}

func (inv *Inventory) take(ctx context.Context) error {
	select {
	case inv.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (inv *Inventory) give() { <-inv.turn }

// Current is the newest version. It looks at the host itself where nobody has yet, or
// where the agent has changed something since.
func (inv *Inventory) Current(ctx context.Context) (*Version, error) {
	if err := inv.catchUp(ctx); err != nil {
		return nil, err
	}
	return inv.current.Load(), nil
}

// Latest is the newest version there is, without looking.
func (inv *Inventory) Latest() *Version { return inv.current.Load() }

func (inv *Inventory) catchUp(ctx context.Context) error {
	if err := inv.take(ctx); err != nil {
		return err
	}
	defer inv.give()
	if inv.whole && inv.source.Writes() == inv.acted {
		return nil
	}
	return inv.lookAtAll(ctx)
}

// Hear takes in news. It looks at the links that they are about, and at their masters,
// which may have chosen another slave. After an error everything is looked at anew the
// next time.
func (inv *Inventory) Hear(ctx context.Context, news []News) error {
	if err := inv.take(ctx); err != nil {
		return err
	}
	defer inv.give()
	if !inv.whole || slices.ContainsFunc(news, func(n News) bool { return n.All }) {
		return inv.lookAtAll(ctx)
	}
	err := inv.follow(ctx, news)
	inv.whole = err == nil
	return err
}

func (inv *Inventory) follow(ctx context.Context, news []News) error {
	touched, gateways := map[int]bool{}, false
	for _, n := range news {
		gateways = gateways || n.Gateways
		if !n.Link {
			continue
		}
		if err := inv.lookAt(ctx, n.Index, touched); err != nil {
			return err
		}
	}
	if gateways {
		routes, err := inv.source.Routes(ctx)
		if err != nil {
			return err
		}
		before := inv.b.gateways
		inv.b.route(routes)
		for _, gateways := range []map[int][]state.Route{before, inv.b.gateways} {
			for index := range gateways {
				if !slices.Equal(gatewaysOf(before[index]), gatewaysOf(inv.b.gateways[index])) {
					touched[index] = true
				}
			}
		}
	}
	inv.describe(touched)
	return nil
}

func gatewaysOf(routes []state.Route) []string {
	var out []string
	for _, r := range routes {
		out = append(out, r.Dst.String()+" "+r.Gateway.String())
	}
	return out
}

// Recheck reads again what changes without news: in mode 802.3ad the kernel tells when
// a port is put to use, and not what the other end has said since (bond_3ad.c).
func (inv *Inventory) Recheck(ctx context.Context) error {
	if err := inv.take(ctx); err != nil {
		return err
	}
	defer inv.give()
	if !inv.whole || len(inv.b.silent) == 0 {
		return nil
	}
	var again []int
	for bond := range inv.b.silent {
		again = append(append(again, inv.b.slaves[bond]...), bond)
	}
	touched := map[int]bool{}
	for _, index := range again {
		if _, err := inv.read(ctx, index, touched); err != nil {
			inv.whole = false
			return err
		}
	}
	inv.describe(touched)
	return nil
}

// lookAt reads a link again, and its masters, and notes whose description that may change.
func (inv *Inventory) lookAt(ctx context.Context, index int, touched map[int]bool) error {
	masters := []int{}
	for i := index; i != 0 && !slices.Contains(masters, i); {
		masters = append(masters, i)
		l, err := inv.read(ctx, i, touched)
		if l == nil {
			return err
		}
		i = l.Master
	}
	return nil
}

// read looks at one link; nil is one that has gone.
func (inv *Inventory) read(ctx context.Context, i int, touched map[int]bool) (*state.Link, error) {
	if was := inv.b.links[i]; was != nil && was.Master != 0 {
		inv.touch(was.Master, touched)
	}
	inv.touch(i, touched)
	l, addresses, err := inv.source.Link(ctx, i)
	if err != nil {
		return nil, err
	}
	if l == nil {
		inv.b.drop(i)
		delete(inv.b.addresses, i)
		return nil, nil
	}
	inv.b.put(l)
	inv.b.addresses[i] = addresses
	inv.touch(i, touched)
	return l, nil
}

// touch notes a link and what shows something of it: the VLANs on it, its master and
// slaves, which name it, and the VLANs on the master.
func (inv *Inventory) touch(index int, touched map[int]bool) {
	if touched[index] {
		return
	}
	touched[index] = true
	for _, child := range inv.b.children[index] {
		inv.touch(child, touched)
	}
	for _, slave := range inv.b.slaves[index] {
		touched[slave] = true
	}
	if l := inv.b.links[index]; l != nil && l.Master != 0 {
		inv.touch(l.Master, touched)
	}
}

// Renew looks at everything: what is known beside looks has changed.
func (inv *Inventory) Renew(ctx context.Context) error {
	if err := inv.take(ctx); err != nil {
		return err
	}
	defer inv.give()
	return inv.lookAtAll(ctx)
}

func (inv *Inventory) lookAtAll(ctx context.Context) error {
	acted := inv.source.Writes()
	s, err := inv.source.Snapshot(ctx)
	if err != nil {
		return err
	}
	inv.b.look(s)
	inv.b.know(inv.known(s))
	inv.describeAll()
	inv.acted, inv.whole = acted, true
	return nil
}

func (inv *Inventory) describeAll() {
	all := make(map[int]bool, len(inv.b.links))
	for index := range inv.b.links {
		all[index] = true
	}
	for index := range inv.keys {
		all[index] = true
	}
	inv.describe(all)
}

// describe makes the NICs of these links anew, and those that are lacking since links
// have come or gone, and publishes what has changed.
func (inv *Inventory) describe(links map[int]bool) {
	fresh, gone := map[string]*Nic{}, map[string]bool{}
	for index := range links {
		if key, ok := inv.keys[index]; ok {
			gone[key] = true
			delete(inv.keys, index)
		}
	}
	for _, index := range slices.Sorted(maps.Keys(links)) {
		l := inv.b.links[index]
		if l == nil || l.Type == loopback {
			continue
		}
		n := inv.b.nic(l)
		key := inv.keyFor(&n, fresh)
		fresh[key], inv.keys[index] = &n, key
	}
	for name := range inv.b.stirred {
		if key, ok := inv.lacking[name]; ok {
			gone[key] = true
			delete(inv.lacking, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(inv.b.stirred)) {
		if inv.b.lacks(name) {
			n := inv.b.missing(name)
			key := inv.keyFor(&n, fresh)
			fresh[key], inv.lacking[name] = &n, key
		}
	}
	clear(inv.b.stirred)
	inv.publish(fresh, gone)
}

// keyFor is what a NIC is known by over time: its id, and where others have the same
// one, its name too.
func (inv *Inventory) keyFor(n *Nic, fresh map[string]*Nic) string {
	taken := func(key string) bool {
		if fresh[key] != nil {
			return true
		}
		have := inv.nics[key]
		return have != nil && have.Present && have.Index != n.Index && inv.keys[have.Index] == key
	}
	if n.ID == "" || taken(n.ID) {
		return n.ID + " " + n.Name
	}
	return n.ID
}

// publish takes over fresh descriptions, in the place of those that are gone, and
// tells watches what is different.
func (inv *Inventory) publish(fresh map[string]*Nic, gone map[string]bool) {
	var changes []Change
	for key := range gone {
		if fresh[key] == nil && inv.nics[key] != nil {
			changes = append(changes, Change{Old: inv.nics[key]})
			delete(inv.nics, key)
		}
	}
	for key, n := range fresh {
		old := inv.nics[key]
		if old != nil && reflect.DeepEqual(old, n) {
			continue
		}
		if old != nil && maps.Equal(old.Absent, n.Absent) {
			n.Absent = old.Absent // half of what a NIC takes in memory, of which thousands are kept
		}
		inv.nics[key] = n
		changes = append(changes, Change{Old: old, New: n})
	}
	if len(changes) == 0 {
		return
	}
	slices.SortFunc(changes, func(a, b Change) int { return compare(cmp.Or(a.New, a.Old), cmp.Or(b.New, b.Old)) })
	last := inv.current.Load()
	v := &Version{Epoch: inv.epoch, Revision: last.Revision}
	for i := range changes {
		v.Revision++
		changes[i].Revision = v.Revision
	}
	if len(changes) < last.list.length/2 {
		v.list = last.list.with(changes)
	} else {
		v.list = listOf(slices.Collect(maps.Values(inv.nics)))
	}
	inv.tell(v, changes)
}
