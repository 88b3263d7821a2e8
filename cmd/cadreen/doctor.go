package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"cadreen/config"
	"cadreen/store"
	"cadreen/store/redis"
)

type doctorCommand struct{ configFlag }

// checkTimeout bounds each check of something outside.
const checkTimeout = 10 * time.Second

// maxSkew is how far the store's clock may be from this machine's. Expiry is
// decided by the store's, what people read is written by this machine's.
const maxSkew = 2 * time.Second

// Run checks one thing after another, one line each: ok, note or FAIL with the
// fix. A failed check does not stop the others.
func (c doctorCommand) Run(ctx context.Context, p program) error {
	d := &doctor{out: p.Stdout}
	cfg, err := config.Load(c.Config, p.Environ)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			d.fail("config", strings.TrimSpace(line))
		}
		return errReported
	}
	from := "defaults and environment"
	if c.Config != "" {
		from = c.Config
	}
	d.ok("config", from)
	d.backend(ctx, cfg)
	d.policies(cfg)
	d.store(ctx, cfg)
	if d.failed {
		return errReported
	}
	return nil
}

type doctor struct {
	out    io.Writer
	failed bool
}

func (d *doctor) ok(what, text string)   { d.line("ok  ", what, text) }
func (d *doctor) note(what, text string) { d.line("note", what, text) }
func (d *doctor) fail(what, text string) {
	d.failed = true
	d.line("FAIL", what, text)
}

func (d *doctor) line(verdict, what, text string) {
	fmt.Fprintf(d.out, "%s  %-8s  %s\n", verdict, what, oneLine(text))
}

func (d *doctor) backend(ctx context.Context, cfg *config.Config) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	model, err := openBackend(cfg.Backend)
	if err != nil {
		d.fail("backend", err.Error())
		return
	}
	defer closeBackend(model)
	if model.Rehearsal() {
		d.ok("backend", "the built-in rehearsal model; set backend.url for a real one")
		return
	}
	if err := model.Check(ctx); err != nil {
		d.fail("backend", fmt.Sprintf("%s: %v; look at backend.url, backend.api_key and the way there", cfg.Backend.URL, err))
		return
	}
	d.ok("backend", cfg.Backend.URL.String()+" answers"+passthroughNote(cfg))
}

func passthroughNote(cfg *config.Config) string {
	if cfg.Backend.Auth == "passthrough" {
		return "; each client brings its own key"
	}
	return ""
}

func (d *doctor) store(ctx context.Context, cfg *config.Config) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	engine, err := openStore(ctx, cfg.Store, wallClock)
	if err == nil {
		defer engine.Close()
		err = engine.Check(ctx)
	}
	if err != nil {
		d.fail("store", fmt.Sprintf("%v; look at store.url, and whether it may be written", err))
		return
	}
	d.ok("store", cfg.Store.URL.String()+" can be read and written")
	d.durability(ctx, engine, cfg)
	d.clock(ctx, engine)
	d.keys(ctx, engine, cfg)
	d.workspaces(ctx, engine, cfg)
}

func (d *doctor) durability(ctx context.Context, engine store.Engine, cfg *config.Config) {
	problems, err := durabilityProblems(ctx, engine)
	if err != nil {
		d.fail("durable", err.Error())
		return
	}
	for _, problem := range problems {
		if cfg.Store.Relaxed {
			d.note("durable", problem+" (accepted by store.relaxed)")
		} else {
			d.fail("durable", problem+"; or accept it with store.relaxed: true")
		}
	}
	if len(problems) == 0 {
		d.ok("durable", "what was committed survives a crash")
	}
}

// durabilityProblems asks a Redis for the settings a Commit rests on; SQLite
// sets them itself.
func durabilityProblems(ctx context.Context, engine store.Engine) ([]string, error) {
	r, ok := engine.(interface {
		Durability(context.Context) (redis.Report, error)
	})
	if !ok {
		return nil, nil
	}
	report, err := r.Durability(ctx)
	if err != nil {
		return nil, err
	}
	return report.Problems(), nil
}

func (d *doctor) policies(cfg *config.Config) {
	text, err := describePolicies(cfg)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			d.fail("policies", strings.TrimSpace(line))
		}
		return
	}
	d.ok("policies", text)
}

func (d *doctor) clock(ctx context.Context, engine store.Engine) {
	before := time.Now()
	there, err := engine.Now(ctx)
	after := time.Now()
	if err != nil {
		d.fail("clock", err.Error())
		return
	}
	// Half of the way there and back is nobody's fault.
	skew := there.Sub(before.Add(after.Sub(before) / 2))
	if skew > maxSkew || skew < -maxSkew {
		d.fail("clock", fmt.Sprintf("the store's clock is %s from this machine's; set both by NTP", skew.Round(time.Millisecond)))
		return
	}
	d.ok("clock", "the store's and this machine's agree")
}

func (d *doctor) keys(ctx context.Context, engine store.Engine, cfg *config.Config) {
	ring, err := openKeys(engine, cfg, nil, wallClock)
	if err != nil {
		d.fail("keys", err.Error())
		return
	}
	list, err := ring.List(ctx)
	if err != nil {
		d.fail("keys", err.Error())
		return
	}
	live := 0
	for _, rec := range list {
		if rec.RevokedAt == nil {
			live++
		}
	}
	switch {
	case live+len(cfg.Keys) > 0:
		d.ok("keys", fmt.Sprintf("%d stored, %d in the configuration", live, len(cfg.Keys)))
	case len(list) > 0:
		d.fail("keys", "every stored key is revoked: cadreen key create")
	default:
		d.note("keys", "none yet: the first start of cadreen serve makes one")
	}
}

// warnAboutDurability says at the start what doctor would fail for.
func (m *Main) warnAboutDurability(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	problems, err := durabilityProblems(ctx, m.engine)
	if err != nil {
		m.log.Warn("the store's durability is unknown", "error", err)
	}
	for _, problem := range problems {
		if m.Config.Store.Relaxed {
			m.log.Info("the store may lose its last writes in a crash (store.relaxed)", "problem", problem)
		} else {
			m.log.Warn("a crash could bring a released call back to held", "problem", problem)
		}
	}
}
