package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is what one contestant is put under for one slice of a round.
type load struct {
	base        string // base URL, ending where /chat/completions follows
	key         string // bearer token
	body        []byte
	concurrency int
	slice       time.Duration
	// rate is how many requests begin each second, whether or not earlier ones are done; 0 means that each worker begins the
	// next when it has the answer of the last.
	rate int
	// timed keeps when the events of each stream came.
	timed bool
	// stagger is how much later than the one before it each worker begins, so that streams of one length do not go in step.
	stagger time.Duration
	// between is called when every worker is connected and warm, and again when the last answer is in.
	between func()
}

// answers are what came of a load. Bodies are kept as they came, so that comparing them costs nothing while the clock runs.
type answers struct {
	took    []time.Duration // sorted; with a rate, from the moment a request was due
	bodies  [][]byte
	first   []time.Duration // sorted; until the first event, where events are timed
	gaps    []time.Duration // sorted; between an event and the next
	failed  []error
	elapsed time.Duration
}

// run puts the load on. Only a connection that cannot be made, or a context that ends, is an error here.
func (l load) run(ctx context.Context) (answers, error) {
	workers := make([]*worker, l.concurrency)
	defer func() {
		for _, w := range workers {
			if w != nil {
				w.close()
			}
		}
	}()
	for i := range workers {
		w, err := newWorker(ctx, l.base, l.key, l.body)
		if err != nil {
			return answers{}, err
		}
		w.timed = l.timed
		workers[i] = w
	}
	// One request each that does not count: connections on both sides of the proxy are there afterwards.
	// A proxy that cuts a stream now and then may try again, and each failure counts.
	each(workers, func(_ int, w *worker) {
		for range warmUps {
			w.ask(ctx, time.Now())
			if len(w.bodies) > 0 {
				break
			}
		}
	})
	for _, w := range workers {
		if len(w.bodies) == 0 {
			return answers{}, fmt.Errorf("the first request: %w", w.failed[0])
		}
		w.answers = answers{failed: w.failed}
	}
	l.between()
	begin := time.Now()
	end := begin.Add(l.slice)
	var ticket atomic.Int64
	each(workers, func(i int, w *worker) {
		time.Sleep(time.Duration(i) * l.stagger)
		for ctx.Err() == nil {
			due := time.Now()
			if l.rate > 0 {
				due = begin.Add(time.Duration(ticket.Add(1)-1) * time.Second / time.Duration(l.rate))
				if due.After(end) {
					return
				}
				time.Sleep(time.Until(due))
			} else if due.After(end) {
				return
			}
			w.ask(ctx, due)
		}
	})
	all := answers{elapsed: time.Since(begin)}
	l.between()
	for _, w := range workers {
		all.took = append(all.took, w.took...)
		all.bodies = append(all.bodies, w.bodies...)
		all.failed = append(all.failed, w.failed...)
		all.first = append(all.first, w.first...)
		all.gaps = append(all.gaps, w.gaps...)
	}
	slices.Sort(all.took)
	slices.Sort(all.first)
	slices.Sort(all.gaps)
	return all, ctx.Err()
}

// warmUps is how often a worker tries to get its first answer.
const warmUps = 5

func each(workers []*worker, do func(i int, w *worker)) {
	var done sync.WaitGroup
	for i, w := range workers {
		done.Go(func() { do(i, w) })
	}
	done.Wait()
}

// worker is one connection that sends the same request again and again. It is no http.Client, which would cost more than what
// is measured.
type worker struct {
	address string
	head    string // of a request, up to the length of its body
	request []byte
	timed   bool
	conn    net.Conn
	from    *bufio.Reader
	answers
}

func newWorker(ctx context.Context, base, key string, body []byte) (*worker, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	w := &worker{address: u.Host}
	w.head = fmt.Sprintf("POST %s/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: ", u.Path, u.Host, key)
	w.carry(body)
	return w, w.dial(ctx)
}

// carry makes the next requests bring this body.
func (w *worker) carry(body []byte) {
	w.request = fmt.Appendf(w.request[:0], "%s%d\r\n\r\n%s", w.head, len(body), body)
}

// readBuffer is small, since there may be thousands; what is longer is read in pieces or past it.
const readBuffer = 8 << 10

func (w *worker) dial(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", w.address)
	if err != nil {
		return err
	}
	w.conn, w.from = conn, bufio.NewReaderSize(conn, readBuffer)
	return nil
}

func (w *worker) close() {
	if w.conn != nil {
		_ = w.conn.Close()
	}
}

// longestAnswer bounds one request, so that a contestant that hangs ends the run.
const longestAnswer = 20 * time.Second

// ask sends the request and keeps the answer. A connection that broke is made anew for the next one.
func (w *worker) ask(ctx context.Context, due time.Time) {
	body, err := w.exchange()
	if err != nil {
		w.failed = append(w.failed, err)
		w.close()
		if err := w.dial(ctx); err != nil {
			w.failed = append(w.failed, err)
		}
		return
	}
	w.took = append(w.took, time.Since(due))
	w.bodies = append(w.bodies, body)
}

func (w *worker) exchange() ([]byte, error) {
	begun := time.Now()
	answer, err := w.begin()
	if err != nil {
		return nil, err
	}
	var came arrivals
	if w.timed {
		answer.Body = timedBody{answer.Body, &came}
	}
	body, err := readBody(answer)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", answer.StatusCode, excerpt(body, 0))
	}
	if answer.Close {
		return nil, errors.New("the connection was not kept")
	}
	if len(came.at) > 0 {
		w.first = append(w.first, came.at[0].Sub(begun))
		w.gaps = append(w.gaps, came.gaps()...)
	}
	return body, nil
}

// begin sends the request and reads the answer's headers.
func (w *worker) begin() (*http.Response, error) {
	if err := w.conn.SetDeadline(time.Now().Add(longestAnswer)); err != nil {
		return nil, err
	}
	if _, err := w.conn.Write(w.request); err != nil {
		return nil, err
	}
	return http.ReadResponse(w.from, nil)
}

func readBody(answer *http.Response) ([]byte, error) {
	if answer.ContentLength >= 0 {
		body := make([]byte, answer.ContentLength)
		_, err := io.ReadFull(answer.Body, body)
		return body, err
	}
	var body bytes.Buffer
	body.Grow(64 << 10)
	_, err := body.ReadFrom(answer.Body)
	return bytes.Clone(body.Bytes()), err
}

// quantile of sorted durations, 0 ≤ q ≤ 1.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
