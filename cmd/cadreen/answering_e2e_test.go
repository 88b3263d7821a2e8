package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

func fourCalls() []scripted.Call {
	list := make([]scripted.Call, 4)
	for i := range list {
		list[i] = refund(fmt.Sprintf("call_%d", i+1), fmt.Sprintf(`{"order_id":"%d"}`, i+1))
	}
	return list
}

func asCalls(list ...scripted.Call) (out []seenCall) {
	for _, c := range list {
		out = append(out, seenCall{c.ID, "function", c.Name, c.Arguments})
	}
	return out
}

// Several calls, answered by their numbers.
func TestNumberedAnswers(t *testing.T) {
	calls := fourCalls()
	for answer, want := range map[string][]int{
		"2,4": {1, 3}, "2 4": {1, 3}, "2 and 4": {1, 3}, "4, 2.": {1, 3}, "1,2,3,4": {0, 1, 2, 3}, "3": {2}, `"all"`: {0, 1, 2, 3}, "Everything!": {0, 1, 2, 3},
	} {
		t.Run(answer, func(t *testing.T) {
			bothWays(t, func(t *testing.T, stream bool) {
				p, model := startScripted(t, setup{})
				model.Next(turnOf(stream, "", calls...))
				ask := newChat("Refund all of them").streaming(stream)
				asked := p.post(ask.body()).read(t)
				asked.silent(t)
				for n := range calls {
					require.Contains(t, asked.text, fmt.Sprintf("\n\n%d. process_refund\n\n", n+1))
				}
				require.Len(t, asked.pending, 4)
				require.Contains(t, asked.text, "make these 4 calls.")
				var list []scripted.Call
				for _, i := range want {
					list = append(list, calls[i])
				}
				got := p.post(ask.say(asked.text, answer).body()).read(t)
				require.Equal(t, asCalls(list...), got.calls)
				require.Equal(t, "tool_calls", got.finish)
				refused(t, p, model, ask.say(asked.text, answer).body())
			})
		})
	}
}

// A no to some leaves the others asked about, under their new numbers.
func TestANoToSomeLeavesTheOthersAsked(t *testing.T) {
	calls := fourCalls()
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		bothWays(t, func(t *testing.T, stream bool) {
			model.Next(turnOf(stream, "", calls...))
			ask := newChat(fmt.Sprint("Refund all of them ", stream)).streaming(stream)
			asked := p.post(ask.body()).read(t)
			first := p.post(ask.say(asked.text, "no 2").body()).read(t)
			first.silent(t)
			require.Equal(t, "needs_input", first.gate)
			require.Len(t, first.pending, 3)
			require.Contains(t, first.text, "make these 3 calls.")
			// The old question is not the open one any more.
			old := p.post(ask.say(asked.text, "yes").body()).read(t)
			old.silent(t)
			after := ask.say(asked.text, "no 2").say(first.text, "no 1,3")
			second := p.post(after.body()).read(t)
			second.silent(t)
			require.Len(t, second.pending, 1)
			require.True(t, strings.HasSuffix(second.text, promptLast), second.text)
			require.Contains(t, second.text, `"order_id": "3"`, "what is left is shown")
			got := p.post(after.say(second.text, "yes").body()).read(t)
			got.released(t, calls[2])
		})
	})
}

// A number that the question does not list is no answer, to the model.
func TestANumberThatIsNotListedIsNoAnswer(t *testing.T) {
	p, model := startScripted(t, setup{})
	for _, answer := range []string{"5", "0", "1,5", "no 7", "2-3", "1;2", "#1", "１"} {
		t.Run(answer, func(t *testing.T) {
			model.Next(turnOf(false, "", fourCalls()...))
			ask := newChat("Refund all of them: " + answer)
			asked := p.post(ask.body()).read(t)
			asked.silent(t)
			toModel(t, p, model, ask.say(asked.text, answer).body())
		})
	}
}

// Words that mean yes or no, in the spellings people use, and in parts.
func TestSpellingsOfAnAnswer(t *testing.T) {
	p, model := startScripted(t, setup{})
	call := refund("call_1", refundArgs)
	for i, content := range []string{`"Yes."`, `" YES! "`, `"\"yes\""`, `"ok"`, `"Go ahead,"`, `"do it"`, `"Approve"`, `"y"`, `"ja"`, `"oui !"`, `"sí"`, `"はい"`, `"да"`,
		`[{"type":"text","text":"yes"}]`, `[{"type":"text","text":"Yes","cache_control":{"type":"ephemeral"}}]`, `"1"`, `"\u0079es"`} {
		t.Run(content, func(t *testing.T) {
			ask := newChat(fmt.Sprint("Refund order 456, try ", i))
			asked := asks(t, p, model, ask, call)
			yes := *ask.say(asked.text, "")
			yes.messages[len(yes.messages)-1] = `{"role":"user","content":` + content + `}`
			p.post(yes.body()).read(t).released(t, call)
		})
	}
	for i, content := range []string{`"No."`, `"n"`, `"skip"`, `"Cancel!"`, `"nein"`, `[{"type":"text","text":"no"}]`, `"no 1"`} {
		t.Run(content, func(t *testing.T) {
			ask := newChat(fmt.Sprint("Refund order 456, another try ", i))
			asked := asks(t, p, model, ask, call)
			no := *ask.say(asked.text, "")
			no.messages[len(no.messages)-1] = `{"role":"user","content":` + content + `}`
			got := p.post(no.body()).read(t)
			got.silent(t)
			require.Contains(t, got.text, "skipped: process_refund")
			refused(t, p, model, ask.say(asked.text, "yes").body())
		})
	}
	for i, content := range []string{`"yes\u200b"`, `"y e s"`, `"yes yes"`, `"👍"`, `"yes and no"`, `[{"type":"text","text":"yes"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]`,
		`[{"type":"text","text":"yes"},{"type":"text","text":"but not now"}]`, `[]`, `""`, `"ye\u0301s"`, `"уes"`} {
		t.Run("no answer "+content, func(t *testing.T) {
			ask := newChat(fmt.Sprint("Refund order 456, no answer ", i))
			asked := asks(t, p, model, ask, call)
			other := *ask.say(asked.text, "")
			other.messages[len(other.messages)-1] = `{"role":"user","content":` + content + `}`
			toModel(t, p, model, other.body())
		})
	}
}

// What else stands in a turn beside the held call is said, in both forms alike.
func TestATurnWithABlockedAndAHeldCall(t *testing.T) {
	const mixed = `
name: Mixed
rules:
  - id: refunds
    condition: "Large refunds never, others ask"
    tools: [process_refund]
    when:
      - {if: 'args.amount > 1000', effect: block}
      - {if: 'true', effect: confirm}
    message: "Refund of ${args.amount} <b>EUR</b>"
  - id: reads
    condition: "Reading is free"
    tools: [get_order]
    when: [{if: 'true', effect: allow}]
`
	texts := map[bool]string{}
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{policy: mixed})
		blocked, held := refund("call_blocked", `{"amount":5000}`), refund("call_held", `{"amount":50.50}`)
		read := scripted.Call{ID: "call_read", Name: "get_order", Arguments: `{"order_id":"1"}`}
		model.Next(turnOf(stream, "Let me see.", blocked, held, read))
		ask := newChat("Refund it").streaming(stream)
		r := p.post(ask.body())
		asked := r.read(t)
		asked.held(t, "process_refund")
		texts[stream] = asked.text
		require.True(t, strings.HasPrefix(asked.text, "Let me see.\n\nI cannot process_refund: a policy blocks it."), asked.text)
		require.Contains(t, asked.text, "Refund of 50.5", "the rule's message, filled in")
		require.Contains(t, asked.text, "Refund of 5000 ")
		require.Len(t, asked.pending, 1)
		require.Equal(t, `{"amount":50.50}`, string(asked.pending[0]["arguments"]))
		got := p.post(ask.say(asked.text, "yes").body()).read(t)
		require.Equal(t, asCalls(held, read), got.calls)
		require.NotContains(t, got.text, "call_blocked")
	})
	require.Equal(t, texts[false], texts[true])
}

// batch: release_allowed sends what is allowed at once, and the rest after its
// answer.
func TestReleaseAllowedSendsWhatIsAllowedAtOnce(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{yaml: "batch: release_allowed\n"})
		read := scripted.Call{ID: "call_read", Name: "get_order", Arguments: `{"order_id":"1"}`}
		held := refund("call_held", refundArgs)
		model.Next(turnOf(stream, "One moment.", read, held))
		ask := newChat("Refund it").streaming(stream)
		r := p.post(ask.body())
		got := r.read(t)
		require.Equal(t, asCalls(read), got.calls)
		require.Equal(t, "tool_calls", got.finish)
		require.Equal(t, "needs_input", got.gate)
		require.Len(t, got.pending, 1)
		require.True(t, strings.HasSuffix(got.text, promptLast), got.text)
		require.NotContains(t, r.body, "call_held")

		// The client runs the read, and the requester answers after its result.
		withResult := *ask
		withResult.messages = append(append([]string(nil), ask.messages...),
			`{"role":"assistant","content":`+scripted.Quote(got.text)+`,"tool_calls":[{"id":"call_read","type":"function","function":{"name":"get_order","arguments":"{}"}}]}`,
			`{"role":"tool","tool_call_id":"call_read","content":"fine"}`)
		model.Next(turnOf(stream, "It is fine."))
		result := p.post(withResult.body()).read(t)
		require.Equal(t, "It is fine.", result.text)
		// The question is still open for whoever answers right below it.
		p.post(ask.say(got.text, "yes").body()).read(t).released(t, held)
	})
}

const clarifyCity = `
name: City
rules:
  - id: city
    condition: "Refunds need to know the city"
    tools: [process_refund]
    when:
      - {if: '!has(args.city)', effect: clarify, missing: "the city of the order", from: get_order}
      - {if: 'true', effect: confirm}
`

// A missing fact is named, with the tool that has it; nothing is held.
func TestAMissingFactIsAskedFor(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{policy: clarifyCity})
		ask := newChat("Refund it").streaming(stream)
		ask.tools[0] = `{"type":"function","function":{"name":"process_refund","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}`
		model.Next(turnOf(stream, "", refund("call_1", `{}`)))
		got := p.post(ask.body()).read(t)
		got.silent(t)
		require.Equal(t, "needs_input", got.gate)
		require.Empty(t, got.pending)
		require.Contains(t, got.text, "the city of the order")
		require.Contains(t, got.text, "get_order")
		toModel(t, p, model, ask.say(got.text, "yes").body())
		// The fact lifts it; the rest of the rule is heard.
		asks(t, p, model, ask.say(got.text, "Zürich"), refund("call_2", `{"city":"Zürich"}`))
	})
}

// Values too long to show are shown in part, with what identifies the whole.
func TestLongArgumentsAreShownInPartAndReleasedWhole(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{})
		call := refund("call_1", `{"order_id":"`+strings.Repeat("Zürich ", 20_000)+`THE END"}`)
		ask := newChat("Refund it").streaming(stream)
		asked := asks(t, p, model, ask, call)
		require.Less(t, len(asked.text), 12_000)
		require.Contains(t, asked.text, fmt.Sprintf("%d bytes", len(call.Arguments)))
		require.Regexp(t, `sha256 [0-9a-f]{64}`, asked.text)
		require.Contains(t, asked.text, "THE END")
		p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
	})
}

// The same request sent again, such as by "regenerate", replaces its question;
// the same words in another chat are told apart.
func TestAskingTheSameAgain(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		bothWays(t, func(t *testing.T, stream bool) {
			ask := newChat(fmt.Sprintf("Refund order 456 for $750 (%t)", stream)).streaming(stream)
			asked := asks(t, p, model, ask, refund("call_1", refundArgs))
			again := asks(t, p, model, ask, refund("call_2", refundArgs))
			require.Equal(t, asked.text, again.text)
			p.post(ask.say(again.text, "yes").body()).read(t).released(t, refund("call_2", refundArgs))
			refused(t, p, model, ask.say(asked.text, "yes").body())

			// Another chat that says the same, about something else.
			first := asks(t, p, model, ask, refund("call_3", `{"order_id":"3"}`))
			other := newChat("Before").say("Yes?", fmt.Sprintf("Refund order 456 for $750 (%t)", stream)).streaming(stream)
			second := asks(t, p, model, other, refund("call_4", `{"order_id":"3"}`))
			require.NotEqual(t, first.text, second.text)
			require.Regexp(t, regexp.MustCompile(`\n\nRequest [A-Z][2-9]\n\n`), second.text)
			p.post(ask.say(first.text, "yes").body()).read(t).released(t, refund("call_3", `{"order_id":"3"}`))
			p.post(other.say(second.text, "yes").body()).read(t).released(t, refund("call_4", `{"order_id":"3"}`))
		})
	})
}

// Many requests with the same words at once, for different things: each gets a
// question of its own, and each yes its own call.
func TestManyEqualRequestsAtOnce(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		const n = 24
		ask := newChat("Refund what I told you")
		for i := range n {
			model.Next(turnOf(false, "", refund(fmt.Sprint("call_", i), fmt.Sprintf(`{"order_id":"%d"}`, i))))
		}
		answers := make([]reply, n)
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() { answers[i] = atOnce(t, p, ask.body()) })
		}
		group.Wait()
		for _, r := range answers {
			require.NoError(t, r.broken)
			require.Equal(t, 200, r.status, r.body)
			asked := r.read(t)
			asked.held(t, "process_refund")
			var shown struct {
				OrderID string `json:"order_id"`
			}
			require.NoError(t, json.Unmarshal(asked.pending[0]["arguments"], &shown))
			got := p.post(ask.say(asked.text, "yes").body()).read(t)
			got.released(t, refund("call_"+shown.OrderID, fmt.Sprintf(`{"order_id":"%s"}`, shown.OrderID)))
		}
	})
}

// A no is never answered with calls, not even as the repeat of something.
func TestANoAfterAReleaseBringsNoCalls(t *testing.T) {
	p, model := startScripted(t, setup{})
	ask := newChat("Refund order 456")
	call := refund("call_1", refundArgs)
	asked := asks(t, p, model, ask, call)
	p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
	p.post(ask.say(asked.text, "no").body(), "X-Stainless-Retry-Count", "1").read(t).silent(t)
}

// whole history or with the newest message only.
func TestTheConversationIDOfTheFirstReply(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{})
		ask := newChat("Refund order 456").streaming(stream)
		call := refund("call_1", refundArgs)
		asked := asks(t, p, model, ask, call)
		require.NotEmpty(t, asked.conv)
		p.post(newChat("yes").streaming(stream).with(`,"conversation_id":"`+asked.conv+`"`).body()).read(t).released(t, call)
		asked = asks(t, p, model, ask, call)
		p.post(ask.say(asked.text, "yes").with(`,"conversation_id":"`+asked.conv+`"`).body()).read(t).released(t, call)
		// And in a header.
		asked = asks(t, p, model, ask, call)
		p.post(ask.say(asked.text, "yes").body(), "X-Cadreen-Conversation-Id", asked.conv).read(t).released(t, call)
	})
}
