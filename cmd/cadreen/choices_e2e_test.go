package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// heard is what a client makes of one choice, role and member order included:
// the texts in the order they came, and what came after its finish.
type heard struct {
	text      string
	reasoning string
	roles     int // how often the role was sent
	calls     int // deltas or messages that carried calls
	finishes  []string
	late      bool // something other than nothing came after the finish
}

// choice reads one choice of a reply.
func (r reply) choice(t *testing.T, index int) heard {
	t.Helper()
	var h heard
	bodies := []string{r.body}
	if strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream") {
		bodies = payloads(r.body)
	}
	for _, raw := range bodies {
		if raw == "[DONE]" {
			continue
		}
		var o struct {
			Choices []struct {
				Index   int `json:"index"`
				Delta   *heardMessage
				Message *heardMessage
				Finish  *string `json:"finish_reason"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(raw), &o), raw)
		for _, c := range o.Choices {
			if c.Index != index {
				continue
			}
			m := c.Message
			if m == nil {
				m = c.Delta
			}
			if m != nil {
				h.late = h.late || len(h.finishes) > 0
				h.take(m)
			}
			if c.Finish != nil {
				h.finishes = append(h.finishes, *c.Finish)
			}
		}
	}
	return h
}

type heardMessage struct {
	Role             string
	Content          string
	ReasoningContent string            `json:"reasoning_content"`
	ToolCalls        []json.RawMessage `json:"tool_calls"`
	FunctionCall     json.RawMessage   `json:"function_call"`
}

func (h *heard) take(m *heardMessage) {
	h.text += m.Content
	h.reasoning += m.ReasoningContent
	if m.Role != "" {
		h.roles++
	}
	if len(m.ToolCalls) > 0 || len(m.FunctionCall) > 0 && string(m.FunctionCall) != "null" {
		h.calls++
	}
}

// asksIn asserts that a choice ends with the question about one call and gives
// nothing away.
func (h heard) asksIn(t *testing.T, tool string) {
	t.Helper()
	require.Zero(t, h.calls)
	require.Contains(t, h.text, "I need your approval before I can "+tool+".")
	require.True(t, strings.HasSuffix(h.text, promptLast), "the question is the end of the text: %q", h.text)
	require.Equal(t, []string{"stop"}, h.finishes)
	require.False(t, h.late, "something came after the finish")
}
