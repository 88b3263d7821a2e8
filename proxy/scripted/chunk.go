package scripted

import (
	"strconv"
	"strings"
)

// Head is the envelope of every chunk of one stream. Its zero value has a
// fixed id, time and model.
type Head struct {
	ID    string // "chatcmpl-up1" when empty
	Model string // "scripted-1" when empty
	// Extra is raw text put after the envelope's members of every chunk, for
	// instance `,"x_vendor":{"a":1.50}`.
	Extra string
}

// Chunk answers a chunk with this raw `choices` array and raw further members
// (each with its leading comma).
func (h Head) Chunk(choices, members string) string {
	id, model := h.ID, h.Model
	if id == "" {
		id = "chatcmpl-up1"
	}
	if model == "" {
		model = "scripted-1"
	}
	return `{"id":` + Quote(id) + `,"object":"chat.completion.chunk","created":1700000000,"model":` + Quote(model) +
		`,"choices":` + choices + h.Extra + members + `}`
}

// Delta answers a chunk with one choice and this raw delta.
func (h Head) Delta(choice int, delta string) string { return h.choice(choice, delta, "null") }

// Role opens a choice.
func (h Head) Role(choice int) string {
	return h.Delta(choice, `{"role":"assistant","content":""}`)
}

// Text is a piece of content.
func (h Head) Text(choice int, text string) string {
	return h.Delta(choice, `{"content":`+Quote(text)+`}`)
}

// Reasoning is a piece of a vendor's reasoning_content.
func (h Head) Reasoning(choice int, text string) string {
	return h.Delta(choice, `{"reasoning_content":`+Quote(text)+`}`)
}

// Finish closes a choice.
func (h Head) Finish(choice int, reason string) string { return h.choice(choice, `{}`, Quote(reason)) }

// FinishNoDelta closes a choice in a chunk that has no delta at all.
func (h Head) FinishNoDelta(choice int, reason string) string {
	return h.Chunk(`[{"index":`+strconv.Itoa(choice)+`,"finish_reason":`+Quote(reason)+`}]`, "")
}

// Usage is the chunk with an empty choices array.
func (h Head) Usage() string { return h.Chunk(`[]`, `,"usage":`+Usage) }

// UsageInFinish closes a choice and carries the usage, as several vendors do.
func (h Head) UsageInFinish(choice int, reason string) string {
	return h.Chunk(`[{"index":`+strconv.Itoa(choice)+`,"delta":{},"finish_reason":`+Quote(reason)+`}]`, `,"usage":`+Usage)
}

// Usage is the raw usage object of every reply built here.
const Usage = `{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}`

// StreamError is an error object in place of a chunk.
const StreamError = `{"error":{"message":"the model fell over","type":"server_error","param":null,"code":"overloaded"}}`

// LongLine is a chunk whose content is n bytes long.
func (h Head) LongLine(choice, n int) string { return h.Text(choice, strings.Repeat("x", n)) }

func (h Head) choice(choice int, delta, finish string) string {
	return h.Chunk(`[{"index":`+strconv.Itoa(choice)+`,"delta":`+delta+`,"logprobs":null,"finish_reason":`+finish+`}]`, "")
}

// Quote spells a text as a JSON string with the fewest escapes: only what JSON
// demands. Invalid UTF-8 is left as it is.
func Quote(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < 0x20:
			b.WriteString(`\u00`)
			b.WriteByte("0123456789abcdef"[c>>4])
			b.WriteByte("0123456789abcdef"[c&15])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
