package cadreen_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shellHead is put before every shell block: curl fails where it would show an error, and a server is started, heard saying
// that it listens, stopped, and must end well.
const shellHead = `set -euo pipefail
curl() { command curl -sS --fail-with-body "$@"; }
serve() {
	export CADREEN_LISTEN=127.0.0.1:0 CADREEN_STORE_URL=sqlite:second.db
	coproc cadreen serve "$@"
	local pid=$COPROC_PID line
	while read -r line <&"${COPROC[0]}"; do [[ $line == *"listens on"* ]] && break; done
	kill "$pid"
	wait "$pid"
}
`

// documented is a server as the first lines of the README start it.
type documented struct {
	dir, bin, url, key string
}

// start builds the program and runs it in a folder with the examples and the README's policy.
func start(t *testing.T) documented {
	t.Helper()
	d := documented{dir: t.TempDir(), bin: t.TempDir()}
	build := exec.Command("go", "build", "-o", filepath.Join(d.bin, "cadreen"), "./cmd/cadreen")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	examples, err := filepath.Abs("examples")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(examples, filepath.Join(d.dir, "examples")))
	require.NoError(t, os.Mkdir(filepath.Join(d.dir, "policies"), 0o700))
	_, blocks := readPage(t, "README.md")
	for _, b := range blocks {
		if b.Language == "yaml" {
			require.NoError(t, os.WriteFile(filepath.Join(d.dir, "policies", "refunds.yaml"), []byte(b.Text), 0o600))
		}
	}

	server := exec.Command(filepath.Join(d.bin, "cadreen"), "serve")
	server.Dir, server.Env, server.Stderr = d.dir, append(environment(), "CADREEN_LISTEN=127.0.0.1:0"), os.Stderr
	said, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait()
	})
	lines := bufio.NewScanner(said)
	for d.key == "" && lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "listens on "); ok {
			d.url = url
		}
		if line := strings.TrimSpace(lines.Text()); strings.HasPrefix(line, "sk_cadreen_") {
			d.key = line
		}
	}
	require.NotEmpty(t, d.url)
	require.NotEmpty(t, d.key)
	go func() { _, _ = io.Copy(io.Discard, said) }()
	return d
}

// environment is the machine's, without settings of Cadreen's.
func environment() []string {
	var list []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CADREEN_") {
			list = append(list, v)
		}
	}
	return list
}

var (
	goRun     = regexp.MustCompile(`go run \./cmd/cadreen\b`)
	serving   = regexp.MustCompile(`\bcadreen serve\b`)
	keyOfDocs = regexp.MustCompile(`(?m)^export KEY=.*\n`)
)

// shell runs one block as somebody would who pasted it.
func (d documented) shell(t *testing.T, b block) string {
	t.Helper()
	text := keyOfDocs.ReplaceAllString(b.Text, "")
	text = strings.ReplaceAll(goRun.ReplaceAllString(text, "cadreen"), "http://127.0.0.1:8080", d.url)
	script := exec.CommandContext(t.Context(), "bash", "-c", shellHead+serving.ReplaceAllString(text, "serve"))
	script.Dir = d.dir
	script.Env = append(environment(), "PATH="+d.bin+string(os.PathListSeparator)+os.Getenv("PATH"), "KEY="+d.key)
	out, err := script.CombinedOutput()
	require.NoError(t, err, "%s:%d\n%s", b.Page, b.Line, out)
	return string(out)
}

// What the documents show of commands and programs runs as it stands, against one server.
func TestTheDocumentsRun(t *testing.T) {
	d := start(t)
	t.Run("every shell block, in the order of the pages", func(t *testing.T) { runShell(t, d) })
	t.Run("policies in plain English compile", func(t *testing.T) { runCompile(t, d) })
	t.Run("the JavaScript of the README, with the official package", func(t *testing.T) { runJavaScript(t, d) })
	t.Run("the Go of the README, with the official package", func(t *testing.T) { runGo(t, d) })
}

func runShell(t *testing.T, d documented) {
	var all strings.Builder
	for _, b := range blocksOf(t, "sh") {
		all.WriteString(d.shell(t, b))
	}
	out := all.String()
	// What the README promises about them.
	_, blocks := readPage(t, "README.md")
	prompt := ""
	for _, b := range blocks {
		if b.Language == "text" && prompt == "" {
			prompt = strings.TrimSuffix(b.Text, "\n")
		}
	}
	quoted, err := json.Marshal(prompt)
	require.NoError(t, err)
	require.Contains(t, out, `"content":`+string(quoted)+`,`)
	require.Contains(t, out, `"arguments":"{\"order_id\":\"456\",\"amount\":750}"}}]},"logprobs":null,"finish_reason":"tool_calls"`)
	require.Contains(t, out, "All 10 steps came out right.")
	require.Contains(t, out, `{"escalations":[`)
	// What policies.md shows of explain. What it shows of replay needs recorded decisions: cmd/cadreen tests it.
	_, blocks = readPage(t, "docs/policies.md")
	shown := 0
	for _, b := range blocks {
		if b.Language == "text" && !strings.Contains(b.Text, `before\after`) {
			require.Contains(t, out, b.Text)
			shown++
		}
	}
	require.NotZero(t, shown)
}

// runCompile compiles the policies that have no CEL, with the tools of the tests of the grammar, and loads the outcome.
func runCompile(t *testing.T, d documented) {
	tools, err := filepath.Abs("governance/rule/testdata/tools.json")
	require.NoError(t, err)
	compiled := 0
	for _, b := range blocksOf(t, "yaml") {
		if !b.plain() {
			continue
		}
		compiled++
		folder := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(folder, "policy.yaml"), []byte(b.Text), 0o600))
		b.Text = "cadreen policy compile " + folder + " --tools " + tools + "\ncadreen policy check " + folder + "\n"
		require.Contains(t, d.shell(t, b), "their examples come out right")
	}
	require.NotZero(t, compiled)
}

const snippetTools = `[{"type": "function", "function": {"name": "process_refund", "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}, "amount": {"type": "number"}}}}}]`

func runJavaScript(t *testing.T, d documented) {
	for _, b := range blocksOf(t, "js") {
		installed, err := filepath.Abs("proxy/clienttest/node_modules")
		require.NoError(t, err)
		require.DirExists(t, installed, "make test installs it")
		dir := t.TempDir()
		require.NoError(t, os.Symlink(installed, filepath.Join(dir, "node_modules")))
		program := `const KEY = process.env.KEY, tools = ` + snippetTools + `, messages = [{ role: "user", content: "Refund order 456 for $750" }];` + "\n" +
			strings.ReplaceAll(b.Text, "http://127.0.0.1:8080", d.url) + "\nconsole.log(reply.choices[0].message.content);\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, "readme.mjs"), []byte(program), 0o600))
		requirePrompt(t, d, exec.CommandContext(t.Context(), "node", filepath.Join(dir, "readme.mjs")))
	}
}

func runGo(t *testing.T, d documented) {
	for _, b := range blocksOf(t, "go") {
		program := `package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func main() {
	ctx, key := context.Background(), os.Getenv("KEY")
	messages := []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Refund order 456 for $750")}
	var tools []openai.ChatCompletionToolUnionParam
	if err := json.Unmarshal([]byte(` + "`" + snippetTools + "`" + `), &tools); err != nil {
		panic(err)
	}
` + strings.ReplaceAll(b.Text, "http://127.0.0.1:8080", d.url) + `
	if err != nil {
		panic(err)
	}
	fmt.Println(reply.Choices[0].Message.Content)
}
`
		// An overlay puts the program into the module, whose versions count, without putting it into the folder.
		dir := t.TempDir()
		file := filepath.Join(dir, "main.go")
		require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
		place, err := filepath.Abs(filepath.Join("cmd", "readme", "main.go"))
		require.NoError(t, err)
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{place: file}})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
		requirePrompt(t, d, exec.CommandContext(t.Context(), "go", "run", "-overlay", filepath.Join(dir, "overlay.json"), "./cmd/readme"))
	}
}

func requirePrompt(t *testing.T, d documented, client *exec.Cmd) {
	t.Helper()
	client.Env = append(environment(), "KEY="+d.key)
	out, err := client.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "I need your approval before I can process_refund.\n")
}
