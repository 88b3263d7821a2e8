package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/settings.md anew")

// write puts a settings file into a fresh folder and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cadreen.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// problems loads and returns every mistake, with the folder of the file taken off.
func problems(t *testing.T, text string, environ ...string) []string {
	t.Helper()
	path := ""
	if text != "" {
		path = write(t, text)
	}
	c, err := Load(path, environ)
	if err == nil {
		return nil
	}
	require.Nil(t, c)
	var found Problems
	require.ErrorAs(t, err, &found)
	var lines []string
	for _, p := range found {
		require.NotEmpty(t, p.File)
		require.NotEmpty(t, p.Problem)
		require.NotEmpty(t, p.Fix, p.String())
		line := p.String()
		if path != "" {
			line = strings.ReplaceAll(line, path, "cadreen.yaml")
		}
		lines = append(lines, line)
	}
	return lines
}

func TestDefaults(t *testing.T) {
	c, err := Load("", nil)
	require.NoError(t, err)
	require.Equal(t, &Config{
		Listen:  "127.0.0.1:8080",
		Backend: Backend{Timeout: 10 * time.Minute, IdleTimeout: 5 * time.Minute, Auth: "configured"},
		Store:   Store{URL: NewURL("sqlite:cadreen-data/cadreen.db")},
		Profile: "guarded",
		Confirm: Confirm{Expires: 15 * time.Minute, Replay: 2 * time.Minute},
		Batch:   "hold",
		OnBlock: "reply",
		Conversation: Conversation{Headers: []string{
			"X-OpenWebUI-Chat-Id", "ChatUI-Conversation-ID", "X-Conversation-Id", "X-Session-Id", "x-session-affinity"}},
		Limits: Limits{Body: 32 << 20, Kept: 4 << 20, Streams: 10_000},
		Errors: "gate",
		Stream: Stream{Heartbeat: Heartbeat{Interval: 15 * time.Second, Style: "chunk"}},
		Trace:  Trace{Store: true, Retention: 30 * 24 * time.Hour},
	}, c)
	require.True(t, c.Backend.Rehearsal())
	require.True(t, c.Loopback())
	require.Equal(t, "http://127.0.0.1:8080", c.Base())
}

func TestEverySettingFromTheFile(t *testing.T) {
	c, err := Load(write(t, `
listen: "[::1]:9000"
public_url: https://cadreen.example.com/gate/
backend: {url: "http://127.0.0.1:11434/v1/", api_key: sk-abc, model: llama3, timeout: 90s, idle_timeout: 1m, auth: configured}
store:
  url: redis://user:pw@127.0.0.1:6379/2
  relaxed: true
keys:
- {name: bot, key: sk_cadreen_0123456789, workspace: support, roles: [chat, reviewer]}
- key: sk_cadreen_abcdefghij
policies: ./policies
profile: locked
confirm: {expires: 1h, replay: 30s}
batch: release_allowed
on_block: replan
conversation: {headers: [X-My-Chat]}
limits: {body: 1 MiB, kept: 512 KiB, streams: 1_000}
cors: {origins: ["*", "https://chat.example.com:8443"]}
errors: http
stream: {heartbeat: {interval: 5s, style: comment}}
trace: {store: false, retention: 90 days}
`), nil)
	require.NoError(t, err)
	require.Equal(t, &Config{
		Listen:    "[::1]:9000",
		PublicURL: "https://cadreen.example.com/gate",
		Backend: Backend{URL: NewURL("http://127.0.0.1:11434/v1"), APIKey: NewSecret("sk-abc"), Model: "llama3",
			Timeout: 90 * time.Second, IdleTimeout: time.Minute, Auth: "configured"},
		Store: Store{URL: NewURL("redis://user:pw@127.0.0.1:6379/2"), Relaxed: true},
		Keys: []Key{
			{Name: "bot", Key: NewSecret("sk_cadreen_0123456789"), Workspace: "support", Roles: []string{"chat", "reviewer"}},
			{Name: "key-2", Key: NewSecret("sk_cadreen_abcdefghij"), Workspace: "default", Roles: []string{"chat"}},
		},
		Policies:     "./policies",
		Profile:      "locked",
		Confirm:      Confirm{Expires: time.Hour, Replay: 30 * time.Second},
		Batch:        "release_allowed",
		OnBlock:      "replan",
		Conversation: Conversation{Headers: []string{"X-My-Chat"}},
		Limits:       Limits{Body: 1 << 20, Kept: 512 << 10, Streams: 1000},
		CORS:         CORS{Origins: []string{"*", "https://chat.example.com:8443"}},
		Errors:       "http",
		Stream:       Stream{Heartbeat: Heartbeat{Interval: 5 * time.Second, Style: "comment"}},
		Trace:        Trace{Store: false, Retention: 90 * 24 * time.Hour},
	}, c)
	require.Equal(t, "https://cadreen.example.com/gate", c.Base())
}

func TestTheEnvironmentStandsOnTopOfTheFile(t *testing.T) {
	path := write(t, "listen: 127.0.0.1:1111\nprofile: observe\nkeys: [{key: sk_cadreen_from_file}]\n")
	c, err := Load(path, []string{
		"CADREEN_LISTEN=127.0.0.1:2222",
		"CADREEN_BACKEND_URL=http://model:8000/v1",
		"CADREEN_BACKEND_API_KEY=sk-xyz",
		"CADREEN_BACKEND_MODEL=m",
		"CADREEN_STORE_URL=sqlite:x.db",
		"CADREEN_STORE_RELAXED=true",
		"CADREEN_API_KEYS=sk_cadreen_from_env_1, sk_cadreen_from_env_2=sales",
		"CADREEN_POLICIES=/etc/p",
		"CADREEN_ERRORS=http",
		"CADREEN_CONFIRM_EXPIRES=20m",
		"CADREEN_STREAM_HEARTBEAT_STYLE=off",
		"CADREEN_CONVERSATION_HEADERS=X-A, X-B",
		"CADREEN_CORS_ORIGINS=https://a.example",
		"CADREEN_LIMITS_BODY=2MiB",
		"CADREEN_PROFILE=", // set to nothing: the file's word stands
	})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:2222", c.Listen)
	require.Equal(t, "http://model:8000/v1", c.Backend.URL.Reveal())
	require.Equal(t, "sk-xyz", c.Backend.APIKey.Reveal())
	require.Equal(t, "observe", c.Profile)
	require.Equal(t, []Key{
		{Name: "env-1", Key: NewSecret("sk_cadreen_from_env_1"), Workspace: "default", Roles: []string{"chat"}},
		{Name: "env-2", Key: NewSecret("sk_cadreen_from_env_2"), Workspace: "sales", Roles: []string{"chat"}},
	}, c.Keys)
	require.Equal(t, 20*time.Minute, c.Confirm.Expires)
	require.Equal(t, []string{"X-A", "X-B"}, c.Conversation.Headers)
	require.Equal(t, int64(2<<20), c.Limits.Body)
	require.True(t, c.Store.Relaxed)
}

// The names that people script against.
func TestNamesOfTheVariables(t *testing.T) {
	want := map[string]string{
		"listen": "CADREEN_LISTEN", "backend.url": "CADREEN_BACKEND_URL", "backend.api_key": "CADREEN_BACKEND_API_KEY",
		"backend.model": "CADREEN_BACKEND_MODEL", "backend.auth": "CADREEN_BACKEND_AUTH", "store.url": "CADREEN_STORE_URL",
		"keys": "CADREEN_API_KEYS", "policies": "CADREEN_POLICIES", "profile": "CADREEN_PROFILE", "errors": "CADREEN_ERRORS",
		"backend.idle_timeout": "CADREEN_BACKEND_IDLE_TIMEOUT",
	}
	for key, env := range want {
		require.Equal(t, env, byKey[key].Env)
	}
	require.Len(t, Settings(), len(byEnv), "two settings share a variable")
}

// A service that other machines reach and that answers with made-up text would look as if it worked.
func TestAnEmptyBackendIsRefusedOnAnAddressThatIsNotLoopback(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:8080", ":8080", "10.0.0.7:80", "[::]:8080", "cadreen.example.com:8080"} {
		got := problems(t, "listen: \""+listen+"\"\n")
		require.Len(t, got, 1, listen)
		require.Contains(t, got[0], "cadreen.yaml:1: backend.url: is empty while "+listen)
		require.Nil(t, problems(t, "", "CADREEN_LISTEN="+listen, "CADREEN_BACKEND_URL=rehearsal"), listen)
	}
	for _, listen := range []string{"127.0.0.1:0", "127.9.9.9:80", "[::1]:8080", "localhost:8080", "LocalHost:1"} {
		require.Nil(t, problems(t, "", "CADREEN_LISTEN="+listen), listen)
	}
}

func TestBase(t *testing.T) {
	for listen, want := range map[string]string{
		":8080": "http://127.0.0.1:8080", "0.0.0.0:80": "http://127.0.0.1:80", "[::]:80": "http://127.0.0.1:80",
		"[::1]:80": "http://[::1]:80", "host:81": "http://host:81",
	} {
		require.Equal(t, want, (&Config{Listen: listen}).Base())
	}
}

func TestDocsSettingsIsUpToDate(t *testing.T) {
	path := filepath.Join("..", "docs", "settings.md")
	if *update {
		require.NoError(t, os.WriteFile(path, Markdown(), 0o644))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(Markdown()), string(have), "run: go test ./config -update")
}

func TestTheExampleInTheDocsLoads(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(secret, []byte("sk_cadreen_0123456789\n"), 0o600))
	text := strings.ReplaceAll(Example, "/run/secrets/support_bot_key", secret)
	require.NotEqual(t, Example, text)
	c, err := Load(write(t, text), []string{"OPENAI_API_KEY=sk-1", "ON_CALL_KEY=sk_cadreen_abcdefghij"})
	require.NoError(t, err)
	require.Equal(t, "sk_cadreen_0123456789", c.Keys[0].Key.Reveal())
	require.Equal(t, []string{RoleChat, RoleReviewer}, c.Keys[1].Roles)
}
