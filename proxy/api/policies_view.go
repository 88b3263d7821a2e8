package api

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"cadreen/governance"
	"cadreen/governance/policies"
)

// policyView is a version of a policy on the wire. The first fields are those of
// the public contract; clients read every one of them.
type policyView struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	Version       int    `json:"version"`
	Status        string `json:"status"`
	Domain        string `json:"domain"`
	Priority      int    `json:"priority"` // 0: the strictest verdict wins, whatever the order
	RequiresHuman bool   `json:"requires_human"`
	ApproverRole  string `json:"approver_role"`
	SLAHours      int    `json:"sla_hours"` // of the longest wait for a reviewer, rounded up
	Rationale     string `json:"rationale"`

	ConfirmationRequired bool   `json:"confirmation_required"`
	ApproveURL           string `json:"approve_url,omitempty"`
	Source               string `json:"source"`                   // api or file
	ActiveVersion        int    `json:"active_version,omitempty"` // what enforces
	LatestVersion        int    `json:"latest_version"`
	Digest               string `json:"digest,omitempty"`

	Interpreted *interpreted        `json:"interpreted,omitempty"`
	Questions   []policies.Question `json:"questions,omitempty"`
	// Confidence of a model that read a condition, the least of them; absent where
	// none did.
	Confidence float64 `json:"confidence,omitempty"`
	// Notes say why a model that was asked did not read a condition.
	Notes []string `json:"notes,omitempty"`
	// Findings are what was found of it beside the other policies, with a call that
	// shows it. They come with what makes a version.
	Findings      []governance.Finding `json:"findings,omitempty"`
	NotUnderstood []unknownWord        `json:"not_understood,omitempty"`
	Problems      []policies.Problem   `json:"problems,omitempty"`
	Warnings      []string             `json:"warnings,omitempty"`
	StopsAsking   []string             `json:"stops_asking,omitempty"`
	Examples      int                  `json:"examples,omitempty"` // that ran and came out right
	Stale         bool                 `json:"stale"`
	StaleTools    []string             `json:"stale_tools,omitempty"`

	CreatedAt   time.Time  `json:"created_at,omitzero"`
	CreatedBy   string     `json:"created_by,omitempty"`
	ConfirmedAt *time.Time `json:"confirmed_at,omitempty"`
	ConfirmedBy string     `json:"confirmed_by,omitempty"`

	rules []ruleView
}

// wholePolicy is a policy with a line for each of its rules.
type wholePolicy struct {
	policyView
	Policies []ruleView `json:"policies"`
}

func (v policyView) whole(rules []ruleView) wholePolicy {
	if rules == nil {
		rules = []ruleView{}
	}
	return wholePolicy{v, rules}
}

// ruleView is one rule in the fields of the public contract.
type ruleView struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	Domain        string `json:"domain"`
	Priority      int    `json:"priority"`
	RequiresHuman bool   `json:"requires_human"`
	ApproverRole  string `json:"approver_role"`
	SLAHours      int    `json:"sla_hours"`
	Rationale     string `json:"rationale"`
}

// interpreted is what a policy was understood as.
type interpreted struct {
	RequiresHuman bool              `json:"requires_human"`
	Match         interpretedMatch  `json:"match"`
	Rules         []interpretedRule `json:"rules"`
}

type interpretedMatch struct {
	Tools  []string `json:"tools"` // empty: every tool
	Domain string   `json:"domain,omitempty"`
}

type interpretedRule struct {
	policies.DocumentRule
	Means string `json:"means,omitempty"` // read back in one sentence
}

type unknownWord struct {
	Rule string `json:"rule"`
	policies.Word
}

// view shows a version of a policy.
func (s *Policies) view(p *policies.Policy, v *policies.Version, stale []string, c Author) policyView {
	out := policyView{ID: p.ID, Name: p.Name, Version: v.Number, Status: string(p.StatusOf(v.Number)), Domain: v.Domain,
		Rationale: v.Description, Source: "api", ActiveVersion: p.Active, LatestVersion: p.Latest, Digest: v.Digest,
		Problems: v.Problems, Warnings: v.Warnings, StopsAsking: v.Stops, Examples: v.Examples,
		Stale: len(stale) > 0, StaleTools: stale, CreatedAt: v.Created, CreatedBy: v.By}
	var means []string
	for _, r := range v.Rules {
		out.Questions = append(out.Questions, r.Questions...)
		out.Notes = append(out.Notes, r.Notes...)
		if r.Confidence > 0 && (out.Confidence == 0 || r.Confidence < out.Confidence) {
			out.Confidence = r.Confidence
		}
		for _, w := range r.Unknown {
			out.NotUnderstood = append(out.NotUnderstood, unknownWord{r.ID, w})
		}
		switch {
		case r.Means != "":
			means = append(means, r.Means)
		case r.Condition != "":
			means = append(means, r.Condition)
		}
	}
	if out.Rationale == "" {
		out.Rationale = strings.Join(means, " ")
	}
	for _, done := range slices.Backward(p.Confirmations) {
		if done.Version == v.Number {
			out.ConfirmedAt, out.ConfirmedBy = &done.At, done.By
			break
		}
	}
	out.ConfirmationRequired = p.Status != policies.Retired && v.Number == p.Latest && v.Number != p.Active
	if out.ConfirmationRequired {
		out.ApproveURL = c.BaseURL + "/api/v1/cadreen/policies/" + p.ID + "/confirm"
	}
	var document policies.Document
	if v.Document == nil || json.Unmarshal(v.Document, &document) != nil {
		return out
	}
	out.interpret(document, v.Rules)
	return out
}

// interpret fills in what the rules say.
func (v *policyView) interpret(document policies.Document, reports []policies.RuleReport) {
	in := &interpreted{Match: interpretedMatch{Tools: []string{}, Domain: v.Domain}, Rules: make([]interpretedRule, len(document.Rules))}
	everyTool := false
	for i, r := range document.Rules {
		one := ruleView{ID: r.ID, Name: r.ID, Domain: v.Domain, Rationale: r.Condition}
		in.Rules[i].DocumentRule = r
		if i < len(reports) && reports[i].Means != "" {
			in.Rules[i].Means, one.Rationale = reports[i].Means, reports[i].Means
		}
		everyTool = everyTool || len(r.Tools) == 0
		for _, t := range r.Tools {
			if !slices.Contains(in.Match.Tools, t) {
				in.Match.Tools = append(in.Match.Tools, t)
			}
		}
		if r.Mode == governance.Enforce || r.Mode == "" {
			for _, l := range r.When {
				one.line(l)
			}
		}
		v.RequiresHuman = v.RequiresHuman || one.RequiresHuman
		v.SLAHours = max(v.SLAHours, one.SLAHours)
		if v.ApproverRole == "" {
			v.ApproverRole = one.ApproverRole
		}
		v.rules = append(v.rules, one)
	}
	if everyTool {
		in.Match.Tools = []string{}
	}
	in.RequiresHuman = v.RequiresHuman
	v.Interpreted = in
}

// line adds what one line of a rule asks of people.
func (r *ruleView) line(l policies.DocumentLine) {
	r.RequiresHuman = r.RequiresHuman || l.Effect == governance.Confirm || l.Effect == governance.Escalate
	if l.Effect != governance.Escalate {
		return
	}
	if role, ok := strings.CutPrefix(l.To, "role:"); ok && r.ApproverRole == "" {
		r.ApproverRole = role
	}
	if d, err := time.ParseDuration(l.Expires); err == nil {
		r.SLAHours = max(r.SLAHours, int(math.Ceil(d.Hours())))
	}
}

// fileID is the id of a policy in a file: its text's.
func fileID(p governance.Policy) string { return "file_" + p.Version }

// fileView shows a policy in a file, with its tools whose schema is not the one that
// policies.lock was written for.
func fileView(p governance.Policy, stale []string) policyView {
	v := policyView{ID: fileID(p), Name: p.Name, Version: 1, Status: string(policies.Active), Domain: p.Domain, Source: "file",
		ActiveVersion: 1, LatestVersion: 1, Digest: p.FullDigest(), Stale: len(stale) > 0, StaleTools: stale}
	v.interpret(policies.DocumentOf(p), nil)
	return v
}

func fileRules(p governance.Policy) []ruleView {
	v := policyView{Domain: p.Domain}
	v.interpret(policies.DocumentOf(p), nil)
	return v.rules
}
