package main

import (
	"fmt"
	"math"
	"strings"
)

// line is one curve of a panel.
type line struct {
	name, colour string
	of           func(sample) float64
}

// panel is one diagram; all share the axis of time.
type panel struct {
	title string
	lines []line
}

var panels = []panel{
	{"requests a second", []line{{"", "#2563eb", func(s sample) float64 { return s.Rate }}}},
	{"latency, ms", []line{{"p99", "#f59e0b", func(s sample) float64 { return s.P99 }}, {"p50", "#2563eb", func(s sample) float64 { return s.P50 }}}},
	{"memory, MiB", []line{{"resident", "#2563eb", func(s sample) float64 { return s.Resident }}, {"Go heap in use", "#16a34a", func(s sample) float64 { return s.Heap }}}},
	{"goroutines, open files", []line{{"goroutines", "#2563eb", func(s sample) float64 { return s.Goroutines }}, {"open files", "#16a34a", func(s sample) float64 { return s.Files }}}},
}

const (
	plotWidth   = 760
	panelHeight = 130
	left, right = 60, 20
)

// plot draws the samples as one SVG.
func plot(samples []sample) string {
	var b strings.Builder
	height := len(panels)*panelHeight + 30
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11" fill="#333">`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, height)
	end := 1.0
	for _, s := range samples {
		end = max(end, s.At.Seconds())
	}
	x := func(s sample) float64 { return left + s.At.Seconds()/end*(plotWidth-left-right) }
	for i, p := range panels {
		p.draw(&b, samples, x, float64(i*panelHeight))
	}
	for i := range 6 {
		at := float64(i) / 5
		anchor := "middle"
		if at == 1 {
			anchor = "end" // else it would be cut off
		}
		fmt.Fprintf(&b, `<text x="%.0f" y="%d" text-anchor="%s">%.1f min</text>`+"\n", left+at*(plotWidth-left-right), height-8, anchor, at*end/60)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p panel) draw(b *strings.Builder, samples []sample, x func(sample) float64, top float64) {
	highest := 0.0
	for _, l := range p.lines {
		for _, s := range samples {
			highest = max(highest, l.of(s))
		}
	}
	highest = ceiling(highest)
	floor := top + panelHeight - 12
	y := func(v float64) float64 { return floor - v/highest*(panelHeight-40) }
	fmt.Fprintf(b, `<text x="%d" y="%.0f" font-weight="bold">%s</text>`+"\n", left, top+18, p.title)
	for _, v := range []float64{0, highest / 2, highest} {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n", left, plotWidth-right, y(v), y(v), left-6, y(v)+4, v)
	}
	for i, l := range p.lines {
		var points []string
		for _, s := range samples {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(s), y(l.of(s))))
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`+"\n", l.colour, strings.Join(points, " "))
		fmt.Fprintf(b, `<text x="%d" y="%.0f" fill="%s">%s</text>`+"\n", left+180+130*i, top+18, l.colour, l.name)
	}
}

// ceiling is the next number that looks well at the top of an axis.
func ceiling(v float64) float64 {
	if v <= 0 {
		return 1
	}
	step := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8, 10} {
		if f*step >= v {
			return f * step
		}
	}
	return 10 * step
}
