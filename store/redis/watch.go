package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"cadreen/store"
)

const (
	// pingEvery is how often a silent subscription is asked whether it lives;
	// after two unanswered times it is given up and made anew.
	pingEvery = 3 * time.Second
	// retryFirst and retryMost bound the wait between attempts to come back.
	retryFirst = 50 * time.Millisecond
	retryMost  = time.Second
)

// Watch listens to the workspace's channel. It returns once the subscription
// stands, or with ErrUnavailable if it cannot be made now.
func (e *Engine) Watch(ctx context.Context, workspace string) (<-chan struct{}, error) {
	if err := store.CheckWorkspace(workspace); err != nil {
		return nil, err
	}
	return ask(ctx, e, "watch", func(ctx context.Context) (<-chan struct{}, error) {
		return e.hub.watch(ctx, workspace)
	})
}

// subscribe uses the sharded form on a Cluster, because the message then stays
// in the slot of the workspace.
func (e *Engine) subscribe(ctx context.Context, workspace string, again bool) *redis.PubSub {
	if e.cluster == nil {
		return e.client.Subscribe(ctx, channel(workspace))
	}
	if again {
		e.cluster.ReloadState(ctx) // the slot may have moved
	}
	return e.cluster.SSubscribe(ctx, channel(workspace))
}

// hub shares one subscription between all watchers of a workspace.
type hub struct {
	subscribe func(ctx context.Context, workspace string, again bool) *redis.PubSub

	mu     sync.Mutex
	topics map[string]*topic
	closed bool
	ctx    context.Context // ends with the hub
	stop   context.CancelFunc
	gone   sync.WaitGroup
}

// topic is the subscription to one workspace. It lives while it has watchers.
type topic struct {
	watchers map[chan struct{}]struct{}
	stop     context.CancelFunc
	first    chan struct{} // closed when the first attempt has ended
	err      error         // of the first attempt; read after first is closed
}

func newHub(subscribe func(context.Context, string, bool) *redis.PubSub) *hub {
	ctx, stop := context.WithCancel(context.Background())
	return &hub{subscribe: subscribe, topics: map[string]*topic{}, ctx: ctx, stop: stop}
}

func (h *hub) watch(ctx context.Context, workspace string) (<-chan struct{}, error) {
	signals := make(chan struct{}, 1)
	t := h.join(workspace, signals)
	if t == nil {
		return nil, errClosed
	}
	select {
	case <-t.first:
	case <-ctx.Done():
		h.leave(workspace, t, signals)
		return nil, ctx.Err()
	}
	if t.err != nil {
		return nil, t.err
	}
	context.AfterFunc(ctx, func() { h.leave(workspace, t, signals) })
	return signals, nil
}

func (h *hub) join(workspace string, signals chan struct{}) *topic {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	t := h.topics[workspace]
	if t == nil {
		ctx, stop := context.WithCancel(h.ctx)
		t = &topic{watchers: map[chan struct{}]struct{}{}, stop: stop, first: make(chan struct{})}
		h.topics[workspace] = t
		h.gone.Go(func() { h.follow(ctx, workspace, t) })
	}
	t.watchers[signals] = struct{}{}
	return t
}

func (h *hub) leave(workspace string, t *topic, signals chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := t.watchers[signals]; !there {
		return
	}
	delete(t.watchers, signals)
	close(signals)
	if len(t.watchers) == 0 {
		h.drop(workspace, t)
	}
}

// drop is called with the lock held.
func (h *hub) drop(workspace string, t *topic) {
	t.stop()
	if h.topics[workspace] == t {
		delete(h.topics, workspace)
	}
}

func (h *hub) signal(t *topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for signals := range t.watchers {
		select {
		case signals <- struct{}{}:
		default: // one is waiting already
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	for workspace, t := range h.topics {
		for signals := range t.watchers {
			close(signals)
		}
		clear(t.watchers)
		h.drop(workspace, t)
	}
	h.mu.Unlock()
	h.stop()
	h.gone.Wait()
}

// follow keeps a topic subscribed. The first attempt answers to Watch; later
// ones go on until they succeed, and then signal, because commits may have
// passed unheard.
func (h *hub) follow(ctx context.Context, workspace string, t *topic) {
	stood := false
	live := func() {
		if !stood {
			stood = true
			close(t.first)
			return
		}
		h.signal(t)
	}
	wait := retryFirst
	for again := false; ; again = true {
		before := time.Now()
		err := h.listen(ctx, workspace, again, live, func() { h.signal(t) })
		if !stood {
			h.mu.Lock()
			t.err = err
			clear(t.watchers)
			h.drop(workspace, t)
			h.mu.Unlock()
			close(t.first)
			return
		}
		if time.Since(before) > retryMost {
			wait = retryFirst // it stood for a while
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMost)
	}
}

// listen reads one subscription until it breaks. Every error ends it, also one
// that leaves the connection whole (such as MOVED): a new one asks anew.
func (h *hub) listen(ctx context.Context, workspace string, again bool, live, signal func()) error {
	ps := h.subscribe(ctx, workspace, again)
	defer func() { _ = ps.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Receive waits without a limit, and only Close ends it.
	context.AfterFunc(ctx, func() { _ = ps.Close() })
	var heard atomic.Int64
	heard.Store(time.Now().UnixNano())
	go keepAlive(ctx, ps, &heard, cancel)
	for {
		message, err := ps.Receive(ctx)
		if err != nil {
			return errors.Join(err, ctx.Err())
		}
		heard.Store(time.Now().UnixNano())
		switch m := message.(type) {
		case *redis.Message:
			signal()
		case *redis.Subscription:
			switch m.Kind {
			case "subscribe", "ssubscribe":
				live()
			default: // the slot went to another node
				return fmt.Errorf("the server ended the subscription: %s", m.Kind)
			}
		}
	}
}

func keepAlive(ctx context.Context, ps *redis.PubSub, heard *atomic.Int64, giveUp func()) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		silent := time.Since(time.Unix(0, heard.Load()))
		if silent > 2*pingEvery+pingEvery/2 {
			giveUp()
			return
		}
		if silent > pingEvery/2 {
			_ = ps.Ping(ctx) // a failed write shows in Receive
		}
	}
}
