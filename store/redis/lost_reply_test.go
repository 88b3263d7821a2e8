package redis

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
	"cadreen/store/storetest"
)

// lossy stands between client and server. Armed, it lets the next script reach
// the server, waits until the server has answered, throws the answer away and
// breaks the connection: the client cannot know what happened, and repeats.
type lossy struct {
	server string
	armed  atomic.Bool
	lost   atomic.Int32
	all    sync.WaitGroup
}

func (l *lossy) serve(t *testing.T) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = listener.Close()
		l.all.Wait()
	})
	l.all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", l.server)
			if err != nil {
				_ = client.Close()
				continue
			}
			var losing atomic.Bool
			l.all.Go(func() { l.requests(server, client, &losing) })
			l.all.Go(func() { l.answers(client, server, &losing) })
		}
	})
	return listener.Addr().String()
}

func (l *lossy) requests(server, client net.Conn, losing *atomic.Bool) {
	defer func() { _, _ = server.Close(), client.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(bytes.ToLower(buf[:n]), []byte("evalsha")) && l.armed.CompareAndSwap(true, false) {
			losing.Store(true)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (l *lossy) answers(client, server net.Conn, losing *atomic.Bool) {
	defer func() { _, _ = server.Close(), client.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		if losing.Load() {
			l.lost.Add(1)
			return
		}
		if _, err := io.Copy(client, bytes.NewReader(buf[:n])); err != nil {
			return
		}
	}
}

func TestACommitRepeatedOnTheWireAnswersLikeTheFirst(t *testing.T) {
	l := &lossy{server: storetest.RedisServer(t)}
	e := open(t, "redis://"+l.serve(t))
	straight := open(t, "redis://"+l.server)
	doc := store.Doc{Kind: "thing", ID: "a", Value: []byte("v")}
	require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "warm"})) // the script is loaded

	for i, step := range []struct {
		name string
		op   store.Op
	}{
		{"create", store.Put{Doc: doc, Create: true}},
		{"replace", store.Put{Doc: doc, IfVersion: 1}},
		{"replace again", store.Put{Doc: doc, IfVersion: 2}},
		{"remove", store.Delete{Kind: "thing", ID: "a", IfVersion: 3}},
	} {
		l.armed.Store(true)
		err := e.Commit(t.Context(), "w", step.op, store.Append{Log: "l", Value: []byte(step.name)})
		require.NoError(t, err, "%s: a false conflict", step.name)
		require.EqualValues(t, i+1, l.lost.Load(), "the answer was lost")
		lines, err := straight.Read(t.Context(), "w", "l", 0, 0)
		require.NoError(t, err)
		require.Len(t, lines, i+1, "%s happened once", step.name)
	}

	// A true conflict stays one.
	require.NoError(t, straight.Commit(t.Context(), "w", store.Put{Doc: doc, Create: true}))
	l.armed.Store(true)
	require.ErrorIs(t, e.Commit(t.Context(), "w", store.Put{Doc: doc, Create: true}), store.ErrConflict)
}
