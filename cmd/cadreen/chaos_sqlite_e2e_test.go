//go:build linux

package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

// One process on one file, under load: the disk is full for a while, and the
// process is killed and another one goes on.
func TestChaosSQLite(t *testing.T) {
	s := newStorm(t, engines[0].url(t))
	config := setup{store: s.store, backend: s.model.URL(), policy: stormPolicy, yaml: quickBeats}.file(t)
	p := startStepped(t, config, "", 0) // which takes a limit on files for a full disk
	s.members = append(s.members, p)
	s.blow(last)
	before := p.load(t)
	t.Run("the disk is full", func(t *testing.T) {
		s.blow(func() {
			for range 2 {
				p.limitFiles(t, 4096)
				last()
				p.limitFiles(t, unix.RLIM_INFINITY)
				last()
			}
		})
		s.recovers()
		s.audit()
	})
	t.Run("the process is killed", func(t *testing.T) {
		s.settles(p, before)
		s.blow(func() {
			for range 1 + chaosTimes() {
				last()
				dead := p
				dead.kill()
				p = s.join(config)
				s.leave(dead)
			}
			last()
		})
		s.recovers()
		s.audit()
	})
	s.settles(p, before)
	p.terminate(t)
	t.Logf("%d conversations, replies by status %v", s.done.Load(), s.count)
}
