package backend

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkChat is what this package adds to a transport: no network.
func BenchmarkChat(b *testing.B) {
	answer := []byte(`{"id":"x"}`)
	s := &scripted{next: func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(answer))}, nil
	}}
	server, err := Open(Settings{URL: "http://model.test/v1", APIKey: testKey, Transport: s})
	if err != nil {
		b.Fatal(err)
	}
	req := Request{Body: bytes.Repeat([]byte("x"), 19<<10), Header: http.Header{
		"User-Agent": {"OpenAI/JS"}, "X-Stainless-Lang": {"js"}, "X-Stainless-Os": {"Linux"}, "Accept-Language": {"*"},
	}}
	buf := make([]byte, 512)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := server.Chat(b.Context(), req)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = resp.Body.Read(buf)
		}
		_ = resp.Body.Close()
	}
}

// BenchmarkExchange is a request of 1 KB and its answer over a socket, by either way. The server costs the same for both and allocates nothing.
func BenchmarkExchange(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Thu, 26 Nov 2026 12:00:00 GMT\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024))
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				got, end := make([]byte, 64<<10), []byte("the end")
				for n := 0; ; {
					more, err := c.Read(got[n:])
					if err != nil {
						return
					}
					if n += more; bytes.HasSuffix(got[:n], end) {
						n = 0
						_, _ = c.Write(answer)
					}
				}
			}()
		}
	}()
	for name, way := range map[string]http.RoundTripper{"direct": nil, "net-http": newTransport(0)} {
		b.Run(name, func(b *testing.B) {
			server, err := Open(Settings{URL: "http://" + listener.Addr().String() + "/v1", APIKey: testKey, Transport: way})
			if err != nil {
				b.Fatal(err)
			}
			defer server.(io.Closer).Close()
			req := Request{Body: []byte(strings.Repeat("x", 1000) + "the end"), Header: http.Header{"User-Agent": {"OpenAI/JS"}, "X-Stainless-Lang": {"js"}, "X-Stainless-Os": {"Linux"}}}
			buf := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				resp, err := server.Chat(b.Context(), req)
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = resp.Body.Read(buf)
				}
				if err != io.EOF {
					b.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		})
	}
}

// BenchmarkStreamRead is the cost of one frame's read: it must not allocate.
func BenchmarkStreamRead(b *testing.B) {
	frame := strings.NewReader("")
	s := &scripted{next: func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: endless{frame}}, nil
	}}
	server, err := Open(Settings{URL: "http://model.test/v1", Transport: s})
	if err != nil {
		b.Fatal(err)
	}
	resp, err := server.Chat(b.Context(), chatRequest(true))
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 300)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := resp.Body.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

// endless fills whatever it is given.
type endless struct{ *strings.Reader }

func (endless) Read(p []byte) (int, error) { return len(p), nil }
func (endless) Close() error               { return nil }

// BenchmarkRehearsal is the seed's refund, as JSON.
func BenchmarkRehearsal(b *testing.B) {
	model := NewRehearsal()
	body := []byte(askBody("Refund order 456 for $750", refundTool, ""))
	b.ReportAllocs()
	for b.Loop() {
		resp, err := model.Chat(b.Context(), Request{Body: body})
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}
