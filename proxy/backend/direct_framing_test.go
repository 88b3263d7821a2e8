package backend

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What an answer says about itself decides where it ends, and whether the
// connection may serve again: answers of which one byte is not accounted for
// would be taken for the answer to the next request.
func TestWhereAnAnswerEnds(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		status       int
		body         string
		broken       bool // no proper end
		again        bool // on the same connection
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false, true},
		{"length of nothing", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", false, true},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", 200, "ok", false, true},
		{"chunks and trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n", 200, "ok", false, true},
		{"chunks beside a length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok", false, true},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", false, true},
		{"304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "", false, true},
		{"100 before", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false, true},
		{"101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", 101, "", false, false},
		{"until the end", "HTTP/1.1 200 OK\r\n\r\nok", 200, "ok", false, false},
		{"Connection: close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false, false},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false, false},
		{"HTTP/1.0, kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false, false},
		{"one byte more", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", 200, "ok", false, false},
		{"another answer", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + okay, 200, "ok", false, false},
		{"one after chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + okay, 200, "ok", false, false},
		{"one after nothing", "HTTP/1.1 204 No Content\r\n\r\n" + okay, 204, "", false, false},
		{"much more than is read ahead", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + strings.Repeat(okay, readSize), 200, "ok", false, false},
		{"length not reached", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", 200, "ok", true, false},
		{"chunks without an end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", 200, "ok", true, false},
		{"chunks without the last line", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", 200, "ok", true, false},
		{"a chunk that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n", 200, "ok", true, false},
		{"nothing", "", 0, "", false, false},
		{"half a line", "HTTP/1.1 20", 0, "", false, false},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-", 0, "", false, false},
		{"no HTTP", "SSH-2.0-OpenSSH_9\r\n", 0, "", false, false},
		{"no status", "HTTP/1.1 okay\r\n\r\n", 0, "", false, false},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", 0, "", false, false},
		{"a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", 0, "", false, false},
		{"two codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nok", 0, "", false, false},
		{"a head without end", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", headLimit), 0, "", false, false},
		{"a head of many lines", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: x\r\n", headLimit/6), 0, "", false, false},
		{"interim answers for ever", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", headLimit/25+1) + okay, 0, "", false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, number int64) {
				if _, _, ok := takeRequest(in); !ok {
					return
				}
				if number == 1 {
					_, _ = io.WriteString(c, tc.answer)
					if tc.broken || tc.status == 0 || tc.name == "until the end" {
						_ = c.CloseWrite()
					}
				}
				for ok := number > 1; ; ok = true {
					if ok {
						_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nnext, %d", number)
					}
					if _, _, more := takeRequest(in); !more {
						return
					}
				}
			})
			d := openDirect(t, base, 0)
			resp, err := d.RoundTrip(post(t.Context(), base, []byte("{}")))
			require.Equal(t, tc.status != 0, err == nil, "%v", err)
			if err == nil {
				require.Equal(t, tc.status, resp.StatusCode)
				text, err := io.ReadAll(resp.Body)
				require.Equal(t, tc.body, string(text))
				require.Equal(t, tc.broken, err != nil, "%v", err)
				require.NoError(t, resp.Body.Close())
			}
			on := 2
			if tc.again {
				on = 1
			}
			resp, err = d.RoundTrip(post(t.Context(), base, []byte("{}")))
			require.Equal(t, fmt.Sprintf("next, %d", on), wholeAnswer(t, resp, err))
		})
	}
}

func TestAnswerToHEADHasNoBody(t *testing.T) {
	base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, number int64) {
		for r, _, ok := takeRequest(in); ok; r, _, ok = takeRequest(in) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-On: %d\r\n\r\n", number)
			if r.Method != http.MethodHead {
				_, _ = io.WriteString(c, "a body")
			}
		}
	})
	d := openDirect(t, base, 0)
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		resp, err := d.RoundTrip(question{method: method, url: base, header: http.Header{}}.request(t.Context()))
		text := wholeAnswer(t, resp, err)
		require.Equal(t, method == http.MethodGet, text == "a body")
		require.Equal(t, "1", resp.Header.Get("X-On"))
	}
}

func TestRestThatIsNotReadCostsTheConnection(t *testing.T) {
	base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, number int64) {
		for _, _, ok := takeRequest(in); ok; _, _, ok = takeRequest(in) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n%-100d", number)
		}
	})
	d := openDirect(t, base, 1)
	for number := range 3 {
		resp, err := d.RoundTrip(post(t.Context(), base, nil))
		require.NoError(t, err)
		first := make([]byte, 1)
		_, err = io.ReadFull(resp.Body, first)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(number+1), string(first))
		require.NoError(t, resp.Body.Close())
		_, err = resp.Body.Read(first)
		require.ErrorIs(t, err, errEnded, "what was read ahead is not given out either")
	}
}

// A request looks as net/http's does.
func TestDirectSendsWhatNetHTTPSends(t *testing.T) {
	type seen struct {
		line, host, body string
		header           http.Header
	}
	var got []seen
	arrived := make(chan seen, 9)
	base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, _ int64) {
		for r, body, ok := takeRequest(in); ok; r, body, ok = takeRequest(in) {
			arrived <- seen{r.Method + " " + r.RequestURI + " " + r.Proto, r.Host, string(body), r.Header}
			_, _ = io.WriteString(c, okay)
		}
	})
	base, err := url.Parse("http://" + base.Host + "/v1/a%2Fb%20c/ü?api-version=2&x=%20")
	require.NoError(t, err)
	header := http.Header{
		"Authorization": {"Bearer k"}, "User-Agent": {"x/1"}, "X-Two": {"1", " 2 "}, "x-small": {"v"}, "X-Utf": {"ü"}, "X-Tab": {"a\tb"}, "X-Empty": {""},
		"Host": {"evil"}, "Content-Length": {"999"}, "Transfer-Encoding": {"chunked"}, "Trailer": {"X-T"},
	}
	old := newTransport(0)
	defer old.CloseIdleConnections()
	for _, way := range []http.RoundTripper{openDirect(t, base, 0), old} {
		for _, q := range []question{
			{method: http.MethodPost, url: base, header: header, body: []byte(`{"a":1}`)},
			{method: http.MethodPost, url: base, header: header, body: huge[:inlineLimit+1]},
			{method: http.MethodGet, url: base, header: header},
		} {
			resp, err := way.RoundTrip(q.request(t.Context()))
			require.Equal(t, "ok", wholeAnswer(t, resp, err))
			got = append(got, <-arrived)
		}
	}
	require.Equal(t, got[3:], got[:3])
	require.Equal(t, []string{"1", "2"}, got[0].header["X-Two"])
	require.Equal(t, "7", got[0].header.Get("Content-Length"))
}

// fillPool puts idle connections into the pool, unless enough are there, and gives their other ends.
func fillPool(d *direct, count int) []net.Conn {
	var others []net.Conn
	for range count {
		ours, theirs := net.Pipe()
		others = append(others, theirs)
		c := &conn{Conn: ours, pool: &d.pool}
		if !d.pool.put(c) {
			_ = c.Close()
		}
	}
	return others
}

func kept(d *direct) int {
	d.pool.mu.Lock()
	defer d.pool.mu.Unlock()
	return len(d.pool.idle)
}

func isClosed(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Nanosecond))
	_, err := c.Read(make([]byte, 1))
	return err == io.EOF
}

func TestConnectionsThatNobodyUsesAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirect(&url.URL{Scheme: "http", Host: "model.test"}, 0)
		first := fillPool(d, 3)
		time.Sleep(idleTime / 2) // synctest's clock, not the wall's
		second := fillPool(d, 2)
		require.Equal(t, 5, kept(d))
		time.Sleep(idleTime/2 + 1)
		synctest.Wait()
		require.Equal(t, 2, kept(d))
		for _, c := range first {
			require.True(t, isClosed(c))
		}
		require.False(t, isClosed(second[0]))
		last := d.pool.pop()
		time.Sleep(idleTime / 2)
		synctest.Wait()
		require.Zero(t, kept(d))
		require.True(t, isClosed(second[0]))
		require.False(t, isClosed(second[1]), "somebody uses it")
		require.True(t, d.pool.put(last))
		time.Sleep(idleTime + 1)
		synctest.Wait()
		require.True(t, isClosed(second[1]), "the clock was started anew")
	})
}

func TestOnlySoManyConnectionsAreKept(t *testing.T) {
	for maxConns, most := range map[int]int{0: idleConns, 3: 3} {
		d := newDirect(&url.URL{Scheme: "http", Host: "model.test"}, maxConns)
		others := fillPool(d, most+1)
		require.Equal(t, most, kept(d))
		require.True(t, isClosed(others[most]))
		d.CloseIdleConnections()
		require.Empty(t, d.pool.idle)
		require.True(t, isClosed(others[0]))
		fillPool(d, 1)
		require.Empty(t, d.pool.idle, "what ends after the close is not kept")
		require.Nil(t, d.pool.pop())
		fillPool(d, 1)
		require.Len(t, d.pool.idle, 1, "a new request begins anew")
		d.CloseIdleConnections()
	}
}

func TestOneTurnForEachConnection(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := newPool(2)
	require.NoError(t, p.enter(ctx))
	require.NoError(t, p.enter(ctx))
	waited := make(chan error)
	go func() { waited <- p.enter(ctx) }()
	p.leave()
	require.NoError(t, <-waited)
	go func() { waited <- p.enter(ctx) }()
	cancel()
	require.ErrorIs(t, <-waited, context.Canceled)
	require.Len(t, p.turns, 2)
}

// silence keeps net/http's remarks on strange answers out of the output.
func silence(t testing.TB) {
	old := log.Writer()
	log.SetOutput(io.Discard)
	t.Cleanup(func() { log.SetOutput(old) })
}
