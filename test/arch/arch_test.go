// Package arch holds the house in order: who may import whom, and how long a
// function and a file may get. It reads the source, whatever the build tags, and
// not the build, so it needs nothing and takes no time.
package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hostnic/hostnic"

// source is one Go file.
type source struct {
	name  string // path in the module
	pkg   string // its folder
	test  bool
	ast   *ast.File
	lines int
	set   *token.FileSet
}

func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.name, s.set.Position(n.Pos()).Line)
}

func (s source) imports() []string {
	var paths []string
	for _, spec := range s.ast.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	return paths
}

// checks are all there are; each returns what it found wrong.
var checks = map[string]func([]source) []string{
	"packages are listed": unlisted,
	"imports":             forbiddenImports,
	"netlink":             netlinkElsewhere,
	"bond literals":       bondLiterals,
	"names":               emptyNames,
	"sizes":               sizes,
}

func TestHouse(t *testing.T) {
	files, err := read(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 3 {
		t.Fatalf("found only %d files", len(files))
	}
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			for _, problem := range check(files) {
				t.Error(problem)
			}
		})
	}
}

// read parses all Go files, except where the go command does not look either.
func read(fsys fs.FS) ([]source, error) {
	var files []source
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if name != "." && (base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, source{
			name: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
			ast: parsed, lines: strings.Count(string(text), "\n"), set: set,
		})
		return nil
	})
	return files, err
}

// matches tells whether one of the patterns, as in rule, stands for the path.
func matches(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		below, all := strings.CutSuffix(pattern, "...")
		below = strings.TrimSuffix(below, "/")
		return name == below || all && (below == "" || strings.HasPrefix(name, below+"/"))
	})
}

func ruleFor(pkg string) (rule, bool) {
	i := slices.IndexFunc(table, func(r rule) bool { return matches(pkg, []string{r.pkg}) })
	if i < 0 {
		return rule{}, false
	}
	return table[i], true
}

func unlisted(files []source) []string {
	var problems []string
	for _, file := range files {
		if _, ok := ruleFor(file.pkg); !ok {
			problems = append(problems, fmt.Sprintf("%s: package %s is not in the table of test/arch", file.name, file.pkg))
		}
	}
	return problems
}

func forbiddenImports(files []source) []string {
	var problems []string
	for _, file := range files {
		r, ok := ruleFor(file.pkg)
		if !ok {
			continue // that is another check's
		}
		for _, imported := range file.imports() {
			if !allowed(r, imported, file.test) {
				problems = append(problems, fmt.Sprintf("%s: %s must not import %s: %s", file.name, file.pkg, imported, r.why))
			}
		}
	}
	return problems
}

func allowed(r rule, imported string, test bool) bool {
	if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
		return test || matches(ours, r.ours)
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return true // the standard library
	}
	return matches(imported, r.theirs) || test && (matches(imported, testLibraries) || matches(imported, netlinkLibraries))
}

func netlinkElsewhere(files []source) []string {
	var problems []string
	for _, file := range files {
		for _, imported := range file.imports() {
			if matches(imported, netlinkLibraries) && !matches(file.pkg, netlinkOnlyIn) {
				problems = append(problems, fmt.Sprintf("%s: %s belongs into netcfg/kernel; tests have test/netns", file.name, imported))
			}
		}
	}
	return problems
}

// bondLiterals finds netlink.Bond{…}: its zeros are options that the kernel
// takes for wishes ("lacp_active off") or refuses. NewLinkBond leaves them unset.
func bondLiterals(files []source) []string {
	var problems []string
	for _, file := range files {
		if file.test {
			continue
		}
		ast.Inspect(file.ast, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			kind, ok := literal.Type.(*ast.SelectorExpr)
			if !ok || kind.Sel.Name != "Bond" {
				return true
			}
			if pkg, ok := kind.X.(*ast.Ident); ok && pkg.Name == "netlink" {
				problems = append(problems, file.at(n)+": use netlink.NewLinkBond, a literal sends zeros")
			}
			return true
		})
	}
	return problems
}

func emptyNames(files []source) []string {
	empty := []string{"util", "utils", "common", "helper", "helpers", "misc", "base", "shared", "lib"}
	var problems []string
	for _, file := range files {
		name := strings.TrimSuffix(file.ast.Name.Name, "_test")
		if slices.Contains(empty, name) {
			problems = append(problems, fmt.Sprintf("%s: package %s says nothing about what is in it", file.name, name))
		}
	}
	return problems
}
