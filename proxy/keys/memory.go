package keys

import (
	"context"
	"errors"
	"sync"
	"time"

	"cadreen/store"
)

const (
	// fresh is how long a verified key is used without asking the store.
	fresh = 5 * time.Second
	// remember is how long it is used while the store is away.
	remember = 5 * time.Minute
	// negative is how long an unknown key is refused without asking.
	negative = time.Second
	// maxUnknown and maxKnown bound the memory. Unknown keys are whatever
	// strangers send, so they are few and cheap.
	maxUnknown = 1024
	maxKnown   = 100_000
	// lookupTimeout bounds one question to the store; away is the pause after
	// a failed one, so that a dead store does not slow down every request.
	lookupTimeout = 2 * time.Second
	away          = time.Second
)

// memory is what the Ring knows about stored keys. The zero value is empty.
type memory struct {
	mu sync.Mutex
	// generation counts the changes of the store: what was read before the
	// last one is not fresh, whatever its age.
	generation uint64
	known      map[hash]*entry
	unknown    map[hash]refusal
	awayUntil  time.Time
	awayErr    error
}

type entry struct {
	principal  Principal
	verified   time.Time
	generation uint64
}

type refusal struct {
	until      time.Time
	generation uint64
}

// stale makes the next use of every key ask the store.
func (m *memory) stale() {
	m.mu.Lock()
	m.generation++
	m.mu.Unlock()
}

// stored recognises a key of the store by its hash.
func (r *Ring) stored(ctx context.Context, sum hash) (Principal, error) {
	p, generation, err, done := r.memory.recall(sum, r.now())
	if done {
		return p, err
	}
	// The question outlives a caller that goes away: others may wait for what it brings.
	lookup, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
	defer cancel()
	doc, err := r.engine.Get(lookup, store.System, kind, sum.id())
	switch {
	case errors.Is(err, store.ErrNotFound):
		r.memory.refuse(sum, generation, r.now())
		return Principal{}, ErrUnknown
	case err != nil:
		return r.memory.fallBack(sum, err, r.now())
	}
	rec, err := record(doc)
	if err != nil {
		return Principal{}, err
	}
	if rec.RevokedAt != nil {
		r.memory.refuse(sum, generation, r.now())
		return Principal{}, ErrUnknown
	}
	p = Principal{KeyID: rec.ID, Workspace: rec.Workspace, Roles: rec.Roles}
	r.memory.learn(sum, p, generation, r.now())
	return p, nil
}

// recall answers from memory if it may; done is false when the store must be
// asked. generation is that of the question.
func (m *memory) recall(sum hash, now time.Time) (p Principal, generation uint64, err error, done bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	generation = m.generation
	if e, ok := m.known[sum]; ok {
		age := now.Sub(e.verified)
		switch {
		case age < fresh && e.generation == generation:
			return e.principal, generation, nil, true
		case age < remember && now.Before(m.awayUntil):
			return e.principal, generation, nil, true
		}
		return p, generation, nil, false
	}
	if u, ok := m.unknown[sum]; ok && now.Before(u.until) && u.generation == generation {
		return p, generation, ErrUnknown, true
	}
	if now.Before(m.awayUntil) {
		return p, generation, m.awayErr, true
	}
	return p, generation, nil, false
}

func (m *memory) learn(sum hash, p Principal, generation uint64, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxKnown && m.known[sum] == nil {
		m.known = map[hash]*entry{}
	}
	m.known[sum] = &entry{principal: p, verified: now, generation: generation}
	delete(m.unknown, sum)
	m.awayUntil = time.Time{}
}

func (m *memory) refuse(sum hash, generation uint64, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, sum)
	if m.unknown == nil || len(m.unknown) >= maxUnknown {
		m.unknown = map[hash]refusal{}
	}
	m.unknown[sum] = refusal{until: now.Add(negative), generation: generation}
	m.awayUntil = time.Time{}
}

// fallBack uses what was verified lately when the store cannot be asked.
func (m *memory) fallBack(sum hash, err error, now time.Time) (Principal, error) {
	if !errors.Is(err, store.ErrUnavailable) {
		// A store that does not answer in time is away too.
		err = errors.Join(store.ErrUnavailable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.awayUntil, m.awayErr = now.Add(away), err
	if e, ok := m.known[sum]; ok && now.Sub(e.verified) < remember {
		return e.principal, nil
	}
	return Principal{}, err
}

// Run drops what is remembered whenever the store's keys change, in this
// process or another, until ctx ends. Without it a revoked key is still good
// for five seconds.
func (r *Ring) Run(ctx context.Context) {
	for ctx.Err() == nil {
		changes, err := r.engine.Watch(ctx, store.System)
		if err != nil {
			r.log.Warn("keys: changes of API keys are seen within five seconds only", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(fresh):
			}
			continue
		}
		// Changes before the watch began are unknown.
		r.memory.stale()
		for range changes {
			r.memory.stale()
		}
	}
}
