package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"cadreen/store"
)

// pollEvery is how often the file is asked whether another process has
// written. It reads a counter in shared memory, a few microseconds.
const pollEvery = 250 * time.Millisecond

// Watch signals commits of this process at once and those of other processes
// within pollEvery.
func (e *Engine) Watch(ctx context.Context, workspace string) (<-chan struct{}, error) {
	if err := store.CheckWorkspace(workspace); err != nil {
		return nil, err
	}
	w := &watcher{signals: make(chan struct{}, 1), seen: -1}
	if !e.hub.add(workspace, w) {
		return nil, unavailable("watch", errClosed)
	}
	// The count is read after the watcher is in place: a commit in between may
	// be signalled needlessly, but none after this call is missed.
	commits, err := e.hub.count(ctx, e.read, workspace)
	if err != nil {
		e.hub.remove(workspace, w)
		return nil, readError(ctx, "watch", err)
	}
	e.hub.reached(w, commits)
	context.AfterFunc(ctx, func() { e.hub.remove(workspace, w) })
	return w.signals, nil
}

// hub knows who watches what, and polls for other processes while anyone does.
type hub struct {
	read *sql.DB

	mu       sync.Mutex
	watchers map[string]map[*watcher]struct{}
	closed   bool

	poll sync.Once
	ctx  context.Context // ends with the hub
	stop context.CancelFunc
	gone sync.WaitGroup
}

type watcher struct {
	signals chan struct{}
	seen    int64 // the workspace's count of commits when last signalled
}

func newHub(read *sql.DB) *hub {
	ctx, stop := context.WithCancel(context.Background())
	return &hub{read: read, watchers: map[string]map[*watcher]struct{}{}, ctx: ctx, stop: stop}
}

func (h *hub) add(workspace string, w *watcher) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	if h.watchers[workspace] == nil {
		h.watchers[workspace] = map[*watcher]struct{}{}
	}
	h.watchers[workspace][w] = struct{}{}
	h.poll.Do(func() { h.gone.Go(h.run) })
	return true
}

func (h *hub) remove(workspace string, w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.watchers[workspace]
	if _, there := of[w]; !there {
		return
	}
	delete(of, w)
	if len(of) == 0 {
		delete(h.watchers, workspace)
	}
	close(w.signals)
}

func (h *hub) reached(w *watcher, commits int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w.seen = max(w.seen, commits)
}

// signal tells the watchers that have not heard of this count yet. The writer
// and the poller both call it; whoever comes second says nothing.
func (h *hub) signal(workspace string, commits int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers[workspace] {
		if commits <= w.seen {
			continue
		}
		w.seen = commits
		select {
		case w.signals <- struct{}{}:
		default: // one is waiting already
		}
	}
}

func (h *hub) watched() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := make([]string, 0, len(h.watchers))
	for name := range h.watchers {
		names = append(names, name)
	}
	return names
}

func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	for _, of := range h.watchers {
		for w := range of {
			close(w.signals)
		}
	}
	clear(h.watchers)
	h.mu.Unlock()
	h.stop()
	h.gone.Wait()
}

func (h *hub) run() {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	var p poller
	defer p.close()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-ticker.C:
		}
		names := h.watched()
		if len(names) == 0 {
			continue
		}
		// A failed look is repeated at the next tick on a new connection,
		// which compares the counts again.
		if err := p.look(h.ctx, h, names); err != nil {
			p.close()
		}
	}
}

// poller holds one connection: data_version compares only with itself.
type poller struct {
	conn    *sql.Conn
	version int64
}

func (p *poller) look(ctx context.Context, h *hub, names []string) error {
	if p.conn == nil {
		conn, err := h.read.Conn(ctx)
		if err != nil {
			return err
		}
		p.conn, p.version = conn, -1
	}
	var version int64
	if err := p.conn.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&version); err != nil {
		return err
	}
	if version == p.version {
		return nil
	}
	for _, name := range names {
		commits, err := h.count(ctx, p.conn, name)
		if err != nil {
			return err
		}
		h.signal(name, commits)
	}
	p.version = version
	return nil
}

func (p *poller) close() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn = nil
	}
}

type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (h *hub) count(ctx context.Context, q queryer, workspace string) (commits int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT coalesce(max(commits), 0) FROM workspaces WHERE name = ?`, workspace).Scan(&commits)
	return commits, err
}
