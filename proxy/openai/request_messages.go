package openai

import "strconv"

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
	d := &document{b: body}
	switch body[m.Content.Start] {
	case '"':
		s, _ := Unquote(m.Content.Of(body))
		return s
	case '[':
		var parts []byte
		for a := d.elements(m.Content); a.next(); {
			if body[a.Value.Start] != '{' {
				continue
			}
			p := d.part(a.Value)
			if p.kind != "text" || !p.text.Present() || body[p.text.Start] != '"' {
				continue
			}
			if len(parts) > 0 {
				parts = append(parts, '\n')
			}
			s, _ := Unquote(p.text.Of(body))
			parts = append(parts, s...)
		}
		return string(parts)
	}
	return ""
}

// messageNames are the names of a message that answers are recognised by.
var messageNames = names{"role", "content", "tool_call_id", "tool_calls", "function_call"}

func (r *Request) readMessages(v Span) error {
	if !v.Present() {
		return &FieldError{"messages", "this field is needed"}
	}
	if r.Body[v.Start] != '[' {
		return &FieldError{"messages", "an array is needed"}
	}
	r.Messages = make([]Message, 0, r.doc.count(v))
	for a := r.doc.elements(v); a.next(); {
		m, err := r.doc.message(a.Value)
		if err != nil {
			return within(err, "messages["+strconv.Itoa(len(r.Messages))+"]")
		}
		r.Messages = append(r.Messages, m)
	}
	if len(r.Messages) == 0 {
		return &FieldError{"messages", "at least one message is needed"}
	}
	return nil
}

// message reads one message. Escapes in names are undone: they are spelling, and
// every reader takes such a name for what it says.
func (d *document) message(v Span) (m Message, err error) {
	b := d.b
	m.Span = v
	if b[v.Start] != '{' {
		return m, &FieldError{"", "an object is needed"}
	}
	for o := d.members(v); o.next() && err == nil; {
		raw := o.Value.Of(b)
		name := plain(o.Key.Of(b))
		switch string(name) {
		case "role":
			m.Role, err = role(raw)
		case "content":
			m.Content = o.Value
			m.textOnly = d.onlyText(o.Value)
		case "tool_call_id":
			m.ToolCallID, err = text(raw, "tool_call_id")
		case "tool_calls":
			if raw[0] == '[' {
				for a := d.elements(o.Value); a.next(); {
					m.Calls = append(m.Calls, d.callRef(a.Value))
				}
			}
		case "function_call":
			if raw[0] == '{' {
				m.Calls = append(m.Calls, CallRef{Name: d.callRef(o.Value).Name})
			}
		default:
			err = messageNames.miss(name)
		}
	}
	if err == nil && m.Role == "" {
		err = &FieldError{"role", "this field is needed"}
	}
	return m, err
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

func (d *document) callRef(v Span) (c CallRef) {
	b := d.b
	if b[v.Start] != '{' {
		return c
	}
	inner := ""
	for o := d.members(v); o.next(); {
		raw := o.Value.Of(b)
		switch string(plain(o.Key.Of(b))) {
		case "id":
			c.ID, _ = Unquote(raw)
		case "name":
			c.Name, _ = Unquote(raw)
		case "function", "custom":
			inner = d.named(o.Value)
		}
	}
	if inner != "" {
		c.Name = inner
	}
	return c
}

// named is the string `name` of an object.
func (d *document) named(v Span) (s string) {
	b := d.b
	if b[v.Start] != '{' {
		return ""
	}
	for o := d.members(v); o.next(); {
		if string(plain(o.Key.Of(b))) == "name" {
			s, _ = Unquote(o.Value.Of(b))
		}
	}
	return s
}

// onlyText says that content is text: a string, or an array of text parts.
func (d *document) onlyText(v Span) bool {
	b := d.b
	switch b[v.Start] {
	case '"':
		return true
	case '[':
		for a := d.elements(v); a.next(); {
			if b[a.Value.Start] != '{' || d.part(a.Value).kind != "text" {
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

func (d *document) part(v Span) (p contentPart) {
	b := d.b
	for o := d.members(v); o.next(); {
		switch string(plain(o.Key.Of(b))) {
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
