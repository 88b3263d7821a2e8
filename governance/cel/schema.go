package cel

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"cadreen/governance"
)

// argsType is the name of the object type that a schema gives args; nested
// objects are argsType plus their path. The colon keeps an expression from
// naming the type: args.to must be a field, not the type of that name.
const (
	typePrefix = "tool:"
	argsType   = typePrefix + "args"
)

// maxSchemaDepth bounds how deep a schema is read; below it values are dynamic.
const maxSchemaDepth = 16

// want is what a schema says a value must be. A value that is something else
// is an error where it is read: a rule never compares what it was not written for.
type want uint8

const (
	wantAny want = iota
	wantString
	wantInteger
	wantNumber
	wantBoolean
	wantArray
	wantObject
)

var wantWords = [...]string{"anything", "a string", "an integer", "a number", "a boolean", "an array", "an object"}

// shape is one JSON Schema, as far as conditions need it.
type shape struct {
	want   want
	null   bool // null is allowed too
	fields map[string]*shape
	open   bool // says that further fields are allowed
	items  *shape
}

// readSchema reads a tool's schema; nil where it does not say what args holds.
func readSchema(text []byte) *shape {
	if len(text) == 0 {
		return nil
	}
	var schema any
	if json.Unmarshal(text, &schema) != nil {
		return nil
	}
	root := readShape(schema, 0)
	if root == nil || root.want != wantObject || root.fields == nil {
		return nil
	}
	return root
}

func readShape(schema any, depth int) *shape {
	anything := &shape{}
	s, ok := schema.(map[string]any)
	if !ok || depth > maxSchemaDepth {
		return anything
	}
	for _, word := range [...]string{"$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "not", "if", "const", "dependentSchemas"} {
		if _, has := s[word]; has {
			return anything
		}
	}
	out := &shape{}
	var names []string
	switch t := s["type"].(type) {
	case string:
		names = []string{t}
	case []any:
		for _, n := range t {
			if name, ok := n.(string); ok {
				names = append(names, name)
			}
		}
	case nil:
		if _, has := s["properties"]; !has {
			return anything
		}
		names = []string{"object"}
	}
	for _, name := range names {
		if name == "null" {
			out.null = true
			continue
		}
		w := want(slices.Index([]string{"any", "string", "integer", "number", "boolean", "array", "object"}, name))
		if w > wantObject || out.want != wantAny {
			return anything // an unknown type, or several
		}
		out.want = w
	}
	switch out.want {
	case wantArray:
		if items, has := s["items"]; has {
			out.items = readShape(items, depth+1)
		} else {
			out.items = anything
		}
	case wantObject:
		properties, ok := s["properties"].(map[string]any)
		if !ok {
			return out
		}
		if _, has := s["patternProperties"]; has {
			out.open = true
		}
		switch more := s["additionalProperties"].(type) {
		case bool:
			out.open = out.open || more
		case map[string]any:
			out.open = true
		}
		out.fields = make(map[string]*shape, len(properties))
		for name, property := range properties {
			out.fields[name] = readShape(property, depth+1)
		}
	}
	return out
}

// check answers the value as conditions see it, or why it is not what the schema
// says.
func (s *shape) check(v any, name string) (any, error) {
	if v == nil && s.null || s.want == wantAny {
		return v, nil
	}
	ok := false
	switch s.want {
	case wantString:
		_, ok = v.(string)
	case wantBoolean:
		_, ok = v.(bool)
	case wantNumber:
		switch v.(type) {
		case int64, uint64, float64:
			ok = true
		}
	case wantInteger:
		switch n := v.(type) {
		case int64, uint64:
			ok = true
		case float64: // 750.0 is an integer to JSON Schema
			if n == math.Trunc(n) && math.Abs(n) < 1<<63 {
				return int64(n), nil
			}
		}
	case wantArray:
		var list []any
		if list, ok = v.([]any); ok && s.items != nil && s.items.want != wantAny && s.items.want != wantObject {
			for i, e := range list {
				if _, err := s.items.check(e, fmt.Sprintf("%s[%d]", name, i)); err != nil {
					return nil, err
				}
			}
		}
	case wantObject:
		_, ok = v.(map[string]any)
	}
	if ok {
		return v, nil
	}
	if n, inexact := v.(governance.Inexact); inexact {
		return nil, inexactError(n)
	}
	return nil, fmt.Errorf("%s is %s where the tool's schema says %s", name, jsonWord(v), wantWords[s.want])
}

func jsonWord(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	case float64:
		return fmt.Sprintf("the number %v", v)
	}
	return "a number"
}

func inexactError(n governance.Inexact) error {
	return fmt.Errorf("the number %.40s cannot be held exactly", n.Text)
}

// provider types args by a shape, beside the fixed objects of the environment.
// One provider serves one compilation and the programs made from it.
type provider struct {
	*types.Registry
	shapes map[string]*shape // object types by name
	tested map[string]bool   // paths under has()
	missed []string          // what was asked for in vain, in order
}

func newProvider(base *types.Registry, root *shape, tested map[string]bool) *provider {
	p := &provider{Registry: base, shapes: map[string]*shape{}, tested: tested}
	p.typeOf(root, argsType)
	return p
}

// typeOf names the CEL type of a shape and registers the objects in it.
func (p *provider) typeOf(s *shape, name string) *types.Type {
	if s.null {
		return types.DynType
	}
	switch s.want {
	case wantString:
		return types.StringType
	case wantInteger:
		return types.IntType
	case wantBoolean:
		return types.BoolType
	case wantArray:
		return types.NewListType(p.typeOf(s.items, name+".items"))
	case wantObject:
		if s.fields == nil {
			return types.NewMapType(types.StringType, types.DynType)
		}
		if p.shapes[name] == nil {
			p.shapes[name] = s
			for field, inner := range s.fields {
				p.typeOf(inner, name+"."+field)
			}
		}
		return types.NewObjectType(name)
	}
	// A number may be written 750 or 750.5: its type is known when it is read.
	return types.DynType
}

// FindStructType implements types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if p.shapes[name] != nil || fixed[name] != nil {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Registry.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	var names []string
	if s := p.shapes[name]; s != nil {
		for field := range s.fields {
			names = append(names, field)
		}
	} else if fields := fixed[name]; fields != nil {
		for field := range fields {
			names = append(names, field)
		}
	} else {
		return p.Registry.FindStructFieldNames(name)
	}
	slices.Sort(names)
	return names, true
}

// FindStructFieldType implements types.Provider.
func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	s := p.shapes[name]
	if s == nil {
		if fields := fixed[name]; fields != nil {
			f, ok := fields[field]
			return f, ok
		}
		return p.Registry.FindStructFieldType(name, field)
	}
	if inner := s.fields[field]; inner != nil {
		return fieldOf(name, field, inner, p.typeOf(inner, name+"."+field)), true
	}
	// An argument that this tool does not have is a mistake, unless the schema
	// lets others in, or the expression asks has() for it and it resembles none
	// of those there are: a rule for many tools does that.
	names, _ := p.FindStructFieldNames(name)
	name = strings.TrimPrefix(name, typePrefix)
	near := governance.Nearest(field, names)
	if s.open || p.tested[name+"."+field] && near == "" {
		return fieldOf(name, field, &shape{}, types.DynType), true
	}
	text := fmt.Sprintf("%s.%s: the tool has no such argument", name, field)
	if near != "" {
		text += fmt.Sprintf("; did you mean %s?", near)
	} else if len(names) > 0 && len(names) <= 8 {
		text += fmt.Sprintf("; it has %v", names)
	}
	if !slices.Contains(p.missed, text) {
		p.missed = append(p.missed, text)
	}
	return nil, false
}

// NewValue implements types.Provider: objects of ours are read, never made.
func (p *provider) NewValue(name string, fields map[string]ref.Val) ref.Val {
	if p.shapes[name] != nil || fixed[name] != nil {
		return types.NewErr("a value of type %s cannot be made", name)
	}
	return p.Registry.NewValue(name, fields)
}

func fieldOf(object, field string, s *shape, t *types.Type) *types.FieldType {
	object = strings.TrimPrefix(object, typePrefix)
	full := object + "." + field
	return &types.FieldType{
		Type: t,
		IsSet: func(target any) bool {
			switch from := target.(type) {
			case *governance.Arguments:
				return from.Has(field)
			case map[string]any:
				_, ok := from[field]
				return ok
			}
			return false
		},
		GetFrom: func(target any) (v any, err error) {
			ok := false
			switch from := target.(type) {
			case *governance.Arguments:
				v, ok = from.Get(field)
			case map[string]any:
				v, ok = from[field]
			default:
				return nil, fmt.Errorf("%s is %s where the tool's schema says an object", object, jsonWord(target))
			}
			if !ok {
				return nil, fmt.Errorf("no such key: %s", field)
			}
			return s.check(v, full)
		},
	}
}
