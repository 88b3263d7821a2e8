package intent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"cadreen/fault"
	"cadreen/governance"
)

// Types of an answer. Execution is what server-side tools will answer.
const (
	TypeDirect          = "direct"
	TypeClarify         = "clarify"
	TypeBlocked         = "blocked"
	TypeConnectRequired = "connect_required"
)

// Answer is the whole answer to an intent. What does not apply is absent.
type Answer struct {
	ID              string            `json:"id"`
	Type            string            `json:"type"`
	Status          string            `json:"status"`
	Message         *Message          `json:"message,omitempty"`
	Clarification   *Clarification    `json:"clarification,omitempty"`
	NextAction      fault.NextAction  `json:"next_action"`
	ReasonCode      string            `json:"reason_code,omitempty"`
	PolicyID        string            `json:"policy_id,omitempty"`
	Endpoint        string            `json:"endpoint,omitempty"`
	Reason          string            `json:"reason,omitempty"`
	MissingTool     string            `json:"missing_capability,omitempty"`
	PendingActionID string            `json:"pending_action_id,omitempty"`
	PendingActions  []json.RawMessage `json:"pending_actions,omitempty"`
	Gate            string            `json:"gate"`
	ConversationID  string            `json:"conversation_id,omitempty"`
	Meta            *Meta             `json:"meta,omitempty"`
	Mission         *Mission          `json:"mission,omitempty"`
	Intelligence    json.RawMessage   `json:"intelligence,omitempty"`
	TraceID         string            `json:"trace_id"`
}

// Message is a direct answer: words, released calls of the client's tools, or
// both.
type Message struct {
	Role      string            `json:"role"`
	Content   string            `json:"content"`
	ToolCalls []json.RawMessage `json:"tool_calls,omitempty"`
}

// Clarification is what has to be answered first.
type Clarification struct {
	Questions      []Question `json:"questions"`
	ConversationID string     `json:"conversation_id,omitempty"`
}

// Meta repeats the decision where older SDKs look for it.
type Meta struct {
	Governance MetaGovernance `json:"governance"`
}

// MetaGovernance is the decision about the calls of the turn.
type MetaGovernance struct {
	Decision   string `json:"decision"` // approved, conditional or blocked
	Reason     string `json:"reason,omitempty"`
	ReasonCode string `json:"reason_code,omitempty"`
	PolicyID   string `json:"policy_id,omitempty"`
}

// Mission repeats the endpoint where older SDKs look for it.
type Mission struct {
	StreamURL string `json:"stream_url"`
}

// Codes of reasons, beside governance's own reasons of a block.
const (
	reasonRequiresApproval  = "requires_approval"
	reasonMissingFact       = "missing_fact"
	reasonUnclear           = "unclear_answer"
	reasonMissingConnection = "missing_connection"
	reasonNoAnswer          = "no_answer"
)

// heard is what the chat completion said, JSON or stream.
type heard struct {
	ID             string            `json:"id"`
	ConversationID string            `json:"conversation_id"`
	Gate           governance.Gate   `json:"gate"`
	NextAction     *fault.NextAction `json:"next_action"`
	PendingActions []json.RawMessage `json:"pending_actions"`
	Choices        []struct {
		Message struct {
			Content   json.RawMessage   `json:"content"`
			Refusal   string            `json:"refusal"`
			ToolCalls []json.RawMessage `json:"tool_calls"`
		} `json:"message"`
		Delta struct {
			Content   json.RawMessage   `json:"content"`
			Refusal   string            `json:"refusal"`
			ToolCalls []json.RawMessage `json:"tool_calls"`
		} `json:"delta"`
	} `json:"choices"`
}

// result is what an answer is made of.
type result struct {
	id, conversation string
	gate             governance.Gate
	next             fault.NextAction
	pending          []json.RawMessage
	text             string
	calls            []json.RawMessage
}

func (r *result) add(h *heard) {
	r.id = cmp.Or(r.id, strings.TrimPrefix(h.ID, "chatcmpl-"))
	r.conversation = cmp.Or(r.conversation, h.ConversationID)
	r.gate = cmp.Or(h.Gate, r.gate)
	if h.NextAction != nil {
		r.next = *h.NextAction
	}
	if h.PendingActions != nil {
		r.pending = h.PendingActions
	}
}

// write answers with the chat's JSON reply.
func (t *turn) write(w http.ResponseWriter, reply *recorder) error {
	var h heard
	if err := json.Unmarshal(reply.body.Bytes(), &h); err != nil || len(h.Choices) == 0 {
		return fault.Wrap(err, fault.RoutingUnavailable, "the model's reply is not a chat completion")
	}
	var r result
	r.add(&h)
	m := h.Choices[0].Message
	r.text, r.calls = cmp.Or(textOf(m.Content), m.Refusal), m.ToolCalls
	a := t.told(t.answer(&r))
	head := w.Header()
	for name, values := range reply.header {
		if name != "Content-Length" && name != "Content-Type" {
			head[name] = values
		}
	}
	body := encode(a)
	head.Set("Content-Type", "application/json")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Length", strconv.Itoa(len(body)))
	head.Set(gateHeader, a.Gate)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // a client that went away needs no answer
	return nil
}

// told gives the outcome to the trace, and takes from it what the answer shows.
func (t *turn) told(a Answer) Answer {
	for _, q := range t.questions {
		t.trace.Missing(q.ID, "")
	}
	if t.missing != nil {
		t.trace.Missing(cmp.Or(t.missing.capability, "connection"), "")
	}
	t.trace.Outcome(a.Gate, a.NextAction)
	a.Intelligence = t.trace.Block()
	return a
}

const gateHeader = "X-Cadreen-Gate"

// textOf is content: a string, or the text of its parts.
func textOf(content json.RawMessage) string {
	var text string
	if json.Unmarshal(content, &text) == nil {
		return text
	}
	var parts []struct{ Text string }
	var all []string
	if json.Unmarshal(content, &parts) == nil {
		for _, p := range parts {
			if p.Text != "" {
				all = append(all, p.Text)
			}
		}
	}
	return strings.Join(all, "\n")
}

// answer says what the turn came to.
func (t *turn) answer(r *result) Answer {
	a := Answer{ID: r.id, Type: TypeDirect, Status: "answered", NextAction: r.next, Gate: string(cmp.Or(r.gate, governance.GateOK)),
		ConversationID: r.conversation, PendingActions: r.pending, TraceID: t.caller.TraceID}
	if len(t.decisions) > 0 {
		a.Meta = &Meta{MetaGovernance{Decision: t.strictest().Verdict.Decision()}}
	}
	switch {
	case t.unread != "":
		t.fails(&a, t.unread)
	case len(t.questions) > 0:
		t.clarifies(&a, r, t.questions, reasonMissingFact)
	case t.missing != nil:
		t.connects(&a)
	case r.gate == governance.GateBlocked, r.gate == governance.GateEscalate:
		t.blocks(&a, r)
	case r.gate == governance.GateNeedsInput:
		questions, code := t.open(r)
		t.clarifies(&a, r, questions, code)
	case r.text == "" && len(r.calls) == 0:
		t.fails(&a, "The model gave no answer")
	default:
		a.Message = &Message{Role: "assistant", Content: r.text, ToolCalls: r.calls}
		if len(r.calls) > 0 {
			a.NextAction = fault.NextAction{Type: "confirm_execution", Label: "Run the released calls of message.tool_calls"}
		}
	}
	if a.Meta != nil {
		m := &a.Meta.Governance
		m.Reason, m.ReasonCode, m.PolicyID = a.Reason, a.ReasonCode, a.PolicyID
	}
	return a
}

func (t *turn) fails(a *Answer, reason string) {
	a.Status, a.ReasonCode, a.Reason = "failed", reasonNoAnswer, reason
	a.NextAction = fault.NextAction{Type: "resolve_gap", Label: "Ask again, or ask otherwise"}
}

// clarifies asks. The next action of a held call stays what the chat says it is.
func (t *turn) clarifies(a *Answer, r *result, questions []Question, code string) {
	a.Type, a.Status, a.Gate, a.ReasonCode = TypeClarify, "needs_input", string(governance.GateNeedsInput), code
	a.Clarification = &Clarification{Questions: questions, ConversationID: r.conversation}
	if r.text != "" {
		a.Message = &Message{Role: "assistant", Content: r.text}
	}
	if t.hold != nil && code == reasonRequiresApproval {
		a.PendingActionID = t.hold.ID
		a.Reason, a.PolicyID = t.why(governance.Confirm)
		return
	}
	a.NextAction = fault.NextAction{Type: "resolve_gap", Label: "Answer the questions in the next message of the conversation"}
}

// open are the questions of a turn that waits for the requester.
func (t *turn) open(r *result) (questions []Question, code string) {
	if t.hold != nil {
		why, _ := t.why(governance.Confirm)
		return []Question{{ID: "approval", Question: cmp.Or(t.hold.Prompt, r.text), Type: "choice", Options: []string{"yes", "no"}, Required: true, Reason: why}}, reasonRequiresApproval
	}
	for i, d := range t.decisions {
		if d.Verdict != governance.Clarify {
			continue
		}
		q := Question{ID: cmp.Or(d.Missing, "fact_"+strconv.Itoa(i+1)), Type: "open", Required: true, Reason: cmp.Or(d.Message, d.Detail), SuppliedBy: d.Supplier}
		q.Question = "Before " + d.Call.Name + " can be done: what is the " + cmp.Or(d.Missing, "missing fact") + "?"
		questions = append(questions, q)
	}
	if len(questions) == 0 {
		return []Question{{ID: "answer", Question: r.text, Type: "open", Required: true}}, reasonUnclear
	}
	return questions, reasonMissingFact
}

func (t *turn) connects(a *Answer) {
	a.Type, a.Status, a.Gate = TypeConnectRequired, "blocked_by_missing_connection", string(governance.GateBlocked)
	a.ReasonCode, a.Reason, a.MissingTool = reasonMissingConnection, t.missing.text(), t.missing.capability
	// Tools run where they are offered from: the same address with the tool.
	a.Endpoint = "/api/v1/cadreen/intent"
	a.NextAction = fault.NextAction{Type: "connect_tool", Label: "Send the intent again with a tool for it in `tools`", Endpoint: a.Endpoint, Reason: a.Reason}
	a.Meta = &Meta{MetaGovernance{Decision: "blocked"}}
	a.Mission = &Mission{StreamURL: a.Endpoint}
}

// blocks says what policy refused, or holds for a reviewer.
func (t *turn) blocks(a *Answer, r *result) {
	a.Type, a.Status = TypeBlocked, "blocked_by_policy"
	if r.text != "" {
		a.Message = &Message{Role: "assistant", Content: r.text}
	}
	if a.Meta == nil {
		a.Meta = &Meta{MetaGovernance{Decision: "blocked"}}
	}
	if r.gate == governance.GateEscalate {
		a.ReasonCode = reasonRequiresApproval
		a.Meta.Governance.Decision = "conditional"
		a.Reason, a.PolicyID = t.why(governance.Escalate)
		if t.hold != nil {
			a.PendingActionID = t.hold.ID
		}
	} else {
		a.Reason, a.PolicyID = t.why(governance.Block)
		a.ReasonCode = governance.ReasonRule
		for _, d := range t.decisions {
			if d.Verdict == governance.Block {
				a.ReasonCode = d.Reason
				break
			}
		}
	}
	a.Reason = cmp.Or(a.Reason, r.text)
}

// why are the words and the policy of the first call with a verdict.
func (t *turn) why(v governance.Verdict) (words, policy string) {
	for _, d := range t.decisions {
		if d.Verdict != v {
			continue
		}
		for _, f := range d.Fired {
			if f.Determining {
				policy = f.Policy
				break
			}
		}
		return cmp.Or(d.Message, d.Detail), policy
	}
	return "", ""
}

func (t *turn) strictest() governance.CallDecision {
	worst := t.decisions[0]
	for _, d := range t.decisions {
		if d.Verdict > worst.Verdict {
			worst = d
		}
	}
	return worst
}

// encode keeps <, > and & as they are.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // strings and what was JSON before always encode
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
