package governance

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"cadreen/store"
)

// kindAccount are the documents of the ledger.
const kindAccount = "ledger_account"

// metering is what a Decider offers that has rules with counts and totals.
type metering interface {
	// Reads is what the rules of a tool may look at.
	Reads(tool string) Reads
	// Meters are those that a call of this tool is counted by.
	Meters(tool string) []Meter
}

// ReadsResults says whether judging a call of this tool may look at Facts.Results.
func ReadsResults(judge Decider, tool string) bool {
	m, ok := judge.(metering)
	return ok && m.Reads(tool).Results
}

// books are the accounts that one commit has looked into. Each goes into the
// commit with the version that was read, whether it was changed or not: what was
// decided by a reading happens only while the reading is still true.
type books struct {
	d         *Desk
	workspace string
	open      map[string]*book
	only      bool // only looked into: nothing is written
}

type book struct {
	account
	version int64 // 0: there was none
}

func (d *Desk) books(workspace string) *books {
	return &books{d: d, workspace: workspace, open: map[string]*book{}}
}

// fork is a copy to change.
func (b *books) fork() *books {
	c := b.d.books(b.workspace)
	for id, from := range b.open {
		to := *from
		to.Settled, to.Held = slices.Clone(from.Settled), slices.Clone(from.Held)
		c.open[id] = &to
	}
	return c
}

// look opens an account of a meter.
func (b *books) look(ctx context.Context, id string, m *Meter, now time.Time) (*book, error) {
	if open := b.open[id]; open != nil {
		return open, nil
	}
	a, version, err := b.d.accounts.Get(ctx, b.workspace, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, storeFault(err)
	}
	a.Window = m.Window
	if version == 0 {
		if err := b.seed(ctx, id, &a, m, now); err != nil {
			return nil, err
		}
	}
	b.open[id] = &book{account: a, version: version}
	return b.open[id], nil
}

// ops write every open account.
func (b *books) ops(now time.Time) ([]store.Op, error) {
	ops := make([]store.Op, 0, len(b.open))
	for id, open := range b.open {
		open.prune(now)
		put, err := b.d.accounts.Set(id, open.account)
		if err != nil {
			return nil, err
		}
		put.IfVersion, put.Create = open.version, open.version == 0
		put.TTL = open.life(now)
		ops = append(ops, put)
	}
	return ops, nil
}

// stale says whether an account is no longer what was read.
func (b *books) stale(ctx context.Context) (bool, error) {
	for id, open := range b.open {
		_, version, err := b.d.accounts.Get(ctx, b.workspace, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return false, storeFault(err)
		}
		if version != open.version {
			return true, nil
		}
	}
	return false, nil
}

// read answers what the rules of the calls ask of the ledger, nil where they ask
// nothing. A call without the values that are counted by is left to its rule,
// which errs.
func (b *books) read(ctx context.Context, judge Decider, f *Facts, calls []Call, except func(reserved) bool) (map[string]Tally, error) {
	m, ok := judge.(metering)
	if !ok {
		return nil, nil
	}
	var out map[string]Tally
	for i := range calls {
		meters := m.Reads(calls[i].Name).Meters
		if len(meters) == 0 {
			continue
		}
		if out == nil {
			out = map[string]Tally{}
		}
		args, err := ReadArguments(calls[i])
		if err != nil {
			continue // blocked before any rule is asked
		}
		for j := range meters {
			id, err := meters[j].Account(f, args)
			if err != nil {
				continue
			}
			if _, done := out[id]; done {
				continue
			}
			open, err := b.look(ctx, id, &meters[j], f.Now)
			if err != nil {
				return nil, err
			}
			out[id] = open.tally(f.Now, except)
		}
	}
	return out, nil
}

// posting is what one call adds to an account.
type posting struct {
	account string
	meter   *Meter
	micro   int64
}

// postings are what a call adds to the accounts that it is counted in. An amount
// that cannot be summed adds nothing: its own rule has erred for it, and whoever
// let it go all the same saw it.
func postings(judge Decider, f *Facts, call Call) []posting {
	m, ok := judge.(metering)
	if !ok {
		return nil
	}
	meters := m.Meters(call.Name)
	if len(meters) == 0 {
		return nil
	}
	args, err := ReadArguments(call)
	if err != nil {
		return nil
	}
	var list []posting
	for i := range meters {
		id, err := meters[i].Account(f, args)
		if err != nil {
			continue // it has no such value, so it is in nobody's account
		}
		e := posting{account: id, meter: &meters[i]}
		if meters[i].Amount != "" {
			e.micro, _ = meters[i].amountOf(args)
		}
		list = append(list, e)
	}
	return list
}

// settle counts a call that goes out.
func (b *books) settle(ctx context.Context, now time.Time, list []posting) error {
	for _, e := range list {
		open, err := b.look(ctx, e.account, e.meter, now)
		if err != nil {
			return err
		}
		open.settle(now, 1, e.micro)
	}
	return nil
}

// Reservation is what a hold keeps back in one account of the ledger.
type Reservation struct {
	Account string  `json:"account"`
	Meter   Meter   `json:"meter"`
	Items   []int   `json:"items"`           // of the hold, that count there
	Micro   []int64 `json:"micro,omitempty"` // what each adds to a sum
	// What stands in the account.
	Count int64     `json:"count,omitempty"`
	Sum   int64     `json:"sum,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

// reserve adds the postings of an item to what the hold keeps back.
func (h *Hold) reserve(item int, list []posting) {
	for _, e := range list {
		at := slices.IndexFunc(h.Reserved, func(r Reservation) bool { return r.Account == e.account })
		if at < 0 {
			h.Reserved = append(h.Reserved, Reservation{Account: e.account, Meter: *e.meter})
			at = len(h.Reserved) - 1
		}
		r := &h.Reserved[at]
		r.Items, r.Micro = append(r.Items, item), append(r.Micro, e.micro)
	}
}

// keep brings the accounts to what the hold keeps back now: its calls that wait
// or may go, until the hold expires; nothing once it has ended.
func (b *books) keep(ctx context.Context, h *Hold, now time.Time) error {
	for i := range h.Reserved {
		r := &h.Reserved[i]
		var sum Tally
		for j, item := range r.Items {
			if it := h.Items[item]; h.State == StateHeld && (it.Open() || it.May()) {
				sum.Add(1, r.Micro[j])
			}
		}
		until := h.Expires
		if sum.Count == 0 {
			until = time.Time{}
		}
		if sum.Count == r.Count && sum.Micro == r.Sum && until.Equal(r.Until) {
			continue
		}
		open, err := b.look(ctx, r.Account, &r.Meter, now)
		if err != nil {
			return err
		}
		if sum.Overflow {
			sum.Micro = math.MaxInt64 // nothing more may be added
		}
		r.Count, r.Sum, r.Until = sum.Count, sum.Micro, until
		open.reserve(reserved{Hold: h.ID, Ask: h.Ask, Until: h.Expires.UnixMicro(), Count: sum.Count, Micro: sum.Micro})
	}
	return nil
}
