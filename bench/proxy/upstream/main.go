// Command upstream is the model that proxies are measured in front of: it speaks chat completions and answers with bytes that
// were made before the first request, so that what it costs is small and always the same. It is a process of its own, so that
// its work is not counted as a proxy's.
//
// The answer follows from the word "bench-…" in the request's body, where a client writes the model's name. See replies.
package main

import (
	"bytes"
	"flag"
	"io"
	"log"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	listen := flag.String("listen", "", "address to listen on")
	flag.Parse()
	m := &upstream{replies: replies(), released: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", m.chat)
	mux.HandleFunc("POST /release", m.release)
	mux.HandleFunc("GET /calls", m.count)
	server := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

type upstream struct {
	replies map[string]reply
	calls   atomic.Int64 // completions asked for

	mu       sync.Mutex
	released chan struct{} // closed by the next release
}

// longestHold bounds how long a held stream stays open when nobody releases it.
const longestHold = 3 * time.Minute

// chat answers with the reply that the body names.
func (m *upstream) chat(w http.ResponseWriter, r *http.Request) {
	m.calls.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	found, ok := m.replies[named(body)]
	if !ok {
		http.Error(w, "no reply is called "+named(body), http.StatusBadRequest)
		return
	}
	if !found.stream {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(found.frames[0])
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	m.mu.Lock()
	released := m.released
	m.mu.Unlock()
	begun := time.Now()
	for i, frame := range found.frames {
		if i == 1 && found.held {
			select {
			case <-released:
			case <-time.After(longestHold):
			case <-r.Context().Done():
				return
			}
		}
		if 0 < i && i < len(found.frames)-2 { // the finish and the end come with the last token
			time.Sleep(time.Until(begun.Add(time.Duration(i) * found.gap)))
		}
		if _, err := w.Write(frame); err != nil {
			return
		}
		// A model writes each token when it has it.
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
	}
}

// release lets every held stream go on that is open now.
func (m *upstream) release(http.ResponseWriter, *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.released)
	m.released = make(chan struct{})
}

// count says how many completions were asked for so far.
func (m *upstream) count(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, strconv.FormatInt(m.calls.Load(), 10))
}

// named is the first word of the body that begins with "bench-".
func named(body []byte) string {
	at := bytes.Index(body, []byte("bench-"))
	if at < 0 {
		return ""
	}
	end := at
	for end < len(body) && (body[end] == '-' || body[end] >= 'a' && body[end] <= 'z') {
		end++
	}
	return string(body[at:end])
}
