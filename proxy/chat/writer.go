package chat

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// writer sends frames to the client and, in silence, heartbeats between them.
type writer struct {
	mu    sync.Mutex
	w     http.ResponseWriter
	rc    *http.ResponseController
	beat  heartbeat
	beats bool // there are heartbeats in silence
	style string
	every time.Duration
	timer *time.Timer
	ended bool
	// ready are frames that wait for the flush, so that frames which came together leave in one write.
	ready []byte
	burst *[]byte // the room that ready has
	sent  bool    // something was handed on since the last flush
	// waits: nothing has gone out, headers neither; frames gather in early
	// until open is called.
	waits bool
	early []byte
	// due: the headers are to go out with the first frame, or when it takes its time.
	due    bool
	prompt bool // the headers never wait for a frame
	broken error
}

var errGone = errors.New("chat: the client is gone")

func newWriter(w http.ResponseWriter, s Settings) *writer {
	out := &writer{w: w, rc: http.NewResponseController(w), every: s.Heartbeat, style: s.HeartbeatStyle, waits: true}
	if s.HeartbeatStyle != HeartbeatOff {
		out.timer = time.AfterFunc(s.Heartbeat, out.pulse)
	}
	return out
}

// headersWithin is how long the headers wait for a frame to go with.
const headersWithin = 20 * time.Millisecond

// open sends the headers and what has gathered.
func (o *writer) open() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.waits {
		return
	}
	o.waits = false
	o.w.WriteHeader(http.StatusOK)
	if len(o.early) > 0 {
		if _, err := o.w.Write(o.early); err != nil {
			o.broken = errors.Join(errGone, err)
		}
		o.early = nil
	} else if o.timer != nil && !o.ended && !o.prompt {
		o.due = true
		o.timer.Reset(min(headersWithin, o.every))
		return
	}
	o.push()
}

// opened says that headers have gone out, or go with the first frame.
func (o *writer) opened() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.waits
}

// heartbeat sets what is sent in silence, again and again.
func (o *writer) heartbeat(b heartbeat) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.beat, o.beats = b, true
}

// silent ends the heartbeats.
func (o *writer) silent() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.beats = false
}

// write sends one frame; it may stay in the buffer until flush.
func (o *writer) write(frame []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken != nil {
		return o.broken
	}
	if o.waits {
		o.early = append(o.early, frame...)
		return nil
	}
	if o.burst == nil && len(o.ready)+len(frame) > cap(o.ready) {
		o.burst = bursts.Get().(*[]byte)
		o.ready = append((*o.burst)[:0], o.ready...)
	}
	if o.ready = append(o.ready, frame...); len(o.ready) >= together {
		o.send()
	}
	return o.broken
}

// Write is write: an io.Writer for what leaves in whole frames.
func (o *writer) Write(frames []byte) (int, error) {
	if err := o.write(frames); err != nil {
		return 0, err
	}
	return len(frames), nil
}

// together is how many bytes of frames gather at most, before the last of them.
const together = 32 << 10

// bursts are lent to streams whose frames come thick. One that waits for the model holds none.
var bursts = sync.Pool{New: func() any { b := make([]byte, 0, together+4<<10); return &b }}

// send hands what is ready to the connection.
func (o *writer) send() {
	if len(o.ready) == 0 || o.broken != nil {
		return
	}
	if _, err := o.w.Write(o.ready); err != nil {
		o.broken = errors.Join(errGone, err)
	}
	o.sent = true
	o.ready = nil
	if o.burst != nil {
		bursts.Put(o.burst)
		o.burst = nil
	}
}

// flush sends what is buffered. Frames of the model's that wait for a decision
// are silence for the client: without anything to send the heartbeat comes.
func (o *writer) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.send(); !o.sent {
		return
	}
	o.sent = false
	o.push()
	if o.timer != nil && !o.ended {
		o.timer.Reset(o.every)
	}
}

// hand is flush for what the end of the answer flushes.
func (o *writer) hand() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.send()
}

func (o *writer) push() {
	if o.waits {
		return
	}
	o.due = false
	if err := o.rc.Flush(); err != nil && o.broken == nil {
		o.broken = errors.Join(errGone, err)
	}
}

// last sends a final frame and nothing after it.
func (o *writer) last(frame []byte) {
	o.stop()
	_ = o.write(frame)
	o.flush()
}

func (o *writer) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	if o.timer != nil {
		o.timer.Stop()
	}
}

var keepAlive = []byte(": keep-alive\n\n")

// pulse sends a heartbeat after a silence and waits for the next one.
func (o *writer) pulse() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended || o.broken != nil {
		return
	}
	switch {
	case o.waits:
	case o.due:
		o.push()
	case o.beats:
		o.send()
		frame := keepAlive
		if o.style != HeartbeatComment {
			frame = o.beat.frame()
		}
		if _, err := o.w.Write(frame); err != nil {
			o.broken = errors.Join(errGone, err)
			return
		}
		o.push()
	}
	o.timer.Reset(o.every)
}
