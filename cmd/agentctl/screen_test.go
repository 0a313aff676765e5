package main

import (
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		name  string
		line  string
		width int
		want  string
	}{
		{"no width", strings.Repeat("word ", 50), 0, strings.Repeat("word ", 50)},
		{"fits", "one two", 7, "one two"},
		{"between words", "one two three", 8, "one two\n  three"},
		{"at the very end", "one two three", 7, "one two\n  three"},
		{"a long word alone", "onetwothree", 5, "onetwothree"},
		{"a long word in the middle", "a onetwothreefour b", 6, "a\n  onetwothreefour\n  b"},
		{"indented", "    one two", 8, "    one\n  two"},
		{"wide characters", "橋橋 橋橋", 6, "橋橋\n  橋橋"},
		{"lines", "one two\nthree", 5, "one\n  two\nthree"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := wrap(c.line, c.width, 2); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestLocaleIsUTF8(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"LANG": "en_US.UTF-8"}, true},
		{map[string]string{"LANG": "C.utf8"}, true},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "C.UTF-8"}, true},
		{map[string]string{"LANG": "de_DE@euro"}, false},
	} {
		if got := localeIsUTF8(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: got %v", c.env, got)
		}
	}
}
