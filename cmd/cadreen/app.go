package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"cadreen/config"
	"cadreen/governance"
	"cadreen/governance/policies"
	"cadreen/governance/rule"
	"cadreen/intelligence"
	"cadreen/intelligence/audit"
	"cadreen/proxy"
	"cadreen/proxy/backend"
	"cadreen/proxy/chat"
	"cadreen/proxy/idempotency"
	"cadreen/proxy/intent"
	"cadreen/proxy/keys"
	"cadreen/proxy/telemetry"
	"cadreen/store"
	"cadreen/tools"
)

// Main is the running program. The zero value of every field but Config is its
// default. It is started once.
type Main struct {
	// Config is what to run with: see config.Load.
	Config *config.Config
	// Stdout gets the greeting and, once in a store's life, the first key;
	// Stderr the log. nil discards.
	Stdout, Stderr io.Writer
	// LogLevel is slog.LevelInfo by default. No level shows secrets.
	LogLevel slog.Level
	// Grace is how long Close waits for open turns: 30 s.
	Grace time.Duration
	// Offset is added to the clock that holds and answers go by, for tests that
	// move time. nil is none; it is called by several goroutines at once.
	Offset func() time.Duration

	// over is put over the store that was opened; nil is nothing. Tests have one
	// that stops the program at a named step.
	over func(store.Engine) store.Engine

	log      *slog.Logger
	listener net.Listener
	server   *proxy.Server
	engine   store.Engine
	backend  backend.Backend
	seen     *tools.Seen
	traces   *intelligence.Recorder // nil where none are stored
	audit    *audit.Writer
	spans    *telemetry.Telemetry // nil where none are made
	limiter  store.Limiter
	policies *policies.Registry
	stop     context.CancelFunc
	work     sync.WaitGroup
	// The audit is sealed until everything else has ended.
	stopSealing context.CancelFunc
	sealing     sync.WaitGroup
	failed      chan error
	firstKey    string
	close       sync.Once
	closeErr    error
}

// Run opens everything and returns as soon as requests are answered at Addr.
// What it started ends with Close; ctx bounds the opening only. After an error
// nothing is left open.
func (m *Main) Run(ctx context.Context) (err error) {
	m.setDefaults()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	m.stop = stop
	sealing, stopSealing := context.WithCancel(context.WithoutCancel(ctx))
	m.stopSealing = stopSealing
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if m.engine, err = openStore(ctx, m.Config.Store, m.Offset); err != nil {
		return err
	}
	m.limiter, _ = m.engine.(store.Limiter)
	if m.over != nil {
		m.engine = m.over(m.engine)
	}
	m.warnAboutDurability(ctx)
	metrics := proxy.NewMetrics(versionText())
	m.engine = store.Observe(m.engine, metrics.StoreFailed)
	m.audit = audit.New(audit.Options{Engine: m.engine, Records: governance.RecordLog, Logger: m.log, Retention: m.Config.Audit.Retention})
	m.engine = m.audit.Engine()
	files, err := openPolicies(m.Config, m.log)
	if err != nil {
		return err
	}
	m.seen = tools.NewSeen(m.engine, m.log)
	// What is confirmed under an Idempotency-Key is fenced like everything else.
	fenced := idempotency.Fence(m.engine)
	decides := policies.NewBundles(fenced, files, m.log)
	if m.backend, err = openBackend(m.Config.Backend); err != nil {
		return err
	}
	words := sentences{rule.Author{Evaluator: files.Bundle().Options().Evaluator, Completer: writerOf(m.Config, m.backend)}}
	m.policies = policies.New(policies.Options{Engine: fenced, Bundles: decides, Tools: m.seen, Words: words, Logger: m.log})
	if err = m.openTelemetry(ctx); err != nil {
		return err
	}
	ring, err := openKeys(m.engine, m.Config, m.log, m.Offset)
	if err != nil {
		return err
	}
	desk := governance.NewDesk(fenced, decides, governance.DeskOptions{
		ConfirmExpires: m.Config.Confirm.Expires,
		Replay:         m.Config.Confirm.Replay,
		ReleaseAllowed: m.Config.Batch == "release_allowed",
		Retention:      m.Config.Trace.Retention,
		Logger:         m.log,
	})
	if m.Config.Trace.Store {
		m.traces = intelligence.NewRecorder(intelligence.Options{Engine: m.engine, Logger: m.log,
			Retention: m.Config.Trace.Retention, Stored: metrics.TracesStored, Lost: metrics.TracesLost})
	}
	m.server = m.newServer(metrics, desk, decides, ring)
	// Listen before the first key is made: a port that is taken must not cost it.
	if m.listener, err = net.Listen("tcp", m.Config.Listen); err != nil {
		return fmt.Errorf("listen %s: %w", m.Config.Listen, err)
	}
	if err = m.makeFirstKey(ctx, ring); err != nil {
		return err
	}
	if err = errors.Join(ring.RecordConfigured(ctx), m.notePolicyFiles(ctx, files.Bundle())); err != nil {
		return err
	}
	m.work.Go(func() { desk.Run(background) })
	m.sealing.Go(func() { m.audit.Run(sealing) })
	m.work.Go(func() { ring.Run(background) })
	m.work.Go(func() { m.seen.Run(background) })
	if m.traces != nil {
		m.work.Go(func() { m.traces.Run(background) })
	}
	m.work.Go(func() { m.watchPolicies(background, files) })
	m.work.Go(func() { decides.Run(background) })
	m.work.Go(func() { m.failed <- m.server.Serve(m.listener) })
	m.greet()
	return nil
}

// Addr is the address that requests are answered at, host:port.
func (m *Main) Addr() string { return m.listener.Addr().String() }

// URL is http://Addr.
func (m *Main) URL() string { return "http://" + m.Addr() }

// FirstKey is the key that this run made, "" if it made none.
func (m *Main) FirstKey() string { return m.firstKey }

// Failed receives an error, or nil after Close, when requests are no longer accepted.
func (m *Main) Failed() <-chan error { return m.failed }

// Close stops accepting, lets open turns finish for Grace, and closes
// everything. It may be called more than once.
func (m *Main) Close() error {
	m.close.Do(func() { m.closeErr = m.shutDown() })
	return m.closeErr
}

func (m *Main) shutDown() error {
	var errs []error
	if m.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), m.Grace)
		if err := m.server.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("open turns were cut off after %s: %w", m.Grace, err))
		}
		cancel()
	}
	if m.listener != nil {
		_ = m.listener.Close() // a server that never served does not know it
	}
	m.stop()
	m.work.Wait()
	m.stopSealing()
	m.sealing.Wait()
	if m.spans != nil {
		ctx, cancel := context.WithTimeout(context.Background(), spansTime)
		if err := m.spans.Close(ctx); err != nil {
			m.log.Warn("spans could not be sent", "error", err)
		}
		cancel()
	}
	if m.backend != nil {
		errs = append(errs, closeBackend(m.backend))
	}
	if m.engine != nil {
		errs = append(errs, m.engine.Close())
	}
	return errors.Join(errs...)
}

func (m *Main) setDefaults() {
	if m.Stdout == nil {
		m.Stdout = io.Discard
	}
	if m.Stderr == nil {
		m.Stderr = io.Discard
	}
	if m.Grace == 0 {
		m.Grace = 30 * time.Second
	}
	if m.Offset == nil {
		m.Offset = wallClock
	}
	m.log = slog.New(slog.NewTextHandler(m.Stderr, &slog.HandlerOptions{Level: m.LogLevel}))
	m.failed = make(chan error, 1)
}

// now is the time that requests go by.
func (m *Main) now() time.Time { return time.Now().Add(m.Offset()) }

func (m *Main) newServer(metrics *proxy.Metrics, desk *governance.Desk, decides *policies.Bundles, ring *keys.Ring) *proxy.Server {
	c := m.Config
	handler := chat.New(chat.Options{
		Backend: intent.Listen(m.backend), Desk: desk, Decider: decides, Seen: m.seen, Logger: m.log,
		Now: m.now,
		Settings: chat.Settings{
			Model:               c.Backend.Model,
			Heartbeat:           c.Stream.Heartbeat.Interval,
			HeartbeatStyle:      c.Stream.Heartbeat.Style,
			KeptLimit:           c.Limits.Kept,
			ConversationHeaders: c.Conversation.Headers,
			Replan:              c.OnBlock == "replan",
			ErrorsHTTP:          c.Errors == "http",
		},
	})
	return proxy.New(proxy.Options{
		Chat: handler, Backend: m.backend, Desk: desk, Keys: ring, Engine: m.engine, Traces: m.traces, Evidence: desk, Metrics: metrics, Telemetry: m.spans, Logger: m.log, Now: m.now,
		Seen: m.seen, Deciding: decides, Policies: m.policies, Archive: desk, Pending: desk,
		Limiter: m.limiter,
		Audit:   audit.NewLog(m.engine, governance.RecordLog, m.audit),
		Settings: proxy.Settings{
			BodyLimit:   c.Limits.Body,
			Streams:     c.Limits.Streams,
			Rates:       c.Limits.Rate,
			CORSOrigins: c.CORS.Origins,
			PublicURL:   c.PublicURL,
			KeepHeaders: c.Conversation.Headers,
			Version:     versionText(),
		},
	})
}

// makeFirstKey gives a new store a key to begin with.
func (m *Main) makeFirstKey(ctx context.Context, ring *keys.Ring) error {
	key, _, made, err := ring.CreateFirst(ctx, keys.Template{Name: "first key", Roles: []string{keys.RoleOperator}})
	if made {
		m.firstKey = key
	}
	return err
}

// greet says where things are, and shows the first key if this run made one.
func (m *Main) greet() {
	c := m.Config
	model := "rehearsal, built in, for trying things out: set backend.url for a real one"
	if !c.Backend.Rehearsal() {
		model = c.Backend.URL.String()
	}
	url := m.URL()
	if c.PublicURL != "" {
		url = c.PublicURL
	}
	policies := "none"
	if c.Policies != "" {
		policies = c.Policies
	}
	var b strings.Builder
	fmt.Fprintf(&b, "cadreen %s listens on %s\n\n", versionText(), m.URL())
	fmt.Fprintf(&b, "  model     %s\n  state     %s\n  policies  %s\n  profile   %s\n", model, c.Store.URL, policies, c.Profile)
	if m.firstKey == "" {
		b.WriteString("  keys      cadreen key list\n")
	} else {
		fmt.Fprintf(&b, firstKeyText, m.firstKey, url, m.firstKey)
	}
	fmt.Fprintln(&b)
	_, _ = io.WriteString(m.Stdout, b.String())
}

// firstKeyText shows the key and the first thing to try.
const firstKeyText = `
Your first API key (role operator). It is shown only this once; make others with: cadreen key create

  %s

Try it:

  curl %s/v1/chat/completions \
    -H 'Authorization: Bearer %s' \
    -H 'Content-Type: application/json' \
    -d '` + refundRequest + `'
`

// refundRequest is the first request of the documentation.
const refundRequest = `{"model": "cadreen", "messages": [{"role": "user", "content": "Refund order 456 for $750"}], "tools": [` + refundTool + `]}`

const refundTool = `{"type": "function", "function": {"name": "process_refund", "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}, "amount": {"type": "number"}}}}}`
