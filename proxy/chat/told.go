package chat

import (
	"cmp"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cadreen/conversations"
	"cadreen/fault"
	"cadreen/governance"
	"cadreen/intelligence"
	"cadreen/proxy/openai"
)

// What the request's trace is told: numbers, names and verdicts, no values.

// tellModel notes a reply of the model's, or that none came.
func (h *Handler) tellModel(t *turn, begun time.Time, model openai.Span, usage, data []byte, err error) {
	trace := t.caller.Trace
	if trace == nil {
		return
	}
	m := intelligence.ModelCall{Asked: cmp.Or(h.o.Settings.Model, t.req.Model)}
	if err == nil {
		m.Model = t.req.Model
	}
	if name, err := openai.Unquote(model.Of(data)); err == nil && name != "" {
		m.Model = name
	}
	if len(usage) > 0 {
		m.Input, m.Output = openai.Tokens(usage)
	}
	if err != nil {
		m.Code = fault.From(err).Code
	}
	trace.Model(begun, m)
}

// tellJudged notes what was decided about the calls of a reply. Until the plan
// is durable nothing has gone anywhere.
func (t *turn) tellJudged(begun time.Time, p *governance.Plan, durable bool) {
	trace := t.caller.Trace
	if trace == nil {
		return
	}
	calls := make([]intelligence.Call, len(p.Calls))
	for i, c := range p.Calls {
		calls[i] = t.toldCall(c.Name, p.Decisions[i])
		calls[i].Arguments = argumentKinds(c)
		calls[i].Went = intelligence.WentNowhere
		switch {
		case !durable:
		case p.Free[i]:
			calls[i].Went = intelligence.WentOut
		case p.Decisions[i].Verdict == governance.Clarify:
			calls[i].Went = intelligence.WentMissing
		}
	}
	if durable && p.Hold != nil {
		for at, i := range p.Held() {
			calls[i].Went, calls[i].Escalation = intelligence.WentHeld, p.Hold.Items[at].Escalation
		}
	}
	trace.Judged(begun, calls)
}

// tellAnswered notes what an answer to a hold came to.
func (t *turn) tellAnswered(begun time.Time, done governance.Answered, now time.Time) {
	trace := t.caller.Trace
	if trace == nil {
		return
	}
	h := &done.Hold
	calls := make([]intelligence.Call, len(h.Items))
	for i, it := range h.Items {
		calls[i] = t.toldCall(it.Name, it.Decision)
		calls[i].Verdict, calls[i].Escalation = it.Verdict.String(), it.Escalation
		switch {
		case done.Result == governance.ResultReleased && it.May():
			calls[i].Went = intelligence.WentOut
		case h.State == governance.StateHeld && it.Open():
			calls[i].Went = intelligence.WentHeld
		default:
			calls[i].Went = intelligence.WentNowhere
		}
	}
	var waited time.Duration
	if t.found.What == conversations.IsAnswer && !done.Repeat {
		waited = now.Sub(h.Created)
	}
	trace.Answered(begun, string(done.Result), waited, calls)
}

// toldCall is a call with its decision.
func (t *turn) toldCall(name string, d governance.CallDecision) intelligence.Call {
	c := intelligence.Call{Tool: name, Verdict: d.Verdict.String(), Decision: d.Verdict.Decision(), Reason: d.Reason,
		Missing: d.Missing, Supplier: d.Supplier, Gap: d.Gap(), Offered: d.Reason != governance.ReasonNotOffered && d.Reason != governance.ReasonBadName}
	c.Confidence, _ = d.Confidence()
	for _, f := range d.Fired {
		if f.Determining {
			c.Policy, c.Version, c.Rule, c.Line = f.Policy, f.Version, f.Rule, f.Line
			break
		}
	}
	return c
}

// mostArguments bounds what is told of one call.
const mostArguments = 32

// longestName bounds the name of an argument.
const longestName = 64

// argumentKinds are the names of a call's arguments with the kinds of their
// values.
func argumentKinds(c governance.Call) []intelligence.Argument {
	if c.Form == governance.FormCustom {
		return []intelligence.Argument{{Name: "input", Kind: "string"}}
	}
	d := jsontext.NewDecoder(strings.NewReader(c.Arguments), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if open, err := d.ReadToken(); err != nil || open.Kind() != '{' {
		return nil
	}
	var list []intelligence.Argument
	for d.PeekKind() == '"' && len(list) < mostArguments {
		name, err := d.ReadToken()
		if err != nil {
			break
		}
		a := intelligence.Argument{Name: name.String(), Kind: kinds[d.PeekKind()]}
		if len(a.Name) > longestName {
			a.Name = strings.ToValidUTF8(a.Name[:longestName], "") + "…"
		}
		if err := d.SkipValue(); err != nil {
			break
		}
		list = append(list, a)
	}
	return list
}

var kinds = map[jsontext.Kind]string{'"': "string", '0': "number", 't': "boolean", 'f': "boolean", 'n': "null", '{': "object", '[': "array"}

// told gives the outcome to the trace, and takes from it what the answer shows.
func (t *turn) told(o outcome) outcome {
	t.caller.Trace.Outcome(string(o.gate), o.next)
	o.intelligence = t.caller.Trace.Block()
	return o
}
