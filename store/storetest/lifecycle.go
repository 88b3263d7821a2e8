package storetest

import (
	"context"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

func watchHears(t *testing.T, s *suite) {
	other := handle(t, s.open)
	own, err := s.Watch(t.Context(), s.ws)
	require.NoError(t, err)
	far, err := other.Watch(t.Context(), s.ws)
	require.NoError(t, err)
	second, err := other.Watch(t.Context(), s.ws)
	require.NoError(t, err)
	for _, writer := range []store.Engine{s.Engine, other, s.Engine} {
		require.NoError(t, writer.Commit(t.Context(), s.ws, store.Append{Log: "l", Value: []byte("x")}))
		heard(t, own)
		heard(t, far)
		heard(t, second)
	}
}

// watchApart writes to a second workspace first: were its signal to arrive at
// the first workspace's watch, it would be there once the later one is.
func watchApart(t *testing.T, s *suite) {
	mine, err := s.Watch(t.Context(), s.ws)
	require.NoError(t, err)
	theirs := fresh()
	loud, err := s.Watch(t.Context(), theirs)
	require.NoError(t, err)
	require.NoError(t, s.Commit(t.Context(), theirs, store.Append{Log: "l"}))
	heard(t, loud)
	s.commit(t, store.Append{Log: "l"})
	heard(t, mine)
}

func watchEnds(t *testing.T, s *suite) {
	ctx, cancel := context.WithCancel(t.Context())
	first, err := s.Watch(ctx, s.ws)
	require.NoError(t, err)
	stays, err := s.Watch(t.Context(), s.ws)
	require.NoError(t, err)
	cancel()
	ended(t, first)
	s.commit(t, store.Append{Log: "l"})
	heard(t, stays)

	again, err := s.Watch(t.Context(), s.ws)
	require.NoError(t, err)
	s.commit(t, store.Append{Log: "l"})
	heard(t, again)

	e := handle(t, s.open)
	last, err := e.Watch(t.Context(), s.ws)
	require.NoError(t, err)
	require.NoError(t, e.Close())
	ended(t, last)
}

func reopen(t *testing.T, s *suite) {
	e := handle(t, s.open)
	require.NoError(t, e.Commit(t.Context(), s.ws, put("thing", "a", "kept", at("by", "k", 3)), store.Append{Log: "l", Value: []byte("line")}))
	require.NoError(t, e.Commit(t.Context(), s.ws, put("thing", "a", "kept twice", at("by", "k", 4))))
	require.NoError(t, e.Close())
	require.NoError(t, e.Close(), "a second Close does nothing")

	e = handle(t, s.open)
	docs, err := e.List(t.Context(), s.ws, "thing", store.Query{Index: "by", Key: "k"})
	require.NoError(t, err)
	require.Equal(t, []store.Doc{{Kind: "thing", ID: "a", Version: 2, Value: []byte("kept twice"), Index: []store.Index{at("by", "k", 4)}}}, docs)
	require.NoError(t, e.Commit(t.Context(), s.ws, store.Append{Log: "l", Value: []byte("next")}))
	lines, err := e.Read(t.Context(), s.ws, "l", 1, 0)
	require.NoError(t, err)
	require.Len(t, lines, 1)
	require.EqualValues(t, 2, lines[0].Seq)
}

func closed(t *testing.T, s *suite) {
	e := handle(t, s.open)
	require.NoError(t, e.Close())
	requireErrors(t, store.ErrUnavailable, t.Context(), e, s.ws)
	_, err := e.Now(t.Context())
	require.ErrorIs(t, err, store.ErrUnavailable)
}

func endedContext(t *testing.T, s *suite) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	requireErrors(t, context.Canceled, ctx, s.Engine, s.ws)
	err := s.Commit(ctx, s.ws, put("thing", "a", ""))
	require.NotErrorIs(t, err, store.ErrUnavailable, "nothing had begun")
	ctx, cancel = context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	requireErrors(t, context.DeadlineExceeded, ctx, s.Engine, s.ws)
	requireErrors(t, store.ErrUnavailable, ctx, s.Engine, s.ws)
	_, err = s.Get(t.Context(), s.ws, "thing", "a")
	require.ErrorIs(t, err, store.ErrNotFound)
}

// requireErrors calls every method that asks the engine.
func requireErrors(t *testing.T, want error, ctx context.Context, e store.Engine, ws string) {
	t.Helper()
	_, err := e.Get(ctx, ws, "thing", "a")
	require.ErrorIs(t, err, want, "Get")
	_, err = e.List(ctx, ws, "thing", store.Query{Index: "by"})
	require.ErrorIs(t, err, want, "List")
	_, err = e.Read(ctx, ws, "l", 0, 0)
	require.ErrorIs(t, err, want, "Read")
	require.ErrorIs(t, e.Commit(ctx, ws, put("thing", "a", "")), want, "Commit")
	_, err = e.Watch(ctx, ws)
	require.ErrorIs(t, err, want, "Watch")
	_, err = e.Workspaces(ctx)
	require.ErrorIs(t, err, want, "Workspaces")
	require.ErrorIs(t, e.Check(ctx), want, "Check")
}

func workspaces(t *testing.T, s *suite) {
	names := []string{s.ws, "A-" + s.ws, store.System, s.ws + ".x_y"}
	for _, name := range names {
		require.NoError(t, s.Commit(t.Context(), name, store.Append{Log: "l"}))
	}
	require.NoError(t, s.Commit(t.Context(), s.ws, store.Append{Log: "l"}))
	for _, e := range []store.Engine{s.Engine, handle(t, s.open)} {
		got, err := e.Workspaces(t.Context())
		require.NoError(t, err)
		require.Subset(t, got, names)
		require.True(t, sort.StringsAreSorted(got))
		for i := 1; i < len(got); i++ {
			require.NotEqual(t, got[i-1], got[i])
		}
	}
}

func clock(t *testing.T, s *suite) {
	before, err := s.Now(t.Context())
	require.NoError(t, err)
	s.commit(t, store.Append{Log: "l"}, store.Append{Log: "m"})
	after, err := s.Now(t.Context())
	require.NoError(t, err)
	lines, err := s.Read(t.Context(), s.ws, "l", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, 1)
	at := lines[0].At
	require.Equal(t, time.UTC, at.Location())
	// Nodes of a Cluster on one machine share its clock.
	require.False(t, at.Before(before), "%v before %v", at, before)
	require.False(t, after.Before(at), "%v before %v", after, at)
	lines, err = s.Read(t.Context(), s.ws, "m", 0, 0)
	require.NoError(t, err)
	require.Equal(t, at, lines[0].At, "one commit has one time")
}

func check(t *testing.T, s *suite) {
	require.NoError(t, s.Check(t.Context()))
	require.NoError(t, s.Check(t.Context()))
}

type gadget struct {
	Name string `json:"name"`
	Raw  []byte `json:"raw"`
	Big  int64  `json:"big"`
}

func collections(t *testing.T, s *suite) {
	ctx := t.Context()
	gadgets := store.Of[gadget](s.Engine, "gadget")
	value := gadget{Name: "<a & b>", Raw: []byte{0, 0xff, '\n'}, Big: 9007199254740993}
	create, err := gadgets.Create("g", value, at("by", "k", 1))
	require.NoError(t, err)
	s.commit(t, create)
	require.ErrorIs(t, s.Commit(ctx, s.ws, create), store.ErrConflict)

	got, version, err := gadgets.Get(ctx, s.ws, "g")
	require.NoError(t, err)
	require.Equal(t, value, got)
	require.EqualValues(t, 1, version)

	value.Name = "second"
	replace, err := gadgets.Replace("g", version, value, at("by", "k", 2))
	require.NoError(t, err)
	s.commit(t, replace)
	require.ErrorIs(t, s.Commit(ctx, s.ws, replace), store.ErrConflict)
	_, err = gadgets.Replace("g", 0, value)
	require.ErrorIs(t, err, store.ErrInvalid, "version 0 would be an unconditional write")

	set, err := gadgets.Set("h", gadget{Name: "other"}, at("by", "k", 1))
	require.NoError(t, err)
	s.commit(t, set)
	s.commit(t, set)
	items, err := gadgets.List(ctx, s.ws, store.Query{Index: "by", Key: "k"})
	require.NoError(t, err)
	require.Equal(t, []store.Item[gadget]{{ID: "h", Version: 2, Value: gadget{Name: "other"}}, {ID: "g", Version: 2, Value: value}}, items)

	require.ErrorIs(t, s.Commit(ctx, s.ws, gadgets.Remove("g", 1)), store.ErrConflict)
	s.commit(t, gadgets.Remove("g", 2), gadgets.Remove("h", 0))
	_, _, err = gadgets.Get(ctx, s.ws, "g")
	require.ErrorIs(t, err, store.ErrNotFound)

	s.commit(t, put("gadget", "broken", "{", at("by", "k", 1)))
	_, _, err = gadgets.Get(ctx, s.ws, "broken")
	require.ErrorContains(t, err, `gadget "broken"`)
	_, err = gadgets.List(ctx, s.ws, store.Query{Index: "by", Key: "k"})
	require.ErrorContains(t, err, `gadget "broken"`)
}
