package governance

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strings"
	"time"
)

// schemaNode is what a grid wants to know of a JSON Schema.
type schemaNode struct {
	Type       any                    `json:"type"`
	Enum       []any                  `json:"enum"`
	Format     string                 `json:"format"`
	Properties map[string]*schemaNode `json:"properties"`
	Items      *schemaNode            `json:"items"`
	Required   []string               `json:"required"`
}

func readSchemaText(text []byte) *schemaNode {
	var s schemaNode
	if len(text) == 0 || json.Unmarshal(text, &s) != nil {
		return nil
	}
	return &s
}

func (s *schemaNode) at(path []string) *schemaNode {
	for _, name := range path {
		if s == nil {
			return nil
		}
		s = s.Properties[name]
	}
	return s
}

// kind is the one type that the schema allows beside null, "" if it does not say.
func (s *schemaNode) kind() string {
	if s == nil {
		return ""
	}
	switch t := s.Type.(type) {
	case string:
		return t
	case []any:
		kind := ""
		for _, n := range t {
			if name, _ := n.(string); name != "null" && name != "" {
				if kind != "" {
					return ""
				}
				kind = name
			}
		}
		return kind
	}
	if s.Properties != nil {
		return "object"
	}
	return ""
}

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

// facts are the dimensions of what stands around the call.
func (b *gridBuilder) facts() {
	var roles, ids, domains, workspaces []string
	var minutes []minuteMark
	var days []dayMark
	var turns, index, count []any
	confirmed := false
	for _, m := range b.marks {
		roles, ids, domains, workspaces = addText(roles, m.roles...), addText(ids, m.ids...), addText(domains, m.domains...), addText(workspaces, m.workspaces...)
		minutes, days = addTo(minutes, m.minutes...), addTo(days, m.days...)
		turns, index, count = addTo(turns, m.turns...), addTo(index, m.index...), addTo(count, m.count...)
		confirmed = confirmed || m.confirmed
	}
	if len(roles) > 0 {
		settings := []setting{{key: "none", set: func(*draft) {}}}
		for _, r := range roles {
			settings = append(settings, setting{key: r, words: "a requester with the role " + r, set: func(d *draft) { d.facts.Requester.Roles = []string{r} }})
		}
		b.dimension("roles", 1, settings)
	}
	b.texts("requester", ids, "the requester ", "key_check", func(d *draft, s string) { d.facts.Requester.ID = s })
	b.texts("workspace", workspaces, "the workspace ", "default", func(d *draft, s string) { d.facts.Workspace = s })
	if len(domains) > 0 {
		// A policy of a domain speaks of nothing else: that one is the ordinary.
		settings := []setting{}
		for _, s := range append(slices.Clone(domains), "") {
			words := "the domain " + s
			if s == "" {
				words = "no domain"
			}
			settings = append(settings, setting{key: s, words: words, odd: s == "", set: func(d *draft) { d.facts.Domain = s }})
		}
		b.dimension("domain", 1, settings)
	}
	if confirmed {
		b.dimension("confirmed", 1, []setting{{key: "no", set: func(*draft) {}},
			{key: "yes", words: "after the requester said yes", set: func(d *draft) { d.facts.Confirmed = true }}})
	}
	b.whole("turns", turns, 1, "the requester's messages", func(d *draft, n int) { d.facts.Turns = n })
	b.whole("count", append(index, count...), 1, "calls in the turn", func(d *draft, n int) {
		for i := range min(n-1, 64) {
			d.before = append(d.before, Call{ID: fmt.Sprintf("call_before_%d", i+1), Name: "another_tool", Form: FormFunction, Arguments: "{}"})
		}
		d.facts.Tools["another_tool"] = Tool{Type: "function", Name: "another_tool"}
	})
	b.calls()
	b.times(minutes, days)
	b.meters()
}

func (b *gridBuilder) texts(name string, list []string, words, usual string, set func(*draft, string)) {
	if len(list) == 0 {
		return
	}
	settings := []setting{{key: "usual", set: func(d *draft) { set(d, usual) }}}
	for _, s := range list {
		settings = append(settings, setting{key: "=" + s, words: words + s, set: func(d *draft) { set(d, s) }})
	}
	b.dimension(name, 1, settings)
}

func (b *gridBuilder) whole(name string, list []any, least int, words string, set func(*draft, int)) {
	if len(list) == 0 {
		return
	}
	var numbers []int
	for _, v := range list {
		if n, ok := v.(int64); ok && n < 10_000 {
			numbers = addTo(numbers, max(least, int(n)-1), max(least, int(n)), max(least, int(n)+1))
		}
	}
	var settings []setting
	for _, n := range numbers {
		settings = append(settings, setting{key: fmt.Sprint(n), words: fmt.Sprintf("%s: %d", words, n), set: func(d *draft) { set(d, n) }})
	}
	b.dimension(name, 1, settings)
}

// calls varies which tools were called before.
func (b *gridBuilder) calls() {
	var marks []calledMark
	for _, m := range b.marks {
		for _, c := range m.called {
			if i := slices.IndexFunc(marks, func(o calledMark) bool { return o.tool == c.tool }); i < 0 {
				marks = append(marks, c)
			} else if len(marks[i].args) < len(c.args) {
				marks[i] = c
			}
		}
	}
	for _, c := range marks {
		add := func(d *draft, args map[string]any) {
			text, _ := json.Marshal(args)
			d.facts.Released = append(d.facts.Released, Released{ID: "call_" + c.tool, Name: c.tool, Arguments: string(text), At: exampleTime.Add(-time.Hour)})
		}
		settings := []setting{{key: "no", set: func(*draft) {}}, {key: "yes", words: "after " + c.tool, set: func(d *draft) {
			args := map[string]any{}
			for _, a := range c.args {
				args[a.name] = a.value
				if a.path != nil {
					if args[a.name] = get(d.args, a.path[1:]); args[a.name] == nil {
						delete(args, a.name)
					}
				}
			}
			add(d, args)
		}}}
		if len(c.args) > 0 {
			settings = append(settings, setting{key: "other", words: "after " + c.tool + " with other arguments", set: func(d *draft) {
				args := map[string]any{}
				for _, a := range c.args {
					args[a.name] = "something different"
				}
				add(d, args)
			}})
		}
		b.dimension("called "+c.tool, 1, settings)
	}
}

// maxInstants bounds the moments that a grid tries.
const maxInstants = 64

// times varies the moment: before and at each hour, on each day named and another.
func (b *gridBuilder) times(minutes []minuteMark, days []dayMark) {
	if len(minutes)+len(days) == 0 {
		return
	}
	zoneName := "UTC"
	if len(minutes) > 0 {
		zoneName = minutes[0].zone
	} else {
		zoneName = days[0].zone
	}
	var offsets []int // days from the ordinary Thursday
	if len(days) == 0 {
		offsets = []int{0}
	} else {
		named := map[string]bool{}
		for _, d := range days {
			named[d.day] = true
		}
		another := false
		for n := range 7 {
			day := strings.ToLower(exampleTime.AddDate(0, 0, n).Weekday().String())
			switch {
			case named[day]:
				offsets = append(offsets, n)
			case !another:
				another = true
				offsets = append([]int{n}, offsets...)
			}
		}
	}
	type instant struct {
		zone   string
		minute int
	}
	instants := []instant{{zoneName, 12 * 60}}
	for _, m := range minutes {
		at := m.minute % (24 * 60)
		instants = addTo(instants, instant{m.zone, (at + 24*60 - 1) % (24 * 60)}, instant{m.zone, at})
	}
	var settings []setting
	for _, offset := range offsets {
		for _, i := range instants {
			zone, err := time.LoadLocation(i.zone)
			if err != nil || len(settings) == maxInstants {
				continue
			}
			day := exampleTime.AddDate(0, 0, offset)
			at := time.Date(day.Year(), day.Month(), day.Day(), i.minute/60, i.minute%60, 0, 0, zone)
			settings = append(settings, setting{key: at.UTC().Format(time.RFC3339), words: fmt.Sprintf("on a %s at %02d:%02d in %s", at.Weekday(), i.minute/60, i.minute%60, i.zone),
				set: func(d *draft) { d.facts.Now = at.UTC() }})
		}
	}
	b.dimension("time", 1, settings)
}

// absent stands where a value is missing, so that nothing below it makes it again.
type absent struct{}

// putArgument sets a value of the arguments, making the objects that it is in.
func putArgument(d *draft, path []string, v any) { putIn(d.args, path[1:], v) }

func putClaim(d *draft, path []string, v any) {
	if d.facts.Requester.Claims == nil {
		d.facts.Requester.Claims = map[string]any{}
	}
	if text, ok := v.(json.RawMessage); ok {
		v = claimValue(text)
	}
	if _, missing := v.(absent); !missing {
		putIn(d.facts.Requester.Claims, path[2:], v)
	}
}

func claimValue(text json.RawMessage) (value any) {
	if json.Unmarshal(text, &value) != nil {
		return nil
	}
	if _, ok := value.(float64); ok {
		return exactNumber(string(text))
	}
	return value
}

func putIn(at map[string]any, path []string, v any) {
	for _, name := range path[:len(path)-1] {
		inner, ok := at[name].(map[string]any)
		if !ok {
			if at[name] != nil {
				return // something odd was put there, or it is missing: it has no members
			}
			inner = map[string]any{}
			at[name] = inner
		}
		at = inner
	}
	at[path[len(path)-1]] = v
}

func get(at map[string]any, path []string) any {
	var v any = at
	for _, name := range path {
		inner, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = inner[name]
	}
	if _, missing := v.(absent); missing {
		return nil
	}
	return v
}

// withoutAbsent takes away what is marked as missing.
func withoutAbsent(at map[string]any) map[string]any {
	for name, v := range at {
		switch v := v.(type) {
		case absent:
			delete(at, name)
		case map[string]any:
			withoutAbsent(v)
		}
	}
	return at
}
