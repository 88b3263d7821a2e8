package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"cadreen/config"
	"cadreen/fault"
	"cadreen/proxy/keys"
	"cadreen/store"
)

// Headers of the IETF draft "RateLimit header fields for HTTP".
const (
	headerRate       = "Ratelimit"
	headerRatePolicy = "Ratelimit-Policy"
)

// limiting counts requests against the rates of a key and of a workspace.
//
// While the store is away each replica counts on its own, by the same rates: text
// goes on then, and so does the limit, as well as one process can know.
type limiting struct {
	rates  []store.Rate // without their keys
	named  []string     // what each is of, for people
	policy string       // the header
	shared store.Limiter
	own    store.MemoryLimiter
	now    func() time.Time
	log    *slog.Logger
	away   atomic.Int64 // until when the store is not asked, unix nanoseconds
}

const (
	limitTimeout = 500 * time.Millisecond // for the store to count one request
	limitPause   = time.Second            // before a store that was away is asked again
)

// newLimiting answers nil where nothing is limited.
func newLimiting(rates config.Rates, shared store.Limiter, now func() time.Time, log *slog.Logger) *limiting {
	l := &limiting{shared: shared, now: now, log: log}
	var policies []string
	add := func(name, named string, r config.Rate) {
		if r.IsZero() {
			return
		}
		l.rates = append(l.rates, store.Rate{Name: name, Count: r.Count, Period: r.Period, Burst: r.Burst})
		l.named = append(l.named, fmt.Sprintf("%s may send %d requests in %s", named, r.Count, strings.TrimSuffix(strings.TrimSuffix(r.Period.String(), "0s"), "0m")))
		policies = append(policies, fmt.Sprintf("%q;q=%d;w=%d", name, r.Count, int(r.Period.Seconds())))
	}
	add("key", "This API key", rates.Key)
	add("workspace", "This workspace", rates.Workspace)
	if len(l.rates) == 0 {
		return nil
	}
	l.policy = strings.Join(policies, ", ")
	return l
}

// limit counts a request and writes the headers that say what is left. An error is
// the 429 of a request that is one too many.
func (s *Server) limit(h http.Header, r *http.Request, p keys.Principal) error {
	if s.limiting == nil {
		return nil
	}
	return s.limiting.limit(h, r, p)
}

func (l *limiting) limit(h http.Header, r *http.Request, p keys.Principal) error {
	rates := make([]store.Rate, len(l.rates))
	copy(rates, l.rates)
	for i := range rates {
		if rates[i].Name == "key" {
			rates[i].Key = p.KeyID
		}
	}
	quotas, err := l.take(r.Context(), p.Workspace, rates)
	if err != nil {
		return err
	}
	said := make([]string, len(quotas))
	var wait time.Duration
	which := 0
	for i, q := range quotas {
		said[i] = fmt.Sprintf("%q;r=%d;t=%d", rates[i].Name, q.Remaining, seconds(q.Reset))
		if !q.Allowed && q.Retry > wait {
			wait, which = q.Retry, i
		}
	}
	h.Set(headerRatePolicy, l.policy)
	h.Set(headerRate, strings.Join(said, ", "))
	if wait == 0 {
		return nil
	}
	e := fault.New(fault.RateLimit, "%s, and has sent more", l.named[which])
	e.Hint = fmt.Sprintf("Send the request again in %d s, or raise limits.rate.", seconds(wait))
	e.RetryAfter = seconds(wait)
	again := true
	e.ShouldRetry = &again
	e.Header = http.Header{"Retry-After-Ms": {strconv.FormatInt(int64(math.Ceil(float64(wait)/float64(time.Millisecond))), 10)}}
	return e
}

// take asks the store, or counts here while that is away.
func (l *limiting) take(ctx context.Context, workspace string, rates []store.Rate) ([]store.Quota, error) {
	if l.now().UnixNano() >= l.away.Load() {
		asked, cancel := context.WithTimeout(ctx, limitTimeout)
		quotas, err := l.shared.Take(asked, workspace, rates...)
		cancel()
		if err == nil || ctx.Err() != nil {
			return quotas, err
		}
		l.away.Store(l.now().Add(limitPause).UnixNano())
		l.log.Warn("requests are counted by this process alone: the store cannot count them", "error", err)
	}
	return l.own.TakeAt(l.now(), workspace, rates...)
}

// seconds are whole ones, rounded up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
