package main

import "fmt"

// goal is a figure that Cadreen should reach.
type goal struct {
	label         string
	of            func(r *report, name string) (figure float64, measured bool)
	goal, stretch float64
	atLeast       bool // the figure should be at least the goal, not at most
}

// goalsOf are the goals of the project for its cost, in the order of their table. Memory has one for each number of streams.
func (r *report) goalsOf() []goal {
	list := []goal{
		{"1 KB JSON, c = 64: CPU × " + baseline, quotient("json-c64", cpuOf), 1.3, 1.0, false},
		{"19 KB with 20 tools: CPU × " + baseline, quotient("large", cpuOf), 1.5, 1.2, false},
		{"1 KB JSON, c = 64: requests/s × " + baseline, quotient("json-c64", rateOf), 0.8, 1.0, true},
		{"stream of 200 chunks: CPU × " + baseline, quotient("stream", cpuOf), 1.2, 1.05, false},
		{"call in 100 fragments: CPU × " + baseline, quotient("fragments", cpuOf), 1.2, 1.05, false},
		{"500 a second: p99 added × what " + baseline + " adds", (*report).addedRatio, 1.3, 1.0, false},
		{"streams with gaps: first event × " + baseline, quotient("gaps", firstOf), 1.3, 1.05, false},
		{"streams with gaps: gap p99 beyond direct, ms", (*report).gapBeyond, 2, 2, false},
		{"streams with gaps: CPU per event × " + baseline, quotient("gaps", perEventOf), 1.2, 1.05, false},
	}
	for _, n := range r.plan.streams {
		limit := 0.0
		if raw, ok := r.memoryOf(baseline, n); ok {
			limit = raw * 1.1
		}
		list = append(list, goal{fmt.Sprintf("memory per 1,000 of %d slow streams, MiB", n), func(r *report, name string) (float64, bool) {
			mine, ok := r.memoryOf(name, n)
			return mine, ok && limit > 0
		}, limit, 40e6 / (1 << 20), false})
	}
	bodies, streams := r.bodies(), r.streams()
	return append(list,
		goal{fmt.Sprintf("bodies of both that are not the model's, of %d", bodies.bodies), func(*report, string) (float64, bool) {
			return float64(bodies.wrong), bodies.bodies > 0
		}, 0, 0, false},
		goal{fmt.Sprintf("streams of both cut or changed, of %d", streams.bodies), func(*report, string) (float64, bool) {
			return float64(streams.wrong), streams.bodies >= wholeCount || streams.wrong > 0
		}, 0, 0, false},
		goal{"yes → release: calls to the model", func(r *report, name string) (float64, bool) {
			most := int64(0)
			for _, rounds := range r.held[name] {
				most += sumOf(rounds).extra
			}
			return float64(most), len(r.held[name]) > 0
		}, 0, 0, false},
		goal{"yes → release: p99 ms, one chat at a time", func(r *report, name string) (float64, bool) {
			rounds := r.held[name][1]
			return quantileOf(rounds, yesesOf, 0.99).median, len(rounds) > 0
		}, 5, 2, false},
	)
}

// quotient divides a figure by the baseline's, round by round.
func quotient(scenario string, figure func(round) float64) func(*report, string) (float64, bool) {
	return func(r *report, name string) (float64, bool) {
		median := ratio(r.results[scenario][name], r.results[scenario][baseline], figure).median
		return median, median > 0
	}
}

// addedRatio divides medians: within one round a difference may be nothing, or less.
func (r *report) addedRatio(name string) (float64, bool) {
	all := r.results["json-rate"]
	mine, raw := addedAt(all[name], all["direct"], p99Of), addedAt(all[baseline], all["direct"], p99Of)
	if raw.median <= 0 || len(all[name]) == 0 {
		return 0, false
	}
	return mine.median / raw.median, true
}

func (r *report) gapBeyond(name string) (float64, bool) {
	all := r.results["gaps"]
	return addedAt(all[name], all["direct"], gapOf).median / 1000, len(all[name]) > 0
}

func (r *report) memoryOf(name string, streams int) (float64, bool) {
	for _, one := range r.idle {
		if one.name == name {
			return one.perThousand(streams)
		}
	}
	return 0, false
}

// verdict says in a word whether a figure reaches its goal.
func (g goal) verdict(figure float64) string {
	within := func(limit float64) bool {
		if g.atLeast {
			return figure >= limit
		}
		return figure <= limit
	}
	switch {
	case within(g.goal) && within(g.stretch):
		return "stretch"
	case within(g.goal):
		return "yes"
	}
	return "no"
}

// goals hold the run against the goals. What was not measured is said.
func (r *report) goals() table {
	ways := []string{governed, governedRedis}
	t := table{{"goal", ways[0], ways[1], "goal", "stretch", "reached"}}
	for _, g := range r.goalsOf() {
		sign := "≤"
		if g.atLeast {
			sign = "≥"
		}
		var figures []string
		word := "not measured"
		for _, name := range ways {
			figure, ok := g.of(r, name)
			if !ok {
				figures = append(figures, "")
				continue
			}
			figures = append(figures, fmt.Sprintf("%.2f", figure))
			// With both stores the worse one counts.
			if own := g.verdict(figure); word == "not measured" || rank(own) < rank(word) {
				word = own
			}
		}
		t = append(t, append([]string{g.label}, append(figures, fmt.Sprintf("%s %.4g", sign, g.goal), fmt.Sprintf("%s %.4g", sign, g.stretch), word)...))
	}
	return t
}

// rank orders verdicts, the worst first.
func rank(verdict string) int { return map[string]int{"no": 0, "yes": 1, "stretch": 2}[verdict] }

// tally counts answers.
type tally struct{ bodies, wrong int }

func (t *tally) add(bodies, wrong int) { t.bodies, t.wrong = t.bodies+bodies, t.wrong+wrong }

func isCadreen(name string) bool { return name == governed || name == governedRedis }

// bodies counts what Cadreen answered, on both stores.
func (r *report) bodies() tally {
	sum := r.streams()
	for _, s := range r.scenarios {
		if s.stream() {
			continue
		}
		for name, rounds := range r.results[s.name] {
			for _, one := range rounds {
				if isCadreen(name) {
					sum.add(one.requests, one.wrong)
				}
			}
		}
	}
	for _, by := range r.held {
		for _, rounds := range by {
			one := sumOf(rounds)
			sum.add(one.total, one.wrong)
		}
	}
	return sum
}

// streams counts the streams among them.
func (r *report) streams() (sum tally) {
	for _, s := range r.scenarios {
		for name, rounds := range r.results[s.name] {
			for _, one := range rounds {
				if s.stream() && isCadreen(name) {
					sum.add(one.requests, one.wrong)
				}
			}
		}
	}
	for _, one := range r.more {
		sum.add(one.requests, one.wrong)
	}
	for _, one := range r.idle {
		if isCadreen(one.name) {
			sum.add(one.streams, one.wrong)
		}
	}
	return sum
}
