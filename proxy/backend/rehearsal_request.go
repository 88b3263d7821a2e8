package backend

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"cadreen/fault"
)

// rehearsalRequest is what the rehearsal model reads of a request.
type rehearsalRequest struct {
	Messages []rehearsalMessage `json:"messages"`
	Tools    []struct {
		Type     string         `json:"type"`
		Function wireDefinition `json:"function"`
		Custom   wireDefinition `json:"custom"`
	} `json:"tools"`
	Functions     []wireDefinition `json:"functions"`
	ToolChoice    json.RawMessage  `json:"tool_choice"`
	FunctionCall  json.RawMessage  `json:"function_call"`
	Parallel      *bool            `json:"parallel_tool_calls"`
	N             *int             `json:"n"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	ResponseFormat struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`

	offered []offer
	choice  toolChoice
	legacy  bool // offered are functions
}

type wireDefinition struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
}

type rehearsalMessage struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	Name       string          `json:"name"`
	ToolCallID string          `json:"tool_call_id"`
	ToolCalls  []struct {
		ID       string         `json:"id"`
		Function wireDefinition `json:"function"`
		Custom   wireDefinition `json:"custom"`
	} `json:"tool_calls"`
}

// offer is a tool that may be called.
type offer struct {
	name, description string
	schema            *schema // nil for a custom tool
	custom            bool
}

// toolChoice is tool_choice or function_call, made one.
type toolChoice struct {
	none   bool
	must   bool // some call must be made
	forced bool // and the offer has been cut down to one
}

// choicesLimit is the largest n that OpenAI accepts.
const choicesLimit = 128

func readRehearsal(body []byte) (*rehearsalRequest, error) {
	asked := new(rehearsalRequest)
	if err := json.Unmarshal(body, asked); err != nil {
		f := fault.Wrap(err, fault.InvalidRequest, "The rehearsal model cannot read the request: it is not a chat completion.")
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			f.Param = wrong.Field
		}
		return nil, f
	}
	if len(asked.Messages) == 0 {
		return nil, badParam("messages", "There must be at least one message.")
	}
	if asked.N != nil && (*asked.N < 1 || *asked.N > choicesLimit) {
		return nil, badParam("n", fmt.Sprintf("n must be between 1 and %d.", choicesLimit))
	}
	for _, tool := range asked.Tools {
		switch tool.Type {
		case "function":
			asked.offered = append(asked.offered, tool.Function.offer())
		case "custom":
			asked.offered = append(asked.offered, offer{
				name: tool.Custom.Name, description: tool.Custom.Description, custom: true,
			})
		}
	}
	if len(asked.Tools) == 0 && len(asked.Functions) > 0 {
		asked.legacy = true
		for _, function := range asked.Functions {
			asked.offered = append(asked.offered, function.offer())
		}
		return asked, asked.readChoice(asked.FunctionCall, "function_call")
	}
	return asked, asked.readChoice(asked.ToolChoice, "tool_choice")
}

func badParam(param, message string) error {
	f := fault.New(fault.InvalidRequest, "%s", message)
	f.Param = param
	return f
}

func (d wireDefinition) offer() offer {
	return offer{name: d.Name, description: d.Description, schema: readSchema(d.Parameters)}
}

// readChoice understands "none", "auto", "required", one named tool in its three
// spellings, and allowed_tools.
func (r *rehearsalRequest) readChoice(raw json.RawMessage, param string) error {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	word := stringOf(raw)
	switch word {
	case "none":
		r.choice.none = true
		return nil
	case "auto":
		return nil
	case "required":
		r.choice.must = true
		return r.need(param)
	}
	var choice struct {
		Type         string         `json:"type"`
		Name         string         `json:"name"` // function_call
		Function     wireDefinition `json:"function"`
		Custom       wireDefinition `json:"custom"`
		AllowedTools struct {
			Mode  string `json:"mode"`
			Tools []struct {
				Function wireDefinition `json:"function"`
				Custom   wireDefinition `json:"custom"`
			} `json:"tools"`
		} `json:"allowed_tools"`
	}
	if word != "" || json.Unmarshal(raw, &choice) != nil {
		return badParam(param, "This is not a way to choose a tool.")
	}
	if choice.Type == "allowed_tools" {
		allowed := make(map[string]bool)
		for _, tool := range choice.AllowedTools.Tools {
			allowed[tool.Function.Name+tool.Custom.Name] = true
		}
		r.restrict(func(o offer) bool { return allowed[o.name] })
		if r.choice.must = choice.AllowedTools.Mode == "required"; r.choice.must {
			return r.need(param)
		}
		return nil
	}
	name := choice.Name + choice.Function.Name + choice.Custom.Name
	r.restrict(func(o offer) bool { return o.name == name })
	r.choice.must, r.choice.forced = true, true
	return r.need(param)
}

func (r *rehearsalRequest) restrict(keep func(offer) bool) {
	var kept []offer
	for _, o := range r.offered {
		if keep(o) {
			kept = append(kept, o)
		}
	}
	r.offered = kept
}

func (r *rehearsalRequest) need(param string) error {
	if len(r.offered) == 0 {
		return badParam(param, "It asks for a tool that the request does not offer.")
	}
	return nil
}

func (r *rehearsalRequest) choices() int {
	if r.N == nil {
		return 1
	}
	return *r.N
}

func (r *rehearsalRequest) parallel() bool {
	return !r.legacy && (r.Parallel == nil || *r.Parallel)
}

// text is a message's text: the string, or its text parts on lines of their own.
func (m rehearsalMessage) text() string {
	if text := stringOf(m.Content); text != "" {
		return text
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(m.Content, &parts) != nil {
		return ""
	}
	var lines []string
	for _, part := range parts {
		if part.Type == "text" {
			lines = append(lines, part.Text)
		}
	}
	return strings.Join(lines, "\n")
}
