package governance

import "fmt"

// Profile decides about calls that no rule takes over.
type Profile string

const (
	// Guarded, the default: read tools are allowed, all others ask.
	Guarded Profile = "guarded"
	// Observe allows everything that is well-formed and records it.
	Observe Profile = "observe"
	// Locked blocks every tool that no active rule takes over.
	Locked Profile = "locked"
)

// ParseProfile reads a profile's word; "" is Guarded.
func ParseProfile(s string) (Profile, error) {
	switch p := Profile(s); p {
	case "":
		return Guarded, nil
	case Guarded, Observe, Locked:
		return p, nil
	}
	return "", fmt.Errorf("unknown profile %q: use guarded, observe or locked", s)
}

// Default is the verdict of the profile for a tool of a kind.
func (p Profile) Default(kind Kind) Verdict {
	switch {
	case p == Observe:
		return Allow
	case p == Locked:
		return Block
	case kind == KindRead:
		return Allow
	}
	return Confirm
}

// forcedOutput: the call is structured output in the shape of a call: forced by
// tool_choice, the request's only tool, nothing executed yet, not a write.
func (p Profile) forcedOutput(facts *Facts, name string, kind Kind) bool {
	return facts.Forced != "" && facts.Forced == name && len(facts.Tools) == 1 &&
		kind != KindWrite && !facts.ToolMessages && p != Locked
}

// profileVerdict is what happens to a call that no rule takes over.
func (b *Bundle) profileVerdict(facts *Facts, name string, kind Kind) (Verdict, string, string) {
	if b.profile.forcedOutput(facts, name, kind) {
		return Allow, ReasonForced, "tool_choice forces this tool: taken as structured output"
	}
	v := b.profile.Default(kind)
	switch {
	case b.profile == Observe:
		return v, ReasonProfile, "profile observe allows every well-formed call"
	case b.profile == Locked:
		return v, ReasonProfile, "profile locked blocks what no rule takes over"
	case kind == KindRead:
		return v, ReasonProfile, "profile guarded allows what looks like a read"
	case kind == KindWrite:
		return v, ReasonProfile, "profile guarded asks before what looks like a write"
	}
	return v, ReasonProfile, "profile guarded asks before what it cannot tell to be a read"
}
