package intelligence

import (
	"slices"
	"time"

	"cadreen/fault"
)

// Version is that of the wire form of a trace.
const Version = "1.0"

// Meta is the wire form of a trace. What the profile leaves out is absent, and
// so is what was not measured or decided.
type Meta struct {
	Version        string            `json:"version"`
	Summary        string            `json:"summary"`
	Capability     *Capability       `json:"capability,omitempty"`
	Reasoning      *Reasoning        `json:"reasoning,omitempty"`
	Memory         *Memory           `json:"memory,omitempty"`
	Governance     Governance        `json:"governance"`
	Humility       Humility          `json:"humility"`
	Process        *Process          `json:"process,omitempty"`
	NextAction     *fault.NextAction `json:"next_action,omitempty"`
	Stages         []MetaStage       `json:"stages,omitempty"`
	FieldStability *FieldStability   `json:"field_stability,omitempty"`
}

// Capability is what could be used. HealthyCount and ActiveIntegrations are
// about connections of the server, whose health is watched; tools that a client
// brings are not, and count in TotalAvailable only.
type Capability struct {
	TotalAvailable     int      `json:"total_available"`
	HealthyCount       int      `json:"healthy_count"`
	ActiveIntegrations []string `json:"active_integrations"`
}

// Reasoning is why the answer went the way it did.
type Reasoning struct {
	// CapabilityMatches is how many of the proposed calls name an available tool.
	CapabilityMatches int    `json:"capability_matches"`
	Model             string `json:"model,omitempty"`
}

// Memory is what was looked up. This version has no memory.
type Memory struct {
	Healthy          bool `json:"healthy"`
	KnowledgeQueried int  `json:"knowledge_queried"`
}

// Governance is what was decided.
type Governance struct {
	Active     bool    `json:"active"`
	Decision   string  `json:"decision,omitempty"`
	Confidence float64 `json:"confidence,omitempty"`
	// Verdict is the decisive verdict in the policies' own word.
	Verdict    string             `json:"verdict,omitempty"`
	Gate       string             `json:"gate,omitempty"`
	ReasonCode string             `json:"reason_code,omitempty"`
	PolicyID   string             `json:"policy_id,omitempty"`
	Rule       string             `json:"rule,omitempty"`
	Calls      []MetaCall         `json:"calls,omitempty"`
	Next       []fault.NextAction `json:"next_actions,omitempty"`
}

// MetaCall is one call of the governance section.
type MetaCall struct {
	Tool       string            `json:"tool"`
	Arguments  map[string]string `json:"arguments,omitempty"` // kinds of the values, which are left out
	Verdict    string            `json:"verdict"`
	Outcome    string            `json:"outcome,omitempty"`
	ReasonCode string            `json:"reason_code,omitempty"`
	Policy     string            `json:"policy,omitempty"`
	Version    string            `json:"version,omitempty"`
	Rule       string            `json:"rule,omitempty"`
	Line       int               `json:"line,omitempty"`
	Escalation string            `json:"escalation_id,omitempty"`
}

// Humility is what was not known.
type Humility struct {
	GapsDetected int   `json:"gaps_detected"`
	Blocking     int   `json:"blocking"`
	Gaps         []Gap `json:"gaps,omitempty"`
}

// Gap is one thing that was not known.
type Gap struct {
	Tool     string `json:"tool,omitempty"`
	Fact     string `json:"fact,omitempty"`
	Supplier string `json:"supplied_by,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Blocking bool   `json:"blocking"`
}

// Process is when and with which parts.
type Process struct {
	TraceID    string          `json:"trace_id"`
	StartedAt  time.Time       `json:"started_at"`
	DurationMS int64           `json:"duration_ms"`
	Components map[string]bool `json:"components"`
	HTTPStatus int             `json:"http_status,omitempty"`
	ErrorCode  string          `json:"error_code,omitempty"`
	// W3CTraceID is the id of the W3C trace that the request belongs to.
	W3CTraceID string `json:"w3c_trace_id,omitempty"`
}

// MetaStage is one step.
type MetaStage struct {
	Name       string         `json:"name"`
	Status     string         `json:"status"`
	DurationMS int64          `json:"duration_ms"`
	DurationUS int64          `json:"duration_us,omitempty"`
	Detail     string         `json:"detail,omitempty"`
	Inputs     map[string]int `json:"inputs,omitempty"`
	Outputs    map[string]int `json:"outputs,omitempty"`
}

// FieldStability says which fields may be relied on.
type FieldStability struct {
	Stable   []string `json:"stable"`
	Evolving []string `json:"evolving"`
	Internal []string `json:"internal"`
}

var stability = &FieldStability{
	Stable: []string{"version", "summary", "capability.total_available", "governance.active", "governance.decision",
		"humility.gaps_detected", "humility.blocking", "next_action.type", "next_action.label"},
	Evolving: []string{"capability.healthy_count", "capability.active_integrations", "reasoning.capability_matches", "memory",
		"governance.confidence", "governance.verdict", "governance.gate", "governance.reason_code", "governance.policy_id",
		"governance.calls", "governance.next_actions", "humility.gaps", "stages"},
	Internal: []string{"process.started_at", "process.duration_ms", "process.components", "stages.duration_us", "reasoning.model"},
}

// Meta is the entry in its wire form, as far as the profile shows it: Full and
// Unnamed all of it, Audit what was decided and what was missing, Lean nothing.
func (e *Entry) Meta(p Profile) *Meta {
	if p == Lean {
		return nil
	}
	m := &Meta{Version: Version, Summary: e.summary(), Governance: e.governance(), Humility: e.humility(), NextAction: e.Next}
	if p == Audit {
		return m
	}
	if e.Tools >= 0 {
		m.Capability = &Capability{TotalAvailable: e.Tools, ActiveIntegrations: []string{}}
		m.Reasoning = &Reasoning{CapabilityMatches: e.matches()}
		if n := len(e.Models); n > 0 {
			m.Reasoning.Model = e.Models[n-1].Model
		}
	}
	m.Memory = &Memory{}
	m.Process = &Process{TraceID: e.ID, StartedAt: e.Started.UTC(), DurationMS: e.Took / 1000, HTTPStatus: e.Status, ErrorCode: e.Code, W3CTraceID: e.W3C,
		Components: map[string]bool{"memory": false, "governance": e.governs(), "tools": e.Tools > 0, "model": len(e.Models) > 0}}
	m.Stages = e.stages()
	m.FieldStability = stability
	return m
}

// governs says that the policies stood over this request: calls were judged, or
// would have been.
func (e *Entry) governs() bool { return e.Tools >= 0 || len(e.Calls) > 0 }

func (e *Entry) matches() int {
	n := 0
	for _, c := range e.Calls {
		if c.Offered {
			n++
		}
	}
	return n
}

func (e *Entry) governance() Governance {
	g := Governance{Active: e.governs(), Decision: e.Decision(), Gate: e.Gate}
	g.Confidence, _ = e.confidence()
	if c := e.decisive(); c != nil {
		g.Verdict, g.ReasonCode, g.PolicyID, g.Rule = c.Verdict, c.Reason, c.Policy, c.Rule
	}
	if e.Answer != "" {
		g.ReasonCode = e.Answer
	}
	for _, c := range e.Calls {
		g.Calls = append(g.Calls, c.meta())
	}
	if e.Next != nil && e.Next.Type != "none" {
		g.Next = []fault.NextAction{*e.Next}
	}
	return g
}

func (c *Call) meta() MetaCall {
	m := MetaCall{Tool: c.Tool, Verdict: c.Verdict, Outcome: c.Went, ReasonCode: c.Reason, Policy: c.Policy,
		Version: c.Version, Rule: c.Rule, Line: c.Line, Escalation: c.Escalation}
	if len(c.Arguments) > 0 {
		m.Arguments = make(map[string]string, len(c.Arguments))
		for _, a := range c.Arguments {
			m.Arguments[a.Name] = a.Kind
		}
	}
	return m
}

func (e *Entry) humility() Humility {
	h := Humility{Gaps: slices.Clone(e.Gaps)}
	h.GapsDetected, h.Blocking = e.gaps()
	for _, c := range e.Calls {
		if c.Gap {
			h.Gaps = append(h.Gaps, Gap{Tool: c.Tool, Fact: c.Missing, Supplier: c.Supplier, Reason: c.Reason, Blocking: c.Went != WentOut})
		}
	}
	return h
}
