package redis

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

const (
	// mostInGroup and mostBytes bound a group: all of it is written before the first
	// answer is read.
	mostInGroup = 64
	mostBytes   = 256 << 10
	// mostShared is the most, in bytes, that is sent with others: what is larger would
	// hold them up.
	mostShared = 32 << 10
)

// group sends what is asked at the same moment together, in one write whose answers
// come in one read, and which Redis makes durable at once. It is for what is short:
// commits and the time. Reads have connections of their own, and so has everything
// on a Cluster, where a node that is away would hold up the workspaces of others.
type group struct {
	client redis.UniversalClient
	asked  chan *question
	quit   chan struct{}
	gone   chan struct{}  // closed when all its goroutines have ended
	alone  sync.WaitGroup // questions that are asked by themselves
}

// question is a script on its way; without a script it is the time, of a server that
// is not a Cluster.
type question struct {
	script *redis.Script
	keys   []string
	args   []any
	size   int // of the args, about

	// state is moved once from waiting, by the group to sent or by the caller to
	// abandoned, so that an abandoned question surely does nothing.
	state atomic.Int32
	done  chan *redis.Cmd // capacity 1
}

const (
	waiting int32 = iota
	sent
	abandoned
)

// errUnsent says that the caller gave up before anything was sent.
var errUnsent = errors.New("nothing was sent")

func newGroup(client redis.UniversalClient) *group {
	g := &group{client: client, asked: make(chan *question, mostInGroup), quit: make(chan struct{}), gone: make(chan struct{})}
	go g.run()
	return g
}

// put asks a question, together with others where that can be.
func (e *Engine) put(ctx context.Context, q *question) (*redis.Cmd, error) {
	switch {
	case e.closed.Load():
		return nil, errClosed
	case ctx.Err() != nil:
		return nil, errUnsent
	case e.group != nil && q.size <= mostShared:
		return e.group.do(ctx, q)
	}
	return await(ctx, e, func(ctx context.Context) (*redis.Cmd, error) {
		cmd := q.script.Run(ctx, e.client, q.keys, q.args...)
		return cmd, cmd.Err()
	})
}

// do waits for the answer, the end of ctx, or the end of the group.
func (g *group) do(ctx context.Context, q *question) (*redis.Cmd, error) {
	q.done = make(chan *redis.Cmd, 1)
	select {
	case <-g.quit:
		return nil, errClosed
	case <-ctx.Done():
		return nil, errUnsent
	case g.asked <- q:
	}
	select {
	case cmd := <-q.done:
		return cmd, cmd.Err()
	case <-ctx.Done():
		if q.state.CompareAndSwap(waiting, abandoned) {
			return nil, errUnsent
		}
		return nil, ctx.Err()
	case <-g.gone:
		select {
		case cmd := <-q.done:
			return cmd, cmd.Err()
		default:
			return nil, errClosed
		}
	}
}

// stop lets nothing more be sent. What is out ends with the client.
func (g *group) stop() { close(g.quit) }

func (g *group) run() {
	defer func() {
		g.alone.Wait()
		close(g.gone)
	}()
	var batch []*question
	for {
		select {
		case <-g.quit:
			return
		case q := <-g.asked:
			batch = append(batch[:0], q)
		}
		// Whoever can run is let run first: in a busy process the next are on their way.
		runtime.Gosched()
		for more, size := true, batch[0].size; more && len(batch) < mostInGroup && size < mostBytes; {
			select {
			case q := <-g.asked:
				batch, size = append(batch, q), size+q.size
			default:
				more = false
			}
		}
		g.send(batch)
		clear(batch)
	}
}

// send asks the questions that nobody has abandoned. The time is asked once: it is
// that of a moment after everybody had asked.
func (g *group) send(batch []*question) {
	ctx := context.Background() // of several callers: the timeouts of the client bound it
	pipe := g.client.Pipeline()
	cmds := make([]*redis.Cmd, len(batch))
	var now *redis.Cmd
	for i, q := range batch {
		if !q.state.CompareAndSwap(waiting, sent) {
			continue
		}
		if q.script != nil {
			cmds[i] = q.script.EvalSha(ctx, pipe, q.keys, q.args...)
			continue
		}
		if now == nil {
			now = pipe.Do(ctx, "TIME")
		}
		cmds[i] = now
	}
	_, _ = pipe.Exec(ctx) // each answer has its own error
	for i, q := range batch {
		cmd := cmds[i]
		if cmd == nil {
			continue
		}
		if q.script != nil && refused(cmd.Err()) {
			// What is asked by itself is repeated, for a while, in which it must not
			// hold up the others.
			g.alone.Go(func() { q.done <- q.script.Run(ctx, g.client, q.keys, q.args...) })
			continue
		}
		q.done <- cmd
	}
}

// refused says that a server has not run a script, but may soon, or another one:
// it does not know it, is no master or not ready. After any other error some of it
// may have happened.
func refused(err error) bool {
	for _, prefix := range []string{"NOSCRIPT", "READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "TRYAGAIN", "CLUSTERDOWN"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}
