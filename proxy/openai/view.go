package openai

import (
	"errors"
	"fmt"
	"strconv"
)

// View is a chunk of a stream or a whole reply by its offsets. It is made to be
// used again and again: Parse keeps its slices.
type View struct {
	Data    []byte
	Object  Span
	ID      Span
	Created Span
	Model   Span
	Usage   Span
	Error   Span
	// HasChoices: `choices` is there and is an array.
	HasChoices bool
	Choices    []ChoiceView

	top []Member // spans of all top-level members
}

// ChoiceView is one element of choices. Spans are of values unless they are
// named for the member.
type ChoiceView struct {
	Index        int
	Span         Span
	Finish       Span
	FinishReason string
	Message      Span // delta or message, zero if there is none
	Role         Span
	Content      Span
	// HasText: the message carries something beside its role and calls that is
	// not null or empty: text, reasoning, audio, a vendor's field.
	HasText      bool
	CallsMember  Span
	CallsValue   Span
	Calls        []CallView
	HasLegacy    bool
	LegacyMember Span
	Legacy       CallView
}

// CallView is one call, or one fragment of a call.
type CallView struct {
	Form      string // function, custom, function_call
	Span      Span
	HasIndex  bool
	Index     int
	ID        Span
	Type      Span
	Name      Span
	Arguments Span     // value of arguments or input
	Container Span     // value of function or custom
	Outer     []Member // members of the call but index and container
	Inner     []Member // members of the container, or of function_call, but the arguments
}

// ArgumentsRaw are the argument characters as they stand between the quotes.
func (c *CallView) ArgumentsRaw(data []byte) []byte {
	raw, _ := TrimString(c.Arguments.Of(data))
	return raw
}

// ErrMalformedCall says that a reply proposes a call in a shape that clients
// would not agree on.
var ErrMalformedCall = errors.New("openai: malformed call")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformedCall}, args...)...)
}

var (
	topNames    = names{"id", "created", "model", "usage", "error", "choices"}
	choiceNames = names{"index", "finish_reason", "delta", "message", "tool_calls", "function_call"}
	bodyNames   = names{"role", "content", "tool_calls", "function_call", "refusal"}
	callNames   = names{"index", "id", "type", "function", "custom"}
	innerNames  = names{"name", "arguments", "input"}
)

// Parse checks a document strictly and finds its parts. A name that differs from
// one of ours only in case is an error: there are readers that ignore case.
func (v *View) Parse(data []byte) error {
	*v = View{Data: data, Choices: v.Choices[:0], top: v.top[:0]}
	if err := check(data); err != nil {
		return err
	}
	start := blanks(data, 0)
	v.Object = Span{start, skip(data, start)}
	for o := members(data, v.Object); o.next(); {
		v.top = append(v.top, o.Member)
		at, near := topNames.find(o.Key.Of(data))
		if near && at >= 4 {
			return malformed("a field named %s", o.Key.Of(data))
		}
		switch at {
		case 0:
			v.ID = o.Value
		case 1:
			v.Created = o.Value
		case 2:
			v.Model = o.Value
		case 3:
			v.Usage = notNull(data, o.Value)
		case 4:
			v.Error = o.Value
		case 5:
			if err := v.choices(o.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

func notNull(b []byte, s Span) Span {
	if b[s.Start] == 'n' {
		return Span{}
	}
	return s
}

func (v *View) choices(list Span) error {
	switch v.Data[list.Start] {
	case '[':
	case 'n':
		return nil
	default:
		return malformed("choices is no array")
	}
	v.HasChoices = true
	for a := elements(v.Data, list); a.next(); {
		if v.Data[a.Value.Start] != '{' {
			return malformed("a choice is no object")
		}
		c := v.grow()
		if err := v.choice(c, a.Value); err != nil {
			return err
		}
		for i := range v.Choices[:len(v.Choices)-1] {
			if v.Choices[i].Index == c.Index {
				return malformed("choice %d stands twice in one object", c.Index)
			}
		}
	}
	return nil
}

// grow adds a choice, keeping the slices of the one that stood there before.
func (v *View) grow() *ChoiceView {
	if len(v.Choices) < cap(v.Choices) {
		v.Choices = v.Choices[:len(v.Choices)+1]
		c := &v.Choices[len(v.Choices)-1]
		*c = ChoiceView{Calls: c.Calls[:0]}
		return c
	}
	v.Choices = append(v.Choices, ChoiceView{})
	return &v.Choices[len(v.Choices)-1]
}

func (v *View) choice(c *ChoiceView, value Span) error {
	c.Span = value
	bodies := 0
	for o := members(v.Data, value); o.next(); {
		raw := o.Value.Of(v.Data)
		at, near := choiceNames.find(o.Key.Of(v.Data))
		if near {
			return malformed("a field named %s", o.Key.Of(v.Data))
		}
		switch at {
		case 0:
			n, err := strconv.Atoi(string(raw))
			if raw[0] != 'n' && (err != nil || n < 0) {
				return malformed("a choice with the index %s", raw)
			}
			c.Index = n
		case 1:
			c.Finish = o.Value
			reason, err := word(raw)
			if err != nil {
				return err
			}
			c.FinishReason = reason
		case 2, 3:
			if raw[0] == 'n' {
				continue
			}
			if raw[0] != '{' {
				return malformed("%s is no object", o.Key.Of(v.Data))
			}
			if bodies++; bodies > 1 {
				return malformed("a choice with delta and message")
			}
			c.Message = o.Value
			if err := v.body(c, o.Value); err != nil {
				return err
			}
		case 4, 5:
			if raw[0] != 'n' {
				return malformed("%s stands outside of the message", o.Key.Of(v.Data))
			}
		}
	}
	return nil
}

// word is a finish_reason, without an allocation for those that are known.
func word(raw []byte) (string, error) {
	switch string(raw) {
	case "null":
		return "", nil
	case `"stop"`:
		return "stop", nil
	case `"tool_calls"`:
		return "tool_calls", nil
	case `"length"`:
		return "length", nil
	case `"function_call"`:
		return "function_call", nil
	case `"content_filter"`:
		return "content_filter", nil
	}
	if raw[0] != '"' {
		return "", malformed("finish_reason is no string")
	}
	return Unquote(raw)
}

func (v *View) body(c *ChoiceView, value Span) error {
	for o := members(v.Data, value); o.next(); {
		raw := o.Value.Of(v.Data)
		at, near := bodyNames.find(o.Key.Of(v.Data))
		if near && at >= 2 {
			return malformed("a field named %s", o.Key.Of(v.Data))
		}
		empty := raw[0] == 'n' || len(raw) == 2 && (raw[0] == '"' || raw[0] == '[' || raw[0] == '{')
		switch at {
		case 0:
			c.Role = o.Value
		case 1:
			c.Content = o.Value
			c.HasText = c.HasText || !empty
		case 2:
			c.CallsMember = o.Member.Span()
			if err := v.calls(c, o.Value); err != nil {
				return err
			}
		case 3:
			if raw[0] == 'n' {
				continue
			}
			if raw[0] != '{' {
				return malformed("function_call is no object")
			}
			c.HasLegacy, c.LegacyMember = true, o.Member.Span()
			old := c.Legacy
			c.Legacy = CallView{Form: "function_call", Span: o.Value, Inner: old.Inner[:0]}
			if err := v.inner(&c.Legacy, o.Value, "arguments"); err != nil {
				return err
			}
		default:
			c.HasText = c.HasText || !empty
		}
	}
	return nil
}

func (v *View) calls(c *ChoiceView, list Span) error {
	switch v.Data[list.Start] {
	case '[':
	case 'n':
		return nil
	default:
		return malformed("tool_calls is no array")
	}
	c.CallsValue = list
	for a := elements(v.Data, list); a.next(); {
		if v.Data[a.Value.Start] != '{' {
			return malformed("a call is no object")
		}
		var call *CallView
		if len(c.Calls) < cap(c.Calls) {
			c.Calls = c.Calls[:len(c.Calls)+1]
			call = &c.Calls[len(c.Calls)-1]
			*call = CallView{Outer: call.Outer[:0], Inner: call.Inner[:0]}
		} else {
			c.Calls = append(c.Calls, CallView{})
			call = &c.Calls[len(c.Calls)-1]
		}
		if err := v.call(call, a.Value); err != nil {
			return err
		}
	}
	return nil
}

func (v *View) call(c *CallView, value Span) error {
	c.Span, c.Form = value, "function"
	for o := members(v.Data, value); o.next(); {
		raw := o.Value.Of(v.Data)
		at, near := callNames.find(o.Key.Of(v.Data))
		if near {
			return malformed("a field named %s", o.Key.Of(v.Data))
		}
		switch at {
		case 0:
			if raw[0] == 'n' {
				continue
			}
			n, err := strconv.Atoi(string(raw))
			if err != nil || n < 0 {
				return malformed("a call with the index %s", raw)
			}
			c.HasIndex, c.Index = true, n
			continue
		case 1, 2:
			if raw[0] != '"' && raw[0] != 'n' {
				return malformed("%s of a call is no string", o.Key.Of(v.Data))
			}
			if at == 1 {
				c.ID = notNull(v.Data, o.Value)
			} else {
				c.Type = notNull(v.Data, o.Value)
			}
		case 3, 4:
			if raw[0] == 'n' {
				continue
			}
			if raw[0] != '{' || c.Container.Present() {
				return malformed("a call that is not one function or one custom tool")
			}
			c.Container = o.Value
			payload := "arguments"
			if at == 4 {
				c.Form, payload = "custom", "input"
			}
			if err := v.inner(c, o.Value, payload); err != nil {
				return err
			}
			continue
		}
		c.Outer = append(c.Outer, v.kept(o.Member))
	}
	if c.Type.Present() {
		kind, _ := Unquote(c.Type.Of(v.Data))
		switch {
		case c.Container.Present() && kind != "" && kind != c.Form:
			return malformed("a call of type %q carries %q", kind, c.Form)
		case !c.Container.Present() && kind == "custom":
			c.Form = kind
		}
	}
	return nil
}

func (v *View) inner(c *CallView, value Span, payload string) error {
	for o := members(v.Data, value); o.next(); {
		raw := o.Value.Of(v.Data)
		at, near := innerNames.find(o.Key.Of(v.Data))
		if near {
			return malformed("a field named %s", o.Key.Of(v.Data))
		}
		if at >= 0 && raw[0] != '"' && raw[0] != 'n' {
			return malformed("%s of a call is no string", o.Key.Of(v.Data))
		}
		if at > 0 && innerNames[at] == payload {
			c.Arguments = notNull(v.Data, o.Value)
			continue
		}
		if at == 0 {
			c.Name = notNull(v.Data, o.Value)
		}
		c.Inner = append(c.Inner, v.kept(o.Member))
	}
	return nil
}

// kept is a member with its name unescaped.
func (v *View) kept(m Member) Member {
	m.Name, _ = Unquote(m.Key.Of(v.Data))
	return m
}

// Cut takes top-level members with these names out, whatever they hold.
func (v *View) Cut(list ...string) []Edit {
	var cut []Span
	for _, m := range v.top {
		if at, _ := names(list).find(m.Key.Of(v.Data)); at >= 0 {
			cut = append(cut, m.Span())
		}
	}
	if len(cut) == 0 {
		return nil
	}
	return cutMembers(v.Data, v.Object, nil, cut...)
}

// CutMembers takes members out of an object of the document, such as a choice's
// message, and puts insert (members without commas around them) at its
// beginning.
func (v *View) CutMembers(value Span, insert []byte, cut ...Span) []Edit {
	return cutMembers(v.Data, value, insert, cut...)
}
