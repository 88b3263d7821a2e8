package governance_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"cadreen/governance"
)

type lintCase struct {
	Name     string                       `yaml:"name"`
	Tools    map[string]map[string]string `yaml:"tools"` // tool, argument, type
	Policy   yaml.Node                    `yaml:"policy"`
	Beside   yaml.Node                    `yaml:"beside"`
	Findings []string                     `yaml:"findings"`
}

func TestLint(t *testing.T) {
	text, err := os.ReadFile("testdata/lint.yaml")
	require.NoError(t, err)
	var cases []lintCase
	require.NoError(t, yaml.Unmarshal(text, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			policies := lintPolicy(t, "one", &c.Policy)
			if !c.Beside.IsZero() {
				policies = append(policies, lintPolicy(t, "two", &c.Beside)...)
			}
			var tools []governance.Tool
			for name, args := range c.Tools {
				properties := map[string]any{}
				for arg, kind := range args {
					properties[arg] = map[string]any{"type": kind}
				}
				schema, err := json.Marshal(map[string]any{"type": "object", "properties": properties})
				require.NoError(t, err)
				tools = append(tools, governance.Tool{Type: "function", Name: name, Schema: schema})
			}
			report := governance.Check(policies, policyOptions(t), tools...)
			require.True(t, report.OK(), "%v", report.Findings)
			require.Len(t, report.Findings, len(c.Findings), "%v", report.Findings)
			for i, f := range report.Findings {
				what, call, _ := strings.Cut(c.Findings[i], ": ")
				got := f.Code + " " + f.Rule
				if f.Other != "" {
					got += " by " + f.Other[strings.IndexByte(f.Other, '/')+1:]
				}
				require.Equal(t, what, got, "%v", f)
				if call != "" {
					require.NotNil(t, f.Call)
					require.Contains(t, fmt.Sprintf("%s %s", f.Call.Arguments, f.Call.Circumstances), call, "%v", f)
				}
			}
		})
	}
}

func lintPolicy(t *testing.T, name string, n *yaml.Node) []governance.Policy {
	var plain any
	require.NoError(t, n.Decode(&plain))
	text, err := yaml.Marshal(plain)
	require.NoError(t, err)
	policies, err := governance.ParsePolicies(name+".yaml", append([]byte("name: "+name+"\n"), text...), nil)
	require.NoError(t, err)
	return policies
}
