package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store/storetest"
)

const (
	keyAva     = "sk_cadreen_ava_0123456789abcdef"  // author
	keyOlaf    = "sk_cadreen_olaf_0123456789abcdef" // author of another workspace
	keyNobody  = "sk_cadreen_nemo_0123456789abcdef" // a role that opens nothing
	policyKeys = `keys:
  - {name: ava, key: ` + keyAva + `, workspace: shop, roles: [author]}
  - {name: olaf, key: ` + keyOlaf + `, workspace: elsewhere, roles: [author, reviewer, chat]}
  - {name: nemo, key: ` + keyNobody + `, workspace: shop, roles: [refund-lead]}
`
	englishLimit = `{"name":"Refunds","rules":[{"condition":"Refunds over $100 need a manager"}]}`
)

func startPolicies(t *testing.T, s setup) *proxyUnderTest {
	s.keys = policyKeys
	return start(t, s)
}

// refund asks for one and answers the gate.
func (p *proxyUnderTest) refund(amount int) string {
	p.t.Helper()
	r := p.post(fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"Refund order 456 for $%d"}],"tools":[%s]}`, amount, refundTool))
	var body struct{ Gate string }
	require.NoError(p.t, json.Unmarshal([]byte(r.body), &body), r.body)
	return body.Gate
}

// ask sends a request of the API and decodes its answer, which holds no null and no
// fraction where integers belong.
func (p *proxyUnderTest) ask(t *testing.T, method, path, key, body string) (int, map[string]any) {
	t.Helper()
	status, text := p.call(t, method, "/v1"+path, key, body, "Accept", "application/json; profile=lean")
	if status == http.StatusNoContent {
		require.Empty(t, text)
		return status, nil
	}
	var out map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &out), text)
	if status == http.StatusOK {
		noNulls(t, "", out)
	}
	return status, out
}

func noNulls(t *testing.T, at string, v any) {
	t.Helper()
	switch v := v.(type) {
	case nil:
		t.Errorf("%s is null", at)
	case map[string]any:
		for k, inner := range v {
			noNulls(t, at+"."+k, inner)
		}
	case []any:
		for i, inner := range v {
			noNulls(t, fmt.Sprintf("%s[%d]", at, i), inner)
		}
	}
}

func codeOf(body map[string]any) string {
	e, _ := body["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}

func TestAPolicyFromASentenceToARuleThatBites(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p := startPolicies(t, setup{store: storeURL})
		require.Equal(t, "needs_input", p.refund(750))
		p.awaitTool(t, "process_refund")
		status, made := p.ask(t, "POST", "/policies", keyAva, englishLimit)
		require.Equal(t, 200, status, made)
		id := made["id"].(string)
		require.Equal(t, []any{"draft", true, 1.0, true, "manager"},
			[]any{made["status"], made["confirmation_required"], made["version"], made["requires_human"], made["approver_role"]})
		require.True(t, strings.HasSuffix(made["approve_url"].(string), "/api/v1/cadreen/policies/"+id+"/confirm"))
		in := made["interpreted"].(map[string]any)
		require.Equal(t, []any{"process_refund"}, in["match"].(map[string]any)["tools"])
		require.Contains(t, in["rules"].([]any)[0].(map[string]any)["means"], "amount is more than 100")
		require.Equal(t, "needs_input", p.refund(750), "a draft enforces nothing")

		// Tried on the traffic of before, with its trace ids.
		status, sim := p.ask(t, "POST", "/policies/"+id+"/simulate", keyAva, "")
		require.Equal(t, 200, status, sim)
		require.Equal(t, "would have changed 2 of 2", sim["summary"])
		change := sim["changes"].([]any)[0].(map[string]any)
		require.Equal(t, []any{"confirm", "confirm", "escalate", "Refunds/rule-1"}, []any{change["recorded"], change["before"], change["after"], change["rule"]})
		require.True(t, strings.HasPrefix(change["trace_id"].(string), "cad_"))

		status, test := p.ask(t, "POST", "/policies/"+id+"/test", keyAva, `{"cases":[
			{"name":"at","call":{"name":"process_refund","arguments":{"amount":100}},"expect":"allow"},
			{"call":{"name":"process_refund","arguments":{"amount":100.01}},"expect":"escalate"}]}`)
		require.Equal(t, 200, status, test)
		require.Equal(t, []any{2.0, 0.0}, []any{test["passed"], test["failed"]})

		// An empty body confirms the newest; again is no change.
		status, done := p.ask(t, "POST", "/policies/"+id+"/confirm", keyAva, "")
		require.Equal(t, 200, status, done)
		require.Equal(t, []any{id, 1.0, 0.0, "active", false}, []any{done["id"], done["version"], done["previous_version"], done["status"], done["already_active"]})
		_, err := time.Parse(time.RFC3339, done["confirmed_at"].(string))
		require.NoError(t, err)
		_, again := p.ask(t, "POST", "/policies/"+id+"/confirm", keyAva, `{"version":1}`)
		require.Equal(t, true, again["already_active"])
		require.Equal(t, "escalate", p.refund(750))
		require.Equal(t, "ok", p.refund(50))

		status, judged := p.ask(t, "POST", "/policies/evaluate", keyAnn, `{"action":"process_refund","domain":"shop","context":{"amount":500}}`)
		require.Equal(t, 200, status, judged)
		require.Equal(t, []any{"process_refund", "shop", "Refunds"}, []any{judged["action"], judged["domain"], judged["policy_triggered"]})
		result := judged["result"].(map[string]any)
		require.Equal(t, []any{"escalate", 1.0, judged["reason"]}, []any{result["type"], result["confidence"], result["reason"]})
		require.Equal(t, map[string]any{"rule": "Refunds/rule-1", "result": "exceeds", "detail": "escalate: args.amount > 100"}, judged["checks"].([]any)[0])
		require.True(t, strings.HasPrefix(judged["decision_id"].(string), "dec_"))

		// A change is a draft until it is confirmed.
		status, changed := p.ask(t, "PATCH", "/policies/"+id, keyAva, `{"rules":[{"condition":{"field":"amount","operator":"gt","value":1000},"tool":"process_refund","effect":"deny"}]}`)
		require.Equal(t, 200, status, changed)
		require.Equal(t, []any{2.0, "draft", 1.0}, []any{changed["version"], changed["status"], changed["active_version"]})
		require.Equal(t, "escalate", p.refund(750))
		status, drafted := p.ask(t, "POST", "/policies/evaluate", keyAva, `{"action":"process_refund","context":{"amount":5000},"policy_id":"`+id+`","version":2}`)
		require.Equal(t, 200, status, drafted)
		require.Equal(t, "block", drafted["result"].(map[string]any)["type"])
		_, done = p.ask(t, "POST", "/policies/"+id+"/confirm", keyAva, `{"version":2}`)
		require.Equal(t, 1.0, done["previous_version"])
		require.Equal(t, "blocked", p.refund(1750))
		require.Equal(t, "ok", p.refund(750))
		status, back := p.ask(t, "POST", "/policies/"+id+"/rollback", keyAva, "")
		require.Equal(t, 200, status, back)
		require.Equal(t, []any{1.0, 2.0}, []any{back["version"], back["previous_version"]})
		require.Equal(t, "escalate", p.refund(1750))

		_, list := p.ask(t, "GET", "/policies?limit=1", keyRhea, "")
		require.Equal(t, []any{1.0, map[string]any{"limit": 1.0, "offset": 0.0, "has_more": false}}, []any{list["count"], list["pagination"]})
		one := list["policies"].([]any)[0].(map[string]any)
		for _, field := range []string{"id", "name", "domain", "priority", "requires_human", "approver_role", "sla_hours", "rationale", "status"} {
			require.Contains(t, one, field)
		}
		_, versions := p.ask(t, "GET", "/policies/"+id+"/versions", keyAva, "")
		require.Equal(t, 2.0, versions["count"])
		require.Equal(t, "retired", versions["versions"].([]any)[0].(map[string]any)["status"])
		_, got := p.ask(t, "GET", "/policies/"+id, keyAva, "")
		require.Equal(t, []any{1.0, "active"}, []any{got["version"], got["status"]})
		require.Len(t, got["policies"], 1)
		require.Contains(t, got, "created_at")

		status, _ = p.ask(t, "DELETE", "/policies/"+id, keyAva, "")
		require.Equal(t, 204, status)
		require.Equal(t, "needs_input", p.refund(1750))
		_, list = p.ask(t, "GET", "/policies", keyAva, "")
		require.Equal(t, 0.0, list["count"])
		require.Equal(t, []any{}, list["policies"])
	})
}

// awaitTool waits until a tool of the workspace shop was noted.
func (p *proxyUnderTest) awaitTool(t *testing.T, name string) {
	t.Helper()
	awaitTrue(t, "the tool is seen", func() bool {
		hashes, err := p.main.seen.SchemaHashes(context.Background(), "shop")
		require.NoError(t, err)
		_, ok := hashes[name]
		return ok
	})
}

// Every route, with keys that may not and keys of another workspace.
func TestPoliciesNeedTheirRoleAndTheirWorkspace(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p := startPolicies(t, setup{store: storeURL})
		_, made := p.ask(t, "POST", "/policies", keyAva, `{"name":"A","rules":[{"when":"true","effect":"block","tools":["x"]}]}`)
		id := made["id"].(string)
		routes := []struct {
			method, path, body string
			reads, any         bool
		}{
			{"GET", "/policies", "", true, false},
			{"POST", "/policies", `{"name":"B","rules":[{"when":"true","effect":"block"}]}`, false, false},
			{"GET", "/policies/" + id, "", true, false},
			{"PATCH", "/policies/" + id, `{"domain":"x"}`, false, false},
			{"GET", "/policies/" + id + "/versions", "", true, false},
			{"GET", "/policies/" + id + "/questions", "", true, false},
			{"POST", "/policies/" + id + "/questions", "", false, false},
			{"POST", "/policies/" + id + "/compile", "", false, false},
			{"POST", "/policies/" + id + "/confirm", "", false, false},
			{"POST", "/policies/" + id + "/rollback", "", false, false},
			{"POST", "/policies/" + id + "/test", "", false, false},
			{"POST", "/policies/" + id + "/simulate", "", false, false},
			{"DELETE", "/policies/" + id, "", false, false},
			{"POST", "/policies/evaluate", `{"action":"x"}`, true, true},
		}
		for _, r := range routes {
			for key, allowed := range map[string]bool{keyAnn: r.any, keyNobody: r.any, keyRhea: r.reads} {
				status, body := p.ask(t, r.method, r.path, key, r.body)
				if allowed {
					require.Equal(t, 200, status, "%s %s: %v", r.method, r.path, body)
				} else {
					require.Equal(t, 403, status, "%s %s", r.method, r.path)
					require.Equal(t, "forbidden", codeOf(body))
				}
			}
			status, _ := p.ask(t, r.method, r.path, "sk_cadreen_unknown_0123456789", r.body)
			require.Equal(t, 401, status)
			if strings.Contains(r.path, id) {
				status, body := p.ask(t, r.method, r.path, keyOlaf, r.body)
				require.Equal(t, 404, status, "%s %s", r.method, r.path)
				require.Equal(t, "policy_not_found", codeOf(body))
			}
		}
		status, body := p.ask(t, "POST", "/policies/evaluate", keyAnn, `{"action":"x","policy_id":"`+id+`"}`)
		require.Equal(t, 403, status, body)
		status, body = p.ask(t, "POST", "/policies/evaluate", keyAnn, `{"action":"x","requester":{"roles":["refund-lead"]}}`)
		require.Equal(t, 403, status, body)
		_, list := p.ask(t, "GET", "/policies", keyOlaf, "")
		require.Equal(t, 0.0, list["count"])
		_, got := p.ask(t, "GET", "/policies/"+id, keyAva, "")
		require.Equal(t, "draft", got["status"], "nothing of all that changed it")
	})
}

func TestAllPolicyCodesAreReached(t *testing.T) {
	p := startPolicies(t, setup{})
	for _, tt := range []struct{ method, path, body, code string }{
		{"POST", "/policies", `{"rules":[]}`, "policy_missing_name"},
		{"POST", "/policies", "", "policy_missing_name"},
		{"POST", "/policies", `{"name":"x","rules":[{"when":"(","effect":"block"}]}`, "policy_creation_failed"},
		{"POST", "/policies", `{"name":"x","name":"y"}`, "invalid_request"},
		{"GET", "/policies/pol_none", "", "policy_not_found"},
		{"GET", "/policies?limit=x", "", "invalid_request"},
		{"GET", "/policies?status=odd", "", "invalid_request"},
		{"POST", "/policies/evaluate", `{"action":"x","rule":"Flurbles need a gronk"}`, "policy_evaluation_failed"},
		{"POST", "/policies/evaluate", `{}`, "invalid_request"},
		{"POST", "/policies/evaluate", `{"action":"x","context":[1]}`, "invalid_request"},
	} {
		_, body := p.ask(t, tt.method, tt.path, keyAva, tt.body)
		require.Equal(t, tt.code, codeOf(body), "%s %s: %v", tt.method, tt.path, body)
	}
	_, made := p.ask(t, "POST", "/policies", keyAva, `{"name":"x","rules":[{"rule":"Flurbles need a gronk"}]}`)
	require.NotEmpty(t, made["not_understood"])
	id := made["id"].(string)
	_, body := p.ask(t, "POST", "/policies/"+id+"/confirm", keyAva, "")
	require.Equal(t, "policy_confirm_failed", codeOf(body))
	require.NotEmpty(t, body["error"].(map[string]any)["details"])
	_, body = p.ask(t, "POST", "/policies/"+id+"/simulate", keyAva, "")
	require.Equal(t, "policy_evaluation_failed", codeOf(body))
}

// A yes to a held call under its own id, by the one who was asked, and a reviewer's
// under that of its escalation: the calls go out with the next request.
func TestAPendingIDIsConfirmedByWhoWasAsked(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p := startPolicies(t, setup{store: storeURL, policy: `{name: r, rules: [{id: a, tools: [process_refund], when: "args.amount > 1000", effect: escalate}, {id: b, tools: [process_refund], when: "args.amount > 10", effect: confirm}]}`})
		conversation := func(name string, amount int) string {
			return fmt.Sprintf(`{"model":"m","conversation_id":"%s","messages":[{"role":"user","content":"Refund order 456 for $%d"}],"tools":[%s]}`, name, amount, refundTool)
		}
		p.post(conversation("c1", 50))
		hold := p.awaitRecord("decision").Hold
		for key, status := range map[string]int{keyBob: 403, keyAva: 403, keyOlaf: 404} {
			got, body := p.ask(t, "POST", "/policies/"+hold+"/confirm", key, "")
			require.Equal(t, status, got, body)
		}
		status, done := p.ask(t, "POST", "/policies/"+hold+"/confirm", keyAnn, "")
		require.Equal(t, 200, status, done)
		require.Equal(t, []any{hold, "confirmed", false}, []any{done["id"], done["status"], done["already_active"]})
		_, done = p.ask(t, "POST", "/policies/"+hold+"/confirm", keyAnn, "")
		require.Equal(t, true, done["already_active"])
		out := p.post(conversation("c1", 50))
		require.Contains(t, out.body, `"tool_calls":[{`)

		r := p.post(conversation("c2", 5000))
		var asked struct {
			Pending []struct {
				Escalation string `json:"escalation_id"`
			} `json:"pending_actions"`
		}
		require.NoError(t, json.Unmarshal([]byte(r.body), &asked))
		escalation := asked.Pending[0].Escalation
		status, body := p.ask(t, "POST", "/policies/"+escalation+"/confirm", keyAnn, "")
		require.Equal(t, 403, status, body)
		status, body = p.ask(t, "POST", "/policies/"+escalation+"/confirm", keyRhea, "")
		require.Equal(t, 200, status, body)
		require.Contains(t, p.post(conversation("c2", 5000)).body, `"tool_calls":[{`)
	})
}

// Policies in files are listed and enforced everywhere, and changed in their files.
func TestPoliciesInFilesStandBesideThose(t *testing.T) {
	p := startPolicies(t, setup{policy: `{name: House, rules: [{id: top, tools: [process_refund], when: "args.amount > 9000", effect: block}]}`})
	_, list := p.ask(t, "GET", "/policies", keyAva, "")
	house := list["policies"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"House", "file", "active"}, []any{house["name"], house["source"], house["status"]})
	id := house["id"].(string)
	_, got := p.ask(t, "GET", "/policies/"+id, keyAva, "")
	require.Len(t, got["policies"], 1)
	for _, method := range []string{"PATCH", "DELETE"} {
		status, _ := p.ask(t, method, "/policies/"+id, keyAva, `{"name":"x"}`)
		require.Equal(t, 403, status)
	}
	status, body := p.ask(t, "POST", "/policies", keyAva, `{"name":"House","rules":[{"when":"true","effect":"block"}]}`)
	require.Equal(t, 500, status)
	require.Equal(t, "policy_creation_failed", codeOf(body))
	for i := range 5 {
		p.ask(t, "POST", "/policies", keyAva, fmt.Sprintf(`{"name":"P%d","rules":[{"when":"true","effect":"block","tools":["x"]}]}`, i))
	}
	var names []string
	for offset := 0; ; offset += 2 {
		_, page := p.ask(t, "GET", fmt.Sprintf("/policies?limit=2&offset=%d", offset), keyAva, "")
		for _, one := range page["policies"].([]any) {
			names = append(names, one.(map[string]any)["name"].(string))
		}
		if page["pagination"].(map[string]any)["has_more"] == false {
			break
		}
	}
	require.Equal(t, []string{"House", "P0", "P1", "P2", "P3", "P4"}, names)
}

// Two programs on one Redis: what one confirms the other enforces, and a schema that
// changed is said to be stale everywhere.
func TestAConfirmedPolicyIsEnforcedByEveryProgram(t *testing.T) {
	url := "redis://" + storetest.RedisServer(t)
	a, b := startPolicies(t, setup{store: url}), startPolicies(t, setup{store: url})
	require.Equal(t, "needs_input", b.refund(750))
	b.awaitTool(t, "process_refund")
	_, made := a.ask(t, "POST", "/policies", keyAva, englishLimit)
	id := made["id"].(string)
	status, done := a.ask(t, "POST", "/policies/"+id+"/confirm", keyAva, `{"version":1,"digest":"`+made["digest"].(string)+`"}`)
	require.Equal(t, 200, status, done)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if b.refund(750) == "escalate" {
			break
		}
		require.True(t, time.Now().Before(deadline), "the other program never enforced it")
	}
	require.Equal(t, "ok", b.refund(50))

	// Another schema is offered: the rule stays, and says so.
	changed := strings.Replace(refundTool, `"amount": {"type": "number"}`, `"amount": {"type": "number"}, "note": {"type": "string"}`, 1)
	r := a.post(`{"model":"m","messages":[{"role":"user","content":"Refund order 456 for $750"}],"tools":[` + changed + `]}`)
	require.Contains(t, r.body, `"gate":"escalate"`)
	require.True(t, a.records()[len(a.records())-1].Fired[0].Stale)
	awaitTrue(t, "the policy is stale", func() bool {
		_, got := b.ask(t, "GET", "/policies/"+id, keyAva, "")
		if got["stale"] == true {
			require.Equal(t, []any{"process_refund"}, got["stale_tools"])
			return true
		}
		return false
	})
	// Compiled again it is a new version for the new schema.
	_, again := a.ask(t, "POST", "/policies/"+id+"/compile", keyAva, "")
	require.Equal(t, 2.0, again["version"])
	_, done = a.ask(t, "POST", "/policies/"+id+"/confirm", keyAva, "")
	require.Equal(t, 2.0, done["version"])
	_, got := a.ask(t, "GET", "/policies/"+id, keyAva, "")
	require.Equal(t, false, got["stale"])
}

func TestDoctorNamesStalePolicies(t *testing.T) {
	s := setup{store: engines[0].url(t), keys: policyKeys}
	config := s.file(t)
	p := startPolicies(t, s)
	p.refund(750)
	p.awaitTool(t, "process_refund")
	_, made := p.ask(t, "POST", "/policies", keyAva, englishLimit)
	p.ask(t, "POST", "/policies/"+made["id"].(string)+"/confirm", keyAva, "")
	before, err := p.main.seen.SchemaHashes(t.Context(), "shop")
	require.NoError(t, err)
	p.post(`{"model":"m","messages":[{"role":"user","content":"hello"}],"tools":[` + strings.Replace(refundTool, "order_id", "order", 1) + `]}`)
	awaitTrue(t, "the other schema is seen", func() bool {
		now, err := p.main.seen.SchemaHashes(t.Context(), "shop")
		require.NoError(t, err)
		return now["process_refund"] != before["process_refund"]
	})
	require.NoError(t, p.main.Close())
	var said bytes.Buffer
	code := program{Args: []string{"doctor", "--config", config}, Stdout: &said, Stderr: &said}.run(t.Context())
	out := said.String()
	require.Contains(t, out, "stale     workspace shop, policy Refunds: the schema of process_refund has changed since version 1 was confirmed")
	require.Contains(t, out, "active    1 policies confirmed over the API, in 1 workspaces")
	require.Zero(t, code)
}

// A condition that leaves something open asks, and is answered.
func TestQuestionsAreAnsweredOverTheAPI(t *testing.T) {
	p := startPolicies(t, setup{})
	other := strings.Replace(refundTool, "process_refund", "refund_shipping", 1)
	p.post(`{"model":"m","messages":[{"role":"user","content":"hello"}],"tools":[` + refundTool + `,` + other + `]}`)
	p.awaitTool(t, "refund_shipping")
	_, made := p.ask(t, "POST", "/policies", keyAva, englishLimit)
	path := "/policies/" + made["id"].(string)
	require.NotContains(t, made, "interpreted")
	_, open := p.ask(t, "GET", path+"/questions", keyRhea, "")
	require.Equal(t, 1.0, open["count"])
	question := open["questions"].([]any)[0].(map[string]any)
	require.Contains(t, question["options"], "process_refund")
	_, wrong := p.ask(t, "POST", path+"/questions", keyAva, fmt.Sprintf(`{"answers":{%q:"neither"}}`, question["id"]))
	require.NotEmpty(t, wrong["questions"])
	_, done := p.ask(t, "POST", path+"/questions", keyAva, fmt.Sprintf(`{"answers":{%q:"process_refund"}}`, question["id"]))
	require.NotContains(t, done, "questions")
	require.Equal(t, []any{"process_refund"}, done["interpreted"].(map[string]any)["match"].(map[string]any)["tools"])
	status, _ := p.ask(t, "POST", path+"/confirm", keyAva, "")
	require.Equal(t, 200, status)
	require.Equal(t, "escalate", p.refund(750))
}

// A policy of 1,000 rules is exchanged while chat completions run: none fails, and
// all of them are decided by the old one or the new one.
func TestALargePolicyIsExchangedUnderLoad(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p := startPolicies(t, setup{store: storeURL})
		large := func(amount int) string {
			var b strings.Builder
			fmt.Fprintf(&b, `{"name":"Large","rules":[{"id":"limit","tools":["process_refund"],"when":"args.amount > %d","effect":"block"}`, amount)
			for i := range 999 {
				fmt.Fprintf(&b, `,{"tools":["tool_%d"],"when":"args.n > %d","effect":"confirm"}`, i, i)
			}
			return b.String() + "]}"
		}
		_, made := p.ask(t, "POST", "/policies", keyAva, large(100))
		path := "/policies/" + made["id"].(string)
		status, _ := p.ask(t, "POST", path+"/confirm", keyAva, "")
		require.Equal(t, 200, status)
		body := fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"Refund order 456 for $750"}],"tools":[%s]}`, refundTool)
		var stop atomic.Bool
		var asked atomic.Int64
		var odd sync.Map
		var work sync.WaitGroup
		for range 3 {
			work.Go(func() {
				for !stop.Load() {
					r, err := p.try(context.Background(), body)
					asked.Add(1)
					if err != nil || r.status != 200 || !strings.Contains(r.body, `"gate":"blocked"`) {
						odd.Store(fmt.Sprint(err, r.status, r.body), true)
					}
				}
			})
		}
		for i := range 3 {
			status, changed := p.ask(t, "PATCH", path, keyAva, large(101+i))
			require.Equal(t, 200, status)
			status, _ = p.ask(t, "POST", path+"/confirm", keyAva, fmt.Sprintf(`{"version":%v}`, changed["version"]))
			require.Equal(t, 200, status)
		}
		stop.Store(true)
		work.Wait()
		odd.Range(func(k, _ any) bool { t.Error(k); return true })
		require.Positive(t, asked.Load())
		t.Log(asked.Load(), "completions during three exchanges")
	})
}
