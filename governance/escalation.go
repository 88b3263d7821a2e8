package governance

import (
	"context"
	"errors"
	"time"

	"github.com/oklog/ulid/v2"

	"cadreen/fault"
	"cadreen/store"
)

// Status of an escalation.
const (
	EscalationPending  = "pending"
	EscalationResolved = "resolved"
	EscalationRejected = "rejected"
)

// Escalation is one held call that a reviewer decides.
type Escalation struct {
	ID             string     `json:"id"`
	Intent         string     `json:"intent"`
	Status         string     `json:"status"`
	Category       string     `json:"category"`
	ExecutionID    string     `json:"execution_id"`
	ToolName       string     `json:"tool_name"`
	Arguments      string     `json:"arguments"` // as the model wrote them
	ErrorMessage   string     `json:"error_message"`
	Severity       string     `json:"severity"`
	HumanPrompt    string     `json:"human_prompt"`
	Suggestions    []string   `json:"suggestions"`
	CreatedAt      time.Time  `json:"created_at"`
	ExpiresAt      int64      `json:"expires_at"` // unix seconds
	ResolvedAt     *time.Time `json:"resolved_at,omitempty"`
	ResolvedBy     string     `json:"resolved_by,omitempty"`
	Resolution     string     `json:"resolution,omitempty"`
	Comment        string     `json:"comment,omitempty"`
	Question       string     `json:"question,omitempty"`
	Answer         string     `json:"answer,omitempty"` // the requester's words to the question
	To             string     `json:"to,omitempty"`
	Level          int        `json:"level"` // 1, +1 with every `escalate`
	ConversationID string     `json:"conversation_id"`
	TraceID        string     `json:"trace_id"`
	Requester      string     `json:"requester"`
	Rules          []string   `json:"rules"`
	HoldID         string     `json:"hold_id"`
	SelfReview     bool       `json:"self_review,omitempty"`
}

// EscalationQuery selects escalations, newest first.
type EscalationQuery struct {
	Status        string // "" is all
	Limit, Offset int
}

func newEscalationID() string { return "esc_" + ulid.Make().String() }

// newEscalation asks a reviewer about one item of a hold, from now until the hold
// expires.
func newEscalation(h *Hold, it Item, call Call, now time.Time) Escalation {
	e := Escalation{ID: it.Escalation, Status: EscalationPending, Category: "tool_call", ToolName: it.Name,
		Intent: "call " + it.Name, Arguments: call.Arguments, Severity: "high", Level: 1, To: it.To,
		HumanPrompt: it.Message, CreatedAt: now, ExpiresAt: h.Expires.Unix(),
		ConversationID: h.Conversation, TraceID: h.TraceID, Requester: h.Principal, HoldID: h.ID,
		ExecutionID: h.ID, SelfReview: it.SelfReview, Suggestions: []string{}, Rules: []string{}}
	if e.HumanPrompt == "" {
		e.HumanPrompt = it.Decision.Detail
	}
	for _, f := range it.Decision.Fired {
		if f.Determining {
			e.Rules = append(e.Rules, f.Rule)
		}
	}
	return e
}

func (e Escalation) index() []store.Index {
	at := e.CreatedAt.UnixMilli()
	return []store.Index{{Name: "all", Key: "all", Score: at}, {Name: "status", Key: e.Status, Score: at},
		{Name: "hold", Key: e.HoldID, Score: at}}
}

// Escalations lists, newest first, and says whether there are more.
func (d *Desk) Escalations(ctx context.Context, workspace string, q EscalationQuery) ([]Escalation, bool, error) {
	find := store.Query{Index: "all", Key: "all", Desc: true, Offset: q.Offset, Limit: q.Limit + 1}
	if q.Status != "" {
		find.Index, find.Key = "status", q.Status
	}
	items, err := d.escalations.List(ctx, workspace, find)
	if err != nil {
		return nil, false, storeFault(err)
	}
	list := make([]Escalation, 0, len(items))
	for _, it := range items {
		e, err := d.ended(ctx, workspace, it.Value)
		if err != nil {
			return nil, false, err
		}
		list = append(list, e)
	}
	if more := len(list) > q.Limit; more {
		return list[:q.Limit], true, nil
	}
	return list, false, nil
}

// Escalation answers one escalation, or escalation_not_found.
func (d *Desk) Escalation(ctx context.Context, workspace, id string) (Escalation, error) {
	e, _, err := d.escalations.Get(ctx, workspace, id)
	if errors.Is(err, store.ErrNotFound) {
		return e, fault.New(fault.EscalationNotFound, "no escalation %q", id)
	}
	if err != nil {
		return e, storeFault(err)
	}
	return d.ended(ctx, workspace, e)
}

// ended is an escalation as it is now: if its time has run out, its hold is
// expired first.
func (d *Desk) ended(ctx context.Context, workspace string, e Escalation) (Escalation, error) {
	if e.Status != EscalationPending {
		return e, nil
	}
	now, err := d.engine.Now(ctx)
	if err != nil {
		return e, storeFault(err)
	}
	if now.Unix() < e.ExpiresAt {
		return e, nil
	}
	if err := d.expireIfDue(ctx, workspace, e.HoldID); err != nil {
		return e, err
	}
	e, _, err = d.escalations.Get(ctx, workspace, e.ID)
	if err != nil {
		return e, storeFault(err)
	}
	return e, nil
}

// endEscalations rejects what is still pending when a hold ended without them.
func (d *Desk) endEscalations(ctx context.Context, h *Hold) ([]store.Op, error) {
	return d.eachPending(ctx, h, "", func(e *Escalation) {
		e.end(EscalationRejected, string(h.State), h.Resolver, h.Closed)
	})
}

func (e *Escalation) end(status, resolution, by string, at time.Time) {
	e.Status, e.Resolution, e.ResolvedBy, e.ResolvedAt = status, resolution, by, &at
}

// eachPending changes the pending escalations of a hold, but for one.
func (d *Desk) eachPending(ctx context.Context, h *Hold, but string, change func(*Escalation)) ([]store.Op, error) {
	var ops []store.Op
	for _, it := range h.Items {
		if it.Escalation == "" || it.Escalation == but {
			continue
		}
		e, version, err := d.escalations.Get(ctx, h.Workspace, it.Escalation)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, storeFault(err)
		}
		if e.Status != EscalationPending {
			continue
		}
		change(&e)
		op, err := d.escalations.Replace(e.ID, version, e, e.index()...)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}
