package api

import (
	"time"

	"cadreen/governance"
	"cadreen/intelligence"
)

// What the trace of a request is told: names and verdicts, no values.

// tellReviewed notes a reviewer's decision; one that leaves the escalation open
// is none.
func tellReviewed(t *intelligence.Trace, begun time.Time, e *governance.Escalation) {
	t.About("", e.ConversationID)
	if e.ResolvedAt == nil {
		return
	}
	call := intelligence.Call{Tool: e.ToolName, Offered: true, Verdict: governance.Escalate.String(), Decision: "approved", Reason: e.Resolution, Escalation: e.ID}
	if e.Status == governance.EscalationRejected {
		call.Decision = "blocked"
	}
	t.Answered(begun, intelligence.Reviewed, e.ResolvedAt.Sub(e.CreatedAt), []intelligence.Call{call})
}

// tellTried notes the verdict about a call that nobody has proposed.
func tellTried(t *intelligence.Trace, begun time.Time, domain, tool string, d *governance.CallDecision) {
	t.About(domain, "")
	c := intelligence.Call{Tool: tool, Verdict: d.Verdict.String(), Decision: d.Verdict.Decision(), Reason: d.Reason,
		Missing: d.Missing, Supplier: d.Supplier, Gap: d.Gap()}
	c.Confidence, _ = d.Confidence()
	for _, f := range d.Fired {
		if f.Determining {
			c.Policy, c.Version, c.Rule, c.Line = f.Policy, f.Version, f.Rule, f.Line
			break
		}
	}
	t.Tried(begun, []intelligence.Call{c})
}
