package openai

import (
	"bytes"
	"slices"
	"strconv"
)

// Message is one element of messages.
type Message struct {
	Role       string
	Span       Span
	Content    Span
	ToolCallID string
	Calls      []CallRef
	textOnly   bool
}

// CallRef names a call in an assistant message of the transcript.
type CallRef struct{ ID, Name string }

// TextOnly says that the message is text and nothing else.
func (m *Message) TextOnly() bool { return m.textOnly }

// Text is the message's text: its content, or its text parts with line ends
// between them.
func (m *Message) Text(body []byte) string {
	if !m.Content.Present() {
		return ""
	}
	content := m.Content.Of(body)
	switch content[0] {
	case '"':
		s, _ := Unquote(content)
		return s
	case '[':
		var parts []byte
		d := part(content, nil)
		for a := d.inside(root); a.next(); {
			if content[a.Value.Start] != '{' {
				continue
			}
			p := d.part(a.node)
			if p.kind != "text" || !p.text.Present() || content[p.text.Start] != '"' {
				continue
			}
			if len(parts) > 0 {
				parts = append(parts, '\n')
			}
			s, _ := Unquote(p.text.Of(content))
			parts = append(parts, s...)
		}
		return string(parts)
	}
	return ""
}

// MayHold says whether the message's text may hold a word of ASCII letters and the like. It reads no text: false is
// certain.
func (m *Message) MayHold(body []byte, word string) bool {
	raw := m.Content.Of(body)
	if bytes.Contains(raw, unicodeEscape) {
		return true
	}
	// The last character is looked for: the callers' words end in rare ones.
	for at := 0; ; at++ {
		next := bytes.IndexByte(raw[at:], word[len(word)-1])
		if next < 0 {
			return false
		}
		if at += next; bytes.HasSuffix(raw[:at+1], []byte(word)) {
			return true
		}
	}
}

var unicodeEscape = []byte(`\u`)

// messageNames are the names of a message that answers are recognised by.
var messageNames = names{"role", "content", "tool_call_id", "tool_calls", "function_call"}

func (r *Request) readMessages(n int32) error {
	if n == 0 {
		return &FieldError{"messages", "this field is needed"}
	}
	if r.doc.first(n) != '[' {
		return &FieldError{"messages", "an array is needed"}
	}
	r.Messages = slices.Grow(r.Messages, r.doc.count(n))
	for a := r.doc.inside(n); a.next(); {
		i := len(r.Messages)
		r.Messages = r.Messages[:i+1]
		if err := r.Messages[i].read(&r.doc, a.node); err != nil {
			return within(err, "messages["+strconv.Itoa(i)+"]")
		}
	}
	if len(r.Messages) == 0 {
		return &FieldError{"messages", "at least one message is needed"}
	}
	return nil
}

// read reads one message, in place of one that stood there before.
func (m *Message) read(d *document, n int32) (err error) {
	b := d.b
	*m = Message{Span: d.span(n), Calls: m.Calls[:0]}
	if d.first(n) != '{' {
		return &FieldError{"", "an object is needed"}
	}
	for o := d.inside(n); o.next() && err == nil; {
		raw := o.Value.Of(b)
		name := o.name()
		switch string(name) {
		case "role":
			m.Role, err = role(raw)
		case "content":
			m.Content = o.Value
			m.textOnly = d.onlyText(o.node)
		case "tool_call_id":
			m.ToolCallID, err = text(raw, "tool_call_id")
		case "tool_calls":
			if raw[0] == '[' {
				for a := o.inside(); a.next(); {
					m.Calls = append(m.Calls, d.callRef(a.node))
				}
			}
		case "function_call":
			if raw[0] == '{' {
				m.Calls = append(m.Calls, CallRef{Name: d.callRef(o.node).Name})
			}
		default:
			err = messageNames.miss(name)
		}
	}
	if err == nil && m.Role == "" {
		err = &FieldError{"role", "this field is needed"}
	}
	return err
}

// role is a message's role; the usual ones are not copied.
func role(raw []byte) (string, error) {
	for _, known := range []string{`"user"`, `"assistant"`, `"tool"`, `"system"`, `"developer"`} {
		if string(raw) == known {
			return known[1 : len(known)-1], nil
		}
	}
	return text(raw, "role")
}

func (d *document) callRef(n int32) (c CallRef) {
	b := d.b
	if d.first(n) != '{' {
		return c
	}
	inner := ""
	for o := d.inside(n); o.next(); {
		raw := o.Value.Of(b)
		switch string(o.name()) {
		case "id":
			c.ID, _ = Unquote(raw)
		case "name":
			c.Name, _ = Unquote(raw)
		case "function", "custom":
			inner = d.named(o.node)
		}
	}
	if inner != "" {
		c.Name = inner
	}
	return c
}

// named is the string `name` of an object.
func (d *document) named(n int32) (s string) {
	b := d.b
	if d.first(n) != '{' {
		return ""
	}
	for o := d.inside(n); o.next(); {
		if string(o.name()) == "name" {
			s, _ = Unquote(o.Value.Of(b))
		}
	}
	return s
}

// onlyText says that content is text: a string, or an array of text parts.
func (d *document) onlyText(n int32) bool {
	switch d.first(n) {
	case '"':
		return true
	case '[':
		for a := d.inside(n); a.next(); {
			if d.first(a.node) != '{' || d.part(a.node).kind != "text" {
				return false
			}
		}
		return true
	}
	return false
}

type contentPart struct {
	kind string
	text Span
}

func (d *document) part(n int32) (p contentPart) {
	b := d.b
	for o := d.inside(n); o.next(); {
		switch string(o.name()) {
		case "type":
			if p.kind = "text"; string(o.Value.Of(b)) != `"text"` {
				p.kind, _ = Unquote(o.Value.Of(b))
			}
		case "text":
			p.text = o.Value
		}
	}
	return p
}
