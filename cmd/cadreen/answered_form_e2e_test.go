package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// withTool offers the custom tool run_sql beside the others.
func withCustom(c *talk) *talk {
	next := *c
	next.tools = append(append([]string(nil), c.tools...), `{"type":"custom","custom":{"name":"run_sql"}}`)
	return &next
}

// What is asked in one form may be answered in the other; the call is the same.
func TestAskedInOneFormAnsweredInTheOther(t *testing.T) {
	h := scripted.Head{}
	const sql = "drop table \"a\";\n-- ü"
	inJSON := func(message, finish string) scripted.Reply {
		return scripted.JSON(h.CompletionOf(`{"index":0,"message":{"role":"assistant","content":null,"refusal":null,` + message + `},"logprobs":null,"finish_reason":"` + finish + `"}`))
	}
	inStream := func(chunks []string, finish string) scripted.Reply {
		return scripted.Wire{}.Reply(append(append([]string{h.Role(0)}, chunks...), h.Finish(0, finish))...)
	}
	for name, c := range map[string]struct {
		ask          *talk
		json, stream scripted.Reply
		want         seenCall
		finish       string
		tool         string
		keeps        string
	}{
		"function": {
			ask:    newChat("Refund it"),
			json:   inJSON(`"tool_calls":[{"id":"call_1","type":"function","function":{"name":"process_refund","arguments":"{\"order_id\":\"Z\\u00fcrich\", \"amount\":1e2}"},"extra_content":{"a":1.0}}]`, "tool_calls"),
			stream: inStream(h.CallChunks(0, 0, scripted.Call{ID: "call_1", Name: "process_refund", Arguments: `{"order_id":"Z\u00fcrich", "amount":1e2}`, Extra: `,"extra_content":{"a":1.0}`}, 3), "tool_calls"),
			want:   seenCall{"call_1", "function", "process_refund", `{"order_id":"Z\u00fcrich", "amount":1e2}`}, finish: "tool_calls", tool: "process_refund",
			keeps: `"extra_content":{"a":1.0}`,
		},
		// DeepSeek and Mistral put an index into the calls of JSON replies too.
		"function with an index in JSON": {
			ask:    newChat("Refund it"),
			json:   inJSON(`"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"process_refund","arguments":"{}"}}]`, "tool_calls"),
			stream: inStream(h.CallChunks(0, 0, refund("call_1", `{}`), 0), "tool_calls"),
			want:   seenCall{"call_1", "function", "process_refund", `{}`}, finish: "tool_calls", tool: "process_refund",
		},
		"function with an index that is null": {
			ask:    newChat("Refund it"),
			json:   inJSON(`"tool_calls":[{"id":"call_1","type":"function","index":null,"function":{"name":"process_refund","arguments":"{}"}}]`, "tool_calls"),
			stream: inStream([]string{h.Delta(0, `{"tool_calls":[{"index":null,"id":"call_1","type":"function","function":{"name":"process_refund","arguments":"{}"}}]}`)}, "tool_calls"),
			want:   seenCall{"call_1", "function", "process_refund", `{}`}, finish: "tool_calls", tool: "process_refund",
		},
		"custom": {
			ask:    withCustom(newChat("do it")),
			json:   inJSON(`"tool_calls":[{"id":"call_c","type":"custom","custom":{"name":"run_sql","input":`+scripted.Quote(sql)+`}}]`, "tool_calls"),
			stream: inStream(h.CustomChunks(0, 0, scripted.Call{ID: "call_c", Name: "run_sql", Arguments: sql}, 3), "tool_calls"),
			want:   seenCall{"call_c", "custom", "run_sql", sql}, finish: "tool_calls", tool: "run_sql",
		},
		"legacy": {
			ask:    newChat("Refund it").without().with(`,"functions":[{"name":"process_refund","parameters":{"type":"object"}}]`),
			json:   inJSON(`"function_call":{"name":"process_refund","arguments":"{\"amount\": 1.50}"}`, "function_call"),
			stream: inStream(h.LegacyChunks(0, refund("", `{"amount": 1.50}`), 3), "function_call"),
			want:   seenCall{"", "", "process_refund", `{"amount": 1.50}`}, finish: "function_call", tool: "process_refund",
		},
	} {
		for _, way := range []struct {
			name         string
			asks, answer bool
		}{{"json json", false, false}, {"json stream", false, true}, {"stream json", true, false}, {"stream stream", true, true}} {
			t.Run(name+"/"+way.name, func(t *testing.T) {
				p, model := startScripted(t, setup{})
				p.loose = name == "custom" // OpenAI's document knows no custom calls in chunks
				model.Next(c.json)
				if way.asks {
					model = nil
					p, model = startScripted(t, setup{})
					p.loose = name == "custom"
					model.Next(c.stream)
				}
				ask := c.ask.streaming(way.asks)
				asked := p.post(ask.body()).read(t)
				asked.held(t, c.tool)
				r := p.post(ask.say(asked.text, "yes").streaming(way.answer).body())
				checkStrict(t, r)
				got := r.read(t)
				if name == "legacy" {
					require.Equal(t, &c.want, got.legacy)
				} else {
					require.Equal(t, []seenCall{c.want}, got.calls)
				}
				require.Equal(t, c.finish, got.finish)
				require.Equal(t, way.answer, got.done)
				require.Contains(t, r.body, c.keeps)
				require.Equal(t, 1, r.choice(t, 0).roles, "the role comes with the first delta")
				require.Equal(t, "ok", r.header.Get("X-Cadreen-Gate"))
			})
		}
	}
}

// An answer in part is words and calls, in both forms.
func TestAnAnswerInPartIsWordsAndCalls(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{})
		one, two := refund("call_1", `{"order_id":"1"}`), refund("call_2", `{"order_id":"2"}`)
		model.Next(turnOf(false, "", one, two))
		ask := newChat("Refund both")
		asked := p.post(ask.body()).read(t)
		r := p.post(ask.say(asked.text, "2").streaming(stream).body())
		got := r.read(t)
		got.released(t, two)
		require.Contains(t, got.text, "process_refund")
		require.Equal(t, 1, r.choice(t, 0).roles)
		require.False(t, strings.Contains(r.body, "call_1"))
	})
}
