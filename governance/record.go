package governance

import "time"

// RecordLog is the append-only log of every decision, answer and release of a
// workspace. Its entries are Records as JSON.
const RecordLog = "records"

// Record is one line of the decision log: what happened to one call, or to a
// hold as a whole. Argument bytes are not in it, only their digest.
type Record struct {
	Event        string    `json:"event"` // decision, answer, release, expire, supersede, cancel, escalation
	Workspace    string    `json:"workspace"`
	Conversation string    `json:"conversation"`
	TraceID      string    `json:"trace_id"`
	Principal    string    `json:"principal"`
	Turn         int       `json:"turn,omitempty"`
	Hold         string    `json:"hold,omitempty"`
	Escalation   string    `json:"escalation,omitempty"`
	CallID       string    `json:"tool_call_id,omitempty"`
	Tool         string    `json:"tool,omitempty"`
	SchemaHash   string    `json:"schema_hash,omitempty"`
	ActionDigest string    `json:"action_digest,omitempty"`
	Verdict      Verdict   `json:"verdict,omitempty"`
	Cause        string    `json:"cause,omitempty"` // CallDecision.Reason
	Fired        []Fired   `json:"fired,omitempty"`
	Bundle       string    `json:"bundle,omitempty"`
	PromptHash   string    `json:"prompt_hash,omitempty"`
	Created      time.Time `json:"created,omitzero"`
	Expires      time.Time `json:"expires,omitzero"`
	State        State     `json:"state,omitempty"`
	Answer       string    `json:"answer,omitempty"`
	Resolver     string    `json:"resolver,omitempty"`
	Channel      string    `json:"channel,omitempty"`
	Reason       string    `json:"reason,omitempty"`
}

// Events of a Record.
const (
	EventDecision   = "decision"
	EventAnswer     = "answer"
	EventRelease    = "release"
	EventDeny       = "deny"
	EventExpire     = "expire"
	EventSupersede  = "supersede"
	EventCancel     = "cancel"
	EventEscalation = "escalation"
)

func (t *Turn) record(call Call, cd CallDecision) Record {
	f := &t.Facts
	return Record{Event: EventDecision, Workspace: f.Workspace, Conversation: f.Conversation, TraceID: t.TraceID,
		Principal: f.Requester.ID, Turn: f.Turns, CallID: call.ID, Tool: call.Name, SchemaHash: cd.SchemaHash,
		ActionDigest: cd.ArgsDigest, Verdict: cd.Verdict, Cause: cd.Reason, Fired: cd.Fired, Created: f.Now}
}

func (h *Hold) record(event string) Record {
	return Record{Event: event, Workspace: h.Workspace, Conversation: h.Conversation, TraceID: h.TraceID,
		Principal: h.Principal, Hold: h.ID, State: h.State, Resolver: h.Resolver, Channel: h.Channel,
		Reason: h.Reason, PromptHash: h.PromptPrint, Created: h.Created, Expires: h.Expires}
}

func (h *Hold) itemRecord(event string, it Item) Record {
	r := h.record(event)
	r.CallID, r.Tool, r.Verdict, r.Answer = it.CallID, it.Name, it.Verdict, it.Answer
	r.ActionDigest, r.SchemaHash = it.Decision.ArgsDigest, it.Decision.SchemaHash
	r.Cause, r.Fired, r.Escalation = it.Decision.Reason, it.Decision.Fired, it.Escalation
	if it.By != "" {
		r.Resolver = it.By
	}
	return r
}
