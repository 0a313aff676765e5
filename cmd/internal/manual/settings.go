package manual

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Settings writes a page about a settings file: the fields of the struct of that name,
// with the comments that they have in the source of a package, and with the values of
// defaults, which is one of them.
func Settings(dir, name, short, about, source, structName string, defaults any) error {
	structs, err := structsOf(source)
	if err != nil {
		return err
	}
	p := newPage(name, 5, short)
	p.section("Description")
	p.text(about)
	p.section("Settings")
	if err := p.settings(structs, "", structName, reflect.ValueOf(defaults)); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	p.section("See also")
	p.text("hostnicd(8), agentctl(1)")
	return p.write(dir, name, 5)
}

// settings writes the fields of a struct, those of structs in it behind a dot.
func (p *page) settings(structs map[string]structType, path, structName string, values reflect.Value) error {
	s, ok := structs[structName]
	if !ok {
		return fmt.Errorf("there is no struct %s with settings", structName)
	}
	last := ""
	for _, f := range s.fields {
		value := values.FieldByName(f.name)
		if !value.IsValid() {
			return fmt.Errorf("%s has no field %s", structName, f.name)
		}
		within, nested := structs[f.kind]
		doc := f.doc
		switch {
		case doc != "":
		case nested && within.doc != "":
			doc = strings.Replace(within.doc, f.kind, f.name, 1)
		case last != "":
			doc = "See " + last + "."
		default:
			return fmt.Errorf("nothing is said about %s.%s", structName, f.name)
		}
		text := strings.TrimSpace(strings.Replace(doc, f.name, f.key, 1))
		if !nested && !value.IsZero() {
			shown, err := yaml.Marshal(value.Interface())
			if err != nil {
				return err
			}
			text += "  Default: " + strings.TrimSpace(string(shown)) + "."
		}
		p.item(path+f.key, text)
		if nested {
			if err := p.settings(structs, path+f.key+".", f.kind, value); err != nil {
				return err
			}
		}
		last = path + f.key
	}
	return nil
}

type structType struct {
	doc    string
	fields []field
}

// field is one with a key; kind is the name of its type, empty where it has none.
type field struct{ name, key, kind, doc string }

// structsOf are the structs of a package that have fields with keys, and what is said
// about them.
func structsOf(folder string) (map[string]structType, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	out := map[string]structType{}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok || len(d.Specs) != 1 {
				continue
			}
			spec, ok := d.Specs[0].(*ast.TypeSpec)
			if !ok {
				continue
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				if fields := keyed(s); len(fields) > 0 {
					out[spec.Name.Name] = structType{d.Doc.Text(), fields}
				}
			}
		}
	}
	return out, nil
}

// keyed are the fields that have a key in YAML.
func keyed(s *ast.StructType) []field {
	var out []field
	for _, f := range s.Fields.List {
		if f.Tag == nil || len(f.Names) != 1 {
			continue
		}
		key := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("yaml")
		if key == "" {
			continue
		}
		kind := ""
		if name, ok := f.Type.(*ast.Ident); ok {
			kind = name.Name
		}
		out = append(out, field{f.Names[0].Name, key, kind, f.Doc.Text()})
	}
	return out
}
