package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// writer is a model server that answers with these texts in turn, and the number of times it was asked.
func writer(t *testing.T, texts ...string) (url string, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		text := texts[int(asked.Add(1)-1)%len(texts)]
		body, err := json.Marshal(map[string]any{"choices": []any{map[string]any{"finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": text}}}})
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1", asked
}

// readAs is what a model answers about a sentence.
func readAs(cel, effect string) string {
	return fmt.Sprintf(`{"understood": true, "unclear": "", "tools": ["process_refund"], "when": [{"if": %q, "effect": %q, "to": ""}], "unless": ""}`, cel, effect)
}

const bucks = "Sizeable reimbursements of a hundred bucks and beyond want a nod"

func TestAModelReadsAPersonConfirmsAndNothingElseIsWritten(t *testing.T) {
	folder := t.TempDir()
	policy, tools, lock := filepath.Join(folder, "p.yaml"), filepath.Join(folder, "tools.json.txt"), filepath.Join(folder, "policies.lock")
	require.NoError(t, os.WriteFile(policy, []byte("name: P\nrules:\n  - {id: bucks, condition: "+bucks+"}\n"), 0o600))
	require.NoError(t, os.WriteFile(tools, []byte("["+refundTool+"]"), 0o600))
	var asked *atomic.Int32
	compile := func(stdin string, replies ...string) (int, string) {
		var url string
		url, asked = writer(t, replies...)
		var out bytes.Buffer
		p := program{Args: []string{"policy", "compile", policy, "--tools", tools, "--model"}, Stdout: &out, Stderr: &out,
			Environ: []string{"CADREEN_BACKEND_URL=" + url, "CADREEN_BACKEND_MODEL=writer"}}
		if stdin != "" {
			p.Stdin = strings.NewReader(stdin)
		}
		return p.run(t.Context()), out.String()
	}
	differ := []string{readAs("args.amount > 100", "confirm"), readAs("args.amount >= 100", "confirm"), readAs("args.amount >= 100", "confirm")}

	// Nobody there, an answer missing, a no: nothing is written.
	for stdin, says := range map[string]string{"": "nobody is there to answer", "2\n": "nobody is there to answer", "allow\nno\n": "not confirmed", "none of these\n": "no reading of the model", "hm\n": "nobody is there"} {
		code, out := compile(stdin, differ...)
		require.Equal(t, exitFailed, code, out)
		require.Contains(t, out, says, stdin)
		require.Contains(t, out, "Nothing was written.")
		require.NoFileExists(t, lock)
	}
	// A model that cannot be used leaves the grammar's answer.
	code, out := compile("yes\n", "Sure, here is your rule!")
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, "the model's readings cannot be used")
	require.Contains(t, out, "not understood")
	require.NoFileExists(t, lock)

	code, out = compile("ask the requester\nyes\n", differ...)
	require.Equal(t, exitOK, code, out)
	require.EqualValues(t, 3, asked.Load())
	require.Contains(t, out, "process_refund with amount exactly 100")
	require.Contains(t, out, "means   A call of process_refund: ask the requester if amount is at least 100; in every other case allow.")
	require.Contains(t, out, "model   confidence 0.67")
	text, err := os.ReadFile(lock)
	require.NoError(t, err)
	require.Contains(t, string(text), "model: 0.66")
	require.Contains(t, string(text), "differ@")

	// Compiled again, nothing is asked and the same is written: what a person confirmed stands.
	code, out = compile("", "not to be asked")
	require.Equal(t, exitOK, code, out)
	require.Contains(t, out, "as it was confirmed before")
	require.Zero(t, asked.Load())
	again, err := os.ReadFile(lock)
	require.NoError(t, err)
	require.Equal(t, string(text), string(again))

	var explained bytes.Buffer
	require.Zero(t, program{Args: []string{"policy", "explain", "--policies", policy, "--tool", "process_refund", "--args", `{"amount": 100}`}, Stdout: &explained, Stderr: &explained}.run(t.Context()))
	require.Contains(t, explained.String(), "process_refund → confirm")
	require.Contains(t, explained.String(), "a model read it, with confidence 0.67")
}

func TestWithoutAModelTheFlagSaysWhatIsMissing(t *testing.T) {
	var out bytes.Buffer
	policy := filepath.Join(t.TempDir(), "p.yaml")
	require.NoError(t, os.WriteFile(policy, []byte("name: P\nrules:\n  - {id: bucks, condition: "+bucks+"}\n"), 0o600))
	require.Equal(t, exitUsage, program{Args: []string{"policy", "compile", policy, "--model"}, Stdout: &out, Stderr: &out}.run(t.Context()))
	require.Contains(t, out.String(), "--model needs backend.url, backend.model")
}
