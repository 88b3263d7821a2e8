package intelligence

import (
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"cadreen/store"
)

// Traces are stored in segments, each a document with the traces that were
// written together, newest last. Its index positions lead to it from the moment that
// the id of each trace holds, and from each key, domain and decision in it; their
// score is the time of its newest trace, in unix milliseconds.
const (
	kindSegment = "trace"
	kindHour    = "trace_hour"

	indexAt       = "at"
	indexTrace    = "trace"
	indexKey      = "key"
	indexDomain   = "domain"
	indexDecision = "decision"
)

// undecided stands for the decision of traces that have none.
const undecided = "none"

func decisionKey(e *Entry) string {
	if d := e.Decision(); d != "" {
		return d
	}
	return undecided
}

// usual is how many bytes a trace usually takes.
const usual = 512

// ops are the steps that store traces of a workspace: segments of them, and the
// counts of the hours they belong to.
func (r *Recorder) ops(workspace string, list []*Entry) ([]store.Op, error) {
	slices.SortStableFunc(list, func(a, b *Entry) int { return a.Created().Compare(b.Created()) })
	var ops []store.Op
	for rest := list; len(rest) > 0; {
		n := portion(rest)
		ops = append(ops, store.Put{Doc: segment(rest[:n]), Create: true})
		rest = rest[n:]
	}
	for _, h := range r.count(workspace, list) {
		op, err := h.put()
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// portion is how many of the traces, the oldest first, go into one segment.
func portion(list []*Entry) int {
	first := list[0].Created()
	for n, e := range list {
		if n == mostInSegment || e.Created().Sub(first) > longestBatch/2 {
			return n
		}
	}
	return len(list)
}

// segment is the document of some traces.
func segment(list []*Entry) store.Doc {
	value := appendEntries(make([]byte, 0, usual*len(list)), list)
	newest := list[len(list)-1].Created().UnixMilli()
	seg := store.Doc{Kind: kindSegment, ID: "seg_" + ulid.Make().String(), Value: value}
	seen := make(map[[2]string]bool, len(list)+8)
	place := func(name, key string) {
		if at := [2]string{name, key}; !seen[at] {
			seen[at] = true
			seg.Index = append(seg.Index, store.Index{Name: name, Key: key, Score: newest})
		}
	}
	place(indexAt, "")
	for _, e := range list {
		place(indexTrace, momentOf(e.ID))
		place(indexKey, e.Key)
		place(indexDecision, decisionKey(e))
		if e.Domain != "" {
			place(indexDomain, e.Domain)
		}
	}
	return seg
}

// count adds traces to the counts of their hours and answers those that have
// changed.
func (r *Recorder) count(workspace string, list []*Entry) []*hour {
	var changed []*hour
	for _, e := range list {
		start := e.Created().Truncate(time.Hour).Unix()
		h := r.hours[workspace]
		if h == nil || h.Start != start || h.full(e.Key) {
			h = newHour(start)
			r.hours[workspace] = h
		}
		h.add(e)
		if len(changed) == 0 || changed[len(changed)-1] != h {
			changed = append(changed, h)
		}
	}
	return changed
}
