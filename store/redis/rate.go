package redis

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cadreen/store"
)

//go:embed rate.lua
var rateText string

var rateScript = redis.NewScript(rateText)

var _ store.Limiter = (*Engine)(nil)

// Take runs one script, by the clock of Redis. An answer that was lost on the wire is
// counted twice.
func (e *Engine) Take(ctx context.Context, workspace string, rates ...store.Rate) ([]store.Quota, error) {
	if err := store.CheckRates(workspace, rates); err != nil || len(rates) == 0 {
		return nil, err
	}
	keys := make([]string, len(rates))
	args := make([]any, 1, 1+2*len(rates))
	args[0] = e.offset().Microseconds()
	for i, r := range rates {
		interval, burst := r.Cells()
		keys[i] = rateKey(workspace, r.Name, r.Key)
		args = append(args, interval, burst)
	}
	said, err := ask(ctx, e, "take", func(ctx context.Context) ([]int64, error) {
		return rateScript.Run(ctx, e.client, keys, args...).Int64Slice()
	})
	if err != nil {
		return nil, err
	}
	if len(said) != 4*len(rates) {
		return nil, unavailable("take", fmt.Errorf("the script answered %d numbers", len(said)))
	}
	quotas := make([]store.Quota, len(rates))
	for i := range quotas {
		n := said[4*i:]
		quotas[i] = store.Quota{Allowed: n[0] == 1, Remaining: int(n[1]),
			Reset: time.Duration(n[2]) * time.Microsecond, Retry: time.Duration(n[3]) * time.Microsecond}
	}
	return quotas, nil
}
