package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Rate is how often something may happen: Count times in every Period, evenly (the
// generic cell rate algorithm), and Burst times at once.
type Rate struct {
	Name   string // of the limit, [a-z_]{1,32}
	Key    string // whose it is, any string
	Count  int
	Period time.Duration
	Burst  int
}

// MaxRate is the largest number of times in a second, MaxBurst the largest burst.
const (
	MaxRate  = 10_000
	MaxBurst = 10_000_000
)

// Quota is what a Take found of one rate.
type Quota struct {
	Allowed   bool
	Remaining int           // how many may follow at once
	Reset     time.Duration // until the whole burst is there again
	Retry     time.Duration // until one may follow, 0 where Allowed
}

// Limiter counts against rates. What is counted is shared by all processes that
// share the store, and is exact: of any number of Takes at the same time, exactly as
// many are allowed as the rates say.
type Limiter interface {
	// Take takes one from each of the rates, which are of one workspace, or from
	// none of them where one has none left. Each gets its Quota. Errors are those of
	// Engine.
	Take(ctx context.Context, workspace string, rates ...Rate) ([]Quota, error)
}

// interval is the time between two, in whole microseconds, rounded up: a rate is
// never exceeded, and missed by at most a hundredth.
func (r Rate) interval() int64 {
	n := int64(r.Count)
	return (r.Period.Microseconds() + n - 1) / n
}

// Cells are the two numbers that the algorithm works with, in microseconds: the time
// between two, and the time that the whole burst takes.
func (r Rate) Cells() (interval, burst int64) { return r.interval(), r.interval() * int64(r.Burst) }

// CheckRates answers ErrInvalid for rates that are none.
func CheckRates(workspace string, rates []Rate) error {
	if err := CheckWorkspace(workspace); err != nil {
		return err
	}
	for _, r := range rates {
		if err := CheckName("rate", r.Name); err != nil {
			return err
		}
		if r.Count < 1 || r.Period < time.Microsecond || r.Burst < 1 || r.Burst > MaxBurst || r.Period > 1000*time.Hour || float64(r.Count) > MaxRate*r.Period.Seconds() {
			return fmt.Errorf("%w: rate %s: %d in %s, burst %d", ErrInvalid, r.Name, r.Count, r.Period, r.Burst)
		}
	}
	return nil
}

// quota is what a rate says at a time (unix microseconds), if the next free cell is
// at full: the theoretical arrival time of the algorithm. It answers that of one more.
func (r Rate) quota(now, full int64) (q Quota, next int64) {
	interval, burst := r.Cells()
	full = max(full, now)
	next = full + interval
	if wait := next - burst - now; wait > 0 {
		return Quota{Reset: micros(full - now), Retry: micros(wait)}, full
	}
	return Quota{Allowed: true, Remaining: int((now + burst - next) / interval), Reset: micros(next - now)}, next
}

// untaken is a quota of which nothing was taken, because another had none left.
func (r Rate) untaken(now, full int64) Quota {
	interval, burst := r.Cells()
	full = max(full, now)
	return Quota{Allowed: true, Remaining: int((now + burst - full) / interval), Reset: micros(full - now)}
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// MemoryLimiter is a Limiter of one process. What it counted is gone with it. The
// zero value begins with full bursts.
type MemoryLimiter struct {
	mu    sync.Mutex
	full  map[cell]int64 // unix microseconds
	swept int
}

type cell struct{ workspace, name, key string }

// TakeAt is Take at a time.
func (m *MemoryLimiter) TakeAt(at time.Time, workspace string, rates ...Rate) ([]Quota, error) {
	if err := CheckRates(workspace, rates); err != nil {
		return nil, err
	}
	now := at.UnixMicro()
	quotas, next := make([]Quota, len(rates)), make([]int64, len(rates))
	m.mu.Lock()
	defer m.mu.Unlock()
	all := true
	for i, r := range rates {
		quotas[i], next[i] = r.quota(now, m.full[cell{workspace, r.Name, r.Key}])
		all = all && quotas[i].Allowed
	}
	if !all {
		for i, r := range rates {
			if quotas[i].Allowed {
				quotas[i] = r.untaken(now, m.full[cell{workspace, r.Name, r.Key}])
			}
		}
		return quotas, nil
	}
	if m.full == nil {
		m.full = map[cell]int64{}
	}
	for i, r := range rates {
		m.full[cell{workspace, r.Name, r.Key}] = next[i]
	}
	m.sweep(now)
	return quotas, nil
}

// sweep forgets what is full again, each time there are twice as many as were left
// the last time.
func (m *MemoryLimiter) sweep(now int64) {
	if len(m.full) < 2*m.swept+1024 {
		return
	}
	for c, full := range m.full {
		if full <= now {
			delete(m.full, c)
		}
	}
	m.swept = len(m.full)
}
