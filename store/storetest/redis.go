package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to start, to end or to agree with the
// others of its Cluster. Nothing waits that long unless it is broken.
const patience = 30 * time.Second

// RedisServer starts a real redis-server for one test and answers its address,
// host:port. It fails the test when redis-server is not on PATH.
func RedisServer(t testing.TB) (addr string) {
	t.Helper()
	p, err := StartRedis(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p.Addr
}

// RedisProcess is a redis-server on a free port of 127.0.0.1 with appendonly
// yes and appendfsync always. Its methods are for one goroutine.
type RedisProcess struct {
	Addr string // host:port, the same after Restart

	program  string
	dir      string
	args     []string
	sentinel bool // args are all there is
	cmd      *exec.Cmd
	output   bytes.Buffer
	guard    *exec.Cmd
	leash    interface{ Close() error }
	exited   chan struct{}
	once     *sync.Once
}

// StartRedis starts a server that keeps its data in dir and waits until it
// answers. Further arguments are given to redis-server as they are. The server
// is killed when this process ends, however that happens.
func StartRedis(dir string, args ...string) (*RedisProcess, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, errors.New("storetest: redis-server is not on PATH; install Redis or Valkey to run these tests")
	}
	return startServer("redis-server", dir, args)
}

// StartValkey is StartRedis with Valkey's own server. HaveValkey says whether
// there is one.
func StartValkey(dir string, args ...string) (*RedisProcess, error) {
	return startServer("valkey-server", dir, args)
}

// HaveValkey says whether valkey-server is on PATH.
func HaveValkey() bool {
	_, err := exec.LookPath("valkey-server")
	return err == nil
}

func startServer(program, dir string, args []string) (*RedisProcess, error) {
	var err error
	for range 5 { // another process may take the port first
		var ports []int
		if ports, err = freePorts(1); err != nil {
			return nil, err
		}
		p := &RedisProcess{program: program, dir: dir, Addr: local(ports[0]), args: append([]string{"--port", strconv.Itoa(ports[0])}, args...)}
		if err = p.Restart(); err == nil {
			return p, nil
		}
	}
	return nil, err
}

// Restart starts the server again on its port and data. It must have ended.
func (p *RedisProcess) Restart() error {
	args := p.args
	if !p.sentinel {
		args = append([]string{
			"--bind", "127.0.0.1", "--dir", p.dir, "--daemonize", "no",
			"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--loglevel", "warning",
		}, args...)
	}
	p.output.Reset()
	p.cmd = exec.Command(p.program, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("storetest: start %s: %w", p.program, err)
	}
	p.exited, p.once = make(chan struct{}), &sync.Once{}
	cmd, exited := p.cmd, p.exited
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	if err := p.watch(); err != nil {
		p.Kill()
		return err
	}
	err := until(p.program+" answers", func() error {
		select {
		case <-exited:
			return giveUp{fmt.Errorf("%s ended: %s", p.program, p.output.String())}
		default:
		}
		_, err := say(p.Addr, "PING")
		return err
	})
	if err != nil {
		p.Kill()
	}
	return err
}

// watch starts a shell that kills the server when this process is gone: its
// standard input then ends.
func (p *RedisProcess) watch() error {
	p.guard = exec.Command("sh", "-c", "read -r _; kill -9 $0", strconv.Itoa(p.cmd.Process.Pid))
	leash, err := p.guard.StdinPipe()
	if err != nil {
		return err
	}
	p.leash = leash
	return p.guard.Start()
}

// Stop lets the server end in order.
func (p *RedisProcess) Stop() { p.end(syscall.SIGTERM) }

// Kill ends the server at once, as kill -9 does. Ending twice does nothing.
func (p *RedisProcess) Kill() { p.end(syscall.SIGKILL) }

// Pause makes the server hang: it takes connections and answers nothing.
func (p *RedisProcess) Pause() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (p *RedisProcess) Resume() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// Say sends one command, its words without blanks, and answers what came: of an
// array its elements, each on a line.
func (p *RedisProcess) Say(words ...string) (string, error) { return say(p.Addr, words...) }

func (p *RedisProcess) end(signal os.Signal) {
	p.once.Do(func() {
		// The guard goes first: later the number may be another process's.
		if p.guard != nil && p.guard.Process != nil {
			_ = p.guard.Process.Kill()
			_ = p.guard.Wait()
			_ = p.leash.Close()
		}
		_ = p.cmd.Process.Signal(signal)
		select {
		case <-p.exited:
		case <-time.After(patience):
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
	})
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePorts holds all of them until it has enough, so that they differ.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", local(0))
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// giveUp ends until early.
type giveUp struct{ error }

// until repeats what reports an error until it reports none.
func until(what string, try func() error) error {
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if final, ok := err.(giveUp); ok || time.Now().After(deadline) {
			if ok {
				err = final.error
			}
			return fmt.Errorf("storetest: wait until %s: %w", what, err)
		}
		<-ticker.C
	}
}
