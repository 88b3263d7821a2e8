package fault

import (
	"bytes"
	"encoding/json"
)

// PagePath is where the server shows the errors page, below the base address.
const PagePath = "/docs/errors"

// Body is the JSON envelope of an error response. "error" is its first key. traceID stands at the top level and inside
// "error", because some SDKs keep only the inner object. docBase is the address that the server is reached at, without a
// final slash; doc_url points to the page that the server itself serves there.
func (e *Error) Body(traceID, docBase string) []byte {
	return encode(struct {
		Error   wireError `json:"error"`
		TraceID string    `json:"trace_id"`
	}{e.wire(traceID, docBase), traceID})
}

// Event is the server-sent event that ends a stream after its first byte: one data line and an empty line. Clients compare the
// beginning `data: {"error"` character by character, so there is no event name, no comment and no blank inside.
func (e *Error) Event(traceID, docBase string) []byte {
	body := encode(struct {
		Error wireError `json:"error"`
	}{e.wire(traceID, docBase)})
	event := make([]byte, 0, len("data: ")+len(body)+2)
	event = append(event, "data: "...)
	event = append(event, body...)
	return append(event, "\n\n"...)
}

// wireError is the inside of "error". Param is always there, null when nothing is named, as in OpenAI's own errors.
type wireError struct {
	Type       string      `json:"type"`
	Code       string      `json:"code"`
	Message    string      `json:"message"`
	Hint       string      `json:"hint"`
	Param      *string     `json:"param"`
	DocURL     string      `json:"doc_url"`
	NextAction *NextAction `json:"next_action,omitempty"`
	Details    []Detail    `json:"details,omitempty"`
	RetryAfter int         `json:"retry_after,omitempty"`
	TraceID    string      `json:"trace_id"`
}

func (e *Error) wire(traceID, docBase string) wireError {
	entry := e.entry()
	w := wireError{
		Type:       entry.Type,
		Code:       e.code(),
		Message:    e.message(),
		Hint:       entry.Hint,
		DocURL:     docBase + PagePath + "#" + entry.Anchor(),
		NextAction: &entry.Next,
		Details:    e.Details,
		RetryAfter: e.RetryAfter,
		TraceID:    traceID,
	}
	if e.Type != "" {
		w.Type = e.Type
	}
	if e.Hint != "" {
		w.Hint = e.Hint
	}
	if e.Param != "" {
		w.Param = &e.Param
	}
	if e.Next != nil {
		w.NextAction = e.Next
	}
	return w
}

// encode keeps <, > and & as they are; a message is read by people, not put into a page.
func encode(v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		// Strings and integers always encode.
		panic("fault: " + err.Error())
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
