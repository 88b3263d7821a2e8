package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

type setUp struct {
	Connections, Credentials, Memory, Policies []struct{ ID, Name, Status, Error string }
	Checklist                                  []struct{ Item, Status, Detail string }
	Proposals                                  []struct{ Type, Description, Detail string }
	Webhooks                                   *[]string
	Notice                                     string
	Applied, Failed                            *int
	DryRun                                     *bool `json:"dry_run"`
}

func (p *proxyUnderTest) setUp(t *testing.T, key, body string) setUp {
	t.Helper()
	status, text := p.call(t, "POST", "/api/v1/cadreen/setup", key, body)
	require.Equal(t, 200, status, text)
	require.NotContains(t, text, ":null")
	var got setUp
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.NotNil(t, got.Applied)
	require.NotNil(t, got.Failed)
	require.NotNil(t, got.DryRun)
	require.NotNil(t, got.Webhooks)
	require.NotEmpty(t, got.Notice)
	return got
}

// The checklist says what is there, what is to be done and what there is no place
// for; nothing is claimed to be applied that was not.
func TestSetup(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p := start(t, setup{store: storeURL})
		got := p.setUp(t, keyAnn, `{"connections":[{"capability":"stripe"}],"credentials":[{"provider":"stripe","name":"main","key_data":{"token":"s"}}],"memory":[{"type":"note"}]}`)
		require.Equal(t, 3, *got.Failed)
		require.Zero(t, *got.Applied)
		require.Contains(t, got.Connections[0].Error, "provider_unavailable")
		require.Contains(t, got.Credentials[0].Error, "credentials_unavailable")
		require.Contains(t, got.Memory[0].Error, "service_unavailable")
		states := map[string]string{}
		for _, item := range got.Checklist {
			states[item.Item] = item.Status
		}
		require.Equal(t, map[string]string{"policies": "todo", "tools": "todo", "connections": "unavailable", "credentials": "unavailable", "memory": "unavailable", "webhooks": "unavailable"}, states)
		require.Len(t, got.Proposals, 2)
	})
	p := start(t, setup{policy: blockRefunds, keys: opalYAML})
	got := p.setUp(t, keyAnn, `{"policies":[]}`)
	require.Equal(t, "done", got.Checklist[0].Status)
	for name, c := range map[string]struct {
		body, code string
		status     int
	}{
		"nothing":           {`{}`, "missing_fields", 400},
		"empty":             {``, "missing_fields", 400},
		"another workspace": {`{"policies":[],"workspace_id":"elsewhere"}`, "forbidden", 403},
		"not an array":      {`{"policies":{}}`, "invalid_request", 400},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := p.call(t, "POST", "/api/v1/cadreen/setup", keyAnn, c.body)
			require.Equal(t, c.status, status, body)
			require.Contains(t, body, `"code":"`+c.code+`"`)
		})
	}
}

// A policy is made, and enforces where it is to be confirmed; the others do not fail
// with one that does.
func TestSetupMakesPolicies(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p := start(t, setup{store: storeURL, keys: opalYAML})
		body := `{"policies":[` + draftPolicy + `,{"name":""}]`
		got := p.setUp(t, keyOpal, body+`,"dry_run":true}`)
		require.Zero(t, *got.Applied)
		require.Equal(t, 1, *got.Failed)
		require.Equal(t, "not_applied", got.Policies[0].Status)

		// A draft waits on the list until it is confirmed.
		status, draft := p.ask(t, "POST", "/policies", keyOpal, `{"name":"Draft","rules":[{"tools":["drop_table"],"when":"true","effect":"block"}]}`)
		require.Equal(t, 200, status, draft)
		got = p.setUp(t, keyAnn, `{"policies":[]}`)
		require.Equal(t, "todo", got.Checklist[0].Status)
		require.Contains(t, got.Checklist[0].Detail, "0 policies decide, 1 wait to be confirmed")
		require.Equal(t, "confirm_policy", got.Proposals[0].Type)
		require.Contains(t, got.Proposals[0].Detail, draft["id"])
		status, done := p.ask(t, "POST", "/policies/"+draft["id"].(string)+"/confirm", keyOpal, "")
		require.Equal(t, 200, status, done)

		got = p.setUp(t, keyOpal, body+`,"confirm":true}`)
		require.Equal(t, 1, *got.Applied)
		require.Equal(t, 1, *got.Failed)
		require.Equal(t, "active", got.Policies[0].Status, got.Policies[0].Error)
		require.Regexp(t, "^pol_", got.Policies[0].ID)
		require.Contains(t, got.Policies[1].Error, "policy_missing_name")
		require.Equal(t, "done", got.Checklist[0].Status)

		got = p.setUp(t, keyOpal, `{"policies":[`+draftPolicy+`]}`)
		require.Contains(t, got.Policies[0].Error, "policy_creation_failed", "the name is taken")
		got = p.setUp(t, keyAnn, `{"policies":[`+draftPolicy+`]}`)
		require.Contains(t, got.Policies[0].Error, "forbidden")
		require.Zero(t, *got.Applied)
	})
}
