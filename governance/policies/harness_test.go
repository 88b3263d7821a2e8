package policies_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/governance/cel"
	"cadreen/governance/policies"
	"cadreen/governance/rule"
	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
	"cadreen/store/storetest"
)

// seen are the tools of all workspaces of a test.
type seen struct {
	mu    sync.Mutex
	tools []governance.Tool
}

func (s *seen) set(tools ...governance.Tool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tools = tools
}

func (s *seen) Tools(context.Context, string) ([]governance.Tool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tools, nil
}

func (s *seen) SchemaHashes(ctx context.Context, workspace string) (map[string]string, error) {
	tools, _ := s.Tools(ctx, workspace)
	hashes := map[string]string{}
	for _, t := range tools {
		hashes[t.Name] = t.SchemaHash()
	}
	return hashes, nil
}

type words struct{}

func (words) Compile(_ context.Context, c policies.Condition) policies.Sentence {
	result := rule.CompileRule(c.Rule, c.Tools, c.Answers)
	out := policies.Sentence{Rule: result.Rule, Means: result.ReadBack, Problem: result.Problem}
	for _, q := range result.Questions {
		out.Questions = append(out.Questions, policies.Question{ID: q.ID, Text: q.Text, Options: q.Options})
	}
	for _, w := range result.Unknown {
		out.Unknown = append(out.Unknown, policies.Word{Text: w.Text, Start: w.Start, End: w.End})
	}
	return out
}

var refundTool = governance.Tool{Type: "function", Name: "process_refund", Description: "Refunds an order",
	Schema: []byte(`{"type":"object","properties":{"order_id":{"type":"string"},"amount":{"type":"number"}}}`)}

// place is one replica.
type place struct {
	t       testing.TB
	engine  store.Engine
	bundles *policies.Bundles
	*policies.Registry
	tools *seen
	files *governance.Live
}

func filesOf(t testing.TB, text string) *governance.Bundle {
	t.Helper()
	e, err := cel.New()
	require.NoError(t, err)
	var list []governance.Policy
	if text != "" {
		list, err = governance.ParsePolicies("file.yaml", []byte(text), nil)
		require.NoError(t, err)
	}
	b, err := governance.NewBundle(list, governance.Options{Evaluator: e})
	require.NoError(t, err)
	return b
}

func newPlace(t testing.TB, engine store.Engine, files string) *place {
	p := &place{t: t, engine: engine, tools: &seen{tools: []governance.Tool{refundTool}}, files: governance.NewLive(filesOf(t, files))}
	p.bundles = policies.NewBundles(engine, p.files, nil)
	p.Registry = policies.New(policies.Options{Engine: engine, Bundles: p.bundles, Tools: p.tools, Words: words{}})
	return p
}

// follow runs the replica until the test ends.
func (p *place) follow() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.bundles.Run(ctx) }()
	p.t.Cleanup(func() { stop(); <-done })
}

// onStores runs a test on both stores; open gives another engine on the same state,
// as a second replica has it.
func onStores(t *testing.T, test func(t *testing.T, open func() store.Engine)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "p.db"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = engine.Close() })
		test(t, func() store.Engine { return engine }) // one process per file
	})
	t.Run("redis", func(t *testing.T) {
		addr := storetest.RedisServer(t)
		test(t, func() store.Engine {
			engine, err := redis.Open(t.Context(), "redis://"+addr)
			require.NoError(t, err)
			t.Cleanup(func() { _ = engine.Close() })
			return engine
		})
	})
}

func input(t testing.TB, text string) policies.Input {
	t.Helper()
	var body map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(text), &body), text)
	in, err := policies.ReadInput(body)
	require.NoError(t, err)
	return in
}

func (p *place) create(text string) policies.Policy {
	p.t.Helper()
	made, _, err := p.Create(p.t.Context(), "w", input(p.t, text), "key_author")
	require.NoError(p.t, err)
	return made
}

func (p *place) confirm(id string, version int) policies.Confirmed {
	p.t.Helper()
	out, err := p.Confirm(p.t.Context(), "w", id, version, "", "key_author")
	require.NoError(p.t, err)
	return out
}

// verdict of a refund of an amount in a workspace.
func (p *place) verdict(workspace, amount string) governance.Verdict {
	p.t.Helper()
	b, err := p.bundles.For(context.Background(), workspace)
	require.NoError(p.t, err)
	return judge(b, workspace, amount, refundTool).Verdict
}

func judge(b *governance.Bundle, workspace, amount string, tool governance.Tool) governance.CallDecision {
	return b.Judge(governance.Facts{Workspace: workspace, Conversation: "c", Requester: governance.Requester{ID: "k"}, Now: time.Now(),
		Tools: map[string]governance.Tool{"process_refund": tool}},
		governance.Call{ID: "1", Name: "process_refund", Form: governance.FormFunction, Arguments: `{"order_id":"1","amount":` + amount + `}`})
}

// becomes waits until a replica says so.
func (p *place) becomes(workspace, amount string, want governance.Verdict) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); p.verdict(workspace, amount) != want; time.Sleep(2 * time.Millisecond) {
		require.True(p.t, time.Now().Before(deadline), "the policy was never enforced")
	}
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).Code
}

// limit is a policy that blocks refunds above an amount.
func limit(name, amount string) string {
	return strings.NewReplacer("NAME", name, "AMOUNT", amount).Replace(
		`{"name":"NAME","rules":[{"id":"limit","tools":["process_refund"],"when":"args.amount > AMOUNT","effect":"block"}]}`)
}
