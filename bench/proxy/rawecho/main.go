// Command rawecho is what Cadreen is measured against: a proxy that copies bytes and does nothing else. It is the committed
// baseline, so it is written as well as one would: the request body is read whole and sent whole with its length, the pool of
// connections to the upstream is as large as the concurrency, the Transport has the settings that Cadreen's has, buffers are
// used again, and a stream is flushed whenever what has come is written. (Cadreen itself uses that Transport for https, and
// an exchange of its own to a model behind plain http, as here.)
//
// With -kind reverse it is httputil.ReverseProxy of the standard library instead, behind plain net/http, with the same Transport.
package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	_ "net/http/pprof" // at -pprof only: what is measured does not go by the default mux
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

func main() {
	listen := flag.String("listen", "", "address to listen on")
	upstream := flag.String("upstream", "", "scheme and host of the upstream")
	pool := flag.Int("pool", 64, "idle connections to the upstream that are kept")
	kind := flag.String("kind", "echo", "echo, or reverse for httputil.ReverseProxy")
	profiles := flag.String("pprof", "", "address that gives profiles of the Go runtime, none if empty")
	flag.Parse()
	target, err := url.Parse(*upstream)
	if err != nil {
		log.Fatal(err)
	}
	var handler http.Handler
	switch *kind {
	case "echo":
		handler = copying(target, newTransport(*pool))
	case "reverse":
		handler = reverse(target, newTransport(*pool))
	default:
		log.Fatalf("-kind %s is neither echo nor reverse", *kind)
	}
	if *profiles != "" {
		go func() { log.Print(http.ListenAndServe(*profiles, nil)) }()
	}
	server := &http.Server{Addr: *listen, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// newTransport has the settings of Cadreen's own.
func newTransport(pool int) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		MaxIdleConnsPerHost: pool,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
		WriteBufferSize:     32 << 10,
		ReadBufferSize:      16 << 10,
	}
}

// perConnection are headers that end at each hop.
var perConnection = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// buffers hold 32 KiB each, for copying.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// copying is the baseline.
func copying(target *url.URL, transport *http.Transport) http.Handler {
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	e.Any("/*", func(c echo.Context) error {
		in := c.Request()
		body := make([]byte, 0, max(in.ContentLength, 0)+bytes.MinRead)
		whole := bytes.NewBuffer(body)
		if _, err := whole.ReadFrom(in.Body); err != nil {
			return err
		}
		address := *in.URL
		address.Scheme, address.Host = target.Scheme, target.Host
		out := (&http.Request{
			Method: in.Method, URL: &address, Host: target.Host, Header: in.Header,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Body: io.NopCloser(bytes.NewReader(whole.Bytes())), ContentLength: int64(whole.Len()),
		}).WithContext(in.Context())
		for _, name := range perConnection {
			out.Header.Del(name)
		}
		answer, err := transport.RoundTrip(out)
		if err != nil {
			return echo.NewHTTPError(http.StatusBadGateway, err.Error())
		}
		defer func() { _ = answer.Body.Close() }()
		head := c.Response().Header()
		for name, values := range answer.Header {
			head[name] = values
		}
		for _, name := range perConnection {
			head.Del(name)
		}
		c.Response().WriteHeader(answer.StatusCode)
		stream := strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream")
		return copyBody(c.Response(), answer.Body, stream)
	})
	return e
}

// copyBody copies until the end. An error comes after the headers went out, so only a broken connection tells the client.
func copyBody(w *echo.Response, from io.Reader, stream bool) error {
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	for {
		n, err := from.Read(buffer[:])
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				panic(http.ErrAbortHandler)
			}
			if stream {
				w.Flush()
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			panic(http.ErrAbortHandler)
		}
	}
}

// reverse is the standard library's proxy.
func reverse(target *url.URL, transport *http.Transport) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:  transport,
		BufferPool: pooled{},
		ErrorLog:   log.New(io.Discard, "", 0),
	}
}

// pooled lends the buffers to httputil.
type pooled struct{}

func (pooled) Get() []byte  { return buffers.Get().(*[32 << 10]byte)[:] }
func (pooled) Put(b []byte) { buffers.Put((*[32 << 10]byte)(b)) }
