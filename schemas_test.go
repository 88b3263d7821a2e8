package cadreen_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"cadreen/governance"
)

// The schemas for editors accept every case file and policy of this repository, and refuse what the loader refuses.
func TestSchemasForEditorsFitTheFiles(t *testing.T) {
	cases, policy := schemaOf(t, "cases", governance.CaseSchema), schemaOf(t, "policy", governance.PolicySchema)
	n := 0
	require.NoError(t, filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".yaml":
			return nil
		}
		text, err := os.ReadFile(path)
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(path, "cases.yaml"):
			n++
			for _, document := range documentsOf(t, text) {
				require.NoError(t, cases.Validate(document), path)
			}
		case strings.Contains(string(text), "\nrules:\n"):
			n++
			for _, document := range documentsOf(t, text) {
				require.NoError(t, policy.Validate(document), path)
			}
		}
		if strings.HasPrefix(path, "examples/") {
			// Editors find the schema by the first line.
			at, ok := strings.CutPrefix(strings.SplitN(string(text), "\n", 2)[0], "# yaml-language-server: $schema=")
			require.True(t, ok, "%s does not name its schema", path)
			require.FileExists(t, filepath.Join(filepath.Dir(path), at))
		}
		return nil
	}))
	require.Greater(t, n, 6)
	for _, bad := range []string{"[]", "cases: []", "- {expect: allow}", "- {call: {name: pay}}", "- {call: {name: pay}, expects: allow, expect: allow}", "- {call: {name: pay}, expect: alow}",
		"- {call: {name: pay}, expect: allow, profile: strict}", "- {call: {name: pay, arguments: [1]}, expect: allow}", "- {call: {name: pay}, expect: allow, now: tomorrow}"} {
		require.Error(t, cases.Validate(documentsOf(t, []byte(bad))[0]), bad)
		file := filepath.Join(t.TempDir(), "cases.yaml")
		require.NoError(t, os.WriteFile(file, []byte(bad), 0o600))
		_, err := governance.RunCases(bundleOf(t, "name: p\nrules: [{when: \"true\", effect: block}]"), file)
		if !strings.Contains(bad, "[1]") { // a list is arguments that are blocked: a case may say so, as text
			require.Error(t, err, bad)
		}
	}
	for _, bad := range []string{"rules: [{when: a, effect: allow}]", "name: p", "name: p\nrules: []", "name: p\nrules: [{effect: allow}]", "name: p\nrules: [{when: a, efect: allow}]",
		"name: p\nrules: [{when: a, effect: alow}]", "name: p\nrules: [{when: a, effect: allow, mode: on}]", "name: p\nrules: [{when: [], effect: allow}]", "name: p\nrules: [{when: a, effect: allow, tools: []}]",
		"name: p\nrules: [{when: a, effect: confirm, expires: soon}]"} {
		require.Error(t, policy.Validate(documentsOf(t, []byte(bad))[0]), bad)
		_, err := governance.ParsePolicies("p.yaml", []byte(bad), nil)
		require.Error(t, err, bad)
	}
}

// What the loader calls known keys is what the schemas list, no more and no less.
func TestSchemasForEditorsKeepInStepWithTheLoader(t *testing.T) {
	var cases, policy map[string]any
	require.NoError(t, json.Unmarshal(governance.CaseSchema, &cases))
	require.NoError(t, json.Unmarshal(governance.PolicySchema, &policy))
	def := func(schema map[string]any, name string) []string {
		at := schema
		if name != "" {
			at = schema["$defs"].(map[string]any)[name].(map[string]any)
		}
		if one, ok := at["oneOf"].([]any); ok {
			at = one[1].(map[string]any)
		}
		return slices.Sorted(maps.Keys(at["properties"].(map[string]any)))
	}
	const odd = "qqqqqqqqqqqqqqqqqqqq: 1"
	b := bundleOf(t, "name: p\nrules: [{when: \"true\", effect: block}]")
	ofCase := func(text string) error {
		file := filepath.Join(t.TempDir(), "cases.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := governance.RunCases(b, file)
		return err
	}
	ofPolicy := func(text string) error {
		_, err := governance.ParsePolicies("p.yaml", []byte(text), nil)
		return err
	}
	aliases := map[string][]string{"rule": {"rule"}, "tool": {"parameters"}}
	for _, c := range []struct {
		where  string
		err    error
		schema []string
	}{
		{"a case", ofCase("- {" + odd + "}"), def(cases, "case")},
		{"a call", ofCase("- {call: {" + odd + "}}"), def(cases, "call")},
		{"a requester", ofCase("- {requester: {" + odd + "}}"), def(cases, "requester")},
		{"a tool", ofCase("- {tools: {x: {" + odd + "}}}"), def(cases, "tool")},
		{"a policy", ofPolicy(odd), def(policy, "")},
		{"a rule", ofPolicy("rules: [{" + odd + "}]"), def(policy, "rule")},
		{"a line", ofPolicy("rules: [{when: [{" + odd + "}]}]"), def(policy, "line")},
		{"an example", ofPolicy("rules: [{examples: [{" + odd + "}]}]"), def(policy, "example")},
		{"a call", ofPolicy("rules: [{examples: [{call: {" + odd + "}}]}]"), def(policy, "call")},
		{"a requester", ofPolicy("rules: [{examples: [{requester: {" + odd + "}}]}]"), def(policy, "requester")},
	} {
		found := regexp.MustCompile(`unknown key "q+" in ` + c.where + `[^(]*\(use one of ([^)]*)\)`).FindStringSubmatch(c.err.Error())
		require.NotNil(t, found, "%s: %v", c.where, c.err)
		known := append(strings.Split(found[1], ", "), aliases[strings.Fields(c.where)[1]]...)
		slices.Sort(known)
		require.Equal(t, known, c.schema, c.where)
	}
	// The words of a verdict are the words of the loader.
	for _, schema := range []map[string]any{cases["$defs"].(map[string]any)["case"].(map[string]any)["properties"].(map[string]any)["expect"].(map[string]any)} {
		for _, word := range schema["enum"].([]any) {
			_, err := governance.ParseVerdict(word.(string))
			require.NoError(t, err)
		}
	}
}

func schemaOf(t *testing.T, name string, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource(name+".json", doc))
	compiled, err := c.Compile(name + ".json")
	require.NoError(t, err)
	return compiled
}

// documentsOf reads YAML the way editors do: times are text.
func documentsOf(t *testing.T, text []byte) (list []any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	for {
		var n yaml.Node
		err := decoder.Decode(&n)
		if errors.Is(err, io.EOF) {
			return list
		}
		require.NoError(t, err)
		var plain func(*yaml.Node)
		plain = func(n *yaml.Node) {
			if n.ShortTag() == "!!timestamp" {
				n.Tag = "!!str"
			}
			for _, c := range n.Content {
				plain(c)
			}
		}
		plain(&n)
		var v any
		require.NoError(t, n.Decode(&v))
		var text []byte
		text, err = json.Marshal(jsonable(v))
		require.NoError(t, err)
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		require.NoError(t, err)
		list = append(list, doc)
	}
}

// jsonable has text for every key.
func jsonable(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := map[string]any{}
		for k, e := range v {
			m[fmt.Sprint(k)] = jsonable(e)
		}
		return m
	case map[string]any:
		for k, e := range v {
			v[k] = jsonable(e)
		}
	case []any:
		for i, e := range v {
			v[i] = jsonable(e)
		}
	}
	return v
}

func bundleOf(t *testing.T, policy string) *governance.Bundle {
	t.Helper()
	policies, err := governance.ParsePolicies("p.yaml", []byte(policy), nil)
	require.NoError(t, err)
	b, err := governance.NewBundle(policies, policyOptions(t))
	require.NoError(t, err)
	return b
}
