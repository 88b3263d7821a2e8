package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3/option"
	gopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"cadreen/config"
	"cadreen/proxy/scripted"
	"cadreen/store"
)

// The wire types of a client that is strict about integers, as the public SDKs
// are: 342.5 or true where an int stands fails the whole decode.
type wireTrace struct {
	ID            string    `json:"id"`
	Domain        string    `json:"domain"`
	RequestPath   string    `json:"request_path"`
	RequestMethod string    `json:"request_method"`
	Meta          *wireMeta `json:"meta"`
	CreatedAt     time.Time `json:"created_at"`
	TraceID       string    `json:"trace_id"`
	Intelligence  *wireMeta `json:"intelligence"`
}

type wireMeta struct {
	Version    string `json:"version"`
	Summary    string `json:"summary"`
	Capability *struct {
		TotalAvailable     int      `json:"total_available"`
		HealthyCount       int      `json:"healthy_count"`
		ActiveIntegrations []string `json:"active_integrations"`
	} `json:"capability"`
	Reasoning *struct {
		CapabilityMatches int `json:"capability_matches"`
	} `json:"reasoning"`
	Memory *struct {
		Healthy          bool `json:"healthy"`
		KnowledgeQueried int  `json:"knowledge_queried"`
	} `json:"memory"`
	Governance struct {
		Active     bool    `json:"active"`
		Decision   string  `json:"decision"`
		Confidence float64 `json:"confidence"`
		Verdict    string  `json:"verdict"`
		ReasonCode string  `json:"reason_code"`
		PolicyID   string  `json:"policy_id"`
		Calls      []struct {
			Tool, Verdict, Outcome string
			Arguments              map[string]string
		} `json:"calls"`
		NextActions []map[string]string `json:"next_actions"`
	} `json:"governance"`
	Humility struct {
		GapsDetected int `json:"gaps_detected"`
		Blocking     int `json:"blocking"`
		Gaps         []struct {
			Tool, Fact string
			SuppliedBy string `json:"supplied_by"`
		} `json:"gaps"`
	} `json:"humility"`
	Process *struct {
		StartedAt  time.Time       `json:"started_at"`
		DurationMS int64           `json:"duration_ms"`
		Components map[string]bool `json:"components"`
		HTTPStatus int             `json:"http_status"`
		ErrorCode  string          `json:"error_code"`
	} `json:"process"`
	NextAction *struct{ Type, Label, Endpoint string } `json:"next_action"`
	Stages     []struct {
		Name, Status, Detail string
		DurationMS           int64 `json:"duration_ms"`
		Inputs, Outputs      map[string]int
	} `json:"stages"`
	FieldStability *struct{ Stable, Evolving, Internal []string } `json:"field_stability"`
}

type wireTraces struct {
	Traces     []wireTrace `json:"traces"`
	Count      int         `json:"count"`
	Pagination struct {
		Limit   int  `json:"limit"`
		Offset  int  `json:"offset"`
		HasMore bool `json:"has_more"`
	} `json:"pagination"`
}

const full, auditing, lean = `application/json; profile="full"`, `application/json; profile=audit`, `application/json; profile=lean`

// block is the intelligence of a reply, JSON or stream, and how often it stands
// there. In a stream it may stand only where a finish_reason does.
func block(t *testing.T, r reply) (*wireMeta, int) {
	t.Helper()
	bodies := []string{r.body}
	if strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream") {
		bodies = payloads(r.body)
	}
	var found *wireMeta
	times := 0
	for _, body := range bodies {
		if body == "[DONE]" {
			continue
		}
		var o struct {
			Intelligence *wireMeta    `json:"intelligence"`
			Choices      []wireChoice `json:"choices"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &o), body)
		require.NotContains(t, body, `"intelligence":null`)
		if o.Intelligence != nil {
			found = o.Intelligence
			times++
			if len(bodies) > 1 {
				require.NotEmpty(t, o.Choices[0].FinishReason, body)
			}
		}
	}
	return found, times
}

const tracePolicy = `
name: Refunds
domain: shop
rules:
  - id: limit
    condition: "Refunds over 100 need a yes, over 1000 a reviewer; none over 5000"
    tools: [process_refund]
    when:
      - {if: 'args.amount > 5000', effect: block}
      - {if: 'args.amount > 1000', effect: escalate}
      - {if: 'args.amount > 100', effect: confirm}
  - id: reading
    condition: "Orders may be read"
    tools: [get_order]
    when:
      - {if: 'true', effect: allow}
`

const inShop = `,"context":{"domain":"shop"}`

func refundOf(amount string) scripted.Call {
	return refund("call_1", `{"order_id":"456","amount":`+amount+`}`)
}

// What an answer shows of its trace, by profile, on JSON, streams and errors.
func TestTheProfileSaysHowMuchOfTheTraceAnAnswerShows(t *testing.T) {
	p, model := startScripted(t, setup{policy: tracePolicy})
	bothWays(t, func(t *testing.T, stream bool) {
		for name, c := range map[string]struct {
			accept string
			want   int
		}{"none named": {"application/json", 0}, "no Accept": {"", 0}, "stream": {"text/event-stream", 0}, "lean": {lean, 0}, "full": {full, 1}, "audit": {auditing, 1}} {
			t.Run(name, func(t *testing.T) {
				for what, call := range map[string][]scripted.Call{"text": nil, "held": {refundOf("750")}, "allowed": {lookupCall}, "blocked": {refundOf("9000")}} {
					model.Next(turnOf(stream, "Well.", call...))
					r := p.post(newChat("Refund it").streaming(stream).with(inShop).body(), "Accept", c.accept)
					require.Equal(t, 200, r.status, r.body)
					meta, times := block(t, r)
					require.Equal(t, c.want, times, what)
					if times == 0 {
						continue
					}
					require.Equal(t, "1.0", meta.Version)
					require.NotEmpty(t, meta.Summary)
					require.Equal(t, map[string]string{"text": "", "held": "conditional", "allowed": "approved", "blocked": "blocked"}[what], meta.Governance.Decision)
					require.Equal(t, c.accept == full, meta.Process != nil, what)
					require.Equal(t, c.accept == full, meta.FieldStability != nil, what)
				}
			})
		}
	})
	t.Run("errors", func(t *testing.T) {
		for accept, want := range map[string]int{"": 0, lean: 0, full: 1, auditing: 1} {
			model.Next(scripted.Error(500, "server_error", "boom", "boom"), scripted.Error(500, "server_error", "boom", "boom"), scripted.Error(500, "server_error", "boom", "boom"))
			r := p.post(newChat("hi").body(), "Accept", accept)
			require.Equal(t, 503, r.status)
			meta, times := block(t, r)
			require.Equal(t, want, times, accept)
			require.True(t, strings.HasPrefix(r.body, `{"error":{`))
			if want == 1 {
				require.Contains(t, meta.Summary, "error service_unavailable")
				require.NotNil(t, meta.NextAction)
			}
		}
		// Everywhere else the default is full.
		_, body := p.call(t, "GET", "/v1/escalations/esc_none", keyRhea, "")
		var o struct{ Intelligence *wireMeta }
		require.NoError(t, json.Unmarshal([]byte(body), &o))
		require.NotNil(t, o.Intelligence)
		require.NotNil(t, o.Intelligence.Process)
		require.Equal(t, "escalation_not_found", o.Intelligence.Process.ErrorCode)
		_, body = p.call(t, "GET", "/v1/escalations", keyRhea, "", "Accept", lean)
		require.NotContains(t, body, "intelligence")
		require.Contains(t, body, `"trace_id":"cad_`)
		_, body = p.call(t, "GET", "/v1/escalations", "", "")
		require.Contains(t, body, `"intelligence":`)
	})
}

// A conversation from the question over the yes to the block, as traces.
func TestTracesAreStored(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{policy: tracePolicy, store: storeURL})
		list := func(key, query string) wireTraces {
			t.Helper()
			var l wireTraces
			require.Equal(t, 200, p.get(t, "/v1/intelligence"+query, key, &l), query)
			require.Equal(t, len(l.Traces), l.Count)
			require.Equal(t, l.Pagination.HasMore, l.Pagination.HasMore)
			return l
		}
		require.Empty(t, list(keyAnn, "").Traces)

		ask := newChat("Refund order 456").with(inShop)
		model.Next(turnOf(false, "One moment.", refundOf("750")))
		held := p.post(ask.body())
		asked := held.read(t)
		yes := p.post(ask.say(asked.text, "yes").body())
		yes.read(t).released(t, refundOf("750"))
		model.Next(turnOf(true, "Just words."))
		words := p.post(newChat("hi").streaming(true).body())
		model.Next(turnOf(true, "", refundOf("9000"), lookupCall))
		mixed := p.post(newChat("Refund and look up").with(inShop).streaming(true).body())
		model.Next(turnOf(false, "", refundOf("9000")))
		blocked := p.post(newChat("Refund it").with(inShop).body(), as(keyBob)...)
		bad := p.post("{")
		require.Equal(t, 400, bad.status)
		id := func(r reply) string { return r.header.Get("X-Cadreen-Trace-Id") }

		t.Run("list", func(t *testing.T) {
			l := list(keyRhea, "")
			var ids []string
			for _, tr := range l.Traces {
				ids = append(ids, tr.ID)
				require.Equal(t, "POST", tr.RequestMethod)
				require.Equal(t, "/v1/chat/completions", tr.RequestPath)
				require.NotNil(t, tr.Meta)
			}
			require.Equal(t, []string{id(bad), id(blocked), id(mixed), id(words), id(yes), id(held)}, ids, "newest first")
			require.False(t, l.Pagination.HasMore)

			first := list(keyRhea, "?limit=4")
			require.True(t, first.Pagination.HasMore)
			second := list(keyRhea, "?limit=4&offset=4")
			require.False(t, second.Pagination.HasMore)
			require.Equal(t, []string{id(yes), id(held)}, []string{second.Traces[0].ID, second.Traces[1].ID})
		})
		t.Run("filters", func(t *testing.T) {
			for query, want := range map[string][]reply{
				"?decision=approved":                     {mixed, yes},
				"?type=approved":                         {mixed, yes},
				"?decision=auto":                         {mixed, yes},
				"?decision=conditional":                  {held},
				"?decision=handoff&type=":                {held},
				"?decision=blocked":                      {blocked},
				"?decision=none":                         {bad, words},
				"?domain=shop":                           {blocked, mixed, yes, held},
				"?domain=shop&decision=blocked":          {blocked},
				"?domain=elsewhere":                      {},
				"?from=2020-01-01&to=2099-01-01&limit=1": {bad},
				"?to=2020-01-01":                         {},
				"?from=2099-01-01T00:00:00Z":             {},
			} {
				ids := []string{}
				for _, tr := range list(keyRhea, query).Traces {
					ids = append(ids, tr.ID)
				}
				ws := []string{}
				for _, r := range want {
					ws = append(ws, id(r))
				}
				require.Equal(t, ws, ids, query)
			}
			for _, query := range []string{"?from=yesterday", "?to=x", "?decision=maybe", "?type=x", "?type=auto&decision=blocked"} {
				status, body := p.call(t, "GET", "/v1/intelligence"+query, keyRhea, "")
				require.Equal(t, 500, status, body)
				require.Contains(t, body, `"code":"intelligence_query_failed"`)
			}
		})
		t.Run("who sees what", func(t *testing.T) {
			require.Len(t, list(keyAnn, "").Traces, 5)
			require.Len(t, list(keyBob, "").Traces, 1)
			require.Empty(t, list(keyOther, "").Traces)
			for _, key := range []string{keyBob, keyOther} {
				for _, path := range []string{"", "/handoff"} {
					status, body := p.call(t, "GET", "/v1/intelligence/"+id(held)+path, key, "")
					require.Equal(t, 404, status)
					require.Contains(t, body, `"code":"intelligence_not_found"`)
				}
				status, body := p.call(t, "POST", "/v1/intelligence/"+id(held)+"/replay", key, "")
				require.Equal(t, 404, status)
				require.Contains(t, body, `"code":"intelligence_not_found"`)
			}
			status, _ := p.call(t, "GET", "/v1/intelligence/"+id(held), "", "")
			require.Equal(t, 401, status)
			status, _ = p.call(t, "GET", "/v1/intelligence/no-such", keyAnn, "")
			require.Equal(t, 404, status)
		})
		t.Run("held", func(t *testing.T) {
			var tr wireTrace
			require.Equal(t, 200, p.get(t, "/v1/intelligence/"+id(held), keyAnn, &tr))
			require.Equal(t, id(held), tr.ID)
			require.Equal(t, "shop", tr.Domain)
			m := tr.Meta
			require.Equal(t, "Governance: conditional; 1 call held", m.Summary)
			require.Equal(t, 2, m.Capability.TotalAvailable)
			require.Equal(t, 1, m.Reasoning.CapabilityMatches)
			require.False(t, m.Memory.Healthy)
			require.True(t, m.Governance.Active)
			require.Equal(t, 1.0, m.Governance.Confidence)
			require.Equal(t, "confirm", m.Governance.Verdict)
			require.Equal(t, "Refunds", m.Governance.PolicyID)
			require.Equal(t, map[string]string{"order_id": "string", "amount": "number"}, m.Governance.Calls[0].Arguments)
			require.Equal(t, "held", m.Governance.Calls[0].Outcome)
			require.Equal(t, "confirm_execution", m.NextAction.Type)
			require.Equal(t, 200, m.Process.HTTPStatus)
			require.Equal(t, map[string]bool{"memory": false, "governance": true, "tools": true, "model": true}, m.Process.Components)
			var stages []string
			for _, s := range m.Stages {
				stages = append(stages, s.Name+" "+s.Status)
			}
			require.Equal(t, []string{"capability_check passed", "model_call passed", "governance_eval passed", "gap_analysis passed", "human_handoff blocked"}, stages)
			require.NotNil(t, tr.Intelligence, "the trace of the reading request itself")
			require.NotEqual(t, tr.ID, tr.TraceID)
		})
		t.Run("answered", func(t *testing.T) {
			var tr wireTrace
			require.Equal(t, 200, p.get(t, "/v1/intelligence/"+id(yes), keyAnn, &tr))
			require.Equal(t, "Governance: approved; 1 call released", tr.Meta.Summary)
			require.Equal(t, "released", tr.Meta.Governance.ReasonCode)
			require.False(t, tr.Meta.Process.Components["model"], "no model was asked")
		})
		t.Run("stats", func(t *testing.T) {
			var s struct {
				Day        int                `json:"traces_24h"`
				Week       int                `json:"traces_7d"`
				Month      int                `json:"traces_30d"`
				Confidence map[string]float64 `json:"avg_confidence_by_domain"`
				Gaps       float64            `json:"gap_detection_rate"`
				Decisions  map[string]int     `json:"governance_decisions"`
			}
			require.Equal(t, 200, p.get(t, "/v1/intelligence/stats", keyRhea, &s))
			require.Equal(t, []int{6, 6, 6}, []int{s.Day, s.Week, s.Month})
			require.Equal(t, map[string]float64{"shop": 1}, s.Confidence)
			require.Equal(t, map[string]int{"approved": 2, "conditional": 1, "blocked": 1}, s.Decisions)
			require.Zero(t, s.Gaps)
			require.Equal(t, 200, p.get(t, "/v1/intelligence/stats", keyBob, &s))
			require.Equal(t, 1, s.Month)
		})
		t.Run("handoff", func(t *testing.T) {
			var h map[string]json.RawMessage
			require.Equal(t, 200, p.get(t, "/api/v1/cadreen/intelligence/"+id(held)+"/handoff", keyAnn, &h))
			for _, name := range []string{"trace_id", "domain", "created_at", "governance", "what_the_system_knew", "what_the_system_didnt_know", "what_happened", "suggested_actions", "next_action", "trace_url"} {
				require.NotEmpty(t, h[name], name)
				require.NotEqual(t, "null", string(h[name]), name)
			}
			var address string
			require.NoError(t, json.Unmarshal(h["trace_url"], &address))
			status, _ := p.call(t, "GET", address, keyAnn, "")
			require.Equal(t, 200, status)
		})
		t.Run("what is not stored", func(t *testing.T) {
			before := len(list(keyRhea, "").Traces)
			p.call(t, "POST", "/v1/intelligence/"+id(held)+"/replay", keyAnn, "")
			p.call(t, "GET", "/v1/escalations", keyRhea, "")
			p.call(t, "POST", "/v1/chat/completions", "sk_cadreen_nobody", "{}")
			require.Len(t, list(keyRhea, "").Traces, before)
		})
	})
}

// Every address that answers an object of ours shows its trace: id and, by
// default, all of it.
func TestEveryAnswerCarriesItsTrace(t *testing.T) {
	p, model := startScripted(t, setup{policy: tracePolicy, keys: "keys:\n  - {name: olga, key: " + keyOlga + ", workspace: shop, roles: [operator]}\n"})
	model.Otherwise(turnOf(false, "Hello."))
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/health", ""}, {"GET", "/escalations", ""}, {"GET", "/intelligence", ""}, {"GET", "/intelligence/stats", ""},
		{"POST", "/intent", `{"messages":[{"role":"user","content":"hi"}]}`},
		{"POST", "/policies/evaluate", `{"action":"process_refund","context":{"amount":9000},"domain":"shop"}`},
		{"GET", "/policies", ""}, {"GET", "/audit", ""}, {"GET", "/audit/stats", ""}, {"GET", "/audit/verify", ""},
		{"POST", "/assess", `{"task":"Refund an order"}`}, {"POST", "/preconditions/check", `{"action":"process_refund","context":{"amount":750}}`},
		{"GET", "/memory/types", ""}, {"GET", "/nothing", ""}, {"POST", "/embeddings", "{}"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			for accept, shows := range map[string]bool{"": true, full: true, auditing: true, lean: false} {
				res, body := p.exchange(t, c.method, "/api/v1/cadreen"+c.path, keyOlga, c.body, "Accept", accept)
				var o struct {
					TraceID      string    `json:"trace_id"`
					Intelligence *wireMeta `json:"intelligence"`
				}
				require.NoError(t, json.Unmarshal([]byte(body), &o), body)
				require.Equal(t, res.Header.Get("X-Cadreen-Trace-Id"), o.TraceID, body)
				require.Equal(t, shows, o.Intelligence != nil, body)
				if shows {
					require.Equal(t, accept != auditing, o.Intelligence.Process != nil)
				}
			}
		})
	}
	var l wireTraces
	require.Equal(t, 200, p.get(t, "/v1/intelligence?domain=shop", keyOlga, &l))
	require.Len(t, l.Traces, 4, "the evaluations")
	require.Equal(t, "blocked", l.Traces[0].Meta.Governance.Decision)
	require.Equal(t, "Refunds", l.Traces[0].Meta.Governance.PolicyID)
	var s struct {
		Decisions map[string]int `json:"governance_decisions"`
	}
	require.Equal(t, 200, p.get(t, "/v1/intelligence/stats", keyOlga, &s))
	require.Empty(t, s.Decisions, "what nobody proposed is no decision")
}

const keyOlga = "sk_cadreen_olga_0123456789abcdef"

// A stream that breaks, and a client that leaves, are told by the trace.
func TestTheTraceOfABrokenStream(t *testing.T) {
	p, model := startScripted(t, setup{})
	h := scripted.Head{}
	model.Next(scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(h.Role(0), h.Text(0, "half")), scripted.Cut())...))
	r := p.post(newChat("hi").streaming(true).body(), "Accept", full)
	_, times := 0, strings.Count(r.body, `"intelligence"`)
	require.Zero(t, times, "nothing stands beside the error of a stream")
	var tr wireTrace
	require.Equal(t, 200, p.get(t, "/v1/intelligence/"+r.header.Get("X-Cadreen-Trace-Id"), keyAnn, &tr))
	require.Equal(t, "service_unavailable", tr.Meta.Process.ErrorCode)
	require.Contains(t, tr.Meta.Summary, "error service_unavailable")
	require.Equal(t, "failed", tr.Meta.Stages[len(tr.Meta.Stages)-1].Status)
}

// A twin of a keyed request gets the answer of the first, with its trace; there
// is one trace.
func TestAReplayedAnswerHasTheTraceOfTheFirst(t *testing.T) {
	p, model := startScripted(t, setup{policy: tracePolicy})
	model.Next(turnOf(false, "", refundOf("750")))
	body := newChat("Refund it").with(inShop).body()
	first := p.post(body, "Idempotency-Key", "k1", "Accept", full)
	again := p.post(body, "Idempotency-Key", "k1", "Accept", full)
	require.Equal(t, first.body, again.body)
	require.Equal(t, first.header.Get("X-Cadreen-Trace-Id"), again.header.Get("X-Cadreen-Trace-Id"))
	var l wireTraces
	require.Equal(t, 200, p.get(t, "/v1/intelligence", keyAnn, &l))
	require.Len(t, l.Traces, 1)
	require.Equal(t, first.header.Get("X-Cadreen-Trace-Id"), l.Traces[0].ID)
}

func TestReplayJudgesByTodaysPolicies(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{policy: tracePolicy, store: storeURL})
		model.Next(turnOf(false, "", refundOf("750")))
		held := p.post(newChat("Refund it").with(inShop).body())
		id := held.header.Get("X-Cadreen-Trace-Id")
		replay := func(p *proxyUnderTest, body string) (status int, r struct {
			TraceID      string  `json:"trace_id"`
			Mode         string  `json:"mode"`
			OriginalGate string  `json:"original_gate"`
			CurrentGate  string  `json:"current_gate"`
			Original     float64 `json:"original_confidence"`
			Current      float64 `json:"current_confidence"`
			Changed      bool    `json:"gate_changed"`
			Summary      string  `json:"change_summary"`
			Note         string  `json:"replay_note"`
			Gaps         []any   `json:"current_gaps"`
		}) {
			status, text := p.call(t, "POST", "/v1/intelligence/"+id+"/replay", keyAnn, body)
			require.NoError(t, json.Unmarshal([]byte(text), &r), text)
			return status, r
		}
		status, r := replay(p, "")
		require.Equal(t, 200, status)
		require.Equal(t, []any{id, "current", "needs_input", "needs_input", 1.0, 1.0, false}, []any{r.TraceID, r.Mode, r.OriginalGate, r.CurrentGate, r.Original, r.Current, r.Changed})
		require.NotNil(t, r.Gaps)
		status, _ = replay(p, `{"mode":"tomorrow"}`)
		require.Equal(t, 400, status)
		require.NoError(t, p.main.Close())

		stricter, _ := startScripted(t, setup{policy: strings.ReplaceAll(tracePolicy, "5000", "500"), store: storeURL})
		status, r = replay(stricter, `{"mode":"current"}`)
		require.Equal(t, 200, status)
		require.Equal(t, []any{"needs_input", "blocked", true}, []any{r.OriginalGate, r.CurrentGate, r.Changed})
		require.Equal(t, "process_refund: confirm → block", r.Summary)
		_, r = replay(stricter, `{"mode":"historical"}`)
		require.Equal(t, []any{"historical", "needs_input", "needs_input", false}, []any{r.Mode, r.OriginalGate, r.CurrentGate, r.Changed})
	})
}

func TestTracesThatAreNotStored(t *testing.T) {
	p, model := startScripted(t, setup{yaml: "trace: {store: false}\n"})
	model.Next(turnOf(false, "Hello."))
	meta, times := block(t, p.post(newChat("hi").body(), "Accept", full))
	require.Equal(t, 1, times)
	require.NotEmpty(t, meta.Stages)
	for _, path := range []string{"", "/stats", "/cad_x", "/cad_x/handoff"} {
		status, body := p.call(t, "GET", "/v1/intelligence"+path, keyAnn, "")
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Contains(t, body, `"code":"intelligence_unavailable"`)
	}
	status, body := p.call(t, "POST", "/v1/intelligence/cad_x/replay", keyAnn, "")
	require.Equal(t, http.StatusServiceUnavailable, status, body)
}

// A secret that a client or a model puts anywhere stands in nothing that is kept
// of a trace, said in the log, counted, or shown by the trace itself.
func TestACanaryIsFoundInNoTrace(t *testing.T) {
	const canary, token = "canary-7f3a", "sk-canary7f3aabcdefghijkl"
	onBothStores(t, func(t *testing.T, storeURL string) {
		model := scripted.New(t)
		cfg, err := config.Load(setup{backend: model.URL(), policy: tracePolicy, store: storeURL}.file(t), nil)
		require.NoError(t, err)
		log := newJournal()
		m := &Main{Config: cfg, Stderr: log, LogLevel: slog.LevelDebug}
		require.NoError(t, m.Run(t.Context()))
		defer func() { require.NoError(t, m.Close()) }()
		p := &proxyUnderTest{t: t, url: m.URL() + "/v1", main: m}

		secret := func(amount string) scripted.Call {
			return refund("call_"+canary, `{"order_id":"`+canary+`","amount":`+amount+`,"note":{"`+canary+`":"`+canary+`"}}`)
		}
		headers := []string{"X-Api-Key", canary, "Accept", full, "X-Conversation-Id", token}
		ask := newChat("My password is " + canary).with(`,"context":{"domain":"shop"}`)
		var blocks []string
		for _, amount := range []string{"750", "2000", "9000", "1"} {
			for _, stream := range []bool{false, true} {
				model.Next(turnOf(stream, "Your secret is "+canary, secret(amount)))
				r := p.post(ask.streaming(stream).body(), headers...)
				require.Equal(t, 200, r.status)
				meta, _ := block(t, r)
				text, err := json.Marshal(meta)
				require.NoError(t, err)
				blocks = append(blocks, string(text))
				if amount == "750" {
					r = p.post(ask.say(r.read(t).text, "yes").body(), headers...)
					require.Equal(t, 200, r.status)
				}
			}
		}
		model.Next(turnOf(false, "", scripted.Call{ID: "call_1", Name: token, Arguments: `{"` + token + `":1}`}))
		p.post(newChat("hi").with(`,"context":{"domain":"`+token+`"},"conversation_id":"`+token+`"`).body(), headers...)
		model.Next(scripted.Error(400, "invalid_request_error", canary, "You said "+canary))
		p.post(newChat("hi").body(), headers...)
		model.Next(turnOf(false, "You said "+canary))
		p.call(t, "POST", "/v1/intent", keyAnn, `{"messages":[{"role":"user","content":"`+canary+`"}]}`)
		p.call(t, "POST", "/v1/"+token+"?key="+canary, keyAnn, "")
		p.call(t, "POST", "/v1/escalations/"+token+"/resolve?x="+canary, keyRhea, `{"decision":"`+canary+`","comment":"`+canary+`"}`)

		var l wireTraces
		require.Equal(t, 200, p.get(t, "/v1/intelligence?limit=100", keyRhea, &l))
		require.Greater(t, l.Count, 10)
		kept := 0
		for _, kind := range []string{"trace", "trace_hour"} {
			docs, err := m.engine.List(t.Context(), "shop", kind, store.Query{Index: "at"})
			require.NoError(t, err)
			require.NotEmpty(t, docs)
			for _, doc := range docs {
				kept++
				text := string(doc.Value)
				for _, at := range doc.Index {
					text += " " + at.Key
				}
				before, after, found := strings.Cut(text, "7f3a")
				require.False(t, found, "%.80s", before[max(0, len(before)-80):]+"7f3a"+after)
			}
		}
		require.Greater(t, kept, 1)
		_, _, metrics := metricsOf(t, p)
		said := log.text.String()
		require.NotEmpty(t, said)
		for what, text := range map[string]string{"metrics": metrics, "log": said, "blocks": strings.Join(blocks, "\n")} {
			before, _, found := strings.Cut(text, "7f3a")
			require.False(t, found, "%s: %s", what, before[max(0, len(before)-200):])
		}
	})
}

// The public clients, with the full profile, on JSON and streams.
func TestTheTraceDoesNotDisturbOpenAIClients(t *testing.T) {
	p, model := startScripted(t, setup{policy: tracePolicy})
	bothWays(t, func(t *testing.T, stream bool) {
		t.Run("openai-go", func(t *testing.T) {
			c := officialClient(p, option.WithHeader("Accept", full))
			model.Next(turnOf(stream, "Well.", refundOf("750")))
			got := officialTurn(t, c, officialAsk("Refund it"), stream)
			require.Contains(t, got.Choices[0].Message.Content, promptFirst)
			require.Equal(t, "stop", got.Choices[0].FinishReason)
		})
		t.Run("go-openai", func(t *testing.T) {
			cfg := gopenai.DefaultConfig(keyAnn)
			cfg.BaseURL = p.url
			cfg.HTTPClient = acceptFull{}
			c := gopenai.NewClientWithConfig(cfg)
			req := gopenai.ChatCompletionRequest{Model: "m", Messages: []gopenai.ChatCompletionMessage{{Role: "user", Content: "hi"}}}
			model.Next(turnOf(stream, "Just words."))
			if !stream {
				got, err := c.CreateChatCompletion(t.Context(), req)
				require.NoError(t, err)
				require.Equal(t, "Just words.", got.Choices[0].Message.Content)
				return
			}
			s, err := c.CreateChatCompletionStream(t.Context(), req)
			require.NoError(t, err)
			defer s.Close()
			text := ""
			for {
				chunk, err := s.Recv()
				if err != nil {
					require.EqualError(t, err, "EOF")
					break
				}
				for _, c := range chunk.Choices {
					text += c.Delta.Content
				}
			}
			require.Equal(t, "Just words.", text)
		})
	})
	headers := map[string]string{"Accept": full}
	for mode, stream := range map[string]bool{"create": false, "stream": true, "helper": true, "runTools": false, "runToolsStream": true} {
		t.Run("openai npm "+mode, func(t *testing.T) {
			model.Next(turnOf(stream, "", nodeCall), turnOf(stream, "All done."))
			got := node(t, p, "openai.mjs", order{Mode: mode, User: []string{"Refund it", "yes"}, Headers: headers}, keyAnn)
			require.Nil(t, got.Error)
			require.Equal(t, nodeCall.Arguments, got.Ran[0].Arguments)
			if mode == "create" || mode == "stream" {
				var meta wireMeta
				require.NoError(t, json.Unmarshal(got.Turns[0].Intelligence, &meta))
				require.Equal(t, "conditional", meta.Governance.Decision)
			}
		})
	}
	for _, provider := range []string{"openai", "compatible"} {
		for mode, stream := range map[string]bool{"generate": false, "stream": true} {
			t.Run("AI SDK "+provider+" "+mode, func(t *testing.T) {
				model.Next(turnOf(stream, "", nodeCall), turnOf(stream, "All done."))
				got := node(t, p, "vercel.mjs", order{Mode: mode, Provider: provider, User: []string{"Refund it", "yes"}, Headers: headers}, keyAnn)
				require.Nil(t, got.Error)
				require.Len(t, got.Ran, 1)
			})
		}
	}
}

// acceptFull names the full profile on every request.
type acceptFull struct{}

func (acceptFull) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set("Accept", full)
	return http.DefaultClient.Do(r)
}

// Where only the profile decided nobody has said how sure it is: neither the trace
// of an evaluation nor its answer claims a confidence.
func TestAnEvaluationClaimsNoConfidenceThatItsTraceLacks(t *testing.T) {
	p := start(t, setup{policy: blockRefunds})
	for tool, want := range map[string]any{"process_refund": 1.0, "send_mail": nil} {
		status, text := p.call(t, "POST", "/v1/policies/evaluate", keyAnn, `{"action":"`+tool+`"}`)
		require.Equal(t, 200, status, text)
		var got struct {
			Result       map[string]any
			Intelligence struct{ Governance map[string]any }
		}
		require.NoError(t, json.Unmarshal([]byte(text), &got))
		require.Equal(t, want, got.Result["confidence"], text)
		require.Equal(t, want, got.Intelligence.Governance["confidence"], text)
		require.NotContains(t, text, `"confidence":null`)
	}
}
