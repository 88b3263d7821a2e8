package policies

import (
	"context"
	"errors"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/store"
)

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
