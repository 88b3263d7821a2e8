package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/proxy/scripted"
)

// What this version does not have says so, with a key only, and says that asking
// again is of no use.
func TestAbsentPartsSaySo(t *testing.T) {
	p := start(t, setup{})
	for _, a := range fault.Absences() {
		entry, known := fault.Lookup(a.Code)
		require.True(t, known, a.Code)
		for _, route := range a.Routes {
			t.Run(route, func(t *testing.T) {
				method, path, _ := strings.Cut(route, " ")
				path = strings.NewReplacer("{id}", "x_1", "{user_id}", "ann").Replace(path)
				for _, base := range []string{"/api/v1/cadreen", "/v1", "/api/v1"} {
					res, body := p.exchange(t, method, base+path, keyAnn, "")
					require.Equal(t, entry.Status, res.StatusCode, body)
					require.Contains(t, body, `"code":"`+a.Code+`"`)
					require.Equal(t, "false", res.Header.Get("X-Should-Retry"))
					require.Contains(t, body, `"next_action":{"type":"none",`)
					checkSchema(t, reply{status: res.StatusCode, header: res.Header, body: body})
				}
				status, _ := p.call(t, method, "/v1"+path, "", "")
				require.Equal(t, 401, status)
			})
		}
	}
}

// Health needs a key, and says what is wrong.
func TestHealth(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL, policy: blockRefunds})
		model.Otherwise(scripted.JSON(`{"object":"list","data":[]}`))
		var got struct {
			Status, Timestamp, Workspace string
			Tenant                       string `json:"tenant_id"`
			Store, Model, Memory         struct{ Status string }
			Connections                  struct{ Total, Healthy *int }
			Governance                   struct {
				Status string
				Active int
			}
		}
		require.Equal(t, 200, p.get(t, "/api/v1/cadreen/health", keyAnn, &got))
		require.Equal(t, "healthy", got.Status)
		require.Equal(t, "healthy", got.Store.Status)
		require.Equal(t, "not_configured", got.Memory.Status)
		require.Equal(t, 1, got.Governance.Active)
		require.Equal(t, "shop", got.Workspace)
		require.Equal(t, "shop", got.Tenant)
		require.Zero(t, *got.Connections.Total)
		require.NotEmpty(t, got.Timestamp)
		status, body := p.call(t, "GET", "/api/v1/cadreen/health", "", "")
		require.Equal(t, 401, status, body)
	})
	p := start(t, setup{backend: "http://127.0.0.1:1/v1"})
	status, body := p.call(t, "GET", "/api/v1/cadreen/health", keyAnn, "")
	require.Equal(t, 200, status)
	require.Contains(t, body, `{"status":"degraded"`)
	require.Contains(t, body, `"model":{"status":"unhealthy"}`)
}
