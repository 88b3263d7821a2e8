package audit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"cadreen/store"
)

// Bounds of one link.
const (
	maxRecords = 200  // also keeps a page below store.MaxIndexes positions
	maxHeads   = 500  // of other writers or workspaces
	page       = 1000 // entries read at once
	// remembered bounds the records that a process waits for, by workspace.
	remembered = 1 << 17
)

// chain is what a Writer knows about one workspace. The writer's mutex guards it;
// everything but pending is changed under its sealing mutex only.
type chain struct {
	workspace string
	writer    string // "" until a first link is to be written
	n         int64
	head      Digest

	begun  bool  // the log was looked at
	seen   int64 // how far ChainLog was followed
	sealed int64 // records up to here are covered by links
	read   int64 // records up to here were compared with pending

	heads    map[string]Head  // of other writers, by writer
	told     map[string]int64 // what of them stands in a link of this writer
	anchored map[string]int64 // what of this workspace stands in the chain of System
	removed  int64

	// pending are the digests of records that this process commits and did not read
	// yet.
	pending map[Digest]expectation
	lost    []Digest
	again   bool // the last seal failed: what it met is no longer pending, and may not be sealed
}

// expectation is what is known of a record that was not read yet.
type expectation int

const (
	underway  expectation = iota // its commit has not returned
	committed                    // before the log was first looked at: perhaps further back
	awaited                      // it must be there
)

func newChain(workspace string) *chain {
	return &chain{workspace: workspace, heads: map[string]Head{}, told: map[string]int64{}, anchored: map[string]int64{}, pending: map[Digest]expectation{}}
}

func (c *chain) begins(list []Digest) {
	for _, d := range list {
		if len(c.pending) < remembered {
			c.pending[d] = underway
		}
	}
}

func (c *chain) ends(list []Digest, happened bool) {
	for _, d := range list {
		switch _, unread := c.pending[d]; {
		case !unread:
		case !happened:
			delete(c.pending, d)
		case c.begun:
			c.pending[d] = awaited
		default:
			c.pending[d] = committed
		}
	}
}

// waits says that there is something to seal.
func (c *chain) waits() bool {
	for _, e := range c.pending {
		if e != underway {
			return true
		}
	}
	return len(c.lost) > 0 || c.again
}

// unanchored are the heads that moved since the last anchor.
func (c *chain) unanchored() []Head {
	var list []Head
	add := func(h Head) {
		if h.N > c.anchored[h.Writer] {
			h.Workspace = c.workspace
			list = append(list, h)
		}
	}
	for _, h := range c.heads {
		add(h)
	}
	if c.n > 0 {
		add(Head{Writer: c.writer, N: c.n, Hash: c.head})
	}
	return list
}

// untold are the heads of others that no link of this writer tells of.
func (c *chain) untold() []Head {
	var list []Head
	for _, name := range slices.Sorted(maps.Keys(c.heads)) {
		if h := c.heads[name]; h.N > c.told[name] && len(list) < maxHeads {
			list = append(list, h)
		}
	}
	return list
}

// mark is where a new writer begins to follow. It is a hint that spares reading all
// links at every start: the check of the chain does not rely on it.
type mark struct {
	Seen    int64  `json:"seen"`
	Sealed  int64  `json:"sealed"`
	Removed int64  `json:"removed,omitempty"`
	Heads   []Head `json:"heads,omitempty"` // of writers that wrote lately
}

const (
	kindMark = "audit_mark"
	markID   = "last"
	// lately is how many heads a mark keeps.
	lately = 32
	// back is how far before the mark a new writer compares records with what its
	// process committed before it first looked.
	back = 2000
)

// seal follows the chain and seals the records at least so old, with further heads
// if there are any.
func (w *Writer) seal(ctx context.Context, workspace string, age time.Duration, anchors []Head) error {
	w.sealing.Lock()
	defer w.sealing.Unlock()
	w.mu.Lock()
	c := w.chain(workspace)
	w.mu.Unlock()
	for {
		more, err := w.sealOnce(ctx, c, age, anchors)
		w.mu.Lock()
		c.again = err != nil
		w.mu.Unlock()
		if err != nil {
			return fmt.Errorf("workspace %s: %w", workspace, err)
		}
		if !more {
			return nil
		}
		anchors = nil
	}
}

func (w *Writer) sealOnce(ctx context.Context, c *chain, age time.Duration, anchors []Head) (more bool, err error) {
	if err := w.follow(ctx, c); err != nil {
		return false, err
	}
	// What is waited for was committed before the log is read, so it must be there.
	w.mu.Lock()
	waits := maps.Clone(c.pending)
	w.mu.Unlock()
	from, limit := c.sealed, maxRecords // more than that does not go into one link
	if len(waits) > 0 && c.read < from {
		from, limit = c.read, page
	}
	entries, err := w.o.Engine.Read(ctx, c.workspace, w.o.Records, from, limit)
	if err != nil {
		return false, err
	}
	now, err := w.o.Engine.Now(ctx)
	if err != nil {
		return false, err
	}
	link := Link{Workspace: c.workspace, At: now, Heads: anchors}
	index := newIndex()
	read := from
	var met []Digest
	for _, e := range entries {
		bytes := Digest(sha256.Sum256(e.Value))
		if e.Seq > c.sealed {
			_, own := waits[bytes]
			if !own && age > 0 && now.Sub(e.At) < age {
				break // its own writer seals it
			}
			if len(link.Records) == maxRecords || !index.add(e.Value) {
				break
			}
			if len(link.Records) == 0 {
				link.From = e.Seq
			}
			if e.Seq != link.From+int64(len(link.Records)) {
				break // a hole in the log: the check names it
			}
			link.Records = append(link.Records, recordDigest(e, bytes))
		}
		read = e.Seq
		met = append(met, bytes)
	}
	whole := len(entries) < limit && (len(entries) == 0 || read == entries[len(entries)-1].Seq)
	w.mu.Lock()
	c.read = max(c.read, read)
	for _, d := range met {
		delete(c.pending, d)
		delete(waits, d)
	}
	if whole {
		for d, e := range waits {
			if e == underway {
				continue
			}
			delete(c.pending, d)
			if e == awaited {
				c.lost = append(c.lost, d)
			}
		}
	}
	link.Lost = c.lost[:min(len(c.lost), maxRecords)]
	w.mu.Unlock()
	if len(link.Lost) > 0 {
		w.o.Logger.Error("audit: records that this process committed are not in the store as they were committed", "workspace", c.workspace, "records", len(link.Lost))
	}
	if len(link.Records) == 0 && len(anchors) == 0 && len(link.Lost) == 0 {
		return !whole && len(met) > 0, nil
	}
	index.from = link.From
	if err := w.write(ctx, c, link, index); err != nil {
		return false, err
	}
	return !whole, nil
}

// follow reads what others appended.
func (w *Writer) follow(ctx context.Context, c *chain) error {
	if !c.begun {
		if err := w.begin(ctx, c); err != nil {
			return err
		}
	}
	for {
		entries, err := w.o.Engine.Read(ctx, c.workspace, ChainLog, c.seen, page)
		if err != nil {
			return err
		}
		for _, e := range entries {
			l, hash, err := decodeLink(e)
			sound := err == nil // else the check names it
			if sound && (l.From > c.sealed+1 || len(l.Records) > maxRecords) {
				if sound, err = w.exists(ctx, c, l.end()); err != nil {
					return err
				}
			}
			w.mu.Lock()
			c.seen = e.Seq
			if sound {
				c.take(l, hash)
			}
			w.mu.Unlock()
		}
		if len(entries) < page {
			return nil
		}
	}
}

// exists says whether there is such a record: what a link claims to cover beyond what
// is there must not keep later records from being sealed.
func (w *Writer) exists(ctx context.Context, c *chain, seq int64) (bool, error) {
	list, err := w.o.Engine.Read(ctx, c.workspace, w.o.Records, seq-1, 1)
	return len(list) > 0 && list[0].Seq == seq, err
}

func (c *chain) take(l Link, hash Digest) {
	if l.From > 0 {
		c.sealed = max(c.sealed, l.end())
	}
	if l.Removed < c.sealed {
		c.removed = max(c.removed, l.Removed)
	}
	if l.Writer == c.writer {
		return // its own: it knows better
	}
	if l.N > c.heads[l.Writer].N {
		c.heads[l.Writer] = Head{Writer: l.Writer, N: l.N, Hash: hash}
	}
}

func (w *Writer) begin(ctx context.Context, c *chain) error {
	m, _, err := store.Of[mark](w.o.Engine, kindMark).Get(ctx, c.workspace, markID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c.begun, c.seen, c.sealed, c.removed = true, m.Seen, m.Sealed, m.Removed
	c.read = max(c.sealed-back, 0)
	for _, h := range m.Heads {
		// Whoever wrote the mark told of these, in the link after it.
		c.heads[h.Writer], c.told[h.Writer], c.anchored[h.Writer] = h, h.N, h.N
	}
	return nil
}

// write appends a link. Where its outcome is unknown, this writer's chain ends
// here, whether the link is there or not, and the next link begins another one.
func (w *Writer) write(ctx context.Context, c *chain, link Link, index *pageIndex) error {
	w.mu.Lock()
	if c.writer == "" {
		c.writer = "wr_" + ulid.MustNew(ulid.Timestamp(link.At), rand.Reader).String()
		c.n, c.told = 0, map[string]int64{}
	}
	link.Writer, link.N = c.writer, c.n+1
	if c.n > 0 {
		prev := c.head
		link.Prev = &prev
	}
	heads := c.untold()
	if c.workspace != store.System {
		if system := w.chains[store.System]; system != nil && system.n > 0 {
			if system.n > c.told[systemName(system.writer)] {
				link.Heads = append(link.Heads, Head{Workspace: store.System, Writer: system.writer, N: system.n, Hash: system.head})
			}
		}
	}
	link.Heads = append(link.Heads, heads...)
	m := c.mark()
	w.mu.Unlock()
	value, err := json.Marshal(link)
	if err != nil {
		return err
	}
	put, err := store.Of[mark](w.o.Engine, kindMark).Set(markID, m)
	if err != nil {
		return err
	}
	ops := []store.Op{store.Append{Log: ChainLog, Value: value}, put}
	if len(link.Records) > 0 {
		ops = append(ops, index.put(link))
	}
	if link.Removed > 0 {
		more, err := w.removal(ctx, c, link.Removed)
		if err != nil {
			return err
		}
		ops = append(ops, more...)
	}
	err = w.o.Engine.Commit(ctx, c.workspace, ops...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if errors.Is(err, store.ErrUnavailable) {
			if c.n > 0 {
				c.heads[c.writer] = Head{Writer: c.writer, N: c.n, Hash: c.head}
			}
			c.writer, c.n = "", 0
		}
		return err
	}
	c.n, c.head = link.N, sha256.Sum256(value)
	c.take(link, c.head)
	c.lost = c.lost[len(link.Lost):]
	for _, h := range link.Heads {
		switch h.Workspace {
		case "":
			c.told[h.Writer] = max(c.told[h.Writer], h.N)
		case store.System:
			c.told[systemName(h.Writer)] = h.N
		}
	}
	return nil
}

// systemName is where told keeps a writer of store.System.
func systemName(writer string) string { return store.System + "/" + writer }

// mark is what a new writer may know before it reads the link that is written with
// it.
func (c *chain) mark() mark {
	heads := slices.Collect(maps.Values(c.heads))
	// Names of writers begin with the time they were made.
	slices.SortFunc(heads, func(a, b Head) int { return strings.Compare(b.Writer, a.Writer) })
	return mark{Seen: c.seen, Sealed: c.sealed, Removed: c.removed, Heads: heads[:min(len(heads), lately)]}
}
