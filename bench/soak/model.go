package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
)

// model is the model server of the run. What it answers follows from the last user message alone.
type model struct {
	url    string
	server *http.Server
}

func startModel() (*model, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &model{url: "http://" + listener.Addr().String() + "/v1", server: &http.Server{Handler: http.HandlerFunc(complete)}}
	go func() { _ = m.server.Serve(listener) }()
	return m, nil
}

func (m *model) stop() { _ = m.server.Close() }

// topic is what a request is about: "tell", "look up" or "refund", and a number.
var topic = regexp.MustCompile(`(tell|look up|refund) #(\d+)#`)

const words = 20

// say is the text that the model gives to a number, in pieces.
func say(n string) (pieces []string) {
	for i := range words {
		pieces = append(pieces, fmt.Sprintf("word %s-%d ", n, i))
	}
	return pieces
}

// proposed is the call that the model proposes for a number.
func proposed(what, n string) (id, name, arguments string) {
	name = "process_refund"
	if what == "look up" {
		name = "get_order"
	}
	return "call_" + n, name, `{"order_id": "` + n + `", "amount": 7.50}`
}

func complete(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	found := topic.FindSubmatch(body)
	if found == nil {
		http.Error(w, `{"error":{"message":"nothing to talk about","type":"invalid_request_error","param":null,"code":null}}`, http.StatusBadRequest)
		return
	}
	what, n := string(found[1]), string(found[2])
	if strings.Contains(string(body), `"stream":true`) {
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		for _, delta := range deltas(what, n) {
			_, _ = fmt.Fprintf(w, "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"soak\",\"choices\":[{\"index\":0,%s}]}\n\n", delta)
			_ = control.Flush()
		}
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
		return
	}
	message, finish := fmt.Sprintf(`{"role":"assistant","content":%q}`, strings.Join(say(n), "")), "stop"
	if what != "tell" {
		id, name, arguments := proposed(what, n)
		message = fmt.Sprintf(`{"role":"assistant","content":null,"tool_calls":[{"id":%q,"type":"function","function":{"name":%q,"arguments":%q}}]}`, id, name, arguments)
		finish = "tool_calls"
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"soak","choices":[{"index":0,"message":%s,"finish_reason":%q}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`, message, finish)
}

// deltas are the raw members of the chunks of a streamed reply.
func deltas(what, n string) []string {
	list := []string{`"delta":{"role":"assistant","content":""},"finish_reason":null`}
	if what == "tell" {
		for _, piece := range say(n) {
			list = append(list, fmt.Sprintf(`"delta":{"content":%q},"finish_reason":null`, piece))
		}
		return append(list, `"delta":{},"finish_reason":"stop"`)
	}
	id, name, arguments := proposed(what, n)
	list = append(list, fmt.Sprintf(`"delta":{"tool_calls":[{"index":0,"id":%q,"type":"function","function":{"name":%q,"arguments":""}}]},"finish_reason":null`, id, name))
	for half := range 2 {
		at := len(arguments) / 2
		part := [2]string{arguments[:at], arguments[at:]}[half]
		list = append(list, fmt.Sprintf(`"delta":{"tool_calls":[{"index":0,"function":{"arguments":%q}}]},"finish_reason":null`, part))
	}
	return append(list, `"delta":{},"finish_reason":"tool_calls"`)
}
