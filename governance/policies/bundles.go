package policies

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/store"
)

const (
	// pollEvery is how often what enforces in a workspace is looked up, for the case
	// that a signal of the store was lost.
	pollEvery = 400 * time.Millisecond
	// breather is the least time between two looks: a busy workspace signals every
	// commit.
	breather = 20 * time.Millisecond
	// maxAge is how old a look may be that decisions rest on. Older than that, the
	// store is asked before anything is decided.
	maxAge = time.Second
	// maxBuild is how long decisions rest on the bundle before while the next one is
	// made.
	maxBuild = 5 * time.Second
	// idle is how long a workspace is followed that nobody decides in.
	idle = 10 * time.Minute
	// maxPrograms bounds the compiled expressions that are kept for the next bundle.
	maxPrograms = 20_000
)

// Bundles is the Decider of all workspaces: the policies in files, which apply
// everywhere, together with those that are active in a workspace. It follows the
// store, so that every replica enforces what was confirmed on any within a second.
// Where a workspace's policies cannot be loaded nothing is decided there.
type Bundles struct {
	engine   store.Engine
	files    *governance.Live
	log      *slog.Logger
	sets     *store.Collection[activeSet]
	versions *store.Collection[Version]
	programs programs

	mu         sync.Mutex
	workspaces map[string]*followed
	following  context.Context // nil until Run
	work       sync.WaitGroup
}

var _ governance.WorkspaceDecider = (*Bundles)(nil)

// NewBundles follows the policies of a store beside those in files. It reads
// nothing until it is asked.
func NewBundles(engine store.Engine, files *governance.Live, log *slog.Logger) *Bundles {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Bundles{engine: engine, files: files, log: log, sets: store.Of[activeSet](engine, kindSet),
		versions: store.Of[Version](engine, kindVersion), workspaces: map[string]*followed{}}
}

// followed is one workspace that decisions are made in.
type followed struct {
	name   string
	state  atomic.Pointer[state]
	used   atomic.Int64 // unix nanoseconds of the last decision
	look   sync.Mutex   // one look at a time
	cached map[string]governance.Policy
}

// state is what is known of a workspace. It does not change.
type state struct {
	bundle *governance.Bundle
	err    error              // why there is none
	files  *governance.Bundle // what it was made from
	set    int64              // version of the active set, 0 if there is none
	active activeSet
	seen   time.Time // when it was last known to be so
}

func (s *state) fresh(files *governance.Bundle) bool {
	return s != nil && s.files == files && time.Since(s.seen) < maxAge
}

// Run follows the workspaces that are decided in, until ctx ends.
func (b *Bundles) Run(ctx context.Context) {
	b.mu.Lock()
	b.following = ctx
	for _, f := range b.workspaces {
		b.follow(ctx, f)
	}
	b.mu.Unlock()
	<-ctx.Done()
	b.work.Wait()
}

// For implements governance.WorkspaceDecider.
func (b *Bundles) For(ctx context.Context, workspace string) (*governance.Bundle, error) {
	s, err := b.current(ctx, workspace)
	if err != nil {
		return nil, err
	}
	return s.bundle, nil
}

// current is the state that decisions rest on now.
func (b *Bundles) current(ctx context.Context, workspace string) (*state, error) {
	f := b.followed(workspace)
	f.used.Store(time.Now().UnixNano())
	s := f.state.Load()
	if s.fresh(b.files.Bundle()) {
		return s, s.err
	}
	if !f.look.TryLock() {
		// Somebody is looking. The bundle of before stays in place meanwhile.
		if s != nil && time.Since(s.seen) < maxBuild {
			return s, s.err
		}
		f.look.Lock()
	}
	defer f.look.Unlock()
	if s = f.state.Load(); s.fresh(b.files.Bundle()) {
		return s, s.err
	}
	s, err := b.refresh(ctx, f)
	if err != nil {
		return nil, err
	}
	return s, s.err
}

// Refresh looks at a workspace at once: what was confirmed before it is called is
// enforced by this process when it returns.
func (b *Bundles) Refresh(ctx context.Context, workspace string) error {
	s, err := b.lookAt(ctx, b.followed(workspace))
	if err != nil {
		return err
	}
	return s.err
}

func (b *Bundles) lookAt(ctx context.Context, f *followed) (*state, error) {
	f.look.Lock()
	defer f.look.Unlock()
	return b.refresh(ctx, f)
}

func (b *Bundles) followed(workspace string) *followed {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.workspaces[workspace]
	if f == nil {
		f = &followed{name: workspace}
		f.used.Store(time.Now().UnixNano())
		b.workspaces[workspace] = f
		if b.following != nil && b.following.Err() == nil {
			b.follow(b.following, f)
		}
	}
	return f
}

// follow looks at a workspace whenever the store says that something changed there,
// and regularly, until nobody decides in it any more.
func (b *Bundles) follow(ctx context.Context, f *followed) {
	b.work.Go(func() {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		var signals <-chan struct{}
		for {
			if signals == nil {
				if changed, err := b.engine.Watch(ctx, f.name); err == nil {
					signals = changed
				}
			}
			select {
			case <-ctx.Done():
				return
			case _, ok := <-signals:
				if !ok {
					signals = nil
				}
			case <-tick.C:
			}
			if b.abandon(f) {
				return
			}
			if _, err := b.lookAt(ctx, f); err != nil && ctx.Err() == nil {
				b.log.Debug("policies cannot be looked up at the moment", "workspace", f.name, "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(breather):
			}
		}
	})
}

// abandon forgets a workspace that is not used.
func (b *Bundles) abandon(f *followed) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(time.Unix(0, f.used.Load())) < idle {
		return false
	}
	delete(b.workspaces, f.name)
	return true
}

// refresh looks whether anything changed and makes a new bundle if so; followed.look
// is locked. The bundle that decides stays in place until the new one is whole. The
// error is that the store could not be asked; what is wrong with the policies
// themselves is in the state.
func (b *Bundles) refresh(ctx context.Context, f *followed) (*state, error) {
	old := f.state.Load()
	began, files := time.Now(), b.files.Bundle()
	set, version, err := b.sets.Get(ctx, f.name, setID)
	if errors.Is(err, store.ErrNotFound) {
		set, version, err = activeSet{}, 0, nil
	}
	if err != nil {
		return nil, unavailable(err)
	}
	next := &state{files: files, set: version, active: set, seen: began}
	if old != nil && old.files == files && old.set == version && old.err == nil {
		next.bundle = old.bundle
	} else if next.bundle, err = b.build(ctx, f, files, set); err != nil {
		var outage *outage
		if errors.As(err, &outage) {
			return nil, unavailable(err)
		}
		// Deciding by fewer policies than were confirmed would be silent.
		next.err = fault.Wrap(err, fault.GovernanceUnavailable, "the policies of this workspace cannot be loaded, so that nothing is decided here")
		b.log.Error("the policies of a workspace cannot be loaded; nothing is decided there", "workspace", f.name, "error", err)
	}
	if old == nil || old.bundle != next.bundle {
		if next.bundle != nil {
			b.log.Debug("policies of a workspace", "workspace", f.name, "active", len(set.Active), "bundle", next.bundle.Version())
		}
	}
	f.state.Store(next)
	return next, nil
}

// outage is an error of the store, as opposed to one of the policies.
type outage struct{ error }

func (o *outage) Unwrap() error { return o.error }

// build makes the bundle of a workspace.
func (b *Bundles) build(ctx context.Context, f *followed, files *governance.Bundle, set activeSet) (*governance.Bundle, error) {
	if len(set.Active) == 0 {
		f.cached = nil
		return files, nil
	}
	cached := make(map[string]governance.Policy, len(set.Active))
	own := make([]governance.Policy, 0, len(set.Active))
	for _, a := range set.Active {
		key := versionID(a.ID, a.Version)
		p, ok := f.cached[key]
		if !ok {
			v, _, err := b.versions.Get(ctx, f.name, key)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, &outage{err}
			}
			if err != nil {
				return nil, fmt.Errorf("policy %s version %d is not there", a.ID, a.Version)
			}
			if v.Digest != a.Digest {
				return nil, fmt.Errorf("policy %s version %d is not the one that was confirmed", a.ID, a.Version)
			}
			if p, err = v.policy(a.Name); err != nil {
				return nil, fmt.Errorf("policy %s version %d: %w", a.ID, a.Version, err)
			}
		}
		cached[key] = p
		p.Name = a.Name
		own = append(own, p)
	}
	f.cached = cached
	return b.bundle(files, own)
}

// bundle puts the policies of a workspace beside those in files. A name that stands
// in both keeps both: the workspace's is told apart by its id.
func (b *Bundles) bundle(files *governance.Bundle, own []governance.Policy) (*governance.Bundle, error) {
	all := slices.Clone(files.Policies())
	taken := map[string]bool{}
	for _, p := range all {
		taken[p.Name] = true
	}
	for _, p := range own {
		if taken[p.Name] {
			p.Name += " (" + p.Source + ")"
		}
		taken[p.Name] = true
		all = append(all, p)
	}
	opts := files.Options()
	opts.Evaluator = b.programs.of(opts.Evaluator)
	return governance.NewBundle(all, opts)
}

// Decide implements governance.Decider. Where the policies of the workspace cannot
// be loaded every call is blocked.
func (b *Bundles) Decide(facts governance.Facts, calls []governance.Call) []governance.CallDecision {
	bundle, err := b.For(context.Background(), facts.Workspace)
	if err != nil {
		out := make([]governance.CallDecision, len(calls))
		for i, c := range calls {
			out[i] = governance.CallDecision{Call: c, Verdict: governance.Block, Reason: governance.ReasonNoPolicies,
				Detail: "the policies of this workspace cannot be loaded", ArgsDigest: governance.ActionDigest(c)}
		}
		return out
	}
	return bundle.Decide(facts, calls)
}

// Hosted implements governance.Decider.
func (b *Bundles) Hosted(facts governance.Facts, toolType string) bool {
	bundle, err := b.For(context.Background(), facts.Workspace)
	return err == nil && bundle.Hosted(facts, toolType)
}

// ReadsReleased implements governance.Decider, which asks of no workspace: what any
// rule may look at is to be loaded.
func (b *Bundles) ReadsReleased(string) bool { return true }

// unavailable is a fault of the store.
func unavailable(err error) error {
	var own *fault.Error
	if errors.As(err, &own) || errors.Is(err, context.Canceled) {
		return err
	}
	e := fault.Wrap(err, fault.StoreUnavailable, "the policies of this workspace cannot be looked up; nothing was decided")
	e.RetryAfter = 1
	return e
}

// programs keeps compiled expressions from one bundle to the next, which usually
// differs from it in one policy.
type programs struct {
	mu   sync.Mutex
	held map[string]governance.Program
}

// of is an evaluator that compiles each expression once, and looks into expressions
// as far as the one given does.
func (p *programs) of(e governance.Evaluator) governance.Evaluator {
	if a, ok := e.(governance.Analyzer); ok {
		return analyzing{remembering{e, p}, a}
	}
	return remembering{e, p}
}

type remembering struct {
	governance.Evaluator
	programs *programs
}

type analyzing struct {
	remembering
	governance.Analyzer
}

// Compile keeps programs without a schema; those with one are made per request's
// tool and kept by the bundle.
func (r remembering) Compile(expr string, schema []byte) (governance.Program, error) {
	if len(schema) > 0 {
		return r.Evaluator.Compile(expr, schema)
	}
	r.programs.mu.Lock()
	held, ok := r.programs.held[expr]
	r.programs.mu.Unlock()
	if ok {
		return held, nil
	}
	made, err := r.Evaluator.Compile(expr, schema)
	if err != nil {
		return nil, err
	}
	r.programs.mu.Lock()
	if r.programs.held == nil || len(r.programs.held) >= maxPrograms {
		r.programs.held = map[string]governance.Program{}
	}
	r.programs.held[expr] = made
	r.programs.mu.Unlock()
	return made, nil
}
