package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// bar is one figure of a plot, with its least and most.
type bar struct {
	way   string
	value spread
}

// group is the bars that stand together, and panel the groups that share an axis.
type group struct {
	label string
	bars  []bar
}

type panel struct {
	title  string
	groups []group
	one    bool // a line at 1, where the baseline is
}

// colours of the ways, each readable on white and on black; more ways than colours begin again.
var colours = []string{"#6b8fb5", "#2ca25f", "#8a8f98", "#e08a1e", "#3b82f6", "#a855f7", "#e0527a", "#14a3a3"}

const (
	plotWidth = 820
	plotLeft  = 250
	plotRight = 70
	barHeight = 11
	groupGap  = 9
)

// plot draws the run as one SVG: what a proxy costs, how much it lets through, what it holds. The colours of text and ground
// follow the reader's.
func (r *report) plot() string {
	var body strings.Builder
	top := 34.0
	at := 10.0
	for i, name := range r.names {
		if name == "direct" { // everything is beside it, but it has no process of its own
			continue
		}
		fmt.Fprintf(&body, `<rect x="%.0f" y="10" width="11" height="11" fill="%s"/><text x="%.0f" y="20">%s</text>`+"\n", at, r.colour(i), at+16, html.EscapeString(name))
		at += 40 + 7*float64(len(name))
	}
	for _, p := range r.panels() {
		top = r.draw(&body, p, top)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %.0[2]f" width="%[1]d" height="%.0[2]f" font-family="sans-serif" font-size="11" role="img">`+"\n", plotWidth, top+10)
	b.WriteString("<title>Cadreen beside other proxies</title>\n<style>text{fill:#24292f}.ground{fill:#fff}.axis{stroke:#d0d7de}.least{stroke:#24292f}" +
		"@media (prefers-color-scheme:dark){text{fill:#d6dde4}.ground{fill:#0d1117}.axis{stroke:#3a424b}.least{stroke:#d6dde4}}</style>\n")
	fmt.Fprintf(&b, `<rect class="ground" width="%d" height="%.0f"/>`+"\n", plotWidth, top+10)
	return b.String() + body.String() + "</svg>\n"
}

func (r *report) colour(way int) string { return colours[way%len(colours)] }

// panels are those that there are figures for.
func (r *report) panels() []panel {
	cpu := panel{title: "CPU per request, × " + baseline + " (less is better)", one: true}
	rate := panel{title: "requests a second, × " + baseline + " (more is better)", one: true}
	for _, s := range r.scenarios {
		all := r.results[s.name]
		used, reached := group{label: s.label}, group{label: s.label}
		for _, name := range r.names {
			if v := ratio(all[name], all[baseline], cpuOf); v.median > 0 {
				used.bars = append(used.bars, bar{name, v})
			}
			if v := ratio(all[name], all[baseline], rateOf); v.median > 0 && name != "direct" {
				reached.bars = append(reached.bars, bar{name, v})
			}
		}
		cpu.groups = append(cpu.groups, used)
		if s.rate == 0 && !s.timed { // where the load sets the rate, it says nothing
			rate.groups = append(rate.groups, reached)
		}
	}
	memory := panel{title: "memory per 1,000 slow streams, MiB (less is better)"}
	for _, n := range r.plan.streams {
		g := group{label: fmt.Sprintf("%d open", n)}
		for _, one := range r.idle {
			if v, known := one.perThousand(n); known {
				g.bars = append(g.bars, bar{one.name, spread{v, v, v}})
			}
		}
		memory.groups = append(memory.groups, g)
	}
	var list []panel
	for _, p := range []panel{cpu, rate, memory} {
		p.groups = withBars(p.groups)
		if len(p.groups) > 0 {
			list = append(list, p)
		}
	}
	return list
}

func withBars(groups []group) (list []group) {
	for _, g := range groups {
		if len(g.bars) > 0 {
			list = append(list, g)
		}
	}
	return list
}

// draw draws a panel from the top down and says where the next one begins.
func (r *report) draw(b *strings.Builder, p panel, top float64) float64 {
	longest := 0.0
	height := 0.0
	for _, g := range p.groups {
		height += float64(len(g.bars)*barHeight) + groupGap
		for _, one := range g.bars {
			longest = max(longest, one.value.median)
		}
	}
	longest = ceiling(longest)
	x := func(v float64) float64 { return plotLeft + min(max(v, 0)/longest, 1.03)*(plotWidth-plotLeft-plotRight) }
	fmt.Fprintf(b, `<text x="10" y="%.0f" font-weight="bold" font-size="13">%s</text>`+"\n", top+14, html.EscapeString(p.title))
	top += 24
	ticks := []float64{0, longest / 2, longest}
	if p.one && longest != 1 && longest != 2 {
		ticks = append(ticks, 1)
	}
	for _, v := range ticks {
		fmt.Fprintf(b, `<line class="axis" x1="%[1]g" x2="%[1]g" y1="%[2]g" y2="%[3]g"/><text x="%[1]g" y="%[4]g" text-anchor="middle">%.3[5]g</text>`+"\n",
			math.Round(x(v)), top, top+height, top+height+12, v)
	}
	for _, g := range p.groups {
		top += groupGap / 2.0
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft-8, top+float64(len(g.bars)*barHeight)/2+4, html.EscapeString(g.label))
		for _, one := range g.bars {
			middle := top + barHeight/2.0
			fmt.Fprintf(b, `<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`, plotLeft, top+1, x(one.value.median)-plotLeft, barHeight-2, r.colour(max(slices.Index(r.names, one.way), 0)))
			if one.value.most > one.value.least {
				fmt.Fprintf(b, `<line class="least" x1="%.1f" x2="%.1f" y1="%[3]g" y2="%[3]g"/>`, x(one.value.least), x(one.value.most), middle)
			}
			fmt.Fprintf(b, `<text x="%.1f" y="%.1f" font-size="9">%.3g</text>`+"\n", max(x(one.value.median), x(one.value.most))+4, middle+3, one.value.median)
			top += barHeight
		}
		top += groupGap / 2.0
	}
	return top + 26
}

// ceiling is the next number that looks well at the end of an axis.
func ceiling(v float64) float64 {
	if v <= 0 {
		return 1
	}
	step := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8} {
		if f*step >= v {
			return f * step
		}
	}
	return 10 * step
}
