package policies

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
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
