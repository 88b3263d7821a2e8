package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a child of the run: a contestant, the model, or a store. It ends with the run.
type process struct {
	command *exec.Cmd
	ended   chan struct{}
	log     string // file with what it said
}

// startProcess runs a program and waits until its address answers. What it says goes to a file in the folder.
func startProcess(ctx context.Context, folder, name, address, program string, args ...string) (*process, error) {
	p := &process{ended: make(chan struct{}), log: filepath.Join(folder, name+".log")}
	said, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = said.Close() }()
	p.command = exec.Command(program, args...)
	p.command.Dir = folder
	p.command.Stdout, p.command.Stderr = said, said
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.command.Wait()
		close(p.ended)
	}()
	if err := p.answers(ctx, address); err != nil {
		p.stop()
		text, _ := os.ReadFile(p.log)
		return nil, fmt.Errorf("%s did not start: %w\n%s", name, err, text)
	}
	return p, nil
}

// answers waits until something listens at the address.
func (p *process) answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop asks the process to end, and ends it when it does not.
func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// ids are the process and its children, such as nginx's workers.
func (p *process) ids() []int {
	own := p.command.Process.Pid
	list := []int{own}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", own, own))
	for _, word := range strings.Fields(string(text)) {
		if id, err := strconv.Atoi(word); err == nil {
			list = append(list, id)
		}
	}
	return list
}

// cpu is the time that the process has computed so far, in the kernel too: the sum over its threads, since what the kernel says of
// the process as a whole is in hundredths of a second, too coarse for a slice. Go programs, nginx and Redis keep their threads.
func (p *process) cpu() (time.Duration, error) {
	var sum time.Duration
	for _, id := range p.ids() {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", id))
		if err != nil || len(threads) == 0 {
			return 0, fmt.Errorf("the threads of process %d are not to be seen: %w", id, errors.Join(err, os.ErrNotExist))
		}
		for _, thread := range threads {
			text, err := os.ReadFile(thread)
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) { // it has just ended
				continue
			}
			if err != nil {
				return 0, err
			}
			used, err := runTime(text)
			if err != nil {
				return 0, err
			}
			sum += used
		}
	}
	return sum, nil
}

// runTime is the first field of a schedstat line: the time on a processor in nanoseconds.
func runTime(schedstat []byte) (time.Duration, error) {
	first, _, ok := bytes.Cut(schedstat, []byte(" "))
	used, err := strconv.ParseInt(string(first), 10, 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("schedstat: %q", schedstat)
	}
	return time.Duration(used), nil
}

// memory is the resident memory in bytes, summed over the process and its children.
func (p *process) memory() (int64, error) {
	var sum int64
	for _, id := range p.ids() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", id))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(text), "VmRSS:")
		words := strings.Fields(rest)
		if len(words) == 0 {
			return 0, fmt.Errorf("no VmRSS of process %d", id)
		}
		kib, err := strconv.ParseInt(words[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += kib << 10
	}
	return sum, nil
}

// freeAddress is an address of 127.0.0.1 that nothing listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
