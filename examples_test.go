package cadreen_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

// Every example loads without a warning, its cases come out right, and every rule decides at least one of them.
func TestExamples(t *testing.T) {
	folders, err := filepath.Glob("examples/*/policy.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, policy := range folders {
		folder := filepath.Dir(policy)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			policies, err := governance.LoadFiles(policy)
			require.NoError(t, err)
			report := governance.Check(policies, policyOptions(t))
			require.Empty(t, report.Findings)
			require.NotNil(t, report.Bundle)
			decided := map[string]bool{}
			for _, r := range requireCases(t, report.Bundle, filepath.Join(folder, "cases.yaml")) {
				for _, f := range r.Decision.Fired {
					if f.Determining && f.Line > 0 {
						decided[f.Rule] = true
					}
				}
			}
			for _, p := range policies {
				for _, r := range p.Rules {
					require.True(t, decided[r.ID], "no case is decided by a line of %s", r.ID)
				}
			}
		})
	}
}
