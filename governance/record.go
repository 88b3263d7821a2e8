package governance

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"cadreen/store"
)

// RecordLog is the append-only log of every decision, answer, release and policy
// change of a workspace; changes of keys stand in that of store.System, where the
// keys are. Its entries are Records as JSON. What is in it is sealed by the audit
// chain (intelligence/audit), so nothing may be appended to it but Records.
const RecordLog = "records"

// Record is one line of the decision log: what happened to one call, or to a
// hold as a whole (then CallID and Tool are empty). No argument bytes are in it,
// and nothing rendered from them: the log cannot be erased.
//
// Every record is written in the same commit as what it tells of. A call that
// left at once has a decision with State released; a call that left after an
// answer has a release with the same hold and call id.
type Record struct {
	ID           string  `json:"id"`
	Event        string  `json:"event"` // one of the Event… words
	Workspace    string  `json:"workspace"`
	Conversation string  `json:"conversation"`
	TraceID      string  `json:"trace_id"`      // of the request that proposed the call
	Via          string  `json:"via,omitempty"` // trace id of the request that did this, where it is another
	Principal    string  `json:"principal"`
	Turn         int     `json:"turn,omitempty"`
	Hold         string  `json:"hold,omitempty"`
	Escalation   string  `json:"escalation,omitempty"`
	CallID       string  `json:"tool_call_id,omitempty"`
	Tool         string  `json:"tool,omitempty"`
	SchemaHash   string  `json:"schema_hash,omitempty"`
	ActionDigest string  `json:"action_digest,omitempty"`
	Verdict      Verdict `json:"verdict,omitempty"`
	Cause        string  `json:"cause,omitempty"` // CallDecision.Reason
	Fired        []Fired `json:"fired,omitempty"` // policies with versions, rules and lines; without messages
	// Bundle is the version of all policies together, where this event judged.
	Bundle     string    `json:"bundle,omitempty"`
	PromptHash string    `json:"prompt_hash,omitempty"` // the question that stood when this happened
	Created    time.Time `json:"created,omitzero"`      // when the call was proposed
	At         time.Time `json:"at,omitzero"`           // when this happened
	Expires    time.Time `json:"expires,omitzero"`
	State      State     `json:"state,omitempty"` // afterwards
	Answer     string    `json:"answer,omitempty"`
	Resolver   string    `json:"resolver,omitempty"` // who: a principal, or "policy"; nobody for a time-out
	Channel    string    `json:"channel,omitempty"`  // one of the Channel… words
	Reason     string    `json:"reason,omitempty"`
	// Of a change of a policy or a key: which, and what it is from now on.
	Subject        string   `json:"subject,omitempty"`         // its id
	SubjectName    string   `json:"subject_name,omitempty"`    // as people call it
	SubjectVersion int      `json:"subject_version,omitempty"` // of a policy
	SubjectDigest  string   `json:"subject_digest,omitempty"`  // of a policy's text
	Roles          []string `json:"roles,omitempty"`           // of a key
}

// Events of a Record.
const (
	EventDecision   = "decision"   // a call was judged, or judged again
	EventAsk        = "ask"        // what stays open was asked about anew
	EventAnswer     = "answer"     // a call was answered
	EventRelease    = "release"    // a call, or a hold with at least one, was released
	EventDeny       = "deny"       // a call of a released hold stays behind, or a hold was denied
	EventExpire     = "expire"     // the time ran out
	EventSupersede  = "supersede"  // the requester went on without answering
	EventCancel     = "cancel"     // a hold was taken back, or its bytes are gone
	EventEscalation = "escalation" // a reviewer decided or asked, or the requester replied
	EventResult     = "result"     // the first result of a released call was seen: ok, failed or unknown

	EventPolicyCreate  = "policy_create"  // a draft was made
	EventPolicyChange  = "policy_change"  // a draft or the name of a policy was changed
	EventPolicyConfirm = "policy_confirm" // a version became active
	EventPolicyRetire  = "policy_retire"  // a policy enforces nothing from now on
	EventPolicyFiles   = "policy_files"   // the policies of files, or the profile, are others than before

	EventKeyCreate = "key_create" // an API key was made, or stands in the configuration from now on
	EventKeyRevoke = "key_revoke" // an API key was revoked, or taken out of the configuration
)

func (t *Turn) record(call Call, cd CallDecision) Record {
	f := &t.Facts
	return Record{Event: EventDecision, Workspace: f.Workspace, Conversation: f.Conversation, TraceID: t.TraceID,
		Principal: f.Requester.ID, Turn: f.Turns, CallID: call.ID, Tool: call.Name, SchemaHash: cd.SchemaHash,
		ActionDigest: cd.ArgsDigest, Verdict: cd.Verdict, Cause: cd.Reason, Fired: cd.Fired, Created: f.Now, At: f.Now}
}

// record is what happened to the hold as a whole.
func (h *Hold) record(event string, at time.Time) Record {
	return Record{Event: event, Workspace: h.Workspace, Conversation: h.Conversation, TraceID: h.TraceID,
		Principal: h.Principal, Turn: h.Turn, Hold: h.ID, State: h.State, Resolver: h.Resolver, Channel: h.Channel,
		Reason: h.Reason, PromptHash: h.PromptPrint, Created: h.Created, At: at, Expires: h.Expires}
}

// itemRecord is what happened to one call of the hold, by whose word.
func (h *Hold) itemRecord(event string, it Item, at time.Time) Record {
	r := h.record(event, at)
	r.CallID, r.Tool, r.Verdict, r.Answer = it.CallID, it.Name, it.Verdict, it.Answer
	r.ActionDigest, r.SchemaHash = it.Decision.ArgsDigest, it.Decision.SchemaHash
	r.Cause, r.Fired, r.Escalation = it.Decision.Reason, it.Decision.Fired, it.Escalation
	if it.By != "" {
		r.Resolver, r.Channel = it.By, it.Channel
	}
	return r
}

// AppendRecord is the step that writes a record, for the same Commit as what it
// tells of. The record's id is made here.
func AppendRecord(r Record) (store.Op, error) { return appendRecord(r) }

func appendRecord(r Record) (store.Op, error) {
	r.ID = "rec_" + ulid.Make().String()
	r.Fired = withoutArguments(r.Fired)
	b, err := json.Marshal(r)
	return store.Append{Log: RecordLog, Value: b}, err
}

// appendRecords writes several.
func appendRecords(ops []store.Op, records []Record) ([]store.Op, error) {
	for _, r := range records {
		op, err := appendRecord(r)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// erred stands for the text of an evaluation error, which may quote a value.
const erred = "could not be evaluated"

// withoutArguments leaves out what rules say about a call in its own values.
func withoutArguments(fired []Fired) []Fired {
	speaks := func(f Fired) bool {
		return f.Message != "" || f.Error != "" || f.UnlessError != "" || f.Missing != "" || f.Residual != ""
	}
	if !slices.ContainsFunc(fired, speaks) {
		return fired
	}
	fired = slices.Clone(fired)
	for i := range fired {
		f := &fired[i]
		f.Message, f.Missing, f.Residual = "", "", ""
		if f.Error != "" {
			f.Error = erred
		}
		if f.UnlessError != "" {
			f.UnlessError = erred
		}
	}
	return fired
}
