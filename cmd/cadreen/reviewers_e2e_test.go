package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/proxy/scripted"
)

// decide sends a whole decision body.
func decide(t *testing.T, p *proxyUnderTest, place, key, body string) (int, string) {
	t.Helper()
	return p.call(t, "POST", place+"/resolve", key, body, "Content-Type", "application/json")
}

// The six decisions, each from the question to what the chat hears of it.
func TestTheSixDecisionsOfAReviewer(t *testing.T) {
	one, two := refund("call_1", `{"order_id":"1","amount":500}`), refund("call_2", `{"order_id":"2","amount":600}`)
	calls := func(list ...scripted.Call) (out []seenCall) {
		for _, c := range list {
			out = append(out, seenCall{c.ID, "function", c.Name, c.Arguments})
		}
		return out
	}
	for _, c := range []struct {
		name           string
		first, second  string // decisions about call 1 and 2; "" for none
		status1        string
		calls          []seenCall
		text           string // of the reply to the next request
		gate           string
		reachesTheChat bool // the next request is not for the model
	}{
		{"auto, auto", `{"decision":"auto"}`, `{"decision":"auto"}`, "resolved", calls(one, two), "", "ok", true},
		{"auto, one to go", `{"decision":"auto"}`, "", "resolved", nil, "", "", false},
		{"auto_complete", `{"decision":"auto_complete"}`, "", "resolved", calls(one, two), "", "ok", true},
		{"auto, abstain", `{"decision":"auto"}`, `{"decision":"abstain","comment":"too much"}`, "resolved", calls(one), "A reviewer declined process_refund", "ok", true},
		{"abstain, auto", `{"decision":"abstain"}`, `{"decision":"auto"}`, "rejected", calls(two), "A reviewer declined process_refund", "ok", true},
		{"handoff, auto", `{"decision":"handoff"}`, `{"decision":"auto"}`, "resolved", calls(two), "handled by a person", "ok", true},
		{"clarify", `{"decision":"clarify_requester","comment":"Which order do you mean?"}`, "", "pending", nil, "Which order do you mean?", "needs_input", true},
		{"escalate", `{"decision":"escalate","to":"role:finance"}`, "", "pending", nil, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, stream bool) {
				p, model := startScripted(t, setup{policy: reviewRefunds})
				ask := newChat("Refund both").streaming(stream)
				model.Next(turnOf(stream, "", one, two))
				asked := p.post(ask.body()).read(t)
				asked.silent(t)
				require.Equal(t, "escalate", asked.gate)
				require.Len(t, asked.pending, 2)
				places := make([]string, 2)
				for i := range places {
					require.NoError(t, json.Unmarshal(asked.pending[i]["approve_url"], &places[i]))
				}
				var e governance.Escalation
				status, body := decide(t, p, places[0], keyRhea, c.first)
				require.Equal(t, 200, status, body)
				require.NoError(t, json.Unmarshal([]byte(body), &e))
				require.Equal(t, c.status1, e.Status)
				if c.second != "" {
					status, body = decide(t, p, places[1], keyRhea, c.second)
					require.Equal(t, 200, status, body)
				}
				next := ask.say(asked.text, "What about it?")
				if !c.reachesTheChat {
					toModel(t, p, model, next.body())
					return
				}
				sofar := len(model.Requests())
				r := p.post(next.body())
				got := r.read(t)
				require.Equal(t, c.calls, got.calls)
				require.Contains(t, got.text, c.text)
				require.Equal(t, c.gate, got.gate)
				require.Equal(t, c.gate, r.header.Get("X-Cadreen-Gate"))
				require.Len(t, model.Requests(), sofar)
				if len(c.calls) > 0 {
					// Once: the request after it goes to the model.
					toModel(t, p, model, next.body())
				}
			})
		})
	}
}

// Where every call of a turn is declined or done outside, the next word to the
// question hears so.
func TestAnEndWithoutCallsIsHeard(t *testing.T) {
	for decision, text := range map[string]string{"abstain": "declined", "handoff": "handled by a person"} {
		t.Run(decision, func(t *testing.T) {
			p, model := startScripted(t, setup{policy: reviewRefunds})
			ask := newChat("Refund order 456")
			asked, place := escalates(t, p, model, ask, refund("call_1", refundArgs))
			status, body := resolve(t, place, decision, keyRhea)
			require.Equal(t, 200, status, body)
			got := p.post(ask.say(asked.text, "yes").body()).read(t)
			got.silent(t)
			require.Contains(t, got.text, text)
			toModel(t, p, model, ask.say(asked.text, "Why not?").body())
		})
	}
}

// A question of the reviewer's goes to the requester, the answer to the
// reviewer, and the call is still the reviewer's to decide.
func TestAReviewersQuestionGoesBackAndForth(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{policy: reviewRefunds})
		ask := newChat("Refund order 456").streaming(stream)
		call := refund("call_1", refundArgs)
		asked, place := escalates(t, p, model, ask, call)
		status, body := decide(t, p, place, keyRhea, `{"decision":"clarify_requester"}`)
		require.Equal(t, 500, status, body)
		require.Contains(t, body, "escalation_resolve_failed")
		status, body = decide(t, p, place, keyRhea, `{"decision":"clarify_requester","comment":"For whom?"}`)
		require.Equal(t, 200, status, body)
		sofar := len(model.Requests())
		question := p.post(ask.say(asked.text, "Any news?").body()).read(t)
		question.silent(t)
		require.Contains(t, question.text, "For whom?")
		waits := p.post(ask.say(asked.text, "Any news?").say(question.text, "yes").body()).read(t)
		waits.silent(t)
		require.Equal(t, "escalate", waits.gate)
		var e governance.Escalation
		require.Equal(t, 200, p.get(t, place, keyRhea, &e))
		require.Equal(t, "yes", e.Answer, "the words go to the reviewer, as words")
		require.Equal(t, "pending", e.Status)
		require.Len(t, model.Requests(), sofar)
		status, body = resolve(t, place, "auto", keyRhea)
		require.Equal(t, 200, status, body)
		p.post(ask.say(asked.text, "Any news?").say(question.text, "yes").say(waits.text, "And now?").body()).read(t).released(t, call)
	})
}

// Who may read and decide, and what is refused.
func TestWhoMayReview(t *testing.T) {
	p, model := startScripted(t, setup{policy: reviewRefunds})
	ask := newChat("Refund order 456")
	_, place := escalates(t, p, model, ask, refund("call_1", refundArgs))
	id := place[strings.LastIndexByte(place, '/')+1:]

	for _, path := range []string{"/v1/escalations", place} {
		status, body := p.call(t, "GET", path, keyAnn, "")
		require.Equal(t, 403, status, body)
		require.Contains(t, body, "reviewer", "403 names the role that is missing")
		require.Contains(t, body, `"code":"forbidden"`)
	}
	status, body := decide(t, p, place, keyAnn, `{"decision":"auto"}`)
	require.Equal(t, 403, status, body)
	for name, c := range map[string]struct {
		body string
		want int
		code string
	}{
		"no decision":      {`{}`, 400, "escalation_missing_decision"},
		"another word":     {`{"decision":"approve"}`, 500, "escalation_resolve_failed"},
		"deny":             {`{"decision":"deny"}`, 500, "escalation_resolve_failed"},
		"not JSON":         {`decision=auto`, 400, "invalid_request"},
		"two decisions":    {`{"decision":"abstain","decision":"auto"}`, 400, "invalid_request"},
		"no string":        {`{"decision":true}`, 400, "invalid_request"},
		"an older spelled": {`{"resolution":"nothing"}`, 500, "escalation_resolve_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := decide(t, p, place, keyRhea, c.body)
			require.Equal(t, c.want, status, body)
			require.Contains(t, body, `"code":"`+c.code+`"`)
			require.Contains(t, body, `"trace_id"`)
		})
	}
	status, body = p.call(t, "GET", "/v1/escalations/esc_nothing", keyRhea, "")
	require.Equal(t, 404, status)
	require.Contains(t, body, `"code":"escalation_not_found"`)
	status, body = decide(t, p, strings.Replace(place, id, "esc_nothing", 1), keyRhea, `{"decision":"auto"}`)
	require.Equal(t, 404, status, body)

	var list struct {
		Escalations []governance.Escalation
		Count       int
		Pagination  struct {
			Limit, Offset int
			HasMore       bool `json:"has_more"`
		}
	}
	require.Equal(t, 200, p.get(t, "/api/v1/cadreen/escalations?status=pending", keyRhea, &list))
	require.Equal(t, 1, list.Count)
	require.Equal(t, id, list.Escalations[0].ID)
	require.Equal(t, refundArgs, list.Escalations[0].Arguments)
	require.Equal(t, "process_refund", list.Escalations[0].ToolName)
	status, body = resolve(t, place, "auto", keyRhea)
	require.Equal(t, 200, status, body)
	status, body = resolve(t, place, "abstain", keyRhea)
	require.Equal(t, 500, status, "decided is decided: %s", body)
	require.Equal(t, 200, p.get(t, "/api/v1/cadreen/escalations?status=pending", keyRhea, &list))
	require.Zero(t, list.Count)
}

const reviewersToo = `keys:
  - {name: solo, key: sk_cadreen_solo_0123456789abcdef, workspace: shop, roles: [chat, reviewer]}
  - {name: fin, key: sk_cadreen_fin_0123456789abcdef, workspace: shop, roles: [reviewer, finance]}
`

// D52: nobody reviews their own request, unless the rule says so; a review for
// a role is for that role.
func TestSelfReviewAndRoles(t *testing.T) {
	keySolo, keyFin := "sk_cadreen_solo_0123456789abcdef", "sk_cadreen_fin_0123456789abcdef"
	for _, self := range []bool{false, true} {
		t.Run(fmt.Sprint(self), func(t *testing.T) {
			p, model := startScripted(t, setup{keys: reviewersToo, policy: reviewRefunds + fmt.Sprintf("    self_review: %t\n", self)})
			ask := newChat("Refund order 456")
			call := refund("call_1", refundArgs)
			asked, place := escalates(t, p, model, ask, call, as(keySolo)...)
			status, body := resolve(t, place, "auto", keySolo)
			if !self {
				require.Equal(t, 403, status, body)
				require.Contains(t, body, `"code":"forbidden"`)
				got := p.post(ask.say(asked.text, "yes").body(), as(keySolo)...).read(t)
				got.silent(t)
				return
			}
			require.Equal(t, 200, status, body)
			p.post(ask.say(asked.text, "yes").body(), as(keySolo)...).read(t).released(t, call)
		})
	}
	t.Run("a role", func(t *testing.T) {
		p, model := startScripted(t, setup{keys: reviewersToo, policy: strings.Replace(reviewRefunds, "effect: escalate", `effect: escalate, to: "role:finance"`, 1)})
		_, place := escalates(t, p, model, newChat("Refund order 456"), refund("call_1", refundArgs))
		status, body := resolve(t, place, "auto", keyRhea)
		require.Equal(t, 403, status, body)
		require.Contains(t, body, "finance")
		status, body = resolve(t, place, "auto", keyFin)
		require.Equal(t, 200, status, body)
	})
}

// What was approved waits for a request of the conversation that can take it.
func TestWhatPicksAnApprovedCallUp(t *testing.T) {
	title := func(ask *talk, prompt string) *talk {
		c := newChat("Provide a concise title:\nUser: Refund").with(`,"tool_choice":{"type":"function","function":{"name":"extract"}}`)
		c.tools = []string{`{"type":"function","function":{"name":"extract","parameters":{"type":"object","properties":{"title":{"type":"string"}}}}}`}
		return c
	}
	for _, way := range []struct {
		name    string
		members string
		headers []string
	}{{"no id", "", nil}, {"body id", `,"conversation_id":"conv_1"`, nil}, {"header id", "", []string{"X-OpenWebUI-Chat-Id", "chat-1"}}} {
		t.Run(way.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, stream bool) {
				p, model := startScripted(t, setup{policy: reviewRefunds})
				ask := newChat("Refund order 456").streaming(stream).with(way.members)
				call := refund("call_1", refundArgs)
				asked, place := escalates(t, p, model, ask, call, way.headers...)
				status, body := resolve(t, place, "auto", keyRhea)
				require.Equal(t, 200, status, body)

				// Not these: a title call, forced or without tools, another chat, another key.
				extract := scripted.Call{ID: "call_title", Name: "extract", Arguments: `{"title":"A Refund"}`}
				model.Next(turnOf(false, "", extract))
				p.post(title(ask, asked.text).with(`,"tool_choice":{"type":"function","function":{"name":"extract"}}`+way.members).body(), way.headers...).read(t).released(t, extract)
				toModel(t, p, model, ask.say(asked.text, "Please generate a title").without().body(), way.headers...)
				toModel(t, p, model, newChat("hello").body())
				toModel(t, p, model, ask.say(asked.text, "And now?").body(), append(as(keyBob), way.headers...)...)

				// This one, whatever it says and wherever the question stands in it.
				later := ask.say(asked.text, "Is it done?").say("Not yet.", "Hm, and the weather?")
				p.post(later.body(), way.headers...).read(t).released(t, call)
				toModel(t, p, model, later.body(), way.headers...)
			})
		})
	}
}

// A no takes the request back, before and after the reviewer's approval.
func TestANoTakesAnEscalationBack(t *testing.T) {
	for _, approved := range []bool{false, true} {
		for name, members := range map[string]string{"no id": "", "body id": `,"conversation_id":"conv_1"`} {
			t.Run(fmt.Sprint(name, " approved ", approved), func(t *testing.T) {
				p, model := startScripted(t, setup{policy: reviewRefunds})
				ask := newChat("Refund order 456").with(members)
				asked, place := escalates(t, p, model, ask, refund("call_1", refundArgs))
				if approved {
					status, body := resolve(t, place, "auto", keyRhea)
					require.Equal(t, 200, status, body)
				}
				sofar := len(model.Requests())
				got := p.post(ask.say(asked.text, "no").body()).read(t)
				got.silent(t)
				require.Contains(t, got.text, "skipped: process_refund")
				require.Len(t, model.Requests(), sofar)
				if !approved {
					status, body := resolve(t, place, "auto", keyRhea)
					require.Equal(t, 500, status, body)
				}
				var e governance.Escalation
				require.Equal(t, 200, p.get(t, place, keyRhea, &e))
				require.NotEqual(t, "pending", e.Status)
				toModel(t, p, model, ask.say(asked.text, "no").say(got.text, "Thanks").body())
			})
		}
	}
}

// A no that is the only message, with the conversation's id, takes an approved

// escalation back too: it never brings its calls.
func TestABareNoTakesAnApprovedEscalationBack(t *testing.T) {
	p, model := startScripted(t, setup{policy: reviewRefunds})
	const id = `,"conversation_id":"conv_1"`
	_, place := escalates(t, p, model, newChat("Refund order 456").with(id), refund("call_1", refundArgs))
	status, body := resolve(t, place, "auto", keyRhea)
	require.Equal(t, 200, status, body)
	got := p.post(newChat("no").with(id).body()).read(t)
	got.silent(t)
	require.Contains(t, got.text, "skipped")
}
