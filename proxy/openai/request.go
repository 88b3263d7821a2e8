package openai

import (
	"bytes"
	"fmt"
	"strconv"
)

// Request is what we look at of a chat completion request. Everything else is
// only in Body.
type Request struct {
	Body                 []byte
	Model                string
	Stream               bool
	N                    int // 1 when absent
	IncludeUsage         bool
	ConversationID       string
	UserID               string
	User                 string
	Memory               *bool
	ContextMemory        *bool
	Domain               string // context.domain
	ContextWorkspace     string // context.workspace_id
	MetadataConversation string // metadata.conversation_id, else metadata.thread_id
	Messages             []Message
	Tools                []Tool // tools, then legacy functions
	ToolChoice           Choice
	WebSearch            bool // web_search_options is there

	object Span
	ours   []Member // conversation_id, memory, context, user_id
	model  Member
	heat   Member // temperature
}

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

// Tool is one tool that the request offers.
type Tool struct {
	Type        string // function, custom, or the type of a provider's tool
	Name        string
	Description Span // raw JSON string
	Schema      Span // raw JSON Schema of the arguments
	Span        Span
	Legacy      bool // from functions
}

// Choice is tool_choice, or function_call of the legacy form.
type Choice struct {
	Mode string // "", auto, none, required, function, custom, allowed_tools
	Name string
}

// HasTools says that the request offers tools.
func (r *Request) HasTools() bool { return len(r.Tools) > 0 }

// ParseRequest reads a request after one strict scan. A *SyntaxError says that
// the body is not what JSON allows; a *FieldError that a field that we read does
// not have the form it needs.
func ParseRequest(body []byte) (*Request, error) {
	if err := check(body); err != nil {
		return nil, err
	}
	r := &Request{Body: body, N: 1}
	start := blanks(body, 0)
	r.object = Span{start, skip(body, start)}
	var tools, functions, messages Span
	for o := members(body, r.object); o.next(); {
		raw := o.Value.Of(body)
		var err error
		switch name, _ := Unquote(o.Key.Of(body)); name {
		case "model":
			r.model = o.Member
			r.Model, err = text(raw, name)
		case "stream":
			r.Stream, err = boolean(raw, name)
		case "n":
			r.N, err = count(raw, name)
		case "stream_options":
			err = r.streamOptions(o.Value)
		case "conversation_id":
			r.ours = append(r.ours, o.Member)
			r.ConversationID, err = text(raw, name)
		case "user_id":
			r.ours = append(r.ours, o.Member)
			r.UserID, err = text(raw, name)
		case "memory":
			r.ours = append(r.ours, o.Member)
			r.Memory, err = optional(raw, name)
		case "context":
			r.ours = append(r.ours, o.Member)
			err = r.context(o.Value)
		case "user":
			r.User, err = text(raw, name)
		case "temperature":
			r.heat = o.Member
		case "metadata":
			r.metadata(o.Value)
		case "messages":
			messages = o.Value
		case "tools":
			tools = o.Value
		case "functions":
			functions = o.Value
		case "tool_choice", "function_call":
			err = r.choice(o.Value, name)
		case "web_search_options":
			r.WebSearch = string(raw) != "null"
		}
		if err != nil {
			return nil, err
		}
	}
	if err := r.readMessages(messages); err != nil {
		return nil, err
	}
	if err := r.readTools(tools, "tools", false); err != nil {
		return nil, err
	}
	return r, r.readTools(functions, "functions", true)
}

func (r *Request) streamOptions(v Span) (err error) {
	if r.Body[v.Start] != '{' {
		return nil
	}
	for o := members(r.Body, v); o.next() && err == nil; {
		if name, _ := Unquote(o.Key.Of(r.Body)); name == "include_usage" {
			r.IncludeUsage, err = boolean(o.Value.Of(r.Body), "stream_options.include_usage")
		}
	}
	return err
}

func (r *Request) context(v Span) (err error) {
	if string(v.Of(r.Body)) == "null" {
		return nil
	}
	if r.Body[v.Start] != '{' {
		return &FieldError{"context", "an object is needed"}
	}
	for o := members(r.Body, v); o.next() && err == nil; {
		raw := o.Value.Of(r.Body)
		switch name, _ := Unquote(o.Key.Of(r.Body)); name {
		case "domain":
			r.Domain, err = text(raw, "context.domain")
		case "workspace_id":
			r.ContextWorkspace, err = text(raw, "context.workspace_id")
		case "memory":
			r.ContextMemory, err = optional(raw, "context.memory")
		}
	}
	return err
}

// metadata is the client's own; only two of its strings are looked at.
func (r *Request) metadata(v Span) {
	if r.Body[v.Start] != '{' {
		return
	}
	thread := ""
	for o := members(r.Body, v); o.next(); {
		raw := o.Value.Of(r.Body)
		if raw[0] != '"' {
			continue
		}
		switch name, _ := Unquote(o.Key.Of(r.Body)); name {
		case "conversation_id":
			r.MetadataConversation, _ = Unquote(raw)
		case "thread_id":
			thread, _ = Unquote(raw)
		}
	}
	if r.MetadataConversation == "" {
		r.MetadataConversation = thread
	}
}

func (r *Request) choice(v Span, param string) error {
	raw := v.Of(r.Body)
	switch raw[0] {
	case '"':
		r.ToolChoice.Mode, _ = Unquote(raw)
		return nil
	case 'n':
		return nil
	case '{':
	default:
		return &FieldError{param, "a string or an object is needed"}
	}
	c := Choice{}
	if param == "function_call" {
		c.Mode = "function"
	}
	for o := members(r.Body, v); o.next(); {
		raw := o.Value.Of(r.Body)
		switch name, _ := Unquote(o.Key.Of(r.Body)); name {
		case "type":
			c.Mode, _ = Unquote(raw)
		case "name":
			c.Name, _ = Unquote(raw)
		case "function", "custom":
			if raw[0] != '{' {
				return &FieldError{param + "." + name, "an object is needed"}
			}
			for in := members(r.Body, o.Value); in.next(); {
				if k, _ := Unquote(in.Key.Of(r.Body)); k == "name" {
					c.Name, _ = Unquote(in.Value.Of(r.Body))
				}
			}
		}
	}
	r.ToolChoice = c
	return nil
}

func (r *Request) readMessages(v Span) error {
	if !v.Present() {
		return &FieldError{"messages", "this field is needed"}
	}
	if r.Body[v.Start] != '[' {
		return &FieldError{"messages", "an array is needed"}
	}
	for a := elements(r.Body, v); a.next(); {
		m, err := r.message(a.Value, "messages["+strconv.Itoa(len(r.Messages))+"]")
		if err != nil {
			return err
		}
		r.Messages = append(r.Messages, m)
	}
	if len(r.Messages) == 0 {
		return &FieldError{"messages", "at least one message is needed"}
	}
	return nil
}

func (r *Request) message(v Span, param string) (Message, error) {
	m := Message{Span: v}
	b := r.Body
	if b[v.Start] != '{' {
		return m, &FieldError{param, "an object is needed"}
	}
	for o := members(b, v); o.next(); {
		raw := o.Value.Of(b)
		var err error
		switch string(o.Key.Of(b)) {
		case `"role"`:
			m.Role, err = text(raw, param+".role")
		case `"content"`:
			m.Content = o.Value
			m.textOnly = onlyText(b, o.Value)
		case `"tool_call_id"`:
			m.ToolCallID, err = text(raw, param+".tool_call_id")
		case `"tool_calls"`:
			if raw[0] == '[' {
				for a := elements(b, o.Value); a.next(); {
					m.Calls = append(m.Calls, callRef(b, a.Value))
				}
			}
		case `"function_call"`:
			if raw[0] == '{' {
				m.Calls = append(m.Calls, CallRef{Name: callRef(b, o.Value).Name})
			}
		default:
			if bytes.IndexByte(o.Key.Of(b), '\\') >= 0 {
				return m, &FieldError{param, "escapes in the names of a message are not taken"}
			}
		}
		if err != nil {
			return m, err
		}
	}
	if m.Role == "" {
		return m, &FieldError{param + ".role", "this field is needed"}
	}
	return m, nil
}

func callRef(b []byte, v Span) (c CallRef) {
	if b[v.Start] != '{' {
		return c
	}
	for o := members(b, v); o.next(); {
		raw := o.Value.Of(b)
		switch string(o.Key.Of(b)) {
		case `"id"`:
			c.ID, _ = Unquote(raw)
		case `"name"`:
			c.Name, _ = Unquote(raw)
		case `"function"`, `"custom"`:
			c.Name = callRef(b, o.Value).Name
		}
	}
	return c
}

// onlyText says that content is text: a string, or an array of text parts.
func onlyText(b []byte, v Span) bool {
	switch b[v.Start] {
	case '"':
		return true
	case '[':
		for a := elements(b, v); a.next(); {
			if b[a.Value.Start] != '{' || part(b, a.Value).kind != "text" {
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

func part(b []byte, v Span) (p contentPart) {
	for o := members(b, v); o.next(); {
		switch string(o.Key.Of(b)) {
		case `"type"`:
			p.kind, _ = Unquote(o.Value.Of(b))
		case `"text"`:
			p.text = o.Value
		}
	}
	return p
}

// TextOnly says that the message is text and nothing else.
func (m *Message) TextOnly() bool { return m.textOnly }

// Text is the message's text: its content, or its text parts with line ends
// between them.
func (m *Message) Text(body []byte) string {
	if !m.Content.Present() {
		return ""
	}
	switch body[m.Content.Start] {
	case '"':
		s, _ := Unquote(m.Content.Of(body))
		return s
	case '[':
		var parts []byte
		for a := elements(body, m.Content); a.next(); {
			if body[a.Value.Start] != '{' {
				continue
			}
			p := part(body, a.Value)
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

func (r *Request) readTools(v Span, param string, legacy bool) error {
	if !v.Present() || string(v.Of(r.Body)) == "null" {
		return nil
	}
	if r.Body[v.Start] != '[' {
		return &FieldError{param, "an array is needed"}
	}
	for a, i := elements(r.Body, v), 0; a.next(); i++ {
		where := fmt.Sprintf("%s[%d]", param, i)
		if r.Body[a.Value.Start] != '{' {
			return &FieldError{where, "an object is needed"}
		}
		t := Tool{Span: a.Value, Legacy: legacy}
		if legacy {
			t.Type = "function"
		}
		if err := r.tool(&t, a.Value, where); err != nil {
			return err
		}
		if t.Type == "" {
			return &FieldError{where + ".type", "this field is needed"}
		}
		if t.Name == "" && (t.Type == "function" || t.Type == "custom") {
			return &FieldError{where, "the tool has no name"}
		}
		for _, have := range r.Tools {
			if have.Name == t.Name && t.Name != "" {
				return &FieldError{where, fmt.Sprintf("a tool named %q is offered twice", t.Name)}
			}
		}
		r.Tools = append(r.Tools, t)
	}
	return nil
}

func (r *Request) tool(t *Tool, v Span, where string) (err error) {
	for o := members(r.Body, v); o.next() && err == nil; {
		raw := o.Value.Of(r.Body)
		switch name, _ := Unquote(o.Key.Of(r.Body)); name {
		case "type":
			if !t.Legacy && t.Type == "" {
				t.Type, err = text(raw, where+".type")
			}
		case "name":
			t.Name, err = text(raw, where+".name")
		case "description":
			t.Description = o.Value
		case "parameters":
			if raw[0] == '{' {
				t.Schema = o.Value
			}
		case "function", "custom":
			if raw[0] != '{' {
				return &FieldError{where + "." + name, "an object is needed"}
			}
			inner := Tool{Legacy: true}
			if err = r.tool(&inner, o.Value, where+"."+name); err == nil {
				t.Name, t.Description, t.Schema = inner.Name, inner.Description, inner.Schema
			}
		}
	}
	return err
}

func text(raw []byte, param string) (string, error) {
	if raw[0] != '"' && string(raw) != "null" {
		return "", &FieldError{param, "a string is needed"}
	}
	return Unquote(raw)
}

func boolean(raw []byte, param string) (bool, error) {
	b, err := optional(raw, param)
	return b != nil && *b, err
}

func optional(raw []byte, param string) (*bool, error) {
	switch string(raw) {
	case "true", "false":
		b := raw[0] == 't'
		return &b, nil
	case "null":
		return nil, nil
	}
	return nil, &FieldError{param, "true or false is needed"}
}

func count(raw []byte, param string) (int, error) {
	if string(raw) == "null" {
		return 1, nil
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < 1 || n > 128 {
		return 0, &FieldError{param, "an integer from 1 to 128 is needed"}
	}
	return n, nil
}
