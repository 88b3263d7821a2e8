package backend

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"

	"cadreen/fault"
	"cadreen/proxy/lent"
)

// question is one request, sent once or, before any answer, again.
type question struct {
	method string
	url    *url.URL
	header http.Header
	body   []byte
	lent   *lent.Buffer // that body lies in, nil for none
	stream bool
}

// reply is an answer with status 200 of the kind that was asked for.
type reply struct {
	status int
	header http.Header
	body   *body
}

// failure is why an attempt has no reply.
type failure struct {
	// fault is what the client is told; nil if the client is gone.
	fault *fault.Error
	// gone wraps context.Canceled: the caller went away.
	gone error
	// status is the upstream's, 0 if it gave none.
	status int
	// down: the server could not be reached or failed (5xx). It counts for the breaker.
	down bool
	// retry: nothing was received and another attempt may do better.
	retry bool
	// after is how long the upstream asked us to wait, 0 if it did not.
	after time.Duration
}

func (f *failure) Error() string {
	if f.gone != nil {
		return f.gone.Error()
	}
	return f.fault.Error()
}

func (f *failure) Unwrap() error {
	if f.gone != nil {
		return f.gone
	}
	return f.fault
}

// ask sends a question through the breaker. Its errors are those of Chat.
func (s *server) ask(ctx context.Context, q question) (*reply, error) {
	if ctx.Err() != nil {
		return nil, gone(ctx)
	}
	resp, err := s.breaker.do(func() (*reply, error) { return s.persist(ctx, q) })
	if err == nil {
		return resp, nil
	}
	var fail *failure
	if errors.As(err, &fail) {
		return nil, fail.Unwrap()
	}
	return nil, err // the breaker's own, a fault already
}

// persist makes the attempts of one question. Between two of them the answer
// is still untouched: once a reply is returned, no failure is repaired here.
func (s *server) persist(ctx context.Context, q question) (*reply, error) {
	life := begin(ctx, s.settings.Timeout)
	first := time.Now()
	resp, fail := s.attempt(life, q)
	if fail == nil {
		return resp, nil
	}
	return s.again(life, q, fail, first)
}

// again makes the attempts after a first one that failed.
func (s *server) again(life *life, q question, failed *failure, first time.Time) (*reply, error) {
	budget := s.settings.RetryBudget
	if budget > 0 { // the first attempt has had its part of it; 0 would be no bound
		budget = max(budget-time.Since(first), 1)
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = s.settings.RetryWait
	pause.Multiplier = 2
	pause.MaxInterval = s.settings.RetryBudget
	var last *failure
	resp, err := backoff.Retry(life.ctx, func() (*reply, error) {
		fail := failed
		if failed = nil; fail == nil {
			var resp *reply
			if resp, fail = s.attempt(life, q); fail == nil {
				return resp, nil
			}
		}
		last = fail
		switch {
		case !fail.retry:
			return nil, backoff.Permanent(fail)
		case fail.after > 0:
			// Longer than the budget ends the attempts, in Retry.
			return nil, errors.Join(fail, &backoff.RetryAfterError{Duration: fail.after})
		}
		return nil, fail
	}, backoff.WithBackOff(pause),
		backoff.WithMaxTries(uint(max(s.settings.Retries, 0))+1),
		backoff.WithMaxElapsedTime(budget))
	if err == nil {
		return resp, nil
	}
	// Why the attempts ended is not what the client is told (that is the last
	// failure), unless the client left or time ran out during a pause.
	if ended := life.failure(); ended != nil {
		last = ended
	}
	life.end(nil)
	return nil, last
}

// attempt sends the question once and reads the answer's headers.
func (s *server) attempt(life *life, q question) (*reply, *failure) {
	resp, err := s.transport.RoundTrip(q.request(life.ctx))
	if err != nil {
		if ended := life.failure(); ended != nil {
			return nil, ended
		}
		return nil, unreachable(err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, s.refused(life, resp)
	}
	answer := &body{life: life, inner: resp.Body, silent: s.settings.IdleTimeout, stream: q.stream}
	if err := checkKind(resp.Header, answer, q.stream); err != nil {
		ended := life.failure()
		answer.Close()
		if ended != nil {
			return nil, ended
		}
		var known *fault.Error
		if !errors.As(err, &known) {
			known = unavailable("The model server answered in a form that was not asked for.", err)
		}
		return nil, &failure{fault: known, status: resp.StatusCode}
	}
	if q.stream {
		life.unbounded()
	}
	return &reply{status: resp.StatusCode, header: resp.Header, body: answer}, nil
}

func (q question) request(ctx context.Context) *http.Request {
	req := (&http.Request{
		Method: q.method, URL: q.url, Host: q.url.Host, Header: q.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if q.body != nil {
		// Whole, with its length, and readable again: the transport itself
		// repeats a request that met a connection just being closed.
		req.ContentLength = int64(len(q.body))
		req.GetBody = func() (io.ReadCloser, error) {
			return newSending(q.body, q.lent), nil
		}
		req.Body, _ = req.GetBody()
	}
	return req
}
