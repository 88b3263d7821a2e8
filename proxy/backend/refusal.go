package backend

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"cadreen/fault"
)

const (
	// refusalLimit is how much of an error's body is read, in bytes.
	refusalLimit = 64 << 10
	// refusalTime is how long reading it may take.
	refusalTime = 10 * time.Second
	// messageLimit is how much of its message is passed on, in bytes.
	messageLimit = 4 << 10
)

// refused turns an answer other than 200 into a failure, and ends the answer.
//
//   - 429: rate_limit, with the upstream's word on when to come again.
//   - 401, 403: our key is wrong, which is not the client's fault:
//     service_unavailable. With passthrough it is the client's key:
//     unauthorized, forbidden.
//   - other 4xx: the client's own fault; status, code, type, param and message pass.
//   - everything else, and a 4xx that is not said in JSON: service_unavailable.
//     A 4xx without a body, and a 413, which many a server in between says in
//     HTML, speak for themselves. 407 is about our own way out.
func (s *server) refused(life *life, resp *http.Response) *failure {
	fail := &failure{status: resp.StatusCode}
	cause := fmt.Errorf("the model server answered %d", resp.StatusCode)
	switch status := resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		fail.fault = fault.Wrap(cause, fault.RateLimit, "The model server limits the rate of requests.")
	case (status == http.StatusUnauthorized || status == http.StatusForbidden) && !s.settings.Passthrough:
		fail.fault = fault.Wrap(cause, fault.ServiceUnavailable, "The model server does not accept the proxy's credentials.")
		fail.fault.Hint = "The operator must check backend.api_key and backend.url."
		fail.fault.ShouldRetry = new(bool)
	case status >= 400 && status < 500 && status != http.StatusProxyAuthRequired:
		fail.fault = s.clientsFault(life, resp)
		if ended := life.failure(); ended != nil {
			_ = resp.Body.Close()
			return ended
		}
	case status < 400:
		// Redirects too: following one would carry the body, and the key, elsewhere.
		fail.fault = unavailable("The model server answered in a form that was not asked for.", errors.Join(errMalformed, cause))
	default:
		fail.fault = unavailable("The model server failed.", cause)
		fail.down = status >= 500
		fail.retry = status == http.StatusBadGateway || status == http.StatusServiceUnavailable
	}
	// What is left unread costs the connection; an error is rare enough.
	_ = resp.Body.Close()
	s.passAdvice(fail, resp.Header)
	return fail
}

// passAdvice hands on when and whether to come again.
func (s *server) passAdvice(fail *failure, header http.Header) {
	fail.fault.Header = visible(header)
	// These two have fields of their own in a fault.
	delete(fail.fault.Header, "Retry-After")
	delete(fail.fault.Header, "X-Should-Retry")
	switch strings.ToLower(strings.TrimSpace(header.Get("X-Should-Retry"))) {
	case "true":
		yes := true
		fail.fault.ShouldRetry = &yes
	case "false":
		fail.fault.ShouldRetry = new(bool)
		fail.retry = false
	}
	if wait := retryAfter(header, s.settings.Now()); wait > 0 {
		fail.after = wait
		fail.fault.RetryAfter = wholeSeconds(wait)
	}
}

// retryAfter reads Retry-After-Ms, else Retry-After in seconds or as a date; 0 if
// neither says anything usable. More than a day is taken for a mistake.
func retryAfter(header http.Header, now time.Time) time.Duration {
	var wait time.Duration
	if ms, err := strconv.ParseFloat(header.Get("Retry-After-Ms"), 64); err == nil {
		wait = span(ms, time.Millisecond)
	} else if seconds, err := strconv.ParseFloat(header.Get("Retry-After"), 64); err == nil {
		wait = span(seconds, time.Second)
	} else if date, err := http.ParseTime(header.Get("Retry-After")); err == nil {
		wait = date.Sub(now)
	}
	if wait < 0 || wait > 24*time.Hour {
		return 0
	}
	return wait
}

func span(count float64, unit time.Duration) time.Duration {
	if !(count > 0 && count < 1e9) { // also refuses NaN
		return 0
	}
	return time.Duration(count * float64(unit))
}

func wholeSeconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// clientsFault passes on what the upstream says about the client's request.
func (s *server) clientsFault(life *life, resp *http.Response) *fault.Error {
	// A body that trickles must not keep the client waiting for its own error.
	life.listen(min(s.settings.IdleTimeout, refusalTime))
	text, err := io.ReadAll(io.LimitReader(resp.Body, refusalLimit))
	life.heard()
	said, ok := readError(text)
	if compressed := resp.Header.Get("Content-Encoding"); compressed != "" && !strings.EqualFold(compressed, "identity") {
		ok = false
	}
	if err != nil || !ok && resp.StatusCode != http.StatusRequestEntityTooLarge {
		return unavailable("The model server refused the request without a readable reason.",
			fmt.Errorf("%w: status %d", errMalformed, resp.StatusCode))
	}
	f := &fault.Error{
		Code: s.token(said.Code), Status: resp.StatusCode, Type: s.token(said.Type),
		Param: s.shown(said.Param), Message: s.shown(said.Message),
		Err: fmt.Errorf("the model server answered %d", resp.StatusCode),
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		f.Code, f.Type = fault.Unauthorized, ""
	case resp.StatusCode == http.StatusForbidden:
		f.Code, f.Type = fault.Forbidden, ""
	case f.Code == "":
		f.Code = fault.InvalidRequest
	}
	if f.Message == "" {
		f.Message = "The model server refused the request."
	}
	return f
}

// said is an upstream's error, as far as it can be made out.
type said struct{ Code, Type, Param, Message string }

// readError understands OpenAI's envelope and its usual variations: an array
// of one, "error" as a plain string, the members at the top level, and
// FastAPI's "detail". An empty body is an error that says nothing. ok is false
// for everything that is not JSON of that kind.
func readError(text []byte) (s said, ok bool) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return s, true
	}
	var list []json.RawMessage
	if json.Unmarshal(text, &list) == nil && len(list) > 0 {
		text = list[0]
	}
	var outer map[string]json.RawMessage
	if json.Unmarshal(text, &outer) != nil || outer == nil {
		return s, false
	}
	inner := outer
	if raw, found := outer["error"]; found {
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) == nil && members != nil {
			inner = members
		} else {
			s.Message = stringOf(raw)
		}
	}
	// A code that is a number only repeats the status.
	s.Code, s.Type, s.Param = stringOf(inner["code"]), stringOf(inner["type"]), stringOf(inner["param"])
	for _, name := range []string{"message", "detail"} {
		if s.Message == "" {
			s.Message = stringOf(inner[name])
		}
	}
	if s.Message == "" {
		var details []struct {
			Msg string `json:"msg"`
		}
		if json.Unmarshal(inner["detail"], &details) == nil && len(details) > 0 {
			s.Message = details[0].Msg
		}
	}
	return s, true
}

func stringOf(raw json.RawMessage) string {
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return text
}

// shown makes an upstream's message fit for a client: no key, no address, not
// endless.
func (s *server) shown(message string) string {
	message = s.secrets.Replace(message)
	if len(message) > messageLimit {
		cut := messageLimit
		for !utf8.RuneStart(message[cut]) {
			cut--
		}
		message = message[:cut] + "…"
	}
	return message
}

// token is an upstream's code or type, if it is one: clients branch on it and it
// stands in addresses.
func (s *server) token(text string) string {
	if !tokenForm.MatchString(text) || s.secrets.Replace(text) != text {
		return ""
	}
	return text
}

var tokenForm = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,128}$`)

// newSecrets knows what a message must not repeat. A bare host name without a
// dot could be an ordinary word, so it counts only as part of an address.
func newSecrets(cfg Settings, base *url.URL) *strings.Replacer {
	var pairs []string
	add := func(secret string) {
		if secret != "" {
			pairs = append(pairs, secret, "[hidden]")
		}
	}
	add(cfg.APIKey)
	add(cfg.URL)
	add(base.Scheme + "://" + base.Host)
	if base.Port() != "" || strings.Contains(base.Host, ".") {
		add(base.Host)
	}
	if strings.ContainsAny(base.Hostname(), ".:") {
		add(base.Hostname())
	}
	return strings.NewReplacer(pairs...)
}

// unreachable is the failure of a request that got no answer at all.
func unreachable(err error) *failure {
	why := plain(err)
	fail := &failure{fault: unavailable("The model server cannot be reached.", why), down: true, retry: true}
	// Trying again does not make a name known or a certificate valid.
	if errors.Is(why, errName) || errors.Is(why, errTLS) {
		fail.retry = false
	}
	return fail
}

var (
	errName       = errors.New("its name is not known")
	errTLS        = errors.New("its certificate or TLS is not acceptable")
	errConnection = errors.New("the connection failed")
	errSlow       = errors.New("connecting took too long")
)

// plain says why a connection failed without the address that Go's own errors
// repeat.
func plain(err error) error {
	var (
		number    syscall.Errno
		name      *net.DNSError
		untrusted *tls.CertificateVerificationError
		header    tls.RecordHeaderError
		network   net.Error
	)
	switch {
	case errors.As(err, &number):
		return number
	case errors.As(err, &name):
		if name.IsNotFound {
			return errName
		}
		return errConnection
	case errors.As(err, &untrusted), errors.As(err, &header):
		return errTLS
	case errors.As(err, &network) && network.Timeout():
		return errSlow
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return errConnection
}
