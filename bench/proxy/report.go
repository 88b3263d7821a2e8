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
	more      []round // streams of Cadreen beyond the rounds, for the count of whole ones
	held      heldFigures
	idle      []idle
	watched   []watched
	began     time.Time
	took      time.Duration
	loads     [2]string // load average at the beginning and at the end
}

func newReport(p *plan, list []scenario, starters []starter) *report {
	r := &report{plan: p, scenarios: list, results: results{}, held: heldFigures{}, began: time.Now()}
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
		"The order of the ways turns from round to round. Where one slice has too few samples (500 a second, streams with gaps, held calls) a round takes more than one.",
		"Figures are the median of the rounds, with the least and the most in brackets; quotients and differences are made within a round. " +
			"CPU is that of the proxy's processes, of a store in a process of its own after a plus sign and not in the quotients. Load, model and proxies share the cores. Every body was compared with the one the model gives directly, without the additions that are documented.",
		"Cadreen runs with 100 rules, its default settings, traces and audit on, and a durable store; the run is not taken unless each of its answers has left a trace and each decision a record. " + baseline + " is the committed baseline: bench/proxy/rawecho.",
	}
	if len(r.watched) > 0 {
		list = append(list, fmt.Sprintf("The last tables are from profiles of %s each and more, taken after the rounds: what was measured, divided as the profile says. A moment counts for the innermost function that somebody owns, the kernel's work for who asked for it; allocating and collecting is counted apart. Memory is divided by who asked for it while all slow streams were open, after a collection.", profileTime))
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

// gapTable is the table of timed streams.
func (r *report) gapTable() table {
	t := table{{"streams with gaps, by way of", "first event p50 ms", "× " + baseline, "gap p99 ms", "more than direct, ms", "CPU µs per event", "× " + baseline}}
	for _, s := range r.scenarios {
		if !s.timed {
			continue
		}
		all := r.results[s.name]
		for _, name := range r.names {
			rounds := all[name]
			cpu, cpuRatio := "", ""
			if over(rounds, cpuOf).most > 0 {
				cpu, cpuRatio = bracketed(over(rounds, perEventOf), "%.1f"), bracketed(ratio(rounds, all[baseline], perEventOf), "%.2f")
			}
			t = append(t, []string{name, bracketed(over(rounds, func(r round) float64 { return firstOf(r) / 1000 }), "%.2f"), bracketed(ratio(rounds, all[baseline], firstOf), "%.2f"),
				bracketed(over(rounds, func(r round) float64 { return gapOf(r).Seconds() * 1000 }), "%.1f"), fmt.Sprintf("%.1f", addedAt(rounds, all["direct"], gapOf).median/1000), cpu, cpuRatio})
		}
	}
	return t
}

// heldTable is the table of calls that were held and released.
func (r *report) heldTable() table {
	t := table{{"call held, answered with yes", "chats at once", "question p50 ms", "question p99 ms", "yes → release p50 ms", "yes → release p99 ms", "CPU ms per 1,000 of both", "model calls for a yes", "wrong"}}
	for _, name := range r.names {
		for _, chats := range heldLoads {
			rounds := r.held[name][chats]
			if len(rounds) == 0 {
				continue
			}
			cpu, store := make([]float64, len(rounds)), make([]float64, len(rounds))
			for i, one := range rounds {
				cpu[i], store[i] = one.cpu, one.store
			}
			spent := bracketed(spreadOf(cpu), "%.0f")
			if beside := spreadOf(store).median; beside >= 1 {
				spent += fmt.Sprintf(" + %.0f", beside)
			}
			sum := sumOf(rounds)
			t = append(t, []string{name, fmt.Sprint(chats), bracketed(quantileOf(rounds, questionsOf, 0.5), "%.2f"), bracketed(quantileOf(rounds, questionsOf, 0.99), "%.2f"),
				bracketed(quantileOf(rounds, yesesOf, 0.5), "%.2f"), bracketed(quantileOf(rounds, yesesOf, 0.99), "%.2f"),
				spent, fmt.Sprint(sum.extra), fmt.Sprintf("%d of %d", sum.wrong, sum.total)})
		}
	}
	return t
}

// heldSum is what the rounds of held calls add up to.
type heldSum struct {
	total, wrong int
	extra        int64
}

func sumOf(rounds []asked) (sum heldSum) {
	for _, one := range rounds {
		sum.total, sum.wrong, sum.extra = sum.total+len(one.yes)+one.wrong, sum.wrong+one.wrong, sum.extra+one.extra
	}
	return sum
}

// idleTable is the table of slow streams.
func (r *report) idleTable() table {
	head := []string{"slow streams by way of"}
	for _, n := range r.plan.streams {
		head = append(head, fmt.Sprintf("memory per 1,000, MiB, of %d", n))
	}
	t := table{append(head, "memory before, open, after a rest, MiB", "given back", "wrong or cut")}
	for _, one := range r.idle {
		row := []string{one.name}
		for _, n := range r.plan.streams {
			cell := ""
			if memory, known := one.perThousand(n); known {
				cell = fmt.Sprintf("%.1f", memory)
			}
			row = append(row, cell)
		}
		memory, given := "", ""
		if one.known {
			memory = fmt.Sprintf("%d, %d, %d", one.before>>20, one.open[one.streams]>>20, one.after>>20)
			given = fmt.Sprintf("%.0f %% in %s", one.returned()*100, one.rested.Round(time.Second))
		}
		t = append(t, append(row, memory, given, fmt.Sprintf("%d of %d", one.wrong, one.streams)))
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
	for _, name := range r.names {
		for _, rounds := range r.held[name] {
			for _, one := range rounds {
				if one.problem != nil {
					list = append(list, fmt.Sprintf("held calls, %s: %v", name, one.problem))
					break
				}
			}
		}
	}
	for _, one := range r.more {
		if one.problem != nil {
			list = append(list, fmt.Sprintf("more streams: %v", one.problem))
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
	for _, t := range []table{r.gapTable(), r.heldTable()} {
		if len(t) > 1 {
			list = append(list, t)
		}
	}
	if len(r.idle) > 0 {
		list = append(list, r.idleTable())
	}
	list = append(list, r.goals())
	for _, s := range r.scenarios {
		cost := func(contestant string) float64 { return over(r.results[s.name][contestant], cpuOf).median }
		if t := r.profileTable(s.name, "a request: "+s.label, cost); len(t[0]) > 1 {
			list = append(list, t)
		}
	}
	cost := func(contestant string) float64 {
		var values []float64
		for _, one := range r.held[contestant][heldLoads[0]] {
			values = append(values, one.cpu)
		}
		return spreadOf(values).median
	}
	for _, t := range []table{r.profileTable(heldName, "a call held and answered, one chat at a time", cost), r.heapTable()} {
		if len(t[0]) > 1 {
			list = append(list, t)
		}
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
