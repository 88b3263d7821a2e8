package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

// A sentence in a file is bound to the schema that its policies.lock was compiled for. Where requests offer another one, the
// rule is enforced as it was, and everything that shows it says that it is stale.
func TestASentenceInAFileIsStaleForAnotherSchema(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		const sentence = "Refunds over $100 need approval"
		folder := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(folder, "policy.yaml"), []byte("name: Refunds\nrules:\n  - id: limit\n    condition: "+sentence+"\n"), 0o600))
		var offered struct {
			Function struct{ Parameters json.RawMessage }
		}
		require.NoError(t, json.Unmarshal([]byte(refundToolJSON), &offered))
		tools := []governance.Tool{{Type: "function", Name: "process_refund", Schema: offered.Function.Parameters}, {Type: "function", Name: "get_order"}}
		pin := governance.Pin{Condition: sentence, Tools: []string{"process_refund"}, When: []governance.Line{{If: "args.amount > 100", Effect: governance.Confirm}}}
		pin = pin.For(governance.Rule{}, tools)
		require.Len(t, pin.Schemas, 1)
		require.NoError(t, governance.WriteLock(governance.LockPath(folder), []governance.Pin{pin}))

		p, model := startScripted(t, setup{store: storeURL, keys: twoOperators, yaml: "policies: '" + folder + "'\n"})
		stale := func() (in bool, tools []string) {
			_, body := p.call(t, "GET", "/v1/policies", keyOwner, "")
			var list struct {
				Policies []struct {
					Stale      bool
					StaleTools []string `json:"stale_tools"`
				}
			}
			require.NoError(t, json.Unmarshal([]byte(body), &list))
			require.Len(t, list.Policies, 1)
			return list.Policies[0].Stale, list.Policies[0].StaleTools
		}
		asks(t, p, model, newChat("Refund order 1"), refund("call_1", `{"order_id":"1","amount":750}`))
		require.False(t, p.records()[0].Fired[0].Stale)
		in, _ := stale()
		require.False(t, in)

		other := newChat("Refund order 2")
		other.tools = []string{`{"type":"function","function":{"name":"process_refund","parameters":{"type":"object","properties":{"order_id":{"type":"string"},"amount":{"type":"number"},"to_card":{"type":"string"}}}}}`}
		asks(t, p, model, other, refund("call_2", `{"order_id":"2","amount":750}`))
		records := p.records()
		last := records[len(records)-1]
		require.True(t, last.Fired[0].Stale)
		require.Equal(t, governance.Confirm, last.Verdict, "enforced as it was")
		awaitTrue(t, "the tool was seen", func() bool { in, tools := stale(); return in && len(tools) == 1 && tools[0] == "process_refund" })
	})
}
