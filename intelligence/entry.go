package intelligence

import (
	"time"

	"cadreen/fault"
)

// Entry is a trace as it is stored: facts, not sentences. Its wire form is made
// by Meta.
type Entry struct {
	ID           string    `json:"id"`
	Method       string    `json:"method"`
	Path         string    `json:"path"` // without the query
	Key          string    `json:"key"`  // id of the key that asked
	Domain       string    `json:"domain,omitempty"`
	Conversation string    `json:"conversation,omitempty"`
	Started      time.Time `json:"started"`
	Took         int64     `json:"took"` // microseconds from the headers to the end of the answer
	Status       int       `json:"status,omitempty"`
	Code         string    `json:"code,omitempty"` // of the error that was answered
	Gate         string    `json:"gate,omitempty"`
	Stream       bool      `json:"stream,omitempty"`
	// W3C is the id of the W3C trace that the request belongs to.
	W3C string `json:"w3c,omitempty"`

	// Tools is how many tools the request offered, -1 where none could be.
	Tools int `json:"tools"`
	// Judged: calls went through the policies.
	Judged bool   `json:"judged,omitempty"`
	Calls  []Call `json:"calls,omitempty"`
	// More is how many calls are not in Calls.
	More int `json:"more,omitempty"`
	// Gaps are what was not known, beside the facts that calls lack.
	Gaps []Gap `json:"gaps,omitempty"`
	// Answer is what an answer to held calls came to, Reviewed if a reviewer's.
	Answer string `json:"answer,omitempty"`
	// Waited is how long these calls were held, in microseconds.
	Waited int64 `json:"waited,omitempty"`

	Models []ModelCall       `json:"models,omitempty"`
	Stages []Stage           `json:"stages,omitempty"`
	Next   *fault.NextAction `json:"next,omitempty"`
}

// Words of Call.Went.
const (
	WentOut     = "released"
	WentHeld    = "held"
	WentNowhere = "refused"
	WentMissing = "asked" // a fact was asked for
)

// Call is one proposed call and what became of it.
type Call struct {
	Tool string `json:"tool"`
	// Offered: the request offers a tool of this name.
	Offered bool `json:"offered,omitempty"`
	// Verdict is the canonical word, Decision that of a trace.
	Verdict  string `json:"verdict"`
	Decision string `json:"decision"`
	Went     string `json:"went,omitempty"`
	Reason   string `json:"reason,omitempty"` // what kind of thing decided
	Policy   string `json:"policy,omitempty"`
	Version  string `json:"version,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Line     int    `json:"line,omitempty"`
	// Confidence is that of the rule that decided, 0 where none did.
	Confidence float64 `json:"confidence,omitempty"`
	// Missing is the fact that was not known, Supplier the tool that would tell.
	Missing  string `json:"missing,omitempty"`
	Supplier string `json:"supplier,omitempty"`
	// Gap: the decision was made without something it needed.
	Gap        bool   `json:"gap,omitempty"`
	Escalation string `json:"escalation,omitempty"`
	// Arguments are the names of the arguments with the kinds of their values:
	// string, number, boolean, null, array, object.
	Arguments []Argument `json:"arguments,omitempty"`
}

// Argument is a name and the kind of its value.
type Argument struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// ModelCall is one request to the model.
type ModelCall struct {
	Model  string `json:"model,omitempty"` // that answered, else that was asked
	Took   int64  `json:"took"`            // microseconds until its reply had come
	Input  int64  `json:"input,omitempty"` // tokens, as the model counts them
	Output int64  `json:"output,omitempty"`
	Code   string `json:"code,omitempty"` // of its failure
	Asked  string `json:"asked,omitempty"`
}

// Words of Stage.Status.
const (
	Passed   = "passed"
	Failed   = "failed"
	Skipped  = "skipped"
	Degraded = "degraded"
	Blocked  = "blocked"
)

// Reviewed is the Answer of a reviewer.
const Reviewed = "reviewed"

// Names of stages.
const (
	StageCapabilities = "capability_check"
	StageModel        = "model_call"
	StageGovernance   = "governance_eval"
	StageGaps         = "gap_analysis"
	StageExecution    = "execution"
	StageEscalation   = "escalation"
	StageHandoff      = "human_handoff"
	StageAnswer       = "answer"
)

// Stage is one step of the answer, with the time that it was measured to take.
type Stage struct {
	Name   string `json:"name"`
	Status string `json:"status,omitempty"` // "" lets Meta tell from what came of it
	At     int64  `json:"at"`               // microseconds after the request began
	Took   int64  `json:"took"`             // microseconds
	Detail string `json:"detail,omitempty"`
}

// Created is when the answer was complete.
func (e *Entry) Created() time.Time { return e.Started.Add(time.Duration(e.Took) * time.Microsecond) }

// Decision is the word of the whole trace: approved, conditional or blocked, ""
// where nothing was decided.
func (e *Entry) Decision() string {
	if len(e.Calls) == 0 {
		return ""
	}
	switch e.Gate {
	case "ok":
		for _, c := range e.Calls {
			if c.Went == WentOut {
				return "approved"
			}
		}
		return ""
	case "needs_input", "escalate":
		return "conditional"
	case "blocked":
		return "blocked"
	}
	// The answer is an error, but calls were judged: the strictest word.
	word := "approved"
	for _, c := range e.Calls {
		switch {
		case c.Decision == "blocked":
			return c.Decision
		case c.Decision == "conditional":
			word = c.Decision
		}
	}
	return word
}

// gaps counts what was not known, and how much of that kept a call back.
func (e *Entry) gaps() (detected, blocking int) {
	for _, c := range e.Calls {
		if !c.Gap {
			continue
		}
		detected++
		if c.Went != WentOut {
			blocking++
		}
	}
	for _, g := range e.Gaps {
		detected++
		if g.Blocking {
			blocking++
		}
	}
	return detected, blocking
}

// strictness orders the verdicts.
var strictness = map[string]int{"allow": 1, "clarify": 2, "confirm": 3, "escalate": 4, "block": 5}

// decisive is the call that the trace's governance section is about: the first
// of the strictest.
func (e *Entry) decisive() *Call {
	var found *Call
	for i := range e.Calls {
		if c := &e.Calls[i]; found == nil || strictness[c.Verdict] > strictness[found.Verdict] {
			found = c
		}
	}
	return found
}

// confidence is the lowest of the rules that decided; ok is false where none did.
func (e *Entry) confidence() (lowest float64, ok bool) {
	for _, c := range e.Calls {
		if c.Confidence > 0 && (!ok || c.Confidence < lowest) {
			lowest, ok = c.Confidence, true
		}
	}
	return lowest, ok
}
