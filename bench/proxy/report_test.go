package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// measured is a run in which Cadreen costs as much as the baseline, and everything was measured.
func measured() *report {
	r := newReport(&plan{rounds: 2, streams: []int{1000, 5000}}, scenarios(), nil)
	r.names = []string{"direct", baseline, governed, governedRedis}
	for _, s := range r.scenarios {
		for i, name := range r.names {
			one := round{rate: 1000, p50: time.Millisecond, p99: 2 * time.Millisecond, requests: 100, first: time.Millisecond, gap: 10 * time.Millisecond}
			if i > 0 {
				one.cpu, one.perEvent, one.p99 = 100, 10, 3*time.Millisecond
			}
			r.results.add(s.name, name, one)
			r.results.add(s.name, name, one)
		}
	}
	for _, name := range r.names[2:] {
		for _, chats := range heldLoads {
			r.held.add(name, chats, asked{question: []time.Duration{time.Millisecond}, yes: []time.Duration{time.Millisecond, 2 * time.Millisecond}})
		}
	}
	for i, name := range r.names {
		const mib = 1 << 20
		r.idle = append(r.idle, idle{name: name, known: i > 0, before: 20 * mib, open: map[int]int64{1000: 50 * mib, 5000: 170 * mib}, after: 20 * mib, streams: 5000})
	}
	return r
}

// verdicts are the last cells of the goals, by the first.
func verdicts(r *report) map[string]string {
	list := map[string]string{}
	for _, row := range r.goals()[1:] {
		list[row[0]] = row[len(row)-1]
	}
	return list
}

func TestEveryGoalIsMeasuredAndReachedByAnEqual(t *testing.T) {
	list := verdicts(measured())
	require.Len(t, list, 15)
	for label, word := range list {
		require.Equal(t, "stretch", word, label)
	}
}

func TestWhatIsMissedIsSaid(t *testing.T) {
	const per1000 = "memory per 1,000 of 5000 slow streams, MiB"
	tests := map[string]struct {
		spoil func(r *report)
		label string
		want  string
	}{
		"dear in one store": {func(r *report) { worsen(r, "json-c64", governedRedis, func(one *round) { one.cpu = 131 }) }, "1 KB JSON, c = 64: CPU × " + baseline, "no"},
		"within the goal":   {func(r *report) { worsen(r, "json-c64", governed, func(one *round) { one.cpu = 130 }) }, "1 KB JSON, c = 64: CPU × " + baseline, "yes"},
		"slow":              {func(r *report) { worsen(r, "json-c64", governed, func(one *round) { one.rate = 790 }) }, "1 KB JSON, c = 64: requests/s × " + baseline, "no"},
		"late": {func(r *report) {
			worsen(r, "json-rate", governed, func(one *round) { one.p99 = 3400 * time.Microsecond })
		}, "500 a second: p99 added × what " + baseline + " adds", "no"},
		"jerky":            {func(r *report) { worsen(r, "gaps", governed, func(one *round) { one.gap = 13 * time.Millisecond }) }, "streams with gaps: gap p99 beyond direct, ms", "no"},
		"first event late": {func(r *report) { worsen(r, "gaps", governed, func(one *round) { one.first *= 2 }) }, "streams with gaps: first event × " + baseline, "no"},
		"big":              {func(r *report) { r.idle[2].open[5000] *= 2 }, per1000, "no"},
		"no slow stream":   {func(r *report) { r.idle = nil }, per1000, "not measured"},
		"one body changed": {func(r *report) { worsen(r, "call", governed, func(one *round) { one.wrong = 1 }) }, "bodies of both that are not the model's, of 13608", "no"},
		"one stream cut":   {func(r *report) { r.idle[3].wrong = 1 }, "streams of both cut or changed, of 11200", "no"},
		"too few streams":  {func(r *report) { r.idle = r.idle[:3] }, "streams of both cut or changed, of 6200", "not measured"},
		"a yes asks":       {func(r *report) { r.held[governed][16][0].extra = 1 }, "yes → release: calls to the model", "no"},
		"a yes is slow":    {func(r *report) { r.held[governedRedis][1][0].yes[1] = 6 * time.Millisecond }, "yes → release: p99 ms, one chat at a time", "no"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := measured()
			tt.spoil(r)
			require.Equal(t, tt.want, verdicts(r)[tt.label], "%v", verdicts(r))
		})
	}
}

func worsen(r *report, scenario, name string, by func(one *round)) {
	for i := range r.results[scenario][name] {
		by(&r.results[scenario][name][i])
	}
}

func TestMemoryIsPerStreamAndGivenBack(t *testing.T) {
	one := measured().idle[1]
	per, known := one.perThousand(5000)
	require.True(t, known)
	require.InDelta(t, 30, per, 0.01)
	require.InDelta(t, 1, one.returned(), 0.01)
	one.after = one.before + (one.open[5000]-one.before)/4
	require.InDelta(t, 0.75, one.returned(), 0.01)
	_, known = one.perThousand(7)
	require.False(t, known)
}

func TestThePlotIsAnXMLPicture(t *testing.T) {
	r := measured()
	r.names[1] = baseline
	r.names = append(r.names, `<peer & "co">`)
	r.results.add("json-c1", `<peer & "co">`, round{rate: 500})
	text := r.plot()
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	for _, s := range r.scenarios {
		require.Contains(t, text, ">"+s.label+"<")
	}
	require.Contains(t, text, "5000 open")
	require.Contains(t, text, "prefers-color-scheme:dark")
	require.NotContains(t, text, "NaN")
}

func TestOnlyThePartBetweenTheMarkersIsWritten(t *testing.T) {
	got, err := between("a\n"+markerBegin+"old\n"+markerEnd+"b\n", "new\n")
	require.NoError(t, err)
	require.Equal(t, "a\n"+markerBegin+"new\n\n"+markerEnd+"b\n", got)
	for _, page := range []string{"", markerBegin, markerEnd, markerEnd + markerBegin} {
		_, err := between(page, "new")
		require.Error(t, err)
	}
}

func TestNumbersOfStreamsRise(t *testing.T) {
	for text, want := range map[string][]int{"0": nil, "1000": {1000}, "1000,5000": {1000, 5000}} {
		got, err := rising(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "-1", "5,5", "5,4", "x", "9000", "0,5"} {
		_, err := rising(text)
		require.Error(t, err, text)
	}
}

func TestOnlyAWholeRunIsWrittenIntoTheDocuments(t *testing.T) {
	whole := plan{rounds: 5, slice: 500 * time.Millisecond, streams: []int{1000, 5000}}
	require.Empty(t, whole.partial(scenarios(), true))
	require.NotEmpty(t, whole.partial(scenarios()[1:], true))
	require.NotEmpty(t, whole.partial(scenarios(), false))
	for _, less := range []plan{{4, whole.slice, whole.streams, 0, "", "", "", field{}}, {5, whole.slice / 2, whole.streams, 0, "", "", "", field{}},
		{5, whole.slice, []int{1000}, 0, "", "", "", field{}}, {5, whole.slice, nil, 0, "", "", "", field{}}} {
		require.NotEmpty(t, less.partial(scenarios(), true))
	}
}
