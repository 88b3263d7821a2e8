package main

import (
	"context"
	"fmt"
	"strings"

	"cadreen/config"
	"cadreen/governance"
	"cadreen/governance/policies"
	"cadreen/store"
	"cadreen/tools"
)

// workspaces checks the policies that were confirmed over the API: that they load,
// and that the tools they name are still the ones they were confirmed for. Nothing
// is said where there are none.
func (d *doctor) workspaces(ctx context.Context, engine store.Engine, cfg *config.Config) {
	files, err := loadPolicies(cfg)
	if err != nil {
		return // said by the line about policies
	}
	names, err := engine.Workspaces(ctx)
	if err != nil {
		d.fail("active", err.Error())
		return
	}
	bundles := policies.NewBundles(engine, governance.NewLive(files), nil)
	registry := policies.New(policies.Options{Engine: engine, Bundles: bundles, Tools: tools.NewSeen(engine, nil)})
	active, in := 0, 0
	for _, workspace := range names {
		if workspace == store.System {
			continue
		}
		bundle, err := bundles.For(ctx, workspace)
		if err != nil {
			d.fail("active", fmt.Sprintf("the policies of workspace %s do not load, so that nothing is decided there: %v; retire or roll back the policy", workspace, err))
			continue
		}
		if own := len(bundle.Policies()) - len(files.Policies()); own > 0 {
			active, in = active+own, in+1
		}
		stale, err := registry.StaleRules(ctx, workspace)
		if err != nil {
			d.fail("active", err.Error())
			continue
		}
		for _, s := range stale {
			if s.ID == "" {
				d.note("stale", fmt.Sprintf("workspace %s, policy %s in a file: the schema of %s has changed since policies.lock was written; run cadreen policy compile again",
					workspace, s.Name, strings.Join(s.Tools, ", ")))
				continue
			}
			d.note("stale", fmt.Sprintf("workspace %s, policy %s: the schema of %s has changed since version %d was confirmed; compile and confirm it anew",
				workspace, s.Name, strings.Join(s.Tools, ", "), s.Version))
		}
	}
	if active > 0 {
		d.ok("active", fmt.Sprintf("%d policies confirmed over the API, in %d workspaces", active, in))
	}
}
