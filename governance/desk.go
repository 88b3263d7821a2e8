package governance

import (
	"context"
	"errors"
	"log/slog"
	"slices"
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

// attempts bounds the repeats of a commit that lost a race.
const attempts = 8

// DeskOptions are the settings of a Desk.
type DeskOptions struct {
	ConfirmExpires time.Duration // life of a hold whose rule says nothing; 0 means 15 min
	Replay         time.Duration // how long a broken release reply is repeated; 0 means 2 min
	ReleaseAllowed bool          // batch: release_allowed instead of hold
	Logger         *slog.Logger
	// Await bounds the wait for a release reply that another request is
	// writing at this moment; 0 means 2 s.
	Await time.Duration
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
}

// claim keeps two open holds from being asked about in the same words.
type claim struct {
	Hold string `json:"hold"`
}

// observed is a call that went out through this proxy.
type observed struct {
	Released
	Conversation string `json:"conversation"`
	Principal    string `json:"principal"`
	TraceID      string `json:"trace_id"`
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
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Desk{engine: engine, decider: decider, o: o,
		holds:       store.Of[Hold](engine, kindHold),
		bytes:       store.Of[holdBytes](engine, kindHoldBytes),
		claims:      store.Of[claim](engine, kindClaim),
		calls:       store.Of[observed](engine, kindCall),
		escalations: store.Of[Escalation](engine, kindEscalation),
	}
}

// Turn is one reply's calls with the facts they are judged by.
type Turn struct {
	TraceID string
	Facts   Facts // Now is filled by Plan
	Sealed  *Sealed
	// AsCame says whether the calls of a choice may leave in their original
	// pieces; false where their indexes or names would mislead a client.
	AsCame func(choice int) bool
}

// Plan is a decision that is not yet durable.
type Plan struct {
	turn      *Turn
	Calls     []Call
	Decisions []CallDecision // by call
	// Hold is the hold this turn makes, nil if none. Its prompt is not yet set.
	Hold *Hold
	held []int // call positions of Hold.Items
	// Free[i]: call i goes out at once.
	Free []bool
	// Said are the calls that go nowhere and are named in the text.
	Said []int
}

// Plan decides a turn. Nothing is written.
func (d *Desk) Plan(ctx context.Context, t *Turn) (*Plan, error) {
	now, err := d.engine.Now(ctx)
	if err != nil {
		return nil, storeFault(err)
	}
	t.Facts.Now = now
	p := &Plan{turn: t, Calls: t.Sealed.Calls()}
	p.Decisions = make([]CallDecision, len(p.Calls))
	p.Free = make([]bool, len(p.Calls))
	for _, choice := range choicesOf(p.Calls) {
		var at []int
		var calls []Call
		for i, c := range p.Calls {
			if c.Choice == choice {
				at, calls = append(at, i), append(calls, c)
			}
		}
		holds := false
		for j, cd := range d.decider.Decide(t.Facts, calls) {
			p.Decisions[at[j]] = cd
			holds = holds || cd.Verdict == Confirm || cd.Verdict == Escalate
		}
		// The lowest choice that holds is asked about; in the others what is not
		// allowed is dropped and said.
		asks := holds && p.Hold == nil
		if asks {
			p.Hold = d.newHold(t, now)
		}
		for _, i := range at {
			cd := p.Decisions[i]
			switch {
			case cd.Verdict == Confirm || cd.Verdict == Escalate:
				if asks {
					p.held = append(p.held, i)
				} else {
					p.Said = append(p.Said, i)
				}
			case cd.Verdict == Allow && asks && !d.o.ReleaseAllowed:
				p.held = append(p.held, i)
			case cd.Verdict == Allow:
				p.Free[i] = true
			default:
				p.Said = append(p.Said, i)
			}
		}
		if asks {
			d.fillHold(p)
		}
	}
	return p, nil
}

func (d *Desk) newHold(t *Turn, now time.Time) *Hold {
	f := &t.Facts
	return &Hold{ID: "hold_" + ulid.Make().String(), Workspace: f.Workspace, Principal: f.Requester.ID,
		KeyID: f.Requester.KeyID, Conversation: f.Conversation, TraceID: t.TraceID,
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
			it.Answer = AnswerAlong
		case Escalate:
			it.Escalation = newEscalationID()
		}
		if cd.Verdict != Allow {
			longest = max(longest, it.Expires)
		}
		h.Items = append(h.Items, it)
	}
	h.Expires = h.Created.Add(longest)
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
		if p.Free[i] {
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

// Commit makes a plan durable and answers what may go out now. With a hold, ask
// is its question; ErrClaimed means that the question must be told apart from
// another one.
func (d *Desk) Commit(ctx context.Context, p *Plan, ask Asked) (ReleasedTurn, error) {
	ws := p.turn.Facts.Workspace
	for range attempts {
		ops, err := d.turnOps(p)
		if err != nil {
			return ReleasedTurn{}, err
		}
		if p.Hold != nil {
			p.Hold.asked(ask)
			more, err := d.holdOps(ctx, p)
			if err != nil {
				return ReleasedTurn{}, err
			}
			ops = append(ops, more...)
		}
		err = d.engine.Commit(ctx, ws, ops...)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return ReleasedTurn{}, storeFault(err)
		}
		return p.turn.Sealed.release(p.Free, p.turn.AsCame), nil
	}
	return ReleasedTurn{}, busy()
}

// turnOps are the records of every call and the observed calls that go now.
func (d *Desk) turnOps(p *Plan) ([]store.Op, error) {
	var ops []store.Op
	for i, call := range p.Calls {
		r := p.turn.record(call, p.Decisions[i])
		if p.Free[i] {
			r.State = StateReleased
			op, err := d.observe(&p.turn.Facts, p.turn.TraceID, call)
			if err != nil {
				return nil, err
			}
			ops = append(ops, op)
		}
		if p.Hold != nil {
			for _, h := range p.held {
				if h == i {
					r.State, r.Hold, r.Expires = StateHeld, p.Hold.ID, p.Hold.Expires
				}
			}
		}
		op, err := appendRecord(r)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// holdOps create the hold, its bytes, its escalations and its claim.
func (d *Desk) holdOps(ctx context.Context, p *Plan) ([]store.Op, error) {
	h := p.Hold
	beside := holdBytes{Facts: p.turn.Facts}
	for _, i := range p.held {
		beside.Calls = append(beside.Calls, heldCall{Members: p.turn.Sealed.calls[i].members(), Call: p.Calls[i]})
	}
	ops, err := d.claimOps(ctx, h)
	if err != nil {
		return nil, err
	}
	var errs [2]error
	var puts [2]store.Op
	puts[0], errs[0] = d.holds.Create(h.ID, *h, h.index()...)
	puts[1], errs[1] = d.bytes.Create(h.ID, beside)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	ops = append(ops, puts[:]...)
	for i, it := range h.Items {
		if it.Escalation == "" {
			continue
		}
		e := newEscalation(h, it, beside.Calls[i].Call)
		op, err := d.escalations.Create(e.ID, e, e.index()...)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// claimOps take the claim on the question. The same transcript asking again
// about the same calls replaces its old hold.
func (d *Desk) claimOps(ctx context.Context, h *Hold) ([]store.Op, error) {
	c := claim{Hold: h.ID}
	old, version, err := d.claims.Get(ctx, h.Workspace, h.claimID())
	if errors.Is(err, store.ErrNotFound) {
		op, err := d.claims.Create(h.claimID(), c)
		return []store.Op{op}, err
	}
	if err != nil {
		return nil, storeFault(err)
	}
	take, err := d.claims.Replace(h.claimID(), version, c)
	if err != nil {
		return nil, err
	}
	prior, priorVersion, err := d.holds.Get(ctx, h.Workspace, old.Hold)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return []store.Op{take}, nil
	case err != nil:
		return nil, storeFault(err)
	case prior.State != StateHeld:
		return []store.Op{take}, nil
	case !h.Created.Before(prior.Expires):
		prior.close(StateExpired, h.Created, "", "ask", "no answer in time")
	case prior.Transcript != h.Transcript || prior.CallsDigest != h.CallsDigest:
		return nil, ErrClaimed
	default:
		prior.close(StateSuperseded, h.Created, "", "ask", "the same conversation asked again")
	}
	ops, err := d.closeOps(ctx, &prior, priorVersion, false)
	return append(ops, take), err
}

// observe notes a released call, so that later rules can ask for it.
func (d *Desk) observe(f *Facts, traceID string, call Call) (store.Op, error) {
	o := observed{Conversation: f.Conversation, Principal: f.Requester.ID, TraceID: traceID,
		Released: Released{ID: call.ID, Name: call.Name, Arguments: call.Arguments, At: f.Now}}
	at := f.Now.UnixMilli()
	index := []store.Index{{Name: "chat", Key: scoped(f.Requester.ID, f.Conversation), Score: at}}
	if call.ID != "" {
		index = append(index, store.Index{Name: "call_id", Key: scoped(f.Requester.ID, call.ID), Score: at})
	}
	return d.calls.Create("call_"+ulid.Make().String(), o, index...)
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
