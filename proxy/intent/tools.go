package intent

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"cadreen/fault"
	"cadreen/proxy/openai"
	"cadreen/tools"
)

// The tools of ours that an intent's model call offers. They are read here and
// never reach a client.
const (
	askTool     = "cadreen_ask_requester"
	missingTool = "cadreen_missing_connection"
)

const askToolJSON = `{"type":"function","function":{"name":"` + askTool + `",` +
	`"description":"Ask the requester for facts that are needed and that neither the conversation nor another tool supplies. Call it instead of guessing, and call nothing else with it.",` +
	`"parameters":{"type":"object","properties":{"questions":{"type":"array","items":{"type":"object","properties":{` +
	`"id":{"type":"string","description":"a short name of the fact, such as order_id"},` +
	`"question":{"type":"string"},` +
	`"type":{"type":"string","enum":["open","text","select","choice","date"]},` +
	`"options":{"type":"array","items":{"type":"string"},"description":"of select and choice"},` +
	`"required":{"type":"boolean"},` +
	`"reason":{"type":"string","description":"why it is needed"}},` +
	`"required":["question"]}}},"required":["questions"]}}}`

const missingToolJSON = `{"type":"function","function":{"name":"` + missingTool + `",` +
	`"description":"Say that the request needs something to be done or looked up that none of the other tools can do. Call it instead of pretending, and call nothing else with it.",` +
	`"parameters":{"type":"object","properties":{` +
	`"capability":{"type":"string","description":"a short name of what is missing, such as refunds or send_email"},` +
	`"reason":{"type":"string","description":"what it is needed for, in one sentence"}},` +
	`"required":["capability","reason"]}}}`

// withOurTools offers them beside the client's. In mode execution the model must
// call one of all, unless the client says otherwise.
func withOurTools(body []byte, mode string) []byte {
	ours := askToolJSON + "," + missingToolJSON
	var list [][]byte
	offered, choice := false, false
	for _, m := range members(body) {
		switch {
		case m.name == "tools" && m.value[0] == '[':
			offered = true
			inside := bytes.TrimSpace(m.value[1 : len(m.value)-1])
			if len(inside) > 0 {
				inside = append(slices.Clip(inside), ',')
			}
			m.raw = slices.Concat([]byte(`"tools":[`), inside, []byte(ours), []byte("]"))
		case m.name == "tools":
			continue // null
		case m.name == "tool_choice":
			choice = string(m.value) != "null"
		}
		list = append(list, m.raw)
	}
	if !offered {
		list = append(list, []byte(`"tools":[`+ours+`]`))
	}
	if mode == ModeExecution && !choice {
		list = append(list, []byte(`"tool_choice":"required"`))
	}
	return append(append([]byte{'{'}, bytes.Join(list, []byte{','})...), '}')
}

// called is one call of a reply.
type called struct{ name, arguments string }

// Question is one thing that the requester is asked.
type Question struct {
	ID       string   `json:"id"`
	Question string   `json:"question"`
	Type     string   `json:"type"` // open, text, select, choice or date
	Options  []string `json:"options,omitempty"`
	Required bool     `json:"required"`
	Reason   string   `json:"reason,omitempty"`
	// SuppliedBy is an offered tool that can give the answer.
	SuppliedBy string `json:"supplied_by,omitempty"`
}

// connection is what is missing.
type connection struct {
	capability, reason string
	known              []string // tools that other requests of the workspace offered
}

// understand takes the calls of a turn. If one is of our tools, all of the turn
// goes: the model was told to call nothing else with it, and to ask first is
// never the riskier reading. It answers what the reply says in words instead.
func (t *turn) understand(calls []called) (said string, ours bool) {
	t.questions, t.missing, t.unread = nil, nil, ""
	for _, c := range calls {
		switch c.name {
		case askTool:
			ours = true
			t.asks(c.arguments)
		case missingTool:
			ours = true
			t.lacks(c.arguments)
		}
	}
	if !ours {
		return "", false
	}
	switch {
	case len(t.questions) > 0:
		var lines []string
		for _, q := range t.questions {
			lines = append(lines, q.Question)
		}
		return strings.Join(lines, "\n"), true
	case t.missing != nil:
		return t.missing.text(), true
	}
	t.unread = "The model did not say what is missing"
	return t.unread, true
}

func (t *turn) asks(arguments string) {
	var in struct {
		Questions []struct {
			ID       string   `json:"id"`
			Question string   `json:"question"`
			Type     string   `json:"type"`
			Options  []string `json:"options"`
			Required *bool    `json:"required"`
			Reason   string   `json:"reason"`
		} `json:"questions"`
	}
	if json.Unmarshal([]byte(arguments), &in) != nil {
		return
	}
	for _, q := range in.Questions {
		if strings.TrimSpace(q.Question) == "" {
			continue
		}
		if q.ID == "" {
			q.ID = "question_" + strconv.Itoa(len(t.questions)+1)
		}
		if !slices.Contains([]string{"open", "text", "select", "choice", "date"}, q.Type) {
			q.Type = "open"
		}
		t.questions = append(t.questions, Question{ID: q.ID, Question: q.Question, Type: q.Type, Options: q.Options,
			Required: q.Required == nil || *q.Required, Reason: q.Reason})
	}
}

func (t *turn) lacks(arguments string) {
	var in struct{ Capability, Reason string }
	if json.Unmarshal([]byte(arguments), &in, json.MatchCaseInsensitiveNames(true)) != nil || in.Capability == "" && in.Reason == "" {
		return
	}
	t.missing = &connection{capability: in.Capability, reason: in.Reason}
}

// nothingToDoItWith finds that an execution has no tool. Tools that others of
// the workspace offered are named: they run where they were offered from, and
// this request did not offer them.
func (t *turn) nothingToDoItWith(ctx context.Context) error {
	t.missing = &connection{reason: "The request offers no tool, and this server has none of its own."}
	if t.seen == nil {
		return nil
	}
	list, err := t.seen.Tools(ctx, t.caller.Workspace)
	if err != nil {
		return fault.Wrap(err, fault.StoreUnavailable, "The tools of the workspace could not be read")
	}
	for _, m := range tools.Matching(list, t.words) {
		t.missing.known = append(t.missing.known, m.Tool.Name)
	}
	if len(t.missing.known) > 0 {
		t.missing.capability = t.missing.known[0]
	}
	return nil
}

// text says what is missing, for people.
func (c *connection) text() string {
	text := c.reason
	if text == "" {
		text = "Nothing that is connected can do this."
	}
	if c.capability != "" && len(c.known) == 0 && !strings.Contains(text, c.capability) {
		text += " Missing: " + c.capability + "."
	}
	if len(c.known) > 0 {
		text += " Clients of this workspace have offered " + strings.Join(c.known, ", ") + "; offer it in `tools`."
	}
	return text
}

// completion is a reply of one message.
func completion(text string) []byte {
	b := []byte(`{"id":"","object":"chat.completion","created":0,"model":"cadreen","choices":[{"index":0,"message":{"role":"assistant","content":`)
	b = openai.Quote(b, text)
	return append(b, `,"refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}`...)
}

// lastChunks end a stream with words.
func lastChunks(text string) []byte {
	const head = `data: {"id":"","object":"chat.completion.chunk","created":0,"model":"cadreen","choices":[{"index":0,"delta":`
	b := append([]byte(head), `{"role":"assistant","content":`...)
	b = openai.Quote(b, text)
	b = append(b, `},"logprobs":null,"finish_reason":null}]}`+"\n\n"+head+`{},"logprobs":null,"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n"...)
	return b
}
