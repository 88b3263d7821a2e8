package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/proxy/scripted"
)

// Clients that read a byte at a time, vanish wherever they can, and send a body
// byte by byte, all of them beside clients that behave. None of them costs the
// others anything, and the process is afterwards as it was.
func TestChaosClients(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			s := newStorm(t, e.url(t))
			p := s.join(setup{store: s.store, backend: s.model.URL(), policy: stormPolicy, yaml: quickBeats + "limits: {kept: 64 MiB}\n"}.file(t))
			s.blow(last)
			before := p.load(t)
			s.blow(func() {
				t.Run("one reads a byte at a time", readsByteByByte)
				t.Run("one sends its body byte by byte", func(t *testing.T) { s.sendsByteByByte(t, p) })
				t.Run("they vanish at every place", func(t *testing.T) { s.vanish(t, p) })
			})
			t.Run("one vanishes in the middle of its release", func(t *testing.T) { s.vanishesInARelease(t, p) })
			s.recovers()
			s.audit()
			s.settles(p, before)
			p.terminate(t)
		})
	}
}

// readsByteByByte reads a long text slowly: the model has to wait, nothing is
// piled up in between, and every byte comes.
func readsByteByByte(t *testing.T) {
	h := scripted.Head{}
	var written atomic.Int64
	line := "data: " + h.Text(0, strings.Repeat("x", 60_000)) + "\n\n"
	const frames = 1000 // 60 MB
	model := scripted.New(t)
	model.Otherwise(func(w http.ResponseWriter, r *http.Request, _ *scripted.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range frames {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
			written.Add(1)
		}
		_, _ = io.WriteString(w, "data: "+h.Finish(0, "stop")+"\n\ndata: [DONE]\n\n")
	})
	slow := startProcess(t, setup{backend: model.URL()}.file(t))
	rest := slow.load(t)
	res, err := slow.open(t.Context(), newChat("much").streaming(true).body())
	require.NoError(t, err)
	defer res.Body.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var got bytes.Buffer
	for range 100 {
		_, err := io.CopyN(&got, res.Body, 1)
		require.NoError(t, err)
		<-tick.C
	}
	require.Less(t, written.Load(), int64(frames), "the model waits for the client")
	require.Less(t, slow.load(t).memory, rest.memory+48<<20, "what waits is in the network, not in the process")
	_, err = io.Copy(&got, res.Body)
	require.NoError(t, err)
	require.Equal(t, frames*60_000, bytes.Count(got.Bytes(), []byte(strings.Repeat("x", 60_000)))*60_000)
	require.True(t, bytes.HasSuffix(got.Bytes(), []byte("data: [DONE]\n\n")))
	slow.terminate(t)
}

// sendsByteByByte is slow, and still in time.
func (s *storm) sendsByteByByte(t *testing.T, p *process) {
	for _, chunked := range []bool{false, true} {
		ask := newChat(fmt.Sprint("Look up order ", s.next.Add(1)))
		conn := s.dial(t, p)
		body := ask.body()
		length := fmt.Sprintf("Content-Length: %d", len(body))
		if chunked {
			length = "Transfer-Encoding: chunked"
			var parts strings.Builder
			for i := range len(body) {
				parts.WriteString("1\r\n" + body[i:i+1] + "\r\n")
			}
			body = parts.String() + "0\r\n\r\n"
		}
		head := "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nAuthorization: Bearer " + keyAnn + "\r\n" + length + "\r\n\r\n"
		for i := range len(head) + len(body) {
			_, err := io.WriteString(conn, (head + body)[i:i+1])
			require.NoError(t, err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		got, ok := s.saw(reply{status: res.StatusCode, header: res.Header, body: string(text)}, nil)
		require.True(t, ok, string(text))
		require.Len(t, got.calls, 1)
		require.NoError(t, conn.Close())
	}
}

func (s *storm) dial(t *testing.T, p *process) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(p.url, "http://"), "/v1"))
	require.NoError(t, err)
	return conn
}

// vanish leaves after every so many bytes of the request, and of the reply.
func (s *storm) vanish(t *testing.T, p *process) {
	for n := range 30 * chaosTimes() {
		stream := n%2 == 0
		ask := newChat(fmt.Sprint("Refund order ", s.next.Add(1))).streaming(stream)
		raw := "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " + keyAnn +
			fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", len(ask.body())) + ask.body()
		conn := s.dial(t, p)
		if n%3 == 0 { // in the request
			_, err := io.WriteString(conn, raw[:len(raw)*n/(30*chaosTimes())])
			require.NoError(t, err)
		} else { // in the reply, or before it
			_, err := io.WriteString(conn, raw)
			require.NoError(t, err)
			if n%3 == 1 {
				_, err = io.CopyN(io.Discard, conn, int64(20*n/chaosTimes()))
				require.NoError(t, err)
			}
		}
		if tcp, ok := conn.(*net.TCPConn); ok && n%4 == 0 {
			require.NoError(t, tcp.SetLinger(0))
		}
		require.NoError(t, conn.Close())
		if n%3 == 2 {
			continue
		}
		// It comes back and goes on.
		asked, ok := s.hear(ask)
		require.True(t, ok)
		s.wants(fmt.Sprint(s.numberOf(ask)), governance.StateReleased)
		require.True(t, s.until(ask.say(asked.text, "yes")))
	}
}

// numberOf is the order that a conversation is about.
func (s *storm) numberOf(c *talk) string {
	return stormOrder.FindStringSubmatch(c.messages[0])[2]
}

// vanishesInARelease has a part of the call, and gets all of it when it comes
// back; the release is recorded once.
func (s *storm) vanishesInARelease(t *testing.T, p *process) {
	for _, stream := range []bool{false, true} {
		if !chaosWhole() && stream == strings.HasPrefix(s.store, sqlitePrefix) {
			continue
		}
		large := refund(fmt.Sprintf("call_large%v", stream), `{"order_id":"`+strings.Repeat("x", 12<<20)+`"}`)
		ask := newChat(fmt.Sprintf("A large refund, stream %v", stream)).streaming(stream)
		s.model.Next(turnOf(stream, "", large))
		asked, ok := s.saw(p.try(t.Context(), ask.body()))
		require.True(t, ok)
		yes := ask.say(asked.text, "yes").body()
		ctx, leave := context.WithCancel(t.Context())
		res, err := p.open(ctx, yes)
		require.NoError(t, err)
		var part bytes.Buffer
		_, err = io.CopyN(&part, res.Body, 100_000)
		require.NoError(t, err)
		leave()
		require.NoError(t, ignoreClosed(res.Body.Close()))
		_, ok = s.saw(reply{status: res.StatusCode, header: res.Header, body: part.String(), broken: context.Canceled}, nil)
		require.False(t, ok)
		got, ok := s.saw(p.try(t.Context(), yes))
		require.True(t, ok)
		got.released(t, large)
	}
}

// ignoreClosed leaves out that a connection was closed before.
func ignoreClosed(err error) error {
	if err != nil && strings.Contains(err.Error(), net.ErrClosed.Error()) {
		return nil
	}
	return err
}
