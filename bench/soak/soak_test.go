package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A run of seconds against the real program: every kind of conversation comes out right.
func TestAShortSoak(t *testing.T) {
	docs := t.TempDir()
	p := plan{length: 3 * time.Second, rate: 40, every: 200 * time.Millisecond, docs: docs}
	var said strings.Builder
	err := p.run(t.Context(), &said)
	if err != nil { // memory is not steady in the first seconds; everything else must be
		require.NotContains(t, err.Error(), "conversations")
		require.NotContains(t, err.Error(), "requests")
		require.NotContains(t, err.Error(), "ended")
	}
	page, err := os.ReadFile(filepath.Join(docs, "soak.md"))
	require.NoError(t, err)
	require.Contains(t, string(page), ", 0 failed.")
	drawn, err := os.ReadFile(filepath.Join(docs, "soak.svg"))
	require.NoError(t, err)
	requireXML(t, string(drawn))
}

func requireXML(t *testing.T, text string) {
	t.Helper()
	for dec := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := dec.Token(); err != nil {
			require.ErrorIs(t, err, io.EOF)
			return
		}
	}
}

func TestTheVerdict(t *testing.T) {
	p := plan{length: 100 * time.Second, rate: 10}
	steady := func(change func(i int, s *sample)) []sample {
		var list []sample
		for i := range 20 {
			s := sample{At: time.Duration(i) * 5 * time.Second, Rate: 10, P50: 2, P99: 9, Resident: 80, Heap: 20, Goroutines: 60, Files: 30}
			change(i, &s)
			list = append(list, s)
		}
		return list
	}
	good := counts{Requests: 1000}
	same := func(int, *sample) {}
	for name, c := range map[string]struct {
		samples []sample
		counts  counts
		says    string
	}{
		"steady":            {steady(same), good, ""},
		"it warmed up":      {steady(func(i int, s *sample) { s.Resident = []float64{10, 40}[min(i, 1)] }), good, ""},
		"memory grows":      {steady(func(i int, s *sample) { s.Resident += 3 * float64(i) }), good, "memory that the system counts went from"},
		"the heap grows":    {steady(func(i int, s *sample) { s.Heap += 2 * float64(i) }), good, "Go heap in use went from"},
		"goroutines leak":   {steady(func(i int, s *sample) { s.Goroutines += 10 * float64(i) }), good, "goroutines went from"},
		"files leak":        {steady(func(i int, s *sample) { s.Files += 10 * float64(i) }), good, "open files went from"},
		"it grows slow":     {steady(func(i int, s *sample) { s.P99 += 10 * float64(i) }), good, "p99 went from"},
		"an error":          {steady(same), counts{Requests: 1000, Failed: 1, First: errors.New("boom")}, "1 conversations failed, the first: boom"},
		"it cannot keep up": {steady(same), counts{Requests: 1000, Late: 3}, "3 conversations were left out"},
		"too few requests":  {steady(same), counts{Requests: 900}, "900 requests instead of 1000"},
		"too short":         {steady(same)[:5], good, "too short"},
	} {
		t.Run(name, func(t *testing.T) {
			v := judge(p, c.samples, c.counts)
			if c.says == "" {
				require.NoError(t, v.err())
				return
			}
			require.ErrorContains(t, v.err(), c.says)
		})
	}
	requireXML(t, plot(steady(same)))
	requireXML(t, plot(nil))
}
