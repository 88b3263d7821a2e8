package rule_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"cadreen/governance"
	"cadreen/governance/cel"
	"cadreen/governance/rule"
)

var update = flag.Bool("update", false, "write docs/plain-english.md")

// group is a part of sentences.yaml.
type group struct {
	About     string
	Sentences []struct {
		Says  string
		Calls []string
	}
}

// refusal is an entry of refused.yaml.
type refusal struct {
	Says    string
	Words   []string
	Hint    string // of the last word
	Asks    string // the beginning of the question
	Problem string // its beginning
}

func read[T any](t testing.TB, name string) T {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	var v T
	require.NoError(t, yaml.Unmarshal(text, &v))
	return v
}

func tools(t testing.TB) []governance.Tool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "tools.json"))
	require.NoError(t, err)
	var listed []struct {
		Function struct {
			Name, Description string
			Parameters        json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal(text, &listed))
	var list []governance.Tool
	for _, l := range listed {
		list = append(list, governance.Tool{Type: "function", Name: l.Function.Name, Description: l.Function.Description, Schema: l.Function.Parameters})
	}
	return list
}

// bundle of one sentence, through governance as the server loads it. Every
// expression must also fit the schema of every tool that the rule is for.
func bundle(t testing.TB, says string, result rule.Result) *governance.Bundle {
	t.Helper()
	evaluator, err := cel.New()
	require.NoError(t, err)
	r := result.Rule
	r.ID = "sentence"
	for _, tool := range tools(t) {
		if !rule.Covers(r.Tools, tool.Name) {
			continue
		}
		for _, l := range r.When {
			_, err := evaluator.Compile(l.If, tool.Schema)
			require.NoError(t, err, "%s: %s", tool.Name, l.If)
		}
		if r.Unless != "" {
			_, err := evaluator.Compile(r.Unless, tool.Schema)
			require.NoError(t, err, "%s: %s", tool.Name, r.Unless)
		}
	}
	b, err := governance.NewBundle([]governance.Policy{{Name: "p", Rules: []governance.Rule{r}}}, governance.Options{Evaluator: evaluator})
	require.NoError(t, err)
	return b
}

// judge decides a call as it is written in sentences.yaml.
func judge(t testing.TB, b *governance.Bundle, line string) (got, want string) {
	t.Helper()
	line, want, found := strings.Cut(line, " -> ")
	require.True(t, found, line)
	parts := strings.Split(line, " | ")
	name, arguments, _ := strings.Cut(parts[0], " ")
	facts := governance.Facts{Workspace: "w", Conversation: "c", Requester: governance.Requester{ID: "r"}, Tools: map[string]governance.Tool{}, Now: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
	for _, tool := range tools(t) {
		facts.Tools[tool.Name] = tool
	}
	require.Contains(t, facts.Tools, name)
	for _, p := range parts[1:] {
		word, rest, _ := strings.Cut(p, " ")
		switch word {
		case "at":
			at, err := time.Parse(time.RFC3339, rest)
			require.NoError(t, err)
			facts.Now = at
		case "role":
			facts.Requester.Roles = append(facts.Requester.Roles, rest)
		case "said":
			facts.UserTexts = append(facts.UserTexts, rest)
		case "after":
			facts.Released = append(facts.Released, earlier(t, rest, time.Minute))
		case "result", "claimed":
			tool, text, _ := strings.Cut(rest, " ")
			facts.Results = append(facts.Results, governance.ToolResult{CallID: word, Name: tool, Arguments: "{}", Text: text, Claimed: word == "claimed"})
		default:
			ago, err := time.ParseDuration(word)
			require.NoError(t, err, p)
			call, found := strings.CutPrefix(rest, "ago ")
			require.True(t, found, p)
			facts.Released = append(facts.Released, earlier(t, call, ago))
		}
	}
	for i := range facts.Released {
		require.Contains(t, facts.Tools, facts.Released[i].Name)
		ago := facts.Released[i].At.Sub(time.Time{})
		facts.Released[i].At = facts.Now.Add(-ago)
	}
	d := b.Judge(facts, governance.Call{ID: "call", Name: name, Form: governance.FormFunction, Arguments: arguments})
	if !strings.HasPrefix(want, "shadow ") {
		return d.Verdict.String(), want
	}
	got = "shadow none"
	for _, f := range d.Fired {
		if f.Mode == governance.Shadow && !f.Exempt {
			got = "shadow " + f.Effect.String()
		}
	}
	return got, want
}

// earlier is a call that went out; its time is how long ago, as counted from zero.
func earlier(t testing.TB, call string, ago time.Duration) governance.Released {
	t.Helper()
	name, arguments, found := strings.Cut(call, " ")
	if !found {
		arguments = "{}"
	}
	return governance.Released{ID: "before", Name: name, Arguments: arguments, At: time.Time{}.Add(ago)}
}

func TestSentencesMeanWhatTheirCallsSay(t *testing.T) {
	sentences := 0
	for _, g := range read[[]group](t, "sentences.yaml") {
		for _, s := range g.Sentences {
			sentences++
			t.Run(s.Says, func(t *testing.T) {
				result := rule.Compile(s.Says, tools(t), nil)
				require.NoError(t, result.Err())
				b := bundle(t, s.Says, result)
				outcomes := map[string]bool{}
				for _, call := range s.Calls {
					got, want := judge(t, b, call)
					outcomes[got] = true
					require.Equal(t, want, got, "%s\n%s\n%+v", call, result.ReadBack, result.Rule.When)
				}
				require.True(t, len(outcomes) > 1 || strings.Contains(s.Says, "all calls"), "calls stand on both sides of the boundary")
			})
		}
	}
	require.GreaterOrEqual(t, sentences, 120)
}

func TestSentencesThatAreRefused(t *testing.T) {
	list := read[[]refusal](t, "refused.yaml")
	notUnderstood := 0
	for _, r := range list {
		t.Run(r.Says, func(t *testing.T) {
			result := rule.Compile(r.Says, tools(t), nil)
			switch {
			case r.Asks != "":
				require.Len(t, result.Questions, 1, "%+v", result)
				require.True(t, strings.HasPrefix(result.Questions[0].Text, r.Asks), result.Questions[0].Text)
			case r.Problem != "":
				require.True(t, strings.HasPrefix(result.Problem, r.Problem), "%+v", result)
			default:
				require.Equal(t, r.Words, texts(t, r.Says, result.Unknown), "%+v", result)
				require.Contains(t, result.Unknown[len(result.Unknown)-1].Hint, r.Hint)
			}
			require.Error(t, result.Err())
			require.Empty(t, result.Rule)
			require.Empty(t, result.ReadBack)
		})
		if r.Words != nil {
			notUnderstood++
		}
	}
	require.GreaterOrEqual(t, notUnderstood, 40)
}

// texts of words, after checking that they stand where they say.
func texts(t testing.TB, says string, words []rule.Word) []string {
	t.Helper()
	var list []string
	for _, w := range words {
		require.Equal(t, w.Text, says[w.Start:w.End])
		list = append(list, w.Text)
	}
	return list
}

// short cuts the long list of a group of countries.
func short(cel string) string {
	if len(cel) <= 240 {
		return cel
	}
	return cel[:80] + " …"
}

func TestTheTableInTheDocuments(t *testing.T) {
	intro, err := os.ReadFile(filepath.Join("testdata", "plain-english.md"))
	require.NoError(t, err)
	var page strings.Builder
	page.Write(intro)
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, g := range read[[]group](t, "sentences.yaml") {
		fmt.Fprintf(&page, "\n### %s\n\n| sentence | tools | CEL | read back as |\n|---|---|---|---|\n", g.About)
		for _, s := range g.Sentences {
			result := rule.Compile(s.Says, tools(t), nil)
			require.NoError(t, result.Err(), s.Says)
			names := "every tool"
			if len(result.Rule.Tools) > 0 {
				names = "`" + strings.Join(result.Rule.Tools, "`, `") + "`"
			}
			var lines []string
			for _, l := range result.Rule.When {
				effect := l.Effect.String()
				if l.To != "" {
					effect += " to " + l.To
				}
				lines = append(lines, fmt.Sprintf("`%s` → %s", short(l.If), effect))
			}
			if result.Rule.Unless != "" {
				lines = append(lines, fmt.Sprintf("unless `%s`", short(result.Rule.Unless)))
			}
			fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", cell.Replace(s.Says), names, cell.Replace(strings.Join(lines, "<br>")), cell.Replace(result.ReadBack))
		}
	}
	page.WriteString("\n## Sentences that are refused\n\n| sentence | answer |\n|---|---|\n")
	for _, r := range read[[]refusal](t, "refused.yaml") {
		if strings.TrimSpace(r.Says) == "" {
			continue
		}
		answer := rule.Compile(r.Says, tools(t), nil).Err().Error()
		fmt.Fprintf(&page, "| %s | %s |\n", cell.Replace(r.Says), cell.Replace(answer))
	}
	file := filepath.Join("..", "..", "docs", "plain-english.md")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(page.String()), 0o644))
	}
	have, err := os.ReadFile(file)
	require.NoError(t, err, "make it with: go test ./governance/rule -run TheTable -update")
	require.Equal(t, page.String(), string(have), "make it again with: go test ./governance/rule -run TheTable -update")
}
