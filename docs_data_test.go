package cadreen_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"cadreen/config"
	"cadreen/fault"
	"cadreen/governance"
	"cadreen/governance/cel"
)

func policyOptions(t *testing.T) governance.Options {
	t.Helper()
	evaluator, err := cel.New()
	require.NoError(t, err)
	return governance.Options{Evaluator: evaluator}
}

// Policies in the documents load, their examples come out right and check has nothing to say against them; cases come out
// right under the first policy of their page; settings are settings.
func TestYAMLInTheDocumentsIsWhatItSeemsToBe(t *testing.T) {
	opts := policyOptions(t)
	var page string
	var first *governance.Bundle
	for _, b := range blocksOf(t, "yaml") {
		if b.Page != page {
			page, first = b.Page, nil
		}
		file := filepath.Join(t.TempDir(), "block.yaml")
		require.NoError(t, os.WriteFile(file, []byte(b.Text), 0o600))
		switch {
		case b.shownFile(): // docs_deploy_test.go
		case b.plain(): // the program compiles it: docs_run_test.go
		case strings.Contains(b.Text, "\nrules:\n"):
			policies, err := governance.LoadFiles(file)
			require.NoError(t, err, "%s:%d", b.Page, b.Line)
			report := governance.Check(policies, opts)
			require.Empty(t, report.Findings, "%s:%d", b.Page, b.Line)
			if first == nil {
				first = report.Bundle
			}
		case strings.HasPrefix(b.Text, "- {name: "):
			require.NotNil(t, first, "%s:%d: cases without a policy before them", b.Page, b.Line)
			requireCases(t, first, file)
		case strings.Contains(b.Text, "listen: "):
			_, err := config.Load(file, []string{"OPENAI_API_KEY=sk-of-the-model", "ON_CALL_KEY=sk_cadreen_on_call_0123456789"})
			if err != nil && !strings.Contains(err.Error(), "/run/secrets/") { // a file of the reader's machine
				t.Errorf("%s:%d: %v", b.Page, b.Line, err)
			}
		default:
			t.Errorf("%s:%d: neither a policy, nor cases, nor settings", b.Page, b.Line)
		}
	}
}

func requireCases(t *testing.T, bundle *governance.Bundle, file string) []governance.CaseResult {
	t.Helper()
	results, err := governance.RunCases(bundle, file)
	require.NoError(t, err)
	for _, r := range results {
		if !r.OK() {
			t.Errorf("%s:%d: %s: %s", r.File, r.Line, r.Name, r.Problem)
		}
	}
	return results
}

// JSON in the documents is strict JSON, the data lines of streams too, and errors have codes that exist.
func TestJSONInTheDocumentsIsJSON(t *testing.T) {
	check := func(b block, text string) {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Errorf("%s:%d: %v", b.Page, b.Line, err)
			return
		}
		object, _ := v.(map[string]any)
		failure, ok := object["error"].(map[string]any)
		if !ok {
			return
		}
		code, _ := failure["code"].(string)
		entry, known := fault.Lookup(code)
		require.True(t, known, "%s:%d: no code %q", b.Page, b.Line, code)
		require.Equal(t, entry.Type, failure["type"], "%s:%d", b.Page, b.Line)
		require.Contains(t, failure["doc_url"], "#"+entry.Anchor(), "%s:%d", b.Page, b.Line)
	}
	for _, b := range blocksOf(t, "json") {
		check(b, b.Text)
	}
	frames := 0
	for _, b := range blocksOf(t, "text") {
		for line := range strings.Lines(b.Text) {
			if data, ok := strings.CutPrefix(line, "data: "); ok && data != "[DONE]\n" {
				frames++
				check(b, data)
			}
		}
	}
	require.NotZero(t, frames)
}
