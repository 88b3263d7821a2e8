package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
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

// Where two things fit, a person at a terminal is asked until it is clear, and
// what was said stays in the lock file. Nobody at a terminal is printed to.
func TestPolicyCompileAsksAtATerminal(t *testing.T) {
	dir := t.TempDir()
	tools, policies := filepath.Join(dir, "tools.json"), filepath.Join(dir, "policy.yaml")
	require.NoError(t, os.WriteFile(tools, []byte(`[{"type":"function","function":{"name":"pay","parameters":{"type":"object","properties":{"net_amount":{"type":"number"},"fee_amount":{"type":"number"}}}}}]`), 0o600))
	require.NoError(t, os.WriteFile(policies, []byte("name: P\nrules:\n  - {id: one, condition: 'pay over $100 after 5pm needs a manager'}\n"), 0o600))
	compile := func(terminal bool, stdin string) (int, string) {
		var out bytes.Buffer
		p := program{Args: []string{"policy", "compile", policies, "--tools", tools}, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &out, Terminal: terminal}
		return p.run(t.Context()), out.String()
	}
	lock := governance.LockPath(policies)

	code, said := compile(false, "2\nBerlin\n")
	require.Equal(t, 1, code)
	require.Contains(t, said, `--answer 'one/`)
	require.NoFileExists(t, lock)

	code, said = compile(true, "2\n") // gone in the middle of it
	require.Equal(t, 1, code)
	require.Contains(t, said, `--answer 'one/zone`)
	require.NoFileExists(t, lock)

	code, said = compile(true, "hm\n9\n2\nthe moon\nBerlin\n")
	require.Zero(t, code, said)
	require.Contains(t, said, "  2) net_amount")
	require.Contains(t, said, "  or a city, such as Berlin")
	require.Contains(t, said, `"the moon" is no answer.`)
	require.Contains(t, said, `args.net_amount > 100 && in_hours("Europe/Berlin", "17:00-24:00") → escalate to role:manager`)

	code, said = compile(true, "") // nothing is asked twice
	require.Zero(t, code, said)
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
	seen.Note(workspace, time.Now(), []byte(tool.Name), nil, func() map[string]governance.Tool { return map[string]governance.Tool{tool.Name: tool} })
	require.Eventually(t, func() bool {
		list, err := seen.Tools(ctx, workspace)
		return err == nil && len(list) == 1
	}, 10*time.Second, 5*time.Millisecond)
	stop()
	<-done
}
