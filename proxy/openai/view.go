package openai

import (
	"errors"
	"fmt"
	"math"
)

// View is a chunk of a stream or a whole reply by its offsets. It is made to be
// used again and again: Parse keeps its slices. It means something only after a
// Parse without an error.
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

	doc document // its nodes are kept for their room
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
	// HasText: the message carries something beside its role and calls that
	// says something: a string, an array or an object that is not empty, be it
	// text, reasoning, audio or a vendor's field.
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
	Placed    bool // a member index stands there, be it null
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

const (
	// MaxChoices is how many choices a reply may have; their indexes are below.
	MaxChoices = 128
	// MaxCalls is how many calls a choice may have; their indexes are below.
	MaxCalls = 1024
)

var (
	topNames    = names{"error", "choices", "tool_calls", "function_call", "id", "created", "model", "usage"}
	choiceNames = names{"index", "finish_reason", "delta", "message", "tool_calls", "function_call"}
)

// Parse checks a document strictly and finds its parts. A name that differs from
// one of ours only in case is an error where it could carry a call: there are
// readers that ignore case.
func (v *View) Parse(data []byte) error {
	*v = View{Data: data, Choices: v.Choices[:0], doc: v.doc}
	var err error
	if v.doc, err = scan(data, v.doc.nodes); err != nil {
		return err
	}
	v.Object = v.doc.span(root)
	for o := v.doc.inside(root); o.next(); {
		at, near := topNames.find(o.name())
		switch {
		case near && at < 4:
			return malformed("a field named %s", o.Key.Of(data))
		case near:
			continue
		}
		switch at {
		case 0:
			v.Error = o.Value
		case 1:
			if err := v.choices(o.node); err != nil {
				return err
			}
		case 2, 3:
			if data[o.Value.Start] != 'n' {
				return malformed("%s stands outside of a choice", o.Key.Of(data))
			}
		case 4:
			v.ID = o.Value
		case 5:
			v.Created = o.Value
		case 6:
			v.Model = o.Value
		case 7:
			v.Usage = notNull(data, o.Value)
		}
	}
	return nil
}

// Forget lets go of the document. It answers whether the view's room is worth keeping for another one.
func (v *View) Forget() bool {
	v.Data = nil
	return v.doc.forget()
}

func notNull(b []byte, s Span) Span {
	if b[s.Start] == 'n' {
		return Span{}
	}
	return s
}

func (v *View) choices(list int32) error {
	switch v.doc.first(list) {
	case '[':
	case 'n':
		return nil
	default:
		return malformed("choices is no array")
	}
	v.HasChoices = true
	for a := v.doc.inside(list); a.next(); {
		if v.doc.first(a.node) != '{' {
			return malformed("a choice is no object")
		}
		if len(v.Choices) == MaxChoices {
			return malformed("more than %d choices", MaxChoices)
		}
		c := v.grow()
		if err := v.choice(c, a.node); err != nil {
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
	if len(v.Choices) == cap(v.Choices) {
		v.Choices = append(v.Choices, ChoiceView{})
		return &v.Choices[len(v.Choices)-1]
	}
	v.Choices = v.Choices[:len(v.Choices)+1]
	c := &v.Choices[len(v.Choices)-1]
	*c = ChoiceView{Calls: c.Calls[:0], Legacy: CallView{Inner: c.Legacy.Inner[:0]}}
	return c
}

func (v *View) choice(c *ChoiceView, n int32) error {
	c.Span = v.doc.span(n)
	for o := v.doc.inside(n); o.next(); {
		raw := o.Value.Of(v.Data)
		at, near := choiceNames.find(o.name())
		if near {
			return malformed("a field named %s", o.Key.Of(v.Data))
		}
		switch at {
		case 0:
			n, ok := number(raw, MaxChoices)
			if !ok && raw[0] != 'n' {
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
			if c.Message.Present() {
				return malformed("a choice with delta and message")
			}
			c.Message = o.Value
			if err := v.body(c, o.node); err != nil {
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

// number is an index below limit. Only plain digits are one: readers do not
// agree on -0, 1.0 and 1e0.
func number(raw []byte, limit int) (n int, ok bool) {
	for _, c := range raw {
		if c < '0' || c > '9' || n >= limit {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	if n >= limit {
		return 0, false
	}
	return n, true
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

// Tokens are what a usage object of a document that was parsed counts, 0 where it counts nothing or in another way.
func Tokens(usage []byte) (prompt, completion int64) {
	var room [16]node
	d := part(usage, room[:0])
	for o := d.inside(root); o.next(); {
		switch string(o.Key.Of(usage)) {
		case `"prompt_tokens"`:
			prompt = tokens(o.Value.Of(usage))
		case `"completion_tokens"`:
			completion = tokens(o.Value.Of(usage))
		}
	}
	return prompt, completion
}

func tokens(raw []byte) int64 {
	n, _ := number(raw, math.MaxInt32)
	return int64(n)
}

// Cut takes top-level members with these names, in whatever case, out,
// whatever they hold.
func (v *View) Cut(list ...string) []Edit {
	var cut []Span
	for o := v.doc.inside(root); o.next(); {
		if at, _ := names(list).find(o.name()); at >= 0 {
			cut = append(cut, o.member().Span())
		}
	}
	if len(cut) == 0 {
		return nil
	}
	return v.doc.cutMembers(root, nil, cut...)
}

// CutMembers takes members out of an object of the document, such as a choice's
// message, and puts insert (members without commas around them) at its
// beginning. It sorts cut in place.
func (v *View) CutMembers(value Span, insert []byte, cut ...Span) []Edit {
	return v.doc.cutMembers(v.doc.at(value), insert, cut...)
}
