package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// sample is one look at the process.
type sample struct {
	At         time.Duration // since the load began
	Rate       float64       // requests a second since the last look
	P50, P99   float64       // milliseconds, since the last look
	Resident   float64       // MiB that the system counts
	Heap       float64       // MiB of Go's heap in use
	Goroutines float64
	Files      float64 // open file descriptors
	Store      float64 // MiB of the SQLite file and its log
}

// watch looks at the process while the load lasts.
type watch struct {
	proxy   *process
	load    *load
	every   time.Duration
	samples []sample
}

func (w *watch) run(ctx context.Context, to io.Writer) error {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	begun, last := time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.proxy.ended:
			return fmt.Errorf("cadreen ended: %s", w.proxy.said())
		case <-tick.C:
		}
		s, err := w.look()
		if err != nil {
			return err
		}
		took := w.load.since()
		s.At, s.Rate = time.Since(begun), float64(len(took))/time.Since(last).Seconds()
		last = time.Now()
		slices.Sort(took)
		s.P50, s.P99 = quantile(took, 0.5), quantile(took, 0.99)
		w.samples = append(w.samples, s)
		if len(w.samples)%12 == 0 {
			fmt.Fprintf(to, "%8s %6.0f/s  p50 %5.1f ms  p99 %6.1f ms  resident %4.0f MiB  heap %4.0f MiB  goroutines %4.0f  files %3.0f  store %5.0f MiB\n",
				s.At.Round(time.Second), s.Rate, s.P50, s.P99, s.Resident, s.Heap, s.Goroutines, s.Files, s.Store)
		}
	}
}

// quantile of sorted times, in milliseconds.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(q*float64(len(sorted)-1))].Microseconds()) / 1000
}

func (w *watch) look() (sample, error) {
	res, err := http.Get(w.proxy.url + "/metrics")
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return sample{}, err
	}
	gauge := func(name string) float64 {
		m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
		if m == nil {
			err = fmt.Errorf("/metrics does not say %s", name)
			return 0
		}
		v, _ := strconv.ParseFloat(string(m[1]), 64)
		return v
	}
	const mib = 1 << 20
	s := sample{Resident: gauge("process_resident_memory_bytes") / mib, Heap: gauge("go_memstats_heap_inuse_bytes") / mib,
		Goroutines: gauge("go_goroutines"), Files: gauge("process_open_fds")}
	for _, end := range []string{"", "-wal"} {
		if info, err := os.Stat(w.proxy.store + end); w.proxy.store != "" && err == nil {
			s.Store += float64(info.Size()) / mib
		}
	}
	return s, err
}
