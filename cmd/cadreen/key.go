package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"cadreen/config"
	"cadreen/governance"
	"cadreen/intelligence/audit"
	"cadreen/proxy/keys"
	"cadreen/store"
)

type keyCommands struct {
	Create keyCreateCommand `cmd:"" help:"Make an API key. It is printed once, alone on standard output."`
	List   keyListCommand   `cmd:"" help:"List the stored API keys."`
	Revoke keyRevokeCommand `cmd:"" help:"Revoke an API key. Running servers see it within seconds."`
}

type keyCreateCommand struct {
	configFlag
	Name      string   `help:"What the key is for." placeholder:"TEXT"`
	Workspace string   `help:"Workspace that the key belongs to." default:"default"`
	Role      []string `help:"chat, reviewer, author or operator, or any word that policies look at; may be given more than once." default:"chat"`
}

func (c keyCreateCommand) Run(ctx context.Context, p program) error {
	return withKeys(ctx, p, c.configFlag, true, func(ring *keys.Ring, _ *config.Config) error {
		key, rec, err := ring.Create(ctx, keys.Template{Name: c.Name, Workspace: c.Workspace, Roles: c.Role})
		if errors.Is(err, keys.ErrInvalid) {
			return usageError{err}
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(p.Stdout, key)
		fmt.Fprintf(p.Stderr, "%s in workspace %s, roles %s. The key is not shown again.\n", rec.ID, rec.Workspace, strings.Join(rec.Roles, ", "))
		for _, role := range rec.Roles {
			if !keys.KnownRole(role) {
				fmt.Fprintf(p.Stderr, "The role %s opens nothing by itself: only policies look at it.\n", role)
			}
		}
		return nil
	})
}

type keyListCommand struct{ configFlag }

func (c keyListCommand) Run(ctx context.Context, p program) error {
	return withKeys(ctx, p, c.configFlag, false, func(ring *keys.Ring, cfg *config.Config) error {
		list, err := ring.List(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tKEY\tWORKSPACE\tROLES\tCREATED\tREVOKED\tNAME")
		for _, rec := range list {
			revoked := "-"
			if rec.RevokedAt != nil {
				revoked = rec.RevokedAt.Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%s\t%s…\t%s\t%s\t%s\t%s\t%s\n", rec.ID, rec.Prefix, rec.Workspace,
				strings.Join(rec.Roles, ","), rec.CreatedAt.Format(time.RFC3339), revoked, oneLine(rec.Name))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if n := len(cfg.Keys); n > 0 {
			fmt.Fprintf(p.Stderr, "%d more in the configuration (keys, CADREEN_API_KEYS).\n", n)
		}
		return nil
	})
}

type keyRevokeCommand struct {
	configFlag
	ID string `arg:"" help:"The key's id (key_…), as list shows it."`
}

func (c keyRevokeCommand) Run(ctx context.Context, p program) error {
	return withKeys(ctx, p, c.configFlag, false, func(ring *keys.Ring, _ *config.Config) error {
		rec, err := ring.Revoke(ctx, c.ID)
		if errors.Is(err, keys.ErrUnknown) {
			return fmt.Errorf("there is no stored key %q: see cadreen key list", c.ID)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(p.Stdout, "%s revoked at %s\n", rec.ID, rec.RevokedAt.Format(time.RFC3339))
		return nil
	})
}

// withKeys opens the store of the configuration and seals what was done with the
// keys.
func withKeys(ctx context.Context, p program, f configFlag, create bool, do func(*keys.Ring, *config.Config) error) error {
	return withStore(ctx, p, f, create, func(engine store.Engine, cfg *config.Config) error {
		writer := audit.New(audit.Options{Engine: engine, Records: governance.RecordLog})
		ring, err := keys.New(keys.Options{Engine: writer.Engine()})
		if err != nil {
			return err
		}
		if err := do(ring, cfg); err != nil {
			return err
		}
		return writer.SealOwn(ctx)
	})
}

// withStore opens the store of the configuration. Without create, a SQLite file
// that does not exist is an error rather than a new, empty file.
func withStore(ctx context.Context, p program, f configFlag, create bool, do func(store.Engine, *config.Config) error) (err error) {
	cfg, err := f.load(p)
	if err != nil {
		return err
	}
	if path, ok := sqlitePath(cfg.Store); ok && !create {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return usageError{fmt.Errorf("there is no store at %s: run this where cadreen serve runs, or give its --config", path)}
		}
	}
	engine, err := openStore(ctx, cfg.Store, wallClock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	return do(engine, cfg)
}

// oneLine keeps a name from drawing on the terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
