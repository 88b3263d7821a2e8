package backend

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/lent"
)

// A transport may close a body while it still reads it, and read on: HTTP/2 does. What lies in the room by then is
// somebody else's.
func TestABodyIsNotReadAfterItWasClosed(t *testing.T) {
	for range 200 {
		room := lent.New(64 << 10)
		room.B = append(room.B, bytes.Repeat([]byte("a"), 64<<10)...)
		bytes := room.B
		body := newSending(bytes, room)
		room.Release() // the handler is done, the transport is not
		begun := make(chan struct{})
		var got []byte
		var reading sync.WaitGroup
		reading.Go(func() {
			p := make([]byte, 8)
			for i := 0; ; i++ {
				n, err := body.Read(p)
				got = append(got, p[:n]...)
				if i == 0 {
					close(begun)
				}
				if err != nil {
					return
				}
			}
		})
		<-begun
		require.NoError(t, body.Close())
		for i := range bytes {
			bytes[i] = 'x'
		}
		reading.Wait()
		require.NotContains(t, string(got), "x")
		require.NoError(t, body.Close(), "closing twice is closing once")
	}
}

// Over both ways, whenever the server answers and whatever it answers, the room comes back or stays away for good; what
// the server reads is what was sent.
func TestARoomIsHeldAsLongAsItsBodyIsSent(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		how := r.Header.Get("X-Stainless-Lang")
		if how == "early" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"early":true}`)
			return
		}
		got, err := io.ReadAll(r.Body)
		if err != nil || len(bytes.Trim(got, "a")) > 0 {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		if how == "refused" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"whole":true}`)
	})
	plain, secure := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer plain.Close()
	defer secure.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(secure.Certificate())
	for name, url := range map[string]string{"http": plain.URL, "https": secure.URL} {
		for _, how := range []string{"whole", "early", "refused"} {
			for _, size := range []int{10, 1500, 100 << 10, 900 << 10} {
				t.Run(name+" "+how, func(t *testing.T) {
					b, err := Open(Settings{URL: url + "/v1", Retries: -1, BreakAfter: -1, Transport: way(t, name, trusted, url)})
					require.NoError(t, err)
					var all sync.WaitGroup
					for range 8 {
						all.Go(func() {
							room := lent.New(size)
							room.B = append(room.B, bytes.Repeat([]byte("a"), size)...)
							resp, err := b.Chat(t.Context(), Request{Body: room.B, Lent: room, Header: http.Header{"X-Stainless-Lang": {how}}})
							if err == nil {
								_, _ = io.Copy(io.Discard, resp.Body)
								_ = resp.Body.Close()
							} else if how == "whole" {
								t.Error("the server read something else", err)
							}
							room.Release()
							// The next one takes what came back and writes into it.
							next := lent.New(size)
							next.B = append(next.B, bytes.Repeat([]byte("b"), size)...)
							next.Release()
						})
					}
					all.Wait()
				})
			}
		}
	}
}

// way is nil for the one that Open chooses.
func way(t *testing.T, name string, trusted *x509.CertPool, url string) http.RoundTripper {
	if name == "http" {
		return nil
	}
	transport := newTransport(0)
	transport.TLSClientConfig = &tls.Config{RootCAs: trusted}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}
