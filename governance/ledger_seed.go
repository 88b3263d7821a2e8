package governance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"cadreen/store"
)

// kindMeter are the documents that say since when a meter is counted.
const kindMeter = "ledger_meter"

// metered is since when calls are counted by a meter. What went out before is
// found among the released calls that are kept.
type metered struct {
	Meter Meter     `json:"meter"`
	Since time.Time `json:"since"`
}

// maxSeed bounds how many released calls are looked through for one account, the
// newest first, and seedPage how many at once.
const (
	maxSeed  = 10_000
	seedPage = 500
)

// since is when calls began to be counted by a meter; now, if they were not, which
// is then noted unless this is only a look.
func (d *Desk) since(ctx context.Context, workspace string, m *Meter, now time.Time, only bool) (time.Time, error) {
	sum := sha256.Sum256([]byte(m.key()))
	id := hex.EncodeToString(sum[:16])
	if t, known := d.metered.Load(workspace + "\x00" + id); known {
		return t.(time.Time), nil
	}
	meters := store.Of[metered](d.engine, kindMeter)
	for range tries(ctx) {
		have, _, err := meters.Get(ctx, workspace, id)
		if err == nil {
			d.metered.Store(workspace+"\x00"+id, have.Since)
			return have.Since, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return time.Time{}, storeFault(err)
		}
		if only {
			return now, nil
		}
		put, err := meters.Create(id, metered{Meter: *m, Since: now})
		if err != nil {
			return time.Time{}, err
		}
		if err := d.engine.Commit(ctx, workspace, put); err != nil && !errors.Is(err, store.ErrConflict) {
			return time.Time{}, storeFault(err)
		}
	}
	return time.Time{}, busy()
}

// seed fills an account that does not exist yet with what went out within its
// window before its meter was counted: a limit that is new, or changed, begins
// with what it limits.
func (b *books) seed(ctx context.Context, id string, a *account, m *Meter, now time.Time) error {
	since, err := b.d.since(ctx, b.workspace, m, now, b.only)
	if err != nil {
		return err
	}
	from := now.Add(-m.Window)
	if !since.After(from) {
		return nil
	}
	q := store.Query{Index: "tool", Key: m.Tool, Min: from.UnixMilli(), Max: since.UnixMilli(), Desc: true, Limit: seedPage}
	if strings.ContainsAny(m.Tool, "*?") {
		q.Index, q.Key = "kept", ""
	}
	for q.Offset = 0; q.Offset < maxSeed; q.Offset += seedPage {
		calls, err := b.d.calls.List(ctx, b.workspace, q)
		if err != nil {
			return storeFault(err)
		}
		for i := range calls {
			c := &calls[i].Value
			if c.At.After(since) || !m.Counts(c.Name) {
				continue
			}
			args, err := c.ReadArguments()
			if err != nil {
				continue
			}
			then := Facts{Domain: c.Domain, Conversation: c.Conversation, Requester: Requester{ID: c.Principal}}
			if account, err := m.Account(&then, args); err != nil || account != id {
				continue
			}
			amount := int64(0)
			if m.Amount != "" {
				amount, _ = m.amountOf(args)
			}
			a.settle(c.At, 1, amount)
		}
		if len(calls) < seedPage {
			break
		}
	}
	return nil
}
