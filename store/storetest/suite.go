// Package storetest holds the one suite that every store engine must pass, and
// starters for real Redis servers.
//
// What lives here: the contract of store.Engine as tests, an in-memory model to
// hold engines against, and real servers for tests of other packages. What does
// not: tests of what only one engine has.
package storetest

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// Run holds an engine against the contract. Every call of open must answer a
// new handle on one and the same store; Run closes the handles. Workspaces have
// fresh names, so a store may be used for several Runs.
func Run(t *testing.T, open func(t *testing.T) store.Engine) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *suite)
	}{
		{"a put writes and a get reads", getReadsPut},
		{"conditions of a put", putConditions},
		{"conditions of a delete", deleteConditions},
		{"a conflict undoes the whole commit", conflictUndoesAll},
		{"workspaces and kinds do not see each other", separation},
		{"values keep every byte", binaryValues},
		{"ids and index keys with odd bytes", oddIDs},
		{"what breaks a limit is invalid", invalid},
		{"a put replaces all index positions", indexReplacement},
		{"a document with many positions", manyPositions},
		{"a document is gone after its TTL", expiryEnds},
		{"every put sets the TTL anew", expiryReplaced},
		{"list orders by score then id", listOrder},
		{"list keeps within bounds", listBounds},
		{"list pages without gaps or repeats", listPages},
		{"logs count from one", logsCount},
		{"logs have no gaps under concurrency", logsConcurrent},
		{"a trimmed log goes on counting", trimmed},
		{"one of many committers wins", oneWins},
		{"a counter loses no increment", counter},
		{"readers never see half a commit", noHalves},
		{"a watch hears other handles", watchHears},
		{"a watch hears every workspace apart", watchApart},
		{"a watch ends with its context", watchEnds},
		{"everything is there after reopening", reopen},
		{"a closed engine is unavailable", closed},
		{"an ended context is obeyed", endedContext},
		{"workspaces are listed", workspaces},
		{"the clock moves forward and stamps logs", clock},
		{"check writes", check},
		{"typed collections", collections},
		{"random operations match the model", model},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(t, &suite{open: open, Engine: handle(t, open), ws: fresh()})
		})
	}
}

// suite is what one test works with: a handle and a workspace of its own.
type suite struct {
	store.Engine
	open func(t *testing.T) store.Engine
	ws   string
}

// handle opens one more handle and closes it after the test.
func handle(t *testing.T, open func(t *testing.T) store.Engine) store.Engine {
	t.Helper()
	e := open(t)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

func fresh() string { return "t-" + rand.Text() }

// commit must succeed.
func (s *suite) commit(t testing.TB, ops ...store.Op) {
	t.Helper()
	require.NoError(t, s.Commit(t.Context(), s.ws, ops...))
}

// ids lists the ids that a query selects.
func (s *suite) ids(t testing.TB, kind string, q store.Query) []string {
	t.Helper()
	docs, err := s.List(t.Context(), s.ws, kind, q)
	require.NoError(t, err)
	ids := make([]string, len(docs))
	for i, d := range docs {
		ids[i] = d.ID
	}
	return ids
}

func put(kind, id, value string, index ...store.Index) store.Put {
	return store.Put{Doc: store.Doc{Kind: kind, ID: id, Value: []byte(value), Index: index}}
}

func at(name, key string, score int64) store.Index {
	return store.Index{Name: name, Key: key, Score: score}
}

// heard waits for one signal. The limit is no measure: a signal is due within
// about a second, and a lost one must fail the test instead of hanging it.
func heard(t *testing.T, signals <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case _, open := <-signals:
		require.True(t, open, "the channel was closed")
	case <-ctx.Done():
		require.Fail(t, "no signal")
	}
}

// ended waits until a channel is closed, passing over signals.
func ended(t *testing.T, signals <-chan struct{}) {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case _, open := <-signals:
			if !open {
				return
			}
		case <-limit:
			require.Fail(t, "the channel was not closed")
		}
	}
}
