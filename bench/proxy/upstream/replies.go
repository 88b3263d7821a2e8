package main

import (
	"fmt"
	"strings"
	"time"
)

// reply is one canned answer: a JSON body in one piece, or the frames of a stream.
type reply struct {
	stream bool
	frames [][]byte
	held   bool          // pauses after its first frame until it is released
	gap    time.Duration // between its frames
}

const (
	jsonReply = `{"id":"chatcmpl-upstream0001","object":"chat.completion","created":1767225600,"model":"bench","choices":[{"index":0,"message":%s,"logprobs":null,"finish_reason":"%s"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_44709d6fcb"}`
	chunk     = `data: {"id":"chatcmpl-upstream0001","object":"chat.completion.chunk","created":1767225600,"model":"bench","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}]}` + "\n\n"
	callHead  = `[{"index":0,"id":"call_1","type":"function","function":{"name":"get_order","arguments":""}}]`
)

// replies are the canned answers by the name a request gives.
func replies() map[string]reply {
	words := strings.Repeat("It left the warehouse on Friday. ", 20)
	call := func(amount string) string {
		return `{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_order","arguments":"{\"order_id\": \"456\", \"amount\": ` + amount + `}"}}]}`
	}
	return map[string]reply{
		"bench-json":      {frames: [][]byte{fmt.Appendf(nil, jsonReply, `{"role":"assistant","content":"`+words+`","refusal":null}`, "stop")}},
		"bench-call":      {frames: [][]byte{fmt.Appendf(nil, jsonReply, call("20.50"), "tool_calls")}},
		"bench-question":  {frames: [][]byte{fmt.Appendf(nil, jsonReply, call("2050.00"), "tool_calls")}},
		"bench-stream":    {stream: true, frames: textStream(200)},
		"bench-held":      {stream: true, frames: textStream(10), held: true},
		"bench-gaps":      {stream: true, frames: textStream(25), gap: 10 * time.Millisecond},
		"bench-fragments": {stream: true, frames: callStream(100)},
	}
}

// textStream is a reply of so many text chunks, with a role before and a finish behind them.
func textStream(chunks int) [][]byte {
	frames := [][]byte{fmt.Appendf(nil, chunk, `{"role":"assistant","content":"","refusal":null}`, "null")}
	for i := range chunks {
		frames = append(frames, fmt.Appendf(nil, chunk, fmt.Sprintf(`{"content":" word%d"}`, i), "null"))
	}
	return append(frames, fmt.Appendf(nil, chunk, `{}`, `"stop"`), []byte("data: [DONE]\n\n"))
}

// callStream is one call whose arguments come in so many fragments.
func callStream(fragments int) [][]byte {
	frames := [][]byte{fmt.Appendf(nil, chunk, `{"role":"assistant","content":null,"tool_calls":`+callHead+`}`, "null")}
	for i := range fragments {
		piece := fmt.Sprintf("%04d", i)
		switch i {
		case 0:
			piece = `{\"order_id\": \"456`
		case fragments - 1:
			piece = `\", \"amount\": 20.50}`
		}
		frames = append(frames, fmt.Appendf(nil, chunk, `{"tool_calls":[{"index":0,"function":{"arguments":"`+piece+`"}}]}`, "null"))
	}
	return append(frames, fmt.Appendf(nil, chunk, `{}`, `"tool_calls"`), []byte("data: [DONE]\n\n"))
}
