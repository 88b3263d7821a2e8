package audit

import (
	"context"
	"fmt"
	"iter"

	"cadreen/store"
)

// reading goes through the records of a workspace beside its links.
type reading struct {
	c         *checker
	workspace string
	next      func() (store.Entry, error, bool)
	stop      func()
	done      bool
	last      int64           // the newest that was read
	near      map[int64]*line // the last ones that were read
	missing   [][2]int64
	covered   int64
	removed   int64
}

type line struct {
	digest  Digest
	covered bool
}

func newReading(c *checker, workspace string) *reading {
	r := &reading{c: c, workspace: workspace, near: map[int64]*line{}, stop: func() {}}
	return r
}

// step reads one more record.
func (r *reading) step(ctx context.Context) error {
	if r.next == nil {
		r.next, r.stop = iter.Pull2(r.c.source.records(ctx, r.workspace, 0))
	}
	e, err, ok := r.next()
	if !ok {
		r.done = true
		return nil
	}
	if err != nil {
		return err
	}
	if e.Seq > r.last+1 {
		r.missing = append(r.missing, [2]int64{r.last + 1, e.Seq - 1})
	}
	r.last = e.Seq
	r.near[e.Seq] = &line{digest: entryDigest(e)}
	if old := e.Seq - window; r.near[old] != nil {
		r.leave(old)
	}
	return nil
}

// leave forgets a record that no link needs any more.
func (r *reading) leave(seq int64) {
	if l := r.near[seq]; !l.covered {
		if seq > r.covered {
			r.c.report.Unsealed++
		} else {
			r.c.broken(Break{Workspace: r.workspace, Log: r.c.log, Sequence: seq, What: InsertedRecord, Detail: "no link covers it"})
		}
	}
	delete(r.near, seq)
}

// link holds the records against a link.
func (r *reading) link(ctx context.Context, l Link) error {
	r.removed = max(r.removed, l.Removed)
	if l.From < 1 || len(l.Records) == 0 {
		return nil
	}
	to := l.end()
	for !r.done && r.last < to {
		if err := r.step(ctx); err != nil {
			return err
		}
	}
	r.covered = max(r.covered, to)
	for i, want := range l.Records {
		seq := l.From + int64(i)
		at := r.near[seq]
		if at == nil && seq <= r.last-window {
			var err error
			if at, err = r.again(ctx, seq); err != nil {
				return err
			}
		}
		switch {
		case at == nil: // it is among the missing
		case at.digest != want:
			at.covered = true
			r.c.broken(Break{Workspace: r.workspace, Log: r.c.log, Writer: l.Writer, Sequence: seq, What: BrokenRecord, link: l.N,
				Detail: fmt.Sprintf("it is not what link %d sealed", l.N)})
		default:
			if !at.covered {
				at.covered = true
				r.c.report.Entries++
			}
		}
	}
	return nil
}

// again reads a record that was left behind.
func (r *reading) again(ctx context.Context, seq int64) (*line, error) {
	for e, err := range r.c.source.records(ctx, r.workspace, seq-1) {
		if err != nil || e.Seq != seq {
			return nil, err
		}
		return &line{digest: entryDigest(e), covered: true}, nil
	}
	return nil, nil
}

// end reads the rest, and names what is not there.
func (r *reading) end(ctx context.Context) error {
	for !r.done {
		if err := r.step(ctx); err != nil {
			return err
		}
	}
	if r.covered > r.last {
		r.missing = append(r.missing, [2]int64{r.last + 1, r.covered})
	}
	for seq := max(r.last-window, 0); seq <= r.last; seq++ {
		if r.near[seq] != nil {
			r.leave(seq)
		}
	}
	if r.workspace != store.System || len(r.c.writers) == 0 {
		r.c.report.Removed = r.removed
	}
	for _, m := range r.missing {
		if from := max(m[0], r.removed+1); from <= m[1] {
			r.c.broken(Break{Workspace: r.workspace, Log: r.c.log, Sequence: from, What: MissingRecord, Detail: fmt.Sprintf("the log has no entries %d to %d", from, m[1])})
		}
	}
	return nil
}
