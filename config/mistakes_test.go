package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMistakesInTheFile(t *testing.T) {
	tests := []struct{ name, give, want string }{
		{"unknown key", "\nlisten: 127.0.0.1:1\nprofil: locked\n", "cadreen.yaml:3: profil: is not a setting; did you mean profile?"},
		{"unknown key in a group", "backend:\n  uri: x\n", "cadreen.yaml:2: backend.uri: is not a setting; did you mean backend.url?"},
		{"unknown and far from all", "confirm:\n  whatever: x\n", "cadreen.yaml:2: confirm.whatever: is not a setting; here stand: expires, replay"},
		{"upper case", "Listen: 127.0.0.1:1\n", "cadreen.yaml:1: Listen: is not a setting; did you mean listen?"},
		{"dotted", "backend.url: http://x/v1\n", "cadreen.yaml:1: backend.url: is written with a dot; write it as groups, one level each: backend: {url: …}"},
		{"merge key", "a: &a {x: 1}\n<<: *a\n", "cadreen.yaml:1: a: is not a setting; here stand: listen, public_url, backend, store, keys, policies, profile, confirm, batch, on_block, conversation, limits, cors, errors, stream, trace, audit, telemetry"},
		{"twice", "profile: locked\nbatch: hold\nprofile: observe\n", "cadreen.yaml:3: profile: stands twice, first on line 1; take one of them out"},
		{"twice in a group", "confirm:\n  expires: 1m\n  expires: 2m\n", "cadreen.yaml:3: confirm.expires: stands twice, first on line 2; take one of them out"},
		{"rate", "limits:\n  rate: 5\n", "cadreen.yaml:2: limits.rate: is \"5\", which says no rate; write off, or limits like 600/m, 10/s burst 50, or 600/m, workspace 6000/m (s, m, h or d; one for key, one for workspace)"},
		{"coming: jwt", "jwt:\n  jwks_url: x\n", "cadreen.yaml:1: jwt: is not in this version; take it out"},
		{"otlp_endpoint", "telemetry: {otlp_endpoint: x}\n", "cadreen.yaml:1: telemetry.otlp_endpoint: is not an http or https address; write it like https://example.com"},
		{"group instead of value", "listen: {host: x}\n", "cadreen.yaml:1: listen: must be a single value; write it on the same line as its name"},
		{"value instead of group", "backend: http://x\n", "cadreen.yaml:1: backend: must be a group of settings; write name: value lines below it"},
		{"value instead of list", "cors: {origins: https://x}\n", "cadreen.yaml:1: cors.origins: must be a list; write [a, b], or one `- a` line for each"},
		{"no value", "profile:\n", "cadreen.yaml:1: profile: has no value; give it one, or take the line out"},
		{"empty value", "profile: ''\n", "cadreen.yaml:1: profile: has no value; give it one, or take the line out"},
		{"list at the top", "- a\n", "cadreen.yaml:1: must be a group of settings; write name: value lines below it"},
		{"two documents", "profile: locked\n---\nprofile: observe\n", "cadreen.yaml:2: has a second document; keep one document; take the line --- out"},
		{"no YAML", "profile: locked\n  x: [\n", "cadreen.yaml:2: is not valid YAML: mapping values are not allowed in this context; check the indentation and the quotes there"},
		{"listen", "listen: '8080'\n", `cadreen.yaml:1: listen: is "8080", not host:port; write it like 127.0.0.1:8080, or [::1]:8080`},
		{"port", "listen: 127.0.0.1:http\n", `cadreen.yaml:1: listen: has the port "http"; write a number from 0 to 65535; 0 takes a free port`},
		{"port too high", "listen: 127.0.0.1:70000\n", `cadreen.yaml:1: listen: has the port "70000"; write a number from 0 to 65535; 0 takes a free port`},
		{"public_url", "public_url: cadreen.example.com\n", "cadreen.yaml:1: public_url: is not an http or https address; write it like https://example.com"},
		{"backend.url with query", "backend: {url: 'https://x/v1?a=b'}\n", "cadreen.yaml:1: backend.url: holds a query or a fragment; end the address before ? or #"},
		{"backend.url with key", "backend: {url: 'https://sk-secret@x/v1'}\n", "cadreen.yaml:1: backend.url: holds a user name or password; take the part before @ out of the address and put the key into backend.api_key"},
		{"backend.url too long", "backend: {url: 'https://x/v1/chat/completions'}\n", "cadreen.yaml:1: backend.url: ends in /chat/completions; write the base URL only: https://x/v1"},
		{"backend.api_key", "backend: {api_key: 'Bearer sk-secret'}\n", "cadreen.yaml:1: backend.api_key: holds a blank, a line end or another character that a header cannot carry; check the secret for a stray line or quotes"},
		{"backend.auth", "backend: {auth: forward}\n", `cadreen.yaml:1: backend.auth: is "forward"; write configured or passthrough`},
		{"passthrough with a key", "backend: {auth: passthrough, api_key: sk-secret}\n", "cadreen.yaml:1: backend.api_key: is never sent when backend.auth is passthrough; take one of the two out"},
		{"duration", "confirm: {expires: 15}\n", `cadreen.yaml:1: confirm.expires: is "15", not a time; write a number with its unit, like 90s, 15m or 4h`},
		{"no duration", "confirm: {expires: 0s}\n", "cadreen.yaml:1: confirm.expires: is not above zero; write a time like 90s, 15m or 4h"},
		{"long duration", "confirm: {expires: 100000h}\n", "cadreen.yaml:1: confirm.expires: is longer than a year; write a time like 90s, 15m or 4h"},
		{"size", "limits: {body: lots}\n", `cadreen.yaml:1: limits.body: is "lots", not a size; write a number with its unit, like 512 KiB or 32 MiB`},
		{"size 0", "limits: {body: 0}\n", "cadreen.yaml:1: limits.body: is not between 1 KiB and 1 GiB; write a size like 512 KiB or 32 MiB"},
		{"size without end", "limits: {kept: 99999999999999999999 TiB}\n", `cadreen.yaml:1: limits.kept: is "99999999999999999999 TiB", not a size; write a number with its unit, like 512 KiB or 32 MiB`},
		{"count", "limits: {streams: -1}\n", `cadreen.yaml:1: limits.streams: is "-1", not a whole number from 1 to 1000000; write a number like 10000`},
		{"boolean", "store: {relaxed: yes}\n", `cadreen.yaml:1: store.relaxed: is "yes"; write true or false`},
		{"profile", "profile: open\n", `cadreen.yaml:1: profile: is "open"; write guarded, observe or locked`},
		{"batch", "batch: all\n", `cadreen.yaml:1: batch: is "all"; write hold or release_allowed`},
		{"on_block", "on_block: x\n", `cadreen.yaml:1: on_block: is "x"; write reply or replan`},
		{"errors", "errors: x\n", `cadreen.yaml:1: errors: is "x"; write gate or http`},
		{"heartbeat", "stream: {heartbeat: {style: ping}}\n", `cadreen.yaml:1: stream.heartbeat.style: is "ping"; write chunk, comment or off`},
		{"store scheme", "store: {url: 'postgres://u:secret@x/y'}\n", "cadreen.yaml:1: store.url: is not a store that Cadreen knows; begin it with sqlite:, redis://, rediss://, redis+cluster:// or redis+sentinel://"},
		{"store file", "store: {url: 'sqlite:'}\n", "cadreen.yaml:1: store.url: names no file; write it like sqlite:cadreen-data/cadreen.db"},
		{"store host", "store: {url: 'redis://:secret@/0'}\n", "cadreen.yaml:1: store.url: names no host; write it like redis://127.0.0.1:6379"},
		{"store master", "store: {url: 'redis+sentinel://h1,h2'}\n", "cadreen.yaml:1: store.url: names no master; write it like redis+sentinel://mymaster@h1:26379,h2:26379"},
		{"header", "conversation:\n  headers: [X-Ok, 'X Bad']\n", `cadreen.yaml:2: conversation.headers: "X Bad" is not the name of a header; use letters, digits and -`},
		{"secret header", "conversation: {headers: [Authorization]}\n", "cadreen.yaml:1: conversation.headers: Authorization does not name a conversation; take it out of the list"},
		{"list of lists", "conversation:\n  headers:\n  - [X]\n", "cadreen.yaml:3: conversation.headers[0]: must be a single value; write it on the same line as its name"},
		{"origin", "cors: {origins: ['https://x/']}\n", `cadreen.yaml:1: cors.origins: "https://x/" is not an origin; write it like https://chat.example.com, without a path or final slash`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := problems(t, tt.give)
			require.NotEmpty(t, got)
			require.Equal(t, tt.want, got[0])
			for _, line := range got {
				require.NotContains(t, line, "secret@")
				require.NotContains(t, line, "sk-secret")
			}
		})
	}
}

func TestMistakesInKeys(t *testing.T) {
	tests := []struct{ name, give, want string }{
		{"no list", "keys: sk_cadreen_0123456789\n", "cadreen.yaml:1: keys: must be a list; write one `- {name: …, key: …}` line for each"},
		{"no group", "keys:\n- sk_cadreen_0123456789\n", "cadreen.yaml:2: keys[0]: must be a group; write {name: …, key: …, workspace: …, roles: […]}"},
		{"no key", "keys:\n- name: a\n", "cadreen.yaml:2: keys[0]: has no key; give it one with `key`, or make one with: cadreen key create"},
		{"short", "keys:\n- key: sk_secret\n", "cadreen.yaml:2: keys[0]: the key is shorter than 16 characters; make one with: cadreen key create"},
		{"blank", "keys:\n- key: sk_secret 0123456789\n", "cadreen.yaml:2: keys[0]: the key holds a blank, a line end or a character outside ASCII; use letters, digits and _ only"},
		{"role", "keys:\n- {key: sk_secret_0123456789, roles: [not a role]}\n", `cadreen.yaml:2: keys[0]: has the role "not a role"; write chat, reviewer, author or operator, or a word of your own for requester.roles: 1 to 64 letters, digits or one of _.:/-`},
		{"workspace", "keys:\n- {key: sk_secret_0123456789, workspace: 'a{b}'}\n", `cadreen.yaml:2: keys[0]: the workspace is "a{b}"; use up to 64 letters, digits, - and _`},
		{"name", "keys:\n- {key: sk_secret_0123456789, name: \"a\\nb\"}\n", "cadreen.yaml:2: keys[0]: the name is too long or holds a control character; use up to 64 printable characters"},
		{"field", "keys:\n- key: sk_secret_0123456789\n  role: chat\n", "cadreen.yaml:3: keys[0].role: is not a setting; did you mean roles?"},
		{"far field", "keys:\n- key: sk_secret_0123456789\n  tenant: chat\n", "cadreen.yaml:3: keys[0].tenant: is not a setting; here stand: name, key, workspace, roles"},
		{"field twice", "keys:\n- key: sk_secret_0123456789\n  key: sk_secret_0123456780\n", "cadreen.yaml:3: keys[0].key: stands twice; take one of them out"},
		{"key twice", "keys:\n- key: sk_secret_0123456789\n- key: sk_secret_0123456789\n", "cadreen.yaml:3: keys[1]: is the same key as number 1; take one of them out"},
		{"name twice", "keys:\n- {name: a, key: sk_secret_0123456789}\n- {name: a, key: sk_secret_0123456780}\n", "cadreen.yaml:3: keys[1]: has the same name as number 1; give each key its own name"},
		{"null role", "keys:\n- {key: sk_secret_0123456789, roles: [~]}\n", "cadreen.yaml:2: keys[0].roles[0]: has no value; give it one, or take the line out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := problems(t, tt.give)
			require.Equal(t, []string{tt.want}, got)
			require.NotContains(t, got[0], "sk_secret")
		})
	}
}

func TestMistakesInTheEnvironment(t *testing.T) {
	tests := []struct{ name, give, want string }{
		// A slip in the name of a setting that tightens must not leave the door open in silence.
		{"misspelt", "CADREEN_PROFIL=locked", "environment: CADREEN_PROFIL: is not a setting; did you mean CADREEN_PROFILE?"},
		{"unknown", "CADREEN_WHATEVER_ELSE=1", "environment: CADREEN_WHATEVER_ELSE: is not a setting; take it out; docs/settings.md lists the variables"},
		{"coming", "CADREEN_JWT_JWKS_URL=5", "environment: CADREEN_JWT_JWKS_URL: is not in this version; take it out"},
		{"coming group", "CADREEN_JWT_JWKS_URL=x", "environment: CADREEN_JWT_JWKS_URL: is not in this version; take it out"},
		{"port", "CADREEN_PORT=8080", "environment: CADREEN_PORT: is not a setting; take it out; docs/settings.md lists the variables"},
		{"value", "CADREEN_PROFILE=open", `environment: CADREEN_PROFILE: is "open"; write guarded, observe or locked`},
		{"short key", "CADREEN_API_KEYS=sk_cadreen_0123456789,short", "environment: CADREEN_API_KEYS: the key is shorter than 16 characters; make one with: cadreen key create"},
		{"empty workspace", "CADREEN_API_KEYS=sk_cadreen_0123456789=", `environment: CADREEN_API_KEYS: the workspace is "="; use up to 64 letters, digits, - and _`},
		{"key twice", "CADREEN_API_KEYS=sk_cadreen_0123456789,sk_cadreen_0123456789=b", "environment: CADREEN_API_KEYS: is the same key as number 1; take one of them out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, []string{tt.want}, problems(t, "", tt.give))
		})
	}
}

// Kubernetes puts variables for every service into every container; a service named cadreen must not stop its own pods. SDKs of
// clients read two names of their own.
func TestForeignVariablesAreLeftAlone(t *testing.T) {
	require.Nil(t, problems(t, "",
		"CADREEN_SERVICE_HOST=10.0.0.7", "CADREEN_SERVICE_PORT=8080", "CADREEN_SERVICE_PORT_HTTP=8080", "CADREEN_PORT=tcp://10.0.0.7:8080",
		"CADREEN_PORT_8080_TCP=tcp://10.0.0.7:8080", "CADREEN_PORT_8080_TCP_ADDR=10.0.0.7", "CADREEN_REDIS_SERVICE_HOST=10.0.0.8",
		"CADREEN_REDIS_PORT=tcp://10.0.0.8:6379", "CADREEN_REDIS_PORT_6379_TCP_PROTO=tcp", "CADREEN_API_KEY=sk_x", "CADREEN_BASE_URL=http://x",
		"CADREENISH=1", "OTEL_EXPORTER_OTLP_ENDPOINT=http://x", "CADREEN_UNSET_ONE="))
}

func TestEveryMistakeIsNamedAtOnce(t *testing.T) {
	got := problems(t, "listen: x\nprofil: locked\nbackend:\n  timeout: soon\n  ur: y\nkeys:\n- {key: a}\n- {key: b, roles: [x]}\n",
		"CADREEN_ERRORS=x", "CADREEN_ZZZ=1")
	require.Len(t, got, 8, strings.Join(got, "\n"))
}

func TestAMissingFileIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	_, err := Load(path, nil)
	require.ErrorContains(t, err, path+": cannot be read: open ")
	require.ErrorContains(t, err, "--config")
}

func TestFilesThatSayNothing(t *testing.T) {
	want, err := Load("", nil)
	require.NoError(t, err)
	for _, text := range []string{"# nothing\n", "\ufefflisten: 127.0.0.1:8080\n", "backend:\n  # url: x\n", "---\n", "backend: {url: '', model: \"\"}\n", "keys: []\n"} {
		c, err := Load(write(t, text), nil)
		require.NoError(t, err, text)
		require.Equal(t, want, c, text)
	}
}

func TestAliasesAreFollowedAndLoopsEnd(t *testing.T) {
	c, err := Load(write(t, "confirm: {expires: &t 3m, replay: *t}\n"), nil)
	require.NoError(t, err)
	require.Equal(t, c.Confirm.Expires, c.Confirm.Replay)
	require.NotEmpty(t, problems(t, "backend: &b\n  url: *b\n"))
	require.NotEmpty(t, problems(t, "keys: &k\n- *k\n"))
}

func FuzzLoad(f *testing.F) {
	f.Add(Example)
	f.Add("keys: &k\n- *k\n")
	f.Add("a: &a [*a]\nb: {<<: *a}\n? [x]\n: y\n")
	f.Add("limits: {body: 1e400 EiB, streams: 0x10}\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := newLoader([]string{"A=b"})
		l.defaults()
		l.yaml("f.yaml", []byte(text))
		l.together()
		for _, p := range l.problems {
			if p.Problem == "" || p.Fix == "" {
				t.Fatalf("%#v", p)
			}
		}
		c := l.config
		if len(l.problems) == 0 && (c.Limits.Body < smallestSize || c.Limits.Body > largestSize || c.Confirm.Expires <= 0) {
			t.Fatalf("%+v", c.Limits)
		}
	})
}
