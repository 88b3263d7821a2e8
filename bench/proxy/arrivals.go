package main

import (
	"bytes"
	"io"
	"time"
)

// arrivals are the moments at which the events of one stream were complete. Events that came in one read came at one moment.
type arrivals struct {
	at  []time.Time
	end bool // what came so far ends with a line end
}

// saw takes the next piece of the stream.
func (a *arrivals) saw(piece []byte, now time.Time) {
	if len(piece) == 0 {
		return
	}
	ends := bytes.Count(piece, []byte("\n\n"))
	if a.end && piece[0] == '\n' {
		ends++
	}
	for range ends {
		a.at = append(a.at, now)
	}
	a.end = piece[len(piece)-1] == '\n' && !bytes.HasSuffix(piece, []byte("\n\n")) && (len(piece) > 1 || !a.end)
}

// gaps are the times between an event and the next.
func (a *arrivals) gaps() []time.Duration {
	var list []time.Duration
	for i := 1; i < len(a.at); i++ {
		list = append(list, a.at[i].Sub(a.at[i-1]))
	}
	return list
}

// timedBody notes when a body's events come.
type timedBody struct {
	io.ReadCloser
	came *arrivals
}

func (b timedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	b.came.saw(into[:n], time.Now())
	return n, err
}
