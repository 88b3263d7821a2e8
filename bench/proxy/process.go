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

// tick is the unit of /proc/<pid>/stat: Linux gives user space hundredths of a second on every architecture Go runs on.
const tick = 10 * time.Millisecond

// cpu is the time that the process has computed so far, in the kernel too.
func (p *process) cpu() (time.Duration, error) {
	var sum time.Duration
	for _, id := range p.ids() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
		if err != nil {
			return 0, err
		}
		used, err := statTime(text)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// statTime is utime + stime of a stat line. The second field is the program's name in brackets, which may hold anything.
func statTime(stat []byte) (time.Duration, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat: %q", stat)
	}
	user, err := strconv.ParseInt(string(fields[11]), 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * tick, err
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
