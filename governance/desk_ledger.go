package governance

import (
	"context"
	"errors"
	"time"

	"cadreen/store"
)

// ErrReadings says that the ledger was moved since the turn was judged by it.
var ErrReadings = errors.New("governance: the ledger says something else by now")

// readLedger loads what the rules of the proposed calls ask of the ledger.
func (d *Desk) readLedger(ctx context.Context, p *Plan) (err error) {
	f := &p.turn.Facts
	f.Ledger = nil
	// The same calls proposed again after the same transcript take the place of
	// their old question, so what that one keeps back is not counted beside them.
	// Should it stay open all the same, its release is judged with these counted.
	except := func(r reserved) bool {
		if r.Ask == "" || p.turn.Transcript == nil {
			return false
		}
		p.print()
		return r.Ask == p.ask
	}
	if f.Ledger, err = p.books.read(ctx, p.judge, f, p.Calls, except); f.Ledger != nil {
		p.print()
	}
	return err
}

// ReadLedger loads what the rules of calls that nobody made ask of the ledger, as
// it stands at f.Now. It writes nothing.
func (d *Desk) ReadLedger(ctx context.Context, judge Decider, f *Facts, calls ...Call) (err error) {
	books := d.books(f.Workspace)
	books.only = true
	f.Ledger, err = books.read(ctx, judge, f, calls, func(reserved) bool { return false })
	return err
}

// ReadLedger is Desk.ReadLedger for who has no desk.
func ReadLedger(ctx context.Context, engine store.Engine, judge Decider, f *Facts, calls ...Call) error {
	return NewDesk(engine, nil, DeskOptions{}).ReadLedger(ctx, judge, f, calls...)
}

// print names who proposed what after which transcript.
func (p *Plan) print() {
	if p.ask != "" || p.turn.Transcript == nil {
		return
	}
	text := p.turn.Transcript()
	for _, c := range p.Calls {
		text += "\x00" + c.Name + "\x00" + c.Arguments
	}
	p.ask = scoped(p.turn.Facts.Requester.ID, text)
}

// ledgerOps count the calls of a plan that go out, and write what it read. A turn
// of which nothing goes out and nothing is held leaves the ledger as it is.
func (d *Desk) ledgerOps(ctx context.Context, p *Plan, books *books) ([]store.Op, error) {
	moves := p.Hold != nil
	f := &p.turn.Facts
	for i, call := range p.Calls {
		if !p.free[i] {
			continue
		}
		moves = true
		if err := books.settle(ctx, f.Now, postings(p.judge, f, call)); err != nil {
			return nil, err
		}
	}
	if !moves {
		return nil, nil
	}
	return books.ops(f.Now)
}

// CommitWith is Commit for a plan that is judged again as often as the ledger
// moves under it, a bounded number of times: of any number of racing turns no two
// go by the same reading. p is then the plan that was committed. ask is called
// for the question of each.
func (d *Desk) CommitWith(ctx context.Context, p *Plan, ask func() Asked) (ReleasedTurn, error) {
	for range tries(ctx) {
		out, err := d.Commit(ctx, p, ask())
		if !errors.Is(err, ErrReadings) {
			return out, err
		}
		again, err := d.Plan(ctx, p.turn)
		if err != nil {
			return ReleasedTurn{}, err
		}
		*p = *again
	}
	return ReleasedTurn{}, busy()
}

// forgetReservations lets a hold that is committed once more reserve again.
func forgetReservations(h *Hold) {
	for i := range h.Reserved {
		r := &h.Reserved[i]
		r.Count, r.Sum, r.Until = 0, 0, time.Time{}
	}
}
