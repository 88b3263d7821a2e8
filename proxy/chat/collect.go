package chat

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"cadreen/governance"
	"cadreen/proxy/openai"
)

// collector puts the calls of a reply together, choice by choice, and writes
// their bytes straight into Sealed. Which fragments belong to which call is
// decided the way clients do it, by index; where indexes are missing or used
// twice, the calls are told apart by id and leave in a form of our own, so that
// no client puts together another call than the one that was judged.
type collector struct {
	sealed    *governance.Sealed
	choices   map[int]*choiceCalls
	limit     int64
	finishing map[int]string // finish_reason by choice
}

type choiceCalls struct {
	byIndex   map[int]*governance.SealedCall
	order     []*governance.SealedCall
	legacy    *governance.SealedCall
	halves    map[*governance.SealedCall]bool // arguments so far end in half a character
	irregular bool
}

func newCollector(limit int64) *collector {
	return &collector{sealed: new(governance.Sealed), limit: limit}
}

// finish notes how a choice ended.
func (c *collector) finish(choice int, reason string) {
	if c.finishing == nil {
		c.finishing = map[int]string{}
	}
	c.finishing[choice] = reason
}

// asCame says whether a choice's calls may leave in their original frames.
func (c *collector) asCame(choice int) bool {
	cc := c.choices[choice]
	return cc == nil || !cc.irregular
}

func (c *collector) of(choice int) *choiceCalls {
	cc := c.choices[choice]
	if cc == nil {
		if c.choices == nil {
			c.choices = map[int]*choiceCalls{}
		}
		cc = &choiceCalls{byIndex: map[int]*governance.SealedCall{}}
		c.choices[choice] = cc
	}
	return cc
}

// delta takes the call fragments of one choice of a stream chunk.
func (c *collector) delta(data []byte, ch *openai.ChoiceView) {
	cc := c.of(ch.Index)
	for i := range ch.Calls {
		v := &ch.Calls[i]
		call, fresh := cc.find(c.sealed, data, ch.Index, v)
		if !fresh && repeats(data, v) {
			cc.irregular = true
		}
		cc.fill(call, data, v)
	}
	if ch.HasLegacy {
		if cc.legacy == nil {
			cc.legacy = c.sealed.Start(ch.Index, governance.FormLegacy)
		} else if repeats(data, &ch.Legacy) {
			cc.irregular = true
		}
		cc.fill(cc.legacy, data, &ch.Legacy)
	}
}

// find is the call that a fragment belongs to.
func (cc *choiceCalls) find(sealed *governance.Sealed, data []byte, choice int, v *openai.CallView) (call *governance.SealedCall, fresh bool) {
	id, _ := openai.Unquote(v.ID.Of(data))
	start := func() *governance.SealedCall {
		if n := len(cc.order); n == openai.MaxCalls {
			cc.irregular = true
			cc.order[n-1].Malform("the model proposed too many calls")
			return cc.order[n-1]
		}
		call := sealed.Start(choice, form(v))
		cc.order = append(cc.order, call)
		return call
	}
	if v.HasIndex {
		call := cc.byIndex[v.Index]
		switch {
		case call == nil:
			if v.Index != len(cc.order) {
				cc.irregular = true
			}
			call = start()
			cc.byIndex[v.Index] = call
			return call, true
		case id != "" && call.ID() != "" && id != call.ID():
			// The index of an earlier call with another id: a call of its own.
			cc.irregular = true
			for _, have := range cc.order {
				if have.ID() == id {
					cc.byIndex[v.Index] = have
					return have, false
				}
			}
			call = start()
			cc.byIndex[v.Index] = call
			return call, true
		}
		return call, false
	}
	cc.irregular = true
	for _, have := range cc.order {
		if id != "" && have.ID() == id {
			return have, false
		}
	}
	if len(cc.order) == 0 || id != "" || v.Name.Present() && cc.order[len(cc.order)-1].HasName() {
		return start(), true
	}
	return cc.order[len(cc.order)-1], false
}

// whole takes the calls of a JSON reply's message.
func (c *collector) whole(data []byte, ch *openai.ChoiceView) {
	cc := c.of(ch.Index)
	for i := range ch.Calls {
		v := &ch.Calls[i]
		call := c.sealed.Start(ch.Index, form(v))
		cc.order = append(cc.order, call)
		cc.fill(call, data, v)
		members := data[v.Span.Start+1 : v.Span.End-1]
		if v.Placed {
			members = unplaced(v.Span.Of(data))
		}
		call.Whole(members)
	}
	if ch.HasLegacy {
		v := &ch.Legacy
		cc.legacy = c.sealed.Start(ch.Index, governance.FormLegacy)
		cc.fill(cc.legacy, data, v)
		cc.legacy.Whole(data[v.Span.Start+1 : v.Span.End-1])
	}
}

// unplaced are the members of a call object as they stand between its braces,
// without an index: some servers put one into JSON replies too, and a call that
// leaves on its own gets the index of its new place.
func unplaced(object []byte) []byte {
	d := jsontext.NewDecoder(bytes.NewReader(object), jsontext.AllowInvalidUTF8(true))
	end := int64(1) // of what stands before the member
	if _, err := d.ReadToken(); err != nil {
		return object[1 : len(object)-1] // cannot happen: the reply was scanned
	}
	for d.PeekKind() == '"' {
		name, _ := d.ReadToken()
		found := name.String() == "index"
		if d.SkipValue() != nil {
			break // cannot happen either
		}
		next := d.InputOffset()
		if !found {
			end = next
			continue
		}
		// One comma goes with it: the one before it, or else the one behind it.
		rest := object[next : len(object)-1]
		if end == 1 {
			rest = bytes.TrimLeft(rest, " \t\r\n")
			rest = bytes.TrimLeft(bytes.TrimPrefix(rest, []byte(",")), " \t\r\n")
		}
		return slices.Concat(object[1:end], rest)
	}
	return object[1 : len(object)-1]
}

func form(v *openai.CallView) governance.Form { return governance.Form(v.Form) }

// fill adds what a fragment says to its call. The index is left out: where a
// call leaves on its own it gets the index of its new place.
func (cc *choiceCalls) fill(call *governance.SealedCall, data []byte, v *openai.CallView) {
	for _, m := range v.Outer {
		call.Member(m.Name, m.Value.Of(data))
	}
	// A fragment says its form by its container or its type.
	kind, _ := openai.Unquote(v.Type.Of(data))
	if v.Container.Present() && call.Form() != form(v) || kind != "" && kind != string(call.Form()) {
		call.Malform("the model gave two forms to one call")
	}
	if v.Container.Present() {
		call.Container()
	}
	for _, m := range v.Inner {
		call.Inner(m.Name, m.Value.Of(data))
	}
	if v.Arguments.Present() {
		raw := v.ArgumentsRaw(data)
		call.Argument(raw)
		cc.pair(call, raw)
	}
}

// pair sees to the escapes of half a character in argument fragments. One that
// is completed by the next fragment is whole only for readers that join before
// they decode, so the call leaves on its own, its fragments joined. One that is
// never completed is read in different ways.
func (cc *choiceCalls) pair(call *governance.SealedCall, raw []byte) {
	half := cc.halves[call]
	if !half && bytes.IndexByte(raw, '\\') < 0 || len(raw) == 0 {
		return
	}
	lone := false
	for at := 0; at < len(raw); {
		high, low, n := false, false, 1
		if raw[at] == '\\' {
			n = 2
			if raw[at+1] == 'u' {
				n = 6
				unit, _ := strconv.ParseUint(string(raw[at+2:at+6]), 16, 16)
				high, low = unit&0xfc00 == 0xd800, unit&0xfc00 == 0xdc00
			}
		}
		if low && half && at == 0 {
			cc.irregular = true
		}
		lone = lone || low != half
		half = high
		at += n
	}
	if lone {
		call.Malform("the arguments hold half a character")
	}
	if half && cc.halves == nil {
		cc.halves = map[*governance.SealedCall]bool{}
	}
	if half || cc.halves[call] {
		cc.halves[call] = half
	}
}

// repeats says that a later fragment says the id or the name again: some
// clients would append it.
func repeats(data []byte, v *openai.CallView) bool {
	id, _ := openai.Unquote(v.ID.Of(data))
	name, _ := openai.Unquote(v.Name.Of(data))
	return id != "" || name != ""
}

// truncate marks the calls of choices that did not end as a call ends. A reason
// that is not known to be such an end is none: servers have many words for
// running out of room, time or luck.
func (c *collector) truncate() {
	for choice, cc := range c.choices {
		switch strings.ToLower(c.finishing[choice]) {
		case "stop", "tool_calls", "function_call", "tool_call", "tool_use", "end_turn", "eos", "eos_token", "stop_sequence":
		default:
			for _, call := range cc.order {
				call.Truncate()
			}
			if cc.legacy != nil {
				cc.legacy.Truncate()
			}
		}
		for call, half := range cc.halves {
			if half {
				call.Malform("the arguments hold half a character")
			}
		}
	}
}

// full says that more is kept than a turn may keep.
func (c *collector) full() error {
	if c.sealed.Size() > c.limit {
		return fmt.Errorf("the calls of this turn are over %d bytes", c.limit)
	}
	return nil
}
