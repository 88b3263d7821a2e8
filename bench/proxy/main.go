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
	"strings"
	"syscall"
	"time"
)

// plan is what the flags say.
type plan struct {
	rounds    int
	slice     time.Duration
	streams   int
	scenarios string
	out       string
	field     field
}

// longestRun ends a run that hangs.
const longestRun = 15 * time.Minute

func main() {
	var p plan
	flag.IntVar(&p.rounds, "rounds", 5, "rounds; each measures every contestant once in each scenario")
	flag.DurationVar(&p.slice, "slice", 500*time.Millisecond, "how long one contestant is under one load in a round")
	flag.IntVar(&p.streams, "streams", 1000, "slow streams that are open at once; 0 leaves them out")
	flag.StringVar(&p.scenarios, "scenarios", "", "comma separated names of scenarios, such as json-c64,stream; empty: all")
	flag.StringVar(&p.out, "o", "", "file that the tables are written to as Markdown")
	flag.Func("peer", "name=baseurl of another proxy on this machine, in front of a model of its own that answers alike; may be repeated", func(text string) error {
		one, err := parsePeer(text)
		p.field.peers = append(p.field.peers, one)
		return err
	})
	model := flag.String("model", "", "address:port of 127.0.0.1 for the model, so that a peer can be set up in front of it; empty: a free one")
	flag.Parse()
	p.field.model = *model
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
	list, err := chosen(p.scenarios)
	if err != nil {
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
	for _, s := range list {
		p.field.pool = max(p.field.pool, s.concurrency)
	}
	starters := p.field.starters()
	report := newReport(p, list, starters)
	if len(list) > 0 {
		if report.results, err = p.measure(ctx, folder, list, starters); err != nil {
			return err
		}
	}
	if p.streams > 0 {
		if report.idle, err = p.slow(ctx, folder, starters); err != nil {
			return err
		}
	}
	report.finish()
	report.print(to)
	if p.out != "" {
		return os.WriteFile(p.out, []byte(report.markdown()), 0o644)
	}
	return nil
}

// chosen are the scenarios with these names, all if there are none; "none" is none of them.
func chosen(names string) ([]scenario, error) {
	all := scenarios()
	if names == "" {
		return all, nil
	}
	var list []scenario
	for name := range strings.SplitSeq(names, ",") {
		found := name == "none"
		for _, s := range all {
			if s.name == name {
				list, found = append(list, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no scenario %q", name)
		}
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
func (p *plan) measure(ctx context.Context, folder string, list []scenario, starters []starter) (results, error) {
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
			return nil, err
		}
	}
	all := results{}
	references := map[string][]byte{}
	for _, s := range list {
		reference, err := ask(ctx, contestants[0].base, s.body)
		if err != nil {
			return nil, err
		}
		references[s.name] = reference
		for _, c := range contestants { // heaps and pools grow before anything counts
			if _, err := c.under(ctx, s, p.slice/2, reference); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", c.name, s.name, err)
			}
		}
	}
	for n := range p.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", n+1, p.rounds)
		for _, s := range list {
			for i := range contestants {
				c := contestants[(i+n)%len(contestants)]
				one, err := c.under(ctx, s, p.slice, references[s.name])
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", c.name, s.name, err)
				}
				all.add(s.name, c.name, one)
			}
		}
	}
	return all, nil
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
	got, err := load{base: c.base, key: key, body: s.body, concurrency: s.concurrency, slice: slice, rate: s.rate, between: func() {
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
	one := round{
		requests: n, rate: float64(n) / got.elapsed.Seconds(),
		p50: quantile(got.took, 0.5), p99: quantile(got.took, 0.99), wrong: len(got.failed),
	}
	if n > 0 {
		one.cpu = float64((used[1] - used[0]).Milliseconds()) / float64(n) * 1000
		one.store = float64((stored[1] - stored[0]).Milliseconds()) / float64(n) * 1000
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

// slow measures idle streams, each contestant started anew so that nothing else has filled its memory.
func (p *plan) slow(ctx context.Context, folder string, starters []starter) ([]idle, error) {
	reference, err := heldReference(ctx, p.field.model)
	if err != nil {
		return nil, err
	}
	var list []idle
	for _, s := range starters {
		fmt.Fprintf(os.Stderr, "%d slow streams: %s\n", p.streams, s.name)
		c, err := s.launch(ctx, folder)
		if err != nil {
			return nil, err
		}
		one, err := slowStreams(ctx, c, p.field.model, p.streams, reference)
		c.stop()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		list = append(list, one)
	}
	return list, nil
}
