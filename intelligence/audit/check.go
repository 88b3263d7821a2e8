package audit

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"cadreen/store"
)

// Report is what a check of chains found.
type Report struct {
	Valid   bool  `json:"valid"`
	Entries int64 `json:"entries"` // records that agree with a link
	Links   int64 `json:"links"`
	// BrokenAt is the number of the first broken or missing record or link; which
	// of them is in Broken.
	BrokenAt int64   `json:"broken_at,omitempty"`
	Broken   []Break `json:"broken,omitempty"` // what is wrong, at most maxBreaks
	// Unsealed are records at the end that no link covers yet.
	Unsealed int64 `json:"unsealed"`
	Removed  int64 `json:"removed"` // retention removed the records up to this one
	// Writers are those that wrote last, at most maxWriters of them.
	Writers     []Writes `json:"writers"`
	WriterCount int      `json:"writer_count"`
	// Heads tell of everything that was checked. Kept elsewhere they can be given
	// to a later check.
	Heads []string `json:"heads"`
}

// Break is one broken place.
type Break struct {
	Workspace string `json:"workspace"`
	Log       string `json:"log"`              // of the entry at fault
	Writer    string `json:"writer,omitempty"` // whose chain shows it
	Sequence  int64  `json:"sequence"`         // of a link in the chain of its writer, else of the entry in its log
	What      string `json:"what"`             // one of the Broken… words
	Detail    string `json:"detail"`

	link int64 // of the writer, that says so about a record
}

func (b Break) String() string {
	return fmt.Sprintf("%s %s %s %d: %s (%s)", b.Workspace, b.Log, cmp.Or(b.Writer, "-"), b.Sequence, b.What, b.Detail)
}

// What can be wrong.
const (
	BrokenRecord   = "record_changed"  // it is not what a link says
	MissingRecord  = "record_missing"  // the log has no such entry, or not as it was committed
	InsertedRecord = "record_inserted" // no link covers it, though later ones are covered
	BrokenLink     = "link_changed"    // it is not what a later link or a head says
	MissingLink    = "link_missing"
	ForeignLink    = "link_foreign" // it is no link of this place
)

// Writes is one writer's chain.
type Writes struct {
	Workspace string    `json:"workspace"`
	Writer    string    `json:"writer"`
	Links     int64     `json:"links"`
	LastAt    time.Time `json:"last_at"`
	// Witnessed: another chain, or a head from outside, tells of its last link, so
	// that it cannot be cut off without being missed.
	Witnessed bool `json:"witnessed"`
}

const (
	maxBreaks  = 100
	maxWriters = 100
	// window is how many digests are kept for links that overlap.
	window = 4096
)

// source is where a check reads.
type source interface {
	// links are all of ChainLog, as far as it is when this is called.
	links(ctx context.Context, workspace string) iter.Seq2[store.Entry, error]
	// records are those after a number.
	records(ctx context.Context, workspace string, after int64) iter.Seq2[store.Entry, error]
}

// checker follows the chains of several workspaces that tell of each other.
type checker struct {
	source  source
	log     string // of records
	report  Report
	writers map[place]*followed
	told    []telling // heads of other workspaces and from outside
}

type place struct{ workspace, writer string }

// followed is a writer's chain as far as it was read.
type followed struct {
	n     int64 // of the last link
	parts []part
	bad   map[int64]bool // links that are named already
	last  time.Time
	seen  int64 // the highest link that another tells of
}

// part is a stretch of links without a gap: a link may claim any number, so gaps
// must cost nothing.
type part struct {
	first  int64
	hashes []Digest
}

func (w *followed) add(n int64, hash Digest) {
	if len(w.parts) == 0 || n != w.n+1 {
		w.parts = append(w.parts, part{first: n})
	}
	p := &w.parts[len(w.parts)-1]
	p.hashes = append(p.hashes, hash)
	w.n = n
}

// hash is that of a link, and whether there is one.
func (w *followed) hash(n int64) (Digest, bool) {
	for i := len(w.parts) - 1; i >= 0; i-- {
		if p := &w.parts[i]; n >= p.first {
			if at := n - p.first; at < int64(len(p.hashes)) {
				return p.hashes[at], true
			}
			break
		}
	}
	return Digest{}, false
}

// telling is a head and who tells of it.
type telling struct {
	head Head
	who  string
}

func newChecker(s source, records string) *checker {
	return &checker{source: s, log: records, writers: map[place]*followed{}}
}

func (c *checker) broken(b Break) {
	if len(c.report.Broken) < maxBreaks {
		c.report.Broken = append(c.report.Broken, b)
	}
}

// workspace checks one workspace.
func (c *checker) workspace(ctx context.Context, name string) error {
	links := c.source.links(ctx, name)
	r := newReading(c, name)
	defer r.stop()
	next := int64(1)
	for e, err := range links {
		if err != nil {
			return err
		}
		if e.Seq != next {
			c.broken(Break{Workspace: name, Log: ChainLog, Sequence: next, What: MissingLink, Detail: fmt.Sprintf("the log goes on with entry %d", e.Seq)})
		}
		next = e.Seq + 1
		c.report.Links++
		l, hash, err := decodeLink(e)
		if err != nil || l.Workspace != name {
			c.broken(Break{Workspace: name, Log: ChainLog, Sequence: e.Seq, What: ForeignLink, Detail: "the entry is no link of this workspace"})
			continue
		}
		c.link(name, l, hash)
		if err := r.link(ctx, l); err != nil {
			return err
		}
	}
	return r.end(ctx)
}

// link checks a link against the chain of its writer, and what it tells of others.
func (c *checker) link(workspace string, l Link, hash Digest) {
	at := place{workspace, l.Writer}
	w := c.writers[at]
	if w == nil {
		w = &followed{bad: map[int64]bool{}}
		c.writers[at] = w
	}
	say := func(n int64, what, detail string, args ...any) {
		if !w.bad[n] {
			w.bad[n] = true
			c.broken(Break{Workspace: workspace, Log: ChainLog, Writer: l.Writer, Sequence: n, What: what, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	last := w.n
	before, _ := w.hash(last)
	switch {
	case l.N <= last:
		say(l.N, ForeignLink, "the chain of this writer has link %d twice", l.N)
		return
	case l.N > last+1:
		say(last+1, MissingLink, "link %d of this writer comes after link %d", l.N, last)
	case l.N == 1 && l.Prev != nil:
		say(1, BrokenLink, "the first link of a writer follows none")
	case l.N > 1 && (l.Prev == nil || *l.Prev != before):
		say(last, BrokenLink, "link %d does not follow it", l.N)
	}
	w.add(l.N, hash)
	w.last = l.At
	for _, h := range l.Heads {
		who := fmt.Sprintf("link %d of %s", l.N, l.Writer)
		if h.Workspace != "" && h.Workspace != workspace {
			c.told = append(c.told, telling{h, who + " in " + workspace})
			continue
		}
		h.Workspace = workspace
		c.witness(telling{h, who})
	}
	for _, d := range l.Lost {
		c.broken(Break{Workspace: workspace, Log: c.log, Writer: l.Writer, Sequence: l.N, What: MissingRecord,
			Detail: fmt.Sprintf("the writer committed a record whose bytes have the SHA-256 %s, and did not find it in the log", d)})
	}
}

// witness holds a head against the chain it is of.
func (c *checker) witness(t telling) {
	h := t.head
	w := c.writers[place{h.Workspace, h.Writer}]
	say := func(what string) {
		if w != nil {
			if w.bad[h.N] {
				return
			}
			w.bad[h.N] = true
		}
		c.broken(Break{Workspace: h.Workspace, Log: ChainLog, Writer: h.Writer, Sequence: h.N, What: what, Detail: t.who + " tells of it"})
	}
	var hash Digest
	there := false
	if w != nil {
		hash, there = w.hash(h.N)
	}
	switch {
	case !there:
		say(MissingLink)
	case hash != h.Hash:
		say(BrokenLink)
	default:
		w.seen = max(w.seen, h.N)
	}
}

// heads are the last link of each workspace, and those that no other chain tells of.
func (c *checker) heads() []string {
	last := map[string]*followed{}
	for at, w := range c.writers {
		if l := last[at.workspace]; l == nil || l.last.Before(w.last) {
			last[at.workspace] = w
		}
	}
	list := []string{}
	for at, w := range c.writers {
		if w.seen < w.n || w == last[at.workspace] {
			hash, _ := w.hash(w.n)
			list = append(list, Head{Workspace: at.workspace, Writer: at.writer, N: w.n, Hash: hash}.String())
		}
	}
	slices.Sort(list)
	return list
}

// rank puts links before records.
func rank(b Break) int {
	if b.Log == ChainLog {
		return 0
	}
	return 1
}

// finish holds the chains against the heads that came from elsewhere.
func (c *checker) finish(heads []telling, checked ...string) Report {
	witness := func(list []telling) {
		for _, t := range list {
			if slices.Contains(checked, t.head.Workspace) {
				c.witness(t)
			}
		}
	}
	witness(c.told)
	told := c.heads()
	witness(heads)
	r := &c.report
	// What a link says about records means nothing where the link itself is not what
	// it was.
	r.Broken = slices.DeleteFunc(r.Broken, func(b Break) bool {
		w := c.writers[place{b.Workspace, b.Writer}]
		return b.link > 0 && w != nil && w.bad[b.link]
	})
	slices.SortStableFunc(r.Broken, func(a, b Break) int { return rank(a) - rank(b) })
	if len(r.Broken) > 0 {
		r.BrokenAt = r.Broken[0].Sequence
	}
	r.Writers, r.Heads = []Writes{}, told
	for at, w := range c.writers {
		r.Writers = append(r.Writers, Writes{Workspace: at.workspace, Writer: at.writer, Links: w.n, LastAt: w.last, Witnessed: w.seen == w.n})
	}
	slices.SortFunc(r.Writers, func(a, b Writes) int {
		return cmp.Or(a.LastAt.Compare(b.LastAt), cmp.Compare(a.Workspace, b.Workspace), cmp.Compare(a.Writer, b.Writer))
	})
	r.WriterCount = len(r.Writers)
	r.Writers = r.Writers[max(0, r.WriterCount-maxWriters):]
	r.Valid = len(r.Broken) == 0
	return *r
}
