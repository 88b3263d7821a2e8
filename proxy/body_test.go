package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/chat"
	"cadreen/proxy/keys"
)

func TestChunkedBodyOverTheLimitIs400(t *testing.T) {
	st := start(t, echoBody, func(o *Options, _ *keys.Options) { o.Settings.BodyLimit = 1000 })
	r, err := http.NewRequestWithContext(t.Context(), "POST", st.url+"/v1/chat/completions", io.LimitReader(zeros{}, 5000))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+st.keys[keys.RoleChat])
	response, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	st.envelope(t, response, string(raw), 400, "invalid_request")
	require.Contains(t, string(raw), "longer than 1000 bytes")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// dial sends raw bytes.
func (st *site) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", st.addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	return conn
}

func TestSlowBodyIsAnsweredAndClosed(t *testing.T) {
	st := start(t, echoBody, func(o *Options, _ *keys.Options) { o.Settings.BodyGrace = 20 * time.Millisecond })
	conn := st.dial(t, "POST /v1/chat/completions HTTP/1.1\r\nHost: "+st.addr+"\r\nAuthorization: Bearer "+st.keys[keys.RoleChat]+
		"\r\nContent-Length: 100\r\n\r\n{\"never")
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	st.envelope(t, response, string(raw), http.StatusRequestTimeout, "invalid_request")
	_, err = in.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

func TestUnreadSlowBodyDoesNotHoldTheConnection(t *testing.T) {
	st := start(t, echoBody, func(o *Options, _ *keys.Options) { o.Settings.BodyGrace = 20 * time.Millisecond })
	for request, answer := range map[string]string{
		"POST /v1/chat/completions": "401 Unauthorized",
		"POST /nothing":             "404 Not Found",
		"POST /healthz":             "405 Method Not Allowed",
		"GET /healthz":              "200 OK",
	} {
		conn := st.dial(t, request+" HTTP/1.1\r\nHost: "+st.addr+"\r\nContent-Length: 100\r\n\r\n{\"never")
		raw, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Contains(t, string(raw), answer)
	}
}

func TestBodyDeadlineDoesNotOutliveTheBody(t *testing.T) {
	proceed := make(chan struct{})
	st := start(t, func(w http.ResponseWriter, r *http.Request, c chat.Caller) error {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		w.Write(raw)
		http.NewResponseController(w).Flush()
		<-proceed
		if err := r.Context().Err(); err != nil {
			return err
		}
		_, err = io.WriteString(w, " and more")
		return err
	}, func(o *Options, _ *keys.Options) { o.Settings.BodyGrace = 30 * time.Millisecond })
	r, err := http.NewRequestWithContext(t.Context(), "POST", st.url+"/v1/chat/completions", strings.NewReader("all of it"))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+st.keys[keys.RoleChat])
	response, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer response.Body.Close()
	// A connection whose deadline still stood would be cut when it passes: a
	// second slow connection tells when that is.
	slow := st.dial(t, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+st.keys[keys.RoleChat]+"\r\nContent-Length: 9\r\n\r\n")
	_, err = io.ReadAll(slow)
	require.NoError(t, err)
	close(proceed)
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "all of it and more", string(raw))
}
