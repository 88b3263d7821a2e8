package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

func logsCount(t *testing.T, s *suite) {
	ctx := t.Context()
	line := func(v string) store.Append { return store.Append{Log: "l", Value: []byte(v)} }
	s.commit(t, line("a"))
	s.commit(t, line("b"), store.Append{Log: "m", Value: []byte("other")}, line("c"))
	s.commit(t, line("d"))
	read := func(after int64, limit int) (out []string) {
		lines, err := s.Read(ctx, s.ws, "l", after, limit)
		require.NoError(t, err)
		for _, l := range lines {
			out = append(out, fmt.Sprintf("%d%s", l.Seq, l.Value))
		}
		return out
	}
	require.Equal(t, []string{"1a", "2b", "3c", "4d"}, read(0, 0))
	require.Equal(t, []string{"1a", "2b", "3c", "4d"}, read(-5, 100), "before the first")
	require.Equal(t, []string{"3c", "4d"}, read(2, 10), "after is exclusive")
	require.Equal(t, []string{"2b", "3c"}, read(1, 2))
	require.Empty(t, read(4, 10))
	require.Empty(t, read(math.MaxInt64, 10))
}

// trimmed keeps the newest entry, so that no number is given out twice.
func trimmed(t *testing.T, s *suite) {
	line := func(v string) store.Append { return store.Append{Log: "l", Value: []byte(v)} }
	read := func() (out []string) {
		lines, err := s.Read(t.Context(), s.ws, "l", 0, 100)
		require.NoError(t, err)
		for _, l := range lines {
			out = append(out, fmt.Sprintf("%d%s", l.Seq, l.Value))
		}
		return out
	}
	s.commit(t, store.Trim{Log: "l", Through: 5}) // nothing is there
	s.commit(t, line("a"), line("b"), line("c"), store.Append{Log: "m", Value: []byte("other")})
	s.commit(t, store.Trim{Log: "l", Through: 2})
	require.Equal(t, []string{"3c"}, read())
	s.commit(t, line("d"), store.Trim{Log: "l", Through: 3}, line("e"))
	require.Equal(t, []string{"4d", "5e"}, read())
	s.commit(t, store.Trim{Log: "l", Through: math.MaxInt64 - 1})
	require.Equal(t, []string{"5e"}, read())
	s.commit(t, store.Trim{Log: "l", Through: 1})
	s.commit(t, line("f"))
	require.Equal(t, []string{"5e", "6f"}, read())
	lines, err := s.Read(t.Context(), s.ws, "m", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, 1, "another log")
	require.ErrorIs(t, s.Commit(t.Context(), s.ws, store.Trim{Log: "l"}), store.ErrInvalid)
	require.ErrorIs(t, s.Commit(t.Context(), s.ws, store.Trim{Log: "L", Through: 1}), store.ErrInvalid)
}

// logsConcurrent has two handles append from many callers.
func logsConcurrent(t *testing.T, s *suite) {
	const callers, each = 16, 20
	engines := [2]store.Engine{s.Engine, handle(t, s.open)}
	failed := together(callers, func(n int) error {
		for i := range each {
			err := engines[n%2].Commit(t.Context(), s.ws, store.Append{Log: "l", Value: fmt.Appendf(nil, "%d/%d", n, i)})
			if err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, failed)
	lines, err := s.Read(t.Context(), s.ws, "l", 0, 10*callers*each)
	require.NoError(t, err)
	require.Len(t, lines, callers*each)
	next := map[string]int{}
	for i, l := range lines {
		require.EqualValues(t, i+1, l.Seq)
		var n string
		var k int
		_, err := fmt.Sscanf(string(l.Value), "%d/%d", new(int), &k)
		require.NoError(t, err)
		n, _, _ = strings.Cut(string(l.Value), "/")
		require.Equal(t, next[n], k, "each caller's lines are in its order")
		next[n]++
	}
}

// oneWins is the double click: many callers on two handles try to release one
// hold, by version and by creating its receipt.
func oneWins(t *testing.T, s *suite) {
	engines := [2]store.Engine{s.Engine, handle(t, s.open)}
	for round := range 5 {
		id := fmt.Sprint("hold", round)
		s.commit(t, put("hold", id, "held"))
		var wins atomic.Int32
		failed := together(32, func(n int) error {
			var op store.Op
			switch {
			case n%4 < 2:
				op = store.Put{Doc: store.Doc{Kind: "hold", ID: id, Value: []byte("released")}, IfVersion: 1}
			default:
				op = store.Delete{Kind: "hold", ID: id, IfVersion: 1}
			}
			err := engines[n%2].Commit(t.Context(), s.ws, op,
				store.Put{Doc: store.Doc{Kind: "receipt", ID: id}, Create: true},
				store.Append{Log: "releases", Value: []byte(id)})
			if err == nil {
				wins.Add(1)
			} else if !errors.Is(err, store.ErrConflict) {
				return err
			}
			return nil
		})
		require.NoError(t, failed)
		require.EqualValues(t, 1, wins.Load())
	}
	lines, err := s.Read(t.Context(), s.ws, "releases", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, 5)
}

func counter(t *testing.T, s *suite) {
	const callers, each = 8, 10
	s.commit(t, put("counter", "c", "0"))
	failed := together(callers, func(int) error {
		for done := 0; done < each; {
			doc, err := s.Get(t.Context(), s.ws, "counter", "c")
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(doc.Value))
			if err != nil {
				return err
			}
			err = s.Commit(t.Context(), s.ws, store.Put{Doc: store.Doc{Kind: "counter", ID: "c", Value: []byte(strconv.Itoa(n + 1))}, IfVersion: doc.Version})
			switch {
			case err == nil:
				done++
			case !errors.Is(err, store.ErrConflict):
				return err
			}
		}
		return nil
	})
	require.NoError(t, failed)
	doc, err := s.Get(t.Context(), s.ws, "counter", "c")
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(callers*each), string(doc.Value))
	require.EqualValues(t, callers*each+1, doc.Version)
}

// noHalves moves documents between two keys of an index while others list: a
// reader that saw half a commit would see one too many or one too few, or the
// two documents of a commit with different values.
func noHalves(t *testing.T, s *suite) {
	write := func(n int) error {
		v := fmt.Appendf(nil, "%d", n)
		doc := func(id string) store.Put {
			return store.Put{Doc: store.Doc{Kind: "thing", ID: id, Value: v, Index: []store.Index{at("by", "k", int64(n%3)), at("turn", strconv.Itoa(n%2), 1)}}}
		}
		return s.Commit(t.Context(), s.ws, doc("a"), doc("b"))
	}
	require.NoError(t, write(0))
	ctx, done := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	wrong := make(chan error, 4)
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				docs, err := s.List(t.Context(), s.ws, "thing", store.Query{Index: "by", Key: "k"})
				if err == nil && (len(docs) != 2 || string(docs[0].Value) != string(docs[1].Value)) {
					err = fmt.Errorf("half a commit: %v", docs)
				}
				if err != nil {
					wrong <- err
					return
				}
			}
		})
	}
	var err error
	for n := 1; n <= 150 && err == nil; n++ {
		err = write(n)
	}
	done()
	readers.Wait()
	close(wrong)
	require.NoError(t, err)
	require.NoError(t, <-wrong)
}

// together runs callers at the same time and answers the first error.
func together(callers int, run func(n int) error) error {
	var all sync.WaitGroup
	failed := make(chan error, callers)
	start := make(chan struct{})
	for n := range callers {
		all.Go(func() {
			<-start
			if err := run(n); err != nil {
				failed <- err
			}
		})
	}
	close(start)
	all.Wait()
	close(failed)
	return <-failed
}
