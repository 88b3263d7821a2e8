package governance

import (
	"fmt"
	"strings"
)

// Verdict is what is decided about one proposed tool call. Verdicts are
// ordered by strictness; the strictest of all that apply wins.
type Verdict int

const (
	Allow    Verdict = iota + 1 // released to the client
	Clarify                     // a fact is missing: the answer names it
	Confirm                     // held; the requester answers in the chat
	Escalate                    // held; a reviewer decides
	Block                       // never released
)

var verdictWords = map[Verdict]string{Allow: "allow", Clarify: "clarify", Confirm: "confirm", Escalate: "escalate", Block: "block"}

// spellings are the accepted input words of an effect beside the canonical ones.
var spellings = map[string]Verdict{
	"auto": Allow, "auto_approve": Allow, "auto_complete": Allow, "approve": Allow,
	"handoff": Confirm, "require_human_approval": Confirm, "require_approval": Confirm,
	"clarify_requester": Clarify,
	"deny":              Block, "forbid": Block, "abstain": Block,
}

// ParseVerdict reads an effect in any accepted spelling.
func ParseVerdict(s string) (Verdict, error) {
	for v, w := range verdictWords {
		if w == s {
			return v, nil
		}
	}
	if v, ok := spellings[s]; ok {
		return v, nil
	}
	return 0, fmt.Errorf("unknown effect %q: use one of allow, clarify, confirm, escalate, block", s)
}

// String is the canonical word.
func (v Verdict) String() string {
	if w, ok := verdictWords[v]; ok {
		return w
	}
	return "none"
}

// MarshalText stores the canonical word.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads any accepted spelling.
func (v *Verdict) UnmarshalText(b []byte) (err error) {
	*v, err = ParseVerdict(strings.TrimSpace(string(b)))
	return err
}

// Gate is the word clients branch on: X-Cadreen-Gate and the body's gate.
type Gate string

const (
	GateOK         Gate = "ok"
	GateNeedsInput Gate = "needs_input"
	GateEscalate   Gate = "escalate"
	GateBlocked    Gate = "blocked"
)

// Gate of a single verdict.
func (v Verdict) Gate() Gate {
	switch v {
	case Allow:
		return GateOK
	case Clarify, Confirm:
		return GateNeedsInput
	case Escalate:
		return GateEscalate
	}
	return GateBlocked
}

// Decision word of a trace: approved, conditional or blocked.
func (v Verdict) Decision() string {
	switch v {
	case Allow:
		return "approved"
	case Block:
		return "blocked"
	}
	return "conditional"
}
