package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// childEnv makes the test program another process on the same file: its value
// is "forever PATH", "hundred PATH" or "open PATH".
const childEnv = "CADREEN_SQLITE_TEST_CHILD"

func child(what string) int {
	mode, path, _ := strings.Cut(what, " ")
	e, err := Open(context.Background(), path)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if mode == "open" {
		fmt.Println("opened")
	}
	for n := 1; mode == "forever" || mode == "hundred" && n <= 100; n++ {
		id := fmt.Sprint(mode, n)
		err := e.Commit(context.Background(), "w",
			store.Put{Doc: store.Doc{Kind: "thing", ID: id, Index: []store.Index{{Name: "by", Key: mode, Score: int64(n)}}}, Create: true},
			store.Append{Log: "l", Value: []byte(id)})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(id) // only after the commit returned
	}
	if err := e.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func start(t *testing.T, what string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+what)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewScanner(out)
}

func TestKillMinusNineLosesNothingThatWasAnswered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cadreen.db")
	cmd, out := start(t, "forever "+path)
	var answered []string
	for len(answered) < 60 && out.Scan() {
		answered = append(answered, out.Text())
	}
	require.NoError(t, cmd.Process.Kill())
	for out.Scan() {
		answered = append(answered, out.Text())
	}
	require.Error(t, cmd.Wait())
	require.GreaterOrEqual(t, len(answered), 60, "%v", answered)

	e := open(t, path)
	lines, err := e.Read(t.Context(), "w", "l", 0, 1<<20)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(lines), len(answered))
	require.LessOrEqual(t, len(lines), len(answered)+1, "at most the one that was under way")
	for i, l := range lines {
		require.EqualValues(t, i+1, l.Seq)
		doc, err := e.Get(t.Context(), "w", "thing", string(l.Value))
		require.NoError(t, err, "a line without its document would be half a commit")
		require.Equal(t, int64(i+1), doc.Index[0].Score)
	}
	require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "l"}))
}

// TRAPS 90: a command beside the server, both writing.
func TestAnotherProcessWritesBesideTheServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cadreen.db")
	e := open(t, path)
	signals, err := e.Watch(t.Context(), "w")
	require.NoError(t, err)
	cmd, out := start(t, "hundred "+path)
	require.True(t, out.Scan())
	_, alive := <-signals // no commit of this process has been made yet
	require.True(t, alive)
	for n := range 100 {
		require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "l", Value: fmt.Append(nil, n)}))
	}
	said := []string{out.Text()}
	for out.Scan() {
		said = append(said, out.Text())
	}
	require.NoError(t, cmd.Wait(), "%v", said)
	require.Len(t, said, 100)
	lines, err := e.Read(t.Context(), "w", "l", 0, 1000)
	require.NoError(t, err)
	require.Len(t, lines, 200)
	for i, l := range lines {
		require.EqualValues(t, i+1, l.Seq)
	}
}

func TestSeveralProcessesCreateTheFileAtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "cadreen.db")
	commands := make([]*exec.Cmd, 4)
	outs := make([]*bufio.Scanner, len(commands))
	for i := range commands {
		commands[i], outs[i] = start(t, "open "+path)
	}
	for i, out := range outs {
		require.True(t, out.Scan())
		require.Equal(t, "opened", out.Text())
		require.NoError(t, commands[i].Wait())
	}
}
