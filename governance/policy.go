package governance

import "time"

// Mode of a rule.
type Mode string

const (
	Enforce Mode = "enforce"
	Shadow  Mode = "shadow" // evaluated and recorded, decides nothing
	Off     Mode = "off"
)

// Policy is one policy document, as written in a file or sent to the API.
type Policy struct {
	Name   string
	Domain string // "" applies everywhere, else only where context.domain equals it
	Config map[string]any
	Rules  []Rule
	// Source is where it was read: file path or policy id. Version is its digest
	// (files) or number.
	Source  string
	Version string
	// Schemas are the hashes (Tool.SchemaHash) of the schemas that the tools it names
	// had when this version was made. Where a request offers another schema, the
	// rules are stale: see Fired.Stale. Those of files stand in policies.lock; a rule
	// whose `when` is written out has none there.
	Schemas map[string]string `json:",omitempty"`
}

// Rule is one rule of a policy.
type Rule struct {
	ID        string
	Condition string // natural language, kept verbatim
	Tools     []string
	When      []Line
	Else      string // "", "allow" or "profile"; see Rule.ElseVerdict
	Unless    string
	Message   string
	Mode      Mode
	// SelfReview lets the requester's own key resolve an escalation of this rule.
	SelfReview bool
	Examples   []Example
	// Confidence of a rule that a model read from its condition: the part of its
	// readings that behaved alike. 0 is that no model had a part in it.
	Confidence float64 `json:",omitempty"`
	Line       int     // line of the rule in its source file; 0 if it has none
}

// Line is one CEL condition with its effect; the first that holds decides.
type Line struct {
	If      string
	Effect  Verdict
	To      string        // escalate: "role:finance"; "" means any reviewer
	Expires time.Duration // 0 means the configured default
	// Missing and From, with Clarify: the fact that is missing, and the tool that
	// supplies it (named to the requester only where the request offers it).
	Missing string
	From    string
	Line    int
}

// Example is a call with the verdict it must get, run when a policy is loaded.
type Example struct {
	Call      ExampleCall
	Requester *Requester
	Messages  []string // the requester's own words
	Domain    string
	Now       time.Time
	Expect    Verdict
	Line      int
}

// ExampleCall names a tool and its arguments.
type ExampleCall struct {
	Name      string
	Arguments []byte // JSON as written
}

// ElseVerdict is what an enforced rule that takes a tool over says when none of
// its lines holds: Allow, or false for "the profile's default again". Without an
// `else` a rule whose lines only restrict allows, and a rule with an allow line
// leaves everything else to the profile.
func (r Rule) ElseVerdict() (v Verdict, decides bool) {
	switch r.Else {
	case "allow":
		return Allow, true
	case "profile":
		return 0, false
	}
	for _, l := range r.When {
		if l.Effect == Allow {
			return 0, false
		}
	}
	return Allow, true
}

// TakesOver says whether the rule names tools: an enforced rule with a name or a
// glob other than "*" replaces the profile's default for them.
func (r Rule) TakesOver() bool {
	if r.Mode != Enforce && r.Mode != "" {
		return false
	}
	for _, t := range r.Tools {
		if !anyTool(t) {
			return true
		}
	}
	return false
}
