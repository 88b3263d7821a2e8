package policies

import (
	"context"
	"errors"
	"slices"
	"time"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/store"
)

// Confirmed is the outcome of a confirmation or a rollback.
type Confirmed struct {
	Policy   Policy
	Version  int
	Previous int // what was active before, 0 if nothing
	Already  bool
	At       time.Time
}

// Confirm makes one exact version active. version 0 is the newest; digest, unless
// "", must be that version's. A version that is not the newest, is not compiled, has
// open questions or problems, or was made for other schemas than the tools have now,
// is refused; the one that is active already is no change.
func (r *Registry) Confirm(ctx context.Context, workspace, id string, version int, digest, by string) (out Confirmed, err error) {
	err = r.attempt(ctx, func() error {
		p, at, err := r.get(ctx, workspace, id)
		if err != nil {
			return err
		}
		number := version
		if number == 0 {
			number = p.Latest
		}
		switch {
		case p.Status == Retired:
			return confirmFailed("the policy is retired; roll it back, or send it anew")
		case number > p.Latest || number < 1:
			return confirmFailed("the policy has no version %d; the newest is %d", number, p.Latest)
		case number == p.Active && p.last() != nil:
			if err := r.checkDigest(ctx, workspace, id, number, digest); err != nil {
				return err
			}
			last := p.last()
			out = Confirmed{Policy: p, Version: number, Previous: last.Previous, Already: true, At: last.At}
			return nil
		case number < p.Latest:
			return confirmFailed("version %d is not the newest any more, which is %d: look at that one and confirm it", number, p.Latest)
		}
		v, err := r.Version(ctx, workspace, id, number)
		if err != nil {
			return err
		}
		if err := r.confirmable(ctx, workspace, &v, digest); err != nil {
			return err
		}
		out, err = r.activate(ctx, workspace, p, at, &v, by, false)
		return err
	})
	if err == nil {
		r.enforceNow(ctx, workspace)
	}
	return out, err
}

func confirmFailed(format string, values ...any) error {
	return fault.New(fault.PolicyConfirmFailed, "Nothing was confirmed: "+format, values...)
}

func (r *Registry) checkDigest(ctx context.Context, workspace, id string, number int, digest string) error {
	if digest == "" {
		return nil
	}
	v, err := r.Version(ctx, workspace, id, number)
	if err == nil && v.Digest != digest {
		return confirmFailed("version %d has another digest, %s", number, v.Digest)
	}
	return err
}

// confirmable says why a version may not enforce, if so.
func (r *Registry) confirmable(ctx context.Context, workspace string, v *Version, digest string) error {
	if !v.Ready() {
		e := fault.New(fault.PolicyConfirmFailed, "Nothing was confirmed: version %d is not compiled", v.Number)
		e.Hint = "Answer its questions (POST …/compile), or change what was not understood (PATCH)."
		e.Details = v.open()
		return e
	}
	if digest != "" && v.Digest != digest {
		return confirmFailed("version %d has another digest, %s", v.Number, v.Digest)
	}
	changed, err := r.StaleTools(ctx, workspace, v)
	if err != nil {
		return err
	}
	if len(changed) > 0 {
		return confirmFailed("the schema of %s has changed since version %d was compiled: compile it again and look at the new one", changed[0], v.Number)
	}
	// What enforces must load here as on every replica.
	return r.loads(ctx, workspace, v)
}

// loads says why a version cannot enforce beside what is active, if so.
func (r *Registry) loads(ctx context.Context, workspace string, v *Version) error {
	_, err := r.With(ctx, workspace, v)
	var own *fault.Error
	if err == nil || errors.As(err, &own) {
		return err
	}
	return fault.Wrap(err, fault.PolicyConfirmFailed, "Nothing was confirmed: %v", err)
}

// StaleTools are the tools whose schema, as requests offer it now, is not the one
// that a version was made for.
func (r *Registry) StaleTools(ctx context.Context, workspace string, v *Version) ([]string, error) {
	if len(v.Schemas) == 0 {
		return nil, nil
	}
	hashes, err := r.tools.SchemaHashes(ctx, workspace)
	if err != nil {
		return nil, storeFault(err)
	}
	return staleTools(v, hashes), nil
}

// Stale is StaleTools for several versions at once.
func (r *Registry) Stale(ctx context.Context, workspace string, versions []Version) ([][]string, error) {
	out := make([][]string, len(versions))
	var hashes map[string]string
	for i := range versions {
		if len(versions[i].Schemas) == 0 {
			continue
		}
		if hashes == nil {
			var err error
			if hashes, err = r.tools.SchemaHashes(ctx, workspace); err != nil {
				return nil, storeFault(err)
			}
		}
		out[i] = staleTools(&versions[i], hashes)
	}
	return out, nil
}

// StaleFiles is Stale for policies in files: the schemas are those that
// policies.lock was written for.
func (r *Registry) StaleFiles(ctx context.Context, workspace string, files []governance.Policy) ([][]string, error) {
	versions := make([]Version, len(files))
	for i, p := range files {
		versions[i].Schemas = p.Schemas
	}
	return r.Stale(ctx, workspace, versions)
}

// StalePolicy is an active policy whose tools are not what they were. One in a file
// has no ID and no version.
type StalePolicy struct {
	ID, Name string
	Version  int
	Tools    []string
}

// StaleRules lists the active policies of a workspace that name tools whose schemas
// have changed since.
func (r *Registry) StaleRules(ctx context.Context, workspace string) ([]StalePolicy, error) {
	s, err := r.bundles.current(ctx, workspace)
	if err != nil {
		return nil, err
	}
	var list []StalePolicy
	files := r.Files()
	changed, err := r.StaleFiles(ctx, workspace, files)
	if err != nil {
		return nil, err
	}
	for i, p := range files {
		if len(changed[i]) > 0 {
			list = append(list, StalePolicy{Name: p.Name, Tools: changed[i]})
		}
	}
	for _, a := range s.active.Active {
		v, err := r.Version(ctx, workspace, a.ID, a.Version)
		if err != nil {
			return nil, err
		}
		changed, err := r.StaleTools(ctx, workspace, &v)
		if err != nil {
			return nil, err
		}
		if len(changed) > 0 {
			list = append(list, StalePolicy{a.ID, a.Name, a.Version, changed})
		}
	}
	return list, nil
}

// Waiting lists the policies of a workspace whose newest version waits to be
// confirmed: oldest first, of the first limit that are not retired.
func (r *Registry) Waiting(ctx context.Context, workspace string, limit int) ([]Policy, error) {
	items, err := r.policies.List(ctx, workspace, store.Query{Index: "list", Key: "current", Limit: limit})
	if err != nil {
		return nil, storeFault(err)
	}
	var list []Policy
	for _, it := range items {
		if it.Value.StatusOf(it.Value.Latest) == Draft {
			list = append(list, it.Value)
		}
	}
	return list, nil
}

func staleTools(v *Version, hashes map[string]string) []string {
	var changed []string
	for name, hash := range v.Schemas {
		if now, ok := hashes[name]; ok && now != hash {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed
}

// activate commits that a version is the one that enforces.
func (r *Registry) activate(ctx context.Context, workspace string, p Policy, at int64, v *Version, by string, rollback bool) (Confirmed, error) {
	now, err := r.engine.Now(ctx)
	if err != nil {
		return Confirmed{}, storeFault(err)
	}
	var ops []store.Op
	if p.Status == Retired {
		claim, err := r.names.Create(nameID(p.Name), nameClaim{p.ID})
		if err != nil {
			return Confirmed{}, err
		}
		ops = append(ops, claim)
	}
	out := Confirmed{Version: v.Number, Previous: p.Active, At: now}
	p.Active, p.Status, p.Changed = v.Number, Active, now
	p.Confirmations = append(p.Confirmations, Confirmation{Version: v.Number, Previous: out.Previous, At: now, By: by, Rollback: rollback})
	if over := len(p.Confirmations) - maxConfirmations; over > 0 {
		p.Confirmations = p.Confirmations[over:]
	}
	out.Policy = p
	policy, err := r.policies.Replace(p.ID, at, p, p.index()...)
	if err != nil {
		return out, err
	}
	set, err := r.putSet(ctx, workspace, activePolicy{ID: p.ID, Name: p.Name, Version: v.Number, Digest: v.Digest})
	if err != nil {
		return out, err
	}
	line, err := record(governance.EventPolicyConfirm, workspace, by, &p, v, now)
	if err != nil {
		return out, err
	}
	return out, r.commit(ctx, workspace, append(ops, policy, set, line)...)
}

// putSet is the step that puts a policy into what is active, or takes it out.
func (r *Registry) putSet(ctx context.Context, workspace string, p activePolicy) (store.Op, error) {
	set, version, err := r.sets.Get(ctx, workspace, setID)
	if errors.Is(err, store.ErrNotFound) {
		return r.sets.Create(setID, set.with(p))
	}
	if err != nil {
		return nil, storeFault(err)
	}
	return r.sets.Replace(setID, version, set.with(p))
}

// enforceNow makes this process enforce what was just confirmed; other replicas hear
// of it from the store. Where that fails the next decision looks again.
func (r *Registry) enforceNow(ctx context.Context, workspace string) {
	if err := r.bundles.Refresh(context.WithoutCancel(ctx), workspace); err != nil {
		r.log.Warn("a confirmed policy is not enforced here yet", "workspace", workspace, "error", err)
	}
}

// Rollback makes a version active again that was active before; version 0 is the
// one before the present one, and of a retired policy the last.
func (r *Registry) Rollback(ctx context.Context, workspace, id string, version int, by string) (out Confirmed, err error) {
	err = r.attempt(ctx, func() error {
		p, at, err := r.get(ctx, workspace, id)
		if err != nil {
			return err
		}
		number := version
		if number == 0 {
			number = p.before()
		}
		switch {
		case number == 0:
			return confirmFailed("no other version of the policy was ever active")
		case number == p.Active:
			out = Confirmed{Policy: p, Version: number, Previous: p.last().Previous, Already: true, At: p.last().At}
			return nil
		case !p.confirmed(number):
			return confirmFailed("version %d was never active; confirm it if it is the newest", number)
		}
		if p.Status == Retired {
			if taken, _, err := r.names.Get(ctx, workspace, nameID(p.Name)); err == nil && taken.Policy != p.ID {
				return confirmFailed("another policy has the name %q now", p.Name)
			} else if err != nil && !errors.Is(err, store.ErrNotFound) {
				return storeFault(err)
			}
		}
		v, err := r.Version(ctx, workspace, id, number)
		if err != nil {
			return err
		}
		if err := r.loads(ctx, workspace, &v); err != nil {
			return err
		}
		out, err = r.activate(ctx, workspace, p, at, &v, by, true)
		return err
	})
	if err == nil {
		r.enforceNow(ctx, workspace)
	}
	return out, err
}

// before is the newest version that was active and is not now, 0 if there is none.
func (p *Policy) before() int {
	for _, c := range slices.Backward(p.Confirmations) {
		if c.Version != p.Active {
			return c.Version
		}
	}
	return 0
}

// Retire ends a policy: nothing of it enforces any more, and its name is free. Its
// versions stay, and it can be rolled back. Retiring twice is no change.
func (r *Registry) Retire(ctx context.Context, workspace, id, by string) error {
	err := r.attempt(ctx, func() error {
		p, at, err := r.get(ctx, workspace, id)
		if err != nil || p.Status == Retired {
			return err
		}
		now, err := r.engine.Now(ctx)
		if err != nil {
			return storeFault(err)
		}
		var ops []store.Op
		var last *Version
		if p.Active > 0 {
			v, _, err := r.versions.Get(ctx, workspace, versionID(id, p.Active))
			switch {
			case err == nil:
				last = &v
			case !errors.Is(err, store.ErrNotFound): // what is not there can be taken away
				return storeFault(err)
			}
			set, err := r.putSet(ctx, workspace, activePolicy{ID: id})
			if err != nil {
				return err
			}
			ops = append(ops, set)
		}
		p.Status, p.Active, p.Changed = Retired, 0, now
		put, err := r.policies.Replace(id, at, p, p.index()...)
		if err != nil {
			return err
		}
		line, err := record(governance.EventPolicyRetire, workspace, by, &p, last, now)
		if err != nil {
			return err
		}
		return r.commit(ctx, workspace, append(ops, put, line, r.names.Remove(nameID(p.Name), 0))...)
	})
	if err == nil {
		r.enforceNow(ctx, workspace)
	}
	return err
}

// With is the bundle of a workspace as it would be with these versions active, each
// in the place of what is active of its policy. Nothing is stored.
func (r *Registry) With(ctx context.Context, workspace string, versions ...*Version) (*governance.Bundle, error) {
	s, err := r.bundles.current(ctx, workspace)
	if err != nil {
		return nil, err
	}
	replaced := map[string]bool{}
	var own []governance.Policy
	for _, v := range versions {
		replaced[v.Policy] = true
		name := inlineName
		if v.Policy != "" {
			p, _, err := r.get(ctx, workspace, v.Policy)
			if err != nil {
				return nil, err
			}
			name = p.Name
		}
		p, err := v.policy(name)
		if err != nil {
			return nil, err
		}
		own = append(own, p)
	}
	for _, p := range s.bundle.Policies()[len(s.files.Policies()):] {
		if !replaced[p.Source] {
			own = append(own, p)
		}
	}
	return r.bundles.bundle(s.files, own)
}
