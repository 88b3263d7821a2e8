package main

import (
	"context"
	"log/slog"
)

type serveCommand struct {
	configFlag
	Verbose bool   `help:"Log every request."`
	Pprof   string `help:"Serve profiles of the Go runtime under /debug/pprof/ at this loopback address." placeholder:"HOST:PORT"`
}

// Run serves until ctx ends (SIGTERM, ctrl-C), and then finishes open turns.
func (c serveCommand) Run(ctx context.Context, p program) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	if c.Pprof != "" {
		l, err := servePprof(c.Pprof)
		if err != nil {
			return usageError{err}
		}
		defer func() { _ = l.Close() }()
	}
	keepHeapFloor()
	m := &Main{Config: cfg, Stdout: p.Stdout, Stderr: p.Stderr}
	if c.Verbose {
		m.LogLevel = slog.LevelDebug
	}
	if err := m.Run(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		m.log.Info("stopping: open turns may finish", "grace", m.Grace)
	case err = <-m.Failed():
	}
	if closeErr := m.Close(); err == nil {
		err = closeErr
	}
	return err
}
