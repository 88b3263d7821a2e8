package tools_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
	"cadreen/store/storetest"
	"cadreen/tools"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func engines(t *testing.T, test func(t *testing.T, engine store.Engine)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = engine.Close() })
		test(t, engine)
	})
	t.Run("redis", func(t *testing.T) {
		engine, err := redis.Open(t.Context(), "redis://"+storetest.RedisServer(t))
		require.NoError(t, err)
		t.Cleanup(func() { _ = engine.Close() })
		test(t, engine)
	})
}

// note tells of a request that offered these tools, spelled as text, and says
// whether it was looked into.
func note(s *tools.Seen, workspace string, at time.Time, offered ...governance.Tool) (looked bool) {
	byName := map[string]governance.Tool{}
	for _, t := range offered {
		byName[t.Name] = t
	}
	var raw []byte
	for _, t := range offered {
		raw = fmt.Appendf(raw, "%s %s %s", t.Name, t.Description, t.Schema)
	}
	s.Note(workspace, at, raw, nil, func() map[string]governance.Tool { looked = true; return byName })
	return looked
}

func function(name, description, schema string) governance.Tool {
	return governance.Tool{Type: "function", Name: name, Description: description, Schema: []byte(schema)}
}

// until waits for what the writer does behind the answer.
func until(t *testing.T, s *tools.Seen, workspace string, done func([]tools.SeenTool) bool) []tools.SeenTool {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		list, err := s.List(t.Context(), workspace)
		require.NoError(t, err)
		if done(list) {
			return list
		}
		require.True(t, time.Now().Before(deadline), "it was never written")
	}
}

func has(n int) func([]tools.SeenTool) bool {
	return func(l []tools.SeenTool) bool { return len(l) == n }
}

func run(t *testing.T, engine store.Engine) *tools.Seen {
	s := tools.NewSeen(engine, nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return s
}

func TestToolsOfRequestsAreKeptPerWorkspace(t *testing.T) {
	engines(t, func(t *testing.T, engine store.Engine) {
		s := run(t, engine)
		refund := function("process_refund", "Refunds an order", `{"type":"object","properties":{"amount":{"type":"number"}}}`)
		require.True(t, note(s, "shop", noon, refund, function("get_order", "", "")))
		list := until(t, s, "shop", has(2))
		require.Equal(t, "get_order", list[0].Name)
		require.Equal(t, refund.SchemaHash(), list[1].SchemaHash)
		require.Equal(t, noon, list[1].LastSeen.UTC())

		other, err := s.Tools(t.Context(), "elsewhere")
		require.NoError(t, err)
		require.Empty(t, other)
		offered, err := s.Tools(t.Context(), "shop")
		require.NoError(t, err)
		require.Equal(t, refund, offered[1])

		// The same request again is not looked into; a changed one is, and counts.
		require.False(t, note(s, "shop", noon.Add(time.Minute), refund, function("get_order", "", "")))
		changed := function("process_refund", "Refunds an order", `{"type":"object","properties":{"total":{"type":"number"}}}`)
		require.True(t, note(s, "shop", noon.Add(time.Minute), changed))
		until(t, s, "shop", func(l []tools.SeenTool) bool { return len(l) == 2 && l[1].SchemaHash == changed.SchemaHash() })

		// A new process knows what the store knows.
		again, err := tools.NewSeen(engine, nil).Tools(t.Context(), "shop")
		require.NoError(t, err)
		require.Len(t, again, 2)
	})
}

func TestWhatIsKeptOfToolsIsBounded(t *testing.T) {
	engines(t, func(t *testing.T, engine store.Engine) {
		s := run(t, engine)
		var many []governance.Tool
		for i := range tools.MaxSeen {
			many = append(many, function(fmt.Sprintf("tool_%04d", i), "", `{"type":"object"}`))
		}
		note(s, "shop", noon, many...)
		until(t, s, "shop", has(tools.MaxSeen))

		// A client that makes up names pushes nothing out that is in use.
		note(s, "shop", noon.Add(time.Hour), function("made_up", "", ""))
		note(s, "other", noon, function("mark", "", "")) // written after it
		until(t, s, "other", has(1))
		list := until(t, s, "shop", has(tools.MaxSeen))
		for _, l := range list {
			require.NotEqual(t, "made_up", l.Name)
		}
		// What nobody offered for a day makes room.
		note(s, "shop", noon.Add(30*time.Hour), function("new_tool", "", ""))
		until(t, s, "shop", func(l []tools.SeenTool) bool { return len(l) == tools.MaxSeen && l[0].Name == "new_tool" })

		// Names that no call may have are not kept, nor is a schema out of all proportion.
		large := function("large", "", `{"description":"`+strings.Repeat("x", tools.MaxSeenTool)+`"}`)
		note(s, "third", noon, function("not a name", "", ""), large)
		l := until(t, s, "third", has(1))
		require.Equal(t, large.SchemaHash(), l[0].SchemaHash)
		require.Nil(t, l[0].Schema)
		usable, err := s.Tools(t.Context(), "third")
		require.NoError(t, err)
		require.Empty(t, usable)

		// All of them together are bounded too.
		many = nil
		for i := range 100 {
			many = append(many, function(fmt.Sprintf("big_%04d", i), "", `{"description":"`+strings.Repeat("x", tools.MaxSeenTool-100)+`"}`))
		}
		note(s, "fourth", noon, many...)
		l = until(t, s, "fourth", func(l []tools.SeenTool) bool { return len(l) > 0 })
		size := 0
		for _, t := range l {
			size += len(t.Schema)
		}
		require.LessOrEqual(t, size, tools.MaxSeenBytes)
		require.Greater(t, len(l), 60)
	})
}

// A store that is away costs nothing but the notice.
func TestAStoreThatIsAwayKeepsNoRequestWaiting(t *testing.T) {
	engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"))
	require.NoError(t, err)
	require.NoError(t, engine.Close())
	s := run(t, engine)
	for i := range 500 {
		note(s, "shop", noon, function(fmt.Sprint("tool_", i), "", ""))
	}
	_, err = s.Tools(t.Context(), "shop")
	require.ErrorIs(t, err, store.ErrUnavailable)
}

func BenchmarkNoteOfAKnownRequest(b *testing.B) {
	engine, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "s.db"))
	require.NoError(b, err)
	defer func() { _ = engine.Close() }()
	s := tools.NewSeen(engine, nil)
	raw := []byte(strings.Repeat("x", 19<<10))
	note := func() {
		s.Note("shop", noon, raw, nil, func() map[string]governance.Tool {
			return map[string]governance.Tool{"a": {Type: "function", Name: "a"}}
		})
	}
	note()
	b.ReportAllocs()
	for b.Loop() {
		note()
	}
}
