package rule

import (
	"strings"

	"cadreen/governance"
)

// readBack says what a rule does, from its conditions and effects alone, and from
// what the rule says beside its sentence.
func (c *compiler) readBack(patterns []string, outcomes []outcome, unless condition, mode governance.Mode) string {
	var b strings.Builder
	if mode == governance.Shadow {
		b.WriteString("Recorded only, nothing is enforced: ")
	}
	if len(patterns) == 0 {
		b.WriteString("Any call")
	} else {
		b.WriteString("A call of " + list(patterns, "or"))
	}
	var lines []governance.Line
	closed := false
	for i, o := range outcomes {
		join := ": "
		if i > 0 {
			join = "; else "
		}
		b.WriteString(join + effectWords(o))
		if _, ok := o.when.(always); ok {
			closed = true
		} else {
			b.WriteString(" if " + o.when.english())
		}
		lines = append(lines, governance.Line{Effect: o.effect})
	}
	if unless != nil {
		b.WriteString("; none of this if " + unless.english())
	}
	if c.given.Unless != "" {
		b.WriteString("; none of this if " + c.given.Unless)
	}
	if mode == governance.Shadow {
		return b.String() + "."
	}
	rest := "the profile decides"
	if _, allows := (governance.Rule{When: lines, Else: c.given.Else}).ElseVerdict(); allows && len(patterns) > 0 {
		rest = "allow"
	}
	if !closed || unless != nil || c.given.Unless != "" {
		b.WriteString("; in every other case " + rest)
	}
	return b.String() + "."
}

func effectWords(o outcome) string {
	switch o.effect {
	case governance.Confirm:
		return "ask the requester"
	case governance.Escalate:
		if role, ok := strings.CutPrefix(o.to, "role:"); ok {
			return "escalate to a reviewer with the role " + role
		}
		return "escalate to a reviewer"
	}
	return o.effect.String()
}
