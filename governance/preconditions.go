package governance

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// States of a precondition.
const (
	Met     = "met"
	Unmet   = "unmet"
	Unknown = "unknown" // it depends on what was not given
)

// Precondition is one thing that has to be so for an action to go out at once.
type Precondition struct {
	State string `json:"state"`
	// Policy and Rule that demand it; "" for the tool's own schema and the profile.
	Policy  string `json:"policy,omitempty"`
	Version string `json:"version,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Line    int    `json:"line,omitempty"`
	// Condition are the rule's own words, Expression its CEL.
	Condition  string `json:"condition,omitempty"`
	Expression string `json:"expression,omitempty"`
	// Effect is what happens where it is not met.
	Effect Verdict `json:"effect"`
	// Detail is one plain sentence.
	Detail string `json:"detail"`
	// Needs are the facts that a condition of unknown state rests on.
	Needs []string `json:"needs,omitempty"`
	// Fact is the one that is missing, Tool the tool that supplies it.
	Fact string `json:"fact,omitempty"`
	Tool string `json:"tool,omitempty"`
}

// Preconditions looks at an action without deciding anything about it: which
// conditions of the rules hold it back, which do not, and which cannot be told
// without the facts that lacks names. The decision beside them is what would be
// decided with nothing more than what was given.
func (b *Bundle) Preconditions(facts Facts, call Call, lacks Unsupplied) ([]Precondition, CallDecision) {
	decision := b.Judge(facts, call)
	args := new(Arguments)
	if lacks.Arguments {
		call.Arguments = "{}"
	}
	if err := args.read(&call); err != nil {
		return []Precondition{{State: Unmet, Effect: Block, Detail: "the arguments cannot be used: " + err.Error()}}, decision
	}
	x := &examination{in: Input{Facts: &facts, Call: &call, Count: 1, Args: args, Turn: new(Scratchpad), Unsupplied: lacks}}
	p := b.plan(call.Name, facts.Tools[call.Name])
	x.required(p.tool.Schema)
	x.fallback, x.reason = b.profileEffect(&facts, call.Name, p.kind)
	takenOver := false
	for i := range p.rules {
		r := &p.rules[i]
		if r.mode() != Enforce || r.policy.Domain != "" && r.policy.Domain != facts.Domain {
			continue
		}
		takenOver = takenOver || r.names
		x.rule(r)
	}
	if !takenOver {
		x.byProfile(Precondition{})
	}
	return x.list, decision
}

func (b *Bundle) profileEffect(facts *Facts, name string, kind Kind) (Verdict, string) {
	v, _, detail := b.profileVerdict(facts, name, kind)
	return v, detail
}

// examination collects the preconditions of one action.
type examination struct {
	in       Input
	fallback Verdict // what the profile says
	reason   string  // and why
	list     []Precondition
}

// required are the arguments that the tool's schema demands.
func (x *examination) required(schema []byte) {
	var s struct {
		Required []string `json:"required"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return
	}
	for _, name := range s.Required {
		p := Precondition{State: Met, Effect: Clarify, Detail: "the argument " + showText(name) + " is given", Expression: "has(args." + name + ")"}
		if _, given := x.in.Args.Get(name); !given {
			p.State, p.Fact, p.Detail = Unmet, name, "the tool's schema requires the argument "+showText(name)
			if x.in.Unsupplied.Arguments {
				p.State, p.Needs = Unknown, []string{"args." + name}
			}
		}
		x.list = append(x.list, p)
	}
}

// rule looks at the lines of a rule up to the first that certainly holds.
func (x *examination) rule(r *planRule) {
	x.in.Config = r.policy.Config
	exempt, unsure := false, false
	if r.compiledRule.unless != nil {
		state, _ := x.state(&r.unless, r.compiledRule.unless.expr)
		exempt, unsure = state == Met, state == Unknown
	}
	for i := range r.lines {
		line := r.When[i]
		if line.Effect == Allow && r.elseDecides && r.elseVerdict == Allow {
			continue // it goes without that line too
		}
		p := Precondition{Policy: r.policy.Name, Version: r.policy.Version, Rule: r.ID, Line: i + 1, Condition: r.Condition, Expression: line.If, Effect: line.Effect}
		holds, err := x.state(&r.lines[i], line.If)
		p.State = holds
		if line.Effect == Allow {
			p.Effect = max(x.fallback, Allow)
		} else {
			p.State = map[string]string{Met: Unmet, Unmet: Met, Unknown: Unknown}[holds]
		}
		switch {
		case holds == Met && exempt:
			p.State, p.Detail = Met, "the line holds, and so does the rule's exception"
		case holds == Met && unsure && p.State == Unmet:
			p.State, p.Detail, p.Needs = Unknown, "the line holds; whether the rule's exception does cannot be told", x.needs(r.compiledRule.unless.expr)
		case holds == Unknown:
			p.Detail, p.Needs = "it cannot be told whether the line holds: "+err.Error(), x.needs(line.If)
			x.supply(&p, line, &r.lines[i], err)
		case p.State == Unmet && line.Effect == Clarify:
			p.Detail = "a fact is missing"
			x.supply(&p, line, &r.lines[i], nil)
		case p.State == Unmet:
			p.Detail = "the line holds, which means " + line.Effect.String()
			if line.Effect == Allow {
				p.Detail = "the line that would let it go does not hold"
			}
			x.supply(&p, Line{}, &r.lines[i], nil)
		case line.Effect == Allow:
			p.Detail = "the line that lets it go holds"
		default:
			p.Detail = "the line does not hold"
		}
		x.list = append(x.list, p)
		if holds == Met {
			return
		}
	}
	if r.names && !r.elseDecides {
		x.byProfile(Precondition{Policy: r.policy.Name, Version: r.policy.Version, Rule: r.ID, Condition: r.Condition})
	}
}

// byProfile is what remains where no line decides.
func (x *examination) byProfile(p Precondition) {
	p.State, p.Effect, p.Detail = Unmet, x.fallback, x.reason
	if x.fallback == Allow {
		p.State = Met
	}
	x.list = append(x.list, p)
}

// state says whether a condition holds: Met, Unmet or Unknown with the reason.
func (x *examination) state(t *typed, expr string) (string, error) {
	if needs := x.needs(expr); x.in.Unsupplied.Arguments && slices.ContainsFunc(needs, func(n string) bool { return strings.HasPrefix(n, "args") }) ||
		slices.Contains(needs, "messages") && strings.Contains(expr, "conversation.turns") {
		return Unknown, fmt.Errorf("%w: %s", ErrUnsupplied, strings.Join(needs, ", "))
	}
	holds, err := t.eval(&x.in)
	switch {
	case err != nil:
		return Unknown, err
	case holds:
		return Met, nil
	}
	return Unmet, nil
}

// needs are the facts that an expression reads and nobody gave.
func (x *examination) needs(expr string) []string {
	bare := withoutStrings(expr)
	var list []string
	add := func(lacks bool, fact string, signs ...string) {
		if lacks && slices.ContainsFunc(signs, func(s string) bool { return strings.Contains(bare, s) }) {
			list = append(list, fact)
		}
	}
	lacks := x.in.Unsupplied
	paths := argumentPaths(expr)
	for _, path := range paths {
		if _, given := lookUp(x.in.Args.Map(), strings.Split(path, ".")); !given {
			list = append(list, "args."+path)
		}
	}
	add(lacks.Arguments && len(paths) == 0, "args", "args")
	add(lacks.Words, "messages", "from_user(", "origin(", "conversation.turns")
	add(lacks.Conversation, "conversation_id", "called(", "result(", "origin(")
	add(lacks.Ledger, "ledger", "count(", "total(")
	return list
}

// supply names the fact that is missing and the tool that supplies it.
func (x *examination) supply(p *Precondition, line Line, t *typed, err error) {
	var missing *MissingFacts
	switch {
	case errors.As(err, &missing):
		p.Fact, p.Tool = missing.Facts[0].String(), missing.Facts[0].Tool
		return
	case line.Effect == Clarify && line.Missing != "":
		p.Fact, p.Tool = line.Missing, line.From
		return
	}
	p.Fact, p.Tool = t.absent(&x.in, line.From)
}
