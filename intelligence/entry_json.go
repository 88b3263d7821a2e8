package intelligence

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// appendEntries writes traces as JSON. What is read back is what encoding/json would
// have written; it does not go through the fields by reflection, because of all that
// a stored trace costs that would be a fifth.
func appendEntries(b []byte, list []*Entry) []byte {
	o := object{b: append(b, '[')}
	for i, e := range list {
		o.element(i)
		o.entry(e)
	}
	return append(o.b, ']')
}

func (o *object) entry(e *Entry) {
	o.begin()
	o.text("id", e.ID)
	o.text("method", e.Method)
	o.text("path", e.Path)
	o.text("key", e.Key)
	o.text("domain", e.Domain)
	o.text("conversation", e.Conversation)
	o.name("started")
	o.b = append(e.Started.AppendFormat(append(o.b, '"'), time.RFC3339Nano), '"')
	o.number("took", e.Took)
	o.number("status", int64(e.Status))
	o.text("code", e.Code)
	o.text("gate", e.Gate)
	o.truth("stream", e.Stream)
	o.text("w3c", e.W3C)
	o.number("tools", int64(e.Tools))
	o.truth("judged", e.Judged)
	each(o, "calls", e.Calls, (*object).call)
	o.number("more", int64(e.More))
	each(o, "gaps", e.Gaps, (*object).gap)
	o.text("answer", e.Answer)
	o.number("waited", e.Waited)
	each(o, "models", e.Models, (*object).model)
	each(o, "stages", e.Stages, (*object).stage)
	if n := e.Next; n != nil {
		o.name("next")
		o.begin()
		o.text("type", n.Type)
		o.text("label", n.Label)
		o.text("endpoint", n.Endpoint)
		o.text("reason", n.Reason)
		o.end()
	}
	o.end()
}

func (o *object) call(c *Call) {
	o.text("tool", c.Tool)
	o.truth("offered", c.Offered)
	o.text("verdict", c.Verdict)
	o.text("decision", c.Decision)
	o.text("went", c.Went)
	o.text("reason", c.Reason)
	o.text("policy", c.Policy)
	o.text("version", c.Version)
	o.text("rule", c.Rule)
	o.number("line", int64(c.Line))
	if f := c.Confidence; f != 0 && !math.IsNaN(f) && !math.IsInf(f, 0) {
		o.name("confidence")
		o.b = strconv.AppendFloat(o.b, f, 'g', -1, 64)
	}
	o.text("missing", c.Missing)
	o.text("supplier", c.Supplier)
	o.truth("gap", c.Gap)
	o.text("escalation", c.Escalation)
	each(o, "arguments", c.Arguments, (*object).argument)
}

func (o *object) argument(a *Argument) {
	o.text("name", a.Name)
	o.text("kind", a.Kind)
}

func (o *object) gap(g *Gap) {
	o.text("tool", g.Tool)
	o.text("fact", g.Fact)
	o.text("supplied_by", g.Supplier)
	o.text("reason", g.Reason)
	o.truth("blocking", g.Blocking)
}

func (o *object) model(m *ModelCall) {
	o.text("model", m.Model)
	o.number("took", m.Took)
	o.number("input", m.Input)
	o.number("output", m.Output)
	o.text("code", m.Code)
	o.text("asked", m.Asked)
}

func (o *object) stage(s *Stage) {
	o.text("name", s.Name)
	o.text("status", s.Status)
	o.number("at", s.At)
	o.number("took", s.Took)
	o.text("detail", s.Detail)
}

// object writes members; those with a zero value are left out.
type object struct {
	b    []byte
	more bool // a member stands before
}

func (o *object) begin() { o.b, o.more = append(o.b, '{'), false }
func (o *object) end()   { o.b, o.more = append(o.b, '}'), true }

func (o *object) element(i int) {
	if i > 0 {
		o.b = append(o.b, ',')
	}
}

// each writes a member that is a list of objects.
func each[T any](o *object, name string, list []T, members func(*object, *T)) {
	if len(list) == 0 {
		return
	}
	o.name(name)
	o.b = append(o.b, '[')
	for i := range list {
		o.element(i)
		o.begin()
		members(o, &list[i])
		o.end()
	}
	o.b = append(o.b, ']')
}

func (o *object) name(name string) {
	if o.more {
		o.b = append(o.b, ',')
	}
	o.more = true
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
}

func (o *object) number(name string, n int64) {
	if n != 0 {
		o.name(name)
		o.b = strconv.AppendInt(o.b, n, 10)
	}
}

func (o *object) truth(name string, is bool) {
	if is {
		o.name(name)
		o.b = append(o.b, "true"...)
	}
}

func (o *object) text(name, s string) {
	if s == "" {
		return
	}
	o.name(name)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			escaped, _ := json.Marshal(s) // a string always encodes
			o.b = append(o.b, escaped...)
			return
		}
	}
	o.b = append(append(append(o.b, '"'), s...), '"')
}
