package intent

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cadreen/fault"
	"cadreen/proxy/openai"
)

// Modes of an intent.
const (
	ModeAuto      = "auto"      // answer, ask, or say what is missing
	ModeChat      = "chat"      // answer in words: no tool is offered to the model
	ModeExecution = "execution" // do it with a tool, or say what is missing
)

// request is an intent as it was sent.
type request struct {
	mode     string
	stream   bool
	words    string // the last user message
	domain   string
	hasTools bool
	chat     []byte // the chat completion that it becomes
}

// readRequest checks an intent and makes the chat completion of it: everything
// but mode and dry_run stays as it came.
func readRequest(body []byte) (*request, error) {
	chat, err := openai.ParseRequest(body)
	if err != nil {
		return nil, refusal(err)
	}
	q := &request{mode: ModeAuto, stream: chat.Stream, domain: chat.Domain, hasTools: chat.HasTools()}
	if chat.N != 1 {
		return nil, wrong("n", "an intent has one answer")
	}
	for i, m := range chat.Messages {
		where := "messages[" + strconv.Itoa(i) + "].role"
		switch m.Role {
		case "user":
			q.words = m.Text(body)
			continue
		case "assistant", "system", "developer", "tool":
		default:
			return nil, wrong(where, "the role must be user, assistant or system")
		}
		if i == 0 {
			return nil, wrong(where, "the first message must have the role user")
		}
	}
	for _, tool := range chat.Tools {
		name := tool.NameIn(body)
		switch {
		case tool.Legacy:
			return nil, wrong("functions", "offer tools in `tools`")
		case name == askTool, name == missingTool:
			return nil, wrong("tools", "the name %q is kept for a tool of Cadreen's own", name)
		}
	}
	var kept [][]byte
	for _, m := range members(body) {
		switch m.name {
		case "mode":
			if string(m.value) == "null" { // as if it were left out, like every other field
				continue
			}
			if json.Unmarshal(m.value, &q.mode) != nil || q.mode != ModeAuto && q.mode != ModeChat && q.mode != ModeExecution {
				return nil, wrong("mode", "mode must be auto, chat or execution")
			}
			continue
		case "dry_run":
			if v := string(m.value); v != "false" && v != "null" {
				f := wrong("dry_run", "an intent cannot be tried without effect")
				f.Hint = "Ask POST /assess what a task needs, or POST /preconditions/check what policy says about one action."
				return nil, f
			}
			continue
		}
		kept = append(kept, m.raw)
	}
	if q.mode == ModeChat {
		kept = without(kept, "tools", "tool_choice", "parallel_tool_calls")
		q.hasTools = false
	}
	q.chat = append(append([]byte{'{'}, bytes.Join(kept, []byte{','})...), '}')
	return q, nil
}

func without(list [][]byte, names ...string) [][]byte {
	var kept [][]byte
	for _, raw := range list {
		cut := false
		for _, name := range names {
			cut = cut || bytes.HasPrefix(raw, openai.Quote(nil, name))
		}
		if !cut {
			kept = append(kept, raw)
		}
	}
	return kept
}

// member is one member of an object; raw is the name in its plain spelling, a
// colon, and the value as it came.
type member struct {
	name       string
	value, raw []byte
}

// members are those of an object that was scanned before.
func members(object []byte) []member {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	_, _ = d.ReadToken()
	var list []member
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			break
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil {
			break
		}
		m := member{name: text, value: bytes.Clone(value)}
		m.raw = append(append(openai.Quote(nil, text), ':'), m.value...)
		list = append(list, m)
	}
	return list
}

func wrong(param, format string, args ...any) *fault.Error {
	f := fault.New(fault.InvalidRequest, format, args...)
	f.Param = param
	return f
}

func refusal(err error) error {
	f := fault.Wrap(err, fault.InvalidRequest, "%s", err.Error())
	var field *openai.FieldError
	if errors.As(err, &field) {
		f.Param = field.Param
	}
	return f
}
