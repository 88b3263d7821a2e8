package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// server is `cadreen serve` in a process of its own.
type server struct {
	cmd    *exec.Cmd
	url    string
	key    string // "" if none was printed
	greet  string
	stderr bytes.Buffer
}

var (
	listens  = regexp.MustCompile(`listens on (http://\S+)`)
	firstKey = regexp.MustCompile(`sk_cadreen_[A-Za-z0-9]{43}`)
)

// serve starts the program in a folder of its own and reads its greeting.
func serve(t *testing.T, dir string, environ ...string) *server {
	t.Helper()
	s := &server{cmd: exec.Command("cadreen", "serve")}
	s.cmd.Dir = dir
	s.cmd.Env = append([]string{"CADREEN_LISTEN=127.0.0.1:0"}, environ...)
	s.cmd.Stderr = &s.stderr
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() { s.cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		s.greet += lines.Text() + "\n"
		// The greeting ends with an empty line after the keys or the curl.
		if lines.Text() == "" && (strings.Contains(s.greet, "cadreen key list") || strings.Contains(s.greet, "-d '")) {
			break
		}
	}
	found := listens.FindStringSubmatch(s.greet)
	require.NotNil(t, found, "%s\n%s", s.greet, &s.stderr)
	s.url, s.key = found[1], firstKey.FindString(s.greet)
	return s
}

// terminate sends SIGTERM and answers the exit code.
func (s *server) terminate(t *testing.T) int {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	_ = s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

func TestFirstStartPrintsAKeyOnceAndARestartDoesNot(t *testing.T) {
	dir := t.TempDir()
	first := serve(t, dir)
	require.NotEmpty(t, first.key, first.greet)
	require.Contains(t, first.greet, "rehearsal")
	require.FileExists(t, filepath.Join(dir, "cadreen-data", "cadreen.db"))
	require.Equal(t, 0, first.terminate(t), first.stderr.String())
	require.NotContains(t, first.stderr.String(), first.key)

	second := serve(t, dir)
	require.Empty(t, second.key, second.greet)
	require.Contains(t, second.greet, "cadreen key list")
	r, err := http.NewRequestWithContext(t.Context(), "GET", second.url+"/v1/models", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+first.key)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, 200, response.StatusCode, "the first key is still good")
	require.Equal(t, 0, second.terminate(t), second.stderr.String())
}

// The curl of the greeting is run as it stands there.
func TestThePrintedCurlAsksForApproval(t *testing.T) {
	curl, err := exec.LookPath("curl")
	require.NoError(t, err, "curl is what the greeting shows")
	s := serve(t, t.TempDir())
	_, command, found := strings.Cut(s.greet, "Try it:")
	require.True(t, found)
	out, err := exec.Command("sh", "-c", strings.Replace(command, "curl ", curl+" -s ", 1)).CombinedOutput()
	require.NoError(t, err, string(out))
	var answer struct {
		Choices []struct {
			Message struct{ Content string }
		}
	}
	require.NoError(t, json.Unmarshal(out, &answer), string(out))
	require.Equal(t, demoPrompt, answer.Choices[0].Message.Content)
	require.Equal(t, 0, s.terminate(t), s.stderr.String())
}

func TestKeyCommandsBesideARunningServer(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	run := func(args ...string) string {
		cmd := exec.Command("cadreen", args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		require.NoError(t, err)
		return string(out)
	}
	status := func(key string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/v1/models", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+key)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode
	}
	key := strings.TrimSpace(run("key", "create", "--name", "second"))
	require.Regexp(t, firstKey, key)
	require.Equal(t, 200, status(key))
	list := run("key", "list")
	require.NotContains(t, list, key)
	id := regexp.MustCompile(`(?m)^(key_\S+).*second$`).FindStringSubmatch(list)
	require.NotNil(t, id, list)
	run("key", "revoke", id[1])
	for status(key) != 401 { // within seconds, by the watch
		require.NoError(t, t.Context().Err())
	}
	require.Equal(t, 0, s.terminate(t), s.stderr.String())
}

func TestCloseMayBeCalledTwiceAndAfterAFailedRun(t *testing.T) {
	cfg, err := configFlag{}.load(program{Environ: []string{"CADREEN_LISTEN=127.0.0.1:0", "CADREEN_STORE_URL=sqlite:" + filepath.Join(t.TempDir(), "a.db")}})
	require.NoError(t, err)
	m := &Main{Config: cfg}
	require.NoError(t, m.Run(context.Background()))
	taken := *cfg
	taken.Listen = m.Addr()
	second := &Main{Config: &taken}
	require.ErrorContains(t, second.Run(context.Background()), "address already in use")
	require.NoError(t, second.Close())
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	require.NoError(t, <-m.Failed())
}
