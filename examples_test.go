package cadreen_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	english "cadreen/governance/rule"
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

// What policies.lock says of the sentences is what they mean for the tools beside it.
func TestTheLocksOfExamplesAreUpToDate(t *testing.T) {
	locks, err := filepath.Glob("examples/*/policies.lock")
	require.NoError(t, err)
	require.Len(t, locks, 3)
	for _, lock := range locks {
		folder := filepath.Dir(lock)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			policies, err := governance.LoadOpen(filepath.Join(folder, "policy.yaml"))
			require.NoError(t, err)
			var pins []governance.Pin
			for _, p := range policies {
				for _, r := range p.Rules {
					if len(r.When) == 1 && r.When[0].If == "" {
						result := english.CompileRule(r, exampleTools(t, folder), nil)
						require.NoError(t, result.Err(), r.ID)
						pins = append(pins, result.Pin().For(r, exampleTools(t, folder)))
					}
				}
			}
			require.NotEmpty(t, pins)
			want, err := governance.EncodeLock(pins)
			require.NoError(t, err)
			have, err := os.ReadFile(lock)
			require.NoError(t, err)
			require.Equal(t, string(want), string(have), "write it again: cadreen policy compile %s/policy.yaml --tools %s/tools.json", folder, folder)
		})
	}
}

func exampleTools(t *testing.T, folder string) []governance.Tool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "tools.json"))
	require.NoError(t, err)
	var listed []struct {
		Function, Custom struct {
			Name, Description string
			Parameters        json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal(text, &listed))
	var list []governance.Tool
	for _, l := range listed {
		if l.Custom.Name != "" {
			list = append(list, governance.Tool{Type: "custom", Name: l.Custom.Name, Description: l.Custom.Description})
			continue
		}
		list = append(list, governance.Tool{Type: "function", Name: l.Function.Name, Description: l.Function.Description, Schema: l.Function.Parameters})
	}
	return list
}
