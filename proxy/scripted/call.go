package scripted

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Call is one tool call as a model writes it.
type Call struct {
	ID        string
	Name      string
	Arguments string // the decoded argument text, or the input of a custom call
	// Extra is raw text put at the end of the call's object in its first
	// fragment, for instance `,"extra_content":{"google":{"thought_signature":"…"}}`.
	Extra string
	// Oddities of real servers.
	NoIndex    bool   // no fragment has an index
	RepeatName bool   // every fragment repeats id, type and name
	Key        string // spelled instead of tool_calls, quotes included: `"tool\u005fcalls"`
}

// CallChunks streams one function call: a first fragment with id and name, then
// the arguments in n pieces (n = 0: everything in the first fragment).
func (h Head) CallChunks(choice, index int, c Call, n int) []string {
	key := c.Key
	if key == "" {
		key = `"tool_calls"`
	}
	wrap := func(fragment string) string { return h.Delta(choice, `{`+key+`:[`+fragment+`]}`) }
	if n == 0 {
		return []string{wrap(c.first(index, c.Arguments))}
	}
	chunks := []string{wrap(c.first(index, ""))}
	for _, piece := range Pieces(c.Arguments, n) {
		chunks = append(chunks, wrap(c.next(index, piece)))
	}
	return chunks
}

// Parallel puts the first fragments of several calls into one chunk, complete.
func (h Head) Parallel(choice int, calls ...Call) string {
	all := make([]string, len(calls))
	for i, c := range calls {
		all[i] = c.first(i, c.Arguments)
	}
	return h.Delta(choice, `{"tool_calls":[`+strings.Join(all, ",")+`]}`)
}

// SameIndexTwice puts two fragments of one call into one chunk.
func (h Head) SameIndexTwice(choice, index int, c Call) string {
	half := Pieces(c.Arguments, 2)
	return h.Delta(choice, `{"tool_calls":[`+c.first(index, half[0])+`,`+c.next(index, half[1])+`]}`)
}

// TextAndCall is one delta that mixes content with a whole call.
func (h Head) TextAndCall(choice int, text string, c Call) string {
	return h.Delta(choice, `{"content":`+Quote(text)+`,"tool_calls":[`+c.first(0, c.Arguments)+`]}`)
}

// CustomChunks streams one custom call; its input comes in n pieces.
func (h Head) CustomChunks(choice, index int, c Call, n int) []string {
	head := `{"index":` + strconv.Itoa(index) + `,"id":` + Quote(c.ID) + `,"type":"custom","custom":{"name":` + Quote(c.Name) + `,"input":""}` + c.Extra + `}`
	chunks := []string{h.Delta(choice, `{"tool_calls":[`+head+`]}`)}
	for _, piece := range Pieces(c.Arguments, n) {
		chunks = append(chunks, h.Delta(choice, `{"tool_calls":[{"index":`+strconv.Itoa(index)+`,"custom":{"input":`+Quote(piece)+`}}]}`))
	}
	return chunks
}

// LegacyChunks streams one function_call; its arguments come in n pieces.
func (h Head) LegacyChunks(choice int, c Call, n int) []string {
	chunks := []string{h.Delta(choice, `{"function_call":{"name":`+Quote(c.Name)+`,"arguments":""}}`)}
	for _, piece := range Pieces(c.Arguments, n) {
		chunks = append(chunks, h.Delta(choice, `{"function_call":{"arguments":`+Quote(piece)+`}}`))
	}
	return chunks
}

// Turn is a whole streamed turn: role, the text if there is any, the calls one
// after the other in three pieces each, finish, usage.
func (h Head) Turn(text string, calls ...Call) []string {
	chunks := []string{h.Role(0)}
	if text != "" {
		chunks = append(chunks, h.Text(0, text))
	}
	for i, c := range calls {
		chunks = append(chunks, h.CallChunks(0, i, c, 3)...)
	}
	reason := "stop"
	if len(calls) > 0 {
		reason = "tool_calls"
	}
	return append(chunks, h.Finish(0, reason), h.Usage())
}

// Completion is a whole JSON reply with one choice. Without calls its content
// is the text; with calls and no text its content is null.
func (h Head) Completion(text string, calls ...Call) string {
	all := make([]string, len(calls))
	for i, c := range calls {
		all[i] = c.entry()
	}
	message, reason := `{"role":"assistant","content":`+Quote(text)+`,"refusal":null}`, "stop"
	if len(calls) > 0 {
		content := "null"
		if text != "" {
			content = Quote(text)
		}
		message = `{"role":"assistant","content":` + content + `,"refusal":null,"tool_calls":[` + strings.Join(all, ",") + `]}`
		reason = "tool_calls"
	}
	return h.CompletionOf(`{"index":0,"message":` + message + `,"logprobs":null,"finish_reason":` + Quote(reason) + `}`)
}

// CompletionOf is a JSON reply with these raw choices.
func (h Head) CompletionOf(choices ...string) string {
	chunk := h.Chunk(`[`+strings.Join(choices, ",")+`]`, `,"usage":`+Usage)
	return strings.Replace(chunk, `"chat.completion.chunk"`, `"chat.completion"`, 1)
}

// Pieces cuts a text into n parts of about equal length, never inside a UTF-8
// sequence. A text that is too short gives empty parts at the end.
func Pieces(text string, n int) []string {
	parts := make([]string, 0, n)
	size := max(len(text)/n, 1)
	for range n - 1 {
		end := min(size, len(text))
		for end < len(text) && !utf8.RuneStart(text[end]) {
			end++
		}
		parts, text = append(parts, text[:end]), text[end:]
	}
	return append(parts, text)
}

func (c Call) entry() string {
	return `{"id":` + Quote(c.ID) + `,"type":"function","function":{"name":` + Quote(c.Name) + `,"arguments":` + Quote(c.Arguments) + `}` + c.Extra + `}`
}

func (c Call) first(index int, arguments string) string {
	return `{` + c.position(index) + strings.TrimPrefix(Call{ID: c.ID, Name: c.Name, Arguments: arguments, Extra: c.Extra}.entry(), `{`)
}

func (c Call) next(index int, arguments string) string {
	if c.RepeatName {
		return `{` + c.position(index) + `"id":` + Quote(c.ID) + `,"type":"function","function":{"name":` + Quote(c.Name) + `,"arguments":` + Quote(arguments) + `}}`
	}
	return `{` + c.position(index) + `"function":{"arguments":` + Quote(arguments) + `}}`
}

func (c Call) position(index int) string {
	if c.NoIndex {
		return ""
	}
	return `"index":` + strconv.Itoa(index) + `,`
}
