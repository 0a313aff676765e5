package powercut

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hostnic/hostnic/agent/store"
)

// disk is what POSIX promises of the files under a folder: what is synced is there
// after a power cut. Of all else, each thing by itself may be there or not: a file made,
// renamed or removed since its folder was synced, and each block of what was written to
// a file since the file was. That is the model of ALICE (Pillai and others, OSDI 14),
// with one freedom more: a rename may leave both names.
type disk struct {
	files map[string]*file // by the names that are certain
	// doubtful are changes of names whose folder was not synced since.
	doubtful []renaming
}

// file is an inode: written is its content, of which so many bytes are certain.
type file struct {
	written []byte
	certain int
}

// renaming is one change of a folder: names that come to stand for something else, nil
// for nothing.
type renaming struct {
	folder string
	names  map[string]*file
	// half is the same with only some of the names changed; nil when there is no such
	// half.
	half map[string]*file
}

func newDisk() *disk { return &disk{files: map[string]*file{}} }

// do takes a step that the store has made.
func (d *disk) do(s store.Step) error {
	now := d.names(func(r renaming) map[string]*file { return r.names })
	f := now[s.Path]
	if f == nil && s.Deed != store.Created && s.Deed != store.SyncedDir {
		return fmt.Errorf("%s %s: there is no such file", s.Deed, s.Path)
	}
	change := renaming{folder: path.Dir(s.Path)}
	switch s.Deed {
	case store.Created:
		change.names = map[string]*file{s.Path: {}}
	case store.Written:
		f.written = append(f.written, s.Data...)
		return nil
	case store.Synced:
		f.certain = len(f.written)
		return nil
	case store.Renamed:
		if path.Dir(s.To) != change.folder {
			return fmt.Errorf("%s is renamed to another folder, %s", s.Path, s.To)
		}
		change.names, change.half = map[string]*file{s.Path: nil, s.To: f}, map[string]*file{s.To: f}
	case store.Removed:
		change.names = map[string]*file{s.Path: nil}
	case store.SyncedDir:
		d.syncDir(s.Path)
		return nil
	}
	d.doubtful = append(d.doubtful, change)
	return nil
}

// names are all names when of each doubtful change so much has come to be; nil is
// nothing.
func (d *disk) names(much func(renaming) map[string]*file) map[string]*file {
	out := maps.Clone(d.files)
	for _, r := range d.doubtful {
		apply(out, much(r))
	}
	return out
}

func apply(files, change map[string]*file) {
	for name, f := range change {
		if f == nil {
			delete(files, name)
		} else {
			files[name] = f
		}
	}
}

func (d *disk) syncDir(folder string) {
	left := d.doubtful[:0]
	for _, r := range d.doubtful {
		if r.folder != folder {
			left = append(left, r)
			continue
		}
		apply(d.files, r.names)
	}
	d.doubtful = left
}

// content is what a folder holds, by path.
type content map[string][]byte

// key is the same for the same content.
func (c content) key() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "%s %d %s\n", name, len(c[name]), c[name])
	}
	return b.String()
}

// many is how many doubtful changes are tried in all their combinations. A store that
// syncs has two at most; where there are more, they are tried in order, and one by one.
const many = 6

// cut calls what may be found when the power is cut now.
func (d *disk) cut(found func(content)) {
	n := len(d.doubtful)
	all, none := make([]map[string]*file, n), make([]map[string]*file, n)
	for i, r := range d.doubtful {
		all[i] = r.names
	}
	if n <= many {
		d.combine(0, slices.Clone(none), found)
		return
	}
	for i, r := range d.doubtful {
		d.found(slices.Concat(all[:i], none[i:]), found)
		d.found(slices.Concat(all[:i], none[i:i+1], all[i+1:]), found)
		only := slices.Clone(none)
		only[i] = r.names
		d.found(only, found)
	}
	d.found(all, found)
}

// combine goes through all the ways in which the doubtful changes may have come to be.
func (d *disk) combine(i int, chosen []map[string]*file, found func(content)) {
	if i == len(chosen) {
		d.found(chosen, found)
		return
	}
	r := d.doubtful[i]
	choices := []map[string]*file{nil, r.names}
	if r.half != nil {
		choices = append(choices, r.half)
	}
	for _, c := range choices {
		chosen[i] = c
		d.combine(i+1, chosen, found)
	}
}

// found calls what may be in the files when those changes have come to be: one file
// after the other may be torn. A store that syncs has one at most.
func (d *disk) found(changes []map[string]*file, found func(content)) {
	files := maps.Clone(d.files)
	for _, c := range changes {
		apply(files, c)
	}
	whole := content{}
	for name, f := range files {
		whole[name] = f.written
	}
	found(whole)
	for name, f := range files {
		for _, data := range f.torn()[1:] {
			out := maps.Clone(whole)
			out[name] = data
			found(out)
		}
	}
}

// block is the size of what a disk writes at once, or not.
const block = 512

// torn is what may be in a file, all of it first: what is certain, and of the rest nothing,
// its first blocks, a part of a block, or its length without some or all of the data.
func (f *file) torn() [][]byte {
	n := len(f.written)
	out := [][]byte{f.written}
	if f.certain == n {
		return out
	}
	add := func(data []byte) {
		if !slices.ContainsFunc(out, func(have []byte) bool { return bytes.Equal(have, data) }) {
			out = append(out, data)
		}
	}
	zeros := append(slices.Clone(f.written[:f.certain]), make([]byte, n-f.certain)...)
	add(f.written[:f.certain])
	add(zeros)
	add(f.written[:f.certain+1])
	add(f.written[:n-1])
	for at := f.certain / block * block; at < n; at += block {
		from, to := max(at, f.certain), min(at+block, n)
		add(f.written[:from])
		hole := slices.Clone(f.written)
		copy(hole[from:to], zeros[from:to])
		add(hole)
		only := slices.Clone(zeros)
		copy(only[from:to], f.written[from:to])
		add(only)
	}
	return out
}
