package config

import (
	"slices"
	"strings"
)

// Setting is one row of the table of settings.
type Setting struct {
	Key     string // dotted path in the file
	Env     string // variable in the environment
	Default string // as it would be written
	Text    string // what it does, in Markdown
	kind    kind
	hidden  bool // may be named by ${VARIABLE} or file:/path
	set     func(c *Config, v value) *mistake
}

// Settings is the whole table, in the order of the documentation.
func Settings() []Setting {
	table := make([]Setting, len(settings))
	for i, s := range settings {
		table[i] = *s
	}
	return table
}

// kind is the form of a setting's value.
type kind int

const (
	oneValue   kind = iota // one scalar
	manyValues             // a sequence of scalars; comma separated in the environment
	keyList                // the list of API keys
)

// value is a setting's value as it was written.
type value struct {
	text string     // oneValue
	list []string   // manyValues
	keys []keyInput // keyList
}

const rehearsal = "rehearsal"

var settings = []*Setting{
	{Key: "listen", Default: "127.0.0.1:8080", Text: "Address to listen on, `host:port`. An empty host means every interface.",
		set: address(func(c *Config) *string { return &c.Listen })},
	{Key: "public_url", Text: "Address that clients reach the server at, for the links in answers (`doc_url`, `approve_url`). Empty: taken from the request, else from `listen`.",
		set: base(func(c *Config) *string { return &c.PublicURL })},

	{Key: "backend.url", hidden: true, Text: "Base URL of an OpenAI-compatible server, usually ending in `/v1`. Empty or `rehearsal`: the built-in rehearsal model. Where `listen` is not loopback, empty is refused: say `rehearsal` if you mean it.",
		set: backendURL},
	{Key: "backend.api_key", hidden: true, Text: "Key for that server, sent as a bearer token.",
		set: func(c *Config, v value) *mistake { return headerSecret(&c.Backend.APIKey, v.text) }},
	{Key: "backend.model", Text: "Model that every request is sent to. Empty: the client's `model` and `temperature` pass through.",
		set: plain(func(c *Config) *string { return &c.Backend.Model })},
	{Key: "backend.timeout", Default: "10m", Text: "Longest time for one model call.",
		set: duration(func(c *Config) durationField { return &c.Backend.Timeout })},
	{Key: "backend.idle_timeout", Default: "5m", Text: "Longest silence between two bytes of a reply.",
		set: duration(func(c *Config) durationField { return &c.Backend.IdleTimeout })},
	{Key: "backend.auth", Default: "configured", Text: "`configured`: `backend.api_key` is sent. `passthrough`: the client's `Authorization` is forwarded (sidecar); such a client reaches chat and models only, everything else needs a Cadreen key.",
		set: word(func(c *Config) *string { return &c.Backend.Auth }, "configured", "passthrough")},

	{Key: "store.url", Default: "sqlite:cadreen-data/cadreen.db", hidden: true, Text: "Where state lives: `sqlite:<file>`, `redis://`, `rediss://`, `redis+cluster://h1,h2` or `redis+sentinel://master@h1,h2`.",
		set: storeURL},
	{Key: "store.relaxed", Default: "false", Text: "`true` accepts a Redis that may lose its last writes in a crash (no `appendonly`, `appendfsync` other than `always`, or an evicting `maxmemory-policy`). A crash could then bring a released call back to held.",
		set: boolean(func(c *Config) *bool { return &c.Store.Relaxed })},

	{Key: "keys", Env: "CADREEN_API_KEYS", kind: keyList, hidden: true, Text: "API keys beside those made with `cadreen key create`: a list of `{name, key, workspace, roles}`. `workspace` is `default` and `roles` is `[chat]` where they are left out; the other roles are `reviewer`, `author` and `operator`, and none is given unless it is named; words of your own, such as `refund-lead`, open nothing and are seen by policies in `requester.roles`. In the environment: `key[=workspace]`, comma separated, role `chat`.",
		set: setKeys},

	{Key: "policies", Text: "Policy file, or folder of policy files, watched for changes. Relative to the working directory.",
		set: plain(func(c *Config) *string { return &c.Policies })},
	{Key: "profile", Default: "guarded", Text: "What happens to calls that no rule takes over: `guarded` (read tools go, others ask), `observe` (all go) or `locked` (none goes).",
		set: word(func(c *Config) *string { return &c.Profile }, "guarded", "observe", "locked")},

	{Key: "confirm.expires", Default: "15m", Text: "A held call that nobody answers expires after this, unless its rule says otherwise.",
		set: duration(func(c *Config) durationField { return &c.Confirm.Expires })},
	{Key: "confirm.replay", Default: "2m", Text: "A release whose reply was not fully written is repeated within this.",
		set: duration(func(c *Config) durationField { return &c.Confirm.Replay })},
	{Key: "batch", Default: "hold", Text: "A turn with held and allowed calls: `hold` all of it, or `release_allowed` ones at once.",
		set: word(func(c *Config) *string { return &c.Batch }, "hold", "release_allowed")},
	{Key: "on_block", Default: "reply", Text: "A blocked call: `reply` says so to the client; `replan` gives the refusal to the model once or twice.",
		set: word(func(c *Config) *string { return &c.OnBlock }, "reply", "replan")},
	{Key: "conversation.headers", kind: manyValues,
		Default: "X-OpenWebUI-Chat-Id, ChatUI-Conversation-ID, X-Conversation-Id, X-Session-Id, x-session-affinity",
		Text:    "Request headers that name the conversation; the first that is there counts.", set: headerNames},

	{Key: "limits.body", Default: "32 MiB", Text: "Longest request body.",
		set: size(func(c *Config) *int64 { return &c.Limits.Body })},
	{Key: "limits.kept", Default: "4 MiB", Text: "Most bytes of held stream frames in one turn.",
		set: size(func(c *Config) *int64 { return &c.Limits.Kept })},
	{Key: "limits.streams", Default: "10_000", Text: "Most streams open at once.",
		set: count(func(c *Config) *int { return &c.Limits.Streams }, 1_000_000)},
	{Key: "limits.rate", Default: "off", Text: "How many requests may come: `600/m` for each API key, `workspace 6000/m` for all keys of a workspace together, or both with a comma between; `s`, `m`, `h` or `d`. They come evenly; `burst 60` says how many at once, as many as the rate if left out. What is more is 429 `rate_limit`. `off`: any number.",
		set: rates},

	{Key: "cors.origins", kind: manyValues, Text: "Web origins that may call, `scheme://host[:port]`, or `*`.", set: origins},
	{Key: "errors", Default: "gate", Text: "A blocked or held call: `gate` answers 200 with the gate, `http` answers 403.",
		set: word(func(c *Config) *string { return &c.Errors }, "gate", "http")},

	{Key: "stream.heartbeat.interval", Default: "15s", Text: "Silence on a stream after which a heartbeat is sent.",
		set: duration(func(c *Config) durationField { return &c.Stream.Heartbeat.Interval })},
	{Key: "stream.heartbeat.style", Default: "chunk", Text: "`chunk` (a chunk with an empty delta), `comment` or `off`.",
		set: word(func(c *Config) *string { return &c.Stream.Heartbeat.Style }, "chunk", "comment", "off")},

	{Key: "trace.store", Default: "true", Text: "Whether traces of requests are stored, for `GET /intelligence`. Answers carry them in any case.",
		set: boolean(func(c *Config) *bool { return &c.Trace.Store })},
	{Key: "trace.retention", Default: "30d", Text: "How long traces are kept, and the arguments of calls, and the facts they were judged by, are kept after a decision. The decisions themselves stay. Days (`30d`) or hours (`12h`).",
		set: period(func(c *Config) durationField { return &c.Trace.Retention })},
	{Key: "audit.retention", Default: "forever", Text: "How long the records of decisions, answers, releases and changes are kept: `forever`, days (`3650d`) or hours. What is removed leaves its digests in the chain.",
		set: periodOrForever(func(c *Config) durationField { return &c.Audit.Retention })},

	{Key: "telemetry.otlp_endpoint", Env: "OTEL_EXPORTER_OTLP_ENDPOINT", Text: "Base address of an OpenTelemetry collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`. Empty: no spans are made. The other `OTEL_` variables of an exporter hold as well.",
		set: base(func(c *Config) *string { return &c.Telemetry.OTLPEndpoint })},
}

// later are settings of coming versions: whole keys, or groups when they end in a dot. Taking them silently would promise what
// nobody keeps.
var later = []string{"jwt."}

// isLater says whether a dotted key belongs to a coming version.
func isLater(key string) bool {
	for _, l := range later {
		if key == strings.TrimSuffix(l, ".") || (strings.HasSuffix(l, ".") && strings.HasPrefix(key, l)) {
			return true
		}
	}
	return false
}

var (
	byKey = make(map[string]*Setting)
	byEnv = make(map[string]*Setting)
	// groups are the keys that hold other keys, each with the names directly below it; "" is the file itself.
	groups = make(map[string][]string)
)

func init() {
	for _, s := range settings {
		if s.Env == "" {
			s.Env = envName(s.Key)
		}
		byKey[s.Key] = s
		byEnv[s.Env] = s
		addToGroups(s.Key)
	}
}

// envName is the general rule: CADREEN_ and the upper-case path with _.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func addToGroups(key string) {
	for key != "" {
		group, name := "", key
		if dot := strings.LastIndexByte(key, '.'); dot >= 0 {
			group, name = key[:dot], key[dot+1:]
		}
		if !slices.Contains(groups[group], name) {
			groups[group] = append(groups[group], name)
		}
		key = group
	}
}
