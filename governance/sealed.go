package governance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Sealed holds the calls of one reply in the bytes the model sent. It is
// write-only for everybody outside this package: bytes come out through a
// Release alone, and only a committed decision makes one.
//
// Two things are kept. A piece is a stretch of the reply that carries call
// bytes (a stream frame, or the value of a message's tool_calls) and leaves
// whole or not at all. A call is the same call on its own, put together from
// its fragments, for judging, for holding and for leaving alone.
type Sealed struct {
	pieces []piece
	calls  []*SealedCall
	size   int64
	writes int // of pieces and calls, see written
}

type piece struct {
	raw     []byte
	choices []int
	runs    []run // what came behind raw, see Extend
}

// SealedCall is one call under construction.
type SealedCall struct {
	choice    int
	form      Form
	outer     []member // members of the call object, the container among them
	inner     []member // members of `function` or `custom`
	container string   // name of the container, "" for function_call
	payload   string   // name of the argument member: arguments or input
	whole     []byte   // all members as they came, when the call came in one
	truncated bool
	malformed string
	writes    int
}

type member struct {
	name  string
	value []byte // raw JSON; for the payload the characters between the quotes
	parts bool   // the payload
}

// Piece keeps a stretch of the reply that carries call bytes of these choices
// and answers its number, counted from 0. The bytes are copied.
func (s *Sealed) Piece(raw []byte, choices ...int) int {
	s.writes++
	s.size += int64(len(raw))
	s.pieces = append(s.pieces, piece{raw: bytes.Clone(raw), choices: slices.Clone(choices)})
	return len(s.pieces) - 1
}

// Extend appends to the last piece what came right after it and belongs to the same choices: a casting of the mould with
// these strings in its gaps. The strings are copied.
func (s *Sealed) Extend(m *Mould, strings ...[]byte) {
	s.writes++
	last := &s.pieces[len(s.pieces)-1]
	if n := len(last.runs); n == 0 || last.runs[n-1].mould != m {
		last.runs = append(last.runs, run{mould: m})
	}
	s.size += last.runs[len(last.runs)-1].add(strings)
}

// Size is the number of bytes kept so far.
func (s *Sealed) Size() int64 { return s.size }

// Format keeps the bytes out of logs, whatever the verb.
func (s *Sealed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "governance.Sealed") }

// written is how often something was written: where it is what it was, everything is.
func (s *Sealed) written() int {
	n := s.writes
	for _, c := range s.calls {
		n += c.writes
	}
	return n
}

// Empty says that nothing was kept.
func (s *Sealed) Empty() bool { return len(s.pieces) == 0 && len(s.calls) == 0 }

// Start begins a call of a choice.
func (s *Sealed) Start(choice int, form Form) *SealedCall {
	s.writes++
	c := &SealedCall{choice: choice, form: form}
	switch form {
	case FormCustom:
		c.container, c.payload = "custom", "input"
	case FormLegacy:
		c.payload = "arguments"
	default:
		c.container, c.payload = "function", "arguments"
	}
	s.calls = append(s.calls, c)
	return c
}

// Member adds a member of the call object. A later value that says something
// replaces an earlier one; the place in the order stays.
func (c *SealedCall) Member(name string, value []byte) {
	c.writes++
	put(&c.outer, name, value)
}

// Inner adds a member of the call's container other than its arguments. Two
// different names for one call make it malformed: clients would not agree on
// what was called.
func (c *SealedCall) Inner(name string, value []byte) {
	c.writes++
	list := &c.inner
	if c.container != "" {
		c.Container()
	}
	if name == "name" {
		if old := find(*list, name); old != nil && says(old.value) && says(value) && !bytes.Equal(old.value, value) {
			c.malformed = "the model gave two names to one call"
			return
		}
	}
	put(list, name, value)
}

// Container notes the place of the container among the members.
func (c *SealedCall) Container() {
	c.writes++
	if find(c.outer, c.container) == nil {
		c.outer = append(c.outer, member{name: c.container})
	}
}

// Argument appends argument characters as they stand between the quotes.
func (c *SealedCall) Argument(characters []byte) {
	c.writes++
	if c.container != "" {
		c.Container()
	}
	m := find(c.inner, c.payload)
	if m == nil {
		c.inner = append(c.inner, member{name: c.payload, parts: true})
		m = &c.inner[len(c.inner)-1]
	}
	m.parts = true
	m.value = append(m.value, characters...)
}

// Whole keeps the members of a call that came in one, exactly as they stand
// between the braces; for judging, its parts are still to be added.
func (c *SealedCall) Whole(members []byte) {
	c.writes++
	c.whole = bytes.Clone(members)
}

// Truncate marks a call that the model did not finish.
func (c *SealedCall) Truncate() {
	c.writes++
	c.truncated = true
}

// Malform marks a call whose shape clients would not agree on.
func (c *SealedCall) Malform(why string) {
	c.writes++
	c.malformed = why
}

// ID is the call's id so far, "" when it has none.
func (c *SealedCall) ID() string { return unquoted(c.outer, "id") }

// HasName says whether the call's name is known.
func (c *SealedCall) HasName() bool { return unquoted(c.inner, "name") != "" }

// Form is how the call began.
func (c *SealedCall) Form() Form { return c.form }

// Names are the names of the calls, as Calls gives them.
func (s *Sealed) Names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, c := range s.calls {
			if !yield(unquoted(c.inner, "name")) {
				return
			}
		}
	}
}

// Calls are copies for judging, decoded from the very characters that a
// release would send.
func (s *Sealed) Calls() []Call {
	calls := make([]Call, 0, len(s.calls))
	seen := map[int]int{}
	for _, c := range s.calls {
		call := Call{ID: c.ID(), Name: unquoted(c.inner, "name"), Form: c.form, Choice: c.choice,
			Index: seen[c.choice], Truncated: c.truncated, Malformed: c.malformed}
		seen[c.choice]++
		if m := find(c.inner, c.payload); m != nil {
			text, err := unquote(quoted(m.value))
			if err != nil && call.Malformed == "" {
				call.Malformed = "the argument characters are not a JSON string"
			}
			call.Arguments = text
		}
		if call.Malformed == "" && !c.wholeSays(call) {
			call.Malformed = "the call says other things to other readers"
		}
		calls = append(calls, call)
	}
	return calls
}

// members is the call as an object's members, without braces and index.
func (c *SealedCall) members() []byte {
	if c.whole != nil {
		return c.whole
	}
	inner := object(c.inner)
	if c.container == "" {
		return inner
	}
	out := slices.Clone(c.outer)
	if m := find(out, "type"); m == nil || !says(m.value) {
		// Clients need the type of a call that comes whole; many models leave it
		// out of their fragments.
		out = slices.DeleteFunc(out, func(m member) bool { return m.name == "type" })
		out = slices.Insert(out, 0, member{name: "type", value: []byte(`"` + c.container + `"`)})
	}
	for i := range out {
		if out[i].name == c.container {
			out[i].value = slices.Concat([]byte("{"), inner, []byte("}"))
		}
	}
	return object(out)
}

// wholeSays says whether the members that a release would send mean the call that
// is judged, to a strict reader. Members put together from parts mean what their
// parts say.
func (c *SealedCall) wholeSays(call Call) bool {
	if c.whole == nil {
		return true
	}
	type payload struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
		Input     string `json:"input"`
	}
	var read struct {
		ID       string   `json:"id"`
		Function *payload `json:"function"`
		Custom   *payload `json:"custom"`
		payload  `json:",inline"`
	}
	text := slices.Concat([]byte("{"), c.whole, []byte("}"))
	if jsonv2.Unmarshal(text, &read, jsontext.AllowInvalidUTF8(true)) != nil {
		return false
	}
	said := &read.payload
	switch c.form {
	case FormCustom:
		said = read.Custom
	case FormFunction:
		said = read.Function
	}
	if said == nil {
		return call.Name == "" && call.Arguments == ""
	}
	arguments := said.Arguments
	if c.form == FormCustom {
		arguments = said.Input
	}
	return read.ID == call.ID && said.Name == call.Name && arguments == call.Arguments
}

func object(list []member) []byte {
	var b []byte
	for i, m := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendName(b, m.name), ':')
		if m.parts {
			b = append(b, quoted(m.value)...)
		} else {
			b = append(b, m.value...)
		}
	}
	return b
}

// appendName appends a member's name as a JSON string.
func appendName(b []byte, name string) []byte {
	at := len(b)
	b = append(append(append(b, '"'), name...), '"')
	if isPlain(b[at:]) {
		return b
	}
	escaped, _ := json.Marshal(name)
	return append(b[:at], escaped...)
}

func put(list *[]member, name string, value []byte) {
	if m := find(*list, name); m != nil {
		if says(value) {
			m.value = bytes.Clone(value)
		}
		return
	}
	*list = append(*list, member{name: name, value: bytes.Clone(value)})
}

func find(list []member, name string) *member {
	for i := range list {
		if list[i].name == name {
			return &list[i]
		}
	}
	return nil
}

// says tells a value that carries something from null and the empty string.
func says(value []byte) bool {
	return len(value) > 0 && !bytes.Equal(value, []byte("null")) && !bytes.Equal(value, []byte(`""`))
}

func quoted(characters []byte) []byte {
	return slices.Concat([]byte{'"'}, characters, []byte{'"'})
}

func unquoted(list []member, name string) string {
	m := find(list, name)
	if m == nil || !says(m.value) {
		return ""
	}
	s, _ := unquote(m.value)
	return s
}

func unquote(raw []byte) (s string, err error) {
	if isPlain(raw) {
		return string(raw[1 : len(raw)-1]), nil
	}
	return decoded(raw)
}

// decoded is apart so that nothing but a string with escapes costs the room that a decoder wants.
func decoded(raw []byte) (s string, err error) {
	err = json.Unmarshal(raw, &s)
	return s, err
}

// isPlain says that a JSON string is one, and stands for the very characters between its quotes: visible ASCII without
// quotes, escapes and what is escaped for HTML.
func isPlain(raw []byte) bool {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return false
	}
	for _, c := range raw[1 : len(raw)-1] {
		switch {
		case c < ' ' || c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}
