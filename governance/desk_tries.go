package governance

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"
)

// attempts bounds the repeats of a commit that lost a race, longestPause the
// time between two of them: a second and a half in all.
const (
	attempts     = 40
	longestPause = 64 * time.Millisecond
)

// tries are the tries of a commit. It waits a random time before each but the
// first, so that those who lost together do not meet again, and ends with ctx.
func tries(ctx context.Context) iter.Seq[int] {
	return func(yield func(int) bool) {
		for try := range attempts {
			if try > 0 {
				select {
				case <-ctx.Done():
					return
				case <-time.After(rand.N(min(longestPause, time.Millisecond<<try))):
				}
			}
			if !yield(try) {
				return
			}
		}
	}
}
