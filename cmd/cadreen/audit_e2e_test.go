package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
)

// witness keeps what the clients of a run saw, to hold it against the store
// afterwards. It knows nothing of the program but the wire and the records.
type witness struct {
	mu    sync.Mutex
	got   map[string]int    // call id -> in how many replies any byte of it was
	whole map[string]string // call id -> arguments, of whole replies
	wrong []string
	count map[int]int // by HTTP status; 0 is a connection that broke before
}

func newWitness() *witness {
	return &witness{got: map[string]int{}, whole: map[string]string{}, count: map[int]int{}}
}

// halfTold is in the text of replies that a model of the tests breaks off.
const halfTold = "half a tale"

// callIDs finds the ids of calls in whatever form they left, also in half a
// frame. Nothing else on the wire is called so.
var callIDs = regexp.MustCompile(`call_[A-Za-z0-9_]+`)

// saw takes a reply, or what there is of it, and answers it read. ok says that
// it is whole and good.
func (w *witness) saw(r reply, err error) (s seen, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count[r.status]++
	for _, id := range distinct(callIDs.FindAllString(r.body, -1)) {
		w.got[id]++
	}
	s, unread := r.parse()
	broken := err != nil || r.broken != nil
	// An event stream is whole when it says so, whatever becomes of the
	// connection after that.
	told := s.done && s.finish != "" && s.failed == "" && unread == nil
	if !strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream") {
		told = unread == nil && r.status == 200 && s.finish != ""
	}
	switch {
	case s.done && !told:
		w.wrong = append(w.wrong, fmt.Sprintf("a broken stream with a tidy end: %s", shortened(r.body)))
	case told && strings.Contains(s.text, halfTold):
		w.wrong = append(w.wrong, fmt.Sprintf("what the model did not finish has a tidy end: %s", shortened(r.body)))
	case broken:
	case r.status == 200 && !told && s.failed == "":
		w.wrong = append(w.wrong, fmt.Sprintf("a reply that neither ended nor failed (%v): %s", unread, shortened(r.body)))
	case r.status != 200 && r.status != 503:
		w.wrong = append(w.wrong, fmt.Sprintf("status %d: %s", r.status, shortened(r.body)))
	}
	ok = told && r.status == 200
	if ok {
		for _, c := range s.calls {
			w.whole[c.id] = c.arguments
		}
	}
	return s, ok
}

// shortened is the beginning and the end of a body.
func shortened(body string) string {
	if len(body) > 2000 {
		return body[:1000] + " … " + body[len(body)-1000:]
	}
	return body
}

func distinct(list []string) []string {
	var out []string
	have := map[string]bool{}
	for _, s := range list {
		if !have[s] {
			have[s] = true
			out = append(out, s)
		}
	}
	return out
}

// ledger is what the store says about the calls and the holds of a workspace.
type ledger struct {
	released map[string]int                // call id -> records of its release after an answer
	allowed  map[string]int                // call id -> records of a release at once
	ends     map[string][]governance.State // hold -> recorded ends, in their order
	holds    map[string]governance.Hold    // as the documents say
	calls    map[string][]string           // hold -> the ids of its calls
}

// readLedger opens the store by itself: the program may be dead.
func readLedger(t *testing.T, storeURL, workspace string) ledger {
	t.Helper()
	e, err := openPlain(t.Context(), storeURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	l := ledger{released: map[string]int{}, allowed: map[string]int{}, ends: map[string][]governance.State{}, holds: map[string]governance.Hold{}, calls: map[string][]string{}}
	last := int64(0)
	for {
		entries, err := e.Read(t.Context(), workspace, governance.RecordLog, last, 1000)
		require.NoError(t, err)
		if len(entries) == 0 {
			break
		}
		for _, entry := range entries {
			require.Equal(t, last+1, entry.Seq, "the log has no gaps")
			last = entry.Seq
			l.take(decodeRecord(entry.Value))
		}
	}
	for id := range l.calls {
		doc, err := e.Get(t.Context(), workspace, "hold", id)
		require.NoError(t, err, "a hold that was recorded is there")
		var h governance.Hold
		require.NoError(t, json.Unmarshal(doc.Value, &h))
		l.holds[id] = h
	}
	return l
}

func openPlain(ctx context.Context, storeURL string) (store.Engine, error) {
	if path, ok := strings.CutPrefix(storeURL, sqlitePrefix); ok {
		return sqlite.Open(ctx, path)
	}
	return redis.Open(ctx, storeURL)
}

var ended = map[string]bool{governance.EventRelease: true, governance.EventDeny: true, governance.EventExpire: true, governance.EventSupersede: true, governance.EventCancel: true}

func (l *ledger) take(r governance.Record) {
	switch {
	case r.Event == governance.EventDecision && r.State == governance.StateReleased:
		l.allowed[r.CallID]++
	case r.Event == governance.EventDecision && r.Hold != "":
		l.calls[r.Hold] = append(l.calls[r.Hold], r.CallID)
	case r.Event == governance.EventRelease && r.CallID != "":
		l.released[r.CallID]++
	case ended[r.Event] && r.CallID == "":
		l.ends[r.Hold] = append(l.ends[r.Hold], r.State)
	}
}

// audit holds everything that was seen against the store: the invariants that no
// fault may break.
func (w *witness) audit(t *testing.T, storeURL, workspace string) ledger {
	t.Helper()
	l := readLedger(t, storeURL, workspace)
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Empty(t, w.wrong)
	require.NoError(t, errors.Join(w.problems(l)...))
	return l
}

func (w *witness) problems(l ledger) []error {
	var bad []error
	for id := range w.got {
		if l.released[id]+l.allowed[id] == 0 {
			bad = append(bad, fmt.Errorf("call %s left without a durable record", id))
		}
	}
	for id, n := range l.released {
		if n > 1 {
			bad = append(bad, fmt.Errorf("call %s was released %d times", id, n))
		}
	}
	for id, h := range l.holds {
		ends := l.ends[id]
		switch {
		case h.State == governance.StateHeld && len(ends) > 0:
			bad = append(bad, fmt.Errorf("hold %s is held, and its end is recorded: %v", id, ends))
		case h.State != governance.StateHeld && (len(ends) != 1 || ends[0] != h.State):
			bad = append(bad, fmt.Errorf("hold %s is %s, and recorded are the ends %v", id, h.State, ends))
		case h.State != governance.StateReleased:
			for _, call := range l.calls[id] {
				if w.got[call] > 0 && l.released[call]+l.allowed[call] == 0 {
					bad = append(bad, fmt.Errorf("call %s of a hold that is %s left", call, h.State))
				}
			}
		}
	}
	return bad
}
