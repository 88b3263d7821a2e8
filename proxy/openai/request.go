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
	OfferedTools         Span   // the value of tools, zero if there is none
	OfferedFunctions     Span   // the value of functions
	ToolChoice           Choice // tool_choice, else legacy function_call
	WebSearch            bool   // web_search_options is there

	doc   document
	ours  []Span // the members conversation_id, memory, context and user_id
	model Span   // the value of model
	heat  Span   // the member temperature
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
	r := requests.Get().(*Request)
	*r = Request{Body: body, N: 1, Messages: r.Messages[:0], Tools: r.Tools[:0], doc: r.doc, ours: r.ours[:0]}
	var err error
	if r.doc, err = scan(body, r.doc.nodes); err == nil {
		err = r.read()
	}
	if err != nil {
		r.Release()
		return nil, err
	}
	return r, nil
}

var requests = sync.Pool{New: func() any { return new(Request) }}

// Release gives the room that the request takes to the next one. It may be called once, when nobody holds the request
// any more; its strings stay good.
func (r *Request) Release() {
	r.Body = nil
	if r.doc.forget() && !poisoned {
		requests.Put(r)
	}
}

func (r *Request) read() error {
	body := r.Body
	var messages, tools, functions, choice, legacyChoice int32
	for o := r.doc.inside(root); o.next(); {
		raw := o.Value.Of(body)
		name := o.name()
		var err error
		switch string(name) {
		case "model":
			r.model = o.Value
			r.Model, err = text(raw, "model")
		case "stream":
			r.Stream, err = boolean(raw, "stream")
		case "n":
			r.N, err = count(raw, "n")
		case "stream_options":
			err = r.streamOptions(o.node)
		case "conversation_id":
			r.ours = append(r.ours, o.member().Span())
			r.ConversationID, err = text(raw, "conversation_id")
		case "user_id":
			r.ours = append(r.ours, o.member().Span())
			r.UserID, err = text(raw, "user_id")
		case "memory":
			r.ours = append(r.ours, o.member().Span())
			r.Memory, err = optional(raw, "memory")
		case "context":
			r.ours = append(r.ours, o.member().Span())
			err = r.context(o.node)
		case "user":
			r.User, err = text(raw, "user")
		case "temperature":
			r.heat = o.member().Span()
		case "metadata":
			r.metadata(o.node)
		case "messages":
			messages = o.node
		case "tools":
			tools, r.OfferedTools = o.node, o.Value
		case "functions":
			functions, r.OfferedFunctions = o.node, o.Value
		case "tool_choice":
			choice = o.node
		case "function_call":
			legacyChoice = o.node
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

func (r *Request) streamOptions(n int32) (err error) {
	if r.doc.first(n) != '{' {
		return nil
	}
	for o := r.doc.inside(n); o.next() && err == nil; {
		if string(o.name()) == "include_usage" {
			r.IncludeUsage, err = boolean(o.Value.Of(r.Body), "stream_options.include_usage")
		}
	}
	return err
}

func (r *Request) context(n int32) (err error) {
	switch r.doc.first(n) {
	case 'n':
		return nil
	case '{':
	default:
		return &FieldError{"context", "an object is needed"}
	}
	for o := r.doc.inside(n); o.next() && err == nil; {
		raw := o.Value.Of(r.Body)
		switch string(o.name()) {
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
func (r *Request) metadata(n int32) {
	if r.doc.first(n) != '{' {
		return
	}
	thread := ""
	for o := r.doc.inside(n); o.next(); {
		raw := o.Value.Of(r.Body)
		if raw[0] != '"' {
			continue
		}
		switch string(o.name()) {
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
