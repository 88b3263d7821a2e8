package storetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// RedisCluster starts a real Redis Cluster of three masters without replicas
// for one test and answers its nodes.
func RedisCluster(t testing.TB) []*RedisProcess {
	t.Helper()
	nodes, err := StartRedisCluster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, n := range nodes {
			n.Kill()
		}
	})
	return nodes
}

// StartRedisCluster starts three masters that share the slots evenly, and waits
// until all of them say that the Cluster stands. On an error nothing is left.
func StartRedisCluster(dir string) (nodes []*RedisProcess, err error) {
	defer func() {
		if err != nil {
			for _, n := range nodes {
				n.Kill()
			}
			nodes = nil
		}
	}()
	const count, slots = 3, 16384
	buses, err := freePorts(count)
	if err != nil {
		return nil, err
	}
	for i, bus := range buses {
		home := filepath.Join(dir, fmt.Sprintf("node%d", i))
		if err := os.Mkdir(home, 0o700); err != nil {
			return nodes, err
		}
		node, err := StartRedis(home, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", "2000")
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, node)
	}
	for i, node := range nodes {
		first, last := i*slots/count, (i+1)*slots/count-1
		if _, err := say(node.Addr, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last)); err != nil {
			return nodes, err
		}
	}
	host, port, _ := strings.Cut(nodes[0].Addr, ":")
	for _, node := range nodes[1:] {
		if _, err := say(node.Addr, "CLUSTER", "MEET", host, port, strconv.Itoa(buses[0])); err != nil {
			return nodes, err
		}
	}
	return nodes, until("the Cluster stands", func() error {
		for _, node := range nodes {
			info, err := say(node.Addr, "CLUSTER", "INFO")
			if err != nil {
				return err
			}
			for _, want := range []string{"cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3", "cluster_size:3"} {
				if !strings.Contains(info, want+"\r\n") {
					return errors.New(node.Addr + " does not say " + want)
				}
			}
		}
		return nil
	})
}

// MoveSlot moves the slot of a key from the master that has it to the next one,
// some keys at a time, as redis-cli does. Between its steps it calls pause.
func MoveSlot(nodes []*RedisProcess, key string, pause func()) error {
	slot, err := nodes[0].Say("CLUSTER", "KEYSLOT", key)
	if err != nil {
		return err
	}
	at := -1
	for i, node := range nodes {
		if _, err := node.Say("EXISTS", key); err == nil {
			at = i
		}
	}
	if at < 0 {
		return fmt.Errorf("storetest: no node has slot %s", slot)
	}
	from, to := nodes[at], nodes[(at+1)%len(nodes)]
	fromID, err1 := from.Say("CLUSTER", "MYID")
	toID, err2 := to.Say("CLUSTER", "MYID")
	_, err3 := to.Say("CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
	_, err4 := from.Say("CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	host, port, _ := strings.Cut(to.Addr, ":")
	for {
		pause()
		keys, err := from.Say("CLUSTER", "GETKEYSINSLOT", slot, "200")
		if err != nil {
			return err
		}
		if keys == "" {
			break
		}
		words := append([]string{"MIGRATE", host, port, `""`, "0", "5000", "KEYS"}, strings.Split(keys, "\n")...)
		if _, err := from.Say(words...); err != nil {
			return err
		}
	}
	pause()
	for _, node := range []*RedisProcess{to, from} {
		if _, err := node.Say("CLUSTER", "SETSLOT", slot, "NODE", toID); err != nil {
			return err
		}
	}
	return nil
}
