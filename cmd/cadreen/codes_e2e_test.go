package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/proxy/scripted"
	"cadreen/store"
	"cadreen/store/storetest"
)

// keyOpal may do everything.
const keyOpal = "sk_cadreen_opal_0123456789abcdef"

const opalYAML = "  - {name: opal, key: " + keyOpal + ", workspace: shop, roles: [operator]}\n"

// provoked is one way to get a code.
type provoked struct {
	method, path, key, body string
	headers                 []string
	model                   []scripted.Reply
	// away kills the store before; broken puts a document that nobody can read.
	away   bool
	broken *store.Doc
	// draft makes a policy before, whose id stands for {id} in path.
	draft bool
}

// provocations has a way for every code that this version sends. Those of absent
// parts come from the list of absences.
var provocations = map[string]provoked{
	fault.InvalidRequest: {method: "POST", path: "/chat/completions", key: keyAnn, body: `{`},
	fault.NotFound:       {method: "GET", path: "/nothing", key: keyAnn},
	fault.RateLimit:      {method: "POST", path: "/chat/completions", key: keyAnn, body: hello, model: []scripted.Reply{scripted.Error(429, "rate_limit_error", "slow_down", "slow down", "Retry-After", "7")}},
	fault.InternalError: {method: "POST", path: "/assess", key: keyAnn, body: `{"task":"x"}`, broken: &store.Doc{Kind: "seen_tool", ID: "broken", Value: []byte("{"),
		Index: []store.Index{{Name: "all", Score: 1}}}},
	fault.Unauthorized:                {method: "POST", path: "/intent", body: hello},
	fault.Forbidden:                   {method: "GET", path: "/escalations", key: keyAnn},
	fault.ServiceUnavailable:          {method: "POST", path: "/chat/completions", key: keyAnn, body: hello, model: []scripted.Reply{scripted.JSON(`{"choices":`)}},
	fault.StoreUnavailable:            {method: "GET", path: "/escalations", key: keyRhea, away: true},
	fault.BlockedByPolicy:             {method: "POST", path: "/intent", key: keyAnn, body: refunding("5000"), headers: []string{"X-Cadreen-Errors", "http"}, model: []scripted.Reply{refundReply("5000")}},
	fault.ConditionalApprovalRequired: {method: "POST", path: "/chat/completions", key: keyAnn, body: refunding("750"), headers: []string{"X-Cadreen-Errors", "http"}, model: []scripted.Reply{refundReply("750")}},
	fault.EscalationMissingDecision:   {method: "POST", path: "/escalations/esc_x/resolve", key: keyRhea, body: `{}`},
	fault.EscalationNotFound:          {method: "GET", path: "/escalations/esc_x", key: keyRhea},
	fault.EscalationResolveFailed:     {method: "POST", path: "/escalations/esc_x/resolve", key: keyRhea, body: `{"decision":"perhaps"}`},
	fault.MissingFields:               {method: "POST", path: "/setup", key: keyAnn, body: `{}`},
	fault.IntelligenceNotFound:        {method: "GET", path: "/intelligence/cad_x", key: keyAnn},
	fault.IntelligenceQueryFailed:     {method: "GET", path: "/intelligence?from=yesterday", key: keyAnn},
	fault.IntelligenceStatsFailed: {method: "GET", path: "/intelligence/stats", key: keyOpal, broken: &store.Doc{Kind: "trace_hour", ID: "broken", Value: []byte("{"),
		Index: []store.Index{{Name: "at", Score: 1 << 52}}}},
	fault.AuditQueryFailed:         {method: "GET", path: "/audit?from=yesterday", key: keyOpal},
	fault.AuditStatsFailed:         {method: "GET", path: "/audit/stats", key: keyOpal, broken: &store.Doc{Kind: "audit_tally", ID: "last", Value: []byte("{")}},
	fault.AuditTimelineFailed:      {method: "GET", path: "/audit/executions/cad_nobody/timeline", key: keyOpal},
	fault.AuditUnavailable:         {method: "GET", path: "/audit", key: keyOpal, away: true},
	fault.PreconditionsCheckFailed: {method: "POST", path: "/preconditions/check", key: keyAnn, body: `{}`},
	fault.AssessmentMissingTask:    {method: "POST", path: "/assess", key: keyAnn, body: `{}`},
	fault.PolicyMissingName:        {method: "POST", path: "/policies", key: keyOpal, body: `{}`},
	fault.PolicyNotFound:           {method: "GET", path: "/policies/pol_x", key: keyOpal},
	fault.PolicyQueryFailed:        {method: "GET", path: "/policies", key: keyOpal, broken: &store.Doc{Kind: "policy", ID: "pol_1", Value: []byte("{"), Index: []store.Index{{Name: "list", Key: "current", Score: 1}}}},
	fault.PolicyCreationFailed:     {method: "POST", path: "/policies", key: keyOpal, body: `{"name":"P","rules":[{"id":"x","tools":["a"],"when":[{"if":"args. >","effect":"block"}]}]}`},
	fault.PolicyConfirmFailed:      {method: "POST", path: "/policies/{id}/confirm", key: keyOpal, body: `{"version":9}`, draft: true},
	fault.PolicyEvaluationFailed:   {method: "POST", path: "/policies/evaluate", key: keyOpal, body: `{"action":"a","rule":"frobnicate gently","effect":"block"}`},
	fault.GovernanceUnavailable:    {method: "POST", path: "/preconditions/check", key: keyAnn, body: `{"tool_name":"a"}`, broken: &store.Doc{Kind: "policy_set", ID: "active", Value: []byte(`{"active":[{"id":"pol_x","name":"P","version":1,"digest":"d"}]}`)}},
	fault.RoutingUnavailable:       {method: "POST", path: "/intent", key: keyAnn, body: hello, model: []scripted.Reply{scripted.JSON(`{"choices":`)}},
}

const hello = `{"messages":[{"role":"user","content":"hello"}]}`

func refunding(amount string) string {
	return `{"messages":[{"role":"user","content":"Refund ` + amount + `"}],"tools":[` + refundToolJSON + `]}`
}

func refundReply(amount string) scripted.Reply {
	return turnOf(false, "", refund("call_1", `{"order_id":"456","amount":`+amount+`}`))
}

const draftPolicy = `{"name":"Limits","description":"Limits of refunds","rules":[{"id":"limit","condition":"Big transfers need a reviewer","tools":["transfer"],"when":[{"if":"args.amount > 10","effect":"escalate","to":"role:cfo","expires":"2h"}]}]}`

const graded = `
name: Graded
rules:
  - id: graded
    condition: "Refunds over 1000 are closed, over 100 a reviewer decides"
    tools: [process_refund]
    when:
      - {if: 'args.amount > 1000', effect: block}
      - {if: 'args.amount > 100', effect: escalate}
`

// Every code that the page of errors calls served can be provoked, has the status
// of the catalogue and the whole envelope.
func TestEveryServedCode(t *testing.T) {
	ways := map[string]provoked{}
	for code, way := range provocations {
		ways[code] = way
	}
	for _, a := range fault.Absences() {
		if _, have := ways[a.Code]; !have {
			method, path, _ := strings.Cut(a.Routes[0], " ")
			ways[a.Code] = provoked{method: method, path: strings.NewReplacer("{id}", "x_1").Replace(path), key: keyAnn, body: map[bool]string{true: "{}"}[method == "POST"]}
		}
	}
	for _, entry := range fault.Catalogue() {
		way, known := ways[entry.Code]
		require.Equal(t, entry.Served, known, "%s: served is %t in the catalogue; provocations has a way: %t", entry.Code, entry.Served, known)
		if !known {
			continue
		}
		t.Run(entry.Code, func(t *testing.T) { way.gets(t, entry) })
	}
}

func (way provoked) gets(t *testing.T, entry fault.Entry) {
	s := setup{policy: graded, keys: opalYAML}
	var redis *storetest.RedisProcess
	if way.away {
		var err error
		redis, err = storetest.StartRedis(t.TempDir())
		require.NoError(t, err)
		t.Cleanup(redis.Kill)
		s.store = "redis://" + redis.Addr
	}
	p, model := startScripted(t, s)
	model.Next(way.model...)
	if way.broken != nil {
		require.NoError(t, p.main.engine.Commit(t.Context(), "shop", store.Put{Doc: *way.broken}))
	}
	if way.away {
		redis.Kill()
	}
	if way.draft {
		var made struct{ ID string }
		_, text := p.call(t, "POST", "/v1/policies", keyOpal, draftPolicy)
		require.NoError(t, json.Unmarshal([]byte(text), &made))
		way.path = strings.ReplaceAll(way.path, "{id}", made.ID)
	}
	res, body := p.exchange(t, way.method, "/api/v1/cadreen"+way.path, way.key, way.body, way.headers...)
	require.Equal(t, entry.Status, res.StatusCode, body)
	var o struct {
		Error struct {
			Type, Code, Message, Hint string
			DocURL                    string            `json:"doc_url"`
			NextAction                *fault.NextAction `json:"next_action"`
			TraceID                   string            `json:"trace_id"`
		}
		TraceID string `json:"trace_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &o))
	require.True(t, strings.HasPrefix(body, `{"error":{`), body)
	require.Equal(t, entry.Code, o.Error.Code, body)
	require.Equal(t, entry.Type, o.Error.Type)
	require.NotEmpty(t, o.Error.Message)
	require.NotEmpty(t, o.Error.Hint)
	require.True(t, strings.HasSuffix(o.Error.DocURL, "/docs/errors#"+entry.Anchor()), o.Error.DocURL)
	require.NotNil(t, o.Error.NextAction)
	require.NotEmpty(t, o.Error.NextAction.Label)
	require.Equal(t, o.TraceID, o.Error.TraceID)
	require.Equal(t, o.TraceID, res.Header.Get("X-Cadreen-Trace-Id"))
	require.Equal(t, o.TraceID, res.Header.Get("X-Request-Id"))
	final := entry.Status >= 400 && entry.Status < 500 && !slices.Contains([]int{http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests}, entry.Status)
	if final {
		require.Equal(t, "false", res.Header.Get("X-Should-Retry"))
	}
}
