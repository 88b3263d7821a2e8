package api

import (
	"cadreen/governance"
	"cadreen/governance/policies"
	"cadreen/intelligence"
	"cadreen/intelligence/audit"
)

// Shapes are the answers of the resources by the name that the description of the
// API gives them. What is served is made from the same types.
func Shapes() map[string]any {
	return map[string]any{
		"Escalation": governance.Escalation{},
		"EscalationList": struct {
			Escalations []governance.Escalation `json:"escalations"`
			Count       int                     `json:"count"`
			Pagination  listPage                `json:"pagination"`
		}{},
		"Trace": trace{},
		"TraceList": struct {
			Traces     []trace  `json:"traces"`
			Count      int      `json:"count"`
			Pagination listPage `json:"pagination"`
		}{},
		"TraceStats":    intelligence.Stats{},
		"Handoff":       handoff{},
		"Replay":        replay{},
		"Preconditions": Checked{},
		"Assessment":    Assessment{},
		"AssessmentAnswer": struct {
			Assessment
			Wrapped Assessment `json:"assessment"`
		}{},
		"Setup":           checklist{},
		"Policy":          wholePolicy{},
		"PolicyConfirmed": confirmed{},
		"PolicyEvaluated": evaluated{},
		"PolicySimulated": simulated{},
		"PolicyList": struct {
			Policies   []policyView `json:"policies"`
			Version    int64        `json:"version"`
			Count      int          `json:"count"`
			Pagination listPage     `json:"pagination"`
		}{},
		"PolicyVersions": struct {
			ID         string       `json:"id"`
			Versions   []policyView `json:"versions"`
			Count      int          `json:"count"`
			Pagination listPage     `json:"pagination"`
		}{},
		"PolicyQuestions": struct {
			ID            string              `json:"id"`
			Version       int                 `json:"version"`
			Questions     []policies.Question `json:"questions"`
			NotUnderstood []unknownWord       `json:"not_understood"`
			Count         int                 `json:"count"`
			Pagination    listPage            `json:"pagination"`
		}{},
		"PolicyTested": struct {
			ID      string       `json:"id"`
			Version int          `json:"version"`
			Passed  int          `json:"passed"`
			Failed  int          `json:"failed"`
			Count   int          `json:"count"`
			Cases   []testedCase `json:"cases"`
		}{},
		"AuditList": struct {
			Actions    []audit.Action `json:"actions"`
			Count      int            `json:"count"`
			Pagination listPage       `json:"pagination"`
		}{},
		"AuditStats":    audit.Stats{},
		"AuditTimeline": audit.Timeline{},
		"AuditReport":   audit.Report{},
	}
}
