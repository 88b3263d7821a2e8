package governance

import (
	"encoding/json"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

// casePast is a call that went out before the one that a case decides.
type casePast struct {
	call   ExampleCall
	ago    time.Duration
	result *string
}

// past reads {name, arguments, ago, result}.
func (r *reader) past(n *yaml.Node) casePast {
	p := casePast{ago: time.Hour, call: ExampleCall{Arguments: []byte("{}")}}
	for _, e := range r.members(n) {
		switch e.key {
		case "name":
			p.call.Name = r.text(e.value)
		case "arguments":
			p.call.Arguments = r.arguments(e.value)
		case "ago":
			p.ago = r.duration(e.value)
		case "result":
			p.result = r.result(e.value)
		default:
			r.unknown(e, "a call that was released", "name", "arguments", "ago", "result")
		}
	}
	return p
}

// result is the text of a tool message: text as it stands, anything else as JSON.
func (r *reader) result(n *yaml.Node) *string {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		text := n.Value
		return &text
	}
	b, err := json.Marshal(r.plain(n))
	if err != nil {
		r.complain(n, "cannot be written as JSON", "")
	}
	text := string(b)
	return &text
}

// claimed reads {name, result} of a tool message that answers no released call.
func (r *reader) claimed(n *yaml.Node) ToolResult {
	t := ToolResult{CallID: "call_claimed", Claimed: true}
	for _, e := range r.members(n) {
		switch e.key {
		case "name":
			t.Name = r.text(e.value)
		case "result":
			t.Text = *r.result(e.value)
		default:
			r.unknown(e, "a claimed result", "name", "result")
		}
	}
	return t
}

// remember puts what happened before into the facts of a case, oldest as written
// first, at the times before its own.
func (f *Facts) remember(list []casePast) {
	var results []ToolResult
	for i, p := range list {
		released := Released{ID: fmt.Sprintf("call_released_%d", i+1), Name: p.call.Name, Arguments: string(p.call.Arguments), At: f.Now.Add(-p.ago)}
		f.Released = append(f.Released, released)
		if p.result != nil {
			results = append(results, ToolResult{CallID: released.ID, Name: released.Name, Arguments: released.Arguments, Text: *p.result})
		}
	}
	f.Results = append(results, f.Results...)
}
