package sse

import (
	"bytes"
	"unicode/utf8"
)

// Frame is one frame of a stream. Its slices belong to the reader.
type Frame struct {
	// Raw is exactly what came, the terminating blank line included.
	Raw []byte
	// Data is the payload: a part of Raw if there is one data line, the lines
	// joined with LF if there are several, nil if there is none.
	Data []byte
	// Event is the event's name, nil if the frame names none.
	Event []byte
	// At is the offset of Data in Raw if the payload is one line, else -1.
	At int
	// Complete is false for a last frame whose blank line never came.
	Complete bool
	// Odd: readers would not agree on the frame. It has a line that is neither
	// a comment nor one of the fields data, event, id and retry (there are
	// clients that trim or fold names and would read a payload from " data: …"
	// or "Data: …"), it names its event twice, or a line without a payload
	// hides one from those who follow the format.
	Odd bool

	lead int // length of the byte order mark that Raw begins with
}

var done = []byte("[DONE]")

// Done reports whether the payload is the [DONE] mark that ends a stream of
// chat completion chunks. An odd frame is never the end: its other lines may
// carry something.
func (f Frame) Done() bool { return !f.Odd && bytes.Equal(bytes.TrimSpace(f.Data), done) }

// Replace appends the frame with another payload to dst; everything else is as
// it was. The payload stands on one data line, in the place of the first one,
// whatever it came on: a line end within it becomes a blank. Payloads are JSON,
// where both mean the same, and readers that take every data line for itself
// would otherwise find another document in a frame of several lines than the
// one that was judged. A frame without a data line gets one at its end.
func (f Frame) Replace(dst, data []byte) []byte {
	dst, _ = f.ReplaceAt(dst, data)
	return dst
}

// ReplaceAt is Replace and answers where in the result the payload begins.
func (f Frame) ReplaceAt(dst, data []byte) (frame []byte, at int) {
	if f.At >= 0 {
		dst = append(dst, f.Raw[:f.At]...)
		dst, at = appendPayload(dst, data)
		return append(dst, f.Raw[f.At+len(f.Data):]...), at
	}
	at = -1
	ended := 0 // length of the line end that dst ends with
	eol := []byte("\n")
	l := walk(f.Raw)
	for l.next() {
		if len(l.eol) > 0 {
			eol = l.eol
		}
		text := l.text
		if l.start == 0 {
			text = text[f.lead:]
		}
		name, value, colon := field(text)
		switch isData := string(name) == "data"; {
		case isData && at >= 0:
			// The payload stands already. This line leaves its end to the one
			// before it, so that what follows comes after the same: a CR before a
			// blank line of CRLF would read as a blank line.
			if len(l.eol) > 0 {
				dst, ended = append(dst[:len(dst)-ended], l.eol...), len(l.eol)
			}
			continue
		case isData:
			dst = append(dst, l.text[:len(l.text)-len(value)]...)
			if !colon {
				dst = append(dst, ':', ' ')
			}
			dst, at = appendPayload(dst, data)
			dst, ended = append(dst, eol...), len(eol)
			continue
		case len(text) == 0 && at < 0:
			// The line that ends the frame, with the mark if it has one.
			dst = append(dst, l.text...)
			dst, at = appendLine(dst, data, eol)
			dst, ended = append(dst, l.eol...), len(l.eol)
			continue
		}
		dst = append(dst, l.text...)
		if at < 0 {
			dst, ended = append(dst, eol...), len(eol) // an unfinished line gets its end before the payload
		} else {
			dst, ended = append(dst, l.eol...), len(l.eol)
		}
	}
	if at < 0 {
		dst, at = appendLine(dst, data, eol)
	}
	return dst, at
}

func appendLine(dst, data, eol []byte) ([]byte, int) {
	dst, at := appendPayload(append(dst, "data: "...), data)
	return append(dst, eol...), at
}

// appendPayload appends data on one line behind a colon and, if there is one,
// its blank.
func appendPayload(dst, data []byte) (frame []byte, at int) {
	if len(data) > 0 && (data[0] == ' ' || data[0] == '\n' || data[0] == '\r') && dst[len(dst)-1] == ':' {
		dst = append(dst, ' ') // its own blank would be taken for the colon's
	}
	at = len(dst)
	dst = append(dst, data...)
	for _, eol := range []byte{'\n', '\r'} {
		for rest := dst[at:]; ; {
			n := bytes.IndexByte(rest, eol)
			if n < 0 {
				break
			}
			rest[n] = ' '
			rest = rest[n+1:]
		}
	}
	return dst, at
}

// read fills the frame from f.Raw, with joined as room for a payload of
// several lines.
func (f *Frame) read(joined []byte, first bool) []byte {
	if first && bytes.HasPrefix(f.Raw, bom) {
		f.lead = len(bom)
	}
	count := 0
	l := walk(f.Raw)
	for l.next() {
		text := l.text
		if l.start == 0 {
			text = text[f.lead:]
		}
		if len(text) == 0 {
			continue
		}
		name, value, colon := field(text)
		switch string(name) {
		case "data":
			at := l.start + len(l.text) - len(value)
			switch count++; count {
			case 1:
				f.Data = f.Raw[at : at+len(value) : at+len(value)]
				if colon {
					f.At = at
				}
			case 2:
				joined = append(joined, f.Data...)
				fallthrough
			default:
				joined = append(joined, '\n')
				joined = append(joined, value...)
			}
			continue
		case "event":
			f.Odd = f.Odd || f.Event != nil
			f.Event = value
		case "", "id", "retry":
			// The empty name is a comment.
		default:
			f.Odd = true
		}
		f.Odd = f.Odd || hides(text)
	}
	if count > 1 {
		f.Data, f.At = joined, -1
	}
	return joined
}

// hides says that a line without a payload could still give one to some reader:
// there are those that end lines at more characters than the format does (form
// feed, U+0085, U+2028 and others), and those that look for "data:" anywhere.
func hides(line []byte) bool {
	for i := 0; i < len(line); {
		r, n := rune(line[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(line[i:])
		}
		switch {
		case r < ' ' && r != '\t', r == 0x7f, r == 0x85, r == 0x2028, r == 0x2029, r == utf8.RuneError && n == 1:
			return true
		}
		i += n
	}
	for {
		at := bytes.Index(line, []byte("data:"))
		if at < 0 {
			return false
		}
		line = bytes.TrimLeft(line[at+len("data:"):], " \t")
		if len(line) > 0 && line[0] == '{' {
			return true
		}
	}
}

// field splits a line as the format says. A line without a colon is a name
// with an empty value.
func field(line []byte) (name, value []byte, colon bool) {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return line, line[len(line):], false
	}
	name, value = line[:i], line[i+1:]
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return name, value, true
}

// lines walks over the lines of a frame.
type lines struct {
	b         []byte
	at        int
	lf        int // the first LF from at on, the end if there is none
	text, eol []byte
	start     int // offset of text
}

func walk(b []byte) lines { return lines{b: b, lf: -1} }

func (l *lines) next() bool {
	if l.at >= len(l.b) {
		return false
	}
	if l.lf < l.at {
		// Looked for once, not once a line: the lines may end with CR.
		l.lf = len(l.b)
		if n := bytes.IndexByte(l.b[l.at:], '\n'); n >= 0 {
			l.lf = l.at + n
		}
	}
	l.start = l.at
	n, end := l.lf, min(l.lf+1, len(l.b))
	if i := bytes.IndexByte(l.b[l.at:l.lf], '\r'); i >= 0 {
		n = l.at + i
		if n+1 < l.lf {
			end = n + 1
		}
	}
	l.text, l.eol, l.at = l.b[l.start:n], l.b[n:end], end
	return true
}
