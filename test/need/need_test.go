package need

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// recorder is a test that only notes how it would have ended.
type recorder struct {
	testing.TB
	ended string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Skipf(f string, a ...any)  { r.ended = "skip: " + fmt.Sprintf(f, a...) }
func (r *recorder) Fatalf(f string, a ...any) { r.ended = "fail: " + fmt.Sprintf(f, a...) }

func TestDecide(t *testing.T) {
	noBond := func(f Feature) error {
		if f == Bond || f == LACP {
			return errors.New("not supported")
		}
		return nil
	}
	tests := []struct {
		name     string
		promised []Feature
		needs    []Feature
		want     string
	}{
		{"all there", nil, []Feature{VLAN, Dummy}, ""},
		{"all there and promised", []Feature{VLAN}, []Feature{VLAN, Dummy}, ""},
		{"missing", nil, []Feature{VLAN, Bond}, "skip: needs bond (not supported); run: make test-kernel"},
		{"two missing", nil, []Feature{Bond, LACP}, "skip: needs bond (not supported), lacp (not supported); run: make test-kernel"},
		{"another one promised", []Feature{VLAN}, []Feature{Bond}, "skip: needs bond (not supported); run: make test-kernel"},
		{"missing and promised", []Feature{Bond}, []Feature{VLAN, Bond}, "fail: needs bond (not supported); HOSTNIC_NEED promised it"},
		{"one of two promised", []Feature{LACP}, []Feature{Bond, LACP}, "fail: needs bond (not supported), lacp (not supported); HOSTNIC_NEED promised it"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := &recorder{}
			decide(r, test.promised, noBond, test.needs)
			if r.ended != test.want {
				t.Errorf("got  %q\nwant %q", r.ended, test.want)
			}
		})
	}
}

func TestParsePromise(t *testing.T) {
	tests := []struct {
		text string
		want []Feature
	}{
		{"", nil},
		{"bond", []Feature{Bond}},
		{"bond,vlan", []Feature{Bond, VLAN}},
		{" bond, vlan ", []Feature{Bond, VLAN}},
		{"all", All()},
		{"bond,all", All()},
	}
	for _, test := range tests {
		got, err := parsePromise(test.text)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%q: got %v, %v, want %v", test.text, got, err, test.want)
		}
	}
	if _, err := parsePromise("bond,bnod"); err == nil || !strings.Contains(err.Error(), `no feature "bnod"`) {
		t.Errorf("typing mistake: got %v", err)
	}
}

func TestMissingKnowsOnlyFeatures(t *testing.T) {
	if Missing("warp drive") == nil {
		t.Error("a feature that does not exist is there")
	}
}
