package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

const reviewRefunds = `
name: Review
rules:
  - id: review
    condition: "Refunds over 100 need a reviewer"
    tools: [process_refund]
    when: [{if: 'args.amount > 100', effect: escalate}]
`

// escalates brings a conversation to an open escalation and answers where it is
// decided.
func escalates(t *testing.T, p *proxyUnderTest, model *scripted.Server, c *talk, call scripted.Call, headers ...string) (asked seen, place string) {
	t.Helper()
	model.Next(turnOf(c.stream, "", call))
	asked = p.post(c.body(), headers...).read(t)
	asked.silent(t)
	require.Equal(t, "escalate", asked.gate)
	require.Len(t, asked.pending, 1)
	require.NoError(t, json.Unmarshal(asked.pending[0]["approve_url"], &place))
	return asked, place
}

// resolve sends a reviewer's decision to the address that the reply named.
func resolve(t *testing.T, approveURL, decision, key string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, approveURL+"/resolve", strings.NewReader(`{"decision":"`+decision+`"}`))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

// Approvals 12: a decision made elsewhere reaches the conversation with its
// next request, once.
func TestAReviewersDecisionReachesTheConversation(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL, policy: reviewRefunds})
		bothWays(t, func(t *testing.T, stream bool) {
			ask := newChat("Refund order 456").streaming(stream)
			call := refund("call_e", `{"order_id":"Z\u00fcrich", "amount":750.00}`)
			model.Next(turnOf(stream, "", call))
			asked := p.post(ask.body()).read(t)
			asked.silent(t)
			require.Equal(t, "escalate", asked.gate)
			var place string
			require.NoError(t, json.Unmarshal(asked.pending[0]["approve_url"], &place))

			status, body := resolve(t, place, "auto", keyAnn)
			require.Equal(t, 403, status, "the requester has no say: %s", body)
			status, body = resolve(t, place, "auto", keyOther)
			require.NotEqual(t, 200, status, "nor has another workspace: %s", body)
			status, body = resolve(t, place, "auto", keyRhea)
			require.Equal(t, 200, status, body)

			sofar := len(model.Requests())
			p.post(ask.say(asked.text, "Is it approved by now?").body()).read(t).released(t, call)
			require.Len(t, model.Requests(), sofar)
			toModel(t, p, model, ask.say(asked.text, "Is it approved by now?").say("Yes.", "Thanks").body())
		})
	})
}

func TestADeclinedEscalationReleasesNothing(t *testing.T) {
	p, model := startScripted(t, setup{policy: reviewRefunds})
	ask := newChat("Refund order 456")
	model.Next(turnOf(false, "", refund("call_e", refundArgs)))
	asked := p.post(ask.body()).read(t)
	var place string
	require.NoError(t, json.Unmarshal(asked.pending[0]["approve_url"], &place))
	status, body := resolve(t, place, "abstain", keyRhea)
	require.Equal(t, 200, status, body)
	got := p.post(ask.say(asked.text, "yes").body()).read(t)
	got.silent(t)
	require.Contains(t, got.text, "it was not done")
}
