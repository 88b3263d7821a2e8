package storetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sentinelMaster is the name under which Sentinel knows the master.
const sentinelMaster = "main"

// RedisSentinel is a master with one replica, watched by three Sentinels of
// which two decide. A master that is silent for half a second is replaced.
type RedisSentinel struct {
	Master, Replica *RedisProcess
	Sentinels       []*RedisProcess
}

// StartRedisSentinel starts all of it and waits until it would fail over. On an
// error nothing is left.
func StartRedisSentinel(dir string) (*RedisSentinel, error) {
	s := &RedisSentinel{}
	if err := s.start(dir); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

func (s *RedisSentinel) start(dir string) (err error) {
	home := func(name string) string {
		path := filepath.Join(dir, name)
		err = errors.Join(err, os.Mkdir(path, 0o700))
		return path
	}
	one, two := home("master"), home("replica")
	if err != nil {
		return err
	}
	quick := []string{"--repl-diskless-sync-delay", "0"}
	if s.Master, err = StartRedis(one, quick...); err != nil {
		return err
	}
	host, port, _ := strings.Cut(s.Master.Addr, ":")
	if s.Replica, err = StartRedis(two, append(quick, "--replicaof", host, port)...); err != nil {
		return err
	}
	for i := range 3 {
		one, err := startSentinel(home(fmt.Sprint("sentinel", i)), host, port)
		if err != nil {
			return err
		}
		s.Sentinels = append(s.Sentinels, one)
	}
	return s.agree()
}

// startSentinel starts one Sentinel. It writes what it learns into its file.
func startSentinel(dir, host, port string) (*RedisProcess, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s %s %s 2\nsentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 3000\n",
		ports[0], dir, sentinelMaster, host, port, sentinelMaster, sentinelMaster)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p := &RedisProcess{program: "redis-server", Addr: local(ports[0]), dir: dir, args: []string{file, "--sentinel"}, sentinel: true}
	return p, p.Restart()
}

// agree waits until the Sentinels know each other and the replica, and the
// replica has what the master has.
func (s *RedisSentinel) agree() error {
	return until("the Sentinels agree", func() error {
		for _, one := range s.Sentinels {
			if text, err := one.Say("SENTINEL", "CKQUORUM", sentinelMaster); err != nil || !strings.Contains(text, "OK 3 usable") {
				return fmt.Errorf("quorum: %s %w", text, err)
			}
			text, err := one.Say("SENTINEL", "MASTER", sentinelMaster)
			if err != nil || !strings.Contains(text, "\nnum-slaves\n1\n") {
				return fmt.Errorf("no replica yet: %w", err)
			}
		}
		return s.inStep()
	})
}

// Replicated waits until the replica has everything that the master has.
func (s *RedisSentinel) Replicated() error { return until("the replica is in step", s.inStep) }

func (s *RedisSentinel) inStep() error {
	master, err1 := s.Master.Say("INFO", "replication")
	replica, err2 := s.Replica.Say("INFO", "replication")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	at, behind := field(master, "master_repl_offset"), field(replica, "slave_repl_offset")
	if field(replica, "master_link_status") != "up" || at == "" || at != behind {
		return fmt.Errorf("the master is at %q, the replica at %q", at, behind)
	}
	return nil
}

// field is one line of INFO.
func field(info, name string) string {
	for line := range strings.SplitSeq(info, "\r\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return value
		}
	}
	return ""
}

// FailedOver waits until every Sentinel names the replica as the master.
func (s *RedisSentinel) FailedOver() error {
	return until("the replica is the master", func() error {
		for _, one := range s.Sentinels {
			text, err := one.Say("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinelMaster)
			if err != nil {
				return err
			}
			if strings.ReplaceAll(text, "\n", ":") != s.Replica.Addr {
				return fmt.Errorf("the master is still %q", text)
			}
		}
		return nil
	})
}

// URL is the address of the store for the program.
func (s *RedisSentinel) URL() string {
	var list []string
	for _, one := range s.Sentinels {
		list = append(list, one.Addr)
	}
	return "redis+sentinel://" + sentinelMaster + "@" + strings.Join(list, ",")
}

// Kill ends everything.
func (s *RedisSentinel) Kill() {
	for _, p := range append([]*RedisProcess{s.Master, s.Replica}, s.Sentinels...) {
		if p != nil {
			p.Kill()
		}
	}
}
