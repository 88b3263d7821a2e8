package main

import (
	"fmt"
	"strings"
	"time"
)

// scenario is one kind of request under one kind of load.
type scenario struct {
	name        string
	label       string
	body        []byte
	concurrency int
	rate        int // see load.rate
	slices      int // how many slices one round takes, where one has too few samples
	timed       bool
	stagger     time.Duration
}

// scenarios are measured in this order.
func scenarios() []scenario {
	text := padded("bench-json", 1<<10, messages(3), nil)
	large := padded("bench-json", 19<<10, messages(30), tools(20))
	call := padded("bench-call", 1<<10, messages(3), tools(1))
	return []scenario{
		{name: "json-c1", label: "1 KB JSON, c = 1", body: text, concurrency: 1},
		{name: "json-c16", label: "1 KB JSON, c = 16", body: text, concurrency: 16},
		{name: "json-c64", label: "1 KB JSON, c = 64", body: text, concurrency: 64},
		{name: "json-rate", label: "1 KB JSON, 500 a second", body: text, concurrency: 64, rate: 500, slices: 5},
		{name: "large", label: "19 KB, 30 messages, 20 tools, c = 16", body: large, concurrency: 16},
		{name: "call", label: "call allowed, c = 16", body: call, concurrency: 16},
		{name: "stream", label: "stream of 200 chunks, c = 16", body: streaming("bench-stream", nil), concurrency: 16},
		{name: "fragments", label: "call in 100 fragments, c = 16", body: streaming("bench-fragments", tools(1)), concurrency: 16},
		// A stream lasts 250 ms.
		{name: "gaps", label: "50 streams with gaps of 10 ms", body: streaming("bench-gaps", nil), concurrency: 50, slices: 2, timed: true, stagger: 5 * time.Millisecond},
	}
}

// stream says that the scenario's answers are streams.
func (s scenario) stream() bool { return strings.HasPrefix(string(s.body), `{"stream":true,`) }

// streaming is a request of about 1 KB for a stream.
func streaming(reply string, tools []string) []byte {
	return []byte(strings.Replace(string(padded(reply, 1<<10, messages(3), tools)), "{", `{"stream":true,`, 1))
}

// slowBody asks for a stream that waits after its first chunk.
func slowBody() []byte {
	return streaming("bench-held", nil)
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
