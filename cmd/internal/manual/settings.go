package manual

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Settings writes a page about a settings file: the fields of the struct of that name in
// a source file, with their comments, and the values that they have by default.
func Settings(dir, name, short, about, source, structName string, defaults any) error {
	fields, err := structFields(source, structName)
	if err != nil {
		return err
	}
	p := newPage(name, 5, short)
	p.section("Description")
	p.text(about)
	p.section("Settings")
	values := reflect.ValueOf(defaults)
	for _, f := range fields {
		key, goName := f.key, f.name
		text := strings.Replace(f.doc, goName, key, 1)
		value := values.FieldByName(goName)
		if !value.IsValid() {
			return fmt.Errorf("%s: %s has no field %s", source, structName, goName)
		}
		if !value.IsZero() {
			shown, err := yaml.Marshal(value.Interface())
			if err != nil {
				return err
			}
			text = strings.TrimSpace(text) + "  Default: " + strings.TrimSpace(string(shown)) + "."
		}
		p.item(key, text)
	}
	p.section("See also")
	p.text("hostnicd(8), agentctl(1)")
	return p.write(dir, name, 5)
}

type field struct{ name, key, doc string }

// structFields are the fields of a struct, with what is said about them.
func structFields(source, structName string) ([]field, error) {
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var out []field
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != structName {
			return true
		}
		s, ok := spec.Type.(*ast.StructType)
		if !ok {
			return false
		}
		for _, f := range s.Fields.List {
			if f.Tag == nil || len(f.Names) != 1 {
				continue
			}
			key := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("yaml")
			out = append(out, field{f.Names[0].Name, key, f.Doc.Text()})
		}
		return false
	})
	for _, f := range out {
		if f.doc == "" {
			return nil, fmt.Errorf("%s: nothing is said about %s.%s", source, structName, f.name)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: there is no struct %s with settings", source, structName)
	}
	return out, nil
}
