package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"cadreen/config"
	"cadreen/governance"
	"cadreen/governance/cel"
)

// rewatch is the pause before a watch that broke is tried again.
const rewatch = 5 * time.Second

// policyOptions are the settings that policies are compiled with.
func policyOptions(cfg *config.Config) (governance.Options, error) {
	evaluator, err := cel.New()
	if err != nil {
		return governance.Options{}, err
	}
	profile, err := governance.ParseProfile(cfg.Profile)
	if err != nil {
		return governance.Options{}, usageError{err}
	}
	return governance.Options{Evaluator: evaluator, Profile: profile, DefaultExpires: cfg.Confirm.Expires}, nil
}

// loadPolicies compiles what the setting policies names; nothing named is no
// policies, and the profile decides alone.
func loadPolicies(cfg *config.Config) (*governance.Bundle, error) {
	opts, err := policyOptions(cfg)
	if err != nil {
		return nil, err
	}
	var policies []governance.Policy
	if cfg.Policies != "" {
		if policies, err = governance.LoadFiles(cfg.Policies); err != nil {
			return nil, usageError{err}
		}
	}
	bundle, err := governance.NewBundle(policies, opts)
	if err != nil {
		return nil, usageError{err}
	}
	return bundle, nil
}

func openPolicies(cfg *config.Config, log *slog.Logger) (*governance.Live, error) {
	bundle, err := loadPolicies(cfg)
	if err != nil {
		return nil, err
	}
	log.Info("policies", "count", len(bundle.Policies()), "profile", bundle.Profile(), "bundle", bundle.Version())
	return governance.NewLive(bundle), nil
}

// watchPolicies exchanges the bundle when the files change, until ctx ends.
func (m *Main) watchPolicies(ctx context.Context, live *governance.Live) {
	if m.Config.Policies == "" {
		return
	}
	for ctx.Err() == nil {
		err := live.Watch(ctx, m.Config.Policies, func(err error) {
			if err == nil {
				m.log.Info("policies changed", "count", len(live.Bundle().Policies()), "bundle", live.Bundle().Version())
				if err := m.notePolicyFiles(ctx, live.Bundle()); err != nil && ctx.Err() == nil {
					m.log.Error("the change of policies is not in the audit; the next start or change makes up for it", "error", err)
				}
				return
			}
			m.log.Error("changed policies are refused; the old ones stay", "bundle", live.Bundle().Version(), "error", err)
		})
		if err == nil || ctx.Err() != nil {
			return
		}
		m.log.Warn("policies are not watched at the moment", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(rewatch):
		}
	}
}

// describePolicies is doctor's line about them.
func describePolicies(cfg *config.Config) (string, error) {
	bundle, err := loadPolicies(cfg)
	if err != nil {
		return "", err
	}
	if cfg.Policies == "" {
		return fmt.Sprintf("none: the profile %s decides alone", bundle.Profile()), nil
	}
	rules := 0
	for _, p := range bundle.Policies() {
		rules += len(p.Rules)
	}
	return fmt.Sprintf("%s: %d policies, %d rules, profile %s", cfg.Policies, len(bundle.Policies()), rules, bundle.Profile()), nil
}
