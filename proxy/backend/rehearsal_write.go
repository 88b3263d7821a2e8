package backend

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// fragment is the length of the pieces that a call's arguments are streamed
// in, in bytes: short, so that nothing downstream can rely on getting a call whole.
const fragment = 6

// rehearsalWriter writes an answer in the words of the OpenAI API.
type rehearsalWriter struct {
	id, digest string
	answer     rehearsalAnswer
	n          int
}

type wireFunction struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

type wireCustom struct {
	Name  string `json:"name,omitempty"`
	Input string `json:"input"`
}

type wireCall struct {
	Index    *int          `json:"index,omitempty"` // in chunks only
	ID       string        `json:"id,omitempty"`
	Type     string        `json:"type,omitempty"`
	Function *wireFunction `json:"function,omitempty"`
	Custom   *wireCustom   `json:"custom,omitempty"`
}

type wireMessage struct {
	Role     string        `json:"role"`
	Content  *string       `json:"content"`
	Refusal  *string       `json:"refusal"`
	Calls    []wireCall    `json:"tool_calls,omitempty"`
	Function *wireFunction `json:"function_call,omitempty"`
}

type wireUsage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

type wireChoice struct {
	Index    int          `json:"index"`
	Message  *wireMessage `json:"message,omitempty"`
	Delta    any          `json:"delta,omitempty"`
	Logprobs *struct{}    `json:"logprobs"`
	Finish   *string      `json:"finish_reason"`
}

type wireReply struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []wireChoice `json:"choices"`
	Usage   any          `json:"usage,omitempty"`
}

func (w rehearsalWriter) reply(object string) wireReply {
	return wireReply{ID: w.id, Object: object, Created: rehearsalTime, Model: RehearsalModel, Choices: []wireChoice{}}
}

func (w rehearsalWriter) finish() *string {
	reason := "stop"
	switch {
	case w.answer.legacy && len(w.answer.calls) > 0:
		reason = "function_call"
	case len(w.answer.calls) > 0:
		reason = "tool_calls"
	}
	return &reason
}

// whole is the answer as one JSON object.
func (w rehearsalWriter) whole() []byte {
	reply := w.reply("chat.completion")
	for choice := range w.n {
		message := &wireMessage{Role: "assistant"}
		switch {
		case len(w.answer.calls) == 0:
			message.Content = &w.answer.text
		case w.answer.legacy:
			call := w.answer.calls[0]
			message.Function = &wireFunction{Name: call.name, Arguments: call.arguments}
		default:
			for i, call := range w.answer.calls {
				message.Calls = append(message.Calls, call.wire(callID(w.digest, choice, i), call.arguments))
			}
		}
		reply.Choices = append(reply.Choices, wireChoice{Index: choice, Message: message, Finish: w.finish()})
	}
	reply.Usage = wireUsage{}
	return encode(reply)
}

func (c rehearsalCall) wire(id, arguments string) wireCall {
	if c.custom {
		return wireCall{ID: id, Type: "custom", Custom: &wireCustom{Name: c.name, Input: arguments}}
	}
	return wireCall{ID: id, Type: "function", Function: &wireFunction{Name: c.name, Arguments: arguments}}
}

// stream is the answer as server-sent events, one a frame.
func (w rehearsalWriter) stream(usage bool) [][]byte {
	var frames [][]byte
	send := func(choice int, delta any, finish *string) {
		chunk := w.reply("chat.completion.chunk")
		chunk.Choices = append(chunk.Choices, wireChoice{Index: choice, Delta: delta, Finish: finish})
		if usage {
			chunk.Usage = json.RawMessage("null")
		}
		frames = append(frames, event(encode(chunk)))
	}
	for choice := range w.n {
		for _, delta := range w.deltas(choice) {
			send(choice, delta, nil)
		}
		send(choice, struct{}{}, w.finish())
	}
	if usage {
		chunk := w.reply("chat.completion.chunk")
		chunk.Usage = wireUsage{}
		frames = append(frames, event(encode(chunk)))
	}
	return append(frames, event([]byte("[DONE]")))
}

func (w rehearsalWriter) deltas(choice int) []any {
	if len(w.answer.calls) == 0 {
		deltas := []any{map[string]any{"role": "assistant", "content": "", "refusal": nil}}
		for _, piece := range strings.SplitAfter(w.answer.text, " ") {
			deltas = append(deltas, map[string]any{"content": piece})
		}
		return deltas
	}
	deltas := []any{map[string]any{"role": "assistant", "content": nil, "refusal": nil}}
	for i, call := range w.answer.calls {
		if w.answer.legacy {
			deltas = append(deltas, map[string]any{"function_call": wireFunction{Name: call.name}})
			for _, piece := range pieces(call.arguments) {
				deltas = append(deltas, map[string]any{"function_call": wireFunction{Arguments: piece}})
			}
			continue
		}
		first := call.wire(callID(w.digest, choice, i), "")
		first.Index = &i
		deltas = append(deltas, map[string]any{"tool_calls": []wireCall{first}})
		for _, piece := range pieces(call.arguments) {
			next := wireCall{Index: &i}
			if call.custom {
				next.Custom = &wireCustom{Input: piece}
			} else {
				next.Function = &wireFunction{Arguments: piece}
			}
			deltas = append(deltas, map[string]any{"tool_calls": []wireCall{next}})
		}
	}
	return deltas
}

// pieces cuts a text into fragments, never inside a character.
func pieces(text string) []string {
	var out []string
	for len(text) > fragment {
		cut := fragment
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		out = append(out, text[:cut])
		text = text[cut:]
	}
	return append(out, text)
}

func event(data []byte) []byte {
	frame := make([]byte, 0, len(data)+8)
	frame = append(frame, "data: "...)
	frame = append(frame, data...)
	return append(frame, "\n\n"...)
}

// encode writes JSON in which <, > and & stand for themselves.
func encode(value any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		// Every value here is made of strings, numbers and valid raw JSON.
		panic("backend: " + err.Error())
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
