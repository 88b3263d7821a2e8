package chat

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"

	"cadreen/conversations"
	"cadreen/fault"
	"cadreen/governance"
)

// asker turns decisions into words: the question about held calls, what is said
// of the others, and the fields that go with it.
type asker struct {
	base  string // scheme://host of approve URLs
	turn  *turn
	words string // the last user message
}

// place is where an escalation is read and decided.
func (a *asker) place(id string) string { return a.base + "/api/v1/cadreen/escalations/" + id }

// items are the calls of a hold as the prompt shows them. arguments[i] belongs
// to hold item i.
func (a *asker) items(h *governance.Hold, calls []governance.Call) []conversations.Item {
	var list []conversations.Item
	for i, it := range h.Items {
		if !it.Open() && it.Answer != governance.AnswerAlong {
			continue
		}
		item := conversations.Item{Tool: it.Name, Message: it.Message, Verdict: it.Verdict,
			Arguments: calls[i].Arguments, Custom: it.Form == governance.FormCustom, Also: it.Answer == governance.AnswerAlong}
		if it.Escalation != "" {
			item.EscalationID, item.ApproveURL = it.Escalation, a.place(it.Escalation)
		}
		list = append(list, item)
	}
	return list
}

// asked renders the question and what it is found by.
func (a *asker) asked(h *governance.Hold, calls []governance.Call, modelText bool, tag string) governance.Asked {
	p := conversations.Render(conversations.Ask{Items: a.items(h, calls), UserText: a.words, ModelText: modelText, Tag: tag})
	norm := conversations.Normalise(p.Text)
	return governance.Asked{Prompt: p.Text, PromptPrint: conversations.Fingerprint(norm),
		Pair:       conversations.Fingerprint(conversations.Normalise(a.words), norm),
		Transcript: a.turn.fingerprint(), CallsDigest: digestOf(calls),
		Group: a.turn.found.Group, WithTools: a.turn.req.HasTools(), Tag: tag}
}

func digestOf(calls []governance.Call) string {
	parts := make([]string, 0, 2*len(calls))
	for _, c := range calls {
		parts = append(parts, c.Name, c.Arguments)
	}
	return conversations.Fingerprint(parts...)
}

// maxTags bounds how often a question is told apart from another open one.
const maxTags = 5

// commit makes a plan durable, telling its question apart from open ones where
// needed. The plan may be another one afterwards: see governance.CommitWith. text
// says whether the model wrote text before the calls of a choice.
func (a *asker) commit(ctx context.Context, desk *governance.Desk, p *governance.Plan, text func(choice int) bool) (governance.ReleasedTurn, error) {
	for tag, try := "", 0; ; try++ {
		out, err := desk.CommitWith(ctx, p, func() governance.Asked {
			if p.Hold == nil {
				return governance.Asked{}
			}
			return a.asked(p.Hold, heldCalls(p), text(heldChoice(p)), tag)
		})
		if errors.Is(err, governance.ErrClaimed) && try < maxTags {
			tag = newTag()
			continue
		}
		if errors.Is(err, governance.ErrClaimed) {
			err = fault.Wrap(err, fault.StoreUnavailable, "no question could be told apart from the open ones")
		}
		return out, err
	}
}

// heldChoice is the choice that a plan asks about, -1 if none.
func heldChoice(p *governance.Plan) int {
	if p.Hold == nil {
		return -1
	}
	return p.Calls[p.Held()[0]].Choice
}

// heldCalls are the calls behind a hold's items, in their order.
func heldCalls(p *governance.Plan) []governance.Call {
	var list []governance.Call
	for _, i := range p.Held() {
		list = append(list, p.Calls[i])
	}
	return list
}

// newTag is a short name for a request, such as K7. It leaves out what is read
// for something else.
func newTag() string {
	const letters, digits = "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789"
	return string([]byte{letters[rand.IntN(len(letters))], digits[rand.IntN(len(digits))]})
}

// said are the sentences about calls of a choice that go nowhere.
func (a *asker) said(p *governance.Plan, choice int) string {
	var list []string
	for _, i := range p.Said {
		call, d := p.Calls[i], p.Decisions[i]
		if call.Choice != choice {
			continue
		}
		switch {
		case d.Reason == governance.ReasonTruncated:
			list = append(list, conversations.TextTruncated(call.Name))
		case d.Verdict == governance.Clarify:
			list = append(list, conversations.TextClarify(call.Name, d.Missing, d.Supplier))
		case d.Verdict == governance.Block:
			list = append(list, conversations.TextBlocked(call.Name, blockWords(d)))
		default:
			list = append(list, conversations.TextDropped(call.Name))
		}
	}
	return strings.Join(list, "\n\n")
}

// blockWords are the rule's own message, or why the call cannot go.
func blockWords(d governance.CallDecision) string {
	if d.Message != "" {
		return d.Message
	}
	return d.Detail
}

// pending are the calls of a hold that wait for somebody.
func (a *asker) pending(h *governance.Hold, calls []governance.Call) []Pending {
	var list []Pending
	for i, it := range h.Items {
		if !it.Open() {
			continue
		}
		p := Pending{Tool: it.Name, ExpiresAt: h.Expires.Unix(), Arguments: shownArguments(calls[i])}
		if it.Escalation != "" {
			p.EscalationID, p.ApproveURL = it.Escalation, a.place(it.Escalation)
		} else {
			p.ConfirmWith = "yes"
		}
		list = append(list, p)
	}
	return list
}

// shownArguments renders arguments for pending_actions: the object as the model
// wrote it, or, where it is no object, its text as a JSON string.
func shownArguments(c governance.Call) json.RawMessage {
	if c.Arguments == "" {
		return json.RawMessage("{}")
	}
	if c.Form != governance.FormCustom && json.Valid([]byte(c.Arguments)) {
		return json.RawMessage(c.Arguments)
	}
	b, _ := json.Marshal(c.Arguments)
	return b
}

// next is what the caller should do about a gate.
func (a *asker) next(g governance.Gate, h *governance.Hold) fault.NextAction {
	switch g {
	case governance.GateNeedsInput:
		if h == nil {
			return fault.NextAction{Type: "resolve_gap", Label: "Supply the missing fact"}
		}
		return fault.NextAction{Type: "confirm_execution", Label: `Say "yes" to proceed or "no" to skip`}
	case governance.GateEscalate:
		n := fault.NextAction{Type: "resolve_escalation", Label: "A reviewer must decide"}
		if h != nil {
			for _, it := range h.Items {
				if it.Open() && it.Escalation != "" {
					n.Endpoint = a.place(it.Escalation)
					break
				}
			}
		}
		return n
	case governance.GateBlocked:
		return fault.NextAction{Type: "resolve_escalation", Label: "Resolve the policy block"}
	}
	return fault.NextAction{Type: "none", Label: "No further action needed"}
}

// outcome is what the added fields say about a committed plan.
func (a *asker) outcome(p *governance.Plan) outcome {
	o := outcome{conversation: a.turn.found.Conversation, trace: a.turn.caller.TraceID, gate: p.Gate()}
	if p.Hold != nil {
		o.pending = a.pending(p.Hold, heldCalls(p))
	}
	o.next = a.next(o.gate, p.Hold)
	return o
}
