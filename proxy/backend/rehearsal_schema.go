package backend

import (
	"bytes"
	"encoding/json"
	"strings"
)

// schema is what the rehearsal model understands of a JSON Schema: enough to
// fill in a form, not to judge one.
type schema struct {
	kind       string // object, array, string, number, integer, boolean, null; "" is any
	properties []property
	required   map[string]bool
	items      *schema
	enum       []json.RawMessage // const is an enum of one
	format     string
	minimum    *float64
	maximum    *float64
	minItems   int
	maxItems   int // 0 is no limit
	minLength  int
}

type property struct {
	name   string
	schema *schema
}

// member is one name and value of a JSON object, in the order of the text.
type member struct {
	name  string
	value json.RawMessage
}

// schemaDepth bounds nested and recursive schemas, schemaSize the objects in
// them: a reference used twice at each level doubles the work of the one above.
const (
	schemaDepth = 12
	schemaSize  = 2000
)

// readSchema reads a tool's parameters. Anything unreadable is an object
// without properties, for which {} is right.
func readSchema(raw json.RawMessage) *schema {
	r := schemaReader{root: raw, refs: make(map[string]json.RawMessage)}
	s := r.read(raw, 0)
	if s.kind == "" {
		s.kind = "object"
	}
	return s
}

func (s *schema) hasProperties() bool { return s != nil && len(s.properties) > 0 }

type schemaReader struct {
	root json.RawMessage
	seen int
	refs map[string]json.RawMessage // what was resolved already
}

func (r *schemaReader) read(raw json.RawMessage, depth int) *schema {
	s := &schema{}
	r.seen++
	if depth > schemaDepth || r.seen > schemaSize {
		return s
	}
	members, ok := readObject(raw)
	if !ok {
		return s
	}
	for _, m := range members {
		r.keyword(s, m, depth)
	}
	if s.kind == "" {
		switch {
		case len(s.properties) > 0:
			s.kind = "object"
		case s.items != nil:
			s.kind = "array"
		}
	}
	return s
}

func (r *schemaReader) keyword(s *schema, m member, depth int) {
	switch m.name {
	case "type":
		s.kind = typeOf(m.value, s.kind)
	case "properties":
		members, _ := readObject(m.value)
		for _, p := range members {
			s.properties = append(s.properties, property{p.name, r.read(p.value, depth+1)})
		}
	case "required":
		var names []string
		if json.Unmarshal(m.value, &names) == nil {
			s.require(names)
		}
	case "items":
		s.items = r.read(m.value, depth+1)
	case "enum":
		var values []json.RawMessage
		if json.Unmarshal(m.value, &values) == nil {
			s.enum = values
		}
	case "const":
		s.enum = []json.RawMessage{m.value}
	case "format":
		s.format = stringOf(m.value)
	case "minimum", "exclusiveMinimum":
		s.minimum = numberOf(m.value, s.minimum)
	case "maximum", "exclusiveMaximum":
		s.maximum = numberOf(m.value, s.maximum)
	case "minItems":
		s.minItems = countOf(m.value)
	case "maxItems":
		s.maxItems = countOf(m.value)
	case "minLength":
		s.minLength = countOf(m.value)
	case "$ref":
		s.merge(r.read(r.resolve(stringOf(m.value)), depth+1))
	case "allOf":
		for _, part := range listOf(m.value) {
			s.merge(r.read(part, depth+1))
		}
	case "anyOf", "oneOf":
		// The first way that is not null.
		for _, part := range listOf(m.value) {
			if way := r.read(part, depth+1); way.kind != "null" {
				s.merge(way)
				return
			}
		}
	}
}

func (s *schema) require(names []string) {
	if s.required == nil {
		s.required = make(map[string]bool)
	}
	for _, name := range names {
		s.required[name] = true
	}
}

// merge adds what another schema says and this one does not.
func (s *schema) merge(other *schema) {
	if s.kind == "" {
		s.kind = other.kind
	}
	if s.format == "" {
		s.format = other.format
	}
	if s.items == nil {
		s.items = other.items
	}
	if s.enum == nil {
		s.enum = other.enum
	}
	if s.minimum == nil {
		s.minimum = other.minimum
	}
	if s.maximum == nil {
		s.maximum = other.maximum
	}
	s.minItems = max(s.minItems, other.minItems)
	if s.maxItems == 0 {
		s.maxItems = other.maxItems
	}
	s.minLength = max(s.minLength, other.minLength)
	known := make(map[string]bool)
	for _, p := range s.properties {
		known[p.name] = true
	}
	for _, p := range other.properties {
		if !known[p.name] {
			s.properties = append(s.properties, p)
		}
	}
	for name := range other.required {
		s.require([]string{name})
	}
}

// resolve follows a reference inside the same document (#/$defs/Address).
func (r *schemaReader) resolve(ref string) json.RawMessage {
	if known, ok := r.refs[ref]; ok {
		return known
	}
	path, inside := strings.CutPrefix(ref, "#")
	if !inside {
		return nil
	}
	at := r.root
	for step := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if step == "" {
			continue
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		members, _ := readObject(at)
		at = nil
		for _, m := range members {
			if m.name == step {
				at = m.value
			}
		}
	}
	r.refs[ref] = at
	return at
}

// typeOf reads a type, or of several the first that is not null.
func typeOf(raw json.RawMessage, otherwise string) string {
	if one := stringOf(raw); one != "" {
		return one
	}
	var several []string
	if json.Unmarshal(raw, &several) == nil {
		for _, one := range several {
			if one != "null" {
				return one
			}
		}
	}
	return otherwise
}

func numberOf(raw json.RawMessage, otherwise *float64) *float64 {
	var number float64
	if json.Unmarshal(raw, &number) != nil {
		return otherwise // a boolean exclusiveMinimum, as draft 4 has it
	}
	return &number
}

func countOf(raw json.RawMessage) int {
	var count int
	if json.Unmarshal(raw, &count) != nil || count < 0 {
		return 0
	}
	return count
}

func listOf(raw json.RawMessage) []json.RawMessage {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return list
}

// readObject reads a JSON object and keeps the order of its members.
func readObject(raw []byte) ([]member, bool) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	var members []member
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, false
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return nil, false
		}
		key, _ := name.(string)
		members = append(members, member{key, value})
	}
	_, err := dec.Token()
	return members, err == nil
}
