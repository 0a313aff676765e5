package netcfg

import (
	"reflect"
	"testing"
)

// TestEqualSeesEveryField changes one field after the other, at every depth: a field
// that Equal does not know breaks this test.
func TestEqualSeesEveryField(t *testing.T) {
	full := func() Config {
		var c Config
		fill(reflect.ValueOf(&c).Elem())
		return c
	}
	if a, b := full(), full(); !Equal(a, b) {
		t.Fatal("two alike are not equal")
	}
	if !Equal(Config{}, Config{HostNics: []HostNic{}, Routes: []Route{}}) {
		t.Error("absent and empty lists are not the same")
	}
	c, seen := full(), 0
	eachLeaf(reflect.ValueOf(&c).Elem(), "", func(path string, v reflect.Value) {
		seen++
		before := reflect.New(v.Type()).Elem()
		before.Set(v)
		v.SetZero()
		if Equal(c, full()) || Equal(full(), c) {
			t.Errorf("a changed %s is not seen", path)
		}
		v.Set(before)
	})
	if seen < 35 {
		t.Errorf("only %d fields were changed", seen)
	}
}
