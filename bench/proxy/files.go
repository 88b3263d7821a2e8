package main

import (
	"fmt"
	"syscall"
)

// neededFiles is how many descriptors one process may need: a proxy has two for each slow stream.
const neededFiles = 2*mostStreams + 1000

// mostStreams bounds how many slow streams may be asked for.
const mostStreams = 8000

// raiseFiles lets this process, and those that it starts, open as many files as they need.
func raiseFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = max(limit.Max, neededFiles)
	limit.Max = limit.Cur
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("each process needs %d file descriptors (ulimit -n): %w", neededFiles, err)
	}
	return nil
}
