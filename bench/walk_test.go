// Package bench_test measures what no single room can: one governed chat completion over real sockets, with a durable store,
// beside the same request sent to the model server directly; and how the time of a decision is spread.
//
// What one room does alone (scan, frames, commits, keys) is measured beside its code. bench/run puts all of it into one table.
package bench_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store/sqlite"
)

const (
	tool     = `{"type":"function","function":{"name":"get_order","description":"Looks an order up","parameters":{"type":"object","properties":{"order_id":{"type":"string"}}}}}`
	request  = `{"model":"m","messages":[{"role":"user","content":"Where is order 456?"}],"tools":[` + tool + `]`
	text     = `{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"It left the warehouse on Friday.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}`
	call     = `{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_order","arguments":"{\"order_id\":\"456\"}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}`
	chunk    = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1767225600,"model":"m","choices":[{"index":0,"delta":%s},"logprobs":null,"finish_reason":%s}]}` + "\n\n"
	ofFrames = 200 // text frames of the stream
)

// stream is a reply of so many text frames.
func stream() string {
	var b strings.Builder
	fmt.Fprintf(&b, chunk, `{"role":"assistant","content":""`, "null")
	for range ofFrames {
		fmt.Fprintf(&b, chunk, `{"content":" word"`, "null")
	}
	fmt.Fprintf(&b, chunk, `{`, `"stop"`)
	b.WriteString("data: [DONE]\n\n")
	return b.String()
}

// fragments is a reply of one call whose arguments come in so many frames.
func fragments() string {
	var b strings.Builder
	fmt.Fprintf(&b, chunk, `{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_order","arguments":""}}]`, "null")
	fmt.Fprintf(&b, chunk, `{"tool_calls":[{"index":0,"function":{"arguments":"{\"order_id\":\""}}]`, "null")
	for range 100 {
		fmt.Fprintf(&b, chunk, `{"tool_calls":[{"index":0,"function":{"arguments":"456"}}]`, "null")
	}
	fmt.Fprintf(&b, chunk, `{"tool_calls":[{"index":0,"function":{"arguments":"\"}"}}]`, "null")
	fmt.Fprintf(&b, chunk, `{`, `"tool_calls"`)
	b.WriteString("data: [DONE]\n\n")
	return b.String()
}

// large is a request of 19 KB with 30 messages and 20 tools.
func large() string {
	var messages, tools []string
	for i := range 30 {
		messages = append(messages, fmt.Sprintf(`{"role":%q,"content":"Turn %d: where is order 456, and what of it was sent on Friday? %s"}`, []string{"user", "assistant"}[(29-i)%2], i, strings.Repeat("Please look. ", 18)))
	}
	for i := range 20 {
		tools = append(tools, strings.Replace(tool, "get_order", fmt.Sprint("get_order_", i), 1))
	}
	return `{"model":"m","messages":[` + strings.Join(messages, ",") + `],"tools":[` + strings.Join(tools, ",") + `]`
}

// listen serves on a free port and answers the address.
func listen(b testing.TB, h http.Handler) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	s := &http.Server{Handler: h}
	served := make(chan struct{})
	go func() {
		_ = s.Serve(l)
		close(served)
	}()
	b.Cleanup(func() {
		_ = s.Close()
		<-served
	})
	return "http://" + l.Addr().String()
}

// model answers every request alike.
func model(b testing.TB, contentType, reply string) string {
	return listen(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, reply)
	}))
}

// governed is a proxy in front of a model, on a SQLite file, and a key for it.
func governed(b testing.TB, upstream string) (url, key string) {
	b.Helper()
	engine, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"))
	require.NoError(b, err)
	b.Cleanup(func() { _ = engine.Close() })
	return serving(b, engine, nil, upstream)
}

// post sends one request and reads the whole answer, which must hold want.
func post(client *http.Client, url, key, body, want string) error {
	r, err := http.NewRequest(http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || !bytes.Contains(got, []byte(want)) {
		return fmt.Errorf("%d: %s", answer.StatusCode, got)
	}
	return nil
}

// walk is one kind of request with its reply.
type walk struct{ name, contentType, reply, body, want string }

func walks() []walk {
	return []walk{
		{"text", "application/json", text, request + `}`, "warehouse"},
		{"call", "application/json", call, request + `}`, `\"456\"`},
		{"large", "application/json", text, large() + `}`, "warehouse"},
		{"stream", "text/event-stream", stream(), request + `,"stream":true}`, "[DONE]"},
		{"fragments", "text/event-stream", fragments(), request + `,"stream":true}`, "[DONE]"},
	}
}

// BenchmarkWalk is one request at a time over real sockets, the model server's own work included: direct is that work.
func BenchmarkWalk(b *testing.B) {
	for _, kind := range walks() {
		for _, governs := range []bool{false, true} {
			name := kind.name + "/direct"
			if governs {
				name = kind.name + "/governed"
			}
			b.Run(name, func(b *testing.B) {
				url, key := model(b, kind.contentType, kind.reply), ""
				if governs {
					url, key = governed(b, url)
				}
				client := &http.Client{Transport: &http.Transport{}}
				defer client.CloseIdleConnections()
				require.NoError(b, post(client, url, key, kind.body, kind.want))
				b.ReportAllocs()
				for b.Loop() {
					if err := post(client, url, key, kind.body, kind.want); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
