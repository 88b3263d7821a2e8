package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/config"
)

const replayedPolicy = `name: Refunds
rules:
  - {id: over, tools: [process_refund], when: 'args.amount > 100', effect: confirm}
`

// Decisions that a server made, which is stopped now, are judged again by another policy: by the table, and by trace id.
func TestReplayOfRecordedDecisions(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		path := setup{store: storeURL, policy: replayedPolicy}.file(t)
		cfg, err := config.Load(path, nil)
		require.NoError(t, err)
		m := &Main{Config: cfg, Stderr: t.Output()}
		require.NoError(t, m.Run(t.Context()))
		p := &proxyUnderTest{t: t, url: m.URL() + "/v1", main: m}
		traces := map[int]string{}
		for _, amount := range []int{50, 100, 101, 750} {
			r := p.post(fmt.Sprintf(`{"model": "cadreen", "messages": [{"role": "user", "content": "Refund order 456 for $%d"}], "tools": [%s]}`, amount, refundTool))
			require.Equal(t, 200, r.status, r.body)
			traces[amount] = r.header.Get("X-Cadreen-Trace-ID")
		}
		require.NoError(t, m.Close())

		stricter := filepath.Join(t.TempDir(), "stricter.yaml")
		require.NoError(t, os.WriteFile(stricter, []byte("name: Refunds\nrules:\n  - {id: over, tools: [process_refund], when: [{if: 'args.amount > 500', effect: block}, {if: 'args.amount >= 100', effect: confirm}]}\n"), 0o600))
		replay := func(args ...string) string {
			var out, errs bytes.Buffer
			code := program{Args: append([]string{"policy", "replay", "--config", path, "--workspace", "shop"}, args...), Stdout: &out, Stderr: &errs}.run(t.Context())
			require.Zero(t, code, errs.String())
			require.Empty(t, errs.String(), "no bar where there is no terminal")
			return out.String()
		}
		text := replay(stricter)
		require.Contains(t, text, "4 calls of 4 turns")
		require.Regexp(t, regexp.MustCompile(`before\\after +allow +clarify +confirm +escalate +block\n +allow +1 +· +1 ! +· +·\n +clarify +· +· +· +· +·\n +confirm +· +· +1 +· +1 !\n`), text)
		require.Contains(t, text, "2 of 4 would have changed.")
		require.Regexp(t, traces[100]+`  process_refund: allow → confirm, rule over says confirm: args.amount >= 100`, text)
		require.Regexp(t, traces[750]+`  process_refund: confirm → block`, text)
		require.NotContains(t, text, traces[101])

		page, err := os.ReadFile("../../docs/policies.md")
		require.NoError(t, err)
		require.Contains(t, withoutTimes(string(page)), "```text\n"+withoutTimes(text)+"```\n", "what policies.md shows")

		require.Contains(t, replay(), "0 of 4 would have changed.")
		require.Contains(t, replay(stricter, "--trace", traces[750]), "1 of 1 would have changed.")
		text = replay(stricter, "--limit", "2")
		require.Contains(t, text, "2 calls of 2 turns")
		require.Contains(t, text, "Older decisions were left out: --limit is 2.")
		require.Contains(t, replay(stricter, "--trace", "cad_nobody"), "No decisions of workspace shop are recorded for trace cad_nobody.")
		require.Contains(t, replay(stricter, "--changes", "1"), "… and 1 more (--changes)")
	})
}

func TestReplayNeedsAStore(t *testing.T) {
	var errs bytes.Buffer
	folder := t.TempDir()
	policy := filepath.Join(folder, "p.yaml")
	require.NoError(t, os.WriteFile(policy, []byte(replayedPolicy), 0o600))
	code := program{Args: []string{"policy", "replay", policy}, Environ: []string{"CADREEN_STORE_URL=sqlite:" + filepath.Join(folder, "none.db")}, Stdout: &errs, Stderr: &errs}.run(t.Context())
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs.String(), "there is no store at")
	require.NoFileExists(t, filepath.Join(folder, "none.db"))
}

// withoutTimes puts a word in the place of every time and every trace id, which differ from run to run.
func withoutTimes(text string) string {
	text = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`).ReplaceAllString(text, "TIME")
	return regexp.MustCompile(`cad_\w+…?`).ReplaceAllString(text, "TRACE")
}
