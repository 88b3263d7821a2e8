package main

import (
	"bufio"
	"context"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// process is the program in a process of its own.
type process struct {
	proxyUnderTest
	cmd *exec.Cmd
	out *bufio.Scanner // its standard output after the greeting
}

func startProcess(t *testing.T, config string) *process {
	t.Helper()
	return startCommand(t, exec.Command("cadreen", "serve", "--config", config)) // see TestMain
}

// startCommand starts a program that serves, and waits until it listens.
func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{proxyUnderTest: proxyUnderTest{t: t}, cmd: cmd, out: bufio.NewScanner(out)}
	t.Cleanup(p.kill)
	for p.out.Scan() {
		if m := listens.FindStringSubmatch(p.out.Text()); m != nil {
			p.url = m[1] + "/v1"
			return p
		}
	}
	t.Fatal("the program ended before it listened")
	return nil
}

// kill ends the process at once, as kill -9 does. Twice is no error.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// terminate lets it finish, as SIGTERM does.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.cmd.Wait())
}

func TestKillBetweenAskAndAnswerLosesNothing(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		bothWays(t, func(t *testing.T, stream bool) {
			model := scripted.New(t)
			config := setup{store: storeURL, backend: model.URL()}.file(t)
			first := startProcess(t, config)
			ask := newChat("Refund order 456").streaming(stream)
			call := refund("call_kill", `{"order_id":"Z\u00fcrich", "amount":750.00}`)
			asked := asks(t, &first.proxyUnderTest, model, ask, call)
			first.kill()

			second := startProcess(t, config)
			sofar := len(model.Requests())
			second.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
			require.Len(t, model.Requests(), sofar)
			second.kill()

			// What was released is given to a retry, and to nobody else. The kill may
			// have come before the proxy noted that its reply was whole, so the third
			// process is let go in order.
			third := startProcess(t, config)
			third.post(ask.say(asked.text, "yes").body(), "X-Stainless-Retry-Count", "1").read(t).released(t, call)
			third.terminate(t)
			fourth := startProcess(t, config)
			refused(t, &fourth.proxyUnderTest, model, ask.say(asked.text, "yes").body())
		})
	})
}

// Killed while the model is still writing the call: nothing was promised, and
// nothing is released.
func TestKillInTheMiddleOfACallReleasesNothing(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		model := scripted.New(t)
		config := setup{store: storeURL, backend: model.URL()}.file(t)
		first := startProcess(t, config)
		h := scripted.Head{}
		reached := make(chan struct{})
		steps := scripted.Wire{}.Steps(append([]string{h.Role(0)}, h.CallChunks(0, 0, refund("call_k", `{"order_id":"1"}`), 2)...)...)
		model.Next(scripted.Stream(append(steps[:3:3], scripted.Signal(reached), scripted.Stall())...))
		ask := newChat("Refund order 1").streaming(true)
		over := make(chan struct{})
		go func() {
			defer close(over)
			_, _ = first.try(context.WithoutCancel(t.Context()), ask.body())
		}()
		<-reached
		first.kill()
		<-over

		second := startProcess(t, config)
		refused(t, &second.proxyUnderTest, model, ask.say(promptShort, "yes").body())
	})
}

// Replicas on one Redis: asked by one, answered by another, once.
func TestReplicaChangeBetweenAskAndAnswer(t *testing.T) {
	storeURL := engines[1].url(t)
	model := scripted.New(t)
	one := start(t, setup{store: storeURL, backend: model.URL()})
	two := start(t, setup{store: storeURL, backend: model.URL()})
	bothWays(t, func(t *testing.T, stream bool) {
		ask := newChat("Refund order 456").streaming(stream)
		call := refund("call_replica", refundArgs)
		asked := asks(t, one, model, ask, call)
		two.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
		refused(t, one, model, ask.say(asked.text, "yes").body())
	})
}
