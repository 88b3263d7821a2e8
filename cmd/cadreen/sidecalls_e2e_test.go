package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// Chat programs ask the same endpoint for titles and tags, between a question
// and its answer. None of that may touch the question.
func TestSideCallsLeaveTheQuestionOpen(t *testing.T) {
	const chatID = "X-OpenWebUI-Chat-Id"
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		for name, side := range map[string]func(ask *talk, prompt string) *talk{
			"Open WebUI title": func(_ *talk, prompt string) *talk {
				return newChat("### Task:\nGenerate a concise, 3-5 word title.\n### Chat History:\n<chat_history>\nUSER: Refund order 456\nASSISTANT: " + prompt + "\n</chat_history>").without()
			},
			"Open WebUI follow-ups": func(_ *talk, prompt string) *talk {
				return newChat("### Task:\nSuggest 3-5 relevant follow-up questions.\n<chat_history>\nASSISTANT: " + prompt + "\nUSER: yes\n</chat_history>").without()
			},
			"NextChat title after the whole history": func(ask *talk, prompt string) *talk {
				return ask.say(prompt, "Please generate a four to five word title summarizing our conversation without any lead-in.").without().streaming(false)
			},
			"NextChat summary by a system message": func(ask *talk, prompt string) *talk {
				c := *ask.without()
				c.messages = append(append([]string(nil), ask.messages...), said("assistant", prompt), said("system", "Summarize the discussion briefly."))
				return c.streaming(false)
			},
			"Continue": func(_ *talk, prompt string) *talk {
				return newChat("Given the following... please reply with a title for the chat:\n\n" + prompt).without()
			},
		} {
			t.Run(name, func(t *testing.T) {
				bothWays(t, func(t *testing.T, stream bool) {
					ask := newChat("Refund order 456: " + name).streaming(stream)
					call := refund("call_side", refundArgs)
					asked := asks(t, p, model, ask, call, chatID, "chat-"+name)
					model.Next(turnOf(false, "A Refund"))
					title := p.post(side(ask, asked.text).body(), chatID, "chat-"+name)
					require.Equal(t, "A Refund", title.read(t).text)
					p.post(ask.say(asked.text, "yes").body(), chatID, "chat-"+name).read(t).released(t, call)
				})
			})
		}
	})
}

// LibreChat fetches titles as a forced call of a tool named extract: that is
// structured output, not an action.
func TestAForcedTitleCallIsNoAction(t *testing.T) {
	p, model := startScripted(t, setup{})
	bothWays(t, func(t *testing.T, stream bool) {
		ask := newChat("Refund order 456").streaming(stream)
		call := refund("call_refund", refundArgs)
		asked := asks(t, p, model, ask, call, "X-Conversation-Id", "c1")

		title := newChat("Provide a concise, 5-word-or-less title for the conversation:\nUser: Refund order 456").streaming(stream).
			with(`,"tool_choice":{"type":"function","function":{"name":"extract"}}`)
		title.tools = []string{`{"type":"function","function":{"name":"extract","parameters":{"type":"object","properties":{"title":{"type":"string","description":"A concise title"}},"required":["title"]}}}`}
		extract := scripted.Call{ID: "call_title", Name: "extract", Arguments: `{"title":"A Refund"}`}
		model.Next(turnOf(stream, "", extract))
		p.post(title.body(), "X-Conversation-Id", "c1").read(t).released(t, extract)

		p.post(ask.say(asked.text, "yes").body(), "X-Conversation-Id", "c1").read(t).released(t, call)
	})
}

// A yes in a request without tools answers nothing that was asked with tools,
// and does not end it either.
func TestAYesWithoutToolsReleasesNothing(t *testing.T) {
	p, model := startScripted(t, setup{})
	ask := newChat("Refund order 456")
	call := refund("call_1", refundArgs)
	asked := asks(t, p, model, ask, call)
	refused(t, p, model, ask.say(asked.text, "yes").without().body())
	p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
}

// Markdown escapes and reasoning blocks that a chat program puts into the
// history do not hide the question.
func TestAnEditedCopyOfThePromptStillAnswers(t *testing.T) {
	p, model := startScripted(t, setup{})
	for name, edit := range map[string]func(string) string{
		"CRLF":            func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"markdown escape": func(s string) string { return strings.ReplaceAll(s, "_", `\_`) },
		"trimmed blanks":  func(s string) string { return "  " + s + "\n\n" },
		"reasoning block": func(s string) string { return "<think>\nhm\n</think>\n" + s },
	} {
		t.Run(name, func(t *testing.T) {
			ask := newChat("Refund order 456 for $750 " + name)
			call := refund("call_1", refundArgs)
			asked := asks(t, p, model, ask, call)
			p.post(ask.say(edit(asked.text), "yes").body()).read(t).released(t, call)
		})
	}
}
