package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// The tool of the seeds, and one that only reads.
const (
	refundToolJSON = `{"type":"function","function":{"name":"process_refund","description":"Refund an order","parameters":{"type":"object","properties":{"order_id":{"type":"string"},"amount":{"type":"number"}}}}}`
	lookupToolJSON = `{"type":"function","function":{"name":"get_order","description":"Read an order","parameters":{"type":"object","properties":{"order_id":{"type":"string"}}}}}`
)

// The prompt's fixed lines.
const (
	promptFirst = "I need your approval before I can process_refund."
	promptLast  = `Say "yes" to proceed or "no" to skip.`
	promptShort = promptFirst + "\n\n" + promptLast
)

// allowAll takes over every tool of the tests and lets it go.
const allowAll = `
name: Allow
rules:
  - id: allow-all
    condition: "Everything may go"
    tools: ["process_*", "get_*", "lookup*", "set_*", "run_*", "send_*", "weather", "webSearchTool"]
    when:
      - {if: 'true', effect: allow}
`

// talk is a conversation as a plain HTTP client keeps it: raw messages.
type talk struct {
	messages []string
	tools    []string
	members  string // further raw members of the body, each with a leading comma
	stream   bool
}

func newChat(user string) *talk {
	return &talk{messages: []string{said("user", user)}, tools: []string{refundToolJSON, lookupToolJSON}}
}

func said(role, text string) string {
	return `{"role":` + scripted.Quote(role) + `,"content":` + scripted.Quote(text) + `}`
}

// say appends an answer of the model and the next user message.
func (c *talk) say(answer, user string) *talk {
	next := *c
	next.messages = append(append([]string(nil), c.messages...), said("assistant", answer), said("user", user))
	return &next
}

func (c *talk) streaming(on bool) *talk {
	next := *c
	next.stream = on
	return &next
}

func (c *talk) with(members string) *talk {
	next := *c
	next.members = members
	return &next
}

func (c *talk) without() *talk {
	next := *c
	next.tools = nil
	return &next
}

// body is the request as it is sent.
func (c *talk) body() string {
	var b strings.Builder
	b.WriteString(`{"model":"gpt-any","messages":[` + strings.Join(c.messages, ",") + `]`)
	if len(c.tools) > 0 {
		b.WriteString(`,"tools":[` + strings.Join(c.tools, ",") + `]`)
	}
	if c.stream {
		b.WriteString(`,"stream":true`)
	}
	return b.String() + c.members + `}`
}

// seen is what a client makes of a reply, JSON or stream.
type seen struct {
	text    string
	finish  string
	calls   []seenCall
	legacy  *seenCall
	gate    string
	status  string
	conv    string
	trace   string
	pending []map[string]json.RawMessage
	ids     map[string]bool
	done    bool // [DONE] came
	failed  string
	choices map[int]bool
}

type seenCall struct{ id, kind, name, arguments string }

type wireChoice struct {
	Index        int          `json:"index"`
	Delta        *wireMessage `json:"delta"`
	Message      *wireMessage `json:"message"`
	FinishReason string       `json:"finish_reason"`
}

type wireMessage struct {
	Content   string `json:"content"`
	ToolCalls []struct {
		Index    int    `json:"index"`
		ID       string `json:"id"`
		Type     string `json:"type"`
		Function struct{ Name, Arguments string }
		Custom   struct{ Name, Input string }
	} `json:"tool_calls"`
	FunctionCall *struct{ Name, Arguments string } `json:"function_call"`
}

// tester is a test, or one run of a property.
type tester interface {
	require.TestingT
	Helper()
}

// read collects choice 0 of a reply, and any call of any other choice as well:
// a call is a call wherever it stands.
func (r reply) read(t tester) seen {
	t.Helper()
	s, err := r.parse()
	require.NoError(t, err)
	return s
}

// parse is read for goroutines. With an error it is what came before it.
func (r reply) parse() (seen, error) {
	s := seen{ids: map[string]bool{}, choices: map[int]bool{}}
	if !strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream") {
		return s, s.take(r.body)
	}
	for _, payload := range payloads(r.body) {
		if s.done {
			return s, errors.New("something came after [DONE]: " + payload)
		}
		if payload == "[DONE]" {
			s.done = true
		} else if err := s.take(payload); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *seen) take(raw string) error {
	var o struct {
		ID      string                       `json:"id"`
		Conv    string                       `json:"conversation_id"`
		Trace   string                       `json:"trace_id"`
		Gate    string                       `json:"gate"`
		Status  string                       `json:"status"`
		Pending []map[string]json.RawMessage `json:"pending_actions"`
		Choices []wireChoice                 `json:"choices"`
		Error   *struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(raw), &o); err != nil {
		return fmt.Errorf("%w in %s", err, raw)
	}
	if o.Error != nil {
		s.failed = o.Error.Code
		s.text += o.Error.Message
		return nil
	}
	s.ids[o.ID] = true
	for _, pair := range []struct {
		to   *string
		from string
	}{{&s.conv, o.Conv}, {&s.trace, o.Trace}, {&s.gate, o.Gate}, {&s.status, o.Status}} {
		if pair.from != "" {
			*pair.to = pair.from
		}
	}
	if o.Pending != nil {
		s.pending = o.Pending
	}
	for _, c := range o.Choices {
		s.choices[c.Index] = true
		m := c.Message
		if m == nil {
			m = c.Delta
		}
		if m == nil {
			m = &wireMessage{}
		}
		if c.Index == 0 {
			s.text += m.Content
			if c.FinishReason != "" {
				s.finish = c.FinishReason
			}
		}
		s.collect(m, c.Message != nil)
	}
	return nil
}

func (s *seen) collect(m *wireMessage, whole bool) {
	for i, part := range m.ToolCalls {
		at := part.Index
		if whole {
			at = i
		}
		for len(s.calls) <= at {
			s.calls = append(s.calls, seenCall{})
		}
		c := &s.calls[at]
		if c.id == "" {
			c.id, c.kind = part.ID, part.Type
		}
		if c.name == "" {
			c.name = part.Function.Name + part.Custom.Name
		}
		c.arguments += part.Function.Arguments + part.Custom.Input
	}
	if f := m.FunctionCall; f != nil {
		if s.legacy == nil {
			s.legacy = &seenCall{}
		}
		s.legacy.name += f.Name
		s.legacy.arguments += f.Arguments
	}
}

// held asserts that a reply asks and gives nothing away.
func (s seen) held(t tester, tool string) {
	t.Helper()
	s.silent(t)
	require.Contains(t, s.text, "I need your approval before I can "+tool+".")
	require.True(t, strings.HasSuffix(s.text, promptLast), "%q", s.text)
	require.Equal(t, "needs_input", s.gate)
	require.NotEmpty(t, s.pending)
}

// silent asserts that no call left in any form.
func (s seen) silent(t tester) {
	t.Helper()
	require.Empty(t, s.calls)
	require.Nil(t, s.legacy)
	require.NotEqual(t, "tool_calls", s.finish)
	require.NotEqual(t, "function_call", s.finish)
}

// released asserts that exactly this call left, to the byte.
func (s seen) released(t tester, c scripted.Call) {
	t.Helper()
	require.Equal(t, []seenCall{{c.ID, "function", c.Name, c.Arguments}}, s.calls)
	require.Equal(t, "tool_calls", s.finish)
	require.Equal(t, "ok", s.gate)
}

// bothWays runs a test with JSON replies and with streams.
func bothWays(t *testing.T, test func(t *testing.T, stream bool)) {
	t.Run("json", func(t *testing.T) { test(t, false) })
	t.Run("stream", func(t *testing.T) { test(t, true) })
}

// turnOf is the model's reply in the asked form.
func turnOf(stream bool, text string, calls ...scripted.Call) scripted.Reply {
	h := scripted.Head{}
	if stream {
		return scripted.Wire{}.Reply(h.Turn(text, calls...)...)
	}
	return scripted.JSON(h.Completion(text, calls...))
}

func refund(id, arguments string) scripted.Call {
	return scripted.Call{ID: id, Name: "process_refund", Arguments: arguments}
}
