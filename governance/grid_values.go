package governance

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strings"
)

// gridBuilder turns landmarks into dimensions.
type gridBuilder struct {
	grid   *Grid
	schema *schemaNode
	values map[string]*landmark
	order  []string
	marks  []*landmarks
}

func (b *gridBuilder) add(m *landmarks) {
	if b.values == nil {
		b.values = map[string]*landmark{}
	}
	b.marks = append(b.marks, m)
	for _, key := range m.order {
		if b.values[key] == nil {
			b.values[key] = &landmark{path: m.values[key].path}
			b.order = append(b.order, key)
		}
		b.values[key].merge(m.values[key])
	}
}

func (l *landmark) merge(o *landmark) {
	l.numbers, l.sizes = addTo(l.numbers, o.numbers...), addTo(l.sizes, o.sizes...)
	l.texts, l.starts, l.ends = addText(l.texts, o.texts...), addText(l.starts, o.starts...), addText(l.ends, o.ends...)
	l.parts, l.patterns, l.hosts = addText(l.parts, o.parts...), addText(l.patterns, o.patterns...), addText(l.hosts, o.hosts...)
	l.folded, l.truth, l.optional = l.folded || o.folded, l.truth || o.truth, l.optional || o.optional
	l.said, l.list, l.rough, l.summed = l.said || o.said, l.list || o.list, l.rough || o.rough, l.summed || o.summed
	l.origins = addText(l.origins, o.origins...)
	if o.element != nil {
		l.elements().merge(o.element)
	}
}

func (b *gridBuilder) finish() {
	sort.Strings(b.order) // a shorter path before the longer ones
	for _, key := range b.order {
		b.value(b.values[key])
	}
	b.filled()
	b.facts()
}

func (b *gridBuilder) dimension(name string, phase int, settings []setting) {
	if len(settings) == 0 {
		return
	}
	settings[0].words = ""
	b.grid.dimensions = append(b.grid.dimensions, &dimension{name: name, phase: phase, settings: settings})
}

// value makes the dimension of an argument or a claim.
func (b *gridBuilder) value(l *landmark) {
	put, name := putArgument, strings.Join(l.path[1:], ".")
	var schema *schemaNode
	required := false
	if l.path[0] == "args" {
		schema = b.schema.at(l.path[1:])
		if parent := b.schema.at(l.path[1 : len(l.path)-1]); parent != nil {
			required = slices.Contains(parent.Required, l.path[len(l.path)-1])
		}
	} else {
		put, name = putClaim, strings.Join(l.path[2:], ".")+" of the requester"
	}
	var settings []setting
	have := map[string]bool{}
	say := func(v json.RawMessage, words string, odd bool) {
		if !have[string(v)] {
			have[string(v)] = true
			settings = append(settings, setting{key: string(v), words: name + " " + words, odd: odd, set: func(d *draft) { put(d, l.path, v) }})
		}
	}
	key := strings.Join(l.path, "\x00")
	if b.grid.kinds[key] == "" {
		b.grid.kinds[key] = l.kind(schema)
	}
	if kind := b.grid.kinds[key]; kind != "object" {
		l.write(kind, schema, say)
	} else {
		settings = append(settings, setting{key: "{}", set: func(d *draft) { put(d, l.path, map[string]any{}) }})
	}
	settings = append(settings, setting{key: "missing", words: "no " + name, odd: !l.optional && (schema == nil || required),
		set: func(d *draft) { put(d, l.path, absent{}) }})
	say(json.RawMessage("null"), "null", true)
	b.dimension(strings.Join(l.path, "."), 0, settings)
	if l.said {
		b.said(l, name)
	}
}

// kind of the value: the schema's word, else what the conditions hold it against.
func (l *landmark) kind(schema *schemaNode) string {
	if kind := schema.kind(); kind != "" {
		return kind
	}
	switch {
	case l.list:
		return "array"
	case len(l.texts)+len(l.starts)+len(l.ends)+len(l.parts)+len(l.patterns)+len(l.hosts) > 0:
		return "string"
	case len(l.numbers) > 0 || l.summed:
		return "number"
	case len(l.sizes) > 0:
		return "string"
	case l.truth:
		return "boolean"
	}
	return "string"
}

// write says the values of a kind: the ordinary first, wrong types last.
func (l *landmark) write(kind string, schema *schemaNode, say func(v json.RawMessage, words string, odd bool)) {
	switch kind {
	case "number", "integer":
		first := l.writeNumbers(kind == "integer", schema, say)
		say(mustJSON(string(first)), "written as text", true)
		for _, s := range l.texts {
			say(mustJSON(s), fmt.Sprintf("%q", s), false)
		}
	case "boolean":
		say(json.RawMessage("false"), "false", false)
		say(json.RawMessage("true"), "true", false)
		say(json.RawMessage(`"true"`), "written as text", true)
	case "array":
		l.writeLists(schema, say)
		say(json.RawMessage(`"text"`), "a text and no list", true)
	default:
		for _, s := range l.strings(schema) {
			words := fmt.Sprintf("%q", s)
			say(mustJSON(s), words, s == "")
		}
		for _, s := range slices.Concat(l.texts, l.starts) {
			if upper, lower := strings.ToUpper(s), strings.ToLower(s); upper != lower {
				other := lower
				if s == lower {
					other = upper
				}
				say(mustJSON(other), fmt.Sprintf("%q", other), !l.folded)
				break
			}
		}
		if len(l.numbers) > 0 {
			l.writeNumbers(false, nil, say)
		}
		say(json.RawMessage("7"), "written as a number", true)
	}
}

func (l *landmark) writeNumbers(integer bool, schema *schemaNode, say func(json.RawMessage, string, bool)) json.RawMessage {
	var list []*big.Rat
	exact := map[string]bool{}
	have := map[string]bool{}
	add := func(r *big.Rat) {
		if text := string(numberText(r)); !have[text] {
			have[text] = true
			list = append(list, r)
		}
	}
	for _, n := range l.numbers {
		r := rat(n)
		if r == nil {
			continue
		}
		exact[string(numberText(r))] = true
		s := step(r, integer)
		add(new(big.Rat).Sub(r, s))
		add(r)
		add(new(big.Rat).Add(r, s))
	}
	if schema != nil {
		for _, e := range schema.Enum {
			if f, ok := e.(float64); ok {
				add(rat(f))
			}
		}
	}
	if len(list) == 0 || l.rough {
		for _, n := range []int64{1, 0, 2, 1000} {
			add(rat(n))
		}
	}
	for _, r := range list {
		text := numberText(r)
		words := string(text)
		if exact[words] {
			words = "exactly " + words
		}
		say(text, words, false)
	}
	return numberText(list[0])
}

func (l *landmark) writeLists(schema *schemaNode, say func(json.RawMessage, string, bool)) {
	element := l.element
	if element == nil {
		element = &landmark{}
	}
	var items *schemaNode
	if schema != nil {
		items = schema.Items
	}
	var values []json.RawMessage
	element.write(element.kind(items), items, func(v json.RawMessage, _ string, odd bool) {
		if !odd && len(values) < 12 {
			values = append(values, v)
		}
	})
	if len(values) == 0 {
		values = []json.RawMessage{json.RawMessage(`"something"`)}
	}
	list := func(of ...json.RawMessage) json.RawMessage { return mustJSON(of) }
	say(list(values[len(values)-1]), "", false)
	for _, v := range values {
		say(list(v), "["+string(v)+"]", false)
	}
	if len(values) > 1 {
		say(list(values[0], values[len(values)-1]), "with two different elements", false)
	}
	for _, n := range l.sizes {
		size, ok := n.(int64)
		for _, k := range []int64{size - 1, size, size + 1} {
			if ok && k >= 0 && k <= maxElements {
				var of []json.RawMessage
				for range k {
					of = append(of, values[0])
				}
				if of == nil {
					of = []json.RawMessage{}
				}
				say(mustJSON(of), fmt.Sprintf("with %d elements", k), false)
			}
		}
	}
	say(json.RawMessage("[]"), "empty", false)
}

// strings lists texts on either side of every edge, an ordinary one first.
func (l *landmark) strings(schema *schemaNode) []string {
	var enum []string
	if schema != nil {
		for _, e := range schema.Enum {
			if s, ok := e.(string); ok {
				enum = append(enum, s)
			}
		}
	}
	host := "example.com"
	for slices.Contains(l.hosts, host) {
		host = "other." + host
	}
	other := "something else"
	switch {
	case len(l.hosts) > 0 || schema != nil && schema.Format == "email":
		other = "someone@" + host
	case schema != nil && schema.Format == "date":
		other = "2026-01-01"
	case len(l.texts) > 0 && len(l.texts[0]) > 0 && len(l.texts[0]) <= 3 && l.texts[0] == strings.ToUpper(l.texts[0]):
		other = "XYZ"[:len(l.texts[0])]
	}
	for slices.Contains(l.texts, other) {
		other += " again"
	}
	list := []string{other}
	for _, e := range enum {
		if !slices.Contains(l.texts, e) {
			list = append([]string{e}, list...)
			break
		}
	}
	list = addText(list, l.texts...)
	list = addText(list, enum...)
	for _, s := range l.starts {
		list = addText(list, s+"x", "x"+s)
	}
	for _, s := range l.ends {
		list = addText(list, "x"+s, s+"x")
	}
	for _, s := range l.parts {
		list = addText(list, "x"+s+"x")
	}
	for _, h := range l.hosts {
		list = addText(list, "someone@"+h)
	}
	for _, p := range l.patterns {
		if s, ok := sampleOf(p); ok {
			list = addText(list, s)
		}
	}
	for _, n := range l.sizes {
		size, ok := n.(int64)
		for _, k := range []int64{size - 1, size, size + 1} {
			if ok && k >= 0 && k <= maxText {
				list = addText(list, strings.Repeat("x", int(k)))
			}
		}
	}
	return addText(list, "")
}

// Sizes beyond these are not tried.
const (
	maxElements = 200
	maxText     = 8192
)

// large: a size is held against more than what is tried.
func (l *landmark) large() bool {
	most := int64(maxText)
	if l.list {
		most = maxElements
	}
	return slices.ContainsFunc(l.sizes, func(v any) bool { n, ok := v.(int64); return !ok || n >= most })
}

// said varies whether the requester wrote the value of an argument.
func (b *gridBuilder) said(l *landmark, name string) {
	path := l.path
	words := func(d *draft) string {
		switch v := get(d.args, path[1:]).(type) {
		case json.RawMessage:
			var list []any
			if json.Unmarshal(v, &list) == nil {
				var parts []string
				for _, e := range list {
					parts = append(parts, showValue(e))
				}
				return strings.Join(parts, " ")
			}
			var text string
			if json.Unmarshal(v, &text) == nil {
				return text
			}
			return string(v)
		}
		return ""
	}
	settings := []setting{
		{key: "yes", set: func(d *draft) { d.facts.UserTexts = append(d.facts.UserTexts, "It is "+words(d)+" .") }},
		{key: "no", words: name + " not in the requester's words", set: func(*draft) {}},
	}
	for _, o := range l.origins {
		from, tool, ok := strings.Cut(o, ":")
		if !ok || from != "tool" && from != "claimed" {
			continue
		}
		settings = append(settings, setting{key: o, words: name + " from a result of " + tool, set: func(d *draft) {
			d.facts.Results = append(d.facts.Results, ToolResult{CallID: "call_" + tool, Name: tool, Text: words(d), Claimed: from == "claimed"})
			d.facts.ToolMessages = true
		}})
	}
	b.dimension("said "+name, 1, settings)
}

// filled sets what the schema requires and no condition reads.
func (b *gridBuilder) filled() {
	if b.schema == nil {
		return
	}
	for _, name := range b.schema.Required {
		read := slices.ContainsFunc(b.order, func(key string) bool {
			return strings.HasPrefix(key+"\x00", "args\x00"+name+"\x00")
		})
		if read {
			continue
		}
		path, schema := []string{"args", name}, b.schema.Properties[name]
		value := json.RawMessage(`"some ` + strings.NewReplacer(`"`, "", `\`, "").Replace(name) + `"`)
		switch kind := schema.kind(); {
		case schema != nil && len(schema.Enum) > 0:
			value = mustJSON(schema.Enum[0])
		case kind == "number" || kind == "integer":
			value = json.RawMessage("1")
		case kind == "boolean":
			value = json.RawMessage("false")
		case kind == "array":
			value = json.RawMessage("[]")
		case kind == "object":
			value = json.RawMessage("{}")
		}
		b.dimension("fill "+name, 0, []setting{{key: "fill", set: func(d *draft) { putArgument(d, path, value) }}})
	}
}
