// Command cadreen is the proxy and the tools around it: serve, demo, policy,
// key, doctor, version.
//
// What lives here: the command line, and Main, which opens every room and puts
// them together. What does not: anything that a request goes through.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/mattn/go-isatty"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once it is stopping, a second signal ends it at once.
	context.AfterFunc(ctx, stop)
	terminal := isatty.IsTerminal(os.Stdin.Fd()) && isatty.IsTerminal(os.Stdout.Fd())
	code := program{Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Terminal: terminal}.run(ctx)
	stop()
	os.Exit(code)
}
