package intelligence

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cadreen/store"
)

// Stats count stored traces. A window begins with the full hour in which it
// would begin, so that it is up to an hour longer than its name says.
type Stats struct {
	Traces24h int `json:"traces_24h"`
	Traces7d  int `json:"traces_7d"`
	Traces30d int `json:"traces_30d"`
	// Of the last 30 days: means over the decisions that have a confidence, the
	// share of traces with calls in which something was not known, and how often
	// each decision was made.
	AvgConfidenceByDomain map[string]float64 `json:"avg_confidence_by_domain"`
	GapDetectionRate      float64            `json:"gap_detection_rate"`
	GovernanceDecisions   map[string]int     `json:"governance_decisions"`
}

// noDomain names what is about no domain.
const noDomain = "(none)"

// Stats counts the traces of a workspace; with a key, those of that key only.
func (r *Recorder) Stats(ctx context.Context, workspace, key string) (Stats, error) {
	r.Flush(ctx)
	now, err := r.o.Engine.Now(ctx)
	if err != nil {
		return Stats{}, storeFault(err)
	}
	day := 24 * time.Hour
	s := Stats{AvgConfidenceByDomain: map[string]float64{}, GovernanceDecisions: map[string]int{}}
	var month counts
	err = r.hoursSince(ctx, workspace, now.Add(-30*day), func(h *hour) {
		of := &h.All
		if key != "" {
			if of = h.Keys[key]; of == nil {
				return
			}
		}
		start := time.Unix(h.Start, 0)
		s.Traces30d += of.Traces
		if !start.Before(now.Add(-7 * day).Truncate(time.Hour)) {
			s.Traces7d += of.Traces
		}
		if !start.Before(now.Add(-day).Truncate(time.Hour)) {
			s.Traces24h += of.Traces
		}
		month.sum(of)
	})
	if err != nil {
		return Stats{}, storeFault(err)
	}
	for word, n := range month.Decisions {
		s.GovernanceDecisions[word] = n
	}
	for name, m := range month.Domains {
		if name == "" {
			name = noDomain
		}
		s.AvgConfidenceByDomain[name] = m.Sum / float64(m.N)
	}
	if month.Judged > 0 {
		s.GapDetectionRate = float64(month.Gaps) / float64(month.Judged)
	}
	return s, nil
}

// hoursSince visits the counts of the hours from the one that since lies in.
func (r *Recorder) hoursSince(ctx context.Context, workspace string, since time.Time, visit func(*hour)) error {
	q := store.Query{Index: indexAt, Min: since.Truncate(time.Hour).UnixMilli(), Limit: store.MaxLimit}
	for {
		docs, err := r.o.Engine.List(ctx, workspace, kindHour, q)
		if err != nil {
			return err
		}
		for _, doc := range docs {
			var h hour
			if err := json.Unmarshal(doc.Value, &h); err != nil {
				return fmt.Errorf("intelligence: hour %s: %w", doc.ID, err)
			}
			visit(&h)
		}
		if len(docs) < q.Limit {
			return nil
		}
		q.Offset += len(docs)
	}
}
