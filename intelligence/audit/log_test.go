package audit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// told is a store with a small story in it.
func told(t *testing.T, s stored) *process {
	t.Helper()
	p := begin(t, s.open(t), Options{})
	p.does(t, `{"id":"rec_1","event":"decision","workspace":"shop","conversation":"chat-1","trace_id":"cad_1","principal":"key_a","hold":"hold_1","tool_call_id":"call_1","tool":"process_refund","action_digest":"ab","verdict":"confirm","cause":"rule","fired":[{"policy":"Refunds","version":"v1","rule":"limit","determining":true},{"policy":"Refunds","rule":"other"}],"created":"2026-01-01T00:00:00Z","state":"held"}`)
	s.offset.Add(int64(time.Minute))
	p.does(t, `{"id":"rec_2","event":"answer","workspace":"shop","conversation":"chat-1","trace_id":"cad_1","via":"cad_2","hold":"hold_1","tool":"process_refund","answer":"yes","resolver":"key_a","channel":"chat","state":"held"}`,
		`{"id":"rec_3","event":"release","workspace":"shop","conversation":"chat-1","trace_id":"cad_1","via":"cad_2","hold":"hold_1","tool":"process_refund","resolver":"key_a","channel":"chat","state":"released"}`)
	p.commits(t, store.System, `{"id":"rec_k","event":"key_create","workspace":"shop","subject":"key_b","subject_name":"support","roles":["chat"],"channel":"command"}`,
		`{"id":"rec_f","event":"policy_files","subject":"policy_files","channel":"configuration"}`,
		`{"id":"rec_x","event":"key_create","workspace":"other","subject":"key_x","subject_name":"theirs","channel":"command"}`)
	s.offset.Add(int64(time.Minute))
	p.does(t, `{"id":"rec_4","event":"decision","workspace":"shop","conversation":"chat-2","trace_id":"cad_3","principal":"key_a","tool":"drop_table","verdict":"block","cause":"rule"}`)
	return p
}

func TestActionsAreListed(t *testing.T) {
	onBothStores(t, func(t *testing.T, s stored) {
		p := told(t, s)
		now, err := p.engine.Now(t.Context())
		require.NoError(t, err)
		for name, c := range map[string]struct {
			q    Query
			want string
			more bool
		}{
			"all, newest first":  {Query{Limit: 10}, "rec_4 rec_f rec_k rec_3 rec_2 rec_1", false},
			"a page":             {Query{Limit: 3}, "rec_4 rec_f rec_k", true},
			"the next":           {Query{Limit: 2, Offset: 3}, "rec_3 rec_2", true},
			"the last":           {Query{Limit: 2, Offset: 5}, "rec_1", false},
			"beyond":             {Query{Limit: 2, Offset: 9}, "", false},
			"type":               {Query{Limit: 9, Type: "decision"}, "rec_4 rec_1", false},
			"status":             {Query{Limit: 9, Status: "blocked"}, "rec_4", false},
			"name":               {Query{Limit: 9, Name: "process_refund"}, "rec_3 rec_2 rec_1", false},
			"name of a key":      {Query{Limit: 9, Name: "support"}, "rec_k", false},
			"actor":              {Query{Limit: 1, Actor: "key_a"}, "rec_4", true},
			"trace":              {Query{Limit: 9, ID: "cad_2"}, "rec_3 rec_2", false},
			"conversation":       {Query{Limit: 9, ID: "chat-1", Type: "decision"}, "rec_1", false},
			"key":                {Query{Limit: 9, ID: "key_b"}, "rec_k", false},
			"another's key":      {Query{Limit: 9, ID: "key_x"}, "", false},
			"since":              {Query{Limit: 9, From: now.Add(-90 * time.Second)}, "rec_4 rec_f rec_k rec_3 rec_2", false},
			"until":              {Query{Limit: 9, To: now.Add(-90 * time.Second)}, "rec_1", false},
			"between":            {Query{Limit: 9, From: now.Add(-90 * time.Second), To: now.Add(-30 * time.Second)}, "rec_f rec_k rec_3 rec_2", false},
			"an id that is none": {Query{Limit: 9, ID: strings.Repeat("x", 300)}, "", false},
		} {
			t.Run(name, func(t *testing.T) {
				list, more, err := p.List(t.Context(), shop, c.q)
				require.NoError(t, err)
				require.Equal(t, c.want, strings.Join(ids(list), " "))
				require.Equal(t, c.more, more)
			})
		}
		list, _, err := p.List(t.Context(), shop, Query{Limit: 9, ID: "cad_1", Type: "decision"})
		require.NoError(t, err)
		a := list[0]
		require.Equal(t, "held", a.Status)
		require.Equal(t, "process_refund", a.Name)
		require.Equal(t, "verdict confirm (rule); rules Refunds/limit", a.Details)
		require.Equal(t, a.Timestamp.Sub(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).Milliseconds(), a.DurationMS)
	})
}

func TestTimelines(t *testing.T) {
	onBothStores(t, func(t *testing.T, s stored) {
		p := told(t, s)
		for _, id := range []string{"cad_1", "cad_2", "hold_1", "chat-1"} {
			line, err := p.Timeline(t.Context(), shop, id)
			require.NoError(t, err)
			require.Equal(t, []string{"rec_1", "rec_2", "rec_3"}, ids(line.Timeline), "the request that answered leads to what it answered")
			require.Equal(t, id, line.ExecutionID)
			require.Equal(t, "released", line.Status)
			require.GreaterOrEqual(t, line.DurationMS, int64(60_000))
		}
		for _, id := range []string{"cad_9", "key_x"} {
			_, err := p.Timeline(t.Context(), shop, id)
			require.ErrorIs(t, err, ErrUnknown)
		}
	})
}

func TestStats(t *testing.T) {
	onBothStores(t, func(t *testing.T, s stored) {
		p := told(t, s)
		for range 2 { // the second time from memory
			st, err := p.Stats(t.Context(), shop)
			require.NoError(t, err)
			require.Equal(t, Stats{Total: 6, Actions24h: 6, Actions7d: 6, Actions30d: 6,
				ByType:    map[string]int64{"decision": 2, "answer": 1, "release": 1, "key_create": 1, "policy_files": 1},
				ByStatus:  map[string]int64{"held": 2, "released": 1, "blocked": 1, "done": 2},
				ByVerdict: map[string]int64{"confirm": 1, "block": 1},
				ByChannel: map[string]int64{"chat": 2, "command": 1, "configuration": 1}}, st)
		}
		s.offset.Add(int64(26 * time.Hour))
		var many []string
		for i := range tallyEvery + 1 {
			many = append(many, event(fmt.Sprint("rec_n", i), "expire", "cad_n", "hold_n"))
		}
		p.commits(t, shop, many...)
		for _, l := range []*Log{p.Log, NewLog(s.open(t), records, nil)} { // the second from what the first wrote down
			st, err := l.Stats(t.Context(), shop)
			require.NoError(t, err)
			require.EqualValues(t, tallyEvery+7, st.Total)
			require.EqualValues(t, tallyEvery+1, st.Actions24h)
			require.EqualValues(t, tallyEvery+7, st.Actions7d)
			require.EqualValues(t, tallyEvery+1, st.ByType["expire"])
		}
	})
}

// An export can be checked where there is no store, and shows every edit.
func TestAnExportIsChecked(t *testing.T) {
	onBothStores(t, func(t *testing.T, s stored) {
		p := told(t, s)
		p.does(t, "no record at all\n", `{ "id":"rec_s", "event":"decision","workspace":"shop","amount":1.50 }`)
		var b bytes.Buffer
		require.NoError(t, p.Export(t.Context(), &b, shop, Query{}))
		text := b.String()
		require.NotContains(t, text, "theirs", "what is about another workspace stays out")
		require.Contains(t, text, `"value":{ "id":"rec_s", "event":"decision","workspace":"shop","amount":1.50 }`, "byte for byte")
		path := filepath.Join(t.TempDir(), "export.jsonl")
		check := func(text string, heads ...Head) (Report, error) {
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			return VerifyFile(t.Context(), path, records, heads...)
		}
		head, _ := p.Head(shop)
		r, err := check(text, head)
		require.NoError(t, err)
		require.Empty(t, r.Broken)
		require.EqualValues(t, 6, r.Entries)
		lines := strings.SplitAfter(strings.TrimSpace(text), "\n")
		require.Contains(t, lines[len(lines)-1], head.String())
		for i, line := range lines[:len(lines)-1] {
			if strings.Contains(line, `"workspace":"_system"`) {
				continue // its chain is not in an export of one workspace
			}
			gone := strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "")
			r, err := check(gone, head)
			require.NoError(t, err)
			require.False(t, r.Valid, "without line %d", i+1)
		}
		r, err = check(strings.Replace(text, `"drop_table"`, `"list_table"`, 1))
		require.NoError(t, err)
		require.Equal(t, BrokenRecord, r.Broken[0].What)
		_, err = check(strings.Join(lines[:len(lines)-1], ""))
		require.ErrorContains(t, err, "not a whole export")
		_, err = check(text[:len(text)/2])
		require.Error(t, err)

		b.Reset()
		now, err := p.engine.Now(t.Context())
		require.NoError(t, err)
		require.NoError(t, p.Export(t.Context(), &b, shop, Query{From: now.Add(-30 * time.Second)}))
		require.Equal(t, 4, strings.Count(b.String(), "\n"), "the newest three, and the end")
	})
}

func TestHeadsAreReadAsTheyAreWritten(t *testing.T) {
	want := Head{Workspace: "shop", Writer: "wr_1", N: 7, Hash: Digest{1, 2, 255}}
	got, err := ParseHead(want.String())
	require.NoError(t, err)
	require.Equal(t, want, got)
	for _, bad := range []string{"", "a:b:c", "shop:wr:0:" + want.Hash.String(), "shop:wr:1:xx", "s p:wr:1:" + want.Hash.String(), want.String() + ":x", want.String() + "A"} {
		_, err := ParseHead(bad)
		require.Error(t, err, bad)
	}
}
