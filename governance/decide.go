package governance

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// MaxNameLength of a tool, in bytes.
const MaxNameLength = 128

// ValidName says whether a tool name is [A-Za-z0-9_.:/-]{1,128}.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxNameLength {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '_', c == '.', c == ':', c == '/', c == '-':
		default:
			return false
		}
	}
	return true
}

// Decide implements Decider.
func (b *Bundle) Decide(facts Facts, calls []Call) []CallDecision {
	decisions := make([]CallDecision, len(calls))
	r := rooms.Get().(*room)
	for i := range calls {
		call := &calls[i]
		d := &decisions[i]
		*d = CallDecision{Call: *call}
		in := &r.in
		*in = Input{Facts: &facts, Call: call, Turn: &r.turn, Args: &r.args, Provisional: in.Provisional[:0]}
		for j := range calls {
			if calls[j].Choice != call.Choice {
				continue
			}
			in.Count++
			if j >= i {
				continue
			}
			in.Index++
			// A call that is refused or asks for a fact does not go out with this turn.
			if v := decisions[j].Verdict; v != Block && v != Clarify {
				in.Provisional = append(in.Provisional, Released{ID: calls[j].ID, Name: calls[j].Name, Arguments: calls[j].Arguments, At: facts.Now})
			}
		}
		b.decideCall(r, d)
	}
	r.release()
	return decisions
}

// room is what one Decide works in; nothing of it leaves with the decisions.
type room struct {
	in     Input
	turn   Scratchpad
	args   Arguments
	digest []byte
}

var rooms = sync.Pool{New: func() any { return new(room) }}

// maxRoom bounds, in bytes of digested arguments, what is kept for the next turn.
const maxRoom = 64 << 10

// release gives the room back, holding on to nothing of the turn.
func (r *room) release() {
	if cap(r.digest) > maxRoom {
		return
	}
	clear(r.in.Provisional)
	r.in = Input{Provisional: r.in.Provisional[:0]}
	r.turn = Scratchpad{}
	r.args.clear()
	rooms.Put(r)
}

// Hosted implements Decider: profile observe, or a rule that names
// hosted:<type>, allows a provider-executed tool. Rules without tools are heard
// too; rules that name other tools, even by a glob, are not.
func (b *Bundle) Hosted(facts Facts, toolType string) bool {
	name := HostedPrefix + toolType
	if !ValidName(name) {
		return false
	}
	call := Call{Name: name}
	in := &Input{Facts: &facts, Call: &call, Count: 1, Args: new(Arguments), Turn: new(Scratchpad)}
	var d CallDecision
	takenOver := b.runRules(in, b.plan(name, Tool{}), &d, b.profile.Default(KindUnknown))
	if !takenOver && b.profile != Observe {
		return false
	}
	return d.Verdict <= Allow
}

// decideCall fills one decision.
func (b *Bundle) decideCall(r *room, d *CallDecision) {
	in := &r.in
	call, facts := in.Call, in.Facts
	tool, offered := facts.Tools[call.Name]
	err := in.Args.read(call)
	d.ArgsDigest, r.digest = actionDigest(r.digest, call, in.Args, err)
	refuse := func(reason, detail string) {
		d.Verdict, d.Reason, d.Detail = Block, reason, detail
	}
	switch {
	case !ValidName(call.Name):
		refuse(ReasonBadName, "the tool name is not [A-Za-z0-9_.:/-]{1,128}")
		return
	case strings.HasPrefix(call.Name, HostedPrefix):
		// Rules speak of the provider's tools by such names, not of this one.
		refuse(ReasonBadName, "tool names that begin with "+HostedPrefix+" are kept for tools that the provider runs")
		return
	case call.Truncated:
		refuse(ReasonTruncated, "the model did not finish the call")
		return
	case call.Malformed != "":
		refuse(ReasonArguments, "the call is malformed: "+call.Malformed)
		return
	case err != nil:
		refuse(ReasonArguments, err.Error())
		return
	}
	if b.profile != Observe {
		if !offered {
			refuse(ReasonNotOffered, "the request did not offer a tool of this name")
			return
		}
		if !sameForm(tool, call.Form) {
			refuse(ReasonNotOffered, "the request offered this tool in another form")
			return
		}
	}
	p := b.plan(call.Name, tool)
	d.Kind, d.SchemaHash, d.Stale = p.kind, p.schemaHash, p.stale
	fallback, reason, detail := b.profileVerdict(facts, call.Name, p.kind)
	takenOver := b.runRules(in, p, d, fallback)
	if !takenOver && fallback > d.Verdict {
		d.Verdict = fallback
	}
	if d.Verdict == 0 {
		d.Verdict = Block // cannot happen: a rule that takes over always says something
	}
	b.conclude(in, d, reason, detail)
	if d.Stale {
		d.Detail += "; the tool's schema has changed since a rule about it was confirmed"
	}
}

// sameForm: a tool offered as a function is called as one, a custom tool as one.
func sameForm(tool Tool, form Form) bool {
	switch tool.Type {
	case "function":
		return form != FormCustom
	case "custom":
		return form == FormCustom || form == ""
	}
	return true
}

// runRules evaluates the rules of a plan, in their order. d gets the strictest
// verdict (0 if no enforced rule said anything) and everything that fired.
func (b *Bundle) runRules(in *Input, p *plan, d *CallDecision, fallback Verdict) (takenOver bool) {
	if len(p.rules) > 0 {
		d.Fired = make([]Fired, 0, min(len(p.rules), 32))
	}
	for i := range p.rules {
		r := &p.rules[i]
		if r.policy.Domain != "" && r.policy.Domain != in.Facts.Domain {
			continue
		}
		enforced := r.mode() == Enforce
		takes := r.names && enforced
		takenOver = takenOver || takes
		in.Config = r.policy.Config
		d.Fired = append(d.Fired, r.blank())
		f := &d.Fired[len(d.Fired)-1]
		if !r.run(in, f) {
			if !takes {
				d.Fired = d.Fired[:len(d.Fired)-1]
				continue
			}
			if f.Effect = r.elseVerdict; !r.elseDecides {
				f.Effect, f.byProfile = fallback, true
			}
		} else if f.Error != "" && takes && !r.elseDecides {
			// The `else` stands behind the lines: an error is never milder.
			f.Effect = max(f.Effect, fallback)
		}
		if f.Effect != Allow && r.message != nil {
			f.Message = r.message.render(in)
		}
		if f.Supplier != "" {
			if _, ok := in.Facts.Tools[f.Supplier]; !ok {
				f.Supplier = ""
			}
		}
		if enforced && f.Effect > d.Verdict {
			d.Verdict = f.Effect
		}
	}
	return takenOver
}

// blank names the rule; what it says comes from run.
func (r *planRule) blank() Fired {
	return Fired{Policy: r.policy.Name, Version: r.policy.Version, Rule: r.ID, Mode: r.mode(), Condition: r.Condition, Stale: r.stale, Confidence: r.Confidence}
}

// run evaluates one rule: the first line that holds or errs, then `unless`. It
// fills a blank f.
func (r *planRule) run(in *Input, f *Fired) (fired bool) {
	for i := range r.lines {
		holds, err := r.lines[i].eval(in)
		if err == nil && !holds {
			continue
		}
		from := r.When[i]
		f.Effect = from.Effect
		var missing *MissingFacts
		switch {
		case errors.As(err, &missing):
			// What the line says depends on a fact that is not there: ask for it.
			from = Line{Missing: missing.Facts[0].String(), From: missing.Facts[0].Tool}
			f.Effect, f.Residual = Clarify, missing.Residual
		case err != nil:
			f.Error = err.Error()
			f.Effect, from = Confirm, Line{}
			for _, l := range r.When[i:] {
				if l.Effect > f.Effect || l.Effect == f.Effect && from.Effect != f.Effect {
					f.Effect, from = l.Effect, l
				}
			}
		}
		f.Line, f.If = i+1, r.When[i].If
		f.To, f.Expires, f.SelfReview = from.To, from.Expires, r.SelfReview
		if f.Effect == Clarify {
			f.Missing, f.Supplier = from.Missing, from.From
			if f.Missing == "" && err == nil {
				f.Missing, f.Supplier = r.lines[i].absent(in, f.Supplier)
			}
		}
		fired = true
		break
	}
	if fired && r.compiledRule.unless != nil {
		exempt, err := r.unless.eval(in)
		var missing *MissingFacts
		if errors.As(err, &missing) && f.Effect > Clarify {
			// Whether the exception holds depends on a fact that is not there.
			f.Effect, f.Residual, f.To, f.Expires = Clarify, missing.Residual, "", 0
			f.Missing, f.Supplier = missing.Facts[0].String(), missing.Facts[0].Tool
		} else if err != nil {
			f.UnlessError = err.Error()
		} else if exempt {
			*f = r.blank()
			f.Exempt = true
			return false
		}
	}
	return fired
}

// absent names the first fact that a condition which holds asked for in vain, and
// the tool that supplies it, if the rule names no other.
func (t *typed) absent(in *Input, supplier string) (missing, from string) {
	if p, ok := t.program.(Absentee); ok {
		if facts := p.Absent(in); len(facts) > 0 {
			if supplier == "" {
				supplier = facts[0].Tool
			}
			return facts[0].String(), supplier
		}
	}
	return "", supplier
}

// eval runs one condition; a panic of the evaluator is an error like any other.
func (t *typed) eval(in *Input) (holds bool, err error) {
	if t.err != nil {
		return false, t.err
	}
	defer func() {
		if r := recover(); r != nil {
			holds, err = false, fmt.Errorf("the condition could not be evaluated: %v", r)
		}
	}()
	return t.program.Eval(in)
}

// conclude marks the determining rules and takes from them what the asking needs:
// the first `to` that one of them names, the shortest expiry, self-review only
// where all of them allow it, the first missing fact, all messages.
func (b *Bundle) conclude(in *Input, d *CallDecision, reason, detail string) {
	d.Reason, d.Detail = reason, detail
	first := -1
	allErrors := true
	var messages []string
	d.SelfReview = true
	for i := range d.Fired {
		f := &d.Fired[i]
		if f.Mode != Enforce || f.Effect != d.Verdict {
			continue
		}
		f.Determining = true
		if !f.byProfile && first < 0 {
			first = i
		}
		if f.byProfile {
			continue
		}
		allErrors = allErrors && f.Error != ""
		if d.To == "" {
			d.To = f.To
		}
		if f.Expires > 0 && (d.Expires == 0 || f.Expires < d.Expires) {
			d.Expires = f.Expires
		}
		d.SelfReview = d.SelfReview && f.SelfReview
		if d.Missing == "" {
			d.Missing, d.Supplier = f.Missing, f.Supplier
		}
		if f.Message != "" {
			messages = append(messages, f.Message)
		}
	}
	d.SelfReview = d.SelfReview && first >= 0
	d.Message = strings.Join(messages, "\n")
	if d.Expires == 0 && (d.Verdict == Confirm || d.Verdict == Escalate) {
		d.Expires = b.opts.DefaultExpires
	}
	if first < 0 {
		return
	}
	f := &d.Fired[first]
	switch {
	case allErrors:
		d.Reason = ReasonError
		d.Detail = "rule " + f.Rule + " could not be evaluated, which counts as " + d.Verdict.String() + ": " + f.Error
	case f.Line == 0:
		d.Reason = ReasonRule
		d.Detail = "rule " + f.Rule + " covers this tool and none of its lines holds"
		if f.Exempt {
			d.Detail = "rule " + f.Rule + " covers this tool and its exception holds"
		}
	default:
		d.Reason = ReasonRule
		d.Detail = "rule " + f.Rule + " says " + d.Verdict.String() + ": " + f.If
	}
}

// Judge decides one call by one bundle with given facts: Decide for a turn of one.
func (b *Bundle) Judge(facts Facts, call Call) CallDecision {
	return b.Decide(facts, []Call{call})[0]
}

// exampleTime stands for now in examples and cases that name none: a Thursday noon.
var exampleTime = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)
