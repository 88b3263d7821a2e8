package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// deployed is a file of the folder deploy.
func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", name))
	require.NoError(t, err)
	return string(text)
}

// The unit is one that systemd reads, and its numbers fit the program.
func TestTheSystemdUnitFits(t *testing.T) {
	unit := deployed(t, "cadreen.service")
	sections, section := map[string]map[string]string{}, ""
	for line := range strings.Lines(unit) {
		line = strings.TrimSpace(line)
		switch name, value, ok := strings.Cut(line, "="); {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			sections[section] = map[string]string{}
		default:
			require.True(t, ok, line)
			sections[section][name] = value
		}
	}
	s := sections["Service"]
	stop, err := strconv.Atoi(s["TimeoutStopSec"])
	require.NoError(t, err)
	m := &Main{}
	m.setDefaults()
	require.Greater(t, time.Duration(stop)*time.Second, m.Grace+5*time.Second)
	require.Equal(t, "/var/lib/"+s["StateDirectory"], s["WorkingDirectory"])
	words := strings.Fields(s["ExecStart"])
	require.Equal(t, []string{"/usr/local/bin/cadreen", "serve", "--config", "/etc/cadreen/cadreen.yaml"}, words)
	require.NotEmpty(t, sections["Install"]["WantedBy"])

	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Log("systemd-analyze is not here: the unit was read by this test only")
		return
	}
	// It wants the program to be there.
	file := filepath.Join(t.TempDir(), "cadreen.service")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(unit, words[0], "/bin/true", 1)), 0o600))
	out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput()
	require.NoError(t, err, string(out))
	for line := range strings.Lines(string(out)) {
		require.NotContains(t, line, "cadreen.service:", "%s", out)
	}
}

// Behind nginx and Caddy, as the page sets them up, streams come as they are
// written, a client that leaves stops the model, and an ask and its answer go
// through.
func TestTheProxiesOfTheDeployPageKeepStreamsAlive(t *testing.T) {
	t.Run("nginx", func(t *testing.T) {
		program, err := exec.LookPath("nginx")
		if err != nil {
			if program, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
				t.Skip("nginx is not here: install it (Debian: apt-get install nginx) to run this")
			}
		}
		behind(t, func(t *testing.T, upstream, listen string) *exec.Cmd { return nginx(t, program, upstream, listen) })
	})
	t.Run("caddy", func(t *testing.T) {
		program, err := exec.LookPath("caddy")
		if err != nil {
			t.Skip("caddy is not here: install it to run this")
		}
		behind(t, func(t *testing.T, upstream, listen string) *exec.Cmd { return caddy(t, program, upstream, listen) })
	})
}

// nginx is the file of the page but for addresses and certificates.
func nginx(t *testing.T, program, upstream, listen string) *exec.Cmd {
	text := deployed(t, "nginx.conf")
	require.Contains(t, text, "server 127.0.0.1:8080;")
	text = strings.Replace(text, "127.0.0.1:8080", upstream, 1)
	text = strings.Replace(text, "listen 443 ssl;", "listen "+listen+";", 1)
	text = regexp.MustCompile(`(?m)^\s*ssl_.*\n`).ReplaceAllString(text, "")
	folder := t.TempDir()
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += kind + "_temp_path " + folder + "/" + kind + ";\n"
	}
	whole := "daemon off;\npid " + folder + "/pid;\nerror_log stderr;\nworker_processes 1;\nevents { worker_connections 256; }\nhttp {\naccess_log off;\n" + temp + text + "}\n"
	if os.Getuid() == 0 {
		whole = "user root;\n" + whole
	}
	file := filepath.Join(folder, "nginx.conf")
	require.NoError(t, os.WriteFile(file, []byte(whole), 0o600))
	return exec.Command(program, "-p", folder, "-e", "stderr", "-c", file)
}

// caddy is the file of the page but for addresses.
func caddy(t *testing.T, program, upstream, listen string) *exec.Cmd {
	text := deployed(t, "Caddyfile")
	text = strings.Replace(text, "cadreen.example.com", "http://"+listen, 1)
	text = strings.Replace(text, "127.0.0.1:8080", upstream, 1)
	folder := t.TempDir()
	file := filepath.Join(folder, "Caddyfile")
	require.NoError(t, os.WriteFile(file, []byte("{\n\tadmin off\n\tauto_https off\n}\n"+text), 0o600))
	cmd := exec.Command(program, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(slices.Clone(os.Environ()), "HOME="+folder, "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder)
	return cmd
}

func behind(t *testing.T, command func(t *testing.T, upstream, listen string) *exec.Cmd) {
	straight, model := startScripted(t, setup{yaml: quickBeats})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listen := listener.Addr().String()
	require.NoError(t, listener.Close())
	cmd := command(t, strings.TrimPrefix(straight.main.URL(), "http://"), listen)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	awaitTrue(t, "the proxy listens", func() bool {
		conn, err := net.Dial("tcp", listen)
		return err == nil && conn.Close() == nil
	})
	p := &proxyUnderTest{t: t, url: "http://" + listen + "/v1"}

	t.Run("text comes while the model is still writing, and heartbeats", func(t *testing.T) {
		h, gate := scripted.Head{}, make(chan struct{})
		model.Next(scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(h.Role(0), h.Text(0, "first")), append([]scripted.Step{scripted.Wait(gate)}, scripted.Wire{}.Steps(h.Text(0, "second"), h.Finish(0, "stop"))...)...)...))
		var got reply
		seen := 0
		got = watch(t, p, newChat("hi").streaming(true).body(), func(payload string) {
			if strings.Contains(payload, `"content":""}`) {
				if seen++; seen == 3 {
					close(gate) // only now does the model go on
				}
			}
		})
		require.Equal(t, "firstsecond", got.read(t).text)
		require.True(t, got.read(t).done)
	})
	t.Run("a client that leaves stops the model", func(t *testing.T) {
		h := scripted.Head{}
		sofar := len(model.Requests())
		model.Next(scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(h.Role(0), h.Text(0, "first")), scripted.Stall())...))
		res, err := p.open(t.Context(), newChat("hi").streaming(true).body())
		require.NoError(t, err)
		_, err = res.Body.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		asked, err := model.Await(t.Context(), sofar+1)
		require.NoError(t, err)
		select {
		case <-asked.Gone():
		case <-time.After(patience):
			require.Fail(t, "the model goes on")
		}
	})
	t.Run("asked and answered", func(t *testing.T) {
		bothWays(t, func(t *testing.T, stream bool) {
			ask, call := newChat(fmt.Sprint("Refund order 456 ", stream)).streaming(stream), refund("call_behind", refundArgs)
			asked := asks(t, p, model, ask, call)
			p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
		})
	})
	t.Run("a large body", func(t *testing.T) {
		model.Next(turnOf(false, "fine"))
		r := p.post(newChat(strings.Repeat("long ", 4<<20)).body())
		require.Equal(t, 200, r.status)
	})
	t.Run("metrics stay inside", func(t *testing.T) {
		res, err := http.Get("http://" + listen + "/metrics")
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Contains(t, []int{403, 404}, res.StatusCode)
	})
}
