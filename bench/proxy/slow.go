package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// idle is what many open, silent streams cost one contestant, and whether all of them came to their end.
type idle struct {
	name    string
	known   bool // whether its memory is
	before  int64
	open    map[int]int64 // memory in bytes while so many streams were open
	ended   time.Time     // when all of them had
	after   int64         // memory after a rest
	rested  time.Duration
	streams int
	wrong   int
	problem error              // the first of the wrong ones
	heap    map[string]float64 // bytes in use while most streams were open, by owner; nil if not known
	base    map[string]float64 // the same after a rest
}

// perThousand is the memory of 1,000 streams in MiB while so many are open.
func (i idle) perThousand(streams int) (float64, bool) {
	during, ok := i.open[streams]
	return float64(during-i.before) / float64(streams) * 1000 / (1 << 20), ok && i.known
}

// returned says how much of what the streams took was given back, 0 to 1.
func (i idle) returned() float64 {
	took := i.open[i.streams] - i.before
	if !i.known || took <= 0 {
		return 1
	}
	return min(1, max(0, float64(i.open[i.streams]-i.after)/float64(took)))
}

// slowStreams opens streams whose model falls silent after the first chunk, in steps: counts, which rise. It reads the memory
// when all of a step are open, lets the model go on, and compares every body with the reference.
func slowStreams(ctx context.Context, c *contestant, model string, counts []int, reference []byte) (idle, error) {
	result := idle{name: c.name, known: c.process != nil, open: map[int]int64{}, streams: counts[len(counts)-1]}
	light := scenarios()[0]
	light.concurrency, light.rate = 4, 200
	like, err := ask(ctx, "http://"+model+"/v1", light.body)
	if err != nil {
		return result, err
	}
	// What is loaded once is no stream's.
	if _, err := c.under(ctx, light, 250*time.Millisecond, like); err != nil {
		return result, err
	}
	if result.before, err = c.usage(); err != nil {
		return result, err
	}
	streams := make([]opened, result.streams)
	defer func() {
		for _, s := range streams {
			if s.w != nil {
				s.w.close()
			}
		}
	}()
	from := 0
	for _, n := range counts {
		inParallel(n-from, func(i int) { streams[from+i] = openSlow(ctx, c.base) })
		from = n
		time.Sleep(500 * time.Millisecond) // collectors and kernels settle
		if result.open[n], err = c.usage(); err != nil {
			return result, err
		}
	}
	if c.pprof != "" {
		if result.heap, err = c.heap(ctx); err != nil {
			return result, err
		}
	}
	if err := release(model); err != nil {
		return result, err
	}
	var mu sync.Mutex
	inParallel(result.streams, func(i int) {
		err := streams[i].finish(reference, c.additions)
		if streams[i].w != nil {
			streams[i].w.close()
		}
		if err == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		result.wrong++
		if result.problem == nil {
			result.problem = err
		}
	})
	result.ended = time.Now()
	return result, ctx.Err()
}

// rest is read when the contestant has had nothing to do for a while: Go gives memory back minutes after it was last needed.
func (i *idle) rest(ctx context.Context, c *contestant) error {
	var err error
	i.after, err = c.usage()
	i.rested = time.Since(i.ended)
	if err != nil || i.heap == nil {
		return err
	}
	// What is there now is no stream's. Before the streams it could not be asked for: collecting would have made room for them.
	for range 2 { // pools are empty after the second collection
		if i.base, err = c.heap(ctx); err != nil {
			return err
		}
	}
	return nil
}

// usage is the contestant's memory, 0 where it is not known.
func (c *contestant) usage() (int64, error) {
	if c.process == nil {
		return 0, nil
	}
	return c.process.memory()
}

// opened is one stream of which the headers have come.
type opened struct {
	w      *worker
	answer *http.Response
	err    error
}

func openSlow(ctx context.Context, base string) opened {
	w, err := newWorker(ctx, base, key, slowBody())
	if err != nil {
		return opened{err: err}
	}
	answer, err := w.begin()
	return opened{w, answer, err}
}

func (o opened) finish(reference []byte, additions bool) error {
	if o.err != nil {
		return o.err
	}
	if err := o.w.conn.SetDeadline(time.Now().Add(longestAnswer)); err != nil {
		return err
	}
	body, err := readBody(o.answer)
	if err != nil {
		return fmt.Errorf("cut: %w", err)
	}
	return same(body, reference, additions)
}

// inParallel does n things, 64 at a time.
func inParallel(n int, do func(i int)) {
	next := make(chan int)
	var done sync.WaitGroup
	for range min(n, 64) {
		done.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	done.Wait()
}

// heldReference is the body of a slow stream as the model gives it.
func heldReference(ctx context.Context, model string) ([]byte, error) {
	o := openSlow(ctx, "http://"+model+"/v1")
	if o.err != nil {
		return nil, o.err
	}
	defer o.w.close()
	if err := release(model); err != nil {
		return nil, err
	}
	return readBody(o.answer)
}

// release lets the model's slow streams go on.
func release(model string) error {
	response, err := http.Post("http://"+model+"/release", "", nil)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
