package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"cadreen/config"
	"cadreen/governance"
	"cadreen/intelligence/audit"
	"cadreen/store"
)

type auditCommands struct {
	Verify auditVerifyCommand `cmd:"" help:"Check the audit chain of a workspace, or of an export. Exit code 1: something was changed or is missing."`
	Export auditExportCommand `cmd:"" help:"Write the records and the chain of a workspace as JSON Lines."`
}

type auditVerifyCommand struct {
	configFlag
	Workspace string   `help:"Workspace to check." default:"default"`
	File      string   `help:"Check this export and no store." placeholder:"FILE" type:"path"`
	Head      []string `help:"A head that an earlier check or export printed, or the log of the server; it must still be there. May be given more than once." placeholder:"HEAD"`
}

func (c auditVerifyCommand) Run(ctx context.Context, p program) error {
	var heads []audit.Head
	for _, text := range c.Head {
		h, err := audit.ParseHead(text)
		if err != nil {
			return usageError{fmt.Errorf("--head: %w", err)}
		}
		heads = append(heads, h)
	}
	if c.File != "" {
		report, err := audit.VerifyFile(ctx, c.File, governance.RecordLog, heads...)
		if err != nil {
			return err
		}
		return tell(p.Stdout, report)
	}
	if err := store.CheckWorkspace(c.Workspace); err != nil {
		return usageError{err}
	}
	return withStore(ctx, p, c.configFlag, false, func(engine store.Engine, _ *config.Config) error {
		report, err := audit.NewLog(engine, governance.RecordLog, nil).Verify(ctx, c.Workspace, heads...)
		if err != nil {
			return err
		}
		return tell(p.Stdout, report)
	})
}

// tell prints a report, the broken places first.
func tell(w io.Writer, r audit.Report) error {
	for _, b := range r.Broken {
		fmt.Fprintln(w, "broken ", b)
	}
	fmt.Fprintf(w, "%d records in %d links of %d writers, %d not yet sealed", r.Entries, r.Links, r.WriterCount, r.Unsealed)
	if r.Removed > 0 {
		fmt.Fprintf(w, ", removed by retention up to %d", r.Removed)
	}
	fmt.Fprintln(w)
	for _, h := range r.Heads {
		fmt.Fprintln(w, "head   ", h)
	}
	if !r.Valid {
		return errReported
	}
	return nil
}

type auditExportCommand struct {
	configFlag
	Workspace string `help:"Workspace to export." default:"default"`
	Output    string `help:"File to write; standard output if left out." placeholder:"FILE" type:"path"`
}

func (c auditExportCommand) Run(ctx context.Context, p program) error {
	if err := store.CheckWorkspace(c.Workspace); err != nil {
		return usageError{err}
	}
	return withStore(ctx, p, c.configFlag, false, func(engine store.Engine, _ *config.Config) (err error) {
		out := p.Stdout
		if c.Output != "" {
			f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			out = f
		}
		return audit.NewLog(engine, governance.RecordLog, nil).Export(ctx, out, c.Workspace, audit.Query{})
	})
}
