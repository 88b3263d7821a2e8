package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"cadreen/store"
)

// Options build a Writer. Engine and Records are required; the zero value of every
// other field is its default.
type Options struct {
	Engine  store.Engine
	Records string // the log that is sealed, in every workspace
	Logger  *slog.Logger
	// Delay is how long records of this process wait for others to be sealed with
	// them: 200 ms.
	Delay time.Duration
	// Adopt is how often records that nobody sealed are looked for, and how old
	// they are when this process seals them in another's place: 5 s.
	Adopt time.Duration
	// Anchor is how often the heads of the workspaces are written into the chain of
	// store.System: 1 min.
	Anchor time.Duration
	// Retention is how long records stay: 0 is forever.
	Retention time.Duration
}

// Writer seals what its process commits through Engine, and what others left. It is
// safe for concurrent use.
type Writer struct {
	o       Options
	dirty   chan struct{} // capacity 1
	sealing sync.Mutex    // one seal at a time

	mu     sync.Mutex
	chains map[string]*chain
}

// New makes a Writer. Nothing is sealed before Run or Seal.
func New(o Options) *Writer {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Delay = cmp.Or(o.Delay, 200*time.Millisecond)
	o.Adopt = cmp.Or(o.Adopt, 5*time.Second)
	o.Anchor = cmp.Or(o.Anchor, time.Minute)
	return &Writer{o: o, dirty: make(chan struct{}, 1), chains: map[string]*chain{}}
}

// Engine is the engine whose commits the Writer hears of. It is the given one in
// every other respect.
func (w *Writer) Engine() store.Engine { return heard{w.o.Engine, w} }

type heard struct {
	store.Engine
	w *Writer
}

func (h heard) Commit(ctx context.Context, workspace string, ops ...store.Op) error {
	list := h.w.begins(workspace, ops)
	err := h.Engine.Commit(ctx, workspace, ops...)
	if len(list) > 0 {
		h.w.ends(workspace, list, err == nil)
	}
	return err
}

// begins notes the records of a commit before it happens: they may be read before
// it returns.
func (w *Writer) begins(workspace string, ops []store.Op) []Digest {
	var list []Digest
	for _, op := range ops {
		if a, ok := op.(store.Append); ok && a.Log == w.o.Records {
			list = append(list, sha256.Sum256(a.Value))
		}
	}
	if len(list) > 0 {
		w.mu.Lock()
		w.chain(workspace).begins(list)
		w.mu.Unlock()
	}
	return list
}

// ends says what became of a commit.
func (w *Writer) ends(workspace string, list []Digest, happened bool) {
	w.mu.Lock()
	w.chain(workspace).ends(list, happened)
	w.mu.Unlock()
	if !happened {
		return
	}
	select {
	case w.dirty <- struct{}{}:
	default:
	}
}

// chain is the state of a workspace. The lock is held.
func (w *Writer) chain(workspace string) *chain {
	c := w.chains[workspace]
	if c == nil {
		c = newChain(workspace)
		w.chains[workspace] = c
	}
	return c
}

// stopTimeout bounds the last seal.
const stopTimeout = 5 * time.Second

// Run seals until ctx ends, and then once more.
func (w *Writer) Run(ctx context.Context) {
	adopt, anchor := time.NewTicker(w.o.Adopt), time.NewTicker(w.o.Anchor)
	defer adopt.Stop()
	defer anchor.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			w.complain(errors.Join(w.SealOwn(last), w.anchor(last)))
			cancel()
			return
		case <-w.dirty:
			// Others are likely to come within the next moments.
			select {
			case <-ctx.Done():
				continue
			case <-time.After(w.o.Delay):
			}
			w.complain(w.SealOwn(ctx))
		case <-adopt.C:
			w.complain(errors.Join(w.adopt(ctx), w.retain(ctx)))
		case <-anchor.C:
			w.complain(w.anchor(ctx))
		}
	}
}

func (w *Writer) complain(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		w.o.Logger.Warn("audit records could not be sealed; it is tried again", "error", err)
	}
}

// Seal seals everything that stands in a workspace now.
func (w *Writer) Seal(ctx context.Context, workspace string) error {
	return w.seal(ctx, workspace, 0, nil)
}

// SealOwn seals the workspaces that this process committed to.
func (w *Writer) SealOwn(ctx context.Context) error {
	w.mu.Lock()
	var list []string
	for name, c := range w.chains {
		if c.waits() {
			list = append(list, name)
		}
	}
	w.mu.Unlock()
	slices.Sort(list)
	var errs []error
	for _, workspace := range list {
		errs = append(errs, w.seal(ctx, workspace, 0, nil))
	}
	return errors.Join(errs...)
}

// adopt seals what was left behind, in all workspaces.
func (w *Writer) adopt(ctx context.Context) error {
	list, err := w.o.Engine.Workspaces(ctx)
	errs := []error{err}
	for _, workspace := range list {
		errs = append(errs, w.seal(ctx, workspace, w.o.Adopt, nil))
	}
	return errors.Join(errs...)
}

// anchor writes the heads that moved into the chain of store.System.
func (w *Writer) anchor(ctx context.Context) error {
	w.mu.Lock()
	var heads []Head
	for name, c := range w.chains {
		if name != store.System {
			heads = append(heads, c.unanchored()...)
		}
	}
	w.mu.Unlock()
	if len(heads) == 0 {
		return nil
	}
	slices.SortFunc(heads, func(a, b Head) int {
		return cmp.Or(cmp.Compare(a.Workspace, b.Workspace), cmp.Compare(a.Writer, b.Writer))
	})
	for part := range slices.Chunk(heads, maxHeads) {
		if err := w.seal(ctx, store.System, 0, part); err != nil {
			return err
		}
		w.mu.Lock()
		for _, h := range part {
			w.chains[h.Workspace].anchored[h.Writer] = h.N
		}
		w.mu.Unlock()
	}
	if head, ok := w.Head(store.System); ok {
		w.o.Logger.Info("audit: this head tells of all chains; kept elsewhere, it shows whether any was cut", "head", head.String())
	}
	return nil
}

// Head is the last link that this writer wrote in a workspace.
func (w *Writer) Head(workspace string) (Head, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.chains[workspace]
	if c == nil || c.n == 0 {
		return Head{}, false
	}
	return Head{Workspace: workspace, Writer: c.writer, N: c.n, Hash: c.head}, true
}

// sealed is how far the records of a workspace are known to be covered.
func (w *Writer) sealed(workspace string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.chains[workspace]; c != nil {
		return c.sealed
	}
	return 0
}
