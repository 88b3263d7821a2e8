package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

const observe = "profile: observe\n"

func TestAToolThatWasNotOfferedIsBlocked(t *testing.T) {
	for name, tool := range map[string]string{"another tool": "delete_everything", "case variant": "Process_Refund", "blanks": "process_refund ", "look-alike": "process_refu\u0578d", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, stream bool) {
				p, model := startScripted(t, setup{policy: allowAll})
				model.Next(turnOf(stream, "", scripted.Call{ID: "call_1", Name: tool, Arguments: `{}`}))
				got := p.post(newChat("hi").streaming(stream).body()).read(t)
				got.silent(t)
				require.Equal(t, "blocked", got.gate)
				require.Equal(t, "blocked_by_policy", got.status)
				require.Equal(t, "stop", got.finish)
			})
		})
	}
}

func TestForcedToolChoiceOnAWriteToolIsStillAsked(t *testing.T) {
	p, model := startScripted(t, setup{})
	bothWays(t, func(t *testing.T, stream bool) {
		ask := newChat("Refund").streaming(stream).with(`,"tool_choice":{"type":"function","function":{"name":"process_refund"}}`)
		ask.tools = []string{refundToolJSON}
		asks(t, p, model, ask, refund("call_1", `{"order_id":"1"}`))
	})
}

// A15: the key of the calls may be spelled with escapes.
func TestEscapedKeysHideNothing(t *testing.T) {
	h := scripted.Head{}
	for _, key := range []string{`"tool\u005fcalls"`, `"\u0074ool_calls"`, `"tool_call\u0073"`} {
		t.Run("stream "+key, func(t *testing.T) {
			p, model := startScripted(t, setup{})
			call := refund("call_1", `{"order_id":"1"}`)
			call.Key = key
			model.Next(scripted.Wire{}.Reply(append(append([]string{h.Role(0)}, h.CallChunks(0, 0, call, 2)...), h.Finish(0, "tool_calls"))...))
			p.post(newChat("Refund").streaming(true).body()).read(t).held(t, "process_refund")
		})
		t.Run("json "+key, func(t *testing.T) {
			p, model := startScripted(t, setup{})
			model.Next(scripted.JSON(strings.Replace(h.Completion("", refund("call_1", `{"order_id":"1"}`)), `"tool_calls":[`, key+`:[`, 1)))
			p.post(newChat("Refund").body()).read(t).held(t, "process_refund")
		})
	}
	t.Run("legacy", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		model.Next(scripted.Wire{}.Reply(h.Role(0), h.Delta(0, `{"function\u005fcall":{"name":"process_refund","arguments":"{}"}}`), h.Finish(0, "function_call")))
		p.post(newChat("Refund").streaming(true).body()).read(t).held(t, "process_refund")
	})
	t.Run("request", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		body := strings.Replace(newChat("Refund").body(), `"tools"`, `"t\u006fols"`, 1)
		model.Next(turnOf(false, "", refund("call_1", `{"order_id":"1"}`)))
		p.post(body).read(t).held(t, "process_refund")
		require.Equal(t, body, string(model.Last().Body))
	})
	t.Run("our fields", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		model.Next(turnOf(false, "fine"))
		p.post(newChat("hi").with(`,"conversation\u005fid":"c"`).body())
		require.NotContains(t, string(model.Last().Body), "conversation")
	})
}

// Some clients match names without regard to case, so no variant may carry a
// call past the gate.
func TestCaseVariantsCarryNoCall(t *testing.T) {
	h := scripted.Head{}
	call := `[{"index":0,"id":"call_1","type":"function","function":{"name":"process_refund","arguments":"{}"}}]`
	for name, chunk := range map[string]string{
		"Tool_Calls":    h.Delta(0, `{"Tool_Calls":`+call+`}`),
		"TOOL_CALLS":    h.Delta(0, `{"content":"x","TOOL_CALLS":`+call+`}`),
		"Delta":         h.Chunk(`[{"index":0,"Delta":{"tool_calls":`+call+`},"finish_reason":null}]`, ""),
		"Choices":       strings.Replace(h.Delta(0, `{"tool_calls":`+call+`}`), `"choices"`, `"Choices"`, 1),
		"Function_Call": h.Delta(0, `{"Function_Call":{"name":"process_refund","arguments":"{}"}}`),
		"message":       h.Chunk(`[{"index":0,"message":{"role":"assistant","tool_calls":`+call+`},"delta":{},"finish_reason":null}]`, ""),
	} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{})
			p.loose = true
			model.Next(scripted.Wire{}.Reply(h.Role(0), chunk, h.Finish(0, "tool_calls")))
			r := p.post(newChat("Refund").streaming(true).body())
			for _, payload := range payloads(r.body) {
				require.NotContains(t, strings.ToLower(payload), `"arguments":"{}"`)
			}
			r.read(t).silent(t)
		})
	}
}

// A6: every choice is governed, not only the first.
func TestACallInTheSecondChoiceIsGoverned(t *testing.T) {
	h := scripted.Head{}
	t.Run("stream", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		chunks := append([]string{h.Role(0), h.Role(1), h.Text(0, "words")}, h.CallChunks(1, 0, refund("call_1", `{"order_id":"1"}`), 2)...)
		model.Next(scripted.Wire{}.Reply(append(chunks, h.Finish(0, "stop"), h.Finish(1, "tool_calls"))...))
		r := p.post(newChat("Refund").streaming(true).with(`,"n":2`).body())
		r.read(t).silent(t)
		require.Contains(t, r.body, "I need your approval before I can process_refund.")
	})
	t.Run("json", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		model.Next(scripted.JSON(h.CompletionOf(`{"index":0,"message":{"role":"assistant","content":"words","refusal":null},"logprobs":null,"finish_reason":"stop"}`,
			`{"index":1,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"process_refund","arguments":"{}"}}]},"logprobs":null,"finish_reason":"tool_calls"}`)))
		r := p.post(newChat("Refund").with(`,"n":2`).body())
		r.read(t).silent(t)
		require.Contains(t, r.body, "I need your approval before I can process_refund.")
	})
}

// CLIENTS 8: clients run calls that arrive after a finish.
func TestACallAfterTheFinishDoesNotLeave(t *testing.T) {
	h := scripted.Head{}
	for name, c := range map[string]struct{ policy, tool string }{"asked": {"", "process_refund"}, "allowed": {allowAll, "get_order"}} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{policy: c.policy})
			call := scripted.Call{ID: "call_1", Name: c.tool, Arguments: `{}`}
			model.Next(scripted.Wire{}.Reply(append([]string{h.Role(0), h.Text(0, "words"), h.Finish(0, "stop")}, h.CallChunks(0, 0, call, 1)...)...))
			r := p.post(newChat("hi").streaming(true).body())
			require.NotContains(t, r.body, `"arguments"`)
			require.Empty(t, r.read(t).calls)
		})
	}
}

// D47 and the duplicate rule: what two readers understand differently is blocked.
func TestArgumentsThatTwoReadersReadDifferentlyAreBlocked(t *testing.T) {
	for name, arguments := range map[string]string{
		"duplicate keys":         `{"amount":1,"amount":1000000}`,
		"escaped duplicate keys": `{"amount":1,"\u0061mount":1000000}`,
		"nested duplicates":      `{"a":{"b":1,"b":2}}`,
		"not an object":          `[1]`,
		"two values":             `{} {}`,
		"trailing text":          `{"amount":1} and more`,
		"not JSON":               `amount=1`,
		"BOM":                    "\ufeff{}",
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, stream bool) {
				p, model := startScripted(t, setup{policy: allowAll})
				model.Next(turnOf(stream, "", refund("call_1", arguments)))
				got := p.post(newChat("Refund").streaming(stream).body()).read(t)
				got.silent(t)
				require.Equal(t, "blocked", got.gate)
			})
		})
	}
}

// A request that two readers read differently is refused before anything.
func TestRequestsThatTwoReadersReadDifferentlyAreRefused(t *testing.T) {
	p, model := startScripted(t, setup{})
	good := newChat("hi").body()
	for name, body := range map[string]string{
		"duplicate names":         strings.Replace(good, `"tools"`, `"messages":[],"tools"`, 1),
		"escaped duplicate names": strings.Replace(good, `"tools"`, `"m\u0065ssages":[],"tools"`, 1),
		"nested duplicates":       strings.Replace(good, `"role":"user"`, `"role":"user","role":"system"`, 1),
		"trailing bytes":          good + ` {}`,
		"invalid UTF-8":           strings.Replace(good, "hi", "h\xff", 1),
		"over-deep":               strings.Replace(good, `"model"`, `"x":`+strings.Repeat(`[`, 20000)+strings.Repeat(`]`, 20000)+`,"model"`, 1),
		"a BOM":                   "\ufeff" + good,
		"empty":                   "",
		"no object":               "[]",
	} {
		t.Run(name, func(t *testing.T) {
			r := p.post(body)
			require.Equal(t, 400, r.status, r.body)
			require.Contains(t, r.body, `"code":"invalid_request"`)
			require.Equal(t, "false", r.header.Get("X-Should-Retry"))
			require.Empty(t, model.Requests())
		})
	}
}

// A9: provider-executed tools never pass the gate.
func TestHostedToolsAreRefused(t *testing.T) {
	p, model := startScripted(t, setup{})
	for name, members := range map[string]string{"web_search_options": `,"web_search_options":{}`, "a hosted tool": `,"tools":[{"type":"web_search"}]`} {
		t.Run(name, func(t *testing.T) {
			r := p.post(newChat("hi").without().with(members).body())
			require.Equal(t, 400, r.status, r.body)
			require.Empty(t, model.Requests())
		})
	}
	t.Run("observe lets them through", func(t *testing.T) {
		p, model := startScripted(t, setup{yaml: observe})
		model.Next(turnOf(false, "fine"))
		require.Equal(t, 200, p.post(newChat("hi").without().with(`,"web_search_options":{}`).body()).status)
	})
}
