package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// profileTime is how long one contestant is watched under one load. It is not among what is measured: being watched costs.
const profileTime = 2 * time.Second

// profileTimeAtRate is for loads that leave the processors idle, of which a profile has few samples.
const profileTimeAtRate = 6 * time.Second

// profiled are the loads that are watched.
var profiled = []string{"json-c64", "json-rate", "large", "call", "stream", "fragments", "gaps"}

// owner is a part of a program that time is spent for. Its frames begin with one of the prefixes.
type owner struct {
	name     string
	prefixes []string
}

// everywhere is what is spent wherever memory is needed, and is counted apart from who needs it.
var everywhere = owner{"memory: allocating, collecting", []string{"runtime.mallocgc", "runtime.gcBgMarkWorker", "runtime.gcAssistAlloc",
	"runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart", "runtime.gcMarkDone", "runtime.wbBufFlush", "runtime.growslice"}}

// owners in the order that they are looked for in a frame.
var owners = []owner{
	{"upstream: net/http client", []string{"net/http.(*Transport)", "net/http.(*persistConn)", "net/http.persistConnWriter", "net/http.(*bodyEOFSignal)", "net/http.(*transferWriter)", "net/http.(*Request).write"}},
	{"upstream: proxy/backend", []string{"cadreen/proxy/backend", "cadreen/proxy/intent"}},
	{"reading JSON and frames", []string{"cadreen/proxy/openai", "cadreen/proxy/sse", "github.com/go-json-experiment", "encoding/json"}},
	{"governance", []string{"cadreen/governance", "cadreen/tools", "cadreen/conversations", "cel.dev/", "github.com/google/cel-go"}},
	{"traces and audit", []string{"cadreen/intelligence"}},
	{"store", []string{"cadreen/store", "database/sql", "modernc.org/", "github.com/redis/"}},
	{"the walk: proxy/chat", []string{"cadreen/proxy/chat"}},
	{"around it: proxy, Echo, metrics", []string{"cadreen/", "main.", "github.com/labstack/", "github.com/prometheus/"}},
	{"server: net/http", []string{"net/http."}},
}

const (
	rest   = "Go's scheduler, the rest"
	kernel = "of all: in the kernel"
)

// shares says how much of a profile's time each owner has, by its name, and how much was spent in the kernel.
func shares(p *profile.Profile) map[string]float64 {
	sums, all := map[string]float64{}, 0.0
	for _, s := range p.Sample {
		value := float64(s.Value[len(s.Value)-1])
		all += value
		sums[ownerOf(frames(s))] += value
		if leaf := frames(s); len(leaf) > 0 && strings.HasPrefix(leaf[0], "internal/runtime/syscall") {
			sums[kernel] += value
		}
	}
	for name := range sums {
		sums[name] /= max(all, 1)
	}
	return sums
}

// moments is how many a CPU profile has, one for each hundredth of a second of work.
func moments(p *profile.Profile) (n int64) {
	for _, s := range p.Sample {
		n += s.Value[0]
	}
	return n
}

// frames are the functions of a sample, the innermost first.
func frames(s *profile.Sample) []string {
	var list []string
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				list = append(list, line.Function.Name)
			}
		}
	}
	return list
}

// ownerOf is who the innermost frame that somebody owns belongs to.
func ownerOf(frames []string) string {
	for _, frame := range frames {
		if owns(everywhere, frame) {
			return everywhere.name
		}
	}
	return whose(frames)
}

// whose is ownerOf with allocating counted for who does it.
func whose(frames []string) string {
	for _, frame := range frames {
		for _, o := range owners {
			if owns(o, frame) {
				return o.name
			}
		}
	}
	return rest
}

func owns(o owner, frame string) bool {
	return slices.ContainsFunc(o.prefixes, func(prefix string) bool { return strings.HasPrefix(frame, prefix) })
}

// watched is the profile of one contestant under one load.
type watched struct {
	scenario, contestant string
	shares               map[string]float64
	moments              int64 // that the profile is made of
}

// fewMoments say nothing.
const fewMoments = 30

// watch puts those that give profiles under the loads once more.
func (p *plan) watch(ctx context.Context, list []scenario, contestants []*contestant, references map[string][]byte, report *report) error {
	for _, s := range list {
		for _, c := range contestants {
			if c.pprof == "" || !slices.Contains(profiled, s.name) {
				continue
			}
			fmt.Fprintf(os.Stderr, "profile: %s, %s\n", c.name, s.name)
			long := profileTime
			if s.rate > 0 || s.timed {
				long = profileTimeAtRate
			}
			err := p.watched(ctx, c, s.name, long, report, func() error {
				_, err := c.under(ctx, s, long, references[s.name])
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// watchHeld is watch for calls that are held and answered, one chat at a time.
func (p *plan) watchHeld(ctx context.Context, contestants []*contestant, call []byte, report *report) error {
	for _, c := range contestants {
		if c.pprof == "" || !c.additions {
			continue
		}
		fmt.Fprintf(os.Stderr, "profile: %s, %s\n", c.name, heldName)
		err := p.watched(ctx, c, heldName, profileTime, report, func() error {
			_, err := heldRound(ctx, c, p.field.model, heldLoads[0], profileTime, call)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// watched takes a profile while the contestant is under a load.
func (p *plan) watched(ctx context.Context, c *contestant, load string, long time.Duration, report *report, under func() error) error {
	taken := make(chan error, 1)
	var one *profile.Profile
	go func() {
		var err error
		one, err = c.takeProfile(ctx, p.profiles, load, long)
		taken <- err
	}()
	err := under()
	if taking := <-taken; taking != nil || err != nil {
		return fmt.Errorf("profile of %s, %s: %w", c.name, load, errors.Join(taking, err))
	}
	report.watched = append(report.watched, watched{load, c.name, shares(one), moments(one)})
	return nil
}

// takeProfile asks a contestant for a CPU profile, and keeps it in the folder if one is named.
func (c *contestant) takeProfile(ctx context.Context, folder, scenario string, long time.Duration) (*profile.Profile, error) {
	response, err := c.get(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", c.pprof, int(long.Seconds())))
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if folder != "" {
		name := strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(c.name)) + "-" + scenario + ".pprof"
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return nil, err
		}
	}
	return profile.ParseData(text)
}

// profileTable says where the time of a load went: µs of a request, by owner. cost is what a contestant's requests cost there.
func (r *report) profileTable(name, label string, cost func(contestant string) float64) table {
	head := []string{"CPU µs of " + label}
	var columns []watched
	for _, w := range r.watched {
		if w.scenario == name {
			head, columns = append(head, w.contestant), append(columns, w)
		}
	}
	t := table{head}
	names := []string{everywhere.name}
	for _, o := range owners {
		names = append(names, o.name)
	}
	for _, name := range append(names, rest, kernel, "all") {
		row := []string{name}
		for _, w := range columns {
			if w.moments < fewMoments {
				row = append(row, "too few moments")
				continue
			}
			share := w.shares[name]
			if name == "all" {
				share = 1
			}
			row = append(row, fmt.Sprintf("%.0f", share*cost(w.contestant)))
		}
		t = append(t, row)
	}
	return t
}
