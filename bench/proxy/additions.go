package main

import (
	"bytes"
	"fmt"
	"strings"
)

// added are the top-level fields that Cadreen documents as its own, in docs/api.md.
var added = map[string]bool{"conversation_id": true, "trace_id": true, "gate": true, "status": true, "next_action": true, "pending_actions": true}

// same says why a body is not the reference, or nil. With additions, the documented additions are taken away first and the
// replaced id is put back; everything else must be equal character for character.
func same(body, reference []byte, additions bool) error {
	if additions {
		var err error
		if body, err = without(body, reference); err != nil {
			return err
		}
	}
	if bytes.Equal(body, reference) {
		return nil
	}
	at := 0
	for at < len(body) && at < len(reference) && body[at] == reference[at] {
		at++
	}
	return fmt.Errorf("differs at byte %d of %d: %q, not %q", at, len(reference), excerpt(body, at), excerpt(reference, at))
}

func excerpt(b []byte, at int) []byte {
	return b[min(at, len(b)):min(at+60, len(b))]
}

// without takes the additions away from a JSON reply or from each event of a stream, and heartbeats from a stream. The id must be the same throughout.
func without(body, reference []byte) ([]byte, error) {
	id, err := idOf(reference)
	if err != nil {
		return nil, err
	}
	seen := ""
	plain := func(object []byte) ([]byte, error) {
		out, own, err := plainObject(object, id)
		if err != nil {
			return nil, err
		}
		if seen != "" && own != seen {
			return nil, fmt.Errorf("the id changes from %s to %s", seen, own)
		}
		seen = own
		return out, nil
	}
	if !bytes.HasPrefix(body, []byte("data: ")) {
		return plain(body)
	}
	var out []byte
	silent := false
	for line := range bytes.Lines(body) {
		object, isData := bytes.CutPrefix(line, []byte("data: {"))
		if silent && len(bytes.TrimRight(line, "\r\n")) == 0 { // the blank line that ends a heartbeat
			silent = false
			continue
		}
		if !isData {
			out = append(out, line...)
			continue
		}
		if silent = bytes.Contains(object, heartbeat) && bytes.Contains(object, unfinished); silent {
			continue
		}
		end := bytes.TrimRight(object, "\r\n")
		left, err := plain(append([]byte("{"), end...))
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, "data: "...), left...), object[len(end):]...)
	}
	return out, nil
}

// heartbeat is the delta of a chunk that Cadreen sends in silence, as docs/api.md says. No reply of the model here has one.
var (
	heartbeat  = []byte(`"delta":{"content":""}`)
	unfinished = []byte(`"finish_reason":null`)
)

// idOf is the raw id of a body's first object.
func idOf(body []byte) ([]byte, error) {
	object := bytes.TrimPrefix(body, []byte("data: "))
	if end := bytes.IndexByte(object, '\n'); end >= 0 && len(object) < len(body) {
		object = object[:end]
	}
	list, err := members(object)
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		if m.name == "id" {
			return object[m.value:m.end], nil
		}
	}
	return nil, fmt.Errorf("no id in %q", excerpt(object, 0))
}

// plainObject is the object without additions and with the given id, and the id it had.
func plainObject(object, id []byte) (out []byte, own string, err error) {
	list, err := members(object)
	if err != nil {
		return nil, "", err
	}
	from := 0
	for i, m := range list {
		switch {
		case added[m.name]:
			// A member goes with the comma before it, the first one with the comma behind it.
			start, end := m.start, m.end
			switch {
			case i > 0:
				start = list[i-1].end
			case len(list) > 1:
				end = list[1].start
			}
			out = append(out, object[from:max(from, start)]...)
			from = end
		case m.name == "id":
			own = string(object[m.value:m.end])
			out = append(append(out, object[from:m.value]...), id...)
			from = m.end
		}
	}
	return append(out, object[from:]...), own, nil
}

// member is one member of an object: offsets of its name's quote, of its value, and of what follows the value.
type member struct {
	name              string
	start, value, end int
}

// members finds the members of one JSON object. It looks at nesting and strings only: what it reads is compared with bytes that
// are known to be valid.
func members(object []byte) ([]member, error) {
	broken := fmt.Errorf("not one JSON object: %q", excerpt(object, 0))
	if len(object) == 0 || object[0] != '{' {
		return nil, broken
	}
	var list []member
	at := 1
	for {
		at += space(object[at:])
		if at < len(object) && object[at] == '}' && len(list) == 0 {
			return list, nil
		}
		m := member{start: at}
		n := stringLength(object[at:])
		if n == 0 {
			return nil, broken
		}
		m.name = strings.Trim(string(object[at:at+n]), `"`)
		at += n
		at += space(object[at:])
		if at >= len(object) || object[at] != ':' {
			return nil, broken
		}
		at++
		m.value = at + space(object[at:])
		m.end = m.value + valueLength(object[m.value:])
		if m.end == m.value {
			return nil, broken
		}
		list = append(list, m)
		at = m.end + space(object[m.end:])
		switch {
		case at < len(object) && object[at] == ',':
			at++
		case at < len(object) && object[at] == '}' && len(bytes.TrimSpace(object[at+1:])) == 0:
			return list, nil
		default:
			return nil, broken
		}
	}
}

func space(b []byte) int { return len(b) - len(bytes.TrimLeft(b, " \t\r\n")) }

// stringLength is the length of the string that b begins with, 0 if there is none.
func stringLength(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return 0
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// valueLength is the length of the value that b begins with, 0 if it does not end.
func valueLength(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			n := stringLength(b[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return len(bytes.TrimRight(b[:i], " \t\r\n"))
			}
			depth--
		case ',':
			if depth == 0 {
				return len(bytes.TrimRight(b[:i], " \t\r\n"))
			}
		}
	}
	return 0
}
