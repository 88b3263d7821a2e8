package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// key is Cadreen's API key in these runs; others pass it on or ignore it.
const key = "sk_cadreen_benchmark_0123456789abcdef"

// baseline is the contestant that the others are divided by.
const baseline = "raw Echo"

// governed is the contestant whose figures are held against the goals.
const governed = "Cadreen, SQLite"

// governedRedis is the same program on the other store.
const governedRedis = "Cadreen, Redis"

// contestant is one way to the model.
type contestant struct {
	name      string
	base      string   // base URL
	process   *process // nil for the model itself and for peers, whose costs are not known
	beside    *process // its store, nil for most
	additions bool     // it adds Cadreen's documented fields
	pprof     string   // address that gives profiles, "" if none does
}

func (c *contestant) stop() {
	if c.process != nil {
		c.process.stop()
	}
	if c.beside != nil {
		c.beside.stop()
	}
}

// starter starts one contestant in a folder of its own, in front of the model at the address.
type starter struct {
	name  string
	start func(ctx context.Context, folder string) (*contestant, error)
}

// field is all that can be measured here.
type field struct {
	bin    string // folder with the built programs
	model  string // address of the model
	pool   int    // idle connections of the baselines
	peers  []peer
	absent []string // what is passed over, and why
}

// peer is a proxy that was started by somebody else.
type peer struct{ name, base string }

// parsePeer reads name=baseurl. Only this machine may be put under load.
func parsePeer(text string) (peer, error) {
	name, base, ok := strings.Cut(text, "=")
	u, err := url.Parse(base)
	if !ok || name == "" || err != nil || u.Scheme != "http" || u.Port() == "" {
		return peer{}, fmt.Errorf("%q is not name=http://address:port/path", text)
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return peer{}, fmt.Errorf("%s is not on this machine", u.Host)
	}
	return peer{name, strings.TrimSuffix(base, "/")}, nil
}

// starters are the contestants in the order of the table.
func (f *field) starters() []starter {
	list := []starter{{"direct", func(context.Context, string) (*contestant, error) {
		return &contestant{base: "http://" + f.model + "/v1"}, nil
	}}}
	if program, err := exec.LookPath("nginx"); err == nil {
		list = append(list, starter{"nginx", f.nginx(program)})
	} else {
		f.absent = append(f.absent, "nginx is not installed")
	}
	list = append(list, starter{baseline, f.baseline("echo")}, starter{"ReverseProxy", f.baseline("reverse")}, starter{governed, f.cadreen("")})
	if program, err := exec.LookPath("redis-server"); err == nil {
		list = append(list, starter{governedRedis, f.cadreen(program)})
	} else {
		f.absent = append(f.absent, "redis-server is not installed")
	}
	for _, p := range f.peers {
		list = append(list, starter{p.name, func(context.Context, string) (*contestant, error) {
			return &contestant{base: p.base}, nil
		}})
	}
	return list
}

// launch starts a contestant.
func (s starter) launch(ctx context.Context, folder string) (*contestant, error) {
	own, err := os.MkdirTemp(folder, "contestant-")
	if err != nil {
		return nil, err
	}
	c, err := s.start(ctx, own)
	if err != nil {
		return nil, err
	}
	c.name = s.name
	return c, nil
}

func (f *field) baseline(kind string) func(context.Context, string) (*contestant, error) {
	return func(ctx context.Context, folder string) (*contestant, error) {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		profiles, err := freeAddress()
		if err != nil {
			return nil, err
		}
		p, err := startProcess(ctx, folder, kind, address, filepath.Join(f.bin, "rawecho"),
			"-kind", kind, "-listen", address, "-upstream", "http://"+f.model, "-pool", strconv.Itoa(f.pool), "-pprof", profiles)
		c := &contestant{base: "http://" + address + "/v1", process: p}
		if kind == "echo" {
			c.pprof = profiles
		}
		return c, err
	}
}

// cadreen starts the real program: with the Redis program given, on a Redis server of its own that writes each commit through.
func (f *field) cadreen(redis string) func(context.Context, string) (*contestant, error) {
	return func(ctx context.Context, folder string) (*contestant, error) {
		c := &contestant{additions: true}
		store := "sqlite:" + filepath.Join(folder, "cadreen.db")
		if redis != "" {
			address, err := freeAddress()
			if err != nil {
				return nil, err
			}
			_, port, _ := net.SplitHostPort(address)
			c.beside, err = startProcess(ctx, folder, "redis", address, redis, "--bind", "127.0.0.1", "--port", port, "--dir", folder,
				"--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")
			if err != nil {
				return nil, err
			}
			store = "redis://" + address
		}
		address, err := freeAddress()
		if err == nil {
			c.base = "http://" + address + "/v1"
			settings := fmt.Sprintf("listen: %s\nbackend: {url: 'http://%s/v1'}\nstore: {url: '%s'}\npolicies: '%s'\nkeys:\n  - {name: bench, key: %s, roles: [chat, operator]}\n",
				address, f.model, store, filepath.Join(folder, "policy.yaml"), key)
			err = os.WriteFile(filepath.Join(folder, "cadreen.yaml"), []byte(settings), 0o600)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, "policy.yaml"), []byte(hundredRules()), 0o600)
		}
		if err == nil {
			c.pprof, err = freeAddress()
		}
		if err == nil {
			c.process, err = startProcess(ctx, folder, "cadreen", address, filepath.Join(f.bin, "cadreen"), "serve", "--config", filepath.Join(folder, "cadreen.yaml"), "--pprof", c.pprof)
		}
		if err != nil {
			c.stop()
			return nil, err
		}
		return c, nil
	}
}

// nginxSettings pass streams on as they come and keep connections to the model.
const nginxSettings = `
daemon off;
pid %[1]s/nginx.pid;
error_log stderr error;
worker_processes auto;
worker_rlimit_nofile %[5]d;
events { worker_connections %[5]d; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	client_body_buffer_size 64k;
	keepalive_requests 1000000;
	upstream model {
		server %[2]s;
		keepalive %[3]d;
		keepalive_requests 1000000;
	}
	server {
		listen %[4]s;
		location / {
			proxy_pass http://model;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_buffering off;
		}
	}
}
`

func (f *field) nginx(program string) func(context.Context, string) (*contestant, error) {
	return func(ctx context.Context, folder string) (*contestant, error) {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		// The workers may run as another user, and must reach their folders.
		if err := os.Chmod(folder, 0o755); err != nil {
			return nil, err
		}
		settings := filepath.Join(folder, "nginx.conf")
		if err := os.WriteFile(settings, fmt.Appendf(nil, nginxSettings, folder, f.model, f.pool, address, neededFiles), 0o600); err != nil {
			return nil, err
		}
		p, err := startProcess(ctx, folder, "nginx", address, program, "-p", folder, "-c", settings)
		return &contestant{base: "http://" + address + "/v1", process: p}, err
	}
}
