package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// Many requests of two processes at once: every record is sealed, nobody waits, and
// the chains agree.
func TestManyCommitAtOnce(t *testing.T) {
	const callers, each = 8, 25
	onBothStores(t, func(t *testing.T, s stored) {
		ctx, stop := context.WithCancel(t.Context())
		var running, committing sync.WaitGroup
		var processes []*process
		for range 2 {
			p := begin(t, s.open(t), Options{Delay: 5 * time.Millisecond, Adopt: 30 * time.Millisecond, Anchor: 50 * time.Millisecond})
			processes = append(processes, p)
			running.Go(func() { p.Run(ctx) })
		}
		failed := make(chan error, callers*each)
		for n := range callers {
			committing.Go(func() {
				for i := range each {
					err := processes[n%2].engine.Commit(context.WithoutCancel(ctx), shop, store.Append{Log: records, Value: []byte(event(fmt.Sprintf("rec_%d_%d", n, i), "decision", fmt.Sprint("cad_", i), ""))})
					if err != nil {
						failed <- err
					}
				}
			})
		}
		committing.Wait()
		stop()
		running.Wait() // the last seal
		require.Empty(t, failed)
		r, err := NewLog(s.open(t), records, nil).Verify(t.Context(), shop)
		require.NoError(t, err)
		require.Empty(t, r.Broken)
		require.EqualValues(t, callers*each, r.Entries)
		require.Zero(t, r.Unsealed)
		require.Less(t, r.Links, int64(callers*each), "many records share a link")
		for _, p := range processes {
			require.Empty(t, p.Writer.chains[shop].pending)
		}
	})
}

// Between commit and seal an edit cannot be told from what was there, but the
// process that committed it knows better.
func TestAnEditBeforeTheSealIsFound(t *testing.T) {
	for name, edit := range map[string]func([]store.Entry) []store.Entry{
		"edited": func(l []store.Entry) []store.Entry {
			l[2].Value = bytes.Replace(l[2].Value, []byte("rec_3"), []byte("rec_x"), 1)
			return l
		},
		"removed": func(l []store.Entry) []store.Entry { return l[:2] },
	} {
		t.Run(name, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, s stored) {
				p := begin(t, s.open(t), Options{})
				p.does(t, event("rec_1", "decision", "cad_1", ""))
				p.commits(t, shop, event("rec_2", "decision", "cad_2", ""), event("rec_3", "decision", "cad_3", ""))
				s.rewrite(t, shop, records, edit)
				require.NoError(t, p.Seal(t.Context(), shop))
				r, err := NewLog(s.open(t), records, nil).Verify(t.Context(), shop)
				require.NoError(t, err)
				require.False(t, r.Valid)
				require.Equal(t, MissingRecord, r.Broken[0].What)
				require.Equal(t, p.Writer.chains[shop].writer, r.Broken[0].Writer)
				require.Contains(t, r.Broken[0].Detail, "did not find it")
			})
		})
	}
}

// A process that was killed before it sealed leaves records, which the next one
// covers; a command that is short-lived does too.
func TestWhatAKilledProcessLeftIsSealedByAnother(t *testing.T) {
	onBothStores(t, func(t *testing.T, s stored) {
		killed, next := begin(t, s.open(t), Options{}), begin(t, s.open(t), Options{})
		killed.does(t, event("rec_1", "decision", "cad_1", ""))
		killed.commits(t, shop, event("rec_2", "decision", "cad_2", ""))
		require.NoError(t, next.adopt(t.Context()))
		r, err := NewLog(s.open(t), records, nil).Verify(t.Context(), shop)
		require.NoError(t, err)
		require.EqualValues(t, 1, r.Unsealed, "it is fresh: its own writer may still come")
		s.offset.Add(int64(6 * time.Second))
		require.NoError(t, next.adopt(t.Context()))
		r, err = NewLog(s.open(t), records, nil).Verify(t.Context(), shop)
		require.NoError(t, err)
		require.Zero(t, r.Unsealed)
		require.True(t, r.Valid)
		require.EqualValues(t, 2, r.Entries)
		require.Len(t, r.Writers, 2)
		require.True(t, r.Writers[0].Witnessed)
	})
}

// unsure loses the outcome of a commit, with or without its effect.
type unsure struct {
	store.Engine
	next atomic.Int32 // 1: fails before, 2: fails after
}

func (u *unsure) Commit(ctx context.Context, workspace string, ops ...store.Op) error {
	switch u.next.Swap(0) {
	case 1:
		return store.ErrUnavailable
	case 2:
		return errors.Join(store.ErrUnavailable, u.Engine.Commit(ctx, workspace, ops...))
	}
	return u.Engine.Commit(ctx, workspace, ops...)
}

// Where it is not known whether a link is there, no number is given out twice.
func TestAnAppendWhoseOutcomeIsUnknown(t *testing.T) {
	for name, how := range map[string]int32{"it did not happen": 1, "it happened": 2} {
		t.Run(name, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, s stored) {
				u := &unsure{Engine: s.open(t)}
				p := begin(t, u, Options{})
				p.does(t, event("rec_1", "decision", "cad_1", ""))
				p.commits(t, shop, event("rec_2", "decision", "cad_2", ""))
				u.next.Store(how)
				require.ErrorIs(t, p.Seal(t.Context(), shop), store.ErrUnavailable)
				p.does(t, event("rec_3", "decision", "cad_3", ""))
				r := p.check(t)
				require.Empty(t, r.Broken)
				require.EqualValues(t, 3, r.Entries)
				require.Len(t, r.Writers, 2, "another chain was begun")
				require.True(t, r.Writers[0].Witnessed)
			})
		})
	}
}

// A link whose outcome is unknown may be the last that a process writes: what it was
// to seal is sealed all the same, and nobody tells of a link that nobody wrote.
func TestTheLastLinkWhoseOutcomeIsUnknown(t *testing.T) {
	for name, how := range map[string]int32{"it did not happen": 1, "it happened": 2} {
		for _, workspace := range []string{shop, store.System} {
			t.Run(name+" in "+workspace, func(t *testing.T) {
				onBothStores(t, func(t *testing.T, s stored) {
					u := &unsure{Engine: s.open(t)}
					p := begin(t, u, Options{})
					for range 2 { // every chain has a link
						p.does(t, event("rec_1", "decision", "cad_1", ""))
						p.commits(t, store.System, event("rec_2", "key_create", "", ""))
						require.NoError(t, p.SealOwn(t.Context()))
						require.NoError(t, p.anchor(t.Context()))
					}
					p.commits(t, workspace, event("rec_3", "decision", "cad_3", ""))
					u.next.Store(how)
					require.ErrorIs(t, p.SealOwn(t.Context()), store.ErrUnavailable)
					require.NoError(t, p.SealOwn(t.Context()))
					require.NoError(t, p.anchor(t.Context()))
					if workspace == store.System {
						p.does(t, event("rec_4", "decision", "cad_4", "")) // its link tells of that chain
					}
					r := p.check(t)
					require.Empty(t, r.Broken)
					require.Zero(t, r.Unsealed)
				})
			})
		}
	}
}

func TestRetentionRemovesRecordsAndKeepsTheChain(t *testing.T) {
	onBothStores(t, func(t *testing.T, s stored) {
		p := begin(t, s.open(t), Options{Retention: 24 * time.Hour})
		for i := range 5 {
			p.does(t, event(fmt.Sprint("rec_", i), "decision", fmt.Sprint("cad_", i), ""))
		}
		require.NoError(t, p.retain(t.Context()))
		require.Zero(t, p.check(t).Removed, "nothing is old enough")
		s.offset.Add(int64(25 * time.Hour))
		p.does(t, event("rec_5", "decision", "cad_5", ""), event("rec_6", "decision", "cad_6", ""))
		require.NoError(t, p.retain(t.Context()))

		for _, l := range []*Log{p.Log, NewLog(s.open(t), records, nil)} {
			r, err := l.Verify(t.Context(), shop)
			require.NoError(t, err)
			require.Empty(t, r.Broken)
			require.EqualValues(t, 5, r.Removed)
			require.EqualValues(t, 2, r.Entries)
			list, more, err := l.List(t.Context(), shop, Query{Limit: 10})
			require.NoError(t, err)
			require.False(t, more)
			require.Equal(t, []string{"rec_6", "rec_5"}, ids(list))
			_, err = l.Timeline(t.Context(), shop, "cad_1")
			require.ErrorIs(t, err, ErrUnknown)
		}
		// What is removed beyond what the chain says is missed.
		s.rewrite(t, shop, records, func(l []store.Entry) []store.Entry { return l[1:] })
		r := p.check(t)
		require.Equal(t, MissingRecord, r.Broken[0].What)
		require.EqualValues(t, 6, r.BrokenAt)
	})
}

func ids(list []Action) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.ID)
	}
	return out
}

// A chain that is longer than what is read at once, with records that name many ids.
func TestLongChains(t *testing.T) {
	onBothStores(t, func(t *testing.T, s stored) {
		p := begin(t, s.open(t), Options{})
		var values []string
		for i := range 2500 {
			values = append(values, event(fmt.Sprint("rec_", i), "decision", fmt.Sprint("cad_", i), fmt.Sprint("hold_", i), fmt.Sprintf(`,"escalation":"esc_%d","via":"via_%d"`, i, i)))
		}
		for len(values) > 0 {
			n := min(len(values), 700)
			p.commits(t, shop, values[:n]...)
			values = values[n:]
		}
		require.NoError(t, p.Seal(t.Context(), shop))
		next := begin(t, s.open(t), Options{}) // begins where the mark says
		next.does(t, event("rec_last", "decision", "cad_last", ""))
		require.Less(t, next.Writer.chains[shop].n, int64(2))
		r := next.check(t)
		require.Empty(t, r.Broken)
		require.EqualValues(t, 2501, r.Entries)
		require.Zero(t, r.Unsealed)
		last, err := lastOf(t.Context(), p.engine, shop, records, 0)
		require.NoError(t, err)
		require.EqualValues(t, 2501, last)
		for _, id := range []string{"cad_0", "hold_1234", "esc_2499", "via_700"} {
			line, err := next.Timeline(t.Context(), shop, id)
			require.NoError(t, err)
			require.Equal(t, 1, line.Count, id)
		}
	})
}
