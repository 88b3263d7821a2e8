package policies

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"time"

	"github.com/oklog/ulid/v2"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/store"
)

// Registry keeps the policies of workspaces. All its errors are *fault.Error.
type Registry struct {
	engine   store.Engine
	bundles  *Bundles
	tools    Tools
	words    Compiler
	log      *slog.Logger
	policies *store.Collection[Policy]
	versions *store.Collection[Version]
	names    *store.Collection[nameClaim]
	sets     *store.Collection[activeSet]
}

// Options build a Registry. Engine, Bundles and Tools are required.
type Options struct {
	Engine  store.Engine
	Bundles *Bundles
	Tools   Tools
	Words   Compiler // nil: conditions in plain words are not compiled
	Logger  *slog.Logger
}

// New makes a registry.
func New(o Options) *Registry {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Registry{engine: o.Engine, bundles: o.Bundles, tools: o.Tools, words: o.Words, log: o.Logger,
		policies: store.Of[Policy](o.Engine, kindPolicy), versions: store.Of[Version](o.Engine, kindVersion),
		names: store.Of[nameClaim](o.Engine, kindName), sets: store.Of[activeSet](o.Engine, kindSet)}
}

// nameClaim keeps two policies of a workspace from having one name.
type nameClaim struct {
	Policy string `json:"policy"`
}

func nameID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

// tries is how often a change is attempted against others.
const tries = 8

// errAgain says that a change lost a race and is to be made anew.
var errAgain = errors.New("policies: changed meanwhile")

// attempt makes a change: once, and again after every lost race.
func (r *Registry) attempt(ctx context.Context, change func() error) error {
	for range tries {
		err := change()
		if !errors.Is(err, errAgain) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fault.New(fault.StoreUnavailable, "too many requests change the same policy; nothing was changed")
}

// commit writes, or answers errAgain after a lost race.
func (r *Registry) commit(ctx context.Context, workspace string, ops ...store.Op) error {
	err := r.engine.Commit(ctx, workspace, ops...)
	switch {
	case errors.Is(err, store.ErrConflict):
		return errAgain
	case err != nil:
		return storeFault(err)
	}
	return nil
}

// storeFault names an error of the store: away, or a document that cannot be read.
func storeFault(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, store.ErrUnavailable):
		e := fault.Wrap(err, fault.StoreUnavailable, "")
		e.RetryAfter = 1
		return e
	}
	return fault.Wrap(err, fault.PolicyQueryFailed, "")
}

// record is the line of the decision log that tells of a change, in the commit of
// the change.
func record(event, workspace, by string, p *Policy, v *Version, at time.Time) (store.Op, error) {
	r := governance.Record{Event: event, Workspace: workspace, Principal: by, Resolver: by, Channel: governance.ChannelAPI,
		Subject: p.ID, SubjectName: p.Name, At: at}
	if v != nil {
		r.SubjectVersion, r.SubjectDigest = v.Number, v.Digest
	}
	return governance.AppendRecord(r)
}

// Create makes a policy with its first version, a draft.
func (r *Registry) Create(ctx context.Context, workspace string, in Input, by string) (Policy, Version, error) {
	if in.Name == "" {
		return Policy{}, Version{}, fault.New(fault.PolicyMissingName, "")
	}
	for _, file := range r.bundles.files.Bundle().Policies() {
		if file.Name == in.Name {
			return Policy{}, Version{}, creationFailed(Problems{{"name", "a policy file has this name already"}})
		}
	}
	src := source{Domain: in.Domain, Description: in.Description, Config: in.Config, Rules: in.Rules}
	v, err := r.compile(ctx, workspace, in.Name, src, Version{}, false)
	if err != nil {
		return Policy{}, Version{}, err
	}
	now, err := r.engine.Now(ctx)
	if err != nil {
		return Policy{}, Version{}, storeFault(err)
	}
	p := Policy{ID: "pol_" + ulid.Make().String(), Name: in.Name, Status: Draft, Latest: 1, Created: now, Changed: now, CreatedBy: by}
	v.Policy, v.Number, v.Created, v.By = p.ID, 1, now, by
	err = r.attempt(ctx, func() error {
		if _, _, err := r.names.Get(ctx, workspace, nameID(p.Name)); err == nil {
			return creationFailed(Problems{{"name", "another policy of this workspace has this name"}})
		} else if !errors.Is(err, store.ErrNotFound) {
			return storeFault(err)
		}
		if full, err := r.policies.List(ctx, workspace, store.Query{Index: "list", Key: "current", Offset: MaxPolicies - 1, Limit: 1}); err != nil {
			return storeFault(err)
		} else if len(full) > 0 {
			return creationFailed(Problems{{"", "the workspace has as many policies as it may have; retire some"}})
		}
		name, err := r.names.Create(nameID(p.Name), nameClaim{p.ID})
		if err != nil {
			return err
		}
		policy, err := r.policies.Create(p.ID, p, p.index()...)
		if err != nil {
			return err
		}
		version, err := r.versions.Create(versionID(p.ID, 1), v, v.index()...)
		if err != nil {
			return err
		}
		line, err := record(governance.EventPolicyCreate, workspace, by, &p, &v, now)
		if err != nil {
			return err
		}
		return r.commit(ctx, workspace, name, policy, version, line)
	})
	return p, v, err
}

func (v *Version) index() []store.Index {
	return []store.Index{{Name: "policy", Key: v.Policy, Score: int64(v.Number)}}
}

// compile makes a version of a source, with the tools that are seen now, and the
// answers and readings of the version before.
func (r *Registry) compile(ctx context.Context, workspace, name string, src source, before Version, noModel bool) (Version, error) {
	tools, err := r.tools.Tools(ctx, workspace)
	if err != nil {
		return Version{}, storeFault(err)
	}
	hashes, err := r.tools.SchemaHashes(ctx, workspace)
	if err != nil {
		return Version{}, storeFault(err)
	}
	options := r.bundles.files.Bundle().Options()
	options.Evaluator = r.bundles.programs.of(options.Evaluator)
	c := &compilation{name: name, source: src, answers: before.Answers, options: options, tools: tools, hashes: hashes, words: r.words, kept: before.Kept, noModel: noModel}
	v, err := c.run(ctx)
	var problems Problems
	if errors.As(err, &problems) {
		return v, creationFailed(problems)
	}
	return v, err
}

// CreationFailed is the fault of a policy that ReadInput refuses.
func CreationFailed(err error) error {
	var problems Problems
	if errors.As(err, &problems) {
		return creationFailed(problems)
	}
	return err
}

// EvaluationFailed is the fault of a rule to be tried that ReadInput refuses.
func EvaluationFailed(err error) error {
	var problems Problems
	if !errors.As(err, &problems) {
		return err
	}
	e := fault.Wrap(problems, fault.PolicyEvaluationFailed, "%s", first(problems))
	for _, p := range problems {
		e.Details = append(e.Details, fault.Detail{Field: p.Field, Message: p.Message})
	}
	return e
}

// creationFailed is the fault of a policy that is none.
func creationFailed(problems Problems) error {
	e := fault.Wrap(problems, fault.PolicyCreationFailed, "The policy was not stored: %s", first(problems))
	for _, p := range problems {
		e.Details = append(e.Details, fault.Detail{Field: p.Field, Message: p.Message})
	}
	return e
}

func first(problems Problems) string {
	text := problems[0].String()
	if len(problems) > 1 {
		text += ", and more"
	}
	return text
}

// Get answers a policy with its newest version and, where another one is active,
// that one. Policies in files are found by their ids too.
func (r *Registry) Get(ctx context.Context, workspace, id string) (Policy, Version, error) {
	p, _, err := r.get(ctx, workspace, id)
	if err != nil {
		return p, Version{}, err
	}
	v, err := r.Version(ctx, workspace, id, p.Latest)
	return p, v, err
}

func notFound(id string) error {
	return fault.New(fault.PolicyNotFound, "no policy %.80q", id)
}

func (r *Registry) get(ctx context.Context, workspace, id string) (Policy, int64, error) {
	if !plainID(id) {
		return Policy{}, 0, notFound(id)
	}
	p, version, err := r.policies.Get(ctx, workspace, id)
	if errors.Is(err, store.ErrNotFound) {
		return p, 0, notFound(id)
	}
	if err != nil {
		return p, 0, storeFault(err)
	}
	return p, version, nil
}

// plainID says whether an id could be one of ours: anything else need not be asked
// of the store.
func plainID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// Version answers one version of a policy.
func (r *Registry) Version(ctx context.Context, workspace, id string, number int) (Version, error) {
	v, _, err := r.versions.Get(ctx, workspace, versionID(id, number))
	if errors.Is(err, store.ErrNotFound) {
		return v, fault.New(fault.PolicyNotFound, "policy %q has no version %d", id, number)
	}
	if err != nil {
		return v, storeFault(err)
	}
	return v, nil
}

// Versions are those of a policy, newest first, and whether there are more.
func (r *Registry) Versions(ctx context.Context, workspace, id string, offset, limit int) (Policy, []Version, bool, error) {
	p, _, err := r.get(ctx, workspace, id)
	if err != nil {
		return p, nil, false, err
	}
	items, err := r.versions.List(ctx, workspace, store.Query{Index: "policy", Key: id, Desc: true, Offset: offset, Limit: limit + 1})
	if err != nil {
		return p, nil, false, storeFault(err)
	}
	list := make([]Version, len(items))
	for i, it := range items {
		list[i] = it.Value
	}
	if more := len(list) > limit; more {
		return p, list[:limit], true, nil
	}
	return p, list, false, nil
}

// List answers the policies of a workspace, oldest first, with the version that is
// shown for each: the active one, else the newest. status "" is all but retired.
func (r *Registry) List(ctx context.Context, workspace string, status Status, offset, limit int) ([]Policy, []Version, bool, error) {
	key := string(status)
	if key == "" {
		key = "current"
	}
	items, err := r.policies.List(ctx, workspace, store.Query{Index: "list", Key: key, Offset: offset, Limit: limit + 1})
	if err != nil {
		return nil, nil, false, storeFault(err)
	}
	more := len(items) > limit
	var policies []Policy
	var versions []Version
	for _, it := range items[:min(len(items), limit)] {
		p := it.Value
		number := p.Latest
		if p.Active > 0 {
			number = p.Active
		}
		v, err := r.Version(ctx, workspace, p.ID, number)
		if err != nil {
			return nil, nil, false, err
		}
		policies, versions = append(policies, p), append(versions, v)
	}
	return policies, versions, more, nil
}

// Files are the policies in files, which apply to every workspace.
func (r *Registry) Files() []governance.Policy { return r.bundles.files.Bundle().Policies() }

// Bundles decide.
func (r *Registry) Bundles() *Bundles { return r.bundles }

// SetVersion counts the changes of what is active in a workspace, 0 if there was none.
func (r *Registry) SetVersion(ctx context.Context, workspace string) (int64, error) {
	s, err := r.bundles.current(ctx, workspace)
	if s == nil {
		return 0, err
	}
	return s.set, nil
}

// Active counts the policies that enforce in a workspace, those in files included.
func (r *Registry) Active(ctx context.Context, workspace string) (int, error) {
	bundle, err := r.bundles.For(ctx, workspace)
	if err != nil {
		return 0, err
	}
	return len(bundle.Policies()), nil
}

// Revise changes a policy: what was sent replaces what was there. Anything but the
// name makes a new version, a draft; the active one goes on enforcing.
func (r *Registry) Revise(ctx context.Context, workspace, id string, in Input, by string) (p Policy, v Version, err error) {
	if in.Has("name") && in.Name == "" {
		return p, v, fault.New(fault.PolicyMissingName, "")
	}
	err = r.attempt(ctx, func() error {
		var at int64
		var src source
		if p, v, src, at, err = r.latest(ctx, workspace, id); err != nil {
			return err
		}
		was, err := encode(src)
		if err != nil {
			return err
		}
		in.into(&src)
		is, err := encode(src)
		if err != nil {
			return err
		}
		name := p.Name
		if in.Has("name") {
			name = in.Name
		}
		if bytes.Equal(was, is) {
			return r.revise(ctx, workspace, &p, at, &v, name, nil, by)
		}
		made, err := r.compile(ctx, workspace, name, src, v, false)
		if err != nil {
			return err
		}
		return r.revise(ctx, workspace, &p, at, &v, name, &made, by)
	})
	return p, v, err
}

// into puts what was sent into a source.
func (in *Input) into(src *source) {
	if in.Has("domain") {
		src.Domain = in.Domain
	}
	if in.Has("description") {
		src.Description = in.Description
	}
	if in.Has("config") {
		src.Config = in.Config
	}
	if in.Has("rules") {
		src.Rules = in.Rules
	}
}

// latest is a policy that is not retired, with its newest version, the source of
// that, and the version of the policy's document.
func (r *Registry) latest(ctx context.Context, workspace, id string) (p Policy, v Version, src source, at int64, err error) {
	if p, at, err = r.get(ctx, workspace, id); err != nil {
		return p, v, src, at, err
	}
	if p.Status == Retired {
		return p, v, src, at, creationFailed(Problems{{"", "the policy is retired; roll it back first, or send it anew"}})
	}
	if v, err = r.Version(ctx, workspace, id, p.Latest); err != nil {
		return p, v, src, at, err
	}
	if err := json.Unmarshal(v.Source, &src); err != nil {
		return p, v, src, at, storeFault(err)
	}
	return p, v, src, at, nil
}

// revise commits a new name, a new version, or both; where neither is new it does
// nothing. p and v are the policy and its newest version, before and afterwards.
func (r *Registry) revise(ctx context.Context, workspace string, p *Policy, at int64, v *Version, name string, made *Version, by string) error {
	renamed := name != p.Name
	if !renamed && made == nil {
		return nil
	}
	now, err := r.engine.Now(ctx)
	if err != nil {
		return storeFault(err)
	}
	var ops []store.Op
	if renamed {
		if ops, err = r.rename(ctx, workspace, p, name); err != nil {
			return err
		}
	}
	if made != nil {
		p.Latest++
		made.Policy, made.Number, made.Created, made.By = p.ID, p.Latest, now, by
		put, err := r.versions.Create(versionID(p.ID, made.Number), *made, made.index()...)
		if err != nil {
			return err
		}
		*v, ops = *made, append(ops, put)
	}
	p.Changed = now
	put, err := r.policies.Replace(p.ID, at, *p, p.index()...)
	if err != nil {
		return err
	}
	line, err := record(governance.EventPolicyChange, workspace, by, p, v, now)
	if err != nil {
		return err
	}
	if err := r.commit(ctx, workspace, append(ops, put, line)...); err != nil {
		return err
	}
	if renamed && p.Active > 0 {
		r.enforceNow(ctx, workspace)
	}
	return nil
}

// rename are the steps that give a policy another name; p has it afterwards.
func (r *Registry) rename(ctx context.Context, workspace string, p *Policy, name string) ([]store.Op, error) {
	for _, file := range r.Files() {
		if file.Name == name {
			return nil, creationFailed(Problems{{"name", "a policy file has this name already"}})
		}
	}
	if _, _, err := r.names.Get(ctx, workspace, nameID(name)); err == nil {
		return nil, creationFailed(Problems{{"name", "another policy of this workspace has this name"}})
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, storeFault(err)
	}
	claim, err := r.names.Create(nameID(name), nameClaim{p.ID})
	if err != nil {
		return nil, err
	}
	ops := []store.Op{r.names.Remove(nameID(p.Name), 0), claim}
	p.Name = name
	if p.Active == 0 {
		return ops, nil
	}
	active, err := r.Version(ctx, workspace, p.ID, p.Active)
	if err != nil {
		return nil, err
	}
	put, err := r.putSet(ctx, workspace, activePolicy{ID: p.ID, Name: name, Version: p.Active, Digest: active.Digest})
	return append(ops, put), err
}

// Compile compiles the newest version again, with answers to its questions beside
// those given before, and for the tools that are seen now. Where that changes
// anything it makes a new version, a draft.
func (r *Registry) Compile(ctx context.Context, workspace, id string, answers map[string]string, by string) (p Policy, v Version, err error) {
	err = r.attempt(ctx, func() error {
		var at int64
		var src source
		if p, v, src, at, err = r.latest(ctx, workspace, id); err != nil {
			return err
		}
		given := v
		if given.Answers = maps.Clone(v.Answers); given.Answers == nil {
			given.Answers = map[string]string{}
		}
		maps.Copy(given.Answers, answers)
		made, err := r.compile(ctx, workspace, p.Name, src, given, false)
		if err != nil || same(v, made) {
			return err
		}
		return r.revise(ctx, workspace, &p, at, &v, p.Name, &made, by)
	})
	return p, v, err
}

// same says that two versions differ in nothing but their numbers.
func same(a, b Version) bool {
	b.Policy, b.Number, b.Created, b.By = a.Policy, a.Number, a.Created, a.By
	x, errX := encode(a)
	y, errY := encode(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
