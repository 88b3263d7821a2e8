package main

import (
	"bytes"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
	"cadreen/store/storetest"
)

// audited is a list of the audit as it comes over the wire.
type audited struct {
	Actions []struct {
		ID, Type, Name, Status, Details string
		Timestamp                       time.Time
		DurationMS                      *int64 `json:"duration_ms"`
		Trace                           string `json:"trace_id"`
		Hold                            string `json:"hold_id"`
		Actor                           string
	}
	Count      int
	Pagination struct {
		Limit, Offset int
		HasMore       bool `json:"has_more"`
	}
}

func (a audited) types() string {
	var list []string
	for _, x := range a.Actions {
		list = append(list, x.Type)
	}
	return strings.Join(list, " ")
}

// What was asked, answered and released is in the audit at once, and only an
// operator sees it.
func TestTheAuditOfARefund(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		ask, call := newChat("Refund order 456"), refund("call_1", refundArgs)
		asked := asks(t, p, model, ask, call)
		p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)

		var list audited
		require.Equal(t, 200, p.get(t, "/v1/audit", keyOmar, &list))
		require.Equal(t, "release release answer decision policy_files key_create key_create key_create key_create", list.types())
		require.Equal(t, 9, list.Count)
		require.False(t, list.Pagination.HasMore)
		for _, a := range list.Actions {
			require.NotNil(t, a.DurationMS)
			require.NotEmpty(t, a.Status)
			require.NotZero(t, a.Timestamp)
		}
		decision := list.Actions[3]
		require.Equal(t, "process_refund", decision.Name)
		require.Equal(t, "held", decision.Status)
		var one audited
		require.Equal(t, 200, p.get(t, "/api/v1/cadreen/audit?type=decision&limit=1&name=process_refund&from=2020-01-01T00:00:00Z", keyOmar, &one))
		require.Equal(t, "decision", one.types())
		require.Equal(t, 200, p.get(t, "/v1/audit?limit=2&offset=1", keyOmar, &one))
		require.Equal(t, "release answer", one.types())
		require.True(t, one.Pagination.HasMore)

		for _, id := range []string{decision.Trace, decision.Hold} {
			var line struct {
				ExecutionID string `json:"execution_id"`
				Status      string
				Timeline    []struct{ Type string }
				Count       int
				DurationMS  int64 `json:"duration_ms"`
			}
			require.Equal(t, 200, p.get(t, "/v1/audit/executions/"+id+"/timeline", keyOmar, &line))
			require.Equal(t, id, line.ExecutionID)
			require.Equal(t, "released", line.Status)
			require.Equal(t, 4, line.Count)
			require.Equal(t, "decision", line.Timeline[0].Type)
		}
		var stats struct {
			Total    int
			Unsealed int
			ByType   map[string]int `json:"by_type"`
		}
		require.Equal(t, 200, p.get(t, "/v1/audit/stats", keyOmar, &stats))
		require.Equal(t, 9, stats.Total)
		require.Equal(t, map[string]int{"release": 2, "answer": 1, "decision": 1, "policy_files": 1, "key_create": 4}, stats.ByType)
		var report struct {
			Valid   bool
			Entries int
			Broken  []any
			Heads   []string
		}
		require.Equal(t, 200, p.get(t, "/v1/audit/verify", keyOmar, &report))
		require.True(t, report.Valid)
		require.Equal(t, 10, report.Entries, "with the key of another workspace, which is only counted")
		require.NotEmpty(t, report.Heads)
		require.Equal(t, 200, p.get(t, "/v1/audit/verify?head="+url.QueryEscape(report.Heads[len(report.Heads)-1]), keyOmar, &report))
		require.True(t, report.Valid)

		status, export := p.call(t, "GET", "/v1/audit/export", keyOmar, "")
		require.Equal(t, 200, status)
		res, lines := p.exchange(t, "GET", "/v1/audit", keyOmar, "", "Accept", "application/jsonl")
		require.Equal(t, "application/jsonl", res.Header.Get("Content-Type"))
		require.Equal(t, export, lines)
		require.Contains(t, lines[strings.LastIndex(strings.TrimSpace(lines), "\n"):], `"kind":"end"`)

		for _, path := range []string{"/v1/audit", "/v1/audit/stats", "/v1/audit/verify", "/v1/audit/export", "/v1/audit/executions/" + decision.Trace + "/timeline"} {
			for _, key := range []string{keyAnn, keyRhea} {
				status, body := p.call(t, "GET", path, key, "")
				require.Equal(t, 403, status, path)
				require.Contains(t, body, "operator")
			}
		}
	})
}

func TestErrorsOfTheAudit(t *testing.T) {
	redis, err := storetest.StartRedis(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(redis.Kill)
	p := start(t, setup{store: "redis://" + redis.Addr, backend: scripted.New(t).URL()})
	type answer struct {
		status int
		code   string
	}
	get := func(path string) answer {
		var e struct{ Error struct{ Code string } }
		status := p.get(t, path, keyOmar, &e)
		return answer{status, e.Error.Code}
	}
	for path, want := range map[string]answer{
		"/v1/audit?from=yesterday":                                       {500, "audit_query_failed"},
		"/v1/audit?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z":    {500, "audit_query_failed"},
		"/v1/audit?trace_id=a&hold_id=b":                                 {500, "audit_query_failed"},
		"/v1/audit?limit=0":                                              {400, "invalid_request"},
		"/v1/audit/verify?head=nonsense":                                 {500, "audit_query_failed"},
		"/v1/audit/export?to=never":                                      {500, "audit_query_failed"},
		"/v1/audit/executions/cad_nobody/timeline":                       {500, "audit_timeline_failed"},
		"/v1/audit/executions/" + strings.Repeat("x", 300) + "/timeline": {500, "audit_timeline_failed"},
	} {
		require.Equal(t, want, get(path), path)
	}
	redis.Kill()
	for _, path := range []string{"/v1/audit", "/v1/audit/stats", "/v1/audit/verify", "/v1/audit/export", "/v1/audit/executions/cad_x/timeline"} {
		require.Equal(t, answer{503, "audit_unavailable"}, get(path), path)
	}
}

// Keys that are made and revoked on the command line stand in the audit of their
// workspace, sealed by the command itself, and can be checked without a server.
func TestKeysInTheAudit(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		settings := setup{store: storeURL}
		config := settings.file(t)
		cadreen := func(args ...string) (int, string) {
			var out strings.Builder
			code := program{Args: append(args, "--config", config), Stdout: &out, Stderr: t.Output()}.run(t.Context())
			return code, out.String()
		}
		code, _ := cadreen("key", "create", "--name", "till", "--workspace", "shop")
		require.Zero(t, code)
		code, _ = cadreen("key", "create", "--name", "theirs", "--workspace", "elsewhere")
		require.Zero(t, code)
		code, list := cadreen("key", "list")
		require.Zero(t, code)
		id := strings.Fields(strings.Split(list, "\n")[1])[0]
		code, _ = cadreen("key", "revoke", id)
		require.Zero(t, code)

		code, said := cadreen("audit", "verify", "--workspace", "shop")
		require.Zero(t, code, said)
		require.Contains(t, said, "3 records")
		require.Contains(t, said, "0 not yet sealed")

		p := start(t, settings)
		var got audited
		require.Equal(t, 200, p.get(t, "/v1/audit", keyOmar, &got))
		require.Equal(t, "policy_files key_create key_create key_create key_create key_revoke key_create", got.types(), "the configured ones last")
		require.Equal(t, "till", got.Actions[5].Name)
		require.Equal(t, 200, p.get(t, "/v1/audit?id="+id, keyOmar, &got))
		require.Equal(t, 2, got.Count)
	})
}

// The command finds an edit of the file, and an edit of an export.
func TestTheCommandFindsAnEdit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	settings := setup{store: "sqlite:" + path}
	config := settings.file(t)
	cadreen := func(args ...string) (int, string) {
		var out strings.Builder
		code := program{Args: append(args, "--config", config), Stdout: &out, Stderr: t.Output()}.run(t.Context())
		return code, out.String()
	}
	p, model := startScripted(t, settings)
	ask, call := newChat("Refund order 456"), refund("call_1", refundArgs)
	asked := asks(t, p, model, ask, call)
	p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
	require.NoError(t, p.main.Close())

	code, said := cadreen("audit", "verify", "--workspace", "shop")
	require.Zero(t, code, said)
	require.Contains(t, said, "10 records")
	require.Contains(t, said, "0 not yet sealed", "the end of the server sealed what was left")
	head := regexp.MustCompile(`shop:wr_\S+`).FindString(said)
	require.NotEmpty(t, head)
	export := filepath.Join(t.TempDir(), "shop.jsonl")
	code, _ = cadreen("audit", "export", "--workspace", "shop", "--output", export)
	require.Zero(t, code)
	code, said = cadreen("audit", "verify", "--file", export, "--head", head)
	require.Zero(t, code, said)
	lines, err := os.ReadFile(export)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(export, bytes.Replace(lines, []byte(`"answer":"yes"`), []byte(`"answer":"no"`), 1), 0o600))
	code, said = cadreen("audit", "verify", "--file", export)
	require.Equal(t, exitFailed, code)
	require.Contains(t, said, "record_changed")

	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec(`UPDATE logs SET value = replace(CAST(value AS TEXT), '"answer":"yes"', '"answer":"no"') WHERE log = 'records' AND workspace = 'shop' AND seq = 2`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	code, said = cadreen("audit", "verify", "--workspace", "shop", "--head", head)
	require.Equal(t, exitFailed, code)
	require.Regexp(t, `shop records wr_\S+ 2: record_changed`, said)
	code, _ = cadreen("audit", "verify", "--head", "nonsense")
	require.Equal(t, exitUsage, code)
}

// What is changed outside of the store is seen at the next start, once.
func TestChangesOfTheConfigurationInTheAudit(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		actions := func(s setup) audited {
			p := start(t, s)
			var got audited
			require.Equal(t, 200, p.get(t, "/v1/audit?limit=100", keyOmar, &got))
			require.NoError(t, p.main.Close())
			return got
		}
		s := setup{store: storeURL}
		first := actions(s)
		require.Equal(t, first, actions(s), "nothing changed")
		s.policy = reviewRefunds
		s.keys = "keys:\n  - {name: new, key: sk_cadreen_new_0123456789abcdef, workspace: shop}\n"
		second := actions(s)
		require.Equal(t, "policy_files key_create "+first.types(), second.types())
		require.Contains(t, second.Actions[0].Details, "1 policies of files, profile guarded")
		s.keys = ""
		require.Equal(t, "key_revoke "+second.types(), actions(s).types())
	})
}
