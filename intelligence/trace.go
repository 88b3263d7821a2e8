package intelligence

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"cadreen/fault"
)

// Trace is what is known about a request while it is answered. Its methods may
// be called on a nil Trace, which knows nothing and shows nothing, and by
// several goroutines.
type Trace struct {
	mu      sync.Mutex
	now     func() time.Time
	e       Entry
	profile Profile
	named   bool // only a profile that the request names is shown
	// workspace is "" until it is known who asks.
	workspace string
	streams   func()          // called once a streamed answer begins, nil
	model     func(ModelCall) // told of the next model call that is over, nil

	// Room for what a chat without calls tells.
	stages [2]Stage
	models [1]ModelCall
	next   fault.NextAction
}

// New begins the trace of a request that began at started.
func New(id, method, path string, started time.Time, now func() time.Time) *Trace {
	t := &Trace{now: now, e: Entry{ID: id, Method: method, Path: Redact(path), Started: started, Tools: -1}}
	t.e.Stages, t.e.Models = t.stages[:0], t.models[:0]
	return t
}

// ContextKey is what the trace of a context is found by.
type ContextKey struct{}

// From is the trace of a context, nil if there is none.
func From(ctx context.Context) *Trace {
	t, _ := ctx.Value(ContextKey{}).(*Trace)
	return t
}

// ID is the trace id, "" of a nil Trace.
func (t *Trace) ID() string {
	if t == nil {
		return ""
	}
	return t.e.ID
}

// edit changes what is known.
func (t *Trace) edit(change func(e *Entry)) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.e)
}

// Shows says which profile the request names.
func (t *Trace) Shows(p Profile) { t.profile = p }

// OnlyNamed says that the answer shows nothing unless the request names a
// profile: so it is with chat completions, whose clients know of none.
func (t *Trace) OnlyNamed() { t.named = true }

// Profile is what the answer shows: Lean, Audit or Full.
func (t *Trace) Profile() Profile {
	switch {
	case t == nil:
		return Lean
	case t.profile != Unnamed:
		return t.profile
	case t.named:
		return Lean
	}
	return Full
}

// By says who asks.
func (t *Trace) By(workspace, key string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.workspace, t.e.Key = workspace, key
}

// About says what the request is about. What is "" is not changed.
func (t *Trace) About(domain, conversation string) {
	t.edit(func(e *Entry) {
		e.Domain = cmp.Or(Redact(domain), e.Domain)
		e.Conversation = cmp.Or(Redact(conversation), e.Conversation)
	})
}

// Offers says how many tools could be used, and whether the answer is streamed.
func (t *Trace) Offers(tools int, stream bool) {
	t.edit(func(e *Entry) { e.Tools, e.Stream = tools, stream })
	if t != nil && stream && t.streams != nil {
		t.streams()
		t.streams = nil
	}
}

// OnStream has f called once it is known that the answer is streamed.
func (t *Trace) OnStream(f func()) { t.streams = f }

// Begin is the time that a stage begins at, for Stage and the others.
func (t *Trace) Begin() time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.now()
}

// since is what a stage has taken, in microseconds.
func (t *Trace) since(begun time.Time) int64 { return max(t.now().Sub(begun).Microseconds(), 0) }

// Stage notes a step that began at begun and is over now. With status "" it is
// told from what came of it.
func (t *Trace) Stage(name, status string, begun time.Time) {
	t.edit(func(e *Entry) {
		t.stage(Stage{Name: name, Status: status}, begun)
	})
}

// Model notes a request to the model that began at begun and whose reply has
// come, or failed.
func (t *Trace) Model(begun time.Time, m ModelCall) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	m.Code = ownCode(m.Code)
	t.stage(Stage{Name: StageModel}, begun)
	m.Took, m.Model, m.Asked = t.e.Stages[len(t.e.Stages)-1].Took, Redact(m.Model), Redact(m.Asked)
	t.e.Models = append(t.e.Models, m)
	if t.model != nil {
		t.model(m)
		t.model = nil
	}
}

// Codes beside those of the catalogue.
const (
	codeUpstream  = "upstream"  // one that the model's server made up
	codeCancelled = "cancelled" // the request ended before its model call did
)

func ownCode(code string) string {
	if _, ok := fault.Lookup(code); ok || code == "" {
		return code
	}
	return codeUpstream
}

// OnModel has f called with the next model call that is over, or with a code when
// the request ends before that.
func (t *Trace) OnModel(f func(ModelCall)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.model = f
}

// stage notes a step that is over. The lock is held.
func (t *Trace) stage(s Stage, begun time.Time) {
	s.At, s.Took = max(begun.Sub(t.e.Started).Microseconds(), 0), t.since(begun)
	t.e.Stages = append(t.e.Stages, s)
}

// mostCalls is how many calls a trace tells of one by one.
const mostCalls = 32

// Judged notes calls that the policies have judged, since begun.
func (t *Trace) Judged(begun time.Time, calls []Call) {
	t.edit(func(e *Entry) {
		e.Judged = true
		t.stage(Stage{Name: StageGovernance}, begun)
		e.take(append(slices.Clip(e.Calls), calls...))
	})
}

// Tried notes calls that nobody has proposed and that were judged all the same:
// they are no decisions.
func (t *Trace) Tried(begun time.Time, calls []Call) {
	t.edit(func(e *Entry) {
		t.stage(Stage{Name: StageGovernance}, begun)
		e.take(append(slices.Clip(e.Calls), calls...))
	})
}

// Answered notes what an answer to held calls came to: a word such as released
// or denied, and the calls; waited is how long they were held.
func (t *Trace) Answered(begun time.Time, word string, waited time.Duration, calls []Call) {
	t.edit(func(e *Entry) {
		e.Answer, e.Waited = word, max(waited.Microseconds(), 0)
		t.stage(Stage{Name: StageAnswer}, begun)
		e.take(calls)
	})
}

// take keeps calls, the strictest if there are too many, cleaned.
func (e *Entry) take(calls []Call) {
	if len(calls) > mostCalls {
		calls = slices.Clone(calls)
		slices.SortStableFunc(calls, func(a, b Call) int { return cmp.Compare(strictness[b.Verdict], strictness[a.Verdict]) })
		e.More, calls = e.More+len(calls)-mostCalls, calls[:mostCalls]
	}
	for i := range calls {
		c := &calls[i]
		c.Tool, c.Missing, c.Supplier = Redact(c.Tool), Redact(c.Missing), Redact(c.Supplier)
		for j := range c.Arguments {
			c.Arguments[j].Name = Redact(c.Arguments[j].Name)
		}
	}
	e.Calls = calls
}

// Missing notes something that was not known and kept the request from being
// done: a fact, and what would supply it, if that is known. Facts that a call
// lacks come with Judged.
func (t *Trace) Missing(fact, supplier string) {
	t.edit(func(e *Entry) {
		if len(e.Gaps) < mostCalls {
			e.Gaps = append(e.Gaps, Gap{Fact: Redact(fact), Supplier: Redact(supplier), Blocking: true})
		}
	})
}

// Outcome notes the gate and what the caller should do next.
func (t *Trace) Outcome(gate string, next fault.NextAction) {
	t.edit(func(e *Entry) {
		t.next = next
		t.next.Label, t.next.Reason = Redact(next.Label), Redact(next.Reason)
		e.Gate, e.Next = gate, &t.next
	})
}

// Failed notes the error that is answered. Its message is not kept: it may quote
// what a client or a model wrote.
func (t *Trace) Failed(f *fault.Error) {
	t.edit(func(e *Entry) {
		e.Status, e.Code = f.HTTPStatus(), ownCode(f.Code)
		if e.Next == nil || f.Next != nil {
			next := f.NextAction()
			e.Next = &next
		}
	})
}

// Gone notes that the client went away before its answer was complete.
func (t *Trace) Gone() { t.edit(func(e *Entry) { e.Code = codeCancelled }) }

// Block is the value of the answer's field intelligence, as far as is known by
// now; nil if the answer shows none.
func (t *Trace) Block() []byte {
	profile := t.Profile()
	if profile == Lean {
		return nil
	}
	t.mu.Lock()
	e := t.e
	e.Took = t.since(e.Started)
	t.mu.Unlock()
	block, err := json.Marshal(e.Meta(profile))
	if err != nil {
		return nil // strings, numbers and times always encode
	}
	return block
}

// End completes the trace: the answer, which took so long, has this status, 0 if
// it broke off. It answers the entry to store and whose it is; workspace is "" if
// nobody's.
func (t *Trace) End(status int, took time.Duration) (workspace string, e Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.e.Status, t.e.Took = status, max(took.Microseconds(), 0)
	if status == 0 && t.e.Code == "" {
		t.e.Code = codeCancelled
	}
	if t.model != nil {
		t.model(ModelCall{Code: codeCancelled})
		t.model = nil
	}
	return t.workspace, t.e
}
