package chat

import (
	"encoding/json"
	"strconv"

	gopenai "github.com/sashabaranov/go-openai"

	"cadreen/governance"
	"cadreen/proxy/openai"
)

// maxReplans bounds how often a turn's refusals are given back to the model.
const maxReplans = 2

// replan answers the body of the next model call after every call of a turn was
// refused, nil where the refusal is said to the client instead: nothing was
// asked to be replanned, something was released or held, or the bound is
// reached. Each refusal is given to the model once, as the result of its call.
func (t *turn) replan(plan *governance.Plan, text string) []byte {
	if t.replans >= t.maxReplans || plan.Gate() != governance.GateBlocked || t.req.N != 1 {
		return nil
	}
	said := gopenai.ChatCompletionMessage{Role: gopenai.ChatMessageRoleAssistant, Content: text}
	var results []gopenai.ChatCompletionMessage
	for i, c := range plan.Calls {
		d := plan.Decisions[i]
		// Only what the model can read as its own call can be answered: a call
		// that is whole, with a name, in one of the forms of functions.
		if c.Truncated || c.Malformed != "" || !governance.ValidName(c.Name) || c.Form == governance.FormCustom {
			return nil
		}
		refusal := "Refused by policy, not executed: " + blockWords(d) + " Do not propose this call again."
		function := gopenai.FunctionCall{Name: c.Name, Arguments: c.Arguments}
		if c.Form == governance.FormLegacy {
			said.FunctionCall = &function
			results = append(results, gopenai.ChatCompletionMessage{Role: gopenai.ChatMessageRoleFunction, Name: c.Name, Content: refusal})
			continue
		}
		id := c.ID
		if id == "" {
			id = "call_refused_" + strconv.Itoa(i)
		}
		said.ToolCalls = append(said.ToolCalls, gopenai.ToolCall{ID: id, Type: gopenai.ToolTypeFunction, Function: function})
		results = append(results, gopenai.ChatCompletionMessage{Role: gopenai.ChatMessageRoleTool, ToolCallID: id, Content: refusal})
	}
	var more []byte
	for _, m := range append([]gopenai.ChatCompletionMessage{said}, results...) {
		b, err := json.Marshal(m)
		if err != nil {
			return nil
		}
		more = append(append(more, ','), b...)
	}
	next, err := openai.ParseRequest(t.body)
	if err != nil {
		return nil
	}
	defer next.Release()
	last := next.Messages[len(next.Messages)-1].Span.End
	t.replans++
	t.body, t.lent = openai.Splice(nil, t.body, openai.Edit{Span: openai.Span{Start: last, End: last}, With: more}), nil
	return t.body
}
