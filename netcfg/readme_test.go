package netcfg

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the rules into the README")

// The README has the rules that the code has.
func TestREADMEHasTheRules(t *testing.T) {
	const file, begin, end = "../README.md", "<!-- rules: go test ./netcfg -run README -update -->\n", "<!-- end of the rules -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(text), begin)
	table, after, ended := strings.Cut(rest, end)
	if !begun || !ended {
		t.Fatalf("%s has no %s … %s", file, begin, end)
	}
	var want strings.Builder
	want.WriteString("| rule | what it says |\n| --- | --- |\n")
	for _, r := range Rules() {
		want.WriteString("| `" + r.Name + "` | " + strings.ReplaceAll(r.Doc, "|", `\|`) + " |\n")
	}
	if table == want.String() {
		return
	}
	if !*update {
		t.Fatalf("%s has other rules: %s", file, strings.TrimSpace(begin))
	}
	if err := os.WriteFile(file, []byte(before+begin+want.String()+end+after), 0o644); err != nil { //nolint:gosec // everybody may read it
		t.Fatal(err)
	}
}
