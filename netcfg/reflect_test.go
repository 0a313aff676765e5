package netcfg

import (
	"reflect"
	"strings"
)

// fill sets every field to something: texts to x1, numbers to 7, pointers to a
// value and lists to one element. A field of a kind that it does not know panics,
// so that whoever adds one looks here.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x1")
	case reflect.Int:
		v.SetInt(7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	default:
		panic("a field of a new kind: " + v.Type().String())
	}
}

// eachLeaf calls visit for every text, number and flag below v, with its path in
// the words of the JSON tags.
func eachLeaf(v reflect.Value, path string, visit func(string, reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		eachLeaf(v.Elem(), path, visit)
	case reflect.Slice:
		for i := range v.Len() {
			eachLeaf(v.Index(i), indexed(path, i), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			eachLeaf(v.Field(i), join(path, jsonName(v.Type().Field(i))), visit)
		}
	default:
		visit(path, v)
	}
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

// unsettable are the dotted paths below a type that a document can set: its fields
// and those of the structs in it. A list is one of them, its elements are not.
func unsettable(t reflect.Type, path string) []string {
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return []string{path}
	}
	var out []string
	if path != "" {
		out = append(out, path)
	}
	for i := range t.NumField() {
		out = append(out, unsettable(t.Field(i).Type, join(path, jsonName(t.Field(i))))...)
	}
	return out
}

// fieldAt is the field of a struct at a dotted path, with pointers followed; ok is
// false where one of them is nil.
func fieldAt(v reflect.Value, path string) (_ reflect.Value, ok bool) {
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, ".")
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
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
	return v, true
}
