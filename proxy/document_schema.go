package proxy

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// reflector makes JSON Schemas of Go types as encoding/json writes them.
type reflector struct {
	names   map[reflect.Type]string
	defined map[string]any
}

func newReflector() *reflector {
	return &reflector{names: map[reflect.Type]string{}, defined: map[string]any{}}
}

// name gives a type its name in the document.
func (r *reflector) name(value any, name string) { r.names[reflect.TypeOf(value)] = name }

// define makes the schema of a named type.
func (r *reflector) define(value any) {
	t := reflect.TypeOf(value)
	r.defined[r.names[t]] = nil
	r.defined[r.names[t]] = r.object(t)
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	rawTypes   = []reflect.Type{reflect.TypeFor[json.RawMessage](), reflect.TypeFor[jsontext.Value]()}
	textWriter = reflect.TypeFor[encoding.TextMarshaler]()
)

func (r *reflector) schema(t reflect.Type) map[string]any {
	switch {
	case t == timeType:
		return map[string]any{"type": "string", "format": "date-time"}
	case t == rawTypes[0], t == rawTypes[1], t.Kind() == reflect.Interface:
		return map[string]any{}
	case t.Kind() == reflect.Pointer:
		return r.schema(t.Elem())
	case t.Implements(textWriter):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint64, reflect.Uint32, reflect.Uint:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": r.schema(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": r.schema(t.Elem())}
	case reflect.Struct:
		return r.ref(t)
	}
	panic(fmt.Sprintf("proxy: the document cannot describe %s", t))
}

// ref points to the schema of a struct, which is made if it is new.
func (r *reflector) ref(t reflect.Type) map[string]any {
	name, known := r.names[t]
	if !known {
		name = title(t.Name())
		for other, taken := range r.names {
			if taken == name && other != t {
				name = title(t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]) + name
				break
			}
		}
		r.names[t] = name
	}
	if _, made := r.defined[name]; !made {
		r.defined[name] = nil // it may point to itself
		r.defined[name] = r.object(t)
	}
	return map[string]any{"$ref": "#/components/schemas/" + name}
}

func title(s string) string {
	if s == "" {
		panic("proxy: the document cannot name a type without a name")
	}
	return string(unicode.ToUpper(rune(s[0]))) + s[1:]
}

func (r *reflector) object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	required := []any{}
	r.fields(t, properties, &required)
	o := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

func (r *reflector) fields(t reflect.Type, properties map[string]any, required *[]any) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous && !tagged:
			r.fields(f.Type, properties, required)
			continue
		case !f.IsExported(), tag == "-":
			continue
		case name == "":
			name = f.Name
		}
		properties[name] = r.schema(f.Type)
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			*required = append(*required, name)
		}
	}
}
