package backend

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// fillArguments writes the arguments of a call, in the order of the schema.
// An optional argument without evidence in the message is left out; a required
// one gets the value of last resort (see lastResort).
//
// With a clause, what that clause says comes first; the rest of the message
// counts only where it names the argument.
func fillArguments(s *schema, said words, clause int) string {
	f := filler{said: said, clause: clause, used: make([]bool, len(said.list))}
	value, _ := f.object(s, 0)
	return string(value)
}

// hasEvidence tells whether the message gives any argument its value. The
// message as a whole is no evidence.
func hasEvidence(s *schema, said words) bool {
	f := filler{said: said, clause: everything, used: make([]bool, len(said.list)), strict: true}
	_, found := f.object(s, 0)
	return found
}

// filler fills one call. A word of the message is used once.
type filler struct {
	said   words
	clause int
	used   []bool
	strict bool // the whole message is not taken for a value
}

// match is a word, or a run of words, that may be the value of an argument.
type match struct {
	argument, from, to int // to is behind the last word
	score              int
	value              json.RawMessage
}

func (f *filler) object(s *schema, depth int) (json.RawMessage, bool) {
	values := make([]json.RawMessage, len(s.properties))
	found := false
	// First what a word says of itself (true, an enum's value), then the words
	// that fit best, then lists, texts and what is nested.
	for i, p := range s.properties {
		values[i] = f.literal(p)
	}
	f.assign(s, values, 2)
	for i, p := range s.properties {
		if values[i] != nil {
			continue
		}
		switch {
		case p.schema.kind == "array":
			values[i] = f.array(p)
		case p.schema.kind == "object" && depth < schemaDepth:
			if value, evident := f.object(p.schema, depth+1); evident {
				values[i] = value
			}
		case p.schema.kind == "string" || p.schema.kind == "":
			values[i] = f.text(p)
		}
	}
	for _, value := range values {
		found = found || value != nil
	}
	f.assignRequired(s, values)
	var out strings.Builder
	out.WriteByte('{')
	for i, p := range s.properties {
		value := values[i]
		if value == nil {
			if !s.required[p.name] {
				continue
			}
			value = lastResort(p.schema, 0)
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		out.Write(encode(p.name))
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return json.RawMessage(out.String()), found
}

// literal finds the values that the schema itself spells out: an enum's, and
// true for a boolean that is mentioned, false if it is declined.
func (f *filler) literal(p property) json.RawMessage {
	if len(p.schema.enum) > 0 {
		return f.enum(p)
	}
	if p.schema.kind != "boolean" {
		return nil
	}
	for _, name := range significant(p.name) {
		for i, w := range f.said.list {
			if w.kind == plainWord && alike(w.stem, name) {
				return json.RawMessage(strconv.FormatBool(!refused(f.said, i) && !declined(f.said, i)))
			}
		}
	}
	return nil
}

// declined: "no receipt".
func declined(said words, at int) bool {
	return at > 0 && lower(said.list[at-1].value) == "no"
}

func (f *filler) enum(p property) json.RawMessage {
	var best json.RawMessage
	longest := 0
	for _, value := range p.schema.enum {
		stems := nameStems(strings.Trim(string(value), `"`))
		if len(stems) > longest && f.says(stems) {
			best, longest = value, len(stems)
		}
	}
	return best
}

// says tells whether these words stand in the message one after the other.
func (f *filler) says(stems []string) bool {
	if len(stems) == 0 {
		return false
	}
	for i := range f.said.list {
		if i+len(stems) > len(f.said.list) {
			return false
		}
		all := true
		for k, s := range stems {
			w := f.said.list[i+k]
			all = all && (alike(w.stem, s) || lower(w.value) == s)
		}
		if all && !refused(f.said, i) {
			return true
		}
	}
	return false
}

// assign gives the words to the arguments that they fit best; each word and
// each argument once. Fits below least do not count.
func (f *filler) assign(s *schema, values []json.RawMessage, least int) {
	var fits []match
	for i, p := range s.properties {
		if values[i] != nil || len(p.schema.enum) > 0 {
			continue
		}
		for at := range f.said.list {
			if m := f.fit(p, at); m.score >= least && !f.taken(m) {
				m.argument = i
				fits = append(fits, m)
			}
		}
	}
	slices.SortStableFunc(fits, func(a, b match) int { return b.score - a.score })
	for _, m := range fits {
		if values[m.argument] == nil && !f.taken(m) {
			values[m.argument] = m.value
			f.take(m)
		}
	}
}

// assignRequired gives what words are left to required arguments, however badly they fit.
func (f *filler) assignRequired(s *schema, values []json.RawMessage) {
	need := &schema{properties: slices.Clone(s.properties)}
	open := slices.Clone(values)
	for i, p := range s.properties {
		if !s.required[p.name] && open[i] == nil {
			open[i] = json.RawMessage("null") // not to be filled
		}
	}
	f.assign(need, open, 1)
	for i, p := range s.properties {
		if s.required[p.name] {
			values[i] = open[i]
		}
	}
}

func (f *filler) taken(m match) bool { return slices.Contains(f.used[m.from:m.to], true) }

func (f *filler) take(m match) {
	for i := m.from; i < m.to; i++ {
		f.used[i] = true
	}
}

// array collects the values of a list: those after the argument's own word if
// it is there ("orders 1, 2 and 3"), else all that are of the right kind.
func (f *filler) array(p property) json.RawMessage {
	item := p.schema.items
	if item == nil {
		item = &schema{kind: "string"}
	}
	one := property{name: p.name, schema: item}
	var values []string
	for _, value := range item.enum { // nothing else may stand in it
		if f.says(nameStems(strings.Trim(string(value), `"`))) {
			values = append(values, string(value))
		}
	}
	for at := range f.said.list {
		if len(item.enum) > 0 {
			break
		}
		m := f.fit(one, at)
		if m.score < 2 || f.taken(m) {
			continue
		}
		f.take(m)
		values = append(values, string(m.value))
	}
	if len(values) == 0 {
		return nil
	}
	if most := p.schema.maxItems; most > 0 && len(values) > most {
		values = values[:most]
	}
	for len(values) < min(p.schema.minItems, itemsLimit) {
		values = append(values, string(lastResort(item, 0)))
	}
	return json.RawMessage("[" + strings.Join(values, ",") + "]")
}

// itemsLimit is how far a list is filled up to a schema's minItems.
const itemsLimit = 16

// lastResort is the value of a required argument that the message says nothing
// about: the first of an enum; else "unknown", 0 (or the nearest allowed number),
// false, [], {} with its own required members, null; in a format that has to be
// kept, a value that is plainly nobody's: 1970-01-01, unknown@example.invalid.
func lastResort(s *schema, depth int) json.RawMessage {
	if len(s.enum) > 0 {
		return s.enum[0]
	}
	if depth > schemaDepth {
		return json.RawMessage("null")
	}
	switch s.kind {
	case "number", "integer":
		value := 0.0
		if s.minimum != nil && value < *s.minimum {
			value = *s.minimum
		}
		if s.maximum != nil && value > *s.maximum {
			value = *s.maximum
		}
		return encode(value)
	case "boolean":
		return json.RawMessage("false")
	case "null":
		return json.RawMessage("null")
	case "array":
		item := json.RawMessage("null")
		if s.items != nil {
			item = lastResort(s.items, depth+1)
		}
		list := make([]json.RawMessage, min(s.minItems, itemsLimit))
		for i := range list {
			list[i] = item
		}
		return encode(list)
	case "object":
		var parts []string
		for _, p := range s.properties {
			if s.required[p.name] {
				parts = append(parts, fmt.Sprintf("%s:%s", encode(p.name), lastResort(p.schema, depth+1)))
			}
		}
		return json.RawMessage("{" + strings.Join(parts, ",") + "}")
	}
	value, known := nobodys[s.format]
	if !known {
		value = "unknown"
	}
	if missing := s.minLength - len(value); missing > 0 && missing < 4096 {
		value += strings.Repeat("-", missing)
	}
	return encode(value)
}

var nobodys = map[string]string{
	"date": "1970-01-01", "date-time": "1970-01-01T00:00:00Z", "time": "00:00:00Z",
	"email": "unknown@example.invalid", "uri": "https://example.invalid/", "url": "https://example.invalid/",
	"uuid": "00000000-0000-0000-0000-000000000000", "ipv4": "192.0.2.0", "hostname": "example.invalid",
}
