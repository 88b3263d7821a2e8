package governance

import (
	"context"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"cadreen/store"
)

const kindEvidence = "evidence"

// maxEvidence bounds, in bytes of texts, what is kept of one turn's facts. Of a
// larger turn the verdicts are kept, and nobody can tell what others would be.
const maxEvidence = 4 << 20

// Evidence is what the calls of one reply were judged by, and what the verdicts
// were: everything that it takes to judge them again by other policies. It is
// committed with the records of the decision, and can be erased, which the records
// cannot.
type Evidence struct {
	ID      string    `json:"id"`
	TraceID string    `json:"trace_id"`
	Created time.Time `json:"created"`
	Hold    string    `json:"hold,omitempty"`   // what the turn was held as
	Bundle  string    `json:"bundle,omitempty"` // version of the policies that judged
	// ReleaseAllowed is the setting `batch` at that time: it says which calls are
	// judged beside which.
	ReleaseAllowed bool `json:"release_allowed,omitempty"`
	// ReleasedRead says that Facts.Released was loaded: it is where a rule asks.
	ReleasedRead bool `json:"released_read,omitempty"`
	// ResultsRead says the same of Facts.Results.
	ResultsRead bool `json:"results_read,omitempty"`
	// Facts with the schemas of the called tools only; no decision reads others.
	Facts Facts          `json:"facts"`
	Calls []EvidenceCall `json:"calls"`
	// Missing says why arguments and facts are not there; "" if they are.
	Missing string `json:"missing,omitempty"`
}

// EvidenceCall is one call as it was judged.
type EvidenceCall struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Form      Form    `json:"form"`
	Choice    int     `json:"choice,omitempty"`
	Index     int     `json:"index,omitempty"`
	Arguments []byte  `json:"arguments,omitempty"`
	Truncated bool    `json:"truncated,omitempty"`
	Malformed string  `json:"malformed,omitempty"`
	Verdict   Verdict `json:"verdict"`
	Reason    string  `json:"reason"`         // CallDecision.Reason
	Rule      string  `json:"rule,omitempty"` // the first that determined it, as policy/rule
}

func (c EvidenceCall) call() Call {
	return Call{ID: c.ID, Name: c.Name, Form: c.Form, Choice: c.Choice, Index: c.Index,
		Arguments: string(c.Arguments), Truncated: c.Truncated, Malformed: c.Malformed}
}

// Why evidence has nothing to judge by.
const (
	MissingErased = "erased"    // somebody asked for it
	MissingSize   = "too large" // it was never kept
)

// Redecided is one recorded call under other policies.
type Redecided struct {
	Call   Call    // without arguments where those are gone
	Before Verdict // as recorded
	Rule   string  // that determined it, as policy/rule, "" if none
	After  CallDecision
	// CannotTell says why there is no After; "" if there is one.
	CannotTell string
}

// Changed says that the verdict is another one.
func (r Redecided) Changed() bool { return r.CannotTell == "" && r.Before != r.After.Verdict }

// Redecide judges the calls again by other policies, with the facts and the time
// of then.
func (e Evidence) Redecide(judge Decider) []Redecided {
	out := make([]Redecided, len(e.Calls))
	calls := make([]Call, len(e.Calls))
	blind := e.Missing
	for i, c := range e.Calls {
		calls[i] = c.call()
		out[i] = Redecided{Call: calls[i], Before: c.Verdict, Rule: c.Rule}
		if blind == "" && !e.ReleasedRead && judge.ReadsReleased(c.Name) {
			// Other calls of the turn could go with this one: none of them is told.
			blind = "what was released before it was not looked at then"
		}
		if blind == "" {
			blind = e.unread(judge, &calls[i])
		}
	}
	if blind != "" {
		for i := range out {
			out[i].CannotTell = blind
		}
		return out
	}
	for i, cd := range judgeTurn(judge, e.Facts, calls, e.ReleaseAllowed) {
		out[i].After = cd
	}
	return out
}

// unread says what a judge would read about a call that was not read then.
func (e *Evidence) unread(judge Decider, call *Call) string {
	m, ok := judge.(metering)
	if !ok {
		return ""
	}
	reads := m.Reads(call.Name)
	if reads.Results && !e.ResultsRead {
		return "the results of earlier calls were not looked at then"
	}
	args, err := ReadArguments(*call)
	if err != nil {
		return "" // blocked before any rule is asked
	}
	for i := range reads.Meters {
		id, err := reads.Meters[i].Account(&e.Facts, args)
		if err != nil {
			continue // the rule errs, whatever the ledger said
		}
		if _, read := e.Facts.Ledger[id]; !read {
			return "what the ledger said of it was not looked at then"
		}
	}
	return ""
}

// evidenceOp is the step that keeps what a plan was judged by.
func (d *Desk) evidenceOp(p *Plan) (store.Op, error) {
	f := p.turn.Facts
	e := Evidence{ID: "ev_" + ulid.Make().String(), TraceID: p.turn.TraceID, Created: f.Now, Bundle: p.bundle,
		ReleaseAllowed: d.o.ReleaseAllowed, ReleasedRead: p.turn.ReleasedRead, ResultsRead: p.turn.ResultsRead}
	if p.Hold != nil {
		e.Hold = p.Hold.ID
	}
	size := 0
	for i, c := range p.Calls {
		cd := &p.Decisions[i]
		size += len(c.Arguments)
		kept := EvidenceCall{ID: c.ID, Name: c.Name, Form: c.Form, Choice: c.Choice, Index: c.Index, Arguments: []byte(c.Arguments),
			Truncated: c.Truncated, Malformed: c.Malformed, Verdict: cd.Verdict, Reason: cd.Reason, Rule: cd.Determining()}
		e.Calls = append(e.Calls, kept)
	}
	e.Facts = f.withSchemasOf(p.Calls)
	if size+e.Facts.size() > maxEvidence {
		e.strip(MissingSize)
	}
	return d.evidence.Create(e.ID, e, e.index()...)
}

func (e *Evidence) index() []store.Index {
	return []store.Index{
		{Name: "trace", Key: e.TraceID, Score: e.Created.UnixMilli()},
		{Name: "kept", Score: e.Created.UnixMilli()},
	}
}

// strip takes the arguments and the facts away.
func (e *Evidence) strip(why string) {
	e.Missing = why
	e.Facts = Facts{Workspace: e.Facts.Workspace, Conversation: e.Facts.Conversation, Now: e.Facts.Now}
	for i := range e.Calls {
		e.Calls[i].Arguments, e.Calls[i].Malformed = nil, ""
	}
}

// Determining is the first determining rule as policy/rule, "" if none.
func (d *CallDecision) Determining() string {
	for i := range d.Fired {
		if f := &d.Fired[i]; f.Determining {
			return f.Policy + "/" + f.Rule
		}
	}
	return ""
}

// withSchemasOf leaves out what is said of tools that are not called: that they
// are offered is all that a decision about others reads.
func (f Facts) withSchemasOf(calls []Call) Facts {
	all := f.Tools
	f.Tools = make(map[string]Tool, len(all))
	for name, t := range all {
		if !slices.ContainsFunc(calls, func(c Call) bool { return c.Name == name }) {
			t.Description, t.Schema = "", nil
		}
		f.Tools[name] = t
	}
	return f
}

// size of the texts in the facts.
func (f *Facts) size() int {
	n := 0
	for _, t := range f.UserTexts {
		n += len(t)
	}
	for _, r := range f.Released {
		n += len(r.Arguments)
	}
	for _, r := range f.Results {
		n += len(r.Arguments) + len(r.Text)
	}
	for _, t := range f.Tools {
		n += len(t.Name) + len(t.Description) + len(t.Schema)
	}
	return n
}

// Evidence answers what the calls of a request were judged by, in the order they
// were judged: one for each reply of the model that had calls. There is none for a
// request without calls, and none once retention has passed.
func (d *Desk) Evidence(ctx context.Context, workspace, traceID string) ([]Evidence, error) {
	return d.listEvidence(ctx, workspace, store.Query{Index: "trace", Key: traceID, Limit: store.MaxLimit})
}

// EvidenceBetween answers the evidence of a time, newest first, and whether there
// is more. A zero time is no bound; limit is at most 1,000.
func (d *Desk) EvidenceBetween(ctx context.Context, workspace string, from, to time.Time, offset, limit int) ([]Evidence, bool, error) {
	q := store.Query{Index: "kept", Desc: true, Offset: offset, Limit: limit}
	if !from.IsZero() {
		q.Min = from.UnixMilli()
	}
	if !to.IsZero() {
		q.Max = to.UnixMilli()
	}
	list, err := d.listEvidence(ctx, workspace, q)
	return list, len(list) == limit, err
}

func (d *Desk) listEvidence(ctx context.Context, workspace string, q store.Query) ([]Evidence, error) {
	items, err := d.evidence.List(ctx, workspace, q)
	if err != nil {
		return nil, storeFault(err)
	}
	list := make([]Evidence, len(items))
	for i, it := range items {
		list[i] = it.Value
	}
	return list, nil
}
