package backend

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// rehearsalTurn is what the conversation ends with.
type rehearsalTurn struct {
	text    string             // the last user message
	results []rehearsalMessage // the tools' results that nobody has spoken about yet
	mayCall bool
}

// turn looks at the end of the conversation. Instructions (system, developer)
// are passed over, since context may be added behind the user's message.
// Unless it must, the model calls tools only when the user has the last word.
func (r *rehearsalRequest) turn() rehearsalTurn {
	var turn rehearsalTurn
	at := len(r.Messages) - 1
	for at >= 0 && instructs(r.Messages[at].Role) {
		at--
	}
	last := at
	for at >= 0 && (reports(r.Messages[at].Role) || instructs(r.Messages[at].Role)) {
		if reports(r.Messages[at].Role) {
			turn.results = append([]rehearsalMessage{r.Messages[at]}, turn.results...)
		}
		at--
	}
	for ; at >= 0; at-- {
		if r.Messages[at].Role == "user" {
			turn.text = r.Messages[at].text()
			break
		}
	}
	users := last >= 0 && r.Messages[last].Role == "user"
	turn.mayCall = len(r.offered) > 0 && !r.choice.none && (users || r.choice.must)
	return turn
}

func instructs(role string) bool { return role == "system" || role == "developer" }

func reports(role string) bool { return role == "tool" || role == "function" }

// quoteLimit is how much of somebody else's text is repeated, in characters.
const quoteLimit = 120

// speak is the text for a turn without a call.
func (r *rehearsalRequest) speak(turn rehearsalTurn) string {
	if text, ok := r.structured(turn); ok {
		return text
	}
	switch {
	case len(turn.results) > 0:
		names := r.callNames()
		var parts []string
		for _, result := range turn.results {
			name := names[result.ToolCallID]
			if name == "" {
				name = result.Name
			}
			if name == "" {
				name = "the tool"
			}
			parts = append(parts, name+" returned "+summary(result.text()))
		}
		return rehearsalLabel + strings.Join(parts, "; ") + "."
	case strings.TrimSpace(turn.text) == "":
		return rehearsalLabel + "I read only words, and there were none."
	case len(r.offered) > 0 && !r.choice.none:
		return rehearsalLabel + fmt.Sprintf("none of the offered tools (%d) fits “%s”.", len(r.offered), shorten(turn.text))
	}
	return rehearsalLabel + fmt.Sprintf("I read “%s”. Set backend.url to talk to a real model.", shorten(turn.text))
}

// structured keeps the promise of response_format: the text is JSON. Then the
// model id in the reply is the only label.
func (r *rehearsalRequest) structured(turn rehearsalTurn) (string, bool) {
	switch r.ResponseFormat.Type {
	case "json_object":
		return string(encode(map[string]string{"rehearsal_model": shorten(turn.text)})), true
	case "json_schema":
		said := readWords(turn.text)
		return fillArguments(readSchema(r.ResponseFormat.JSONSchema.Schema), said, everything), true
	}
	return "", false
}

// callNames maps the ids of earlier calls to the names of their tools.
func (r *rehearsalRequest) callNames() map[string]string {
	names := make(map[string]string)
	for _, message := range r.Messages {
		if message.Role != "assistant" {
			continue
		}
		for _, call := range message.ToolCalls {
			names[call.ID] = call.Function.Name + call.Custom.Name
		}
	}
	return names
}

// summary says what a result holds: the members of a JSON object, else its text.
func summary(text string) string {
	members, ok := readObject([]byte(text))
	if !ok || len(members) == 0 {
		if strings.TrimSpace(text) == "" {
			return "nothing"
		}
		return "“" + shorten(text) + "”"
	}
	var parts []string
	for _, m := range members {
		value := string(m.value)
		var word string
		if json.Unmarshal(m.value, &word) == nil {
			value = word
		}
		parts = append(parts, m.name+" "+value)
	}
	return shorten(strings.Join(parts, ", "))
}

// shorten makes one short line of a text.
func shorten(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= quoteLimit {
		return text
	}
	return string([]rune(text)[:quoteLimit]) + "…"
}
