package idempotency

import (
	"context"
	"net/http/httptrace"

	"cadreen/store"
)

// Fence answers an engine whose Commits count, inside a keyed run, only while
// the run has its claim: both are one Commit. Of two runs that each believe to
// have the key, one therefore changes nothing. Outside of a keyed run it is the
// engine itself.
func Fence(e store.Engine) store.Engine { return fence{e} }

type fence struct{ store.Engine }

func (f fence) Commit(ctx context.Context, workspace string, ops ...store.Op) error {
	c, _ := ctx.Value(claimKey{}).(*claim)
	if c == nil || c.workspace != workspace || len(ops) == 0 {
		return f.Engine.Commit(ctx, workspace, ops...)
	}
	return c.act(ctx, ops)
}

type claimKey struct{}

// within is the context of a run. Whatever the run asks over HTTP, a model in
// the first place, may answer otherwise the next time.
func (c *claim) within(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(context.WithValue(ctx, claimKey{}, c),
		&httptrace.ClientTrace{GetConn: func(string) { c.asked.Store(true) }})
}
