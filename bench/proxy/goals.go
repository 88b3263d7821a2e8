package main

import "fmt"

// goal is a figure that Cadreen, with SQLite, should reach.
type goal struct {
	scenario      string
	figure        string
	of            func(r *report, scenario string) (spread, bool)
	goal, stretch float64
	atLeast       bool // the figure should be at least the goal, not at most
}

var goalsOfCadreen = []goal{
	{"json-c64", "CPU × " + baseline, cpuRatio, 1.3, 1.0, false},
	{"large", "CPU × " + baseline, cpuRatio, 1.5, 1.2, false},
	{"json-c64", "requests/s × " + baseline, rateRatio, 0.8, 1.0, true},
	{"stream", "CPU × " + baseline, cpuRatio, 1.2, 1.05, false},
	{"fragments", "CPU × " + baseline, cpuRatio, 1.2, 1.05, false},
	{"json-rate", "p99 added × what " + baseline + " adds", addedRatio, 1.3, 1.0, false},
}

func cpuRatio(r *report, s string) (spread, bool) {
	return ratio(r.results[s][governed], r.results[s][baseline], cpuOf), len(r.results[s]) > 0
}

func rateRatio(r *report, s string) (spread, bool) {
	return ratio(r.results[s][governed], r.results[s][baseline], rateOf), len(r.results[s]) > 0
}

// addedRatio divides medians: within one round a difference may be nothing, or less.
func addedRatio(r *report, s string) (spread, bool) {
	all := r.results[s]
	mine, raw := addedAt(all[governed], all["direct"], p99Of), addedAt(all[baseline], all["direct"], p99Of)
	if raw.median <= 0 {
		return spread{}, false
	}
	q := mine.median / raw.median
	return spread{q, q, q}, true
}

// goals hold the run against the goals. What was not measured is not there.
func (r *report) goals() table {
	t := table{{"goal", governed, "goal", "stretch", "reached"}}
	row := func(label string, figure, goal, stretch float64, atLeast bool) {
		sign, reached := "≤", func(limit float64) bool { return figure <= limit }
		if atLeast {
			sign, reached = "≥", func(limit float64) bool { return figure >= limit }
		}
		word := "no"
		switch {
		case reached(stretch):
			word = "stretch"
		case reached(goal):
			word = "yes"
		}
		t = append(t, []string{label, fmt.Sprintf("%.2f", figure), fmt.Sprintf("%s %.4g", sign, goal), fmt.Sprintf("%s %.4g", sign, stretch), word})
	}
	for _, g := range goalsOfCadreen {
		for _, s := range r.scenarios {
			if s.name != g.scenario {
				continue
			}
			if figure, ok := g.of(r, s.name); ok {
				row(s.label+": "+g.figure, figure.median, g.goal, g.stretch, g.atLeast)
			}
		}
	}
	memory := map[string]float64{}
	for _, one := range r.idle {
		memory[one.name] = one.perUnit * 1000 / (1 << 20)
	}
	if memory[baseline] > 0 {
		row("memory per 1,000 slow streams, MiB", memory[governed], memory[baseline]*1.1, 40e6/(1<<20), false)
	}
	if total, wrong := r.bodies(); total > 0 {
		row("bodies that are not the model's, of "+fmt.Sprint(total), float64(wrong), 0, 0, false)
	}
	return t
}

// bodies counts what Cadreen answered, on both stores.
func (r *report) bodies() (total, wrong int) {
	ours := func(name string) bool { return name == governed || name == "Cadreen, Redis" }
	for _, by := range r.results {
		for name, rounds := range by {
			for _, one := range rounds {
				if ours(name) {
					total, wrong = total+one.requests, wrong+one.wrong
				}
			}
		}
	}
	for _, one := range r.idle {
		if ours(one.name) {
			total, wrong = total+r.plan.streams, wrong+one.wrong
		}
	}
	return total, wrong
}
