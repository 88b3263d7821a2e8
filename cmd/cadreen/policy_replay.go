package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"cadreen/governance"
)

type policyReplayCommand struct {
	policyFlags
	Path      string        `arg:"" optional:"" help:"Policy file or folder; the same as --policies."`
	Workspace string        `help:"Workspace whose decisions are judged again." default:"default" placeholder:"NAME"`
	Since     time.Duration `help:"How far back, such as 24h." default:"24h" placeholder:"DURATION"`
	Trace     string        `help:"Only the decisions of one trace." placeholder:"ID"`
	Limit     int           `help:"The most calls to judge, newest first." default:"20000" placeholder:"N"`
	Changes   int           `help:"The most changed decisions to list." default:"50" placeholder:"N"`
}

// Run judges recorded decisions again by the policies at the path alone, with the
// facts and the time of then, and says which would come out otherwise.
func (c policyReplayCommand) Run(ctx context.Context, p program) (err error) {
	cfg, err := c.loadNamed(p, c.Path)
	if err != nil {
		return err
	}
	if c.Since <= 0 || c.Limit <= 0 || c.Changes < 0 {
		return usageError{errors.New("--since and --limit are above 0, --changes is not below")}
	}
	bundle, err := loadPolicies(cfg)
	if err != nil {
		return err
	}
	if path, ok := sqlitePath(cfg.Store); ok {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return usageError{fmt.Errorf("there is no store at %s: run this where cadreen serve ran, or give its --config", path)}
		}
	}
	engine, err := openStore(ctx, cfg.Store, wallClock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	now, err := engine.Now(ctx)
	if err != nil {
		return err
	}
	desk := governance.NewDesk(engine, bundle, governance.DeskOptions{})
	bar := newBar(p.Stderr, now.Add(-c.Since), now)
	var replay governance.Replay
	more, err := c.each(ctx, desk, now, func(e *governance.Evidence) bool {
		replay.Add(e, bundle)
		bar.show(e.Created, replay.Calls)
		return replay.Calls < c.Limit
	})
	bar.clear()
	if err != nil {
		return err
	}
	if replay.Turns == 0 {
		fmt.Fprintf(p.Stdout, "No decisions of workspace %s are recorded %s.\n", c.Workspace, c.when())
		return nil
	}
	c.print(p.Stdout, &replay)
	if more {
		fmt.Fprintf(p.Stdout, "Older decisions were left out: --limit is %d.\n", c.Limit)
	}
	return nil
}

func (c policyReplayCommand) when() string {
	if c.Trace != "" {
		return "for trace " + c.Trace
	}
	return fmt.Sprintf("in the last %s", c.Since)
}

// evidencePage is how many records are read at once.
const evidencePage = 200

// each hands out the records, newest first, until judge has enough.
func (c policyReplayCommand) each(ctx context.Context, desk *governance.Desk, now time.Time, judge func(*governance.Evidence) bool) (more bool, err error) {
	if c.Trace != "" {
		list, err := desk.Evidence(ctx, c.Workspace, c.Trace)
		for i := range slices.Backward(list) {
			judge(&list[i])
		}
		return false, err
	}
	for offset := 0; ; offset += evidencePage {
		page, more, err := desk.EvidenceBetween(ctx, c.Workspace, now.Add(-c.Since), now, offset, evidencePage)
		if err != nil {
			return false, err
		}
		for i := range page {
			if !judge(&page[i]) {
				return more || i < len(page)-1, nil
			}
		}
		if !more {
			return false, nil
		}
	}
}

func (c policyReplayCommand) print(w io.Writer, r *governance.Replay) {
	fmt.Fprintf(w, "%d calls of %d turns, from %s to %s\n\n", r.Calls, r.Turns, r.From.UTC().Format(time.RFC3339), r.To.UTC().Format(time.RFC3339))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := "before\\after\t"
	for _, v := range governance.Verdicts {
		head += v.String() + "\t"
	}
	fmt.Fprintln(table, head)
	for _, before := range governance.Verdicts {
		row := before.String() + "\t"
		for _, after := range governance.Verdicts {
			switch n := r.Table[before][after]; {
			case n == 0:
				row += "·\t"
			case before != after:
				row += fmt.Sprintf("%d !\t", n)
			default:
				row += fmt.Sprintf("%d\t", n)
			}
		}
		fmt.Fprintln(table, row)
	}
	_ = table.Flush()
	told := r.Calls
	for _, why := range slices.Sorted(maps.Keys(r.CannotTell)) {
		told -= r.CannotTell[why]
		fmt.Fprintf(w, "\nCannot tell for %d calls: %s.", r.CannotTell[why], why)
	}
	fmt.Fprintf(w, "\n%d of %d would have changed.\n", r.Changed, told)
	for _, x := range r.Changes[:min(len(r.Changes), c.Changes)] {
		fmt.Fprintf(w, "  %s  %s  %s: %s → %s, %s\n", x.At.UTC().Format(time.RFC3339), x.TraceID, oneLine(x.After.Call.Name), x.Before, x.After.Verdict, oneLine(x.After.Detail))
	}
	if left := r.Changed - min(len(r.Changes), c.Changes); left > 0 {
		fmt.Fprintf(w, "  … and %d more (--changes)\n", left)
	}
}

// bar is a progress bar on a terminal, and nothing anywhere else. What is done is
// measured by the time that the records lie back.
type bar struct {
	w        io.Writer // nil: no terminal
	from, to time.Time
	drawn    string
}

func newBar(w io.Writer, from, to time.Time) *bar {
	b := &bar{from: from, to: to}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			b.w = w
		}
	}
	return b
}

const barWidth = 30

func (b *bar) show(at time.Time, calls int) {
	if b.w == nil {
		return
	}
	done := min(max(float64(b.to.Sub(at))/float64(b.to.Sub(b.from)), 0), 1)
	full := int(done * barWidth)
	text := fmt.Sprintf("\r[%s%s] %3.0f%%  %d calls", strings.Repeat("█", full), strings.Repeat(" ", barWidth-full), done*100, calls)
	if text != b.drawn {
		b.drawn = text
		_, _ = io.WriteString(b.w, text)
	}
}

// clear takes the bar away.
func (b *bar) clear() {
	if b.w != nil && b.drawn != "" {
		_, _ = io.WriteString(b.w, "\r"+strings.Repeat(" ", len([]rune(b.drawn)))+"\r")
	}
}
