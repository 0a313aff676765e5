package netcfg

import (
	"slices"
	"testing"
)

func TestProblemString(t *testing.T) {
	for _, test := range []struct {
		problem Problem
		want    string
	}{
		{Problem{Line: 3, Path: "a.b", Message: "bad", Found: "1", Allowed: "2", Rule: "r"}, `line 3: a.b: bad (found "1", allowed 2) [r]`},
		{Problem{Message: "bad", Allowed: "2"}, `bad (allowed 2)`},
		{Problem{Message: "bad"}, `bad`},
		{Problem{Path: "host_nics[\x1b[2J].name", Message: "\u202e bad", Found: "\x00", Allowed: "\n"}, `host_nics[\x1b[2J].name: \u202e bad (found "\x00", allowed \n)`},
	} {
		if got := test.problem.String(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	if (Problems{}).Err() != nil || (Problems{{Message: "a"}, {Message: "b"}}).Err().Error() != "a\nb" {
		t.Error("Err")
	}
}

func TestProblemsByKind(t *testing.T) {
	a, b, c := Problem{Path: "a"}, Problem{Path: "b", Kind: NotFound}, Problem{Path: "c"}
	ps := Problems{a, b, c}
	if got := ps.Only(NotFound); !slices.Equal(got, Problems{b}) {
		t.Errorf("Only: got %v", got)
	}
	if got := ps.Without(NotFound); !slices.Equal(got, Problems{a, c}) {
		t.Errorf("Without: got %v", got)
	}
}

func TestPrintable(t *testing.T) {
	for s, want := range map[string]string{
		"":            "",
		"Büro 東京 €":   "Büro 東京 €",
		"a\tb":        `a\tb`,
		"\x1b[31m":    `\x1b[31m`,
		"a\xffb":      `a\xffb`,
		"a\u202eb":    `a\u202eb`,
		"a\u061cb":    `a\u061cb`,
		"a\u2028b":    `a\u2028b`,
		"a\u00adb":    `a\u00adb`,
		"a\U000e0041": `a\U000e0041`,
		"a\u009b":     `a\u009b`,
	} {
		if got := Printable(s); got != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
}

func TestLocate(t *testing.T) {
	id, vlan := "e8f02fdf-3d7b-4135-86e1-1bf185570cd8", 7
	d := Document{Nics: []NicEdit{{HostNic: HostNic{ID: id}}, {HostNic: HostNic{VLAN: &VLAN{ID: &vlan}, BaseInterface: "eth1"}}},
		Lines: func() map[string]int {
			return map[string]int{"host_nics[" + id + "].mtu": 11, "host_nics[1].vlan.id": 12, "host_nics[bond0]": 2, "host_nics[bond0].bonding.options": 5, "host_nics[bond0].bonding.slaves[1]": 9}
		}}
	got := d.Locate(Problems{
		{Path: "host_nics[bond0].bonding.slaves[1]"}, {Path: "host_nics[bond0].bonding.options.mode"}, {Path: "host_nics[bond0].bonding.slaves[0]"},
		{Path: "host_nics[eth0].mtu"}, {Path: "host_nics[bond0].mtu", Line: 7}, {Path: ""},
		{Path: "host_nics[eth9].mtu"}, {Path: "host_nics[eth1.7].vlan.id"},
	}, func(ref string) string {
		if ref == id {
			return "eth9"
		}
		return ref
	})
	for i, want := range []int{9, 5, 2, 0, 7, 0, 11, 12} {
		if got[i].Line != want {
			t.Errorf("%s: got line %d, want %d", got[i].Path, got[i].Line, want)
		}
	}
}
