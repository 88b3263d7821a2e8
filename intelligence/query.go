package intelligence

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cadreen/fault"
	"cadreen/store"
)

// Query selects traces. The zero value of a field selects all.
type Query struct {
	Key      string // of the key with this id
	Domain   string
	Decision string // approved, conditional or blocked, or none for traces without a decision
	From, To time.Time
	Offset   int
	Limit    int // required
}

// ErrNotFound says that there is no such trace, or none that the key may see.
var ErrNotFound = errors.New("intelligence: no such trace")

// storeFault names an absent store as what it is.
func storeFault(err error) error {
	if !errors.Is(err, store.ErrUnavailable) {
		return err
	}
	f := fault.Wrap(err, fault.StoreUnavailable, "")
	f.RetryAfter = 1
	return f
}

func (q *Query) takes(e *Entry) bool {
	created := e.Created()
	return (q.Key == "" || q.Key == e.Key) && (q.Domain == "" || q.Domain == e.Domain) &&
		(q.Decision == "" || q.Decision == decisionKey(e)) &&
		(q.From.IsZero() || !created.Before(q.From)) && (q.To.IsZero() || !created.After(q.To))
}

// index is the positions of the segments that can hold what the query selects:
// those of its rarest condition.
func (q *Query) index() store.Query {
	s := store.Query{Index: indexAt, Desc: true, Limit: segmentsAtOnce}
	switch {
	case q.Domain != "":
		s.Index, s.Key = indexDomain, q.Domain
	case q.Key != "":
		s.Index, s.Key = indexKey, q.Key
	case q.Decision != "":
		s.Index, s.Key = indexDecision, q.Decision
	}
	if !q.From.IsZero() {
		s.Min = q.From.UnixMilli()
	}
	if !q.To.IsZero() {
		s.Max = q.To.Add(longestBatch).UnixMilli()
	}
	return s
}

// segmentsAtOnce bounds what is in memory for one list.
const segmentsAtOnce = 8

// List answers traces of a workspace, newest first, and whether there are more.
// What this process has recorded before is among them.
func (r *Recorder) List(ctx context.Context, workspace string, q Query) (list []Entry, more bool, err error) {
	r.Flush(ctx)
	err = r.each(ctx, workspace, q, func(e *Entry) bool {
		if q.Offset > 0 {
			q.Offset--
			return true
		}
		if more = len(list) == q.Limit; !more {
			list = append(list, *e)
		}
		return !more
	})
	return list, more, storeFault(err)
}

// each visits the traces that the query selects, newest first, until visit
// answers false.
func (r *Recorder) each(ctx context.Context, workspace string, q Query, visit func(*Entry) bool) error {
	s := q.index()
	var ready []Entry // of segments that were read, newest first
	seen := map[string]bool{}
	for {
		docs, err := r.o.Engine.List(ctx, workspace, kindSegment, s)
		if err != nil {
			return err
		}
		if s.Max == 0 && len(docs) > 0 {
			// What is written from now on must not move what follows.
			s.Max = max(docs[0].Index[0].Score, 1)
		}
		for _, doc := range docs {
			if seen[doc.ID] {
				continue
			}
			seen[doc.ID] = true
			// Segments come by their newest trace: what is newer than that cannot
			// be in any that follows.
			n, goOn := give(ready, doc.Index[0].Score, visit)
			if ready = ready[n:]; !goOn {
				return nil
			}
			if ready, err = merged(ready, doc, &q); err != nil {
				return err
			}
		}
		if len(docs) < s.Limit {
			give(ready, -store.MaxScore, visit)
			return nil
		}
		s.Offset += len(docs)
	}
}

// give visits the first traces that are newer than score, in unix milliseconds.
func give(ready []Entry, score int64, visit func(*Entry) bool) (n int, goOn bool) {
	for i := range ready {
		if ready[i].Created().UnixMilli() <= score {
			return i, true
		}
		if !visit(&ready[i]) {
			return i, false
		}
	}
	return len(ready), true
}

// merged adds what the query selects of a segment.
func merged(ready []Entry, doc store.Doc, q *Query) ([]Entry, error) {
	segment, err := decode(doc)
	if err != nil {
		return nil, err
	}
	for i := range segment {
		if q.takes(&segment[i]) {
			ready = append(ready, segment[i])
		}
	}
	slices.SortStableFunc(ready, func(a, b Entry) int {
		return cmp.Or(b.Created().Compare(a.Created()), cmp.Compare(b.ID, a.ID))
	})
	return ready, nil
}

func decode(doc store.Doc) ([]Entry, error) {
	var list []Entry
	if err := json.Unmarshal(doc.Value, &list); err != nil {
		return nil, fmt.Errorf("intelligence: segment %s: %w", doc.ID, err)
	}
	return list, nil
}

// Get answers one trace, ErrNotFound if there is none, or if key is not "" and
// the trace is another's. One that is only just made may still be on its way,
// from this process or another: it is waited for.
func (r *Recorder) Get(ctx context.Context, workspace, id, key string) (Entry, error) {
	r.Flush(ctx)
	for tries := 0; ; tries++ {
		e, found, err := r.find(ctx, workspace, id)
		if err != nil {
			return Entry{}, storeFault(err)
		}
		if found {
			if key != "" && key != e.Key {
				return Entry{}, ErrNotFound
			}
			return e, nil
		}
		if tries == 5 || !r.young(ctx, id) || !wait(ctx, r.o.Every/2) {
			return Entry{}, ErrNotFound
		}
	}
}

// find looks where a trace must be: in the segments of its moment, or, of an earlier
// version, of its id.
func (r *Recorder) find(ctx context.Context, workspace, id string) (e Entry, found bool, err error) {
	for _, key := range []string{momentOf(id), id} {
		s := store.Query{Index: indexTrace, Key: key, Limit: segmentsAtOnce}
		for {
			docs, err := r.o.Engine.List(ctx, workspace, kindSegment, s)
			if err != nil {
				return Entry{}, false, err
			}
			for _, doc := range docs {
				list, err := decode(doc)
				if err != nil {
					return Entry{}, false, err
				}
				if at := slices.IndexFunc(list, func(e Entry) bool { return e.ID == id }); at >= 0 {
					return list[at], true, nil
				}
			}
			if len(docs) < s.Limit {
				break
			}
			s.Offset += len(docs)
		}
	}
	return Entry{}, false, nil
}
