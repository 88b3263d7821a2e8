package config

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Rates are how many requests may come. A zero Rate is no limit.
type Rates struct {
	Key       Rate // of one API key
	Workspace Rate // of all keys of a workspace together
}

// Rate is Count requests in each Period, evenly, and Burst at once.
type Rate struct {
	Count  int
	Period time.Duration
	Burst  int
}

// IsZero says that there is no limit.
func (r Rate) IsZero() bool { return r.Count == 0 }

const (
	fastestRate  = 10_000 // requests in a second
	largestBurst = 1_000_000
)

var (
	rateForm    = regexp.MustCompile(`^(?:(key|workspace) )?([0-9_]+) ?/ ?([a-z]+)(?: burst ([0-9_]+))?$`)
	ratePeriods = map[string]time.Duration{
		"s": time.Second, "second": time.Second, "m": time.Minute, "min": time.Minute, "minute": time.Minute,
		"h": time.Hour, "hour": time.Hour, "d": 24 * time.Hour, "day": 24 * time.Hour,
	}
)

// rates reads "off" or limits such as "600/m burst 60, workspace 6000/m".
func rates(c *Config, v value) *mistake {
	const fix = "write off, or limits like 600/m, 10/s burst 50, or 600/m, workspace 6000/m (s, m, h or d; one for key, one for workspace)"
	var r Rates
	if text := strings.TrimSpace(v.text); text != "off" {
		for part := range strings.SplitSeq(text, ",") {
			m := rateForm.FindStringSubmatch(strings.Join(strings.Fields(part), " "))
			if m == nil {
				return wrong("is "+strconv.Quote(v.text)+", which says no rate", fix)
			}
			one, problem := rate(m[2], m[3], m[4])
			if problem != "" {
				return wrong(problem, fix)
			}
			at := &r.Key
			if m[1] == "workspace" {
				at = &r.Workspace
			}
			if !at.IsZero() {
				return wrong("limits the same thing twice", fix)
			}
			*at = one
		}
	}
	c.Limits.Rate = r
	return nil
}

func rate(count, period, burst string) (r Rate, problem string) {
	number := func(text string) int {
		n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
		if err != nil {
			return -1
		}
		return n
	}
	r.Count, r.Period = number(count), ratePeriods[period]
	r.Burst = r.Count
	if burst != "" {
		r.Burst = number(burst)
	}
	switch {
	case r.Period == 0:
		return r, "has the unit " + strconv.Quote(period) + ", which is none"
	case r.Count < 1:
		return r, "allows nothing: a rate is at least 1"
	case float64(r.Count) > fastestRate*r.Period.Seconds():
		return r, "is faster than 10,000 a second"
	case r.Burst < 1 || r.Burst > largestBurst:
		return r, "has a burst that is not between 1 and 1,000,000"
	}
	return r, ""
}
