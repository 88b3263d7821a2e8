package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cadreen/store"
)

// record is what this room reads of a record; whoever wrote it owns its form.
type record struct {
	named
	ID             string    `json:"id"`
	Event          string    `json:"event"`
	Workspace      string    `json:"workspace"`
	Principal      string    `json:"principal"`
	CallID         string    `json:"tool_call_id"`
	Tool           string    `json:"tool"`
	ActionDigest   string    `json:"action_digest"`
	Verdict        string    `json:"verdict"`
	Cause          string    `json:"cause"`
	Fired          []fired   `json:"fired"`
	Created        time.Time `json:"created"`
	State          string    `json:"state"`
	Answer         string    `json:"answer"`
	Resolver       string    `json:"resolver"`
	Channel        string    `json:"channel"`
	Reason         string    `json:"reason"`
	SubjectName    string    `json:"subject_name"`
	SubjectVersion int       `json:"subject_version"`
	Roles          []string  `json:"roles"`
}

type fired struct {
	Policy      string `json:"policy"`
	Version     string `json:"version"`
	Rule        string `json:"rule"`
	Determining bool   `json:"determining"`
}

// named are the ids in a record.
type named struct {
	Conversation string `json:"conversation"`
	TraceID      string `json:"trace_id"`
	Via          string `json:"via"`
	Hold         string `json:"hold"`
	Escalation   string `json:"escalation"`
	Subject      string `json:"subject"`
}

// ids are what a record is found by.
func (r *named) ids() []string {
	list := make([]string, 0, 3)
	for _, id := range [...]string{r.TraceID, r.Via, r.Hold, r.Escalation, r.Conversation, r.Subject} {
		if id != "" && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

// Action is one record as it is shown.
type Action struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"` // what happened: decision, answer, release …
	Name       string    `json:"name"` // the tool, policy or key
	Timestamp  time.Time `json:"timestamp"`
	Status     string    `json:"status"` // what it is since then
	Details    string    `json:"details"`
	DurationMS int64     `json:"duration_ms"` // since the call was proposed

	Sequence     int64  `json:"sequence"` // in the log of its workspace
	Actor        string `json:"actor,omitempty"`
	Channel      string `json:"channel,omitempty"`
	Verdict      string `json:"verdict,omitempty"`
	ActionDigest string `json:"action_digest,omitempty"`
	TraceID      string `json:"trace_id,omitempty"`
	Via          string `json:"via,omitempty"`
	Conversation string `json:"conversation_id,omitempty"`
	Hold         string `json:"hold_id,omitempty"`
	Escalation   string `json:"escalation_id,omitempty"`
	CallID       string `json:"tool_call_id,omitempty"`
}

// found is a record with its action.
type found struct {
	record record
	action Action
}

// concerns says that a record in one place is about a workspace: it stands in that
// workspace, names it, or names none, which means all of them.
func (f *found) concerns(place, workspace string) bool {
	r := &f.record
	return place == workspace || r.Workspace == workspace || r.Workspace == "" && r.Event != ""
}

// show makes an action of an entry. What cannot be read is shown as such: the log
// was written to by somebody else.
func show(e store.Entry) found {
	var r record
	if err := json.Unmarshal(e.Value, &r); err != nil || r.Event == "" {
		return found{action: Action{Type: "unreadable", Status: "unreadable", Timestamp: e.At, Sequence: e.Seq, Details: "this entry is no record"}}
	}
	a := Action{ID: r.ID, Type: r.Event, Name: cmp.Or(r.Tool, r.SubjectName, r.Subject, r.Hold), Timestamp: e.At, Sequence: e.Seq,
		Status: r.status(), Details: r.details(), Actor: cmp.Or(r.Resolver, r.Principal), Channel: r.Channel, Verdict: r.Verdict,
		ActionDigest: r.ActionDigest, TraceID: r.TraceID, Via: r.Via, Conversation: r.Conversation, Hold: r.Hold, Escalation: r.Escalation, CallID: r.CallID}
	if !r.Created.IsZero() {
		a.DurationMS = max(e.At.Sub(r.Created).Milliseconds(), 0)
	}
	return found{r, a}
}

// status is the state afterwards; of a call that was only said, what it was.
func (r *record) status() string {
	switch {
	case r.State != "":
		return r.State
	case r.Verdict == "block":
		return "blocked"
	case r.Verdict == "clarify":
		return "needs_input"
	case r.Verdict == "confirm" || r.Verdict == "escalate":
		return "dropped" // of a choice that was not asked about
	case r.Verdict == "allow":
		return "allowed"
	}
	return "done"
}

// details are one line for people.
func (r *record) details() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if r.Verdict != "" {
		add("verdict %s (%s)", r.Verdict, cmp.Or(r.Cause, "unknown"))
	}
	var rules []string
	for _, f := range r.Fired {
		if f.Determining {
			rules = append(rules, f.Policy+"/"+f.Rule)
		}
	}
	if len(rules) > 0 {
		add("rules %s", strings.Join(rules, ", "))
	}
	if r.Answer != "" {
		add("answer %s", r.Answer)
	}
	if r.SubjectVersion > 0 {
		add("version %d", r.SubjectVersion)
	}
	if len(r.Roles) > 0 {
		add("roles %s", strings.Join(r.Roles, ", "))
	}
	if r.Resolver != "" {
		add("by %s", r.Resolver)
	}
	if r.Reason != "" {
		add("%s", r.Reason)
	}
	return strings.Join(parts, "; ")
}
