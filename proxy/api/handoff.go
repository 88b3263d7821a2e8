package api

import (
	"net/http"
	"time"

	"cadreen/fault"
	"cadreen/intelligence"
)

// handoff is a trace as a person needs it who takes the matter over.
type handoff struct {
	TraceID    string                  `json:"trace_id"`
	Domain     string                  `json:"domain"`
	CreatedAt  time.Time               `json:"created_at"`
	Governance intelligence.Governance `json:"governance"`
	Knew       knowledge               `json:"what_the_system_knew"`
	DidntKnow  []intelligence.Gap      `json:"what_the_system_didnt_know"`
	Happened   string                  `json:"what_happened"`
	Suggested  []fault.NextAction      `json:"suggested_actions"`
	Next       fault.NextAction        `json:"next_action"`
	TraceURL   string                  `json:"trace_url"`
}

// knowledge is what a decision was made with.
type knowledge struct {
	Conversation string                   `json:"conversation_id,omitempty"`
	Capability   *intelligence.Capability `json:"capability,omitempty"`
	Reasoning    *intelligence.Reasoning  `json:"reasoning,omitempty"`
	Memory       *intelligence.Memory     `json:"memory"`
	Policies     []policyRef              `json:"policies"`
}

// policyRef is a rule that decided.
type policyRef struct {
	Policy  string `json:"policy"`
	Version string `json:"version,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Line    int    `json:"line,omitempty"`
}

// Handoff answers what a person needs to take the matter of a trace over.
func (s *Traces) Handoff(w http.ResponseWriter, r *http.Request, c Reader, id string) error {
	e, err := s.find(r.Context(), c, id)
	if err != nil {
		return err
	}
	m := e.Meta(intelligence.Full)
	h := handoff{TraceID: e.ID, Domain: e.Domain, CreatedAt: e.Created().UTC(), Governance: m.Governance, Happened: m.Summary,
		Knew:      knowledge{Conversation: e.Conversation, Capability: m.Capability, Reasoning: m.Reasoning, Memory: m.Memory, Policies: []policyRef{}},
		DidntKnow: m.Humility.Gaps, Suggested: []fault.NextAction{}, Next: fault.NextAction{Type: "none", Label: "No further action needed"},
		TraceURL: c.BaseURL + "/api/v1/cadreen/intelligence/" + e.ID}
	if h.DidntKnow == nil {
		h.DidntKnow = []intelligence.Gap{}
	}
	if m.NextAction != nil {
		h.Next = *m.NextAction
	}
	h.suggest(c.BaseURL)
	seen := map[policyRef]bool{}
	for _, call := range m.Governance.Calls {
		p := policyRef{call.Policy, call.Version, call.Rule, call.Line}
		if call.Policy != "" && !seen[p] {
			seen[p] = true
			h.Knew.Policies = append(h.Knew.Policies, p)
		}
	}
	return write(w, r, h)
}

// suggest lists what can be done: about what waits for a reviewer, about what was
// not known, and the next action.
func (h *handoff) suggest(base string) {
	for _, call := range h.Governance.Calls {
		if call.Escalation != "" && call.Outcome == intelligence.WentHeld {
			h.Suggested = append(h.Suggested, fault.NextAction{Type: "resolve_escalation", Label: "Decide about " + call.Tool,
				Endpoint: base + "/api/v1/cadreen/escalations/" + call.Escalation})
		}
	}
	for _, gap := range h.DidntKnow {
		if gap.Fact != "" {
			next := fault.NextAction{Type: "resolve_gap", Label: "Find out: " + gap.Fact}
			if gap.Supplier != "" {
				next.Reason = gap.Supplier + " supplies it"
			}
			h.Suggested = append(h.Suggested, next)
		}
	}
	if len(h.Suggested) == 0 && h.Next.Type != "none" {
		h.Suggested = append(h.Suggested, h.Next)
	}
}
