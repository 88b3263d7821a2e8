// Command proxy measures what Cadreen costs beside proxies that copy bytes: nginx, a raw Echo proxy, httputil.ReverseProxy and
// any other whose base URL is given, all in front of the same scripted model, which is measured directly too.
//
// It starts everything on free ports of 127.0.0.1, each contestant as a process of its own, so that its CPU time and its memory
// can be read from /proc (Linux). Rounds are interleaved: each puts every contestant under each load once, in an order that
// turns from round to round. Every body is compared with the one that the model gives directly. A run ends by itself.
//
// What lives here: the run, the load, the figures. What does not: the model (upstream), the baselines (rawecho), and the
// benchmarks of single rooms, which stand beside their code.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// plan is what the flags say.
type plan struct {
	rounds    int
	slice     time.Duration
	streams   []int // rising
	rest      time.Duration
	scenarios string
	docs      string
	profiles  string
	field     field
}

// longestRun ends a run that hangs.
const longestRun = 15 * time.Minute

func main() {
	var p plan
	flag.IntVar(&p.rounds, "rounds", wholeRounds, "rounds; each measures every contestant once in each scenario")
	flag.DurationVar(&p.slice, "slice", wholeSlice, "how long one contestant is under one load in a round")
	slow := flag.String("streams", "1000,5000", "how many slow streams are open at once, step by step; 0 leaves them out")
	flag.StringVar(&p.scenarios, "scenarios", "", "comma separated names of scenarios, such as json-c64,stream,held; empty: all; none: none")
	flag.StringVar(&p.docs, "docs", "", "folder whose benchmarks.md the tables of a whole run are written into, and bench-proxy.svg")
	flag.StringVar(&p.profiles, "profiles", "", "folder that the CPU profiles are kept in, which the last tables are made from")
	flag.Func("peer", "name=baseurl of another proxy on this machine, in front of a model of its own that answers alike; may be repeated", func(text string) error {
		one, err := parsePeer(text)
		p.field.peers = append(p.field.peers, one)
		return err
	})
	flag.DurationVar(&p.rest, "rest", 0, "how long at least contestants rest after slow streams until their memory is read once more; they rest while the others are under load, so that it costs no time unless it is longer than that")
	model := flag.String("model", "", "address:port of 127.0.0.1 for the model, so that a peer can be set up in front of it; empty: a free one")
	flag.Parse()
	p.field.model = *model
	var err error
	if p.streams, err = rising(*slow); err != nil {
		fmt.Fprintln(os.Stderr, "bench/proxy: -streams:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, longestRun)
	defer cancel()
	if err := p.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench/proxy:", err)
		os.Exit(1)
	}
}

// run builds, measures and reports. What it started has ended when it returns.
func (p *plan) run(ctx context.Context, to io.Writer) error {
	list, withHeld, err := chosen(p.scenarios)
	if err != nil {
		return err
	}
	if err := raiseFiles(); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "bench-proxy-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	// nginx's workers may run as another user.
	if err := os.Chmod(folder, 0o755); err != nil {
		return err
	}
	if err := p.field.build(ctx, folder); err != nil {
		return err
	}
	if p.field.model == "" {
		if p.field.model, err = freeAddress(); err != nil {
			return err
		}
	}
	model, err := startProcess(ctx, folder, "upstream", p.field.model, filepath.Join(p.field.bin, "upstream"), "-listen", p.field.model)
	if err != nil {
		return err
	}
	defer model.stop()
	for _, s := range scenarios() {
		p.field.pool = max(p.field.pool, s.concurrency)
	}
	starters := p.field.starters()
	report := newReport(p, list, starters)
	// Those that had the slow streams rest while others of their kind are under load.
	var resting []*contestant
	defer func() {
		for _, c := range resting {
			c.stop()
		}
	}()
	if len(p.streams) > 0 {
		if resting, err = p.slow(ctx, folder, starters, report); err != nil {
			return err
		}
	}
	if len(list) > 0 || withHeld {
		if err := p.measure(ctx, folder, list, withHeld, starters, report); err != nil {
			return err
		}
	}
	for i, c := range resting {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(report.idle[i].ended.Add(p.rest))):
		}
		if err := report.idle[i].rest(ctx, c); err != nil {
			return err
		}
	}
	report.finish()
	report.print(to)
	if p.docs == "" {
		return nil
	}
	if why := p.partial(list, withHeld); why != "" {
		fmt.Fprintf(os.Stderr, "the documents stay as they are: %s\n", why)
		return nil
	}
	return report.write(p.docs)
}

// heldName is what calls that are held and answered are called where scenarios are chosen.
const heldName = "held"

// chosen are the scenarios with these names, and whether calls are held; all if there are no names; "none" is none of them.
func chosen(names string) (list []scenario, withHeld bool, err error) {
	all := scenarios()
	if names == "" {
		return all, true, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		found := name == "none" || name == heldName
		withHeld = withHeld || name == heldName
		for _, s := range all {
			if s.name == name {
				list, found = append(list, s), true
			}
		}
		if !found {
			return nil, false, fmt.Errorf("there is no scenario %q", name)
		}
	}
	return list, withHeld, nil
}

// rising reads numbers that rise, separated by commas; 0 alone is none.
func rising(text string) ([]int, error) {
	if text == "0" {
		return nil, nil
	}
	var list []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > mostStreams || len(list) > 0 && n <= list[len(list)-1] {
			return nil, fmt.Errorf("%q is not 0, nor numbers from 1 to %d that rise", text, mostStreams)
		}
		list = append(list, n)
	}
	return list, nil
}

// build makes the programs from the module that this one is run in.
func (f *field) build(ctx context.Context, folder string) error {
	f.bin = filepath.Join(folder, "bin")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", f.bin+string(filepath.Separator), "cadreen/cmd/cadreen", "cadreen/bench/proxy/rawecho", "cadreen/bench/proxy/upstream")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, said)
	}
	return nil
}

// measure runs the rounds.
func (p *plan) measure(ctx context.Context, folder string, list []scenario, withHeld bool, starters []starter, report *report) error {
	contestants := make([]*contestant, len(starters))
	defer func() {
		for _, c := range contestants {
			if c != nil {
				c.stop()
			}
		}
	}()
	for i, s := range starters {
		var err error
		if contestants[i], err = s.launch(ctx, folder); err != nil {
			return err
		}
	}
	references := map[string][]byte{}
	for _, s := range list {
		reference, err := ask(ctx, contestants[0].base, s.body)
		if err != nil {
			return err
		}
		references[s.name] = reference
		for _, c := range contestants { // heaps and pools grow before anything counts
			if _, err := c.under(ctx, s, p.slice/2, reference); err != nil {
				return fmt.Errorf("%s, %s: %w", c.name, s.name, err)
			}
		}
	}
	call, err := proposedCall(ctx, p.field.model)
	if err != nil {
		return err
	}
	for n := range p.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", n+1, p.rounds)
		turn := func(i int) *contestant { return contestants[(i+n)%len(contestants)] }
		for _, s := range list {
			for i := range contestants {
				c := turn(i)
				one, err := c.under(ctx, s, p.slice*time.Duration(max(s.slices, 1)), references[s.name])
				if err != nil {
					return fmt.Errorf("%s, %s: %w", c.name, s.name, err)
				}
				report.results.add(s.name, c.name, one)
			}
		}
		for _, chats := range heldLoads {
			for i := range contestants {
				c := turn(i)
				if !withHeld || !c.additions { // a call passes through the others
					continue
				}
				one, err := heldRound(ctx, c, p.field.model, chats, p.slice*heldSlices, call)
				if err != nil {
					return fmt.Errorf("%s, held calls: %w", c.name, err)
				}
				report.held.add(c.name, chats, one)
			}
		}
	}
	for _, c := range contestants {
		if c.additions {
			if err := keepsAll(ctx, c); err != nil {
				return err
			}
		}
	}
	if err := p.complete(ctx, list, contestants, references, report); err != nil {
		return err
	}
	if err := p.watch(ctx, list, contestants, references, report); err != nil || !withHeld {
		return err
	}
	return p.watchHeld(ctx, contestants, call, report)
}

// wholeCount is how many streams Cadreen must have carried before it is said that none was cut.
const wholeCount = 10_000

// complete puts Cadreen under streams until, with the slow ones, there were enough of them. A run of fewer scenarios than
// all says nothing about it.
func (p *plan) complete(ctx context.Context, list []scenario, contestants []*contestant, references map[string][]byte, report *report) error {
	if len(list) < len(scenarios()) {
		return nil
	}
	for _, s := range list {
		for s.name == "stream" {
			sum := report.streams()
			if sum.bodies >= wholeCount || sum.wrong > 0 {
				break
			}
			fmt.Fprintf(os.Stderr, "%d streams of %d\n", sum.bodies, wholeCount)
			for _, c := range contestants {
				if !c.additions {
					continue
				}
				one, err := c.under(ctx, s, time.Second, references[s.name])
				if err != nil {
					return fmt.Errorf("%s, %s: %w", c.name, s.name, err)
				}
				if one.requests == 0 {
					return fmt.Errorf("%s, %s: no stream came", c.name, s.name)
				}
				report.more = append(report.more, one)
			}
		}
	}
	return nil
}

// ask sends one request.
func ask(ctx context.Context, base string, body []byte) ([]byte, error) {
	w, err := newWorker(ctx, base, key, body)
	if err != nil {
		return nil, err
	}
	defer w.close()
	return w.exchange()
}

// under puts one contestant under one load.
func (c *contestant) under(ctx context.Context, s scenario, slice time.Duration, reference []byte) (round, error) {
	var used, stored [2]time.Duration
	var problem error
	moment := 0
	read := func(p *process, into *[2]time.Duration) {
		if p == nil {
			return
		}
		spent, err := p.cpu()
		if err != nil {
			problem = err
		}
		into[moment] = spent
	}
	got, err := load{base: c.base, key: key, body: s.body, concurrency: s.concurrency, slice: slice, rate: s.rate, timed: s.timed, stagger: s.stagger, between: func() {
		read(c.process, &used)
		read(c.beside, &stored)
		moment = 1
	}}.run(ctx)
	if err != nil {
		return round{}, err
	}
	if problem != nil {
		return round{}, problem
	}
	n := len(got.bodies)
	spent := used[1] - used[0]
	one := round{
		requests: n + len(got.failed), rate: float64(n) / got.elapsed.Seconds(),
		p50: quantile(got.took, 0.5), p99: quantile(got.took, 0.99), wrong: len(got.failed),
		first: quantile(got.first, 0.5), gap: quantile(got.gaps, 0.99),
	}
	if n > 0 {
		one.cpu = spent.Seconds() * 1e6 / float64(n)
		one.store = (stored[1] - stored[0]).Seconds() * 1e6 / float64(n)
	}
	if events := len(got.first) + len(got.gaps); events > 0 {
		one.perEvent = float64(spent.Microseconds()) / float64(events)
	}
	if len(got.failed) > 0 {
		one.problem = got.failed[0]
	}
	for _, body := range got.bodies {
		if err := same(body, reference, c.additions); err != nil {
			one.wrong++
			if one.problem == nil {
				one.problem = err
			}
		}
	}
	memory, err := c.usage()
	one.memory = float64(memory) / (1 << 20)
	return one, err
}

// slow measures idle streams, each contestant started anew so that nothing else has filled its memory. It gives the contestants,
// in the order of the report, still running.
func (p *plan) slow(ctx context.Context, folder string, starters []starter, report *report) ([]*contestant, error) {
	var resting []*contestant
	reference, err := heldReference(ctx, p.field.model)
	if err != nil {
		return nil, err
	}
	for _, s := range starters {
		fmt.Fprintf(os.Stderr, "slow streams: %s\n", s.name)
		c, err := s.launch(ctx, folder)
		if err != nil {
			return resting, err
		}
		resting = append(resting, c)
		one, err := slowStreams(ctx, c, p.field.model, p.streams, reference)
		if err != nil {
			return resting, fmt.Errorf("%s: %w", s.name, err)
		}
		if c.additions {
			if err := keepsAll(ctx, c); err != nil {
				return resting, err
			}
		}
		report.idle = append(report.idle, one)
	}
	return resting, nil
}
