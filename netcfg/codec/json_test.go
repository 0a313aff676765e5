package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzJSONReader holds the reader against encoding/json: it takes the same texts for
// JSON, and finds the same in them.
func FuzzJSONReader(f *testing.F) {
	for _, text := range []string{
		`{"a": [1, -2.5e3, true, false, null, "x", "\u00e9\n\"\\"], "a": {}, "b\t": [[], {}]}`, "\t[ ]\r\n", `""`, `-0`,
		`{"a" 1}`, `{"a": }`, `{a: 1}`, `[1,]`, `[,]`, `{,}`, `[1 2]`, `[}`, `{]`, `"\`, `"\u12"`, `nul`, `tru e`, `01`, `1 2`, `[`, `{"a"`, ``,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var d decoder
		if !d.plausible(text) {
			return
		}
		got := parseJSON(text, &d.report)
		for _, p := range d.problems.list {
			if p.Rule == ruleTooDeep || p.Rule == ruleTooLarge {
				return
			}
		}
		if valid := json.Valid(text); valid != (len(d.problems.list) == 0) {
			t.Fatalf("%q is JSON: %v, but the problems are %v", text, valid, d.problems.list)
		}
		if len(d.problems.list) > 0 {
			return
		}
		tokens := json.NewDecoder(bytes.NewReader(text))
		tokens.UseNumber()
		places := cmpopts.IgnoreFields(node{}, "line", "column")
		if diff := cmp.Diff(byTokens(t, tokens), got, cmp.AllowUnexported(node{}, field{}), places, cmpopts.IgnoreFields(field{}, "line", "column"), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%q (-encoding/json +reader):\n%s", text, diff)
		}
	})
}

// byTokens is what encoding/json finds.
func byTokens(t *testing.T, tokens *json.Decoder) (n node) {
	next := func() json.Token {
		tok, err := tokens.Token()
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	switch v := next().(type) {
	case nil:
		n.kind = null
	case string:
		n.kind, n.text = text, v
	case json.Number:
		n.kind, n.text = number, v.String()
	case bool:
		n.kind, n.text = boolean, fmt.Sprint(v)
	case json.Delim:
		n.kind = list
		if v == '{' {
			n.kind = object
		}
		for tokens.More() {
			if n.kind == list {
				n.items = append(n.items, byTokens(t, tokens))
				continue
			}
			name, _ := next().(string)
			n.fields = append(n.fields, field{name: name, value: byTokens(t, tokens)})
		}
		next()
	}
	return n
}
