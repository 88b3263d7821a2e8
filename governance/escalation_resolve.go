package governance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cadreen/fault"
	"cadreen/store"
)

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

var decisions = []string{DecideAuto, DecideAutoComplete, DecideHandoff, DecideEscalate, DecideClarify, DecideAbstain}

// Resolve takes a reviewer's decision. Nobody decides about their own request,
// unless the rule says so. The same decision of the same reviewer again changes
// nothing and is no error.
func (d *Desk) Resolve(ctx context.Context, workspace, id string, r Resolution) (Escalation, error) {
	r.Decision = strings.TrimSpace(r.Decision)
	switch {
	case r.Decision == "":
		return Escalation{}, fault.New(fault.EscalationMissingDecision, "no decision was given")
	case !slices.Contains(decisions, r.Decision):
		return Escalation{}, fault.New(fault.EscalationResolveFailed, "%q is none of %s", r.Decision, strings.Join(decisions, ", "))
	case r.Decision == DecideClarify && strings.TrimSpace(r.Comment) == "":
		return Escalation{}, fault.New(fault.EscalationResolveFailed, "clarify_requester needs the question in `comment`")
	}
	for range tries(ctx) {
		if _, err := d.Escalation(ctx, workspace, id); err != nil {
			return Escalation{}, err
		}
		e, version, err := d.escalations.Get(ctx, workspace, id)
		if err != nil {
			return Escalation{}, storeFault(err)
		}
		if e.Status != EscalationPending && e.Resolution == r.Decision && e.ResolvedBy == r.By.ID {
			return e, nil
		}
		h, holdVersion, err := d.holds.Get(ctx, workspace, e.HoldID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return Escalation{}, storeFault(err)
		}
		now, err := d.engine.Now(ctx)
		if err != nil {
			return Escalation{}, storeFault(err)
		}
		if h.overdue(now) {
			if err := d.expireIfDue(ctx, workspace, h.ID); err != nil {
				return Escalation{}, err
			}
			continue
		}
		if err := mayResolve(e, h, r.By); err != nil {
			if _, latest, again := d.escalations.Get(ctx, workspace, id); again == nil && latest != version {
				continue // decided between the two reads, perhaps by this very decision sent twice
			}
			return e, err
		}
		books := d.books(workspace)
		ops, err := d.resolveOps(ctx, &e, version, &h, holdVersion, r, now, books)
		if err != nil {
			return e, err
		}
		ledger, err := books.ops(now)
		if err != nil {
			return e, err
		}
		err = d.engine.Commit(ctx, workspace, append(ops, ledger...)...)
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

// resolveOps apply a decision to the escalation and its hold.
func (d *Desk) resolveOps(ctx context.Context, e *Escalation, version int64, h *Hold, holdVersion int64, r Resolution, now time.Time, books *books) ([]store.Op, error) {
	e.Comment = r.Comment
	var touched []int // items of h
	var others []store.Op
	var err error
	switch r.Decision {
	case DecideAuto:
		e.end(EscalationResolved, r.Decision, r.By.ID, now)
		touched = h.review(e.ID, AnswerApprove, r.By, now)
	case DecideAutoComplete:
		e.end(EscalationResolved, r.Decision, r.By.ID, now)
		if others, err = d.completeOthers(ctx, h, e.ID, r, now); err != nil {
			return nil, err
		}
		touched = h.review("", AnswerApprove, r.By, now)
	case DecideHandoff:
		e.end(EscalationResolved, r.Decision, r.By.ID, now)
		touched = h.review(e.ID, AnswerOutside, r.By, now)
	case DecideAbstain:
		e.end(EscalationRejected, r.Decision, r.By.ID, now)
		touched = h.review(e.ID, AnswerDecline, r.By, now)
	case DecideEscalate:
		e.Level++
		if r.To != "" {
			e.To = r.To
		}
		touched = h.itemsOf(e.ID)
		for _, i := range touched {
			h.Items[i].To = e.To
			h.extend(now.Add(h.Items[i].Expires))
		}
		e.ExpiresAt = h.Expires.Unix()
		if others, err = d.eachPending(ctx, h, e.ID, func(o *Escalation) { o.ExpiresAt = e.ExpiresAt }); err != nil {
			return nil, err
		}
	case DecideClarify:
		if h.Question != "" && h.QuestionOf != e.ID {
			return nil, fault.New(fault.EscalationResolveFailed, "the requester has not yet answered another reviewer's question about this turn")
		}
		touched = h.itemsOf(e.ID)
		e.Question, e.Answer = r.Comment, ""
		h.Question, h.QuestionOf = r.Comment, e.ID
	}
	if e.Status != EscalationPending && h.QuestionOf == e.ID {
		h.Question, h.QuestionOf = "", "" // nobody waits for the answer any more
	}
	h.settle(now, r.By.ID, ChannelAPI)
	put, err := d.escalations.Replace(e.ID, version, *e, e.index()...)
	if err != nil {
		return nil, err
	}
	var records []Record
	for _, i := range touched {
		rec := h.itemRecord(EventEscalation, h.Items[i], now)
		rec.Answer, rec.Resolver, rec.Channel, rec.Reason = r.Decision, r.By.ID, ChannelAPI, r.Comment
		if rec.State != StateHeld {
			rec.State = StateDenied
		}
		records = append(records, rec)
	}
	ops, err := appendRecords([]store.Op{put}, records)
	if err != nil {
		return nil, err
	}
	ops = append(ops, others...)
	// A hold that ends by a review has no open escalation left but this one.
	hold, err := d.keepOps(ctx, h, holdVersion, now, books)
	if err != nil || h.State == StateHeld {
		return append(ops, hold...), err
	}
	return append(append(ops, hold...), d.unclaim(h)), nil
}

// review answers the open item of an escalation, or with "" every open item, and
// answers their positions.
func (h *Hold) review(escalation, answer string, by Requester, now time.Time) []int {
	var touched []int
	for i := range h.Items {
		it := &h.Items[i]
		if it.Open() && (escalation == "" || it.Escalation == escalation) {
			it.answered(answer, by.ID, ChannelAPI, now)
			it.OwnReview = by.KeyID == h.KeyID
			touched = append(touched, i)
		}
	}
	return touched
}

func (h *Hold) itemsOf(escalation string) []int {
	var at []int
	for i, it := range h.Items {
		if it.Escalation == escalation {
			at = append(at, i)
		}
	}
	return at
}

// completeOthers resolves the sibling escalations that auto_complete answers too.
// It is refused where one of them is not this reviewer's to decide.
func (d *Desk) completeOthers(ctx context.Context, h *Hold, but string, r Resolution, now time.Time) ([]store.Op, error) {
	var refused error
	ops, err := d.eachPending(ctx, h, but, func(e *Escalation) {
		if err := mayResolve(*e, *h, r.By); err != nil && refused == nil {
			refused = fault.Wrap(err, fault.Forbidden, "auto_complete would also decide %s, which is not yours to decide; use auto", e.ID)
		}
		e.end(EscalationResolved, r.Decision, r.By.ID, now)
	})
	if err == nil {
		err = refused
	}
	return ops, err
}

// wordsLimit bounds what of a requester's reply is kept, in bytes.
const wordsLimit = 16 << 10

// Reply hands a requester's words to the reviewer who asked; of very long ones
// the first 16 KB.
func (d *Desk) Reply(ctx context.Context, workspace, holdID, words string) error {
	if len(words) > wordsLimit {
		end := wordsLimit
		for end > 0 && !utf8.RuneStart(words[end]) {
			end--
		}
		words = words[:end]
	}
	for range tries(ctx) {
		h, version, err := d.holds.Get(ctx, workspace, holdID)
		if err != nil {
			return storeFault(err)
		}
		now, err := d.engine.Now(ctx)
		if err != nil {
			return storeFault(err)
		}
		if h.overdue(now) {
			return d.expireIfDue(ctx, workspace, holdID)
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
		rec := h.record(EventEscalation, now)
		rec.Escalation, rec.Tool, rec.Answer, rec.Resolver, rec.Channel = e.ID, e.ToolName, "reply", h.Principal, ChannelChat
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
