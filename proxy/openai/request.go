package openai

import (
	"strconv"
	"sync"
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
	ToolChoice           Choice // tool_choice, else legacy function_call
	WebSearch            bool   // web_search_options is there

	doc    document // only while it is read
	object Span
	top    []Member // all members
	ours   []Member // conversation_id, memory, context, user_id
	model  Member
	heat   Member // temperature
}

// HasTools says that the request offers tools.
func (r *Request) HasTools() bool { return len(r.Tools) > 0 }

// relied are the fields that governance and the operator's settings rest on. A
// model server that ignores case would take a near miss of one for the field,
// while everybody else, this package included, would not see it.
var relied = names{"messages", "tools", "functions", "tool_choice", "function_call", "web_search_options", "n", "stream", "model",
	"toolchoice", "functioncall", "websearchoptions"}

// ParseRequest reads a request after one strict scan. A *SyntaxError says that
// the body is not what JSON allows; a *FieldError that a field that we read does
// not have the form it needs, or that a name differs from one that we rely on
// only in case.
func ParseRequest(body []byte) (*Request, error) {
	room := rooms.Get().(*[]ending)
	doc, err := scan(body, *room)
	if err != nil {
		return nil, err
	}
	r := &Request{Body: body, N: 1, doc: doc, object: doc.object(), top: make([]Member, 0, 16)}
	err = r.read()
	r.doc = document{}
	if *room = doc.ends; cap(*room) <= maxRoom {
		rooms.Put(room)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// rooms are for the index of a request, which is needed only while it is read.
var rooms = sync.Pool{New: func() any { return new([]ending) }}

const maxRoom = 1 << 16

func (r *Request) read() error {
	body := r.Body
	var messages, tools, functions, choice, legacyChoice Span
	for o := r.doc.members(r.object); o.next(); {
		r.top = append(r.top, o.Member)
		raw := o.Value.Of(body)
		name := plain(o.Key.Of(body))
		var err error
		switch string(name) {
		case "model":
			r.model = o.Member
			r.Model, err = text(raw, "model")
		case "stream":
			r.Stream, err = boolean(raw, "stream")
		case "n":
			r.N, err = count(raw, "n")
		case "stream_options":
			err = r.streamOptions(o.Value)
		case "conversation_id":
			r.ours = append(r.ours, o.Member)
			r.ConversationID, err = text(raw, "conversation_id")
		case "user_id":
			r.ours = append(r.ours, o.Member)
			r.UserID, err = text(raw, "user_id")
		case "memory":
			r.ours = append(r.ours, o.Member)
			r.Memory, err = optional(raw, "memory")
		case "context":
			r.ours = append(r.ours, o.Member)
			err = r.context(o.Value)
		case "user":
			r.User, err = text(raw, "user")
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
		case "tool_choice":
			choice = o.Value
		case "function_call":
			legacyChoice = o.Value
		case "web_search_options":
			r.WebSearch = raw[0] != 'n'
		default:
			err = relied.miss(name)
		}
		if err != nil {
			return err
		}
	}
	if err := r.readMessages(messages); err != nil {
		return err
	}
	if err := r.readTools(tools, functions); err != nil {
		return err
	}
	return r.choose(choice, legacyChoice)
}

// miss is the error for a name that only some readers would take for one of the
// list.
func (list names) miss(name []byte) error {
	for _, n := range list {
		if folds(name, n) {
			return &FieldError{string(name), "this name differs from that of a known field in its spelling only, and readers do not agree on what that means"}
		}
	}
	return nil
}

func (r *Request) streamOptions(v Span) (err error) {
	if r.Body[v.Start] != '{' {
		return nil
	}
	for o := r.doc.members(v); o.next() && err == nil; {
		if string(plain(o.Key.Of(r.Body))) == "include_usage" {
			r.IncludeUsage, err = boolean(o.Value.Of(r.Body), "stream_options.include_usage")
		}
	}
	return err
}

func (r *Request) context(v Span) (err error) {
	switch r.Body[v.Start] {
	case 'n':
		return nil
	case '{':
	default:
		return &FieldError{"context", "an object is needed"}
	}
	for o := r.doc.members(v); o.next() && err == nil; {
		raw := o.Value.Of(r.Body)
		switch string(plain(o.Key.Of(r.Body))) {
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
	for o := r.doc.members(v); o.next(); {
		raw := o.Value.Of(r.Body)
		if raw[0] != '"' {
			continue
		}
		switch string(plain(o.Key.Of(r.Body))) {
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

// text is a string, "" for null.
func text(raw []byte, param string) (string, error) {
	if raw[0] != '"' && raw[0] != 'n' {
		return "", &FieldError{param, "a string is needed"}
	}
	return Unquote(raw)
}

// boolean is a boolean, false for null.
func boolean(raw []byte, param string) (bool, error) {
	b, err := optional(raw, param)
	return b != nil && *b, err
}

// optional is a boolean, nil for null.
func optional(raw []byte, param string) (*bool, error) {
	switch raw[0] {
	case 't', 'f':
		b := raw[0] == 't'
		return &b, nil
	case 'n':
		return nil, nil
	}
	return nil, &FieldError{param, "true or false is needed"}
}

// count is an integer from 1 to 128, 1 for null.
func count(raw []byte, param string) (int, error) {
	if raw[0] == 'n' {
		return 1, nil
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < 1 || n > MaxChoices {
		return 0, &FieldError{param, "an integer from 1 to 128 is needed"}
	}
	return n, nil
}
