package openai

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const textChunk = `{"id":"chatcmpl-9x8y7z6w5v","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4.1-mini-2026-01-01","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}`

const callChunk = `{"id":"chatcmpl-9x8y7z6w5v","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4.1-mini-2026-01-01","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"order_id\":"}}]},"logprobs":null,"finish_reason":null}]}`

// bigRequest is a request of about 19 KB with 30 messages and 20 tools.
func bigRequest() []byte {
	var b strings.Builder
	b.WriteString(`{"model":"gpt-4.1-mini","temperature":0.20,"conversation_id":"conv_01","messages":[`)
	for i := range 30 {
		if i > 0 {
			b.WriteByte(',')
		}
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, `{"role":"user","content":"Please look at order %d, the customer says \"it never came\" and wants her money back.\nThank you, and be quick about it."}`, i)
		case 1:
			fmt.Fprintf(&b, `{"role":"assistant","content":null,"tool_calls":[{"id":"call_%d","type":"function","function":{"name":"get_order","arguments":"{\"order_id\":\"%d\",\"with_items\":true}"}}]}`, i, i)
		case 2:
			fmt.Fprintf(&b, `{"role":"tool","tool_call_id":"call_%d","content":"{\"status\":\"shipped\",\"amount\":750.00,\"items\":[{\"sku\":\"A-1\",\"count\":2},{\"sku\":\"B-7\",\"count\":1}],\"carrier\":\"none\"}"}`, i-1)
		}
	}
	b.WriteString(`],"tools":[`)
	for i := range 20 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"function","function":{"name":"tool_%d","description":"Does the thing number %d for an order, a customer or a shipment, with care, and says what it has done in one short sentence.","strict":true,"parameters":{"type":"object","properties":{"order_id":{"type":"string","description":"The number of the order, as the customer wrote it"},"amount":{"type":"number","minimum":0},"kind":{"type":"string","enum":["full","partial","goodwill"]},"notify":{"type":"boolean"},"lines":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"count":{"type":"integer"}},"required":["sku"]}}},"required":["order_id","amount"],"additionalProperties":false}}}`, i, i)
	}
	b.WriteString(`],"tool_choice":"auto","stream":true,"stream_options":{"include_usage":true},"user_id":"u_1"}`)
	return []byte(b.String())
}

func TestTheBenchmarkedRequestIsWhatItSays(t *testing.T) {
	body := bigRequest()
	require.InDelta(t, 19_000, len(body), 1_500)
	r, err := ParseRequest(body)
	require.NoError(t, err)
	require.Len(t, r.Messages, 30)
	require.Len(t, r.Tools, 20)
	require.True(t, r.IncludeUsage)
}

// The wire path allocates per request, not per frame.
func TestAChunkAllocatesNothing(t *testing.T) {
	for name, chunk := range map[string]string{"text": textChunk, "role": `{"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}`,
		"reasoning": `{"choices":[{"index":0,"delta":{"reasoning_content":"hm \n"},"finish_reason":null}]}`, "finish": `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
		"usage": `{"choices":[],"usage":{"total_tokens":5}}`, "two choices": `{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}`} {
		t.Run(name, func(t *testing.T) {
			var v View
			data, out, id := []byte(chunk), make([]byte, 0, 1024), []byte(`"chatcmpl-ours"`)
			edits := make([]Edit, 0, 8)
			one := func() {
				if err := v.Parse(data); err != nil {
					panic(err)
				}
				edits = append(edits[:0], v.Cut("conversation_id", "trace_id", "gate", "status", "next_action", "pending_actions", "intelligence", "error")...)
				if v.ID.Present() {
					edits = append(edits, Edit{v.ID, id})
				}
				out = Splice(out[:0], data, edits...)
			}
			one()
			if raced {
				t.Skip("under the race detector sync.Pool forgets")
			}
			require.Zero(t, testing.AllocsPerRun(1000, one))
		})
	}
}

func BenchmarkChunk(b *testing.B) {
	for name, chunk := range map[string]string{"text": textChunk, "call": callChunk} {
		b.Run(name, func(b *testing.B) {
			var v View
			data := []byte(chunk)
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := v.Parse(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRequestScanAndSplice(b *testing.B) {
	body := bigRequest()
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r, err := ParseRequest(body)
		if err != nil {
			b.Fatal(err)
		}
		if out := upstream(r, "gpt-4.1"); len(out) >= len(body) {
			b.Fatal(len(out))
		}
		r.Release()
	}
}

func BenchmarkParseRequest(b *testing.B) {
	body := bigRequest()
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r, err := ParseRequest(body)
		if err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}

func BenchmarkStrictScan(b *testing.B) {
	body := bigRequest()
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := check(body); err != nil {
			b.Fatal(err)
		}
	}
}
