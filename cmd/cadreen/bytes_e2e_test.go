package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// oddRequest holds everything that re-encoding loses or changes: key order,
// odd spacing, number spellings, escapes, unknown members, a null, 20 digits.
const oddRequest = `{ "temperature":0.70,"messages" : [
	{"content":null,"role":"assistant","tool_calls":[{"id":"call_x","type":"function","function":{"name":"get_order","arguments":"{\"order_id\" : 12345678901234567890, \"city\":\"Z\\u00fcrich\"}"}}]},
	{"role":"tool","tool_call_id":"call_x","content":"{\"total\":750.00}"},
	{"role":"user","content":[{"type":"text","text":"h\u00e9llo \ud83d\ude00 \/ <b>"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}},{"type":"input_audio","input_audio":{"data":"UklG","format":"wav"}},{"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA","filename":"a.pdf"}}]}
 ],"model":"gpt-any" ,"n":1,"x_unknown":{"b":1.0e+2,"a":[ ]},"logprobs":true,"top_logprobs":2,"response_format":{"type":"json_schema","json_schema":{"name":"o","schema":{"z":1,"a":2},"strict":true}},
 "stream_options":{"include_usage":true},"reasoning_effort":"low","parallel_tool_calls":false,"max_completion_tokens":12,"seed":12345678901234567890,
 "tools":[{"type":"function","function":{"strict":true,"parameters":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"number"}},"additionalProperties":false},"name":"lookup"}},{"type":"custom","custom":{"name":"run_sql","description":"x"}}]%s}`

func TestRequestBytesReachTheModelUnchanged(t *testing.T) {
	p, model := startScripted(t, setup{policy: allowAll})
	model.Otherwise(turnOf(false, "fine"))
	for name, members := range map[string]string{
		"nothing ours":  "",
		"streaming":     `,"stream": false`,
		"legacy":        `,"functions":[{"name":"lookup_old","parameters":{"type":"object"}}],"function_call":"auto"`,
		"a deep schema": `,"metadata":{"k":"v"},"user":"someone","safety_identifier":"s","prompt_cache_key":"p"`,
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(oddRequest, "%s", members, 1)
			r := p.post(body)
			require.Equal(t, 200, r.status, r.body)
			got := model.Last()
			require.Equal(t, body, string(got.Body))
			require.Equal(t, int64(len(body)), got.ContentLength)
		})
	}
}

// Our four fields are cut out wherever they stand; the rest keeps its place.
func TestOurFieldsAreCutOutAndNothingElse(t *testing.T) {
	p, model := startScripted(t, setup{})
	model.Otherwise(turnOf(false, "fine"))
	const rest = `"messages":[{"role":"user","content":"hi, \"memory\":true"}],"x":{"conversation_id":"inner","memory":1}`
	for name, c := range map[string]struct{ sent, want string }{
		"first":    {`{"conversation_id":"conv_1",` + rest + `}`, `{` + rest + `}`},
		"last":     {`{` + rest + `,"memory":false}`, `{` + rest + `}`},
		"all four": {`{"user_id":"u","conversation_id":"conv_1",` + rest + `,"memory":true,"context":{"domain":"d","a":[1,{"b":2}]}}`, `{` + rest + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := p.post(c.sent)
			require.Equal(t, 200, r.status, r.body)
			require.Equal(t, c.want, string(model.Last().Body))
		})
	}
}

func TestHeadersOfOursAndCookiesNeverReachTheModel(t *testing.T) {
	p, model := startScripted(t, setup{})
	model.Otherwise(scripted.Status(200, scripted.Head{}.Completion("fine"), "Set-Cookie", "a=b", "X-Vendor", "v"))
	r := p.post(newChat("hi").body(), "Cookie", "c=d", "X-Cadreen-Conversation-Id", "c1", "X-Cadreen-Gate", "ok", "X-Cadreen-Anything", "x")
	require.Equal(t, 200, r.status, r.body)
	require.Empty(t, r.header.Values("Set-Cookie"))
	for name, values := range model.Last().Header {
		require.False(t, strings.HasPrefix(strings.ToLower(name), "x-cadreen"), "%s: %v", name, values)
		require.NotEqual(t, "Cookie", name)
		require.NotContains(t, strings.Join(values, " "), keyAnn, name)
	}
	require.Contains(t, []string{"", "identity"}, model.Last().Header.Get("Accept-Encoding"))
}

// Replies that need no decision come back as the model wrote them.
func TestReplyBytesComeBackUnchanged(t *testing.T) {
	odd := `{ "x_vendor":{"score":1.50,"big":12345678901234567890},"id":"chatcmpl-up","choices":[{"logprobs":{"content":[{"token":"a","logprob":-0.10,"bytes":null,"top_logprobs":[]}],"refusal":null},"finish_reason":"stop","index":0,
	"message":{"refusal":null,"role":"assistant","content":"Z\u00fcrich \/ \ud83d\ude00","reasoning_content":"hm\u2026","annotations":[ ]}}],"created":1700000000,"model":"gpt-4o-2024","object":"chat.completion","system_fingerprint":null,
	"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0}}}`
	for name, raw := range map[string]string{
		"odd":   odd,
		"calls": scripted.Head{Extra: `,"x":1.0`}.Completion("one moment", scripted.Call{ID: "call_1", Name: "get_order", Arguments: `{"order_id" : "Z\u00fcrich", "n":12345678901234567890, "a":750.00}`, Extra: `,"extra_content":{"google":{"thought_signature":"c2ln"}}`}),
		"two choices": scripted.Head{}.CompletionOf(`{"index":0,"message":{"role":"assistant","content":"a","refusal":null},"logprobs":null,"finish_reason":"stop"}`,
			`{"index":1,"message":{"role":"assistant","content":"b","refusal":null},"logprobs":null,"finish_reason":"length"}`),
	} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{policy: allowAll})
			p.loose = name == "odd" // a null where OpenAI's document wants a string
			model.Next(scripted.JSON(raw))
			r := p.post(newChat("hi").body())
			sameObject(t, raw, r)
			require.Equal(t, "ok", r.read(t).gate)
		})
	}
}

// What was held is released with the characters that the model wrote, in both
// forms, and without asking the model again.
func TestReleasedArgumentsAreTheModelsCharacters(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		for name, arguments := range map[string]string{
			"escapes":      `{"order_id":"Z\u00fcrich \/ \ud83d\ude00"}`,
			"numbers":      `{"amount":750.00,"b":1e2,"c":-0,"d":12345678901234567890,"e":9007199254740993}`,
			"odd spacing":  "{ \"order_id\" :\t\"456\" ,\n \"amount\":  1 }",
			"key order":    `{"z":1,"a":2,"m":{"y":1,"b":2}}`,
			"unicode":      `{"order_id":"Zürich 😀"}`,
			"empty object": `{}`,
		} {
			t.Run(name, func(t *testing.T) {
				bothWays(t, func(t *testing.T, stream bool) {
					call := refund("call_"+strings.ReplaceAll(name, " ", "_"), arguments)
					call.Extra = `,"extra_content":{"google":{"thought_signature":"c2ln\u002b"}}`
					model.Next(turnOf(stream, "", call))
					ask := newChat("Refund it: " + name).streaming(stream)
					asked := p.post(ask.body()).read(t)
					asked.held(t, "process_refund")

					sofar := len(model.Requests())
					r := p.post(ask.say(asked.text, "yes").body())
					r.read(t).released(t, call)
					require.Contains(t, r.body, `"extra_content":{"google":{"thought_signature":"c2ln\u002b"}}`)
					require.Contains(t, r.body, `"arguments":`+scripted.Quote(arguments))
					require.Len(t, model.Requests(), sofar, "a yes costs no model call")
				})
			})
		}
	})
}
