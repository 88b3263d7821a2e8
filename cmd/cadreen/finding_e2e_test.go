package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// Two open questions of one conversation: a bare yes means neither, a yes below
// one of them means that one.
func TestABareYesWithTwoOpenQuestions(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		bothWays(t, func(t *testing.T, stream bool) {
			id := `,"conversation_id":"conv_two_` + map[bool]string{true: "s", false: "j"}[stream] + `"`
			ask := newChat("Refund order 1").streaming(stream).with(id)
			first := asks(t, p, model, ask, refund("call_1", `{"order_id":"1"}`))
			// An agent's turn that ends in a tool result passes nothing over.
			agent := newChat("Refund order 2").streaming(stream).with(id)
			agent.messages = append(agent.messages,
				`{"role":"assistant","content":null,"tool_calls":[{"id":"call_0","type":"function","function":{"name":"get_order","arguments":"{}"}}]}`,
				`{"role":"tool","tool_call_id":"call_0","content":"fine"}`)
			second := asks(t, p, model, agent, refund("call_2", `{"order_id":"2"}`))
			bare := newChat("yes").streaming(stream).with(id)
			got := p.post(bare.body()).read(t)
			got.silent(t)
			require.Equal(t, "needs_input", got.gate)
			require.Contains(t, got.text, "2 requests are open here")
			require.Equal(t, 2, strings.Count(got.text, "process_refund"))
			p.post(agent.say(second.text, "yes").body()).read(t).released(t, refund("call_2", `{"order_id":"2"}`))
			p.post(bare.body()).read(t).released(t, refund("call_1", `{"order_id":"1"}`))
			require.NotEmpty(t, first.text)
		})
	})
}

// The question in the shapes in which clients send it back.
func TestTheQuestionComesBackInManyShapes(t *testing.T) {
	p, model := startScripted(t, setup{})
	call := refund("call_1", refundArgs)
	for name, shape := range map[string]func(text string) []string{
		"parts": func(s string) []string {
			return []string{`{"role":"assistant","content":[{"type":"text","text":` + scripted.Quote(s) + `}]}`}
		},
		"name and refusal": func(s string) []string {
			return []string{`{"role":"assistant","name":"bot","refusal":null,"audio":null,"content":` + scripted.Quote(s) + `}`}
		},
		"system behind":    func(s string) []string { return []string{said("assistant", s), said("system", "Be brief.")} },
		"developer behind": func(s string) []string { return []string{said("assistant", s), said("developer", "Be brief.")} },
		"our own fields": func(s string) []string {
			return []string{`{"role":"assistant","content":` + scripted.Quote(s) + `,"reasoning_content":"hm","tool_calls":[]}`}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ask := newChat("Refund order 456 " + name)
			asked := asks(t, p, model, ask, call)
			back := *ask
			back.messages = append(append(append([]string(nil), ask.messages...), shape(asked.text)...), said("user", "yes"))
			p.post(back.body()).read(t).released(t, call)
		})
	}
}

// The words of the user in the shapes in which clients send them again.
func TestTheUsersWordsComeBackInManyShapes(t *testing.T) {
	p, model := startScripted(t, setup{})
	call := refund("call_1", refundArgs)
	const picture = `{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}`
	for name, c := range map[string]struct{ first, later string }{
		"text to parts":        {`"Refund order 456, one"`, `[{"type":"text","text":"Refund order 456, one"}]`},
		"parts to text":        {`[{"type":"text","text":"Refund order 456, two"}]`, `"Refund order 456, two"`},
		"the picture is gone":  {`[{"type":"text","text":"Refund this order"},` + picture + `]`, `"Refund this order"`},
		"blanks":               {`"Refund  order 456,\r\nthree "`, `"Refund order 456, three"`},
		"composed differently": {`"Refund Zu\u0308rich"`, `"Refund Z\u00fcrich"`},
	} {
		t.Run(name, func(t *testing.T) {
			ask := newChat("")
			ask.messages = []string{`{"role":"user","content":` + c.first + `}`}
			asked := asks(t, p, model, ask, call)
			later := newChat("")
			later.messages = []string{`{"role":"user","content":` + c.later + `}`, said("assistant", asked.text), said("user", "yes")}
			p.post(later.body()).read(t).released(t, call)
		})
	}
}

// Which of several ids counts: the body's, then ours, then the configured ones
// in their order, then the metadata's.
func TestWhichConversationIDCounts(t *testing.T) {
	p, model := startScripted(t, setup{})
	model.Otherwise(turnOf(false, "fine"))
	for name, c := range map[string]struct {
		members string
		headers []string
		want    string
	}{
		"body":               {`,"conversation_id":"b","metadata":{"conversation_id":"m"}`, []string{"X-Cadreen-Conversation-Id", "h", "X-Session-Id", "s"}, "b"},
		"our header":         {`,"metadata":{"conversation_id":"m"}`, []string{"X-Cadreen-Conversation-Id", "h", "X-OpenWebUI-Chat-Id", "o", "X-Session-Id", "s"}, "h"},
		"the first of them":  {`,"metadata":{"conversation_id":"m"}`, []string{"X-Session-Id", "s", "ChatUI-Conversation-ID", "c", "X-OpenWebUI-Chat-Id", "o"}, "o"},
		"affinity":           {``, []string{"x-session-affinity", "a"}, "a"},
		"metadata":           {`,"metadata":{"thread_id":"t","conversation_id":"m"}`, nil, "m"},
		"thread":             {`,"metadata":{"thread_id":"t"}`, nil, "t"},
		"an empty header":    {``, []string{"X-OpenWebUI-Chat-Id", " ", "X-Session-Id", "s"}, "s"},
		"an empty body":      {`,"conversation_id":""`, []string{"X-Session-Id", "s"}, "s"},
		"null in the body":   {`,"conversation_id":null`, []string{"X-Session-Id", "s"}, "s"},
		"no id at all":       {`,"user":"u","safety_identifier":"x","prompt_cache_key":"k"`, nil, "conv_"},
		"metadata no string": {`,"metadata":{"conversation_id":7,"thread_id":["t"]}`, nil, "conv_"},
	} {
		t.Run(name, func(t *testing.T) {
			got := p.post(newChat("hi").with(c.members).body(), c.headers...).read(t)
			if c.want == "conv_" {
				require.True(t, strings.HasPrefix(got.conv, c.want), got.conv)
				return
			}
			require.Equal(t, c.want, got.conv)
		})
	}
}

// The narrowing of a principal: one key, several persons.
func TestPersonsOfOneKeyAreApart(t *testing.T) {
	p, model := startScripted(t, setup{})
	call := refund("call_1", refundArgs)
	for name, members := range map[string]string{"user_id": `,"user_id":"ann"`, "user": `,"user":"ann"`} {
		t.Run(name, func(t *testing.T) {
			ask := newChat("Refund order 456 " + name)
			asked := asks(t, p, model, ask.with(members), call)
			refused(t, p, model, ask.say(asked.text, "yes").body())
			refused(t, p, model, ask.say(asked.text, "yes").with(strings.Replace(members, "ann", "bob", 1)).body())
			p.post(ask.say(asked.text, "yes").with(members).body()).read(t).released(t, call)
		})
	}
}
