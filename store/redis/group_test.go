package redis

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"cadreen/store"
	"cadreen/store/storetest"
)

// together has so many create documents at the same moment, twice each.
func together(t *testing.T, e *Engine, workspace string, n int) {
	var all sync.WaitGroup
	answers := make([]error, 2*n)
	for i := range answers {
		all.Go(func() {
			id := fmt.Sprint(i / 2)
			answers[i] = e.Commit(context.Background(), workspace, store.Put{Doc: store.Doc{Kind: "thing", ID: id}, Create: true}, store.Append{Log: "l", Value: []byte(id)})
		})
	}
	all.Wait()
	for i := range n {
		one, other := answers[2*i], answers[2*i+1]
		if one != nil {
			one, other = other, one
		}
		require.NoError(t, one, i)
		require.ErrorIs(t, other, store.ErrConflict, i)
		require.NotErrorIs(t, other, store.ErrUnavailable, i)
	}
	lines, err := e.Read(t.Context(), workspace, "l", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, n, "each happened once")
}

func TestEachOfAGroupGetsItsOwnAnswer(t *testing.T) {
	e := open(t, "redis://"+storetest.RedisServer(t))
	together(t, e, "w", 40)
	require.NoError(t, e.client.ScriptFlush(t.Context()).Err())
	together(t, e, "v", 40) // a server that was started anew does not know the script
}

func TestAGroupWhoseAnswersAreLostIsRepeatedAsAWhole(t *testing.T) {
	l := &lossy{server: storetest.RedisServer(t)}
	e := open(t, "redis://"+l.serve(t))
	require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "warm"}))
	for i := range 5 {
		l.armed.Store(true)
		together(t, e, fmt.Sprint("w", i), 20)
		require.EqualValues(t, i+1, l.lost.Load(), "answers were lost")
	}
}

func TestAQuestionThatWasAbandonedIsNotSent(t *testing.T) {
	e := open(t, "redis://"+storetest.RedisServer(t))
	g := &group{client: e.client, asked: make(chan *question, 2), quit: make(chan struct{}), gone: make(chan struct{})}
	put := func(id string) *question {
		keys, args := e.script("w", []store.Op{store.Put{Doc: store.Doc{Kind: "thing", ID: id}}})
		return &question{script: commitScript, keys: keys, args: args, done: make(chan *redis.Cmd, 1)}
	}
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := g.do(ctx, put("left"))
		left <- err
	}()
	first, second := <-g.asked, put("stays")
	cancel()
	require.ErrorIs(t, <-left, errUnsent)
	g.send([]*question{first, second})
	require.NoError(t, (<-second.done).Err())
	_, err := e.Get(t.Context(), "w", "thing", "left")
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = e.Get(t.Context(), "w", "thing", "stays")
	require.NoError(t, err)
}

// halting holds up every script that is asked by itself until it may go on.
type halting struct{ met, goOn chan struct{} }

func (halting) DialHook(next redis.DialHook) redis.DialHook { return next }
func (halting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (h halting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			h.met <- struct{}{}
			<-h.goOn
		}
		return next(ctx, cmd)
	}
}

// A server that takes no writes is asked again and again, for each commit of a group: meanwhile the time is told and what
// comes later is sent.
func TestWhatIsAskedByItselfHoldsUpNobody(t *testing.T) {
	e := open(t, "redis://"+storetest.RedisServer(t))
	require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "warm"}))
	require.NoError(t, e.client.ScriptFlush(t.Context()).Err())
	h := halting{met: make(chan struct{}, 9), goOn: make(chan struct{})}
	e.client.AddHook(h)
	goOn := sync.OnceFunc(func() { close(h.goOn) })
	t.Cleanup(goOn)
	outcomes := make(chan error, 3)
	for range cap(outcomes) {
		go func() { outcomes <- e.Commit(context.Background(), "w", store.Append{Log: "l"}) }()
	}
	for range cap(outcomes) {
		select {
		case <-h.met:
		case <-time.After(10 * time.Second):
			require.Fail(t, "one is held up by another")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := e.Now(ctx)
	goOn()
	require.NoError(t, err)
	for range cap(outcomes) {
		require.NoError(t, <-outcomes)
	}
	lines, err := e.Read(t.Context(), "w", "l", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, cap(outcomes))
}

// A script that failed when it had written something is no commit, and is not asked again: its token is there, and it
// would say that it was done.
func TestACommitThatFailedOnTheWayIsNotSaidToBeDone(t *testing.T) {
	e := open(t, "redis://"+storetest.RedisServer(t))
	require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "warm"}))
	require.NoError(t, e.client.Set(t.Context(), indexPrefix("w", "thing")+"by:k", "of somebody else's", 0).Err())
	require.ErrorIs(t, e.Commit(t.Context(), "w", thing("a", "v"), store.Append{Log: "l"}), store.ErrUnavailable)
	lines, err := e.Read(t.Context(), "w", "l", 0, 0)
	require.NoError(t, err)
	require.Empty(t, lines)
}

func TestARepetitionOfACommitThatFailedOnTheWayIsNoSuccess(t *testing.T) {
	l := &lossy{server: storetest.RedisServer(t)}
	e := open(t, "redis://"+l.serve(t))
	require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "warm"}))
	require.NoError(t, e.client.Set(t.Context(), indexPrefix("w", "thing")+"by:k", "of somebody else's", 0).Err())
	l.armed.Store(true)
	require.ErrorIs(t, e.Commit(t.Context(), "w", thing("a", "v"), store.Append{Log: "l"}), store.ErrUnavailable)
	require.EqualValues(t, 1, l.lost.Load(), "the answer was lost")
}
