package backend

import (
	"net"
	"net/http"
	"net/url"
	"time"
)

// idleConns is how many idle connections are kept when their number is not
// limited: a pool smaller than the concurrency opens and closes a connection
// for every request.
const idleConns = 1024

// newWay makes the way to the server: direct where that is possible, else
// net/http's own. proxy is http.ProxyFromEnvironment.
func newWay(base *url.URL, proxy func(*http.Request) (*url.URL, error), maxConns int) http.RoundTripper {
	if through, err := proxy(&http.Request{URL: base}); base.Scheme == "http" && through == nil && err == nil && isPlain(base.Host) {
		return newDirect(base, maxConns)
	}
	return newTransport(maxConns)
}

func newDialer() *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
}

// newTransport makes net/http's connection pool. It is used without http.Client: no
// redirect is ever followed, since it would carry the body and possibly the
// key to another host, and there is no cookie jar.
//
// HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment are respected, as
// the way out of a closed network; requests to localhost never use a proxy.
func newTransport(maxConns int) *http.Transport {
	keep := idleConns
	if maxConns > 0 {
		keep = maxConns
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         newDialer().DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		HTTP2: &http.HTTP2Config{
			// Finds a dead connection under a silent stream.
			SendPingTimeout: 30 * time.Second,
			PingTimeout:     15 * time.Second,
		},
		MaxIdleConns:        0, // one host, so the limit per host is the limit
		MaxIdleConnsPerHost: keep,
		MaxConnsPerHost:     maxConns,
		IdleConnTimeout:     idleTime,
		// A compressed stream would be held back by the decoder.
		DisableCompression:     true,
		MaxResponseHeaderBytes: headLimit,
		// A usual request with its headers is one write.
		WriteBufferSize: 32 << 10,
		ReadBufferSize:  16 << 10,
	}
}
