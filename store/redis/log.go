package redis

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// The client writes to standard error by itself. What it says there reaches
// the callers as errors, so here it is for those who look closely.
func init() { redis.SetLogger(logger{}) }

type logger struct{}

func (logger) Printf(ctx context.Context, format string, v ...any) {
	if slog.Default().Enabled(ctx, slog.LevelDebug) {
		slog.DebugContext(ctx, fmt.Sprintf(format, v...), "from", "redis client")
	}
}
