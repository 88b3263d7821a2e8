package api

import (
	"fmt"
	"net/http"
	"strings"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/intelligence"
)

// Modes of a replay.
const (
	modeCurrent    = "current"    // today's policies judge the recorded calls
	modeHistorical = "historical" // what was decided then
)

// replay is a decision made again. What cannot be told is absent.
type replay struct {
	TraceID            string                   `json:"trace_id"`
	Mode               string                   `json:"mode"`
	Domain             string                   `json:"domain"`
	OriginalGate       string                   `json:"original_gate,omitempty"`
	OriginalConfidence float64                  `json:"original_confidence,omitempty"`
	CurrentGate        string                   `json:"current_gate,omitempty"`
	CurrentConfidence  float64                  `json:"current_confidence,omitempty"`
	GateChanged        bool                     `json:"gate_changed"`
	ChangeSummary      string                   `json:"change_summary"`
	Capability         *intelligence.Capability `json:"current_capability,omitempty"`
	Memory             *intelligence.Memory     `json:"current_memory"`
	Gaps               []intelligence.Gap       `json:"current_gaps"`
	Note               string                   `json:"replay_note"`
	Calls              []replayedCall           `json:"calls"`
}

// replayedCall is one call, before and after.
type replayedCall struct {
	Tool       string `json:"tool"`
	Original   string `json:"original_verdict"`
	Current    string `json:"current_verdict,omitempty"`
	Changed    bool   `json:"changed"`
	Rule       string `json:"rule,omitempty"` // policy/rule that decides now
	CannotTell string `json:"cannot_tell,omitempty"`
}

// Replay judges the calls of a trace again, with the facts and the time of then.
// Body: {mode}, current if absent. Nothing is changed by it.
func (s *Traces) Replay(w http.ResponseWriter, r *http.Request, c Reader, id string) error {
	var body struct {
		Mode string `json:"mode"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	switch body.Mode {
	case "":
		body.Mode = modeCurrent
	case modeCurrent, modeHistorical:
	default:
		f := fault.New(fault.InvalidRequest, "mode must be current or historical")
		f.Param = "mode"
		return f
	}
	e, err := s.find(r.Context(), c, id)
	if err != nil {
		return err
	}
	if s.Evidence == nil || s.Deciding == nil {
		return fault.New(fault.IntelligenceUnavailable, "Nothing can be judged again here")
	}
	evidence, err := s.Evidence.Evidence(r.Context(), c.Workspace, id)
	if err != nil {
		return queryFault(err, fault.IntelligenceQueryFailed)
	}
	m := e.Meta(intelligence.Full)
	out := replay{TraceID: e.ID, Mode: body.Mode, Domain: e.Domain, OriginalGate: e.Gate, OriginalConfidence: m.Governance.Confidence,
		Memory: m.Memory, Gaps: []intelligence.Gap{}, Calls: []replayedCall{}}
	switch {
	case len(evidence) == 0:
		out.nothing(&e)
	case body.Mode == modeHistorical:
		out.asRecorded(evidence, m)
	default:
		bundle, err := s.Deciding.For(r.Context(), c.Workspace)
		if err != nil {
			return queryFault(err, fault.IntelligenceQueryFailed)
		}
		out.again(evidence, bundle)
	}
	return write(w, r, out)
}

// nothing says why there is nothing to judge.
func (p *replay) nothing(e *intelligence.Entry) {
	p.ChangeSummary = "Nothing was judged again"
	switch {
	case e.Judged:
		p.Note = "What the calls were judged by is not kept any more."
	case e.Answer != "":
		p.Note = "The request answered a question about calls; they were judged in the trace of the request that proposed them."
	default:
		p.Note = "The request proposed no calls."
	}
}

func (p *replay) asRecorded(evidence []governance.Evidence, m *intelligence.Meta) {
	for _, ev := range evidence {
		for _, call := range ev.Calls {
			p.Calls = append(p.Calls, replayedCall{Tool: intelligence.Redact(call.Name), Original: call.Verdict.String(), Current: call.Verdict.String(), Rule: call.Rule})
		}
	}
	p.CurrentGate, p.CurrentConfidence, p.Capability, p.Gaps = p.OriginalGate, p.OriginalConfidence, m.Capability, append(p.Gaps, m.Humility.Gaps...)
	p.ChangeSummary = "As it was decided"
	p.Note = "These are the recorded decisions: the same policies decide the same of the same facts." + versionNote(evidence)
}

func versionNote(evidence []governance.Evidence) string {
	if v := evidence[len(evidence)-1].Bundle; v != "" {
		return " Version of the policies: " + v + "."
	}
	return ""
}

// again judges by other policies. The gate is that of the last reply of the
// model: the refusal of an earlier one was given back to it.
func (p *replay) again(evidence []governance.Evidence, bundle *governance.Bundle) {
	var changes []string
	cannot := ""
	for i, ev := range evidence {
		redecided := ev.Redecide(bundle)
		for _, re := range redecided {
			call := replayedCall{Tool: intelligence.Redact(re.Call.Name), Original: re.Before.String(), Changed: re.Changed(), CannotTell: re.CannotTell}
			if re.CannotTell != "" {
				cannot = re.CannotTell
			} else {
				call.Current, call.Rule = re.After.Verdict.String(), re.After.Determining()
				p.gap(&re)
			}
			if call.Changed {
				changes = append(changes, fmt.Sprintf("%s: %s → %s", call.Tool, call.Original, call.Current))
			}
			p.Calls = append(p.Calls, call)
		}
		if i == len(evidence)-1 && cannot == "" {
			p.gate(ev, redecided)
		}
	}
	version := ""
	if v := bundle.Version(); v != "" {
		version = " Version of the policies: " + v + "."
	}
	switch {
	case cannot != "":
		p.ChangeSummary, p.Note = "It cannot be told what would be decided today", "Why not: "+cannot+"."+version
	case len(changes) == 0:
		p.ChangeSummary, p.Note = "The same would be decided today", "Judged with the facts and the time of then."+version
	default:
		p.ChangeSummary, p.Note = strings.Join(changes, "; "), "Judged with the facts and the time of then."+version
	}
}

// gate is what the last reply would come to.
func (p *replay) gate(ev governance.Evidence, redecided []governance.Redecided) {
	calls := make([]governance.Call, len(redecided))
	decisions := make([]governance.CallDecision, len(redecided))
	for i, re := range redecided {
		calls[i], decisions[i] = re.Call, re.After
		if confidence, ok := re.After.Confidence(); ok && (p.CurrentConfidence == 0 || confidence < p.CurrentConfidence) {
			p.CurrentConfidence = confidence
		}
	}
	p.CurrentGate = string(governance.GateOf(calls, decisions))
	p.GateChanged = p.OriginalGate != "" && p.CurrentGate != p.OriginalGate
	p.Capability = &intelligence.Capability{TotalAvailable: len(ev.Facts.Tools), ActiveIntegrations: []string{}}
}

func (p *replay) gap(re *governance.Redecided) {
	if d := &re.After; d.Gap() {
		p.Gaps = append(p.Gaps, intelligence.Gap{Tool: intelligence.Redact(re.Call.Name), Fact: intelligence.Redact(d.Missing),
			Supplier: intelligence.Redact(d.Supplier), Reason: d.Reason, Blocking: d.Verdict != governance.Allow})
	}
}
