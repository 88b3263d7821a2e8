package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/api"
	"cadreen/proxy/scripted"
)

// check asks for preconditions and reads the good answer.
func (p *proxyUnderTest) check(t *testing.T, key, body string) api.Checked {
	t.Helper()
	status, text := p.call(t, "POST", "/api/v1/cadreen/preconditions/check", key, body)
	require.Equal(t, 200, status, text)
	var got api.Checked
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.Equal(t, got.Count, len(got.Preconditions))
	require.Equal(t, got.Count, got.Met+got.Unmet+got.Unknown)
	require.NotContains(t, text, ":null")
	require.NotEmpty(t, got.NextAction.Label)
	return got
}

// seeTools makes a workspace know the tools of the tests.
func (p *proxyUnderTest) seeTools(t *testing.T, model *scripted.Server) {
	t.Helper()
	model.Next(turnOf(false, "Hello"))
	p.post(newChat("hi").body())
	awaitTrue(t, "the tools are seen", func() bool {
		tools, err := p.main.seen.Tools(t.Context(), "shop")
		require.NoError(t, err)
		return len(tools) == 2
	})
}

const lookUpFirst = `
name: Look first
rules:
  - id: look
    condition: "Look the order up first"
    tools: [process_refund]
    when:
      - {if: '!called("get_order", {"order_id": args.order_id})', effect: clarify}
      - {if: 'args.amount > 100', effect: escalate}
  - id: reads
    condition: "Reading is free"
    tools: [get_order]
    when: [{if: 'true', effect: allow}]
`

// The tool that supplies a missing fact is named; once it was called, the
// precondition is met. Nothing is written by asking.
func TestPreconditionsOfAnAction(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL, policy: lookUpFirst})
		p.seeTools(t, model)
		ask := `{"tool_name":"process_refund","parameters":{"order_id":"456","amount":10}`
		got := p.check(t, keyAnn, ask+`,"conversation_id":"c1","messages":["Refund order 456"]}`)
		require.Equal(t, "unmet", got.Status)
		require.Equal(t, "clarify", got.Verdict.String())
		require.Equal(t, "get_order", got.Preconditions[0].Tool)
		require.Equal(t, "resolve_gap", got.NextAction.Type)
		require.Contains(t, got.NextAction.Label, "get_order")

		got = p.check(t, keyAnn, ask+`}`)
		require.Equal(t, "unknown", got.Status, "no conversation is named")
		require.Contains(t, got.Preconditions[0].Needs, "conversation_id")

		chat := newChat("Look order 456 up")
		chat.members = `,"conversation_id":"c1"`
		model.Next(turnOf(false, "", scripted.Call{ID: "call_1", Name: "get_order", Arguments: `{"order_id":"456"}`}))
		p.post(chat.body())
		got = p.check(t, keyAnn, ask+`,"conversation_id":"c1","messages":["Refund order 456"]}`)
		require.Equal(t, "met", got.Status, "%+v", got)
		require.Equal(t, "allow", got.Verdict.String())
		require.Equal(t, "none", got.NextAction.Type)
		got = p.check(t, keyBob, ask+`,"conversation_id":"c1","messages":[]}`)
		require.Equal(t, "unmet", got.Status, "another principal's conversation")

		got = p.check(t, keyAnn, `{"tool":"process_refund","arguments":{"order_id":"456","amount":750},"conversation_id":"c1","messages":[{"role":"user","content":"x"}]}`)
		require.Equal(t, "escalate", got.Verdict.String())
		require.Equal(t, "resolve_escalation", got.NextAction.Type)

		got = p.check(t, keyAnn, `{"tool_name":"launch_rocket"}`)
		require.Equal(t, "confirm", got.Verdict.String())
		require.NotZero(t, got.Unknown, "a tool that nobody has offered")
		require.NotContains(t, p.events(), "hold")
	})
}

func TestPreconditionsThatCannotBeChecked(t *testing.T) {
	p := start(t, setup{})
	for name, c := range map[string]struct {
		key, body string
		status    int
		code      string
	}{
		"no tool":           {keyAnn, `{}`, 500, "preconditions_check_failed"},
		"a bad name":        {keyAnn, `{"tool_name":"a b"}`, 500, "preconditions_check_failed"},
		"a list":            {keyAnn, `{"tool_name":"a","parameters":[]}`, 500, "preconditions_check_failed"},
		"not JSON":          {keyAnn, `{`, 400, "invalid_request"},
		"for somebody else": {keyAnn, `{"tool_name":"a","requester":{"id":"boss","roles":["cfo"]}}`, 403, "forbidden"},
		"by a reviewer":     {keyRhea, `{"tool_name":"a","requester":{"id":"boss","roles":["cfo"]}}`, 200, ""},
		"no key":            {"", `{}`, 401, "unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := p.call(t, "POST", "/api/v1/cadreen/preconditions/check", c.key, c.body)
			require.Equal(t, c.status, status, body)
			if c.code != "" {
				require.Contains(t, body, `"code":"`+c.code+`"`)
			}
		})
	}
}

// assess asks about a task and reads the good answer.
func (p *proxyUnderTest) assess(t *testing.T, task string) api.Assessment {
	t.Helper()
	status, text := p.call(t, "POST", "/api/v1/cadreen/assess", keyAnn, `{"task":`+scripted.Quote(task)+`}`)
	require.Equal(t, 200, status, text)
	require.NotContains(t, text, ":null")
	var got struct {
		api.Assessment
		Wrapped api.Assessment `json:"assessment"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.Equal(t, got.Assessment, got.Wrapped, "flat and wrapped")
	require.Equal(t, got.GapCount, len(got.Gaps))
	return got.Wrapped
}

func TestATaskIsAssessed(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL, policy: blockRefunds})
		got := p.assess(t, "Refund order 456")
		require.Equal(t, "insufficient_data", got.Quality)
		require.Zero(t, got.CanDo)
		require.Equal(t, 1, got.BlockingGaps)
		require.False(t, got.ReadyForUse)

		p.seeTools(t, model)
		got = p.assess(t, "Refund the customer")
		require.Equal(t, 2, got.Total)
		require.Len(t, got.Capabilities, 1)
		require.Equal(t, "process_refund", got.Capabilities[0].Name)
		require.Equal(t, "blocked", got.GovernanceGuess.Type)
		require.Equal(t, "blocked_by_policy", got.Gaps[0].Reason)
		require.Zero(t, got.CanDo)

		got = p.assess(t, "Read the order")
		require.Equal(t, "approved", got.GovernanceGuess.Type)
		require.Equal(t, 1.0, got.GovernanceGuess.Confidence)
		require.Equal(t, 1.0, got.CanDo)
		require.Equal(t, "complete", got.Quality)
		require.True(t, got.ReadyForUse)
		require.Equal(t, "read", got.Capabilities[0].Category)
	})
	p, model := startScripted(t, setup{policy: reviewRefunds})
	p.seeTools(t, model)
	got := p.assess(t, "Refund the customer")
	require.Equal(t, "conditional", got.GovernanceGuess.Type)
	require.Equal(t, "partial", got.Quality)
	require.Equal(t, []string{"review"}, got.Outcomes[0].BlockedBy)
	status, body := p.call(t, "POST", "/v1/assess", keyAnn, `{"task":" "}`)
	require.Equal(t, 400, status)
	require.Contains(t, body, "assessment_missing_task")
}
