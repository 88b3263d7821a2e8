package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"cadreen/store"
)

// ErrUnknown is answered for an execution that no record tells of.
var ErrUnknown = errors.New("audit: no record tells of this execution")

// Query selects actions. Empty fields select everything.
type Query struct {
	Type, Status, Name, Actor string
	// ID is a trace, hold, escalation, conversation, policy or key.
	ID       string
	From, To time.Time // inclusive
	Limit    int       // at least 1
	Offset   int
}

func (q *Query) fits(f found) bool {
	a := &f.action
	return (q.Type == "" || q.Type == a.Type) && (q.Status == "" || q.Status == a.Status) &&
		(q.Name == "" || q.Name == a.Name) && (q.Actor == "" || q.Actor == a.Actor) &&
		(q.From.IsZero() || !a.Timestamp.Before(q.From)) && (q.To.IsZero() || !a.Timestamp.After(q.To)) &&
		(q.ID == "" || slices.Contains(f.record.ids(), q.ID))
}

// List answers actions, newest first, and whether there are more.
func (l *Log) List(ctx context.Context, workspace string, q Query) ([]Action, bool, error) {
	list := []Action{}
	skip := q.Offset
	for f, err := range l.newest(ctx, workspace, q) {
		switch {
		case err != nil:
			return nil, false, err
		case !q.From.IsZero() && f.action.Timestamp.Before(q.From):
			return list, false, nil // all that follow are older
		case !q.fits(f):
			continue
		case skip > 0:
			skip--
			continue
		case len(list) == q.Limit:
			return list, true, nil
		}
		list = append(list, f.action)
	}
	return list, false, nil
}

// newest are the records of a workspace, newest first, at most those that can fit.
func (l *Log) newest(ctx context.Context, workspace string, q Query) iter.Seq2[found, error] {
	if q.ID != "" {
		return func(yield func(found, error) bool) {
			all, err := l.of(ctx, workspace, q.ID)
			if err != nil {
				yield(found{}, err)
				return
			}
			slices.Reverse(all)
			for _, f := range all {
				if !yield(f, nil) {
					return
				}
			}
		}
	}
	own := l.down(ctx, workspace, workspace, q.To)
	if workspace == store.System {
		return own
	}
	return merged(own, l.down(ctx, store.System, workspace, q.To))
}

// down are the records in one log that are about a workspace, newest first.
func (l *Log) down(ctx context.Context, place, workspace string, to time.Time) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		last, err := l.last(ctx, place)
		if err == nil && !to.IsZero() {
			last, err = before(ctx, l.engine, place, l.records, last, to.UnixMicro())
		}
		if err != nil {
			yield(found{}, err)
			return
		}
		for e, err := range backwards(ctx, l.engine, place, l.records, last) {
			f := show(e)
			if err == nil && !f.concerns(place, workspace) {
				continue
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// last is the number of the newest record in a place.
func (l *Log) last(ctx context.Context, place string) (int64, error) {
	known := int64(0)
	if l.writer != nil {
		known = l.writer.sealed(place)
	}
	return lastOf(ctx, l.engine, place, l.records, known)
}

// merged are two lists, each newest first, as one.
func merged(a, b iter.Seq2[found, error]) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		nextA, stopA := iter.Pull2(a)
		defer stopA()
		nextB, stopB := iter.Pull2(b)
		defer stopB()
		fa, errA, okA := nextA()
		fb, errB, okB := nextB()
		for okA || okB {
			if errA != nil || errB != nil {
				yield(found{}, errors.Join(errA, errB))
				return
			}
			if !okB || okA && !fa.action.Timestamp.Before(fb.action.Timestamp) {
				if !yield(fa, nil) {
					return
				}
				fa, errA, okA = nextA()
				continue
			}
			if !yield(fb, nil) {
				return
			}
			fb, errB, okB = nextB()
		}
	}
}

// of are the records that name an id, oldest first. What this process has not
// sealed yet has no page, so it is sealed now.
func (l *Log) of(ctx context.Context, workspace, id string) ([]found, error) {
	var all []found
	for _, place := range places(workspace) {
		if l.writer != nil {
			if err := l.writer.Seal(ctx, place); err != nil {
				return nil, err
			}
		}
		seen := map[int64]bool{}
		err := l.spans(ctx, place, id, func(s span) error {
			list, err := l.engine.Read(ctx, place, l.records, s.From-1, int(s.To-s.From)+1)
			if err != nil {
				return err
			}
			for _, e := range list {
				f := show(e)
				if e.Seq <= s.To && !seen[e.Seq] && slices.Contains(f.record.ids(), id) && f.concerns(place, workspace) {
					seen[e.Seq] = true
					all = append(all, f)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, older)
	return all, nil
}

func older(a, b found) int { return a.action.Timestamp.Compare(b.action.Timestamp) }

func (l *Log) spans(ctx context.Context, place, id string, visit func(span) error) error {
	if store.CheckID(id) != nil {
		return nil // nothing has such an id
	}
	pages := store.Of[span](l.engine, kindPage)
	for offset := 0; ; offset += store.MaxLimit {
		list, err := pages.List(ctx, place, store.Query{Index: pageOf, Key: id, Offset: offset, Limit: store.MaxLimit})
		if err != nil {
			return err
		}
		for _, it := range list {
			if s := it.Value; s.From < 1 || s.To < s.From || s.To-s.From >= maxRecords {
				return fmt.Errorf("audit: the page %s of workspace %s cannot be read", it.ID, place)
			} else if err := visit(s); err != nil {
				return err
			}
		}
		if len(list) < store.MaxLimit {
			return nil
		}
	}
}

// Timeline is the history of one execution: of a trace, a hold, an escalation, or
// all of a conversation, policy or key.
type Timeline struct {
	ExecutionID string    `json:"execution_id"`
	Status      string    `json:"status"` // after the last of its actions
	StartedAt   time.Time `json:"started_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	DurationMS  int64     `json:"duration_ms"` // between the two
	Timeline    []Action  `json:"timeline"`    // oldest first
	Count       int       `json:"count"`
}

// Timeline answers the ordered history of an id, with all of the holds that its
// records name. ErrUnknown where there is none.
func (l *Log) Timeline(ctx context.Context, workspace, id string) (Timeline, error) {
	all, err := l.of(ctx, workspace, id)
	if err != nil {
		return Timeline{}, err
	}
	if len(all) == 0 {
		return Timeline{}, ErrUnknown
	}
	seen, holds := map[string]bool{}, []string{}
	for _, f := range all {
		seen[f.record.ID] = true
		if h := f.record.Hold; h != "" && h != id && !slices.Contains(holds, h) {
			holds = append(holds, h)
		}
	}
	for _, hold := range holds {
		more, err := l.of(ctx, workspace, hold)
		if err != nil {
			return Timeline{}, err
		}
		for _, f := range more {
			if !seen[f.record.ID] {
				seen[f.record.ID] = true
				all = append(all, f)
			}
		}
	}
	slices.SortStableFunc(all, older)
	t := Timeline{ExecutionID: id, Count: len(all), StartedAt: all[0].action.Timestamp, UpdatedAt: all[len(all)-1].action.Timestamp,
		Status: all[len(all)-1].action.Status}
	t.DurationMS = t.UpdatedAt.Sub(t.StartedAt).Milliseconds()
	for _, f := range all {
		t.Timeline = append(t.Timeline, f.action)
	}
	return t, nil
}
