package scripted

import (
	"net/http"
	"strconv"
)

// Reply gives the answer to one request. Queue any function of this shape; the
// builders below and Stream cover the usual ones.
type Reply func(w http.ResponseWriter, r *http.Request, got *Request)

// JSON answers 200 with exactly this body.
func JSON(body string) Reply { return Status(http.StatusOK, body) }

// Status answers any status with exactly this JSON body; headers are pairs.
func Status(status int, body string, headers ...string) Reply {
	return func(w http.ResponseWriter, _ *http.Request, _ *Request) {
		w.Header().Set("Content-Type", "application/json")
		setPairs(w.Header(), headers)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// Error answers with OpenAI's error object.
func Error(status int, kind, code, message string, headers ...string) Reply {
	return Status(status, `{"error":{"message":`+Quote(message)+`,"type":`+Quote(kind)+`,"param":null,"code":`+Quote(code)+`}}`, headers...)
}

// Hang answers nothing, not even headers, until the client goes away or the
// server closes.
func Hang() Reply {
	return func(_ http.ResponseWriter, r *http.Request, _ *Request) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
}

// Drop closes the connection without a byte of an answer.
func Drop() Reply {
	return func(http.ResponseWriter, *http.Request, *Request) { panic(http.ErrAbortHandler) }
}

// Stream answers an event stream made of the steps, with status 200.
func Stream(steps ...Step) Reply { return StreamWith(nil, steps...) }

// StreamWith is Stream with extra headers, given as pairs.
func StreamWith(headers []string, steps ...Step) Reply {
	return func(w http.ResponseWriter, r *http.Request, got *Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		setPairs(w.Header(), headers)
		w.WriteHeader(http.StatusOK)
		x := &exchange{w: w, r: r, control: http.NewResponseController(w)}
		_ = x.control.Flush()
		for _, step := range steps {
			if !step(x) {
				return
			}
		}
	}
}

func setPairs(h http.Header, pairs []string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
}
