package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"cadreen/config"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage or configuration
)

// program is one run of the command line, with everything from outside given.
type program struct {
	Args    []string  // without the program's name
	Environ []string  // as os.Environ gives it
	Stdin   io.Reader // nil: nobody answers
	Stdout  io.Writer
	Stderr  io.Writer
	// Terminal: a person reads Stdout and types into Stdin.
	Terminal bool
}

// commands is the grammar.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the proxy."`
	Demo    demoCommand    `cmd:"" help:"Play the refund conversation against a server of its own and print the wire."`
	Policy  policyCommands `cmd:"" help:"Check, test and explain policies."`
	Key     keyCommands    `cmd:"" help:"Create, list and revoke API keys."`
	Audit   auditCommands  `cmd:"" help:"Check and export what was recorded."`
	Doctor  doctorCommand  `cmd:"" help:"Check configuration, model, store, policies and clock."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// configFlag is embedded in every command that reads the settings.
type configFlag struct {
	Config string `help:"YAML file with settings; the environment (CADREEN_…) goes on top." placeholder:"FILE" type:"path"`
}

func (f configFlag) load(p program) (*config.Config, error) {
	cfg, err := config.Load(f.Config, p.Environ)
	if err != nil {
		return nil, usageError{err}
	}
	return cfg, nil
}

// usageError is a mistake in how the program was called or configured.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errReported ends a command that has already said what is wrong.
var errReported = errors.New("failed")

// run answers the exit code.
func (p program) run(ctx context.Context) (code int) {
	// --help ends the parse by Exit; this is how it ends ours too.
	type exit int
	defer func() {
		switch e := recover().(type) {
		case nil:
		case exit:
			code = int(e)
		default:
			panic(e)
		}
	}()
	parser, err := kong.New(&commands{},
		kong.Name("cadreen"),
		kong.Description("An OpenAI-compatible proxy that governs tool calls. Start with: cadreen serve"),
		kong.Writers(p.Stdout, p.Stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(p.Stderr, "cadreen:", err)
		return exitFailed
	}
	command, err := parser.Parse(p.Args)
	if err != nil {
		fmt.Fprintf(p.Stderr, "cadreen: %v\nSee: cadreen --help\n", err)
		return exitUsage
	}
	return p.report(command.Run())
}

func (p program) report(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintln(p.Stderr, "cadreen:", err)
		return exitUsage
	}
	fmt.Fprintln(p.Stderr, "cadreen:", err)
	return exitFailed
}
