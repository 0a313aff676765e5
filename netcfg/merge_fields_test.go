package netcfg

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A field of HostNic that Merge, a null or Clone forgets is lost in silence. These
// tests walk over the fields by reflection, so that a new one breaks them until it
// is handled. Name and id say which NIC is meant and are not merged.

func nicFields() []string {
	return slices.DeleteFunc(unsettable(reflect.TypeFor[HostNic](), ""), func(p string) bool { return p == "name" || p == "id" })
}

func TestMergeTakesEveryField(t *testing.T) {
	if n := len(nicFields()); n < 25 {
		t.Fatalf("only %d fields were found", n)
	}
	for _, path := range nicFields() {
		e := aNic("eth0")
		fillAt(reflect.ValueOf(&e).Elem(), path)
		got, ps := Merge(host(aNic("eth0")), Document{Nics: []NicEdit{{HostNic: e}}}, identity)
		if diff := cmp.Diff(host(e), got); ps != nil || diff != "" {
			t.Errorf("%s is not merged: %v (-want +got):\n%s", path, ps, diff)
		}
	}
}

func TestMergeKeepsEveryField(t *testing.T) {
	var all HostNic
	fill(reflect.ValueOf(&all).Elem())
	all.Name, all.ID = "eth0", ""
	got, ps := Merge(host(all), Document{Nics: []NicEdit{{HostNic: aNic("eth0")}}}, identity)
	if diff := cmp.Diff(host(all), got); ps != nil || diff != "" {
		t.Errorf("got %v (-want +got):\n%s", ps, diff)
	}
	// An empty part says nothing about what is in it.
	empty := HostNic{Name: "eth0", Host: &Reference{}, Network: &Reference{}, MAC: &MAC{}, IP: &IP{}, IPv6: &IPv6{}, VLAN: &VLAN{}, Bonding: &Bonding{}}
	got, ps = Merge(host(all), Document{Nics: []NicEdit{{HostNic: empty}}}, identity)
	if diff := cmp.Diff(host(all), got); ps != nil || diff != "" {
		t.Errorf("empty parts: got %v (-want +got):\n%s", ps, diff)
	}
}

func TestNullUnsetsEveryField(t *testing.T) {
	for _, path := range nicFields() {
		var before HostNic
		fill(reflect.ValueOf(&before).Elem())
		before.Name, before.ID = "eth0", ""
		c, ps := Merge(host(before), Document{Nics: []NicEdit{{HostNic: aNic("eth0"), Unset: []string{path}}}}, identity)
		if ps != nil {
			t.Errorf("%s: %v", path, ps)
			continue
		}
		after := reflect.ValueOf(c.HostNics[0])
		if v, there := fieldAt(after, path); there && !v.IsZero() {
			t.Errorf("%s is still there: %v", path, v)
		}
		top, _, _ := strings.Cut(path, ".")
		for i := range after.NumField() {
			name := jsonName(after.Type().Field(i))
			if name != top && !reflect.DeepEqual(after.Field(i).Interface(), reflect.ValueOf(before).Field(i).Interface()) {
				t.Errorf("%s takes %s along", path, name)
			}
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	var a, want Config
	fill(reflect.ValueOf(&a).Elem())
	fill(reflect.ValueOf(&want).Elem())
	b := a.Clone()
	if diff := cmp.Diff(a, b); diff != "" {
		t.Fatalf("not a copy (-want +got):\n%s", diff)
	}
	eachLeaf(reflect.ValueOf(&b).Elem(), "", func(path string, v reflect.Value) {
		v.SetZero()
		if diff := cmp.Diff(want, a); diff != "" {
			t.Fatalf("%s is shared (-want +got):\n%s", path, diff)
		}
	})
}

// What Merge gives shares nothing with what it was given.
func TestMergeSharesNothing(t *testing.T) {
	var base, wantBase, from Config
	fill(reflect.ValueOf(&base).Elem())
	fill(reflect.ValueOf(&wantBase).Elem())
	fill(reflect.ValueOf(&from).Elem())
	base.HostNics[0].Name, wantBase.HostNics[0].Name, from.HostNics[0].Name = "eth0", "eth0", "eth1"
	want := from.Clone()
	got, _ := Merge(base, DocumentOf(from), identity)
	eachLeaf(reflect.ValueOf(&got).Elem(), "", func(path string, v reflect.Value) {
		v.SetZero()
		if diff := cmp.Diff(wantBase, base); diff != "" {
			t.Fatalf("%s is shared with the base (-want +got):\n%s", path, diff)
		}
		if diff := cmp.Diff(want, from); diff != "" {
			t.Fatalf("%s is shared with the document (-want +got):\n%s", path, diff)
		}
	})
}

// fillAt fills the field at a dotted path and nothing beside it.
func fillAt(v reflect.Value, path string) {
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, ".")
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		for i := range v.NumField() {
			if jsonName(v.Type().Field(i)) == name {
				v = v.Field(i)
				break
			}
		}
	}
	fill(v)
}
