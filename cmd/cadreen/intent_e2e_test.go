package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// intended is an answer to an intent as a client reads it.
type intended struct {
	header, trailer http.Header
	raw             string
	deltas          string // of a stream

	ID, Type, Status, Gate, Endpoint, Reason string
	ReasonCode                               string `json:"reason_code"`
	PolicyID                                 string `json:"policy_id"`
	ConversationID                           string `json:"conversation_id"`
	PendingActionID                          string `json:"pending_action_id"`
	Missing                                  string `json:"missing_capability"`
	TraceID                                  string `json:"trace_id"`
	Message                                  struct {
		Role, Content string
		ToolCalls     []struct {
			ID, Type string
			Function struct{ Name, Arguments string }
		} `json:"tool_calls"`
	}
	Clarification struct {
		Questions []struct {
			ID, Question, Type, Reason string
			Options                    []string
			Required                   bool
			SuppliedBy                 string `json:"supplied_by"`
		}
		ConversationID string `json:"conversation_id"`
	}
	NextAction struct{ Type, Label, Endpoint, Reason string } `json:"next_action"`
	Meta       struct {
		Governance struct {
			Decision, Reason string
			ReasonCode       string `json:"reason_code"`
			PolicyID         string `json:"policy_id"`
		}
	}
	Mission struct {
		StreamURL string `json:"stream_url"`
	}
}

// intend sends an intent and reads its good answer.
func (p *proxyUnderTest) intend(t *testing.T, stream bool, body string, headers ...string) intended {
	t.Helper()
	if stream {
		body = strings.TrimSuffix(body, "}") + `,"stream":true}`
	}
	res, text := p.exchange(t, "POST", "/api/v1/cadreen/intent", keyAnn, body, headers...)
	require.Equal(t, 200, res.StatusCode, text)
	got := intended{header: res.Header, trailer: res.Trailer, raw: text}
	if !stream {
		require.Equal(t, "application/json", res.Header.Get("Content-Type"))
		require.NoError(t, json.Unmarshal([]byte(text), &got))
		require.Equal(t, got.Gate, res.Header.Get("X-Cadreen-Gate"))
	} else {
		got.read(t, text)
	}
	require.Equal(t, got.TraceID, res.Header.Get("X-Cadreen-Trace-Id"))
	require.Regexp(t, `^int_[0-9A-Z]{26}$`, got.ID)
	require.NotEmpty(t, got.NextAction.Type)
	require.NotEmpty(t, got.NextAction.Label)
	require.NotContains(t, got.raw, ":null", "absent, never null")
	require.NotContains(t, got.raw, "cadreen_", "tools of ours do not leave")
	return got
}

// read takes a stream apart: deltas, one result, [DONE].
func (got *intended) read(t *testing.T, text string) {
	t.Helper()
	require.Equal(t, "text/event-stream", got.header.Get("Content-Type"))
	events := strings.Split(strings.TrimSuffix(text, "\n\n"), "\n\n")
	require.GreaterOrEqual(t, len(events), 2, text)
	require.Equal(t, "data: [DONE]", events[len(events)-1])
	for i, e := range events[:len(events)-1] {
		name, data, ok := strings.Cut(e, "\ndata: ")
		require.True(t, ok, e)
		if i < len(events)-2 {
			require.Equal(t, "event: intent.delta", name)
			var d struct {
				ID    string
				Delta struct{ Content string }
			}
			require.NoError(t, json.Unmarshal([]byte(data), &d))
			got.deltas += d.Delta.Content
			continue
		}
		require.Equal(t, "event: intent.result", name)
		described.valid(t, "/components/schemas/Intent", data)
		require.NoError(t, json.Unmarshal([]byte(data), got))
	}
	gate := got.header.Get("X-Cadreen-Gate") + got.trailer.Get("X-Cadreen-Gate")
	require.Equal(t, got.Gate, gate)
}

func intentBody(user string, members ...string) string {
	return `{"messages":[` + said("user", user) + `]` + strings.Join(members, "") + `}`
}

const (
	withRefund   = `,"tools":[` + refundToolJSON + `]`
	inExecution  = `,"mode":"execution"`
	inChat       = `,"mode":"chat"`
	askArguments = `{"questions":[{"id":"order_id","question":"Which order?","type":"text","reason":"A refund names an order"},{"question":"Why?","required":false}]}`
)

// intents runs a test with JSON answers and with streams.
func intents(t *testing.T, s setup, test func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool)) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, s)
		test(t, p, model, stream)
	})
}

func TestAnIntentIsAnsweredDirectly(t *testing.T) {
	intents(t, setup{}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
		model.Next(turnOf(stream, "Refunds take 14 days."))
		got := p.intend(t, stream, intentBody("How long do refunds take?", `,"context":{"domain":"ecommerce"},"dry_run":false`))
		require.Equal(t, "direct", got.Type)
		require.Equal(t, "answered", got.Status)
		require.Equal(t, "ok", got.Gate)
		require.Equal(t, "none", got.NextAction.Type)
		require.Equal(t, "assistant", got.Message.Role)
		require.Equal(t, "Refunds take 14 days.", got.Message.Content)
		if stream {
			require.Equal(t, got.Message.Content, got.deltas)
		}
		require.NotEmpty(t, got.ConversationID)
		require.Len(t, model.Requests(), 1, "one model call")
		sent := string(model.Last().Body)
		require.Contains(t, sent, "cadreen_ask_requester")
		require.Contains(t, sent, "cadreen_missing_connection")
		for _, ours := range []string{`"mode"`, `"context"`, `"dry_run"`} {
			require.NotContains(t, sent, ours)
		}
		require.True(t, json.Valid([]byte(sent)))
	})
}

// Null is a field left out, in an intent as in a chat completion.
func TestAnIntentReadsNullAsLeftOut(t *testing.T) {
	intents(t, setup{}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
		model.Next(turnOf(stream, "Hello."))
		got := p.intend(t, stream, intentBody("Hello", `,"mode":null,"dry_run":null`))
		require.Equal(t, "direct", got.Type)
		require.Contains(t, string(model.Last().Body), "cadreen_ask_requester", "mode auto")
		require.NotContains(t, string(model.Last().Body), `"dry_run"`)
	})
}

// Mode chat answers in words: the model has no tool to propose a call of.
func TestAnIntentInModeChatOffersNoTool(t *testing.T) {
	intents(t, setup{}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
		model.Next(turnOf(stream, "Hello."))
		got := p.intend(t, stream, intentBody("Hi", inChat, withRefund, `,"tool_choice":"required"`))
		require.Equal(t, "direct", got.Type)
		require.NotContains(t, string(model.Last().Body), "tool")
	})
}

func TestAnIntentAsksForWhatTheModelMisses(t *testing.T) {
	for _, tools := range []string{"", withRefund} {
		intents(t, setup{}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
			model.Next(turnOf(stream, "Let me see.", scripted.Call{ID: "call_a", Name: "cadreen_ask_requester", Arguments: askArguments}))
			got := p.intend(t, stream, intentBody("Refund my order", tools))
			require.Equal(t, "clarify", got.Type)
			require.Equal(t, "needs_input", got.Status)
			require.Equal(t, "needs_input", got.Gate)
			require.Equal(t, "resolve_gap", got.NextAction.Type)
			require.Equal(t, "missing_fact", got.ReasonCode)
			q := got.Clarification.Questions
			require.Len(t, q, 2)
			require.Equal(t, "order_id", q[0].ID)
			require.Equal(t, "Which order?", q[0].Question)
			require.Equal(t, "text", q[0].Type)
			require.Equal(t, "A refund names an order", q[0].Reason)
			require.True(t, q[0].Required)
			require.Equal(t, "question_2", q[1].ID)
			require.Equal(t, "open", q[1].Type)
			require.False(t, q[1].Required)
			require.Equal(t, got.ConversationID, got.Clarification.ConversationID)
			require.Empty(t, p.records(), "a question is no call")
		})
	}
}

func TestAnIntentSaysWhatConnectionIsMissing(t *testing.T) {
	intents(t, setup{}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
		model.Next(turnOf(stream, "", scripted.Call{ID: "call_a", Name: "cadreen_missing_connection", Arguments: `{"capability":"send_email","reason":"Mail has to be sent."}`}))
		got := p.intend(t, stream, intentBody("Email the customer", withRefund))
		require.Equal(t, "connect_required", got.Type)
		require.Equal(t, "blocked_by_missing_connection", got.Status)
		require.Equal(t, "blocked", got.Gate)
		require.Equal(t, "send_email", got.Missing)
		require.Contains(t, got.Reason, "Mail has to be sent.")
		require.Equal(t, "/api/v1/cadreen/intent", got.Endpoint)
		require.Equal(t, "connect_tool", got.NextAction.Type)
		require.Equal(t, got.Endpoint, got.Mission.StreamURL, "where TypeScript and Python look")
		require.Equal(t, got.Reason, got.Meta.Governance.Reason)
	})
}

// A turn that asks does nothing else: the other calls of it go nowhere.
func TestAnIntentThatAsksExecutesNothing(t *testing.T) {
	intents(t, setup{policy: allowAll}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
		model.Next(turnOf(stream, "", refund("call_1", refundArgs), scripted.Call{ID: "call_a", Name: "cadreen_ask_requester", Arguments: askArguments}))
		got := p.intend(t, stream, intentBody("Refund my order", withRefund))
		require.Equal(t, "clarify", got.Type)
		require.NotContains(t, got.raw, "process_refund")
		require.Empty(t, p.records())
	})
}

func TestAnIntentOfExecutionWithoutAToolIsConnectRequired(t *testing.T) {
	intents(t, setup{}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
		got := p.intend(t, stream, intentBody("Refund order 456", inExecution))
		require.Equal(t, "connect_required", got.Type)
		require.Equal(t, "missing_connection", got.ReasonCode)
		require.Empty(t, model.Requests(), "nothing to ask a model")
		require.Empty(t, got.Missing)

		// Another client offers one: it is named.
		model.Next(turnOf(false, "Hello"))
		p.post(newChat("hi").body())
		for got.Missing == "" && t.Context().Err() == nil { // it is noted behind the answer
			got = p.intend(t, stream, intentBody("Refund order 456", inExecution))
		}
		require.Equal(t, "process_refund", got.Missing)
		require.Contains(t, got.Reason, "process_refund")
	})
}

func TestAnIntentOfExecutionMustCallATool(t *testing.T) {
	p, model := startScripted(t, setup{policy: allowAll})
	model.Next(turnOf(false, "", refund("call_1", refundArgs)))
	p.intend(t, false, intentBody("Refund order 456", inExecution, withRefund))
	require.Contains(t, string(model.Last().Body), `"tool_choice":"required"`)
	model.Next(turnOf(false, "", refund("call_2", refundArgs)))
	p.intend(t, false, intentBody("Refund order 456", inExecution, withRefund, `,"tool_choice":"auto"`))
	require.NotContains(t, string(model.Last().Body), `"required","`)
	require.Contains(t, string(model.Last().Body), `"tool_choice":"auto"`)
}

func TestAnIntentReleasesAllowedCalls(t *testing.T) {
	intents(t, setup{policy: allowAll}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
		model.Next(turnOf(stream, "On it.", refund("call_1", refundArgs)))
		got := p.intend(t, stream, intentBody("Refund order 456", withRefund))
		require.Equal(t, "direct", got.Type)
		require.Equal(t, "answered", got.Status)
		require.Len(t, got.Message.ToolCalls, 1)
		c := got.Message.ToolCalls[0]
		require.Equal(t, "call_1", c.ID)
		require.Equal(t, "function", c.Type)
		require.Equal(t, "process_refund", c.Function.Name)
		require.Equal(t, refundArgs, c.Function.Arguments)
		require.Equal(t, "approved", got.Meta.Governance.Decision)
		require.Equal(t, "confirm_execution", got.NextAction.Type)
		p.awaitRecord("decision")
	})
}

// A held call is a question; yes in the next intent releases it.
func TestAnIntentAsksBeforeAHeldCall(t *testing.T) {
	intents(t, setup{}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
		model.Next(turnOf(stream, "", refund("call_1", refundArgs)))
		got := p.intend(t, stream, intentBody("Refund order 456 for $750", withRefund, `,"conversation_id":"c1"`))
		require.Equal(t, "clarify", got.Type)
		require.Equal(t, "needs_input", got.Gate)
		require.Equal(t, "requires_approval", got.ReasonCode)
		require.Regexp(t, "^hold_", got.PendingActionID)
		require.Equal(t, "conditional", got.Meta.Governance.Decision)
		require.Equal(t, "confirm_execution", got.NextAction.Type)
		q := got.Clarification.Questions
		require.Len(t, q, 1)
		require.Equal(t, "choice", q[0].Type)
		require.Equal(t, []string{"yes", "no"}, q[0].Options)
		require.Contains(t, q[0].Question, promptFirst)
		require.Equal(t, got.Message.Content, q[0].Question)
		require.Contains(t, got.raw, `"pending_actions":[{"tool":"process_refund"`)

		yes := p.intend(t, stream, `{"messages":[`+said("user", "Refund order 456 for $750")+`,`+said("assistant", q[0].Question)+`,`+said("user", "yes")+`]`+withRefund+`,"conversation_id":"c1"}`)
		require.Equal(t, "direct", yes.Type)
		require.Len(t, yes.Message.ToolCalls, 1)
		require.Equal(t, refundArgs, yes.Message.ToolCalls[0].Function.Arguments)
		require.Len(t, model.Requests(), 1)
	})
}

// The pending action of an intent can be confirmed where policies are.
func TestThePendingActionOfAnIntentIsConfirmed(t *testing.T) {
	p, model := startScripted(t, setup{})
	model.Next(turnOf(false, "", refund("call_1", refundArgs)))
	got := p.intend(t, false, intentBody("Refund order 456 for $750", withRefund, `,"conversation_id":"c1"`))
	at := "/api/v1/cadreen/policies/" + got.PendingActionID + "/confirm"
	status, body := p.call(t, "POST", at, keyBob, "")
	require.NotEqual(t, 200, status, "somebody else says yes: %s", body)
	status, body = p.call(t, "POST", at, keyAnn, "")
	require.Equal(t, 200, status, body)
	require.Contains(t, body, `"status":"confirmed"`)
	next := p.intend(t, false, `{"messages":[`+said("user", "Refund order 456 for $750")+`,`+said("assistant", got.Message.Content)+`,`+said("user", "And?")+`]`+withRefund+`,"conversation_id":"c1"}`)
	require.Len(t, next.Message.ToolCalls, 1, next.raw)
	require.Len(t, model.Requests(), 1)
}

func TestAnIntentIsBlockedByPolicy(t *testing.T) {
	intents(t, setup{policy: blockRefunds}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
		model.Next(turnOf(stream, "", refund("call_1", refundArgs)))
		got := p.intend(t, stream, intentBody("Refund order 456", withRefund))
		require.Equal(t, "blocked", got.Type)
		require.Equal(t, "blocked_by_policy", got.Status)
		require.Equal(t, "blocked", got.Gate)
		require.Equal(t, "rule", got.ReasonCode)
		require.Equal(t, "No refunds", got.PolicyID)
		require.Equal(t, "Refunds are closed", got.Reason)
		require.Equal(t, "resolve_escalation", got.NextAction.Type)
		g := got.Meta.Governance
		require.Equal(t, "blocked", g.Decision)
		require.Equal(t, []string{got.Reason, got.ReasonCode, got.PolicyID}, []string{g.Reason, g.ReasonCode, g.PolicyID})
		require.NotContains(t, got.raw, "tool_calls")

		if !stream { // HTTP errors where they are asked for
			model.Next(turnOf(stream, "", refund("call_1", refundArgs)))
			status, body := p.call(t, "POST", "/api/v1/intent", keyAnn, intentBody("Refund order 456", withRefund), "X-Cadreen-Errors", "http")
			require.Equal(t, 403, status)
			require.Contains(t, body, `"code":"blocked_by_policy"`)
		}
	})
}

func TestAnIntentWaitsForAReviewer(t *testing.T) {
	intents(t, setup{policy: reviewRefunds}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
		model.Next(turnOf(stream, "", refund("call_1", refundArgs)))
		got := p.intend(t, stream, intentBody("Refund order 456", withRefund))
		require.Equal(t, "blocked", got.Type)
		require.Equal(t, "escalate", got.Gate)
		require.Equal(t, "requires_approval", got.ReasonCode)
		require.Equal(t, "Review", got.PolicyID)
		require.Equal(t, "conditional", got.Meta.Governance.Decision)
		require.Regexp(t, "^hold_", got.PendingActionID)
		require.Contains(t, got.NextAction.Endpoint, "/escalations/esc_")
	})
}

func TestAnIntentAsksForAFactThatPolicyMisses(t *testing.T) {
	intents(t, setup{policy: clarifyCity}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
		tools := `,"tools":[` + refundToolJSON + `,` + lookupToolJSON + `]`
		model.Next(turnOf(stream, "", refund("call_1", `{}`)))
		got := p.intend(t, stream, intentBody("Refund it", tools))
		require.Equal(t, "clarify", got.Type)
		q := got.Clarification.Questions
		require.Len(t, q, 1)
		require.Equal(t, "the city of the order", q[0].ID)
		require.Contains(t, q[0].Question, "the city of the order")
		require.Equal(t, "get_order", q[0].SuppliedBy)
		require.Empty(t, got.PendingActionID)
	})
}

func TestAnIntentThatNobodyAnswersFailed(t *testing.T) {
	for name, reply := range map[string]func(stream bool) scripted.Reply{
		"empty": func(stream bool) scripted.Reply { return turnOf(stream, "") },
		"unread": func(stream bool) scripted.Reply {
			return turnOf(stream, "", scripted.Call{ID: "a", Name: "cadreen_ask_requester", Arguments: `{"questions":`})
		},
		"no reason": func(stream bool) scripted.Reply {
			return turnOf(stream, "", scripted.Call{ID: "a", Name: "cadreen_missing_connection", Arguments: `{}`})
		},
	} {
		t.Run(name, func(t *testing.T) {
			intents(t, setup{}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
				model.Next(reply(stream))
				got := p.intend(t, stream, intentBody("Refund it"))
				require.Equal(t, "direct", got.Type)
				require.Equal(t, "failed", got.Status)
				require.Equal(t, "no_answer", got.ReasonCode)
				require.NotEmpty(t, got.Reason)
				require.NotContains(t, got.raw, `"message":`)
			})
		})
	}
}

// A model that breaks off in the middle of one of our tools' calls has said
// nothing: the stream ends with the error.
func TestAnIntentWhoseStreamBreaksOff(t *testing.T) {
	p, model := startScripted(t, setup{})
	h := scripted.Head{}
	chunks := append([]string{h.Role(0)}, h.CallChunks(0, 0, scripted.Call{ID: "a", Name: "cadreen_ask_requester", Arguments: askArguments}, 3)...)
	model.Next(scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(chunks...), scripted.Cut())...))
	res, body := p.exchange(t, "POST", "/v1/intent", keyAnn, intentBody("Refund it", `,"stream":true`))
	require.Equal(t, 200, res.StatusCode)
	require.Contains(t, body, `data: {"error":{`)
	require.NotContains(t, body, "intent.result")
	require.NotContains(t, body, "[DONE]")
	require.NotContains(t, body, "Which order?")
}

func TestAnIntentWithoutAModelIsRoutingUnavailable(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p := start(t, setup{backend: "http://127.0.0.1:1/v1", yaml: ""})
		status, body := p.call(t, "POST", "/api/v1/intent", keyAnn, intentBody("Hi", map[bool]string{true: `,"stream":true`}[stream]))
		require.Equal(t, 503, status)
		require.Contains(t, body, `"code":"routing_unavailable"`)
	})
}

func TestIntentsThatAreRefused(t *testing.T) {
	p, model := startScripted(t, setup{})
	for name, c := range map[string]struct{ body, param string }{
		"no messages":      {`{}`, "messages"},
		"empty":            {`{"messages":[]}`, "messages"},
		"not first a user": {`{"messages":[{"role":"system","content":"x"},{"role":"user","content":"y"}]}`, "messages[0].role"},
		"a role":           {`{"messages":[{"role":"user","content":"x"},{"role":"wizard","content":"y"}]}`, "messages[1].role"},
		"a mode":           {intentBody("x", `,"mode":"fast"`), "mode"},
		"an empty mode":    {intentBody("x", `,"mode":""`), "mode"},
		"dry run":          {intentBody("x", `,"dry_run":true`), "dry_run"},
		"several answers":  {intentBody("x", `,"n":2`), "n"},
		"legacy functions": {intentBody("x", `,"functions":[{"name":"f"}]`), "functions"},
		"a name of ours":   {intentBody("x", `,"tools":[{"type":"function","function":{"name":"cadreen_ask_requester"}}]`), "tools"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := p.call(t, "POST", "/api/v1/cadreen/intent", keyAnn, c.body)
			require.Equal(t, 400, status, body)
			require.Contains(t, body, `"code":"invalid_request"`)
			require.Contains(t, body, `"param":"`+c.param+`"`)
		})
	}
	status, body := p.call(t, "POST", "/api/v1/cadreen/intent", keyAnn, intentBody("x", `,"context":{"workspace_id":"elsewhere"}`))
	require.Equal(t, 403, status, body)
	status, _ = p.call(t, "POST", "/api/v1/cadreen/intent", "", intentBody("x"))
	require.Equal(t, 401, status)
	require.Empty(t, model.Requests())
}

// The same key again gets the same bytes, and the model is asked once.
func TestAnIntentHappensOnce(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		bothWays(t, func(t *testing.T, stream bool) {
			p, model := startScripted(t, setup{store: storeURL})
			model.Next(turnOf(stream, "", refund("call_1", refundArgs)))
			body := intentBody("Refund order 456", withRefund)
			first := p.intend(t, stream, body, "Idempotency-Key", "k"+t.Name())
			again := p.intend(t, stream, body, "Idempotency-Key", "k"+t.Name())
			require.Equal(t, first.raw, again.raw)
			require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
			require.Len(t, model.Requests(), 1)
		})
	})
}

// The built-in model is not given the tools of ours; policy governs what it
// proposes all the same.
func TestAnIntentWithTheRehearsalModel(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p := start(t, setup{})
		got := p.intend(t, stream, intentBody("Refund order 456 for $750", withRefund))
		require.Equal(t, "clarify", got.Type)
		require.Equal(t, "direct", p.intend(t, stream, intentBody("Hello there")).Type)
	})
}

// The trace of an intent is in its answer, as far as the profile shows it, and
// says what was missing.
func TestAnIntentShowsItsTrace(t *testing.T) {
	intents(t, setup{}, func(t *testing.T, p *proxyUnderTest, model *scripted.Server, stream bool) {
		for accept, want := range map[string]struct{ block, process bool }{
			"": {true, true}, `application/json; profile="full"`: {true, true}, "application/json; profile=audit": {true, false}, "application/json; profile=lean": {false, false},
		} {
			model.Next(turnOf(stream, "", scripted.Call{ID: "call_a", Name: "cadreen_ask_requester", Arguments: askArguments}))
			got := p.intend(t, stream, intentBody("Refund my order"), "Accept", accept)
			require.Equal(t, want.block, strings.Contains(got.raw, `"intelligence":{`), accept)
			require.Equal(t, want.process, strings.Contains(got.raw, `"process":{`), accept)
			if want.block {
				require.Contains(t, got.raw, `"humility":{"gaps_detected":2,"blocking":2,`)
				require.Contains(t, got.raw, `"fact":"order_id"`)
				require.Contains(t, got.raw, `"next_action":{"type":"resolve_gap"`)
			}
			require.NotEmpty(t, got.TraceID)
		}
	})
}
