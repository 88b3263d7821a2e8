package main

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/proxy/scripted"
)

// Conversations under one key, without any id, whose questions are open at the
// same time: each yes releases its own call.
func TestInterleavedConversationsWithoutAnID(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		bothWays(t, func(t *testing.T, stream bool) {
			const n = 4
			chats, calls, asked := make([]*talk, n), make([]scripted.Call, n), make([]seen, n)
			for i := range n {
				chats[i] = newChat(fmt.Sprintf("Refund order %d", 100+i)).streaming(stream)
				calls[i] = refund(fmt.Sprintf("call_%d", i), fmt.Sprintf(`{"order_id":"%d","amount":%d.00}`, 100+i, i))
				asked[i] = asks(t, p, model, chats[i], calls[i])
			}
			for _, i := range []int{2, 0, 3, 1} { // answered in another order
				p.post(chats[i].say(asked[i].text, "yes").body()).read(t).released(t, calls[i])
			}
		})
	})
}

// The same last words, the same prompt, other histories: the prompts are told
// apart, so that the answers are.
func TestIdenticalMessagesWithDifferentHistories(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		bothWays(t, func(t *testing.T, stream bool) {
			first := newChat("Hello, I am Ann").say("Hello Ann", "Refund order 456 for $750").streaming(stream)
			second := newChat("Hello, I am Ben").say("Hello Ben", "Refund order 456 for $750").streaming(stream)
			callA, callB := refund("call_a", refundArgs), refund("call_b", refundArgs)
			askedA, askedB := asks(t, p, model, first, callA), asks(t, p, model, second, callB)
			require.NotEqual(t, askedA.text, askedB.text, "the later question names its request")
			p.post(second.say(askedB.text, "yes").body()).read(t).released(t, callB)
			p.post(first.say(askedA.text, "yes").body()).read(t).released(t, callA)
		})
	})
}

// The same first message in two chats, whose calls differ.
func TestIdenticalFirstMessages(t *testing.T) {
	p, model := startScripted(t, setup{})
	bothWays(t, func(t *testing.T, stream bool) {
		ask := newChat("Please refund it, you know which").streaming(stream)
		callA, callB := refund("call_a", `{"order_id":"1"}`), refund("call_b", `{"order_id":"2"}`)
		askedA, askedB := asks(t, p, model, ask, callA), asks(t, p, model, ask, callB)
		require.NotEqual(t, askedA.text, askedB.text)
		p.post(ask.say(askedA.text, "yes").body()).read(t).released(t, callA)
		p.post(ask.say(askedB.text, "yes").body()).read(t).released(t, callB)
	})
}

// A client that trims its history still answers its own question.
func TestTrimmedHistoryStillAnswers(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		bothWays(t, func(t *testing.T, stream bool) {
			long := newChat("Hello").say("Hello!", "What can you do?").say("Refunds.", "Refund order 456").streaming(stream)
			other := newChat("Hello").say("Hello!", "Refund order 789").streaming(stream)
			call, otherCall := refund("call_long", refundArgs), refund("call_other", refundArgs)
			asked := asks(t, p, model, long, call)
			otherAsked := asks(t, p, model, other, otherCall)
			trimmed := newChat("Refund order 456").streaming(stream).say(asked.text, "yes")
			p.post(trimmed.body()).read(t).released(t, call)
			p.post(other.say(otherAsked.text, "yes").body()).read(t).released(t, otherCall)
		})
	})
}

// Both conversations stream at the same time, and so do their answers.
func TestBothConversationsStreamAtOnce(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		h := scripted.Head{}
		chats := []*talk{newChat("Refund order 1").streaming(true), newChat("Refund order 2").streaming(true)}
		calls := []scripted.Call{refund("call_1", `{"order_id":"1"}`), refund("call_2", `{"order_id":"2"}`)}
		gate := make(chan struct{})
		answers := make([]reply, 2)
		var group sync.WaitGroup
		for i := range chats {
			steps := scripted.Wire{}.Steps(append(append([]string{h.Role(0)}, h.CallChunks(0, 0, calls[i], 3)...), h.Finish(0, "tool_calls"))...)
			model.Next(scripted.Stream(append(append(append([]scripted.Step(nil), steps[:2]...), scripted.Wait(gate)), steps[2:]...)...))
			group.Go(func() { answers[i] = atOnce(t, p, chats[i].body()) })
			_, err := model.Await(t.Context(), i+1) // the replies are queued in this order
			require.NoError(t, err)
		}
		close(gate)
		group.Wait()
		released := make([]reply, 2)
		for i := range chats {
			asked := answers[i].read(t)
			asked.held(t, "process_refund")
			group.Go(func() { released[i] = atOnce(t, p, chats[i].say(asked.text, "yes").body()) })
		}
		group.Wait()
		for i := range chats {
			released[i].read(t).released(t, calls[i])
		}
	})
}

// Approvals 10: many yeses at once release once; the others hear so or are
// given nothing.
func TestRacingYesesReleaseOnce(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		ask := newChat("Refund order 456")
		call := refund("call_race", refundArgs)
		asked := asks(t, p, model, ask, call)
		answers := make([]reply, 12)
		var group sync.WaitGroup
		for i := range answers {
			group.Go(func() { answers[i] = atOnce(t, p, ask.say(asked.text, "yes").body()) })
		}
		group.Wait()
		released := 0
		for _, r := range answers {
			if got := r.read(t); len(got.calls) > 0 {
				got.released(t, call)
				released++
			} else {
				require.Contains(t, got.text, "Nothing was done")
			}
		}
		require.GreaterOrEqual(t, released, 1)
		// Those beyond the first can only be repeats of a reply that had not
		// been written whole; afterwards nothing is given out again.
		refused(t, p, model, ask.say(asked.text, "yes").body())
	})
}

// CLIENTS 11: the answer to a yes was lost, the SDK sends it again.
func TestALostAnswerIsGivenAgain(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		bothWays(t, func(t *testing.T, stream bool) {
			for name, header := range map[string][2]string{"retry count": {"X-Stainless-Retry-Count", "1"}, "idempotency key": {"Idempotency-Key", "key-1"}} {
				t.Run(name, func(t *testing.T) {
					ask := newChat("Refund order 456 " + name).streaming(stream)
					call := refund("call_lost", refundArgs)
					asked := asks(t, p, model, ask, call)
					yes := ask.say(asked.text, "yes").body()
					first := []string{"X-Stainless-Retry-Count", "0"}
					if name == "idempotency key" {
						first = []string{header[0], header[1] + fmt.Sprint(stream)}
						header[1] = first[1]
					}
					p.post(yes, first...).read(t).released(t, call)
					p.post(yes, header[0], header[1]).read(t).released(t, call)
					refused(t, p, model, yes)
				})
			}
		})
	})
}

// Yes and no at once: one of them counts, for everybody.
func TestAYesAndANoAtOnce(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		for round := range 5 {
			ask := newChat(fmt.Sprint("Refund order 456, round ", round))
			call := refund(fmt.Sprint("call_", round), refundArgs)
			asked := asks(t, p, model, ask, call)
			answers := make([]reply, 8)
			var group sync.WaitGroup
			for i := range answers {
				word := []string{"yes", "no"}[i%2]
				group.Go(func() { answers[i] = atOnce(t, p, ask.say(asked.text, word).body()) })
			}
			group.Wait()
			released, skipped := 0, 0
			for i, r := range answers {
				require.Equal(t, 200, r.status, r.body)
				got := r.read(t)
				if len(got.calls) > 0 {
					require.Zero(t, i%2, "a no never brings calls")
					got.released(t, call)
					released++
				}
				if got.text == "Okay, skipped: process_refund. Nothing was done." {
					skipped++
				}
			}
			require.True(t, released > 0 != (skipped > 0), "%d released, %d skipped", released, skipped)
			hold, ends := "", map[governance.State]bool{}
			for _, rec := range p.records() {
				if rec.CallID == call.ID && hold == "" {
					hold = rec.Hold
				}
				if rec.Hold == hold && rec.State != governance.StateHeld {
					ends[rec.State] = true
				}
			}
			require.Len(t, ends, 1, "%v", ends)
		}
	})
}

// atOnce is post for goroutines: a failure is a broken reply.
func atOnce(t *testing.T, p *proxyUnderTest, body string) reply {
	r, err := p.try(context.WithoutCancel(t.Context()), body)
	if err != nil {
		r.broken = err
	}
	return r
}
