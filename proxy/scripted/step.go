package scripted

import (
	"net"
	"net/http"
)

// Step is one thing that a streamed reply does. It answers false when the
// reply cannot go on.
type Step func(*exchange) bool

type exchange struct {
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
}

// Frame writes these bytes in one piece and flushes them: the client may see
// them before the next step begins.
func Frame(raw string) Step {
	return func(x *exchange) bool {
		if _, err := x.w.Write([]byte(raw)); err != nil {
			return false
		}
		return x.control.Flush() == nil
	}
}

// ByteByByte writes the bytes one at a time, each flushed by itself, so that
// frames, lines and UTF-8 sequences are split at every place.
func ByteByByte(raw string) Step {
	return func(x *exchange) bool {
		for i := range len(raw) {
			if !Frame(raw[i : i+1])(x) {
				return false
			}
		}
		return true
	}
}

// Wait goes on when the gate is closed (or receives). It gives up when the
// client goes away.
func Wait(gate <-chan struct{}) Step {
	return func(x *exchange) bool {
		select {
		case <-gate:
			return true
		case <-x.r.Context().Done():
			return false
		}
	}
}

// Signal closes the channel: everything before it has been handed to the
// network.
func Signal(reached chan<- struct{}) Step {
	return func(*exchange) bool { close(reached); return true }
}

// Stall waits until the client goes away, then breaks the connection.
func Stall() Step {
	return func(x *exchange) bool {
		<-x.r.Context().Done()
		panic(http.ErrAbortHandler)
	}
}

// Cut closes the connection in the middle of the body: the client has no
// terminating chunk and must see an unexpected end. To cut inside a frame,
// put a part of one before it.
func Cut() Step {
	return func(*exchange) bool { panic(http.ErrAbortHandler) }
}

// Reset sends a TCP reset instead of a close.
func Reset() Step {
	return func(x *exchange) bool {
		conn, _, err := x.control.Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
		return false
	}
}

// End ends the body properly although steps may follow: what comes then is
// never sent. A reply whose steps run out ends in the same way.
func End() Step { return func(*exchange) bool { return false } }

// CloseDelimited answers an event stream whose body has neither a length nor
// chunks: it ends where the connection ends, so that an upstream which died
// looks exactly like one which finished.
func CloseDelimited(raw string) Reply {
	return func(w http.ResponseWriter, _ *http.Request, _ *Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + raw))
	}
}
