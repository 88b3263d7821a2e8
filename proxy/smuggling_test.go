package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/chat"
	"cadreen/proxy/keys"
)

// Requests whose end, or whose sender, two servers in a row could see differently. Each is refused, and what is smuggled
// behind it is never read as a request.
func TestSmuggledRequestsAreRefused(t *testing.T) {
	reached := make(chan string, 100)
	st := start(t, func(w http.ResponseWriter, r *http.Request, c chat.Caller) error {
		b, err := io.ReadAll(r.Body)
		reached <- string(b)
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	})
	smuggled := "GET /v1/models HTTP/1.1\r\nHost: " + st.addr + "\r\nAuthorization: Bearer " + st.keys[keys.RoleOperator] + "\r\n\r\n"
	head := "POST /v1/chat/completions HTTP/1.1\r\nHost: " + st.addr + "\r\nAuthorization: Bearer " + st.keys[keys.RoleChat] + "\r\n"
	for name, text := range map[string]string{
		"two lengths":                      head + "Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}" + smuggled,
		"a list of lengths":                head + "Content-Length: 2, 5\r\n\r\n{}" + smuggled,
		"a length with a sign":             head + "Content-Length: +2\r\n\r\n{}" + smuggled,
		"a length with a blank inside":     head + "Content-Length: 2 0\r\n\r\n{}" + smuggled,
		"an unknown transfer coding":       head + "Transfer-Encoding: identity\r\n\r\n" + smuggled,
		"two transfer codings":             head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + smuggled,
		"a transfer coding in disguise":    head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled,
		"a blank before the colon":         head + "Content-Length : 2\r\n\r\n{}" + smuggled,
		"a chunk size that is none":        head + "Transfer-Encoding: chunked\r\n\r\n2g\r\n{}\r\n0\r\n\r\n" + smuggled,
		"a chunk size that overflows":      head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n" + smuggled,
		"a NUL in a header":                head + "X-A: a\x00b\r\nContent-Length: 2\r\n\r\n{}" + smuggled,
		"a bare CR in a header":            head + "X-A: a\rContent-Length: 50\r\nContent-Length: 2\r\n\r\n{}" + smuggled,
		"two hosts":                        head + "Host: evil.example\r\nContent-Length: 2\r\n\r\n{}" + smuggled,
		"a header without a name":          head + ": x\r\nContent-Length: 2\r\n\r\n{}" + smuggled,
		"another key beside the first":     head + "Authorization: Bearer " + st.keys[keys.RoleOperator] + "\r\nContent-Length: 2\r\n\r\n{}",
		"another key in other letter case": head + "AUTHORIZATION: Bearer " + st.keys[keys.RoleOperator] + "\r\nContent-Length: 2\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			conn := st.dial(t, text)
			in := bufio.NewReader(conn)
			r, err := http.ReadResponse(in, nil)
			if err == nil {
				b, _ := io.ReadAll(r.Body)
				want := []int{400}
				if strings.HasPrefix(name, "another key") {
					want = []int{401}
				}
				if strings.Contains(name, "transfer coding") {
					want = append(want, 501) // not implemented
				}
				require.Contains(t, want, r.StatusCode, "%s", b)
			}
			if strings.HasSuffix(text, smuggled) {
				// Nothing follows but the end of the connection, or a refusal of the rest as garbage.
				for err == nil {
					if r, err = http.ReadResponse(in, nil); err == nil {
						require.NotEqual(t, 200, r.StatusCode)
						_, _ = io.Copy(io.Discard, r.Body)
					}
				}
			} else {
				require.NoError(t, conn.Close())
			}
		})
	}
	// What did reach the handler had lost its end: never a whole body.
	close(reached)
	for body := range reached {
		require.NotContains(t, body, "models", body)
	}
}

// With both a length and chunks the chunks count, and the connection ends, so that nothing can follow.
func TestALengthBesideChunksEndsTheConnection(t *testing.T) {
	st := start(t, echoBody)
	conn := st.dial(t, "POST /v1/chat/completions HTTP/1.1\r\nHost: "+st.addr+"\r\nAuthorization: Bearer "+st.keys[keys.RoleChat]+
		"\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	in := bufio.NewReader(conn)
	r, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, "{}", string(b))
	r, err = http.ReadResponse(in, nil)
	if err == nil { // Go's server keeps the connection: what follows is a request of its own, with its own key or none
		require.Equal(t, 200, r.StatusCode)
		b, err = io.ReadAll(r.Body)
		require.NoError(t, err)
		require.NotContains(t, string(b), "{}")
	}
}

// A client cannot make the proxy drop a header of its own by calling it hop-by-hop.
func TestConnectionHeadersTakeNothingOfOursAway(t *testing.T) {
	st := start(t, func(w http.ResponseWriter, r *http.Request, c chat.Caller) error {
		_, err := fmt.Fprint(w, r.Header.Get("X-Cadreen-Conversation-Id"), " ", c.Workspace)
		return err
	})
	conn := st.dial(t, "POST /v1/chat/completions HTTP/1.1\r\nHost: "+st.addr+"\r\nAuthorization: Bearer "+st.keys[keys.RoleChat]+
		"\r\nX-Cadreen-Conversation-Id: c1\r\nConnection: X-Cadreen-Conversation-Id, Authorization, close\r\nContent-Length: 2\r\n\r\n{}")
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, "c1 acme", string(b))
	require.NotEmpty(t, r.Header.Get("X-Cadreen-Trace-Id"))
}

// Headers that never end, and headers that are too large, cost one connection and no more.
func TestSlowAndHugeHeadersAreCutOff(t *testing.T) {
	st := start(t, echoBody, func(o *Options, _ *keys.Options) { o.Settings.HeaderTimeout = 30 * time.Millisecond })
	slow := st.dial(t, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-A: ")
	_, err := io.ReadAll(slow) // ends when the server gives up
	require.NoError(t, err)

	st = start(t, echoBody)
	huge := st.dial(t, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "+strings.Repeat("a", maxHeaderBytes+8<<10)+"\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(huge), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, r.StatusCode)
	require.NoError(t, r.Body.Close())

	many := st.dial(t, "GET /healthz HTTP/1.1\r\nHost: x\r\n"+strings.Repeat("X-A: a\r\n", 5000)+"\r\n")
	r, err = http.ReadResponse(bufio.NewReader(many), nil)
	require.NoError(t, err)
	require.Contains(t, []int{200, http.StatusRequestHeaderFieldsTooLarge}, r.StatusCode)
	require.NoError(t, r.Body.Close())
}

// The trace id is the server's own, and no header that a client sends comes back in the answer's headers.
func TestNoHeaderOfTheClientComesBack(t *testing.T) {
	st := start(t, echoBody)
	const evil = "evil-7d1f"
	text := "POST /v1/chat/completions HTTP/1.1\r\nHost: " + st.addr + "\r\nAuthorization: Bearer " + st.keys[keys.RoleChat] + "\r\n"
	for _, name := range []string{"X-Cadreen-Trace-Id", "X-Request-Id", "X-Cadreen-Gate", "Traceparent", "Tracestate", "Idempotent-Replayed", "X-Forwarded-For", "X-Cadreen-Conversation-Id", "Origin"} {
		text += name + ": " + evil + "\r\n"
	}
	conn := st.dial(t, text+"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "200 OK")
	require.NotContains(t, string(answer), evil)
	require.Regexp(t, `X-Cadreen-Trace-I[dD]: cad_[0-9A-Z]{26}\r\n`, string(answer))
}
