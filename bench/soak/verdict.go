package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// verdict says how a run went.
type verdict struct {
	plan    plan
	samples []sample
	counts  counts
	rows    []row
}

// row compares the beginning of a run, after it warmed up, with its end: medians over a fifth of the samples each.
type row struct {
	name         string
	early, late  float64
	most         float64 // what late may be
	unit, format string
}

// judge needs ten samples, to have two in a fifth.
func judge(p plan, samples []sample, c counts) verdict {
	v := verdict{plan: p, samples: samples, counts: c}
	if len(samples) < 10 {
		return v
	}
	add := func(name, unit, format string, factor, more float64, of func(sample) float64) {
		fifth := len(samples) / 5
		early, late := median(samples[fifth:2*fifth], of), median(samples[len(samples)-fifth:], of)
		v.rows = append(v.rows, row{name, early, late, factor*early + more, unit, format})
	}
	add("memory that the system counts", " MiB", "%.1f", 1.10, 16, func(s sample) float64 { return s.Resident })
	add("Go heap in use", " MiB", "%.1f", 1.10, 16, func(s sample) float64 { return s.Heap })
	add("goroutines", "", "%.0f", 1.10, 100, func(s sample) float64 { return s.Goroutines })
	add("open files", "", "%.0f", 1.10, 100, func(s sample) float64 { return s.Files })
	add("p50", " ms", "%.2f", 1.5, 5, func(s sample) float64 { return s.P50 })
	add("p99", " ms", "%.2f", 2, 25, func(s sample) float64 { return s.P99 })
	return v
}

func median(list []sample, of func(sample) float64) float64 {
	var values []float64
	for _, s := range list {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// err is what is not as it should be.
func (v verdict) err() error {
	var bad []error
	if v.counts.Failed > 0 {
		bad = append(bad, fmt.Errorf("%d conversations failed, the first: %w", v.counts.Failed, v.counts.First))
	}
	if v.counts.Late > 0 {
		bad = append(bad, fmt.Errorf("%d conversations were left out because %d were open", v.counts.Late, mostOpen))
	}
	if want := float64(v.plan.rate) * v.plan.length.Seconds(); float64(v.counts.Requests) < 0.97*want {
		bad = append(bad, fmt.Errorf("%d requests instead of %.0f", v.counts.Requests, want))
	}
	if len(v.rows) == 0 {
		bad = append(bad, errors.New("too short to say anything about growth: ten looks are needed"))
	}
	for _, r := range v.rows {
		if r.late > r.most {
			bad = append(bad, fmt.Errorf("%s went from "+r.format+" to "+r.format+"%s, more than "+r.format, r.name, r.early, r.late, r.unit, r.most))
		}
	}
	return errors.Join(bad...)
}

// text is the page that a run writes.
func (v verdict) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests in %s (%d a second were asked for), %d failed.\n\n", v.counts.Requests, v.plan.length, v.plan.rate, v.counts.Failed+v.counts.Late)
	b.WriteString("| | second fifth of the run | last fifth | allowed |\n|---|---|---|---|\n")
	for _, r := range v.rows {
		fmt.Fprintf(&b, "| %s | "+r.format+"%s | "+r.format+"%s | "+r.format+"%s |\n", r.name, r.early, r.unit, r.late, r.unit, r.most, r.unit)
	}
	return b.String()
}

const pageHead = `# Soak

One process of Cadreen under a steady load, to see whether it stays as it was: ` + "`make soak`" + ` writes this page and fails if it does not. The load is open: requests go out at their time, whatever the answers take.
Of 24 requests 13 are chats without calls, about half of them streams, 3 propose a call that a policy allows, and 8 ask about a call and say yes or no; every answer is held against what it must be, to the byte of the arguments.

`

// write puts soak.md and soak.svg into the folder.
func (v verdict) write(folder string) error {
	where := fmt.Sprintf("Measured on %s with %s, %d CPUs shared by the program, its model and the load; store: %s.\n\n", time.Now().UTC().Format("2006-01-02"), runtime.Version(), runtime.NumCPU(), storeName(v.plan.store))
	page := pageHead + where + v.text() + "\nThe values are medians. Limits follow from the second fifth, when the pools are warm.\n\n![requests a second, latency, memory and goroutines over the run](soak.svg)\n"
	return errors.Join(os.WriteFile(filepath.Join(folder, "soak.md"), []byte(page), 0o644),
		os.WriteFile(filepath.Join(folder, "soak.svg"), []byte(plot(v.samples)), 0o644))
}

func storeName(url string) string {
	name, _, ok := strings.Cut(url, ":")
	if !ok {
		return "SQLite"
	}
	return name
}
