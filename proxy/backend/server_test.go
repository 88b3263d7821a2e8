package backend

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
)

func TestChatSendsTheBodyWholeAndReturnsTheAnswerAsItCame(t *testing.T) {
	body := []byte("{ \"b\":1e2,\t\"a\":12345678901234567890, \"s\":\"\\u00fc\" }\n")
	answer := "{\"x\": 1.0,\n \"id\":\"a\"}"
	var got *http.Request
	var sent []byte
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		sent, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, answer)
	})
	resp, err := u.open(t, nil).Chat(background(), Request{Body: body})
	require.NoError(t, err)
	require.Equal(t, answer, readAll(t, resp))
	require.Equal(t, http.StatusOK, resp.Status)
	require.False(t, resp.Stream)
	require.Equal(t, body, sent)
	require.Equal(t, "/v1/chat/completions", got.URL.Path)
	require.Equal(t, int64(len(body)), got.ContentLength)
	require.Empty(t, got.TransferEncoding)
	require.Equal(t, "Bearer "+testKey, got.Header.Get("Authorization"))
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.Equal(t, "identity", got.Header.Get("Accept-Encoding"))
	require.Equal(t, "application/json", got.Header.Get("Accept"))
}

func TestStreamFramesArriveOneByOne(t *testing.T) {
	next := make(chan string)
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		startStream(w, r)
		for frame := range next {
			_, _ = io.WriteString(w, frame)
			_ = http.NewResponseController(w).Flush()
		}
	})
	resp, err := u.open(t, nil).Chat(background(), chatRequest(true))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.True(t, resp.Stream)
	readFirst(t, resp)
	for _, frame := range []string{"data: {\"a\":1}\r\n\r\n", ": note\n\n", "data:[DONE]\n\n"} {
		next <- frame // the next is sent only after this one has arrived
		buf := make([]byte, len(frame))
		_, err := io.ReadFull(resp.Body, buf)
		require.NoError(t, err)
		require.Equal(t, frame, string(buf))
	}
	close(next)
	_, err = resp.Body.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	_, err = resp.Body.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err, "the end stays the end")
}

func TestConnectionIsKeptAfterDone(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		startStream(w, r)
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
		_ = http.NewResponseController(w).Flush()
	})
	b := u.open(t, nil)
	for range 5 {
		resp, err := b.Chat(background(), chatRequest(true))
		require.NoError(t, err)
		readFirst(t, resp)
		done := make([]byte, len("data: [DONE]\n\n"))
		_, err = io.ReadFull(resp.Body, done)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close()) // not read to io.EOF
	}
	require.Less(t, u.opened.Load(), int64(5))
}

func TestPoolKeepsAConnectionForEveryRequestAtATime(t *testing.T) {
	const together = 100
	var arrived sync.WaitGroup
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		arrived.Done()
		arrived.Wait() // all of them are here
		answerJSON("{}")(w, r)
	})
	b := u.open(t, nil)
	for range 3 {
		arrived.Add(together)
		var done sync.WaitGroup
		for range together {
			done.Go(func() {
				resp, err := b.Chat(background(), chatRequest(false))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if _, err := io.ReadAll(resp.Body); err != nil {
					t.Error(err)
				}
			})
		}
		done.Wait()
	}
	// A pool of the default size, 2, would have opened nearly 300.
	require.Less(t, u.opened.Load(), int64(2*together))
}

func TestConnectionsCanBeLimited(t *testing.T) {
	var now, most atomic.Int64
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		answerJSON("{}")(w, r)
	})
	b := u.open(t, func(cfg *Settings) { cfg.MaxConns = 3 })
	var done sync.WaitGroup
	for range 40 {
		done.Go(func() {
			resp, err := b.Chat(background(), chatRequest(false))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			_, _ = io.ReadAll(resp.Body)
		})
	}
	done.Wait()
	require.LessOrEqual(t, most.Load(), int64(3))
	require.Equal(t, int64(40), u.asked.Load())
}

func TestRedirectIsRefused(t *testing.T) {
	var reached atomic.Bool
	other := newUpstream(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, status)
		})
		_, err := u.open(t, nil).Chat(background(), chatRequest(false))
		requireUnavailable(t, err)
		require.Equal(t, int64(1), u.asked.Load())
	}
	require.False(t, reached.Load())
}

func TestCompressedAnswerIsRefused(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		_, _ = io.WriteString(zip, `{}`)
		_ = zip.Close()
	})
	_, err := u.open(t, nil).Chat(background(), chatRequest(false))
	f := requireUnavailable(t, err)
	require.ErrorContains(t, f, "compressed")
}

func TestKindOfAnswerMustFit(t *testing.T) {
	for _, tc := range []struct {
		name, kind, body string
		stream, fits     bool
	}{
		{"json", "application/json", `{}`, false, true},
		{"vendor json", "application/vnd.x+json; charset=utf-8", `{}`, false, true},
		{"broken parameters", "application/json; charset", `{}`, false, true},
		{"sse", "text/event-stream", "data: {}\n\n", true, true},
		{"sse in capitals", "Text/Event-Stream;charset=UTF-8", "data: {}\n\n", true, true},
		{"json for a stream", "application/json", `{}`, true, false},
		{"sse for json", "text/event-stream", "data: {}\n\n", false, false},
		{"html", "text/html", "<html>", false, false},
		{"no type, json", "", " \n{}", false, true},
		{"no type, sse", "", "data: {}\n\n", true, true},
		{"no type, sse with a mark and a comment", "", "\ufeff\r\n: hi\n\n", true, true},
		{"no type, json for a stream", "", `{"error":{}}`, true, false},
		{"no type, sse for json", "", "data: {}\n\n", false, false},
		{"no type, html", "", "<html>", false, false},
		{"no type, empty", "", "", false, false},
		{"no type, white space", "", strings.Repeat(" ", 8<<10), false, false},
		{"no type, half a mark", "", "\xef", true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil
				if tc.kind != "" {
					w.Header().Set("Content-Type", tc.kind)
				}
				_, _ = io.WriteString(w, tc.body)
			})
			resp, err := u.open(t, nil).Chat(background(), chatRequest(tc.stream))
			if !tc.fits {
				requireUnavailable(t, err)
				require.ErrorIs(t, err, errMalformed)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.body, readAll(t, resp))
		})
	}
}

func TestModels(t *testing.T) {
	list := "{\"object\":\"list\", \"data\":[{\"id\":\"a\"}]}\n"
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/models" || r.URL.RawQuery != "api-version=7" || r.Header.Get("Authorization") != "Bearer "+testKey {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		answerJSON(list)(w, r)
	})
	b := open(t, u.URL+"/v1/?api-version=7", nil)
	got, err := b.Models(background(), "Bearer client")
	require.NoError(t, err)
	require.Equal(t, list, string(got))

	u.handler = answerJSON("{oops")
	_, err = b.Models(background(), "")
	requireUnavailable(t, err)
	u.handler = answerJSON(`{"a":"` + strings.Repeat("x", modelsLimit) + `"}`)
	_, err = b.Models(background(), "")
	requireUnavailable(t, err)
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		status      int
		passthrough bool
		good        bool
	}{
		{200, false, true}, {404, false, true}, {405, false, true}, {401, false, false}, {500, false, false},
		{503, false, false}, {429, false, false}, {401, true, true}, {403, true, true}, {502, true, false},
	} {
		u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, "{}")
		})
		b := u.open(t, func(cfg *Settings) {
			if cfg.Passthrough = tc.passthrough; tc.passthrough {
				cfg.APIKey = ""
			}
		})
		err := b.Check(background())
		require.Equal(t, tc.good, err == nil, "%d %v", tc.status, err)
		require.Equal(t, int64(1), u.asked.Load(), "a check is one attempt")
	}
}

func TestCheckIsAskedAtMostOnceInTwoSeconds(t *testing.T) {
	u := newUpstream(t, answerJSON(`{}`))
	now := time.Unix(1000, 0)
	b := u.open(t, func(cfg *Settings) { cfg.Now = func() time.Time { return now } })
	for range 10 {
		require.NoError(t, b.Check(background()))
	}
	require.Equal(t, int64(1), u.asked.Load())
	u.handler = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
	now = now.Add(checkAge)
	requireUnavailable(t, b.Check(background()))
}

func TestOpenNamesTheMistakeAndHidesSecrets(t *testing.T) {
	for _, cfg := range []Settings{
		{URL: "ftp://secret-host/v1"}, {URL: "secret-host:8000/v1"}, {URL: "http://"}, {URL: "http://secret-host\x00"},
		{URL: "https://user:secret-pass@h/v1"}, {URL: "https://h/v1#secret"}, {URL: "https://secret-host/v1/chat/completions/"},
		{URL: "https://h/v1", APIKey: "secret\r\nX: y"}, {URL: "https://h/v1", APIKey: "secret kéy"},
		{URL: "https://h/v1", Timeout: -1},
	} {
		_, err := Open(cfg)
		require.ErrorIs(t, err, ErrSettings)
		require.ErrorContains(t, err, "backend.")
		require.NotContains(t, err.Error(), "secret")
	}
	for _, url := range []string{"", "  ", "rehearsal"} {
		b, err := Open(Settings{URL: url})
		require.NoError(t, err)
		require.True(t, b.Rehearsal())
	}
	b, err := Open(Settings{URL: "http://127.0.0.1:1/v1", APIKey: "from-a-file\n"})
	require.NoError(t, err)
	require.False(t, b.Rehearsal())
	require.Equal(t, "Bearer from-a-file", b.(*server).bearer)
}

func TestPassthroughSendsTheClientsKeyAndNeverOurs(t *testing.T) {
	var got atomic.Value
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("Authorization"))
		answerJSON(`{}`)(w, r)
	})
	b := u.open(t, func(cfg *Settings) { cfg.Passthrough = true })
	for _, clients := range []string{"Bearer of-the-client", ""} {
		resp, err := b.Chat(background(), Request{Body: []byte(`{}`), Authorization: clients})
		require.NoError(t, err)
		readAll(t, resp)
		require.Equal(t, clients, got.Load())
		_, err = b.Models(background(), clients)
		require.NoError(t, err)
		require.Equal(t, clients, got.Load())
	}
	u.handler = func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("Authorization"))
		answerJSON(`{}`)(w, r)
	}
	resp, err := u.open(t, nil).Chat(background(), Request{Body: []byte(`{}`), Authorization: "Bearer of-the-client"})
	require.NoError(t, err)
	readAll(t, resp)
	require.Equal(t, "Bearer "+testKey, got.Load(), "the client's key stays here otherwise")
}

func TestHTTP2UpstreamWorks(t *testing.T) {
	var proto string
	u := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto = r.Proto
		answerJSON(`{}`)(w, r)
	}))
	u.EnableHTTP2 = true
	u.StartTLS()
	t.Cleanup(u.Close)
	b := open(t, u.URL, func(cfg *Settings) {
		pool := newTransport(0)
		pool.TLSClientConfig = u.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		cfg.Transport = pool
	})
	resp, err := b.Chat(background(), Request{Body: bytes.Repeat([]byte("x"), 1<<20)})
	require.NoError(t, err)
	require.Equal(t, "{}", readAll(t, resp))
	require.Equal(t, "HTTP/2.0", proto)
}

func TestUntrustedCertificateIsNotRetriedAndNotNamed(t *testing.T) {
	u := httptest.NewTLSServer(http.NotFoundHandler())
	u.Config.ErrorLog = quiet()
	t.Cleanup(u.Close)
	_, err := open(t, u.URL, nil).Chat(background(), chatRequest(false))
	f := requireUnavailable(t, err)
	require.ErrorIs(t, f, errTLS)
	require.NotContains(t, f.Error(), "127.0.0.1")
}

func TestFaultsAreCatalogued(t *testing.T) {
	// unavailable must never panic on a text with a percent sign.
	require.Equal(t, "100% down", unavailable("100% down", nil).Message)
	require.Equal(t, fault.ServiceUnavailable, unavailable("", nil).Code)
}
