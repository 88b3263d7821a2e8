package governance

import (
	"context"
	"time"
)

// Fired is one rule that applied to a call.
type Fired struct {
	Policy     string        `json:"policy"`
	Version    string        `json:"version,omitempty"`
	Rule       string        `json:"rule"`
	Effect     Verdict       `json:"effect"`
	Mode       Mode          `json:"mode"`
	Line       int           `json:"line,omitempty"`  // which when line (from 1), 0 for else
	If         string        `json:"if,omitempty"`    // its CEL
	Error      string        `json:"error,omitempty"` // the evaluation error that counted as the effect
	Message    string        `json:"message,omitempty"`
	Condition  string        `json:"condition,omitempty"`
	To         string        `json:"to,omitempty"`
	Expires    time.Duration `json:"expires,omitempty"`
	SelfReview bool          `json:"self_review,omitempty"`
	Missing    string        `json:"missing,omitempty"`
	Supplier   string        `json:"supplier,omitempty"`
	// Residual: the line depends on facts that are not there; this is what is
	// left of it where all that is known is put in.
	Residual string `json:"residual,omitempty"`
	// Stale: the tool's schema is not the one that the rule was confirmed for. The
	// rule is enforced as it was written, and the tool counts as unknown.
	Stale bool `json:"stale,omitempty"`
	// Exempt: the rule's `unless` held, so that its `else` applied.
	Exempt bool `json:"exempt,omitempty"`
	// UnlessError: the `unless` erred, which counts as false.
	UnlessError string `json:"unless_error,omitempty"`
	// Determining: this rule is one of those at the winning level.
	Determining bool `json:"determining"`
	// Confidence is Rule.Confidence: 0 is that no model had a part in the rule.
	Confidence float64 `json:"confidence,omitempty"`

	byProfile bool // nothing fired and the rule's else is the profile's default
}

// CallDecision is the verdict of one call and everything that explains it.
type CallDecision struct {
	Call    Call    `json:"-"`
	Verdict Verdict `json:"verdict"`
	// Reason is one of the Reason… words: what kind of thing decided.
	Reason string `json:"reason"`
	// Detail is one plain sentence for people.
	Detail string  `json:"detail"`
	Fired  []Fired `json:"fired,omitempty"`
	// Messages of the determining rules, placeholders filled.
	Message    string        `json:"message,omitempty"`
	To         string        `json:"to,omitempty"`
	Expires    time.Duration `json:"expires,omitempty"`
	SelfReview bool          `json:"self_review,omitempty"`
	// Missing and Supplier: the fact a clarify asks for and the offered tool that supplies it.
	Missing    string `json:"missing,omitempty"`
	Supplier   string `json:"supplier,omitempty"`
	Kind       Kind   `json:"kind,omitempty"`
	ArgsDigest string `json:"args_digest,omitempty"` // sha256 over the RFC 8785 form of {name, arguments}
	SchemaHash string `json:"schema_hash,omitempty"`
	// Stale: an enforced rule about this tool is, see Fired.Stale.
	Stale bool `json:"stale,omitempty"`
}

// Reasons of a CallDecision.
const (
	ReasonRule       = "rule"        // an enforced rule
	ReasonProfile    = "profile"     // no rule took the tool over
	ReasonForced     = "forced"      // forced structured output
	ReasonArguments  = "arguments"   // not one JSON object, duplicate names …
	ReasonTruncated  = "truncated"   // the model did not finish the call
	ReasonNotOffered = "not_offered" // the request did not offer this tool
	ReasonBadName    = "bad_name"    // not [A-Za-z0-9_.:/-]{1,128}
	ReasonError      = "rule_error"  // a rule's expression erred
	ReasonNoPolicies = "no_policies" // the policies of the workspace could not be loaded
)

// WorkspaceDecider is a Decider whose policies differ by workspace and can be
// exchanged.
type WorkspaceDecider interface {
	Decider
	// For answers what judges in a workspace now; a turn is judged by one bundle
	// from its first call to its last. The error is a *fault.Error: nothing may be
	// decided by fewer policies than are confirmed.
	For(ctx context.Context, workspace string) (*Bundle, error)
}

// DeciderFor fixes what judges in a workspace, where that can change.
func DeciderFor(ctx context.Context, d Decider, workspace string) (Decider, error) {
	switch d := d.(type) {
	case WorkspaceDecider:
		b, err := d.For(ctx, workspace)
		if err != nil {
			return nil, err
		}
		return b, nil
	case interface{ Bundle() *Bundle }:
		return d.Bundle(), nil
	}
	return d, nil
}

// Confidence is how sure it is that the verdict is what was meant: that of the rule
// that decided, which is 1 where its condition is written out or made by a
// template and less where a model read it; and 1 where the call itself could not
// be understood. ok is false where no rule decided: the kind of a tool is guessed.
func (d *CallDecision) Confidence() (confidence float64, ok bool) {
	switch d.Reason {
	case ReasonArguments, ReasonTruncated, ReasonNotOffered, ReasonBadName:
		return 1, true
	case ReasonRule:
		confidence = 1
		for i := range d.Fired {
			if f := &d.Fired[i]; f.Determining && f.Confidence > 0 {
				confidence = min(confidence, f.Confidence)
			}
		}
		return confidence, true
	}
	return 0, false
}

// Gap says that the verdict was found without something that it needed: a fact,
// a rule that could be evaluated, or a call that can be understood.
func (d *CallDecision) Gap() bool {
	switch d.Reason {
	case ReasonArguments, ReasonTruncated, ReasonNotOffered, ReasonBadName, ReasonError:
		return true
	}
	return d.Missing != ""
}

// Decider judges the calls of a turn. It is pure: same bundle, same facts, same
// verdicts; no network, no clock, no model.
type Decider interface {
	// Decide answers one CallDecision per call, in order. Later calls of the
	// turn see earlier ones as provisional.
	Decide(facts Facts, calls []Call) []CallDecision
	// Hosted says whether a provider-executed tool type may be used.
	Hosted(facts Facts, toolType string) bool
	// ReadsReleased says whether judging a call of this tool may look at
	// Facts.Released.
	ReadsReleased(tool string) bool
}
