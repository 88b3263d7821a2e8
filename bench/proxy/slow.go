package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// idle is what so many open, silent streams cost one contestant, and whether all of them came to their end.
type idle struct {
	name    string
	perUnit float64 // bytes of memory per stream; 0 where it is not known
	known   bool
	wrong   int
	problem error // the first of the wrong ones
}

// slowStreams opens n streams whose model falls silent after the first chunk, reads the memory when all of them are open, lets
// the model go on, and compares every body with the reference.
func slowStreams(ctx context.Context, c *contestant, model string, n int, reference []byte) (idle, error) {
	result := idle{name: c.name, known: c.process != nil}
	one, err := newWorker(ctx, c.base, key, scenarios()[0].body)
	if err != nil {
		return result, err
	}
	defer one.close()
	if _, err := one.exchange(); err != nil { // what is loaded once is no stream's
		return result, err
	}
	before, err := c.usage()
	if err != nil {
		return result, err
	}
	streams := make([]opened, n)
	defer func() {
		for _, s := range streams {
			if s.w != nil {
				s.w.close()
			}
		}
	}()
	inParallel(n, func(i int) { streams[i] = openSlow(ctx, c.base) })
	time.Sleep(500 * time.Millisecond) // collectors and kernels settle
	during, err := c.usage()
	if err != nil {
		return result, err
	}
	result.perUnit = float64(during-before) / float64(n)
	if err := release(model); err != nil {
		return result, err
	}
	var mu sync.Mutex
	inParallel(n, func(i int) {
		err := streams[i].finish(reference, c.additions)
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
	return result, ctx.Err()
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
