package sse

import "bytes"

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
	// Odd: the frame has a line that is neither a comment nor one of the
	// fields data, event, id and retry. Readers that follow the format skip
	// such a line, but there are clients that trim or fold names and would
	// read a payload from it (" data: …", "Data: …").
	Odd bool
}

var done = []byte("[DONE]")

// Done reports whether the payload is the [DONE] mark that ends a stream of
// chat completion chunks.
func (f Frame) Done() bool { return bytes.Equal(bytes.TrimSpace(f.Data), done) }

// Replace appends the frame with another payload to dst; everything else is as
// it was. A payload of several lines becomes as many data lines, in the place
// of the first one. A frame without a data line gets one at its end.
func (f Frame) Replace(dst, data []byte) []byte {
	if f.At >= 0 && bytes.IndexByte(data, '\n') < 0 && bytes.IndexByte(data, '\r') < 0 && f.keepsBlank(data) {
		dst = append(dst, f.Raw[:f.At]...)
		dst = append(dst, data...)
		return append(dst, f.Raw[f.At+len(f.Data):]...)
	}
	placed := false
	eol := []byte("\n")
	for l := (lines{rest: f.Raw}); l.next(); {
		lead := 0
		if bytes.HasPrefix(l.text, bom) && l.start == 0 {
			lead = len(bom)
		}
		name, value, _ := field(l.text[lead:])
		isData := string(name) == "data"
		blank := len(l.text) == lead
		if len(l.eol) > 0 {
			eol = l.eol
		}
		if placed && isData {
			continue
		}
		if !placed && isData {
			prefix := l.text[:len(l.text)-len(value)]
			dst = appendData(dst, prefix, data, eol)
			placed = true
			continue
		}
		if !placed && blank {
			dst = append(dst, l.text...)
			dst = appendData(dst, nil, data, eol)
			placed = true
			dst = append(dst, l.eol...)
			continue
		}
		dst = append(dst, l.text...)
		dst = append(dst, l.eol...)
		if len(l.eol) == 0 && !placed {
			dst = append(dst, eol...) // an unfinished last line gets its end before the payload
		}
	}
	if !placed {
		dst = appendData(dst, nil, data, eol)
	}
	return dst
}

// keepsBlank is false if a blank at the start of data would be taken for the
// one that follows the colon.
func (f Frame) keepsBlank(data []byte) bool {
	return len(data) == 0 || data[0] != ' ' || f.Raw[f.At-1] == ' '
}

// appendData writes data as data lines. The first one starts with prefix (a
// field name with its colon and blank as they came), the others with the same
// without a byte order mark.
func appendData(dst, prefix, data, eol []byte) []byte {
	if len(prefix) == 0 {
		prefix = []byte("data: ")
	}
	for first := true; ; first = false {
		text, rest, more := cutLine(data)
		if !first {
			prefix = bytes.TrimPrefix(prefix, bom)
		}
		dst = append(dst, prefix...)
		if prefix[len(prefix)-1] == 'a' {
			dst = append(dst, ':')
		}
		if len(text) > 0 && text[0] == ' ' && prefix[len(prefix)-1] != ' ' {
			dst = append(dst, ' ')
		}
		dst = append(dst, text...)
		dst = append(dst, eol...)
		if !more {
			return dst
		}
		data = rest
	}
}

// cutLine splits data after its first line ending.
func cutLine(data []byte) (text, rest []byte, more bool) {
	i := bytes.IndexAny(data, "\r\n")
	if i < 0 {
		return data, nil, false
	}
	n := i + 1
	if data[i] == '\r' && n < len(data) && data[n] == '\n' {
		n++
	}
	return data[:i], data[n:], true
}

// read fills the frame from f.Raw, with joined as room for a payload of
// several lines.
func (f *Frame) read(joined []byte, first bool) []byte {
	count := 0
	for l := (lines{rest: f.Raw}); l.next(); {
		text, start := l.text, l.start
		if first && start == 0 && bytes.HasPrefix(text, bom) {
			text, start = text[len(bom):], len(bom)
		}
		if len(text) == 0 {
			continue
		}
		name, value, colon := field(text)
		switch string(name) {
		case "data":
			at := start + len(text) - len(value)
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
		case "event":
			f.Event = value
		case "", "id", "retry":
			// The empty name is a comment.
			if len(name) == 0 && !colon {
				f.Odd = true
			}
		default:
			f.Odd = true
		}
	}
	if count > 1 {
		f.Data, f.At = joined, -1
	}
	return joined
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
	rest      []byte
	text, eol []byte
	start     int // offset of text
	off       int
}

func (l *lines) next() bool {
	if len(l.rest) == 0 {
		return false
	}
	l.start = l.off
	n := bytes.IndexByte(l.rest, '\n')
	end := n + 1
	if n < 0 {
		n, end = len(l.rest), len(l.rest)
	}
	if i := bytes.IndexByte(l.rest[:n], '\r'); i >= 0 {
		if i+1 != n || n == end {
			end = i + 1
		}
		n = i
	}
	l.text, l.eol = l.rest[:n], l.rest[n:end]
	l.rest = l.rest[end:]
	l.off += end
	return true
}
