// Command soak runs Cadreen under a steady load for a long time and says whether it stays as it was: no error, no reply that
// is not the expected one, and no growth of memory, goroutines or open files.
//
// It builds the program, starts it as a process of its own on a free port of 127.0.0.1 with a store in a new folder, is its
// model, and sends requests at a fixed rate whatever the answers take. A run ends by itself.
//
// What lives here: the run (this file), the model, the load, the watch over the process, the verdict, the plot. What does
// not: how fast Cadreen is beside others, which is bench/proxy.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// plan is what the flags say.
type plan struct {
	length time.Duration
	rate   int // requests a second
	every  time.Duration
	store  string
	docs   string
}

// longestRun bounds a run, whatever the flags say.
const longestRun = 2 * time.Hour

func main() {
	var p plan
	flag.DurationVar(&p.length, "for", 15*time.Minute, "how long the load lasts")
	flag.IntVar(&p.rate, "rate", 300, "requests a second")
	flag.DurationVar(&p.every, "every", 5*time.Second, "how often the process is looked at")
	flag.StringVar(&p.store, "store", "", "store.url, such as redis://127.0.0.1:6379; empty: a SQLite file in a new folder")
	flag.StringVar(&p.docs, "docs", "", "folder that soak.md and soak.svg are written into; empty: none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, min(p.length+5*time.Minute, longestRun))
	defer cancel()
	if err := p.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench/soak:", err)
		os.Exit(1)
	}
}

// run answers an error where the run failed or the verdict is not good. What it started has ended when it returns.
func (p plan) run(ctx context.Context, to io.Writer) error {
	folder, err := os.MkdirTemp("", "soak-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	model, err := startModel()
	if err != nil {
		return err
	}
	defer model.stop()
	proxy, err := p.start(ctx, folder, model.url)
	if err != nil {
		return err
	}
	defer proxy.stop()
	l := newLoad(proxy.url, p.rate)
	w := &watch{proxy: proxy, load: l, every: p.every}
	fmt.Fprintf(to, "%d requests a second for %s at %s\n", p.rate, p.length, proxy.url)
	loading, end := context.WithTimeout(ctx, p.length)
	defer end()
	watching := make(chan error, 1)
	go func() { watching <- w.run(loading, to) }()
	l.run(loading)
	end()
	if err := <-watching; err != nil {
		return err
	}
	v := judge(p, w.samples, l.total())
	fmt.Fprintln(to, v.text())
	if p.docs != "" {
		if err := v.write(p.docs); err != nil {
			return err
		}
	}
	return errors.Join(ctx.Err(), v.err(), proxy.stop())
}

// policy lets lookups go and asks about everything else that the load proposes.
const policy = `name: Soak
rules:
  - id: lookups
    condition: "Reading is free"
    tools: [get_order]
    when: [{if: 'true', effect: allow}]
`

// process is the program under load.
type process struct {
	url, key string
	store    string // the SQLite file, "" for another store
	command  *exec.Cmd
	log      *os.File
	ended    chan struct{}
}

// start builds the program and runs it.
func (p plan) start(ctx context.Context, folder, model string) (*process, error) {
	program := filepath.Join(folder, "cadreen")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "cadreen/cmd/cadreen")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	policies := filepath.Join(folder, "policies")
	if err := errors.Join(os.Mkdir(policies, 0o700), os.WriteFile(filepath.Join(policies, "soak.yaml"), []byte(policy), 0o600)); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	_ = listener.Close()
	log, err := os.Create(filepath.Join(folder, "cadreen.log"))
	if err != nil {
		return nil, err
	}
	proxy := &process{url: "http://" + address, key: "sk_cadreen_soak_0123456789abcdef", log: log, ended: make(chan struct{})}
	store := p.store
	if store == "" {
		proxy.store = filepath.Join(folder, "soak.db")
		store = "sqlite:" + proxy.store
	}
	proxy.command = exec.Command(program, "serve")
	proxy.command.Dir = folder
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CADREEN_") {
			proxy.command.Env = append(proxy.command.Env, v)
		}
	}
	proxy.command.Env = append(proxy.command.Env, "CADREEN_LISTEN="+address, "CADREEN_STORE_URL="+store, "CADREEN_BACKEND_URL="+model,
		"CADREEN_POLICIES="+policies, "CADREEN_API_KEYS="+proxy.key+"=soak")
	proxy.command.Stdout, proxy.command.Stderr = log, log
	if err := proxy.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = proxy.command.Wait()
		close(proxy.ended)
	}()
	return proxy, proxy.listens(ctx, address)
}

// listens waits until the program answers.
func (p *process) listens(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-p.ended:
			return fmt.Errorf("cadreen ended: %s", p.said())
		case <-ctx.Done():
			return errors.Join(ctx.Err(), p.stop())
		}
	}
}

func (p *process) said() string {
	text, _ := os.ReadFile(p.log.Name())
	return string(text)
}

// stop lets the program end in order; twice is no error.
func (p *process) stop() error {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(40 * time.Second):
		_ = p.command.Process.Kill()
		<-p.ended
		return errors.New("cadreen did not end in 40 s")
	}
	if code := p.command.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("cadreen ended with %d: %s", code, p.said())
	}
	return nil
}
