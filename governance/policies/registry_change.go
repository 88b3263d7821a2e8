package policies

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/store"
)

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
