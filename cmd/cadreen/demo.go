package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"cadreen/config"
)

type demoCommand struct{}

// The two lines that the documentation promises, to the byte.
const demoPrompt = "I need your approval before I can process_refund.\n\nSay \"yes\" to proceed or \"no\" to skip."

// demoArguments are what a yes releases, to the byte.
const demoArguments = `{"order_id":"456","amount":750}`

// demoPolicy blocks one refund and leaves the others to the profile.
const demoPolicy = `name: Demo
rules:
  - id: refund-ceiling
    condition: "Refunds over $5,000 are never made in a chat"
    tools: [process_refund]
    when:
      - {if: 'args.amount > 5000', effect: block}
    else: profile
    message: "Refunds over $5,000 are never made in a chat."
`

// Run plays every conversation as JSON and as a stream, and fails if one step
// came out otherwise than the documentation says.
func (demoCommand) Run(ctx context.Context, p program) (err error) {
	dir, err := os.MkdirTemp("", "cadreen-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m, key, err := startDemo(ctx, p, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	d := &demo{program: p, url: m.URL() + "/v1/chat/completions", key: key, client: &http.Client{}}
	defer d.client.CloseIdleConnections()
	fmt.Fprintf(p.Stdout, "A server of this demo's own at %s, with the rehearsal model and this policy:\n\n%s\n", m.URL(), indent(demoPolicy))
	for _, stream := range []bool{false, true} {
		if err := d.conversations(ctx, stream); err != nil {
			return err
		}
	}
	if d.wrong > 0 {
		fmt.Fprintf(p.Stdout, "%d of %d steps came out WRONG.\n", d.wrong, d.steps)
		return errReported
	}
	fmt.Fprintf(p.Stdout, "All %d steps came out right.\n", d.steps)
	return nil
}

// startDemo runs the real program on a free port. Nothing of the surrounding
// configuration counts, so that the demo is the same everywhere.
func startDemo(ctx context.Context, p program, dir string) (*Main, string, error) {
	policies := filepath.Join(dir, "policies")
	if err := os.Mkdir(policies, 0o700); err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(filepath.Join(policies, "demo.yaml"), []byte(demoPolicy), 0o600); err != nil {
		return nil, "", err
	}
	key := "sk_cadreen_" + rand.Text()
	cfg, err := config.Load("", []string{
		"CADREEN_LISTEN=127.0.0.1:0",
		"CADREEN_STORE_URL=sqlite:" + filepath.Join(dir, "demo.db"),
		"CADREEN_POLICIES=" + policies,
		"CADREEN_API_KEYS=" + key,
	})
	if err != nil {
		return nil, "", err
	}
	m := &Main{Config: cfg, Stderr: p.Stderr}
	return m, key, m.Run(ctx)
}

// conversations are the three ways a refund can go.
func (d *demo) conversations(ctx context.Context, stream bool) error {
	ask := turn{"user", "Refund order 456 for $750"}
	prompt := turn{"assistant", demoPrompt}
	for _, step := range []step{
		{"The model wants to call process_refund: the requester is asked", []turn{ask}, expectation{gate: "needs_input", content: demoPrompt, finish: "stop"}},
		{"Yes: exactly what was held is released", []turn{ask, prompt, {"user", "yes"}}, expectation{gate: "ok", arguments: demoArguments, finish: "tool_calls"}},
		{"The same request again: asked again", []turn{ask}, expectation{gate: "needs_input", content: demoPrompt, finish: "stop"}},
		{"No: nothing is released", []turn{ask, prompt, {"user", "no"}}, expectation{finish: "stop", anyContent: true}},
		{"More than policy ever allows: blocked, and said", []turn{{"user", "Refund order 457 for $9000"}}, expectation{gate: "blocked", finish: "stop", anyContent: true}},
	} {
		if err := d.play(ctx, step, stream); err != nil {
			return err
		}
	}
	return nil
}
