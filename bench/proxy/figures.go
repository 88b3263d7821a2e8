package main

import (
	"slices"
	"time"
)

// round is what one slice of load on one contestant gave.
type round struct {
	cpu      float64 // ms of the contestant's processes per 1,000 requests; meaningless without a process
	store    float64 // ms of its store's process per 1,000 requests
	rate     float64 // requests per second
	p50, p99 time.Duration
	memory   float64       // MiB resident afterwards
	first    time.Duration // p50 until the first event; this and what follows only where events are timed
	gap      time.Duration // p99 between events
	perEvent float64       // CPU, µs per event
	requests int
	wrong    int
	problem  error // the first of the wrong ones
}

// results are the rounds by scenario and contestant.
type results map[string]map[string][]round

func (r results) add(scenario, contestant string, one round) {
	if r[scenario] == nil {
		r[scenario] = map[string][]round{}
	}
	r[scenario][contestant] = append(r[scenario][contestant], one)
}

// spread is the median of some rounds, with the least and the most.
type spread struct{ median, least, most float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// over collects one figure of the rounds.
func over(rounds []round, figure func(round) float64) spread {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = figure(r)
	}
	return spreadOf(values)
}

// ratio divides round by round, since what else the machine did is alike within a round, and says the spread of the quotients.
func ratio(rounds, by []round, figure func(round) float64) spread {
	var values []float64
	for i := range min(len(rounds), len(by)) {
		if d := figure(by[i]); d > 0 {
			values = append(values, figure(rounds[i])/d)
		}
	}
	return spreadOf(values)
}

func cpuOf(r round) float64  { return r.cpu }
func rateOf(r round) float64 { return r.rate }

// addedAt is the latency that a contestant adds to the direct way, in microseconds, round by round.
func addedAt(rounds, direct []round, of func(round) time.Duration) spread {
	var values []float64
	for i := range min(len(rounds), len(direct)) {
		values = append(values, float64((of(rounds[i])-of(direct[i])).Nanoseconds())/1e3)
	}
	return spreadOf(values)
}

func perEventOf(r round) float64 { return r.perEvent }
func firstOf(r round) float64    { return float64(r.first.Microseconds()) }

func gapOf(r round) time.Duration { return r.gap }
func p50Of(r round) time.Duration { return r.p50 }
func p99Of(r round) time.Duration { return r.p99 }
