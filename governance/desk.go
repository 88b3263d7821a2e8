package governance

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"cadreen/fault"
	"cadreen/store"
)

// Kinds of documents that the desk owns.
const (
	kindHold       = "hold"
	kindHoldBytes  = "hold_bytes"
	kindClaim      = "claim"
	kindCall       = "call"
	kindEscalation = "escalation"
)

// DeskOptions are the settings of a Desk.
type DeskOptions struct {
	ConfirmExpires time.Duration // life of a hold whose rule says nothing; 0 means 15 min
	Replay         time.Duration // how long a broken release reply is repeated; 0 means 2 min
	ReleaseAllowed bool          // batch: release_allowed instead of hold
	Logger         *slog.Logger
	// Await bounds the wait for a release reply that another request is
	// writing at this moment; 0 means 2 s.
	Await time.Duration
	// Retention is how long the arguments and facts of decisions are kept; 0 means
	// 30 days.
	Retention time.Duration
}

// Desk is where decisions become durable: it holds calls, takes answers, and
// makes the releases. It keeps nothing in memory that matters: any number of
// desks work on one store.
type Desk struct {
	engine      store.Engine
	decider     Decider
	o           DeskOptions
	holds       *store.Collection[Hold]
	bytes       *store.Collection[holdBytes]
	claims      *store.Collection[claim]
	calls       *store.Collection[observed]
	escalations *store.Collection[Escalation]
	evidence    *store.Collection[Evidence]
	accounts    *store.Collection[account]
	metered     sync.Map // workspace and meter to since when it is counted
}

// NewDesk builds a desk on a store.
func NewDesk(engine store.Engine, decider Decider, o DeskOptions) *Desk {
	if o.ConfirmExpires == 0 {
		o.ConfirmExpires = 15 * time.Minute
	}
	if o.Replay == 0 {
		o.Replay = 2 * time.Minute
	}
	if o.Await == 0 {
		o.Await = 2 * time.Second
	}
	if o.Retention == 0 {
		o.Retention = 30 * 24 * time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Desk{engine: engine, decider: decider, o: o,
		holds:       store.Of[Hold](engine, kindHold),
		bytes:       store.Of[holdBytes](engine, kindHoldBytes),
		claims:      store.Of[claim](engine, kindClaim),
		calls:       store.Of[observed](engine, kindCall),
		escalations: store.Of[Escalation](engine, kindEscalation),
		evidence:    store.Of[Evidence](engine, kindEvidence),
		accounts:    store.Of[account](engine, kindAccount),
	}
}

// judge is the decider for one judgement, and the version of what it decides by,
// "" if it has none. Policies that can be exchanged are fixed here, so that the
// version is the one that decided.
func (d *Desk) judge(ctx context.Context, workspace string) (Decider, string, error) {
	decider, err := DeciderFor(ctx, d.decider, workspace)
	return decider, versionOf(decider), err
}

func versionOf(decider Decider) string {
	if v, ok := decider.(interface{ Version() string }); ok {
		return v.Version()
	}
	return ""
}

// Turn is one reply's calls with the facts they are judged by.
type Turn struct {
	TraceID string
	Facts   Facts // Now is filled by Plan
	// Decider is what the facts were gathered for, see DeciderFor; nil is the desk's.
	Decider Decider
	// ReleasedRead says that Facts.Released was loaded, ResultsRead that
	// Facts.Results was.
	ReleasedRead bool
	ResultsRead  bool
	Sealed       *Sealed
	// AsCame says whether the calls of a choice may leave in their original
	// pieces; false where their indexes or names would mislead a client.
	AsCame func(choice int) bool
	// Transcript is the fingerprint that Asked.Transcript is, asked for where the
	// ledger is read; nil where there is none.
	Transcript func() string
}

// Plan is a decision that is not yet durable.
type Plan struct {
	turn      *Turn
	Calls     []Call
	Decisions []CallDecision // by call
	// Hold is the hold this turn makes, nil if none. Its prompt is not yet set.
	Hold *Hold
	held []int // call positions of Hold.Items
	// Free[i]: call i goes out at once. What is committed is a copy of its own.
	Free []bool
	// Said are the calls that go nowhere and are named in the text.
	Said []int

	free   []bool
	calls  []Call // as they were judged
	sealed int    // Sealed.written when they were
	bundle string // version of the policies that judged it
	judge  Decider
	books  *books // the accounts that were read
	ask    string // Hold.Ask
}

// Plan decides a turn. Nothing is written.
func (d *Desk) Plan(ctx context.Context, t *Turn) (*Plan, error) {
	now, err := d.engine.Now(ctx)
	if err != nil {
		return nil, storeFault(err)
	}
	t.Facts.Now = now
	p := &Plan{turn: t, Calls: t.Sealed.Calls(), sealed: t.Sealed.written(), books: d.books(t.Facts.Workspace)}
	p.calls = slices.Clone(p.Calls)
	p.free = make([]bool, len(p.Calls))
	if p.judge = t.Decider; p.judge == nil {
		if p.judge, _, err = d.judge(ctx, t.Facts.Workspace); err != nil {
			return nil, err
		}
	}
	p.bundle = versionOf(p.judge)
	if err := d.readLedger(ctx, p); err != nil {
		return nil, err
	}
	p.Decisions = judgeTurn(p.judge, t.Facts, p.Calls, d.o.ReleaseAllowed)
	for _, choice := range choicesOf(p.Calls) {
		at, _ := ofChoice(p.Calls, choice)
		// The lowest choice that holds is asked about; in the others what is not
		// allowed is dropped and said.
		asks := p.Hold == nil && slices.ContainsFunc(at, func(i int) bool { return p.Decisions[i].holds() })
		if asks {
			p.Hold = d.newHold(t, now)
		}
		for _, i := range at {
			cd := p.Decisions[i]
			switch {
			case cd.holds():
				if asks {
					p.held = append(p.held, i)
				} else {
					p.Said = append(p.Said, i)
				}
			case cd.Verdict == Allow && asks && !d.o.ReleaseAllowed:
				p.held = append(p.held, i)
			case cd.Verdict == Allow:
				p.free[i] = true
			default:
				p.Said = append(p.Said, i)
			}
		}
		if asks {
			d.fillHold(p)
		}
	}
	p.Free = slices.Clone(p.free)
	return p, nil
}

func (d *Desk) newHold(t *Turn, now time.Time) *Hold {
	f := &t.Facts
	return &Hold{ID: "hold_" + ulid.Make().String(), Workspace: f.Workspace, Principal: f.Requester.ID,
		KeyID: f.Requester.KeyID, Conversation: f.Conversation, Turn: f.Turns, TraceID: t.TraceID,
		State: StateHeld, Created: now}
}

func (d *Desk) fillHold(p *Plan) {
	h := p.Hold
	var longest time.Duration
	for _, i := range p.held {
		call, cd := p.Calls[i], p.Decisions[i]
		it := Item{Name: call.Name, CallID: call.ID, Form: call.Form, Verdict: cd.Verdict, To: cd.To,
			SelfReview: cd.SelfReview, Expires: cd.Expires, Message: cd.Message, Decision: cd}
		if it.Expires == 0 {
			it.Expires = d.o.ConfirmExpires
		}
		switch cd.Verdict {
		case Allow:
			it.Answer, it.By, it.Channel = AnswerAlong, byPolicy, ChannelPolicy
		case Escalate:
			it.Escalation = newEscalationID()
		}
		if cd.Verdict != Allow {
			longest = max(longest, it.Expires)
		}
		h.Items = append(h.Items, it)
	}
	h.Expires = h.Created.Add(longest)
	h.Ask = p.ask
	for item, i := range p.held {
		h.reserve(item, postings(p.judge, &p.turn.Facts, p.Calls[i]))
	}
}

// Choices are the choices that carry calls, lowest first.
func (p *Plan) Choices() []int { return choicesOf(p.Calls) }

// Held are the positions in Calls of the hold's items, in their order.
func (p *Plan) Held() []int { return p.held }

// Gate is the outcome of the turn as clients branch on it.
func (p *Plan) Gate() Gate {
	if p.Hold != nil {
		if p.Hold.Confirms() {
			return GateNeedsInput
		}
		return GateEscalate
	}
	gate := GateOK
	for i, cd := range p.Decisions {
		if p.free[i] {
			return GateOK // what was refused beside it is said in the text
		}
		gate = strictest(gate, cd.Verdict.Gate())
	}
	return gate
}

func strictest(a, b Gate) Gate {
	if b == GateBlocked || a == GateOK {
		return b
	}
	return a
}

// Asked is the question as it goes to the requester.
type Asked struct {
	Prompt      string
	PromptPrint string
	Pair        string
	Transcript  string
	CallsDigest string
	Group       string
	WithTools   bool
	Tag         string // tells the question apart from an equal one
}

func (h *Hold) asked(a Asked) {
	h.Prompt, h.PromptPrint, h.Pair = a.Prompt, a.PromptPrint, a.Pair
	h.Transcript, h.CallsDigest, h.Group = a.Transcript, a.CallsDigest, a.Group
	h.WithTools, h.Tag = a.WithTools, a.Tag
}

// ErrClaimed says that another open hold is asked about in the same words.
var ErrClaimed = errors.New("governance: another open hold has this prompt")

// errUnsealed says that more was written into Sealed after it was judged.
var errUnsealed = errors.New("governance: the calls changed after they were judged; nothing was released")

// Commit makes a plan durable and answers what may go out now. With a hold, ask
// is its question; ErrClaimed means that the question must be told apart from
// another one, ErrReadings that the turn must be planned anew.
func (d *Desk) Commit(ctx context.Context, p *Plan, ask Asked) (ReleasedTurn, error) {
	sealed := p.turn.Sealed
	if !slices.Equal(p.calls, p.Calls) || sealed.written() != p.sealed {
		return ReleasedTurn{}, errUnsealed
	}
	if p.Hold != nil {
		p.Hold.asked(ask)
	}
	for range tries(ctx) {
		ops, err := d.turnOps(p)
		if err != nil {
			return ReleasedTurn{}, err
		}
		books := p.books.fork()
		if p.Hold != nil {
			more, err := d.holdOps(ctx, p, books)
			if err != nil {
				return ReleasedTurn{}, err
			}
			ops = append(ops, more...)
		}
		more, err := d.ledgerOps(ctx, p, books)
		if err != nil {
			return ReleasedTurn{}, err
		}
		err = d.engine.Commit(ctx, p.turn.Facts.Workspace, append(ops, more...)...)
		if errors.Is(err, store.ErrConflict) {
			stale, err := p.books.stale(ctx)
			if err != nil {
				return ReleasedTurn{}, err
			}
			if stale {
				return ReleasedTurn{}, ErrReadings
			}
			continue
		}
		if err != nil {
			return ReleasedTurn{}, storeFault(err)
		}
		return sealed.release(p.calls, p.free, p.turn.AsCame), nil
	}
	return ReleasedTurn{}, busy()
}

// turnOps are the records of every call, the observed calls that go now, and the
// evidence.
func (d *Desk) turnOps(p *Plan) ([]store.Op, error) {
	var ops []store.Op
	for i, call := range p.Calls {
		r := p.turn.record(call, p.Decisions[i])
		r.Bundle = p.bundle
		if p.free[i] {
			r.State, r.Resolver, r.Channel = StateReleased, byPolicy, ChannelPolicy
			op, err := d.observe(&p.turn.Facts, p.turn.TraceID, call)
			if err != nil {
				return nil, err
			}
			ops = append(ops, op)
		}
		if at := slices.Index(p.held, i); at >= 0 {
			r.State, r.Hold, r.Expires = StateHeld, p.Hold.ID, p.Hold.Expires
			r.PromptHash, r.Escalation = p.Hold.PromptPrint, p.Hold.Items[at].Escalation
		}
		op, err := appendRecord(r)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	kept, err := d.evidenceOp(p)
	return append(ops, kept), err
}

// holdOps create the hold, its bytes, its escalations and its claim.
func (d *Desk) holdOps(ctx context.Context, p *Plan, books *books) ([]store.Op, error) {
	h := p.Hold
	forgetReservations(h)
	if err := books.keep(ctx, h, p.turn.Facts.Now); err != nil {
		return nil, err
	}
	beside := holdBytes{Facts: p.turn.Facts}
	for _, i := range p.held {
		beside.Calls = append(beside.Calls, heldCall{Members: p.turn.Sealed.calls[i].members(), Call: p.Calls[i]})
	}
	ops, err := d.claimOps(ctx, h, books)
	if err != nil {
		return nil, err
	}
	hold, err := d.holds.Create(h.ID, *h, h.index()...)
	if err != nil {
		return nil, err
	}
	kept, err := d.bytes.Create(h.ID, beside)
	if err != nil {
		return nil, err
	}
	ops = append(ops, hold, kept)
	for i, it := range h.Items {
		if it.Escalation == "" {
			continue
		}
		e := newEscalation(h, it, beside.Calls[i].Call, h.Created)
		op, err := d.escalations.Create(e.ID, e, e.index()...)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// choicesOf are the choices that carry calls, lowest first.
func choicesOf(calls []Call) []int {
	var list []int
	for _, c := range calls {
		list = append(list, c.Choice)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func storeFault(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fault.Wrap(err, fault.StoreUnavailable, "the store cannot be reached or cannot write; nothing was released")
}

func busy() error {
	return fault.New(fault.StoreUnavailable, "too many requests change the same item; nothing was released")
}
