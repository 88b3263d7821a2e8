package scripted

import "strings"

// Wire says how chunks become the bytes of an event stream. The zero Wire is
// what OpenAI sends: LF, `data: ` with a blank, `data: [DONE]` at the end.
type Wire struct {
	EOL            string // "\n" when empty; "\r\n" or "\r"
	NoBlank        bool   // `data:{…}` instead of `data: {…}`
	BOM            bool   // a byte order mark before the first line
	NoFinalNewline bool   // nothing after the characters of the last line
	NoDone         bool   // no [DONE]
	Comment        string // a comment line before every frame, without its colon
}

// Frames answers one piece of raw bytes for each chunk, [DONE] last.
func (w Wire) Frames(chunks ...string) []string {
	eol := w.EOL
	if eol == "" {
		eol = "\n"
	}
	field := "data: "
	if w.NoBlank {
		field = "data:"
	}
	if !w.NoDone {
		chunks = append(append([]string(nil), chunks...), "[DONE]")
	}
	frames := make([]string, len(chunks))
	for i, chunk := range chunks {
		frame := field + chunk + eol + eol
		if w.Comment != "" {
			frame = ":" + w.Comment + eol + frame
		}
		if i == 0 && w.BOM {
			frame = "\ufeff" + frame
		}
		if i == len(chunks)-1 && w.NoFinalNewline {
			frame = strings.TrimRight(frame, "\r\n")
		}
		frames[i] = frame
	}
	return frames
}

// Bytes is the whole stream as one string.
func (w Wire) Bytes(chunks ...string) string { return strings.Join(w.Frames(chunks...), "") }

// Steps writes and flushes every frame by itself.
func (w Wire) Steps(chunks ...string) []Step {
	frames := w.Frames(chunks...)
	steps := make([]Step, len(frames))
	for i, f := range frames {
		steps[i] = Frame(f)
	}
	return steps
}

// Reply streams the chunks, each frame flushed by itself.
func (w Wire) Reply(chunks ...string) Reply { return Stream(w.Steps(chunks...)...) }

// OneRead streams the chunks in a single write, so that a reader is handed
// many frames at once.
func (w Wire) OneRead(chunks ...string) Reply { return Stream(Frame(w.Bytes(chunks...))) }

// Split streams the chunks byte by byte.
func (w Wire) Split(chunks ...string) Reply { return Stream(ByteByByte(w.Bytes(chunks...))) }
