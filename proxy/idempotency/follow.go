package idempotency

import (
	"context"
	"net/http"
	"time"
)

// follow gives the answer of a run to another request of its key, as it comes.
func (t *tape) follow(ctx context.Context, w http.ResponseWriter, q Request) error {
	t.join()
	defer t.leave()
	begun, sent := false, 0
	for {
		now := t.look(sent)
		switch {
		case now.broken && begun && t.got.streams():
			_, _ = w.Write(notKept().Event(q.TraceID, q.BaseURL))
			return nil
		case now.err != nil && !now.open:
			return now.err
		case now.broken:
			return lost(w, q, t.got.streams())
		case now.open && !begun:
			begun = true
			w.Header().Set(Replayed, "true")
			t.got.head(w)
			fallthrough
		case now.open:
			_, _ = w.Write(now.more)
			if t.got.streams() {
				_ = http.NewResponseController(w).Flush()
			}
			sent += len(now.more)
		}
		if now.ended {
			t.got.tail(w)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-now.changed:
		}
	}
}

// moment is a tape as one who follows it sees it.
type moment struct {
	open, ended bool
	broken      bool // the rest will not come
	err         error
	more        []byte
	changed     <-chan struct{}
}

func (t *tape) look(sent int) moment {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return moment{open: t.open, ended: t.ended, broken: t.tooLong || t.err != nil, err: t.err,
		more: t.got.Body[sent:t.seen], changed: t.changed}
}

// publish lets those who follow have what is there. The lock is held.
func (t *tape) publish() {
	t.seen = len(t.got.Body)
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// join and leave count who waits for the answer. A run that nobody waits for is
// cancelled after a while.
func (t *tape) join() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting++
	if t.alone != nil {
		t.alone.Stop()
		t.alone = nil
	}
}

func (t *tape) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting--; t.waiting == 0 && !t.ended {
		t.alone = time.AfterFunc(t.k.o.Outlive, func() { t.claim.cancel(errAlone) })
	}
}
