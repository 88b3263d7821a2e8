package audit

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"cadreen/store"
)

// Stats are counts over the records of a workspace, those that retention removed
// included.
type Stats struct {
	Total      int64            `json:"total"`
	Actions24h int64            `json:"actions_24h"`
	Actions7d  int64            `json:"actions_7d"`
	Actions30d int64            `json:"actions_30d"`
	ByType     map[string]int64 `json:"by_type"`
	ByStatus   map[string]int64 `json:"by_status"`
	ByVerdict  map[string]int64 `json:"by_verdict"` // of decisions
	ByChannel  map[string]int64 `json:"by_channel"` // of what somebody or something did
	Unsealed   int64            `json:"unsealed"`   // records that no link of the chain covers yet
}

// tally are the counts of the first Seq records of a log.
type tally struct {
	Seq     int64            `json:"seq"`
	Type    map[string]int64 `json:"type"`
	Status  map[string]int64 `json:"status"`
	Verdict map[string]int64 `json:"verdict"`
	Channel map[string]int64 `json:"channel"`
}

const (
	kindTally  = "audit_tally"
	tallyID    = "last"
	tallyEvery = 5000 // records between two tallies that are written down
)

// counts remembers tallies, so that only new records are counted. They are written
// down now and then; anybody who counts the same records writes the same.
type counts struct {
	mu      sync.Mutex
	tallies map[string]tally
}

func (t *tally) add(f found) {
	count := func(m map[string]int64, key string) {
		if key != "" {
			m[key]++
		}
	}
	count(t.Type, f.action.Type)
	count(t.Status, f.action.Status)
	count(t.Channel, f.action.Channel)
	if f.action.Type == "decision" {
		count(t.Verdict, f.action.Verdict)
	}
}

func newTally() tally {
	return tally{Type: map[string]int64{}, Status: map[string]int64{}, Verdict: map[string]int64{}, Channel: map[string]int64{}}
}

func (t tally) clone() tally {
	return tally{t.Seq, maps.Clone(t.Type), maps.Clone(t.Status), maps.Clone(t.Verdict), maps.Clone(t.Channel)}
}

// Stats counts the records of a workspace.
func (l *Log) Stats(ctx context.Context, workspace string) (Stats, error) {
	now, err := l.engine.Now(ctx)
	if err != nil {
		return Stats{}, err
	}
	t, err := l.tally(ctx, workspace)
	if err != nil {
		return Stats{}, err
	}
	s := Stats{Total: t.Seq}
	ages := []time.Duration{24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour}
	within := []*int64{&s.Actions24h, &s.Actions7d, &s.Actions30d}
	for i, age := range ages {
		old, err := before(ctx, l.engine, workspace, l.records, t.Seq, now.Add(-age).UnixMicro())
		if err != nil {
			return Stats{}, err
		}
		*within[i] = t.Seq - old
	}
	if l.writer != nil {
		s.Unsealed = max(t.Seq-l.writer.sealed(workspace), 0)
	}
	if workspace != store.System {
		for e, err := range entries(ctx, l.engine, store.System, l.records, 0) {
			if err != nil {
				return Stats{}, err
			}
			f := show(e)
			if !f.concerns(store.System, workspace) {
				continue
			}
			t.add(f)
			s.Total++
			for i, age := range ages {
				if now.Sub(e.At) < age {
					*within[i]++
				}
			}
		}
	}
	s.ByType, s.ByStatus, s.ByVerdict, s.ByChannel = t.Type, t.Status, t.Verdict, t.Channel
	return s, nil
}

// tally counts what came since the last time.
func (l *Log) tally(ctx context.Context, workspace string) (tally, error) {
	l.memory.mu.Lock()
	t, ok := l.memory.tallies[workspace]
	l.memory.mu.Unlock()
	written := store.Of[tally](l.engine, kindTally)
	if !ok {
		var err error
		if t, _, err = written.Get(ctx, workspace, tallyID); errors.Is(err, store.ErrNotFound) {
			t = newTally()
		} else if err != nil {
			return tally{}, err
		}
	}
	t = t.clone()
	first := t.Seq
	for e, err := range entries(ctx, l.engine, workspace, l.records, t.Seq) {
		if err != nil {
			return tally{}, err
		}
		t.add(show(e))
		t.Seq = e.Seq
	}
	if t.Seq-first >= tallyEvery {
		put, err := written.Set(tallyID, t)
		if err == nil {
			err = l.engine.Commit(ctx, workspace, put)
		}
		if err != nil {
			return tally{}, err
		}
	}
	l.memory.mu.Lock()
	defer l.memory.mu.Unlock()
	if l.memory.tallies == nil {
		l.memory.tallies = map[string]tally{}
	}
	if have := l.memory.tallies[workspace]; have.Seq <= t.Seq {
		l.memory.tallies[workspace] = t.clone()
	}
	return t, nil
}
