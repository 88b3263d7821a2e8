package main

import (
	"fmt"
	"strings"
)

// scenario is one kind of request under one kind of load.
type scenario struct {
	name        string
	label       string
	body        []byte
	concurrency int
	rate        int // see load.rate
}

// scenarios are measured in this order.
func scenarios() []scenario {
	text := padded("bench-json", 1<<10, messages(3), nil)
	large := padded("bench-json", 19<<10, messages(30), tools(20))
	call := padded("bench-call", 1<<10, messages(3), tools(1))
	stream := strings.Replace(string(padded("bench-stream", 1<<10, messages(3), nil)), "{", `{"stream":true,`, 1)
	fragments := strings.Replace(string(padded("bench-fragments", 1<<10, messages(3), tools(1))), "{", `{"stream":true,`, 1)
	return []scenario{
		{"json-c1", "1 KB JSON, c = 1", text, 1, 0},
		{"json-c16", "1 KB JSON, c = 16", text, 16, 0},
		{"json-c64", "1 KB JSON, c = 64", text, 64, 0},
		{"json-rate", "1 KB JSON, 500 a second", text, 64, 500},
		{"large", "19 KB, 30 messages, 20 tools, c = 16", large, 16, 0},
		{"call", "call allowed, c = 16", call, 16, 0},
		{"stream", "stream of 200 chunks, c = 16", []byte(stream), 16, 0},
		{"fragments", "call in 100 fragments, c = 16", []byte(fragments), 16, 0},
	}
}

// slowBody asks for a stream that waits after its first chunk.
func slowBody() []byte {
	return []byte(strings.Replace(string(padded("bench-held", 1<<10, messages(3), nil)), "{", `{"stream":true,`, 1))
}

// messages are turns of a conversation, the last one the user's.
func messages(n int) []string {
	list := make([]string, n)
	for i := range list {
		role := []string{"user", "assistant"}[(n-1-i)%2]
		list[i] = fmt.Sprintf(`{"role":%q,"content":"Turn %d: where is order 456, and what of it was sent on Friday?"}`, role, i)
	}
	return list
}

// tools are definitions as agents send them; the first is the one that is called.
func tools(n int) []string {
	list := make([]string, n)
	for i := range list {
		name := "get_order"
		if i > 0 {
			name = fmt.Sprintf("tool_%d", i)
		}
		list[i] = fmt.Sprintf(`{"type":"function","function":{"name":%q,"description":"Looks up one order of the shop by its number and says where it is.","parameters":{"type":"object","properties":{"order_id":{"type":"string","description":"Number of the order"},"amount":{"type":"number","minimum":0},"currency":{"type":"string","enum":["EUR","USD","GBP"]},"lines":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"count":{"type":"integer"}}}}},"required":["order_id"]}}}`, name)
	}
	return list
}

// padded is a request of about the given size; a system message fills it up.
func padded(reply string, size int, messages, tools []string) []byte {
	build := func(fill int) string {
		system := `{"role":"system","content":"` + strings.Repeat("You help the customers of a shop. ", fill/34+1)[:fill] + `"}`
		text := `{"model":"` + reply + `","messages":[` + strings.Join(append([]string{system}, messages...), ",") + `]`
		if len(tools) > 0 {
			text += `,"tools":[` + strings.Join(tools, ",") + `]`
		}
		return text + `,"temperature":0.70,"user":"u-1"}`
	}
	return []byte(build(max(size-len(build(0)), 0)))
}

// hundredRules is the policy that Cadreen runs with: most rules name one tool, a few a glob, one every tool; those of get_order
// look at its arguments and let it go.
func hundredRules() string {
	var b strings.Builder
	b.WriteString("name: Benchmark\nconfig: {limit: 1000}\nrules:\n")
	rule := func(id, tools, condition string) {
		fmt.Fprintf(&b, "  - id: %s\n    tools: [%s]\n    when:\n      - {if: '%s', effect: confirm}\n", id, tools, condition)
	}
	rule("orders", "get_order", "args.amount > config.limit")
	rule("numbers", "get_order", `!args.order_id.matches("^[0-9]+$")`)
	rule("readers", `"get_*"`, "call.count > 20")
	rule("everything", `"*"`, "conversation.turns > 1000")
	for i := range 96 {
		tools := fmt.Sprintf("tool_%d", i)
		if i%12 == 0 {
			tools = fmt.Sprintf(`"shop%d.*"`, i)
		}
		rule(fmt.Sprintf("rule-%d", i), tools, "args.amount > config.limit")
	}
	return b.String()
}
