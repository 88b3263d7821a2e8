package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A sentence that the grammar does not know goes to the model; what its readings differ in is asked over the API; and nothing
// enforces before a person confirms it, whatever the model says.
func TestQuestionsAboutWhatAModelRead(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		differ := []string{readAs("args.amount > 100", "block"), readAs("args.amount >= 100", "block"), readAs("args.amount >= 100", "block")}
		// The chat that makes the tool known asks the same server once.
		model, asked := writer(t, append([]string{"Hello."}, differ...)...)
		p := startPolicies(t, setup{store: storeURL, backend: model, model: "writer"})
		p.loose = true
		p.post(fmt.Sprintf(`{"messages":[{"role":"user","content":"Hi"}],"tools":[%s]}`, refundTool))
		p.awaitTool(t, "process_refund")

		status, made := p.ask(t, "POST", "/policies", keyAva, fmt.Sprintf(`{"name":"Bucks","rules":[{"id":"bucks","condition":%q}]}`, bucks))
		require.Equal(t, 200, status, made)
		require.EqualValues(t, 4, asked.Load())
		id := made["id"].(string)
		require.Equal(t, "draft", made["status"])
		require.Nil(t, made["interpreted"], "nothing is chosen by itself")

		status, list := p.ask(t, "GET", "/policies/"+id+"/questions", keyAva, "")
		require.Equal(t, 200, status, list)
		require.Equal(t, []any{1.0, 1.0, id}, []any{list["count"], list["version"], list["id"]})
		require.Equal(t, map[string]any{"limit": 20.0, "offset": 0.0, "has_more": false}, list["pagination"])
		q := list["questions"].([]any)[0].(map[string]any)
		require.Contains(t, q["text"], "process_refund with amount exactly 100")
		require.ElementsMatch(t, []any{"allow", "block", "none of these"}, q["options"])
		require.True(t, strings.HasPrefix(q["id"].(string), "bucks/differ@"))

		// What is open cannot be confirmed, and what is no answer decides nothing.
		status, body := p.ask(t, "POST", "/policies/"+id+"/confirm", keyAva, "")
		require.Equal(t, "policy_confirm_failed", codeOf(body), status)
		status, body = p.ask(t, "POST", "/policies/"+id+"/questions", keyAva, `{"answers":{"`+q["id"].(string)+`":"whatever you think"}}`)
		require.Equal(t, 200, status, body)
		require.Contains(t, body["questions"].([]any)[0].(map[string]any)["text"], `"whatever you think" is no answer`)
		require.EqualValues(t, 4, asked.Load())
		for key, want := range map[string]int{keyBob: 403, keyRhea: 403, keyOlaf: 404} {
			status, _ = p.ask(t, "POST", "/policies/"+id+"/questions", key, `{"answers":{"x":"y"}}`)
			require.Equal(t, want, status)
		}
		status, _ = p.ask(t, "GET", "/policies/"+id+"/questions", keyRhea, "")
		require.Equal(t, 200, status, "reviewers read")
		status, body = p.ask(t, "GET", "/policies/pol_none/questions", keyAva, "")
		require.Equal(t, []any{404, "policy_not_found"}, []any{status, codeOf(body)})

		answer, err := json.Marshal(map[string]any{"answers": map[string]any{q["id"].(string): "block"}})
		require.NoError(t, err)
		status, made = p.ask(t, "POST", "/policies/"+id+"/questions", keyAva, string(answer))
		require.Equal(t, 200, status, made)
		require.EqualValues(t, 4, asked.Load(), "an answer asks no model")
		require.InDelta(t, 2./3, made["confidence"], 1e-9)
		require.Equal(t, []any{"draft", true, 3.0}, []any{made["status"], made["confirmation_required"], made["version"]})
		rule := made["interpreted"].(map[string]any)["rules"].([]any)[0].(map[string]any)
		require.Equal(t, "A call of process_refund: block if amount is at least 100; in every other case allow.", rule["means"])
		status, list = p.ask(t, "GET", "/policies/"+id+"/questions", keyAva, "")
		require.Equal(t, []any{200, 0.0, []any{}}, []any{status, list["count"], list["questions"]})

		// Nothing enforces yet; and it does once it is confirmed.
		verdict := func() any {
			status, out := p.ask(t, "POST", "/policies/evaluate", keyAva, `{"action":"process_refund","context":{"amount":100}}`)
			require.Equal(t, 200, status, out)
			return out["result"].(map[string]any)["type"]
		}
		require.Equal(t, "confirm", verdict())
		status, body = p.ask(t, "POST", "/policies/"+id+"/confirm", keyAva, `{"version":3}`)
		require.Equal(t, 200, status, body)
		require.Equal(t, "block", verdict())
		_, out := p.ask(t, "POST", "/policies/evaluate", keyAva, `{"action":"process_refund","context":{"amount":100}}`)
		require.InDelta(t, 2./3, out["result"].(map[string]any)["confidence"], 1e-9)

		// A rule that is evaluated at once is read by no model.
		before := asked.Load()
		status, body = p.ask(t, "POST", "/policies/evaluate", keyAva, fmt.Sprintf(`{"action":"process_refund","context":{"amount":100},"rule":%q}`, bucks+", always"))
		require.NotEqual(t, 200, status, body)
		require.Equal(t, before, asked.Load())
	})
}

// A model that is away or talks nonsense leaves the words that the grammar does not know, and says why in notes.
func TestAModelThatCannotBeUsedLeavesTheGrammarsAnswer(t *testing.T) {
	model, _ := writer(t, "Sure! I made the rule active for you.")
	p := startPolicies(t, setup{backend: model, model: "writer"})
	p.loose = true
	p.post(fmt.Sprintf(`{"messages":[{"role":"user","content":"Hi"}],"tools":[%s]}`, refundTool))
	p.awaitTool(t, "process_refund")
	status, made := p.ask(t, "POST", "/policies", keyAva, fmt.Sprintf(`{"name":"Bucks","rules":[{"condition":%q}]}`, bucks))
	require.Equal(t, 200, status, made)
	require.Equal(t, "draft", made["status"])
	require.NotEmpty(t, made["not_understood"])
	require.Contains(t, made["notes"].([]any)[0], "the model's readings cannot be used")
	require.Nil(t, made["interpreted"])
	status, body := p.ask(t, "POST", "/policies/"+url.PathEscape(made["id"].(string))+"/confirm", keyAva, "")
	require.Equal(t, "policy_confirm_failed", codeOf(body), status)
}

// What makes a version says what it changes beside the policies that are there, with a call that shows it.
func TestFindingsBesideOtherPolicies(t *testing.T) {
	p := startPolicies(t, setup{})
	p.refund(750)
	p.awaitTool(t, "process_refund")
	status, made := p.ask(t, "POST", "/policies", keyAva, `{"name":"Wide","rules":[{"id":"wide","tools":["process_refund"],"when":"args.amount > 100","effect":"confirm"}]}`)
	require.Equal(t, 200, status, made)
	require.Nil(t, made["findings"])
	status, body := p.ask(t, "POST", "/policies/"+made["id"].(string)+"/confirm", keyAva, "")
	require.Equal(t, 200, status, body)
	status, made = p.ask(t, "POST", "/policies", keyAva, `{"name":"Narrow","rules":[{"id":"narrow","tools":["process_refund"],"when":"args.amount > 2000","effect":"confirm"}]}`)
	require.Equal(t, 200, status, made)
	found := made["findings"].([]any)
	require.Len(t, found, 1)
	one := found[0].(map[string]any)
	require.Equal(t, []any{"implied", "warning", "Narrow", "narrow", "Wide/wide"}, []any{one["code"], one["level"], one["policy"], one["rule"], one["other"]})
	require.Equal(t, map[string]any{"name": "process_refund", "arguments": map[string]any{"amount": 2000.01}, "circumstances": "amount 2000.01"}, one["call"])
	require.False(t, strings.Contains(fmt.Sprint(one), "<nil>"))
}
