package backend

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// copyForwardable adds the client's headers to out, without those that must not
// reach a model server.
//
// It is a deny-list: vendors and gateways have headers of their own
// (OpenAI-Beta, OpenAI-Project, Helicone-*, traceparent, HTTP-Referer of
// OpenRouter, x-stainless-*, User-Agent) and a proxy that knew only some of
// them would break the others. Kept back are
//   - what belongs to one connection: hop-by-hop headers and whatever
//     Connection names;
//   - what we write ourselves: Host, Content-*, Accept, Accept-Encoding;
//   - credentials of the client: Authorization (Chat sends it in passthrough),
//     cookies, the usual API key headers;
//   - what is said to us: X-Cadreen-*, Idempotency-Key (one request of a client
//     may be several calls of the model), X-Openwebui-* with its names and
//     addresses of persons, conditional and range requests;
//   - where the client sits: Forwarded, X-Forwarded-*, Via, real-ip headers,
//     and what a browser adds about its page.
func copyForwardable(out, in http.Header) {
	var listed map[string]bool
	for name, lines := range in {
		if !strings.EqualFold(name, "Connection") {
			continue
		}
		for hop := range strings.SplitSeq(strings.Join(lines, ","), ",") {
			if hop = textproto.TrimString(hop); hop != "" {
				if listed == nil {
					listed = make(map[string]bool)
				}
				listed[textproto.CanonicalMIMEHeaderKey(hop)] = true
			}
		}
	}
	for name, values := range in {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if withheld(name) || listed[name] {
			continue
		}
		if out[name] == nil {
			out[name] = slices.Clip(values) // shared: nobody writes into it
			continue
		}
		out[name] = append(out[name], values...)
	}
}

var withheldNames = map[string]bool{
	// One connection only.
	"Connection": true, "Keep-Alive": true, "Te": true, "Trailer": true, "Transfer-Encoding": true,
	"Upgrade": true, "Http2-Settings": true, "Expect": true, "Early-Data": true,
	// Written by us.
	"Host": true, "Accept": true, "Accept-Encoding": true, "Accept-Charset": true, "Date": true,
	"Digest": true, "Want-Digest": true,
	// Credentials.
	"Authorization": true, "Cookie": true, "Cookie2": true, "Set-Cookie": true, "Set-Cookie2": true,
	"X-Api-Key": true, "Api-Key": true, "X-Goog-Api-Key": true, "X-Auth-Token": true, "X-Csrf-Token": true,
	"X-Amz-Security-Token": true, "Cf-Access-Jwt-Assertion": true,
	// Said to us.
	"Idempotency-Key": true, "Range": true, "Cache-Control": true, "Pragma": true, "Prefer": true, "Max-Forwards": true,
	// Where the client sits.
	"Forwarded": true, "Via": true, "X-Real-Ip": true, "X-Client-Ip": true, "X-Cluster-Client-Ip": true,
	"True-Client-Ip": true, "Cf-Connecting-Ip": true, "Cf-Connecting-Ipv6": true, "Fly-Client-Ip": true,
	"X-Envoy-External-Address": true, "X-Original-Forwarded-For": true,
	"Origin": true, "Referer": true, "Dnt": true, "Upgrade-Insecure-Requests": true,
}

var withheldPrefixes = []string{
	"X-Cadreen-", "Proxy-", "Content-", "X-Forwarded-", "X-Openwebui-", "If-", "Sec-", "Access-Control-",
	"X-Amzn-Oidc-", "X-Ms-Client-Principal",
}

// withheld tells whether a header, canonically spelled, stays with us.
func withheld(name string) bool {
	if !httpguts.ValidHeaderFieldName(name) || withheldNames[name] {
		return true
	}
	for _, prefix := range withheldPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// visible returns what a client may see of an upstream's headers: an
// allow-list, so that cookies and the names of inner machines never travel.
func visible(in http.Header) http.Header {
	var out http.Header // mostly there is nothing
	for name, values := range in {
		switch {
		case name == "X-Request-Id":
			name = "X-Upstream-Request-Id"
		case strings.HasPrefix(name, "X-Ratelimit-"), strings.HasPrefix(name, "Retry-After"):
		case name == "Openai-Processing-Ms", name == "Openai-Version", name == "X-Should-Retry":
		default:
			continue
		}
		if out == nil {
			out = make(http.Header)
		}
		out[name] = values
	}
	return out
}
