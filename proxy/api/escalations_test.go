package api

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/governance"
)

// desk records what it is asked.
type desk struct {
	workspace string
	query     governance.EscalationQuery
	id        string
	resolved  *governance.Resolution
	list      []governance.Escalation
	more      bool
}

func (d *desk) Escalations(_ context.Context, workspace string, q governance.EscalationQuery) ([]governance.Escalation, bool, error) {
	d.workspace, d.query = workspace, q
	return d.list, d.more, nil
}

func (d *desk) Escalation(_ context.Context, workspace, id string) (governance.Escalation, error) {
	d.workspace, d.id = workspace, id
	return governance.Escalation{ID: id}, nil
}

func (d *desk) ReadLedger(context.Context, governance.Decider, *governance.Facts, ...governance.Call) error {
	return nil
}

func (d *desk) Observed(context.Context, string, string, string, []string) ([]governance.Released, error) {
	return nil, nil
}

func (d *desk) Resolve(_ context.Context, workspace, id string, r governance.Resolution) (governance.Escalation, error) {
	d.workspace, d.id, d.resolved = workspace, id, &r
	if r.Decision == "" {
		return governance.Escalation{}, fault.New(fault.EscalationMissingDecision, "")
	}
	return governance.Escalation{ID: id, Resolution: r.Decision}, nil
}

var reviewer = Caller{Workspace: "acme", Requester: governance.Requester{ID: "key_1", KeyID: "key_1", Roles: []string{"reviewer"}}}

func TestListPaging(t *testing.T) {
	for _, tt := range []struct {
		query string
		want  governance.EscalationQuery
		param string // of the refusal; "" for none
	}{
		{"", governance.EscalationQuery{Limit: 20}, ""},
		{"?limit=&offset=&status=", governance.EscalationQuery{Limit: 20}, ""},
		{"?limit=5&offset=10&status=pending", governance.EscalationQuery{Status: "pending", Limit: 5, Offset: 10}, ""},
		{"?limit=100000", governance.EscalationQuery{Limit: maxLimit}, ""},
		{"?offset=99999999999", governance.EscalationQuery{Limit: 20, Offset: maxOffset}, ""},
		{"?limit=0", governance.EscalationQuery{}, "limit"},
		{"?limit=-1", governance.EscalationQuery{}, "limit"},
		{"?limit=ten", governance.EscalationQuery{}, "limit"},
		{"?limit=99999999999999999999", governance.EscalationQuery{}, "limit"},
		{"?offset=-1", governance.EscalationQuery{}, "offset"},
		{"?status=open", governance.EscalationQuery{}, "status"},
	} {
		t.Run(tt.query, func(t *testing.T) {
			d := &desk{more: true}
			w := httptest.NewRecorder()
			err := (&Escalations{Desk: d}).List(w, httptest.NewRequest("GET", "/escalations"+tt.query, nil), reviewer)
			if tt.param != "" {
				require.Equal(t, fault.InvalidRequest, fault.From(err).Code)
				require.Equal(t, tt.param, fault.From(err).Param)
				require.Empty(t, w.Body.String())
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, d.query)
			require.Equal(t, "acme", d.workspace)
			var answer struct {
				Escalations []any
				Count       int
				Pagination  map[string]any
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
			require.NotNil(t, answer.Escalations, "an empty array, never null")
			require.Equal(t, map[string]any{"limit": float64(tt.want.Limit), "offset": float64(tt.want.Offset), "has_more": true}, answer.Pagination)
		})
	}
}

func TestResolveBodies(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       governance.Resolution
		code       string
	}{
		{"decision", `{"decision":"auto","comment":"fine","to":"role:cfo"}`, governance.Resolution{Decision: "auto", Comment: "fine", To: "role:cfo"}, ""},
		{"older name", `{"resolution":"abstain"}`, governance.Resolution{Decision: "abstain"}, ""},
		{"both alike", `{"decision":"auto","resolution":"auto"}`, governance.Resolution{Decision: "auto"}, ""},
		{"both, different", `{"decision":"abstain","resolution":"auto"}`, governance.Resolution{}, fault.InvalidRequest},
		{"unknown field", `{"decision":"auto","x":[1]}`, governance.Resolution{Decision: "auto"}, ""},
		{"empty", ``, governance.Resolution{}, fault.EscalationMissingDecision},
		{"blank", " \n", governance.Resolution{}, fault.EscalationMissingDecision},
		{"empty object", `{}`, governance.Resolution{}, fault.EscalationMissingDecision},
		{"name twice", `{"decision":"abstain","decision":"auto"}`, governance.Resolution{}, fault.InvalidRequest},
		{"other case", `{"Decision":"auto"}`, governance.Resolution{}, fault.EscalationMissingDecision},
		{"not a string", `{"decision":1}`, governance.Resolution{}, fault.InvalidRequest},
		{"array", `["auto"]`, governance.Resolution{}, fault.InvalidRequest},
		{"something after it", `{"decision":"auto"} {}`, governance.Resolution{}, fault.InvalidRequest},
		{"bad UTF-8", "{\"decision\":\"au\xffto\"}", governance.Resolution{}, fault.InvalidRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &desk{}
			w := httptest.NewRecorder()
			err := (&Escalations{Desk: d}).Resolve(w, httptest.NewRequest("POST", "/", strings.NewReader(tt.body)), reviewer, "esc_1")
			if tt.code != "" {
				require.Error(t, err)
				require.Equal(t, tt.code, fault.From(err).Code)
				require.Empty(t, w.Body.String())
				return
			}
			require.NoError(t, err)
			tt.want.By = reviewer.Requester
			require.Equal(t, tt.want, *d.resolved)
			require.Equal(t, "esc_1", d.id)
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		})
	}
}

func TestGetKeepsMarkupInText(t *testing.T) {
	d := &desk{}
	w := httptest.NewRecorder()
	require.NoError(t, (&Escalations{Desk: d}).Get(w, httptest.NewRequest("GET", "/", nil), reviewer, "esc_<&>"))
	require.Contains(t, w.Body.String(), `"id":"esc_<&>"`)
}
