package api

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/tools"
)

// Assess says whether a task in plain words can be done, with what, and what is
// missing. It compares words, looks the tools up in the policies, writes nothing
// and asks no model.
type Assess struct {
	Deciding Deciding
	Seen     Seen
	Now      func() time.Time
}

// mostMatches bounds the tools that an assessment speaks of.
const mostMatches = 10

// Assessment is what is known about a task.
type Assessment struct {
	Task            string       `json:"task"`
	Capabilities    []capability `json:"capabilities"`
	Gaps            []gap        `json:"gaps"`
	GapFilling      []gapFilling `json:"gap_filling_tasks"`
	BlockingGaps    int          `json:"blocking_gaps"`
	Recommended     []recommend  `json:"policies_recommended"`
	Clarify         []string     `json:"needs_clarification"`
	CanDo           float64      `json:"can_do"` // 0 to 1
	Quality         string       `json:"assessment_quality"`
	Ready           int          `json:"ready_capabilities"`
	Total           int          `json:"total_capabilities"`
	GapCount        int          `json:"gap_count"`
	ReadyForUse     bool         `json:"ready_for_deployment"`
	Stack           stack        `json:"stack"`
	GovernanceGuess judged       `json:"governance_decision"`
	Outcomes        []foreseen   `json:"outcomes"`
}

// capability is a tool that may do it. Its health is unknown: clients run it.
type capability struct {
	Name        string   `json:"name"`
	HumanName   string   `json:"human_name"`
	Description string   `json:"description"`
	Score       float64  `json:"score"`
	MatchedOn   []string `json:"matched_on"`
	Health      string   `json:"health"`
	Source      string   `json:"source"`
	Status      string   `json:"status"` // approved, conditional or blocked
	Functions   []string `json:"functions"`
	Category    string   `json:"category"` // read, write or unknown
}

type gap struct {
	Capability  string `json:"capability"`
	Reason      string `json:"reason"`
	Description string `json:"description"`
	Blocking    bool   `json:"blocking"`
	Severity    string `json:"severity"`
	Source      string `json:"source"`
}

type gapFilling struct {
	Capability string `json:"capability"`
	Task       string `json:"task"`
	Endpoint   string `json:"endpoint,omitempty"`
}

type recommend struct {
	Policy   string `json:"policy"`
	Reason   string `json:"reason"`
	Action   string `json:"action"`
	Blocking bool   `json:"blocking"`
}

type stack struct {
	UserData   []part `json:"user_data"`
	Cadreen    []part `json:"cadreen"`
	Connectors []part `json:"connectors"`
	Gaps       []part `json:"gaps"`
}

type part struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	Status      string   `json:"status"`
	Description string   `json:"description"`
	Contains    []string `json:"contains"`
	Functions   []string `json:"functions"`
}

// judged is what policy says about the best tool, as far as that can be told
// without arguments; Confidence is the part of its preconditions that can.
type judged struct {
	Type       string  `json:"type"`
	Confidence float64 `json:"confidence"`
	Reason     string  `json:"reason"`
}

type foreseen struct {
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Confidence  float64  `json:"confidence"`
	Ready       bool     `json:"ready"`
	BlockedBy   []string `json:"blocked_by"`
}

// Assess answers POST /assess.
func (a *Assess) Assess(w http.ResponseWriter, r *http.Request, c Caller) error {
	var q struct {
		Task   string `json:"task"`
		Domain string `json:"domain"`
	}
	if err := readBody(r, &q); err != nil {
		return err
	}
	if strings.TrimSpace(q.Task) == "" {
		f := fault.New(fault.AssessmentMissingTask, "")
		f.Param = "task"
		return f
	}
	seen, err := a.Seen.Tools(r.Context(), c.Workspace)
	if err != nil {
		return err
	}
	bundle, err := a.Deciding.For(r.Context(), c.Workspace)
	if err != nil {
		return err
	}
	facts := governance.Facts{Workspace: c.Workspace, Domain: q.Domain, Requester: c.Requester, Now: a.Now().UTC(), Tools: map[string]governance.Tool{}}
	for _, t := range seen {
		facts.Tools[t.Name] = t
	}
	found := tools.Matching(seen, q.Task)
	answer := assessment(q.Task, len(seen), found[:min(len(found), mostMatches)], func(t governance.Tool) prospect { return prospectOf(bundle, facts, t) })
	// Clients read it in either place.
	return write(w, r, struct {
		Assessment
		Wrapped Assessment `json:"assessment"`
	}{answer, answer})
}

// prospect is what policy says of a tool before its arguments are known.
type prospect struct {
	decision string   // approved, conditional or blocked
	known    float64  // part of the preconditions whose state is known
	reason   string   // of the first that is not met
	rules    []string // that hold it back, or may
	facts    []string // that rules may ask the requester for
	named    bool     // a rule names the tool
	kind     governance.Kind
}

func prospectOf(b *governance.Bundle, facts governance.Facts, t governance.Tool) prospect {
	list, _ := b.Preconditions(facts, governance.Call{Name: t.Name, Form: governance.FormFunction, Arguments: "{}"},
		governance.Unsupplied{Arguments: true, Words: true, Conversation: true, Ledger: true})
	p := prospect{decision: "approved", kind: governance.GuessKind(t), reason: "nothing holds it back"}
	known := 0
	for _, x := range list {
		if x.State != governance.Unknown {
			known++
		}
		p.named = p.named || x.Rule != ""
		if x.State == governance.Met || x.Policy == "" && x.Expression != "" {
			continue // the arguments that a schema requires come with the call
		}
		if x.Rule != "" && !slices.Contains(p.rules, x.Rule) {
			p.rules = append(p.rules, x.Rule)
		}
		if x.Fact != "" && x.Tool == "" {
			p.facts = append(p.facts, x.Fact)
		}
		word := "conditional"
		if x.State == governance.Unmet && x.Effect == governance.Block {
			word = "blocked"
		}
		if p.decision == "approved" || word == "blocked" && p.decision != "blocked" {
			p.decision, p.reason = word, x.Detail
		}
	}
	if len(list) > 0 {
		p.known = float64(known) / float64(len(list))
	}
	return p
}

// assessment puts together what was found.
func assessment(task string, total int, found []tools.Match, prospects func(governance.Tool) prospect) Assessment {
	a := Assessment{Task: task, Total: total, Quality: "partial",
		Capabilities: []capability{}, Gaps: []gap{}, GapFilling: []gapFilling{}, Recommended: []recommend{}, Clarify: []string{}, Outcomes: []foreseen{},
		Stack: stack{UserData: []part{}, Cadreen: []part{}, Connectors: []part{}, Gaps: []part{}}}
	var best *prospect
	for _, m := range found {
		p := prospects(m.Tool)
		a.add(m, p)
		if p.decision != "blocked" {
			a.Ready++
			if best == nil {
				best, a.CanDo = &p, m.Score
			}
		}
	}
	switch {
	case len(found) == 0:
		a.Quality = "insufficient_data"
		a.GovernanceGuess = judged{Type: "blocked", Reason: "no tool that clients of this workspace have offered has a word of the task in its name"}
		a.lack("", "no_tool", a.GovernanceGuess.Reason, "Offer a tool for it in `tools`", "/api/v1/cadreen/intent")
	case best == nil:
		p := prospects(found[0].Tool)
		a.GovernanceGuess = judged{p.decision, p.known, p.reason}
		a.lack(found[0].Tool.Name, "blocked_by_policy", p.reason, "Change the policy, or leave the task to a person", "")
	default:
		a.GovernanceGuess = judged{best.decision, best.known, best.reason}
		a.Clarify = append(a.Clarify, best.facts...)
		if best.known == 1 {
			a.Quality = "complete"
		}
	}
	a.GapCount = len(a.Gaps)
	a.ReadyForUse = best != nil && a.BlockingGaps == 0
	return a
}

func (a *Assessment) add(m tools.Match, p prospect) {
	name := m.Tool.Name
	human := strings.Join(strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("_-./:", r) }), " ")
	a.Capabilities = append(a.Capabilities, capability{Name: name, HumanName: human, Description: m.Tool.Description, Score: m.Score, MatchedOn: m.On,
		Health: "unknown", Source: "client", Status: p.decision, Functions: []string{name}, Category: string(p.kind)})
	a.Stack.Connectors = append(a.Stack.Connectors, part{Name: name, Type: "tool", Source: "client", Status: p.decision, Description: m.Tool.Description,
		Contains: []string{}, Functions: []string{name}})
	if len(p.rules) > 0 {
		a.Stack.Cadreen = append(a.Stack.Cadreen, part{Name: name, Type: "policy", Source: "cadreen", Status: p.decision, Description: p.reason,
			Contains: p.rules, Functions: []string{}})
	}
	if !p.named && p.kind != governance.KindRead {
		a.Recommended = append(a.Recommended, recommend{Policy: "a rule about " + name, Reason: "no rule names it, so the profile decides: " + p.reason, Action: "add_policy"})
	}
	a.Outcomes = append(a.Outcomes, foreseen{Title: "Call " + name, Description: p.reason, Confidence: m.Score, Ready: p.decision == "approved",
		BlockedBy: append([]string{}, p.rules...)})
}

// lack notes a gap that keeps the task from being done.
func (a *Assessment) lack(tool, reason, text, task, endpoint string) {
	a.BlockingGaps++
	name := cmp.Or(tool, "a tool for this task")
	a.Gaps = append(a.Gaps, gap{Capability: name, Reason: reason, Description: text, Blocking: true, Severity: "blocking", Source: "assessment"})
	a.GapFilling = append(a.GapFilling, gapFilling{Capability: name, Task: task, Endpoint: endpoint})
	a.Stack.Gaps = append(a.Stack.Gaps, part{Name: name, Type: "gap", Source: "assessment", Status: "missing", Description: text, Contains: []string{}, Functions: []string{}})
}
