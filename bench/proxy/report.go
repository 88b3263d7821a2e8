package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// report is one run in words and tables.
type report struct {
	plan      *plan
	scenarios []scenario
	names     []string // contestants
	results   results
	idle      []idle
	began     time.Time
	took      time.Duration
	loads     [2]string // load average at the beginning and at the end
}

func newReport(p *plan, list []scenario, starters []starter) *report {
	r := &report{plan: p, scenarios: list, began: time.Now()}
	r.loads[0] = loadAverage()
	for _, s := range starters {
		r.names = append(r.names, s.name)
	}
	return r
}

func (r *report) finish() {
	r.took = time.Since(r.began)
	r.loads[1] = loadAverage()
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// table is rows of cells, the first row its head.
type table [][]string

// notes say how the figures came about.
func (r *report) notes() []string {
	processor := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(text), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			processor = strings.TrimSpace(strings.TrimLeft(line, "\t :"))
		}
	}
	list := []string{
		fmt.Sprintf("Measured on %s with %s %s/%s, %d cores of %s, load average %s at the beginning and %s at the end, %d rounds of %s, %s in all.",
			r.began.UTC().Format("2006-01-02"), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), processor,
			r.loads[0], r.loads[1], r.plan.rounds, r.plan.slice, r.took.Round(time.Second)),
		"Figures are the median of the rounds, with the least and the most in brackets; quotients and differences are made within a round. " +
			"CPU is that of the proxy's processes, of a store in a process of its own after a plus sign. Load, model and proxies share the cores.",
		"Cadreen runs with 100 rules, its default settings and a durable store. This version keeps no traces, so none are in its figures.",
	}
	for _, why := range r.plan.field.absent {
		list = append(list, "Passed over: "+why+".")
	}
	return list
}

// main is the table of loads.
func (r *report) main() table {
	t := table{{"load", "by way of", "CPU ms per 1,000", "× " + baseline, "requests/s", "× " + baseline, "adds p50 µs", "adds p99 µs", "memory MiB", "wrong bodies"}}
	for _, s := range r.scenarios {
		all := r.results[s.name]
		for _, name := range r.names {
			rounds := all[name]
			requests, wrong := 0, 0
			for _, one := range rounds {
				requests, wrong = requests+one.requests, wrong+one.wrong
			}
			cpu, cpuRatio, memory, p50, p99 := "", "", "", "", ""
			if over(rounds, cpuOf).most > 0 {
				cpu = bracketed(over(rounds, cpuOf), "%.0f")
				if store := over(rounds, func(r round) float64 { return r.store }); store.median >= 1 {
					cpu += fmt.Sprintf(" + %.0f", store.median)
				}
				cpuRatio = bracketed(ratio(rounds, all[baseline], cpuOf), "%.2f")
				memory = fmt.Sprintf("%.0f", over(rounds, func(r round) float64 { return r.memory }).median)
			}
			if name != "direct" {
				p50 = bracketed(addedAt(rounds, all["direct"], p50Of), "%.0f")
				p99 = bracketed(addedAt(rounds, all["direct"], p99Of), "%.0f")
			}
			t = append(t, []string{s.label, name, cpu, cpuRatio, bracketed(over(rounds, rateOf), "%.0f"),
				bracketed(ratio(rounds, all[baseline], rateOf), "%.2f"), p50, p99, memory, fmt.Sprintf("%d of %d", wrong, requests)})
		}
	}
	return t
}

// bracketed is the median with the least and the most.
func bracketed(s spread, format string) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.median, s.least, s.most)
}

// idleTable is the table of slow streams.
func (r *report) idleTable() table {
	t := table{{fmt.Sprintf("%d slow streams by way of", r.plan.streams), "memory per 1,000, MiB", "wrong or cut"}}
	for _, one := range r.idle {
		memory := ""
		if one.known {
			memory = fmt.Sprintf("%.1f", one.perUnit*1000/(1<<20))
		}
		t = append(t, []string{one.name, memory, fmt.Sprint(one.wrong)})
	}
	return t
}

// problems are what was wrong, one example each.
func (r *report) problems() []string {
	var list []string
	for _, s := range r.scenarios {
		for _, name := range r.names {
			for _, one := range r.results[s.name][name] {
				if one.problem != nil {
					list = append(list, fmt.Sprintf("%s, %s: %v", s.label, name, one.problem))
					break
				}
			}
		}
	}
	for _, one := range r.idle {
		if one.problem != nil {
			list = append(list, fmt.Sprintf("slow streams, %s: %v", one.name, one.problem))
		}
	}
	return list
}

// tables are those that there is something to say in.
func (r *report) tables() []table {
	var list []table
	if len(r.scenarios) > 0 {
		list = append(list, r.main())
	}
	if len(r.idle) > 0 {
		list = append(list, r.idleTable())
	}
	if goals := r.goals(); len(goals) > 1 {
		list = append(list, goals)
	}
	return list
}

func (r *report) print(to io.Writer) {
	var b bytes.Buffer
	for _, t := range r.tables() {
		aligned := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, row := range t {
			fmt.Fprintln(aligned, strings.Join(row, "\t"))
		}
		_ = aligned.Flush()
		b.WriteByte('\n')
	}
	for _, line := range append(r.problems(), r.notes()...) {
		b.WriteString(line + "\n")
	}
	_, _ = to.Write(b.Bytes())
}

func (r *report) markdown() string {
	var b strings.Builder
	b.WriteString("# Beside other proxies\n\n<!-- Made by: make bench-proxy -->\n")
	for _, note := range r.notes() {
		b.WriteString("\n" + note + "\n")
	}
	for _, t := range r.tables() {
		b.WriteByte('\n')
		for i, row := range t {
			b.WriteString("| " + strings.Join(row, " | ") + " |\n")
			if i == 0 {
				b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
			}
		}
	}
	if problems := r.problems(); len(problems) > 0 {
		b.WriteString("\nWhat was wrong, one example each:\n\n")
		for _, p := range problems {
			b.WriteString("- " + p + "\n")
		}
	}
	return b.String()
}
