package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

// The life of a question is that of the settings, or of its rule; a moment
// before its end it is answered, a moment later it is over, visibly.
func TestAQuestionExpires(t *testing.T) {
	const inAnHour = `
name: Slow
rules:
  - id: slow
    condition: "Refunds may take an hour"
    tools: [process_refund]
    when: [{if: 'true', effect: confirm, expires: 1h}]
`
	for name, c := range map[string]struct {
		policy, yaml string
		life         time.Duration
	}{"default": {"", "", 15 * time.Minute}, "setting": {"", "confirm: {expires: 90s}\n", 90 * time.Second}, "rule": {inAnHour, "confirm: {expires: 90s}\n", time.Hour}} {
		t.Run(name, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, storeURL string) {
				now := &clock{}
				p, model := startScripted(t, setup{store: storeURL, policy: c.policy, yaml: c.yaml, clock: now})
				bothWays(t, func(t *testing.T, stream bool) {
					call := refund("call_1", refundArgs)
					early := newChat("Refund order 456 early").streaming(stream)
					late := newChat("Refund order 456 late").streaming(stream)
					before := time.Now().Add(now.read())
					askedEarly, askedLate := asks(t, p, model, early, call), asks(t, p, model, late, call)
					var expires int64
					require.NoError(t, json.Unmarshal(askedLate.pending[0]["expires_at"], &expires))
					require.GreaterOrEqual(t, expires, before.Add(c.life).Unix())
					require.LessOrEqual(t, expires, time.Now().Add(now.read()).Add(c.life).Unix())

					now.forward(c.life - 10*time.Second)
					p.post(early.say(askedEarly.text, "yes").body()).read(t).released(t, call)
					now.forward(11 * time.Second)
					sofar := len(model.Requests())
					for _, word := range []string{"yes", "no", "yes"} {
						got := p.post(late.say(askedLate.text, word).body()).read(t)
						got.silent(t)
						require.Contains(t, got.text, "has expired")
						require.Equal(t, "ok", got.gate)
						require.Empty(t, got.pending)
					}
					require.Len(t, model.Requests(), sofar)

					// Asked again, it is a question like the first, and not told apart
					// from one that is over.
					again := asks(t, p, model, late, call)
					require.Equal(t, askedLate.text, again.text)
					p.post(late.say(again.text, "yes").body()).read(t).released(t, call)
				})
			})
		})
	}
}

// Approvals 13, D51: nobody comes back, and still the question ends, recorded
// as a time-out and not as a no.
func TestTheSweeperEndsWhatNobodyAnswers(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		now := &clock{}
		p, model := startScripted(t, setup{store: storeURL, clock: now})
		asks(t, p, model, newChat("Refund order 456"), refund("call_1", refundArgs))
		now.forward(16 * time.Minute)
		r := p.awaitRecord(governance.EventExpire)
		require.Equal(t, governance.StateExpired, r.State)
		require.Empty(t, r.Resolver)
		require.Equal(t, "sweep", r.Channel)
		require.NotEmpty(t, r.Reason)
		require.Equal(t, []string{"decision", "expire"}, p.events())
	})
}

// An escalation that nobody decided is over too; a late decision hears so.
func TestAnEscalationExpires(t *testing.T) {
	now := &clock{}
	p, model := startScripted(t, setup{clock: now, policy: reviewRefunds})
	ask := newChat("Refund order 456")
	asked, place := escalates(t, p, model, ask, refund("call_1", refundArgs))
	now.forward(16 * time.Minute)
	status, body := resolve(t, place, "auto", keyRhea)
	require.Equal(t, 500, status, body)
	require.Contains(t, body, `"code":"escalation_resolve_failed"`)
	var e governance.Escalation
	require.Equal(t, 200, p.get(t, place, keyRhea, &e))
	require.Equal(t, "rejected", e.Status)
	require.Equal(t, "expired", e.Resolution)
	got := p.post(ask.say(asked.text, "yes").body()).read(t)
	got.silent(t)
	require.Contains(t, got.text, "has expired")
	toModel(t, p, model, ask.say(asked.text, "And now?").body())
}

// A released call is repeated for a while for those who did not get it, and
// then no more.
func TestTheReplayWindow(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		now := &clock{}
		p, model := startScripted(t, setup{store: storeURL, clock: now})
		bothWays(t, func(t *testing.T, stream bool) {
			ask := newChat("Refund order 456").streaming(stream)
			call := refund(fmt.Sprint("call_", stream), refundArgs)
			asked := asks(t, p, model, ask, call)
			yes := ask.say(asked.text, "yes").body()
			p.post(yes).read(t).released(t, call)
			retry := []string{"X-Stainless-Retry-Count", "1"}
			p.post(yes, retry...).read(t).released(t, call)
			now.forward(110 * time.Second)
			p.post(yes, retry...).read(t).released(t, call)
			now.forward(15 * time.Second)
			got := p.post(yes, retry...).read(t)
			got.silent(t)
			require.Contains(t, got.text, "already released at "+time.Now().UTC().Format("2006-01-"))
			releases := 0
			for _, r := range p.records() {
				if r.Event == governance.EventRelease && r.CallID == call.ID {
					releases++
				}
			}
			require.Equal(t, 1, releases, "a repeat is not recorded as another release")
			now.forward(time.Hour)
		})
	})
}

// The longest life of a mixed turn counts for all of it, and what was answered
// early is not lost.
func TestTheLongestLifeOfAMixedTurnCounts(t *testing.T) {
	now := &clock{}
	p, model := startScripted(t, setup{clock: now, policy: `
name: Mixed
rules:
  - id: refunds
    condition: "Refunds over 100 need a reviewer, the others the requester"
    tools: [process_refund]
    when:
      - {if: 'args.amount > 100', effect: escalate, expires: 4h}
      - {if: 'true', effect: confirm, expires: 15m}
`})
	bothWays(t, func(t *testing.T, stream bool) {
		small, large := refund("call_small", `{"amount":10}`), refund("call_large", `{"amount":1000}`)
		ask := newChat("Refund both").streaming(stream)
		model.Next(turnOf(stream, "", small, large))
		asked := p.post(ask.body()).read(t)
		asked.silent(t)
		require.Equal(t, "needs_input", asked.gate, "the requester has something to answer")
		require.Len(t, asked.pending, 2)
		now.forward(time.Hour)
		recorded := p.post(ask.say(asked.text, "yes").body()).read(t)
		recorded.silent(t)
		require.Equal(t, "escalate", recorded.gate)
		require.Contains(t, recorded.text, "Your yes is recorded")
		var place string
		for _, pending := range asked.pending {
			if raw, ok := pending["approve_url"]; ok {
				require.NoError(t, json.Unmarshal(raw, &place))
			}
		}
		now.forward(2 * time.Hour)
		status, body := resolve(t, place, "auto", keyRhea)
		require.Equal(t, 200, status, body)
		got := p.post(ask.say(asked.text, "yes").say(recorded.text, "And?").body()).read(t)
		require.Equal(t, []seenCall{{"call_small", "function", "process_refund", small.Arguments}, {"call_large", "function", "process_refund", large.Arguments}}, got.calls)
		require.Equal(t, "ok", got.gate)
	})
}
