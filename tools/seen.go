package tools

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"cadreen/governance"
	"cadreen/store"
)

// What is kept of the tools that a workspace's requests offered.
const (
	// MaxSeen is the number of tools of one workspace.
	MaxSeen = 1000
	// MaxSeenTool is the size of a tool's description and schema together, in
	// bytes; of a larger one the name and the hash are kept.
	MaxSeenTool = 64 << 10
	// MaxSeenBytes is the size of all tools of one workspace together.
	MaxSeenBytes = 4 << 20
)

const (
	kindSeen = "seen_tool"
	// seenAgain is how exact SeenTool.LastSeen is: a tool that is offered with
	// every request is written once in this time.
	seenAgain = time.Hour
	// seenStale is how long a tool must not have been offered before a new one
	// takes its place in a full workspace: a client that makes up names cannot
	// push out what is in use.
	seenStale = 24 * time.Hour
	// maxPrints bounds what is remembered of requests, over all workspaces.
	maxPrints = 4096
	// seenQueue is how many requests may wait to be noted. One that finds no room
	// is noted when its like comes again.
	seenQueue = 64
)

// SeenTool is a tool that a request of the workspace offered.
type SeenTool struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Schema      []byte `json:"schema,omitempty"` // nil where it is over MaxSeenTool
	// SchemaHash is governance.Tool.SchemaHash of the schema as it was offered.
	SchemaHash string    `json:"schema_hash,omitempty"`
	LastSeen   time.Time `json:"last_seen"` // to the hour
}

func (t SeenTool) size() int { return len(t.Name) + len(t.Description) + len(t.Schema) }

// says tells whether another sighting says the same of the tool.
func (t SeenTool) says(o SeenTool) bool {
	return t.Type == o.Type && t.Description == o.Description && t.SchemaHash == o.SchemaHash
}

// Seen remembers, per workspace, what tools its requests offered, in the store.
// Where the same name was offered differently the last one counts.
type Seen struct {
	docs   *store.Collection[SeenTool]
	engine store.Engine
	log    *slog.Logger
	queue  chan sighting

	mu     sync.Mutex
	prints map[print]time.Time // when a request like this was last noted
}

type print struct {
	workspace        string
	tools, functions uint64
}

type sighting struct {
	workspace string
	tools     []SeenTool
}

// NewSeen makes the memory of a store. What is noted is written by Run.
func NewSeen(engine store.Engine, log *slog.Logger) *Seen {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Seen{docs: store.Of[SeenTool](engine, kindSeen), engine: engine, log: log,
		queue: make(chan sighting, seenQueue), prints: map[print]time.Time{}}
}

var seenSeed = maphash.MakeSeed()

// Note takes notice of what a request offered. tools and functions are the bytes
// that the request spells it in; only where such bytes are new, or were last noted
// a while ago, is offered called. Nothing is written here, and nothing waits.
func (s *Seen) Note(workspace string, now time.Time, tools, functions []byte, offered func() map[string]governance.Tool) {
	p := print{workspace, maphash.Bytes(seenSeed, tools), maphash.Bytes(seenSeed, functions)}
	s.mu.Lock()
	at, known := s.prints[p]
	s.mu.Unlock()
	if known && now.Sub(at) < seenAgain {
		return
	}
	list := make([]SeenTool, 0, 8)
	for name, t := range offered() {
		if !governance.ValidName(name) {
			continue // no call of it passes the gate
		}
		seen := SeenTool{Type: t.Type, Name: name, SchemaHash: t.SchemaHash(), LastSeen: now.Truncate(seenAgain)}
		if len(t.Description)+len(t.Schema) <= MaxSeenTool {
			seen.Description, seen.Schema = t.Description, slices.Clone(t.Schema)
		}
		list = append(list, seen)
	}
	if len(list) == 0 {
		return
	}
	select {
	case s.queue <- sighting{workspace, list}:
	default:
		return
	}
	s.mu.Lock()
	if len(s.prints) >= maxPrints {
		clear(s.prints)
	}
	s.prints[p] = now
	s.mu.Unlock()
}

// Run writes what is noted until ctx ends.
func (s *Seen) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case one := <-s.queue:
			if err := s.write(ctx, one); err != nil && ctx.Err() == nil {
				s.log.Warn("the tools of a request were not noted; they are with the next one", "workspace", one.workspace, "error", err)
				s.forget(one.workspace)
			}
		}
	}
}

// forget makes the next request of a workspace be noted again.
func (s *Seen) forget(workspace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.prints, func(p print, _ time.Time) bool { return p.workspace == workspace })
}

// write puts what is new. Two replicas may write at once: both write what they
// saw, and each keeps the bounds.
func (s *Seen) write(ctx context.Context, one sighting) error {
	for try := 0; ; try++ {
		held, err := s.list(ctx, one.workspace)
		if err != nil {
			return err
		}
		ops, err := s.ops(held, one.tools)
		if err != nil || len(ops) == 0 {
			return err
		}
		err = s.engine.Commit(ctx, one.workspace, ops...)
		if !errors.Is(err, store.ErrConflict) || try == 5 {
			return err
		}
	}
}

// ops are the steps that note tools beside those that are held. Bounds are kept
// by letting go of what was not offered for a long time.
func (s *Seen) ops(held []store.Item[SeenTool], tools []SeenTool) ([]store.Op, error) {
	slices.SortFunc(tools, func(a, b SeenTool) int { return cmp.Compare(a.Name, b.Name) })
	byName := map[string]store.Item[SeenTool]{}
	count, bytes := len(held), 0
	for _, it := range held {
		byName[it.ID] = it
		bytes += it.Value.size()
	}
	offered := map[string]bool{}
	for _, t := range tools {
		offered[t.Name] = true
	}
	slices.SortStableFunc(held, func(a, b store.Item[SeenTool]) int { return a.Value.LastSeen.Compare(b.Value.LastSeen) })
	var ops []store.Op
	for _, t := range tools {
		old, known := byName[t.Name]
		if known && old.Value.says(t) && !t.LastSeen.After(old.Value.LastSeen) {
			continue
		}
		if known && t.LastSeen.Before(old.Value.LastSeen) {
			continue // another replica saw it later
		}
		more := 1
		grows := t.size()
		if known {
			more, grows = 0, t.size()-old.Value.size()
		}
		for (count+more > MaxSeen || grows > 0 && bytes+grows > MaxSeenBytes) && len(held) > 0 {
			oldest := held[0]
			if t.LastSeen.Sub(oldest.Value.LastSeen) < seenStale {
				break
			}
			held = held[1:]
			if offered[oldest.ID] {
				continue
			}
			ops = append(ops, s.docs.Remove(oldest.ID, oldest.Version))
			count, bytes = count-1, bytes-oldest.Value.size()
		}
		if count+more > MaxSeen || grows > 0 && bytes+grows > MaxSeenBytes {
			s.log.Warn("too many tools are offered in a workspace to note them all", "tool", t.Name)
			continue
		}
		put, err := s.docs.Set(t.Name, t, store.Index{Name: "all", Score: t.LastSeen.UnixMilli()})
		if known {
			put.IfVersion = old.Version
		} // else: a replica that saw it first wrote the same, or is overwritten
		if err != nil {
			return nil, err
		}
		ops = append(ops, put)
		count, bytes = count+more, bytes+grows
	}
	return ops, nil
}

// list are the documents of a workspace, up to one page beyond the bound.
func (s *Seen) list(ctx context.Context, workspace string) ([]store.Item[SeenTool], error) {
	return s.docs.List(ctx, workspace, store.Query{Index: "all", Desc: true, Limit: store.MaxLimit})
}

// List answers what the workspace's requests offered, by name.
func (s *Seen) List(ctx context.Context, workspace string) ([]SeenTool, error) {
	items, err := s.list(ctx, workspace)
	if err != nil {
		return nil, err
	}
	list := make([]SeenTool, len(items))
	for i, it := range items {
		list[i] = it.Value
	}
	slices.SortFunc(list, func(a, b SeenTool) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// Tools answers the same as tools, for compiling and checking policies. A tool
// whose schema was too large to keep is left out.
func (s *Seen) Tools(ctx context.Context, workspace string) ([]governance.Tool, error) {
	list, err := s.List(ctx, workspace)
	if err != nil {
		return nil, err
	}
	tools := make([]governance.Tool, 0, len(list))
	for _, t := range list {
		if t.SchemaHash != "" && t.Schema == nil {
			continue
		}
		tools = append(tools, governance.Tool{Type: t.Type, Name: t.Name, Description: t.Description, Schema: t.Schema})
	}
	return tools, nil
}

// SchemaHashes answers the hash of the schema of every tool by name, "" for a tool
// without one.
func (s *Seen) SchemaHashes(ctx context.Context, workspace string) (map[string]string, error) {
	list, err := s.List(ctx, workspace)
	if err != nil {
		return nil, err
	}
	hashes := make(map[string]string, len(list))
	for _, t := range list {
		hashes[t.Name] = t.SchemaHash
	}
	return hashes, nil
}
