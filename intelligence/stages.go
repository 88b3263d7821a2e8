package intelligence

import (
	"fmt"
	"strings"
)

// stages are the steps in the order they were taken. What they say besides their
// durations is told from what came of them.
func (e *Entry) stages() []MetaStage {
	var list []MetaStage
	model := 0
	for _, s := range e.Stages {
		m := MetaStage{Name: s.Name, Status: s.Status, DurationMS: s.Took / 1000, DurationUS: s.Took, Detail: s.Detail}
		switch s.Name {
		case StageCapabilities:
			m.Status = status(s.Status, e.Tools > 0 || s.Status != "", Skipped)
			m.Outputs = map[string]int{"tools": max(e.Tools, 0)}
		case StageGovernance:
			e.governanceStage(&m)
		case StageModel:
			if model < len(e.Models) {
				e.Models[model].stage(&m)
				model++
			}
		case StageAnswer:
			m.Status = status(s.Status, true, Skipped)
			if m.Detail == "" {
				m.Detail = e.Answer
			}
		}
		m.Status = status(m.Status, true, Skipped)
		list = append(list, m)
		if s.Name == StageGovernance {
			list = append(list, e.after()...)
		}
	}
	return list
}

// status is the given one, or what is told from the facts.
func status(given string, passed bool, otherwise string) string {
	switch {
	case given != "":
		return given
	case passed:
		return Passed
	}
	return otherwise
}

func (e *Entry) governanceStage(m *MetaStage) {
	m.Inputs = map[string]int{"calls": len(e.Calls) + e.More}
	m.Outputs = map[string]int{}
	for _, c := range e.Calls {
		m.Outputs[c.Verdict]++
	}
	m.Status = status(m.Status, e.Decision() != "blocked", Blocked)
}

// after are the steps that follow from a judgement and take no time of their
// own: what was found missing, and whom the calls were handed to.
func (e *Entry) after() []MetaStage {
	detected, blocking := e.gaps()
	gaps := MetaStage{Name: StageGaps, Status: Passed, Outputs: map[string]int{"gaps": detected, "blocking": blocking}}
	switch {
	case blocking > 0:
		gaps.Status = Blocked
	case detected > 0:
		gaps.Status = Degraded
	}
	list := []MetaStage{gaps}
	escalated, asked := 0, 0
	for _, c := range e.Calls {
		if c.Went == WentHeld {
			switch c.Verdict {
			case "escalate":
				escalated++
			case "confirm":
				asked++
			}
		}
	}
	if escalated > 0 {
		list = append(list, MetaStage{Name: StageEscalation, Status: Blocked, Detail: "waits for a reviewer", Outputs: map[string]int{"calls": escalated}})
	}
	if asked > 0 {
		list = append(list, MetaStage{Name: StageHandoff, Status: Blocked, Detail: "waits for the requester", Outputs: map[string]int{"calls": asked}})
	}
	return list
}

func (m *ModelCall) stage(s *MetaStage) {
	s.Status = status(s.Status, m.Code == "", Failed)
	if m.Code != "" {
		s.Detail = m.Code
	}
	if m.Input+m.Output > 0 {
		s.Outputs = map[string]int{"input_tokens": int(m.Input), "output_tokens": int(m.Output)}
	}
}

// summary is one line: what happened and why.
func (e *Entry) summary() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	decision := e.Decision()
	switch {
	case decision != "":
		add("Governance: %s", decision)
	case e.Answer != "":
		add("Answer: %s", e.Answer)
	case e.Code == "" && len(e.Models) > 0:
		add("Answered directly")
	}
	if decision == "" && e.Answer == "" && e.Code == "" && e.governs() {
		add("no tool call")
	}
	for _, of := range []struct{ went, one, many string }{
		{WentOut, "%d call released", "%d calls released"},
		{WentHeld, "%d call held", "%d calls held"},
		{WentMissing, "%d call needs a fact", "%d calls need a fact"},
		{WentNowhere, "%d call refused", "%d calls refused"},
	} {
		n := 0
		for _, c := range e.Calls {
			if c.Went == of.went {
				n++
			}
		}
		switch {
		case n == 1:
			add(of.one, n)
		case n > 1:
			add(of.many, n)
		}
	}
	switch detected, blocking := e.gaps(); {
	case blocking == 1:
		add("1 blocking gap")
	case blocking > 1:
		add("%d blocking gaps", blocking)
	case detected > 0:
		add("%d gaps, none blocking", detected)
	}
	if e.Code != "" {
		add("error %s", e.Code)
	}
	if len(parts) == 0 {
		add("Done")
	}
	return strings.Join(parts, "; ")
}
