package governance

import (
	"context"
	"errors"
	"slices"
	"strings"
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

// Resolution is a reviewer's decision.
type Resolution struct {
	Decision string // auto, auto_complete, handoff, escalate, clarify_requester, abstain
	Comment  string // the question of clarify_requester; a remark otherwise
	To       string // the next reviewer of escalate, such as role:finance
	By       Requester
}

// Decisions of a reviewer, in the words of the public API.
const (
	DecideAuto         = "auto"
	DecideAutoComplete = "auto_complete"
	DecideHandoff      = "handoff"
	DecideEscalate     = "escalate"
	DecideClarify      = "clarify_requester"
	DecideAbstain      = "abstain"
)

func newEscalationID() string { return "esc_" + ulid.Make().String() }

func newEscalation(h *Hold, it Item, call Call) Escalation {
	e := Escalation{ID: it.Escalation, Status: EscalationPending, Category: "tool_call", ToolName: it.Name,
		Intent: "call " + it.Name, Arguments: call.Arguments, Severity: "high", Level: 1, To: it.To,
		HumanPrompt: it.Message, CreatedAt: h.Created, ExpiresAt: h.Created.Add(it.Expires).Unix(),
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
		list = append(list, it.Value)
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
	return e, nil
}

// Resolve takes a reviewer's decision. Nobody decides about their own request,
// unless the rule says so.
func (d *Desk) Resolve(ctx context.Context, workspace, id string, r Resolution) (Escalation, error) {
	r.Decision = strings.TrimSpace(r.Decision)
	if r.Decision == "" {
		return Escalation{}, fault.New(fault.EscalationMissingDecision, "no decision was given")
	}
	if !slices.Contains([]string{DecideAuto, DecideAutoComplete, DecideHandoff, DecideEscalate, DecideClarify, DecideAbstain}, r.Decision) {
		return Escalation{}, fault.New(fault.EscalationResolveFailed, "%q is none of auto, auto_complete, handoff, escalate, clarify_requester, abstain", r.Decision)
	}
	if r.Decision == DecideClarify && strings.TrimSpace(r.Comment) == "" {
		return Escalation{}, fault.New(fault.EscalationResolveFailed, "clarify_requester needs the question in `comment`")
	}
	for range attempts {
		if _, err := d.Escalation(ctx, workspace, id); err != nil {
			return Escalation{}, err
		}
		e, version, err := d.escalations.Get(ctx, workspace, id)
		if err != nil {
			return Escalation{}, storeFault(err)
		}
		h, holdVersion, err := d.holds.Get(ctx, workspace, e.HoldID)
		if err != nil {
			return Escalation{}, storeFault(err)
		}
		now, err := d.engine.Now(ctx)
		if err != nil {
			return Escalation{}, storeFault(err)
		}
		if h.State == StateHeld && !now.Before(h.Expires) {
			if err := d.expireIfDue(ctx, workspace, h.ID); err != nil {
				return Escalation{}, err
			}
			continue
		}
		if err := mayResolve(e, h, r.By); err != nil {
			return e, err
		}
		ops, err := d.resolveOps(ctx, &e, version, &h, holdVersion, r, now)
		if err != nil {
			return e, err
		}
		err = d.engine.Commit(ctx, workspace, ops...)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return e, storeFault(err)
		}
		return e, nil
	}
	return Escalation{}, busy()
}

func mayResolve(e Escalation, h Hold, by Requester) error {
	switch {
	case e.Status != EscalationPending:
		return fault.New(fault.EscalationResolveFailed, "this escalation is already %s (%s)", e.Status, e.Resolution)
	case h.State != StateHeld:
		return fault.New(fault.EscalationResolveFailed, "the call is no longer held: %s", h.State)
	case by.KeyID == h.KeyID && !e.SelfReview:
		return fault.New(fault.Forbidden, "the key that made the request cannot review it")
	}
	if role, ok := strings.CutPrefix(e.To, "role:"); ok && !slices.Contains(by.Roles, role) && !slices.Contains(by.Roles, "operator") {
		return fault.New(fault.Forbidden, "this escalation is for the role %q", role)
	}
	return nil
}

func (d *Desk) resolveOps(ctx context.Context, e *Escalation, version int64, h *Hold, holdVersion int64, r Resolution, now time.Time) ([]store.Op, error) {
	e.Resolution, e.Comment = r.Decision, r.Comment
	end := func(status string) {
		e.Status, e.ResolvedAt, e.ResolvedBy = status, &now, r.By.ID
	}
	mark := func(answer string, all bool) {
		for i := range h.Items {
			it := &h.Items[i]
			if it.Open() && (all || it.Escalation == e.ID) {
				it.Answer, it.By, it.At = answer, r.By.ID, now
			}
		}
	}
	switch r.Decision {
	case DecideAuto:
		end(EscalationResolved)
		mark(AnswerApprove, false)
	case DecideAutoComplete:
		end(EscalationResolved)
		mark(AnswerApprove, true)
	case DecideHandoff:
		end(EscalationResolved)
		mark(AnswerOutside, false)
	case DecideAbstain:
		end(EscalationRejected)
		mark(AnswerDecline, false)
	case DecideEscalate:
		e.Level++
		if r.To != "" {
			e.To = r.To
		}
		for i := range h.Items {
			if it := &h.Items[i]; it.Escalation == e.ID {
				it.To = e.To
				e.ExpiresAt = now.Add(it.Expires).Unix()
				if at := now.Add(it.Expires); at.After(h.Expires) {
					h.Expires = at
				}
			}
		}
	case DecideClarify:
		e.Question, e.Answer = r.Comment, ""
		h.Question, h.QuestionOf = r.Comment, e.ID
	}
	h.settle(now, r.By.ID, "api")
	put, err := d.escalations.Replace(e.ID, version, *e, e.index()...)
	if err != nil {
		return nil, err
	}
	rec := h.record(EventEscalation)
	rec.Escalation, rec.Tool, rec.Answer, rec.Resolver, rec.Channel, rec.Reason = e.ID, e.ToolName, r.Decision, r.By.ID, "api", r.Comment
	line, err := appendRecord(rec)
	if err != nil {
		return nil, err
	}
	hold, err := d.holds.Replace(h.ID, holdVersion, *h, h.index()...)
	if err != nil {
		return nil, err
	}
	ops := []store.Op{put, hold, line}
	if h.State != StateHeld {
		ops = append(ops, d.unclaim(ctx, h)...)
	}
	others, err := d.endOthers(ctx, h, now, e.ID, r)
	return append(ops, others...), err
}

// endOthers resolves the sibling escalations that auto_complete answered too.
func (d *Desk) endOthers(ctx context.Context, h *Hold, now time.Time, but string, r Resolution) ([]store.Op, error) {
	if r.Decision != DecideAutoComplete {
		return nil, nil
	}
	return d.endEach(ctx, h, but, func(e *Escalation) {
		e.Status, e.Resolution, e.ResolvedAt, e.ResolvedBy = EscalationResolved, r.Decision, &now, r.By.ID
	})
}

// endEscalations rejects what is still pending when a hold ended without them.
func (d *Desk) endEscalations(ctx context.Context, h *Hold, now time.Time) ([]store.Op, error) {
	if h.State == StateHeld {
		return nil, nil
	}
	return d.endEach(ctx, h, "", func(e *Escalation) {
		e.Status, e.Resolution, e.ResolvedAt, e.ResolvedBy = EscalationRejected, string(h.State), &now, h.Resolver
	})
}

func (d *Desk) endEach(ctx context.Context, h *Hold, but string, end func(*Escalation)) ([]store.Op, error) {
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
		end(&e)
		op, err := d.escalations.Replace(e.ID, version, e, e.index()...)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// Reply hands a requester's words to the reviewer who asked.
func (d *Desk) Reply(ctx context.Context, workspace, holdID, words string) error {
	for range attempts {
		h, version, err := d.holds.Get(ctx, workspace, holdID)
		if err != nil {
			return storeFault(err)
		}
		if h.State != StateHeld || h.QuestionOf == "" {
			return nil
		}
		e, escVersion, err := d.escalations.Get(ctx, workspace, h.QuestionOf)
		if err != nil {
			return storeFault(err)
		}
		e.Answer = words
		h.Question, h.QuestionOf = "", ""
		hold, err := d.holds.Replace(h.ID, version, h, h.index()...)
		if err != nil {
			return err
		}
		esc, err := d.escalations.Replace(e.ID, escVersion, e, e.index()...)
		if err != nil {
			return err
		}
		rec := h.record(EventEscalation)
		rec.Escalation, rec.Tool, rec.Answer, rec.Resolver, rec.Channel = e.ID, e.ToolName, "reply", h.Principal, "chat"
		line, err := appendRecord(rec)
		if err != nil {
			return err
		}
		err = d.engine.Commit(ctx, workspace, hold, esc, line)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return storeFault(err)
		}
		return nil
	}
	return busy()
}
