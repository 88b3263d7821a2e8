package idempotency

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// answer is a response as it left.
type answer struct {
	Status  int         `json:"status"`
	Header  http.Header `json:"header"`
	Trailer http.Header `json:"trailer,omitempty"`
	Body    []byte      `json:"body"`
}

// replay gives the answer to another request.
func (a *answer) replay(w http.ResponseWriter) error {
	w.Header().Set(Replayed, "true")
	a.head(w)
	_, _ = w.Write(a.Body) // a client that went away needs no answer
	a.tail(w)
	return nil
}

// head writes status and headers, over what w has under the same names.
func (a *answer) head(w http.ResponseWriter) {
	h := w.Header()
	for name, values := range a.Header {
		h[name] = values
	}
	w.WriteHeader(a.Status)
}

// tail writes the trailers.
func (a *answer) tail(w http.ResponseWriter) {
	h := w.Header()
	for name, values := range a.Trailer {
		h[name] = values
	}
}

// trailer takes the values of the trailers that the head announced.
func (a *answer) trailer(from http.Header) {
	for _, line := range a.Header["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if values := from[name]; values != nil {
				if a.Trailer == nil {
					a.Trailer = http.Header{}
				}
				a.Trailer[name] = values
			}
		}
	}
}

func (a *answer) streams() bool {
	return strings.HasPrefix(a.Header.Get("Content-Type"), "text/event-stream")
}

// whole says that the answer itself tells that nothing follows.
func (a *answer) whole() bool {
	if a.streams() {
		return bytes.HasSuffix(bytes.TrimRight(a.Body, "\r\n"), []byte("[DONE]"))
	}
	return a.Header.Get("Content-Length") == strconv.Itoa(len(a.Body))
}

// final says that a retry should hear the same: not after a failure of ours,
// nor where the client is told to try again. 499 is a run that was cancelled.
func (a *answer) final() bool {
	switch a.Status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests, 499:
		return false
	}
	return a.Status < 500
}
