package intelligence

// Within notes the trace id of a W3C traceparent header, if there is one and it
// is valid.
func (t *Trace) Within(traceparent []string) {
	if t == nil || len(traceparent) != 1 {
		return
	}
	if id, ok := traceIDOf(traceparent[0]); ok {
		t.WithinID(id)
	}
}

// WithinID notes the id of the W3C trace that the request belongs to.
func (t *Trace) WithinID(id string) { t.edit(func(e *Entry) { e.W3C = id }) }

// traceIDOf reads version-traceid-parentid-flags.
func traceIDOf(s string) (string, bool) {
	const length = len("00-") + 32 + len("-") + 16 + len("-00")
	switch {
	case len(s) < length, s[2] != '-', s[35] != '-', s[52] != '-', s[:2] == "ff",
		s[:2] == "00" && len(s) != length, len(s) > length && s[length] != '-':
		return "", false
	}
	zero := [2]bool{true, true}
	for i := range length {
		switch c := s[i]; {
		case i == 2 || i == 35 || i == 52:
			continue
		case ('0' > c || c > '9') && ('a' > c || c > 'f'):
			return "", false
		case c != '0' && i > 2 && i < 35:
			zero[0] = false
		case c != '0' && i > 35 && i < 52:
			zero[1] = false
		}
	}
	return s[3:35], !zero[0] && !zero[1]
}
