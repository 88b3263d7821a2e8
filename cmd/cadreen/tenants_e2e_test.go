package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

const (
	keyOwner    = "sk_cadreen_owner_0123456789abcdef"
	keyIntruder = "sk_cadreen_intruder_0123456789abcdef"
)

const twoOperators = `keys:
  - {name: owner, key: ` + keyOwner + `, workspace: shop, roles: [operator]}
  - {name: intruder, key: ` + keyIntruder + `, workspace: elsewhere, roles: [operator]}
`

var idLike = regexp.MustCompile(`\b(pol|esc|cad|hold)_[0-9A-Z]{26}\b`)

// An operator of another workspace, who knows every id there is: nothing of ours is read, listed, answered, changed or
// counted, and what is there is not told from what is not.
func TestNoIDReachesAcrossWorkspaces(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL, keys: twoOperators, policy: reviewRefunds})
		ids := map[string]string{}

		status, body := p.call(t, "POST", "/v1/policies", keyOwner, `{"name":"Owner's rule","rules":[{"condition":"Refunds are asked about","tools":["process_refund"],"when":"true","effect":"confirm"}]}`)
		require.Less(t, status, 300, body)
		var policy struct{ ID string }
		require.NoError(t, json.Unmarshal([]byte(body), &policy))
		ids["policy"] = policy.ID
		asked, place := escalates(t, p, model, newChat("Refund order 456").with(`,"conversation_id":"conv_owner"`), refund("call_owner", `{"order_id":"456","amount":750}`))
		ids["escalation"] = place[strings.LastIndex(place, "/")+1:]
		ids["conversation"], ids["trace"], ids["call"] = "conv_owner", asked.trace, "call_owner"
		for _, r := range p.records() {
			if r.Hold != "" {
				ids["hold"] = r.Hold
			}
			ids["record"] = r.ID
		}
		require.Len(t, ids, 7)
		before := p.records()
		p.awaitTrace(t, keyOwner, asked.trace)

		unknown := strings.NewReplacer(ids["policy"], "pol_01ARZ3NDEKTSV4RRFFQ69G5FAV", ids["escalation"], "esc_01ARZ3NDEKTSV4RRFFQ69G5FAV", ids["trace"], "cad_01ARZ3NDEKTSV4RRFFQ69G5FAV", ids["hold"], "hold_01ARZ3NDEKTSV4RRFFQ69G5FAV")
		for _, path := range []string{"/v1/escalations", "/v1/intelligence", "/v1/intelligence/stats", "/v1/policies", "/v1/audit", "/v1/audit/stats", "/v1/audit/export", "/v1/audit/verify"} {
			t.Run("GET "+path, func(t *testing.T) {
				status, got := p.call(t, "GET", path, keyIntruder, "")
				require.Equal(t, http.StatusOK, status, got)
				for kind, id := range ids {
					require.NotContains(t, got, id, kind)
				}
				require.NotContains(t, got, "Owner's rule")
				if path != "/v1/policies" { // where the policies of files stand, which are everybody's
					require.NotContains(t, got, "process_refund")
				}
			})
		}
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/v1/escalations/" + ids["escalation"], ""},
			{"POST", "/v1/escalations/" + ids["escalation"] + "/resolve", `{"decision":"auto"}`},
			{"GET", "/v1/intelligence/" + ids["trace"], ""},
			{"GET", "/v1/intelligence/" + ids["trace"] + "/handoff", ""},
			{"POST", "/v1/intelligence/" + ids["trace"] + "/replay", `{"mode":"current"}`},
			{"GET", "/v1/audit/executions/" + ids["trace"] + "/timeline", ""},
			{"GET", "/v1/audit/executions/" + ids["hold"] + "/timeline", ""},
			{"GET", "/v1/policies/" + ids["policy"], ""},
			{"PATCH", "/v1/policies/" + ids["policy"], `{"name":"Mine"}`},
			{"DELETE", "/v1/policies/" + ids["policy"], ""},
			{"GET", "/v1/policies/" + ids["policy"] + "/versions", ""},
			{"POST", "/v1/policies/" + ids["policy"] + "/compile", `{}`},
			{"POST", "/v1/policies/" + ids["policy"] + "/confirm", `{"version":1}`},
			{"POST", "/v1/policies/" + ids["policy"] + "/rollback", `{"version":1}`},
			{"POST", "/v1/policies/" + ids["policy"] + "/test", `{}`},
			{"POST", "/v1/policies/" + ids["policy"] + "/simulate", `{}`},
			{"POST", "/v1/policies/" + ids["hold"] + "/confirm", ``},
			{"POST", "/v1/policies/" + ids["escalation"] + "/confirm", ``},
		} {
			t.Run(c.method+" "+unknown.Replace(c.path), func(t *testing.T) {
				status, got := p.call(t, c.method, c.path, keyIntruder, c.body)
				require.GreaterOrEqual(t, status, 400, got)
				require.NotContains(t, got, "process_refund")
				require.NotContains(t, got, "Owner's rule")
				other, want := p.call(t, c.method, unknown.Replace(c.path), keyIntruder, c.body)
				require.Equal(t, other, status)
				require.Equal(t, withoutIDs(want), withoutIDs(got), "an id of another workspace is told from one that nobody has")
			})
		}
		// A header that names the other workspace is refused, not obeyed.
		status, body = p.call(t, "GET", "/v1/escalations", keyIntruder, "", "X-Cadreen-Workspace-Id", "shop")
		require.Equal(t, http.StatusForbidden, status, body)

		require.Len(t, p.records(), len(before), "nothing of the owner's was written")
		status, body = p.call(t, "GET", "/v1/policies/"+ids["policy"], keyOwner, "")
		require.Equal(t, 200, status, body)
		status, body = p.call(t, "POST", "/v1/escalations/"+ids["escalation"]+"/resolve", keyOwner, `{"decision":"auto"}`)
		require.Equal(t, 200, status, body)
		require.Equal(t, governance.EventEscalation, p.records()[len(p.records())-1].Event)
	})
}

// withoutIDs is an answer without what differs from one request to the next.
func withoutIDs(body string) string {
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		return body
	}
	var walk func(any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				if k == "trace_id" || k == "intelligence" {
					delete(v, k)
					continue
				}
				v[k] = walk(e)
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case string:
			return idLike.ReplaceAllString(v, "<id>")
		}
		return v
	}
	return fmt.Sprint(walk(v))
}

// awaitTrace waits until a trace, which is written behind the answer, can be read.
func (p *proxyUnderTest) awaitTrace(t *testing.T, key, id string) {
	t.Helper()
	awaitTrue(t, "the trace is stored", func() bool {
		status, _ := p.call(t, "GET", "/v1/intelligence/"+id, key, "")
		return status == http.StatusOK
	})
}
