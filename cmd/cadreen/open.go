package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"cadreen/config"
	"cadreen/proxy/backend"
	"cadreen/proxy/keys"
	"cadreen/proxy/telemetry"
	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
)

// wallClock is the offset of what runs outside of tests.
func wallClock() time.Duration { return 0 }

const sqlitePrefix = "sqlite:"

// sqlitePath is the file of a SQLite store.
func sqlitePath(s config.Store) (string, bool) {
	return strings.CutPrefix(s.URL.Reveal(), sqlitePrefix)
}

// openStore opens the engine that store.url names, its clock moved by offset.
func openStore(ctx context.Context, s config.Store, offset func() time.Duration) (store.Engine, error) {
	var engine store.Engine
	var err error
	if path, ok := sqlitePath(s); ok {
		engine, err = sqlite.Open(ctx, path, sqlite.WithOffset(offset))
	} else {
		engine, err = redis.Open(ctx, s.URL.Reveal(), redis.WithOffset(offset))
	}
	if err != nil {
		return nil, fmt.Errorf("store.url %s: %w", s.URL, err)
	}
	return engine, nil
}

// openBackend makes the model backend.
func openBackend(b config.Backend) (backend.Backend, error) {
	made, err := backend.Open(backend.Settings{
		URL:         b.URL.Reveal(),
		APIKey:      b.APIKey.Reveal(),
		Passthrough: b.Auth == "passthrough",
		Timeout:     b.Timeout,
		IdleTimeout: b.IdleTimeout,
	})
	if err != nil {
		return nil, usageError{err}
	}
	return made, nil
}

// openKeys makes the ring of keys, its clock moved by offset.
func openKeys(engine store.Engine, cfg *config.Config, log *slog.Logger, offset func() time.Duration) (*keys.Ring, error) {
	configured := make([]keys.Configured, len(cfg.Keys))
	for i, k := range cfg.Keys {
		configured[i] = keys.Configured{Name: k.Name, Key: k.Key.Reveal(), Workspace: k.Workspace, Roles: k.Roles}
	}
	ring, err := keys.New(keys.Options{
		Engine: engine, Configured: configured, Passthrough: cfg.Backend.Auth == "passthrough", Logger: log,
		Now: func() time.Time { return time.Now().Add(offset()) },
	})
	if err != nil {
		return nil, usageError{err}
	}
	return ring, nil
}

// closeBackend closes its idle connections.
func closeBackend(b backend.Backend) error {
	if c, ok := b.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// spansTime is how long the last spans may take to be sent.
const spansTime = 5 * time.Second

// openTelemetry makes spans where telemetry.otlp_endpoint says where to.
func (m *Main) openTelemetry(ctx context.Context) (err error) {
	if m.Config.Telemetry.OTLPEndpoint == "" {
		return nil
	}
	m.spans, err = telemetry.Open(ctx, telemetry.Options{Endpoint: m.Config.Telemetry.OTLPEndpoint,
		Model: m.Config.Backend.URL.Reveal(), Version: versionText(), Logger: m.log})
	m.backend = m.spans.Backend(m.backend)
	return err
}
