package backend

import (
	"context"
	"sync"
	"time"
)

// idleTime is how long a connection that nobody uses is kept.
const idleTime = 90 * time.Second

// pool keeps idle connections and bounds how many there are. The one used last
// is used next, so that those too many grow old.
type pool struct {
	keep  int
	turns chan struct{} // one in it for each exchange; nil without a limit

	mu    sync.Mutex
	idle  []*conn // the one used last is the last
	shut  bool    // cleared, and nothing asked since
	armed bool    // whether sweep will be called
	timer *time.Timer
}

func newPool(maxConns int) pool {
	if maxConns == 0 {
		return pool{keep: idleConns}
	}
	return pool{keep: maxConns, turns: make(chan struct{}, maxConns)}
}

// enter waits for a turn; whoever got it has to leave. There is never more than
// one connection for each turn: a new one is made only where none is idle.
func (p *pool) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if p.turns == nil {
		return nil
	}
	select {
	case p.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *pool) leave() {
	if p.turns != nil {
		<-p.turns
	}
}

// pop takes out the connection that was used last, nil if none is idle.
func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = false
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return c
}

// put keeps a connection, unless enough are kept.
func (p *pool) put(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut || len(p.idle) >= p.keep {
		return false
	}
	c.since = time.Now()
	p.idle = append(p.idle, c)
	if !p.armed {
		p.arm(idleTime)
	}
	return true
}

// arm has sweep called once for the oldest of all, not for each.
func (p *pool) arm(wait time.Duration) {
	p.armed = true
	if p.timer == nil {
		p.timer = time.AfterFunc(wait, p.sweep)
		return
	}
	p.timer.Reset(wait)
}

// sweep closes what has been idle for too long.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].since) >= idleTime {
		_ = p.idle[old].Close()
		old++
	}
	rest := copy(p.idle, p.idle[old:])
	clear(p.idle[rest:])
	p.idle = p.idle[:rest]
	if rest > 0 {
		p.arm(idleTime - time.Since(p.idle[0].since))
	}
}

// clear closes what is idle.
func (p *pool) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle, p.shut, p.armed = nil, true, false
	if p.timer != nil {
		p.timer.Stop()
	}
}
