package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/config"
	"cadreen/governance"
	"cadreen/store"
)

// The same program, from the same Main, that stops for good at a named step of
// the walk: it says so and waits to be killed.
const (
	// stopEnv names the step, such as "before hold 1": the first commit of a
	// hold, with nothing of it written. "after" is when it is durable and the
	// program is about to go on. See stepOf.
	stopEnv = "CADREEN_TEST_STOP"
	// aheadEnv is how far its clock is ahead, as a Go duration.
	aheadEnv = "CADREEN_TEST_AHEAD"
)

const stoppedLine = "stopped there"

// stepped is the program; its one argument is the settings file.
func stepped() {
	// A full disk is an error of the write. The limit on file sizes that stands
	// for it in tests would be a signal as well.
	signal.Ignore(syscall.SIGXFSZ)
	if err := runStepped(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runStepped(file string) error {
	cfg, err := config.Load(file, nil)
	if err != nil {
		return err
	}
	ahead, err := time.ParseDuration("0" + os.Getenv(aheadEnv))
	if err != nil {
		return err
	}
	m := &Main{Config: cfg, Stdout: os.Stdout, Stderr: os.Stderr, Offset: func() time.Duration { return ahead },
		over: func(e store.Engine) store.Engine { return newStopping(e, os.Getenv(stopEnv)) }}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := m.Run(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return m.Close()
}

// stopping is an engine that lets everything through until the step comes.
type stopping struct {
	store.Engine
	after bool
	step  string
	left  atomic.Int64
}

func newStopping(e store.Engine, at string) *stopping {
	s := &stopping{Engine: e}
	if words := strings.Fields(at); len(words) == 3 {
		s.after, s.step = words[0] == "after", words[1]
		n, _ := strconv.ParseInt(words[2], 10, 64)
		s.left.Store(n)
	}
	return s
}

func (s *stopping) Commit(ctx context.Context, workspace string, ops ...store.Op) error {
	here := s.step != "" && stepOf(ops) == s.step
	if here && !s.after && s.left.Add(-1) == 0 {
		halt()
	}
	err := s.Engine.Commit(ctx, workspace, ops...)
	if here && s.after && err == nil && s.left.Add(-1) == 0 {
		halt()
	}
	return err
}

func halt() {
	fmt.Println(stoppedLine)
	select {}
}

// stepOf names what a commit does to a hold: "hold" makes one, "delivery" notes
// how its reply ended, and otherwise the state it has afterwards. "allow" is a
// call that goes at once; everything else is "".
func stepOf(ops []store.Op) string {
	allowed := false
	for _, op := range ops {
		switch op := op.(type) {
		case store.Append:
			r := decodeRecord(op.Value)
			allowed = allowed || r.Event == governance.EventDecision && r.State == governance.StateReleased
		case store.Put:
			if op.Doc.Kind != "hold" {
				continue
			}
			var h governance.Hold
			_ = json.Unmarshal(op.Doc.Value, &h)
			switch {
			case op.Create:
				return "hold"
			case h.Delivered || h.Failed:
				return "delivery"
			}
			return string(h.State)
		}
	}
	if allowed {
		return "allow"
	}
	return ""
}

func decodeRecord(b []byte) (r governance.Record) {
	_ = json.Unmarshal(b, &r)
	return r
}

// startStepped runs the program up to a step, "" for none, its clock ahead.
func startStepped(t *testing.T, config, stop string, ahead time.Duration) *process {
	t.Helper()
	cmd := exec.Command("cadreen-stepped", config)
	cmd.Env = append(os.Environ(), stopEnv+"="+stop, aheadEnv+"="+ahead.String())
	return startCommand(t, cmd)
}

// awaitStop returns when the program has stopped at its step.
func (p *process) awaitStop(t *testing.T) {
	t.Helper()
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	for p.out.Scan() {
		if p.out.Text() == stoppedLine {
			return
		}
	}
	require.Fail(t, "the program ended before its step")
}
