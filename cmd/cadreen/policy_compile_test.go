package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/config"
	"cadreen/governance"
	"cadreen/tools"
)

// Conditions may speak of the tools that a workspace's requests offered, which
// stand in the store.
func TestPolicyCompileTakesTheToolsOfAWorkspace(t *testing.T) {
	dir := t.TempDir()
	url := "sqlite:" + filepath.Join(dir, "store.db")
	noteTool(t, url, "shop", governance.Tool{Type: "function", Name: "pay_back", Description: "Refunds a payment", Schema: []byte(`{"type":"object","properties":{"sum_cents":{"type":"integer"}}}`)})
	policies := filepath.Join(dir, "policy.yaml")
	require.NoError(t, os.WriteFile(policies, []byte("name: P\nrules:\n  - {id: one, condition: 'pay_back over $100 needs a manager'}\n"), 0o600))
	compile := func(workspace string) (int, string) {
		var out bytes.Buffer
		p := program{Args: []string{"policy", "compile", policies, "--workspace", workspace}, Environ: []string{"CADREEN_STORE_URL=" + url}, Stdout: &out, Stderr: &out}
		return p.run(t.Context()), out.String()
	}
	code, said := compile("shop")
	require.Zero(t, code, said)
	require.Contains(t, said, "args.sum_cents > 10000 → escalate to role:manager")

	code, said = compile("other")
	require.Equal(t, 2, code)
	require.Contains(t, said, `no request of workspace "other" has offered a tool yet`)
}

// noteTool writes a tool as a server does whose request offered it.
func noteTool(t *testing.T, url, workspace string, tool governance.Tool) {
	t.Helper()
	cfg, err := config.Load("", []string{"CADREEN_STORE_URL=" + url})
	require.NoError(t, err)
	engine, err := openStore(t.Context(), cfg.Store, wallClock)
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close()) }()
	seen := tools.NewSeen(engine, nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); seen.Run(ctx) }()
	seen.Note(workspace, time.Now(), func(yield func([]byte)) { yield([]byte(tool.Name)) }, func() map[string]governance.Tool { return map[string]governance.Tool{tool.Name: tool} })
	require.Eventually(t, func() bool {
		list, err := seen.Tools(ctx, workspace)
		return err == nil && len(list) == 1
	}, 10*time.Second, 5*time.Millisecond)
	stop()
	<-done
}
