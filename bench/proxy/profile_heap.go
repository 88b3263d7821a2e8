package main

import (
	"context"
	"fmt"

	"github.com/google/pprof/profile"
)

// heap says how many bytes that are in use each owner has asked for, by its name.
func (c *contestant) heap(ctx context.Context) (map[string]float64, error) {
	response, err := c.get(ctx, "http://"+c.pprof+"/debug/pprof/heap?gc=1")
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	p, err := profile.Parse(response.Body)
	if err != nil {
		return nil, err
	}
	return heapOf(p), nil
}

func heapOf(p *profile.Profile) map[string]float64 {
	sums := map[string]float64{}
	for _, s := range p.Sample {
		sums[whose(frames(s))] += float64(s.Value[len(s.Value)-1])
	}
	return sums
}

// heapTable says what the memory of a slow stream is, in KiB, where most of them are open.
func (r *report) heapTable() table {
	head := []string{"memory of a slow stream, KiB"}
	var columns []idle
	for _, one := range r.idle {
		if one.heap != nil {
			head, columns = append(head, one.name), append(columns, one)
		}
	}
	t := table{head}
	if len(columns) == 0 {
		return t
	}
	var names []string
	for _, o := range owners {
		names = append(names, o.name)
	}
	left := make([]float64, len(columns))
	for i, one := range columns {
		all, _ := one.perThousand(one.streams)
		left[i] = all * 1024 / 1000
	}
	row := func(name string, figure func(i int) float64) {
		cells := []string{name}
		for i := range columns {
			cells = append(cells, fmt.Sprintf("%.1f", figure(i)))
		}
		t = append(t, cells)
	}
	whole := append([]float64(nil), left...)
	for _, name := range append(names, rest) {
		row("heap in use: "+name, func(i int) float64 {
			figure := (columns[i].heap[name] - columns[i].base[name]) / float64(columns[i].streams) / 1024
			left[i] -= figure
			return figure
		})
	}
	row("stacks and the rest, less room that was never touched", func(i int) float64 { return left[i] })
	row("all", func(i int) float64 { return whole[i] })
	return t
}
