package config

import (
	"net"
	"net/netip"
	"strings"
	"time"
)

// Config is what one process runs with. Each field stands in docs/settings.md under the key given beside it.
type Config struct {
	Listen       string       // listen: host:port
	PublicURL    string       // public_url: no final slash; "" = derive, see Base
	Backend      Backend      // backend.*
	Store        Store        // store.*
	Keys         []Key        // keys
	Policies     string       // policies: a file or a folder; "" = none
	Profile      string       // profile: guarded, observe or locked
	Confirm      Confirm      // confirm.*
	Batch        string       // batch: hold or release_allowed
	OnBlock      string       // on_block: reply or replan
	Conversation Conversation // conversation.*
	Limits       Limits       // limits.*
	CORS         CORS         // cors.*
	Audit        Audit        // audit.*
	Errors       string       // errors: gate or http
	Stream       Stream       // stream.*
	Trace        Trace        // trace.*
	Telemetry    Telemetry    // telemetry.*
}

// Backend is the model's server.
type Backend struct {
	URL         URL           // "" or "rehearsal" = the built-in rehearsal model; else a base URL without a final slash
	APIKey      Secret        // sent as a bearer token; may be empty
	Model       string        // "" = the client's model passes through
	Timeout     time.Duration // the longest that one model call may take
	IdleTimeout time.Duration // the longest silence between two bytes of a reply
	Auth        string        // configured or passthrough
}

// Rehearsal says that the built-in rehearsal model answers and no server is asked.
func (b Backend) Rehearsal() bool { return b.URL.IsZero() || b.URL.Reveal() == rehearsal }

// Store is where state lives.
type Store struct {
	URL     URL  // sqlite:, redis://, rediss://, redis+cluster:// or redis+sentinel://
	Relaxed bool // accept a Redis that may lose the last writes in a crash
}

// Key is an API key that stands in the configuration.
type Key struct {
	Name      string
	Key       Secret
	Workspace string
	Roles     []string // at least one of chat, reviewer, author and operator, and words for requester.roles
}

// Confirm is how long a question to the requester lives.
type Confirm struct {
	Expires time.Duration // a held call that nobody answers expires after this
	Replay  time.Duration // a release that was not fully written is repeated within this
}

// Conversation says how requests of one conversation are recognised.
type Conversation struct {
	Headers []string // request headers that name the conversation, the first that is there counts
}

// Limits bound what one request and one process may hold.
type Limits struct {
	Body    int64 // bytes of a request body
	Kept    int64 // bytes of held stream frames in one turn
	Streams int   // streams open at once
	Rate    Rates // requests over time
}

// Audit is how long records stay.
type Audit struct {
	Retention time.Duration // 0 = forever
}

// CORS names the web origins that may call.
type CORS struct {
	Origins []string // "*" or scheme://host[:port]
}

// Trace is what is kept of requests.
type Trace struct {
	Store     bool          // traces of requests are stored
	Retention time.Duration // how long traces, and arguments and facts of decisions, are kept
}

// Telemetry is where spans are sent.
type Telemetry struct {
	OTLPEndpoint string // base address of a collector; "" = none are made
}

// Stream is how our side of a stream behaves.
type Stream struct {
	Heartbeat Heartbeat
}

// Heartbeat keeps a silent stream open.
type Heartbeat struct {
	Interval time.Duration // of silence
	Style    string        // chunk, comment or off
}

// Base is the address that links in answers begin with when the request does not tell: public_url, else the listen address.
// It has no final slash.
func (c *Config) Base() string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "http://" + c.Listen
	}
	if addr, err := netip.ParseAddr(host); host == "" || (err == nil && addr.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Loopback says that only this machine can reach the listen address.
func (c *Config) Loopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// Load reads the defaults, the YAML file at path ("" = none), and environ (as os.Environ gives it) on top of it. If anything is
// wrong the error is a Problems with every mistake, and there is no Config.
func Load(path string, environ []string) (*Config, error) {
	l := newLoader(environ)
	l.defaults()
	if path != "" {
		l.file(path)
	}
	l.environment()
	l.together()
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return l.config, nil
}
