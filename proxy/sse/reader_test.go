package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// pieces yields its pieces one a read, then err.
type pieces struct {
	list [][]byte
	err  error
	glue bool // the error comes together with the last piece
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.list) == 0 {
		return 0, p.err
	}
	n := copy(b, p.list[0])
	if p.list[0] = p.list[0][n:]; len(p.list[0]) == 0 {
		p.list = p.list[1:]
	}
	if len(p.list) == 0 && p.glue {
		return n, p.err
	}
	return n, nil
}

// kept is a frame that outlives the reader's next step.
type kept struct {
	Raw, Data, Event string
	HasData          bool
	At               int
	Complete, Odd    bool
}

func keep(f Frame) kept {
	return kept{string(f.Raw), string(f.Data), string(f.Event), f.Data != nil, f.At, f.Complete, f.Odd}
}

// all reads to the end; buffered says before every frame but the first whether
// it was said to be there.
func all(r *Reader) (frames []kept, buffered []bool, err error) {
	for {
		ahead := r.Buffered()
		f, err := r.Next()
		if err != nil {
			return frames, buffered, err
		}
		frames, buffered = append(frames, keep(f)), append(buffered, ahead)
	}
}

func whole(t require.TestingT, input string) []kept {
	frames, _, err := all(NewReader(strings.NewReader(input), 0))
	require.ErrorIs(t, err, io.EOF)
	return frames
}

func joinRaw(frames []kept) string {
	var b strings.Builder
	for _, f := range frames {
		b.WriteString(f.Raw)
	}
	return b.String()
}

func TestFrames(t *testing.T) {
	for name, c := range map[string]struct {
		input string
		want  []kept
	}{
		"LF":   {"data: a\n\ndata: b\n\n", []kept{{"data: a\n\n", "a", "", true, 6, true, false}, {"data: b\n\n", "b", "", true, 6, true, false}}},
		"CRLF": {"data: a\r\n\r\ndata: b\r\n\r\n", []kept{{"data: a\r\n\r\n", "a", "", true, 6, true, false}, {"data: b\r\n\r\n", "b", "", true, 6, true, false}}},
		"CR":   {"data: a\r\rdata: b\r\r", []kept{{"data: a\r\r", "a", "", true, 6, true, false}, {"data: b\r\r", "b", "", true, 6, true, false}}},
		"line ends mixed": {"data: a\r\n\ndata: b\n\r\ndata: c\r\n\rdata: d\n\rx", []kept{{"data: a\r\n\n", "a", "", true, 6, true, false},
			{"data: b\n\r\n", "b", "", true, 6, true, false}, {"data: c\r\n\r", "c", "", true, 6, true, false}, {"data: d\n\r", "d", "", true, 6, true, false}, {"x", "", "", false, -1, false, true}}},
		"CR CR LF is a frame and an empty one": {"data: a\r\r\ndata: b\n\n", []kept{{"data: a\r\r", "a", "", true, 6, true, false}, {"\n", "", "", false, -1, true, false}, {"data: b\n\n", "b", "", true, 6, true, false}}},
		"a byte order mark":                    {"\ufeffdata: a\n\n\ufeffdata: b\n\n", []kept{{"\ufeffdata: a\n\n", "a", "", true, 9, true, false}, {"\ufeffdata: b\n\n", "", "", false, -1, true, true}}},
		"a byte order mark alone":              {"\ufeff\n\ndata: b\n\n", []kept{{"\ufeff\n", "", "", false, -1, true, false}, {"\n", "", "", false, -1, true, false}, {"data: b\n\n", "b", "", true, 6, true, false}}},
		"no blank, two blanks, a tab":          {"data:a\n\ndata:  b\n\ndata:\tc\n\n", []kept{{"data:a\n\n", "a", "", true, 5, true, false}, {"data:  b\n\n", " b", "", true, 6, true, false}, {"data:\tc\n\n", "\tc", "", true, 5, true, false}}},
		"an empty payload":                     {"data:\n\ndata: \n\ndata\n\n", []kept{{"data:\n\n", "", "", true, 5, true, false}, {"data: \n\n", "", "", true, 6, true, false}, {"data\n\n", "", "", true, -1, true, false}}},
		"several data lines":                   {"data: a\ndata:b\ndata\ndata: \n\n", []kept{{"data: a\ndata:b\ndata\ndata: \n\n", "a\nb\n\n", "", true, -1, true, false}}},
		"comments, id, retry":                  {": hi\n\nid: 7\nretry: 10\ndata: a\n: there\n\n", []kept{{": hi\n\n", "", "", false, -1, true, false}, {"id: 7\nretry: 10\ndata: a\n: there\n\n", "a", "", true, 22, true, false}}},
		"an event":                             {"event: e\ndata: a\n\nevent:\ndata: b\n\n", []kept{{"event: e\ndata: a\n\n", "a", "e", true, 15, true, false}, {"event:\ndata: b\n\n", "b", "", true, 13, true, false}}},
		"no final newline":                     {"data: a\n\ndata: b", []kept{{"data: a\n\n", "a", "", true, 6, true, false}, {"data: b", "b", "", true, 6, false, false}}},
		"one final newline":                    {"data: b\n", []kept{{"data: b\n", "b", "", true, 6, false, false}}},
		"a final CR":                           {"data: b\r", []kept{{"data: b\r", "b", "", true, 6, false, false}}},
		"a CR as the blank line at the end":    {"data: b\n\r", []kept{{"data: b\n\r", "b", "", true, 6, true, false}}},
		"blank lines alone":                    {"\n\r\n\r", []kept{{"\n", "", "", false, -1, true, false}, {"\r\n", "", "", false, -1, true, false}, {"\r", "", "", false, -1, true, false}}},
		"nothing":                              {"", nil},
		"UTF-8":                                {"data: Zürich 😀\n\n", []kept{{"data: Zürich 😀\n\n", "Zürich 😀", "", true, 6, true, false}}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, whole(t, c.input))
			frames, _, err := all(NewReader(iotest.OneByteReader(strings.NewReader(c.input)), 0))
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, c.want, frames, "a byte a read")
			frames, _, err = all(NewReader(iotest.DataErrReader(strings.NewReader(c.input)), 0))
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, c.want, frames, "the end with the last bytes")
		})
	}
}

// Readers do not agree on these frames, so they are marked.
func TestOddFrames(t *testing.T) {
	for name, c := range map[string]struct {
		input string
		odd   bool
	}{
		"a blank before the name":              {" data: {}\n\n", true},
		"another case":                         {"Data: {}\n\n", true},
		"a blank behind the name":              {"data : {}\n\n", true},
		"an unknown field":                     {"x: y\ndata: {}\n\n", true},
		"a name without a colon":               {"x\n\n", true},
		"two events":                           {"event: a\nevent: message\ndata: {}\n\n", true},
		"two events, the first empty":          {"event:\nevent: message\ndata: {}\n\n", true},
		"a form feed in a comment":             {": a\fdata: {}\n\n", true},
		"a vertical tab in an id":              {"id: a\vdata: {}\n\n", true},
		"U+2028 in a comment":                  {": a\u2028data: {}\n\n", true},
		"U+0085 in a comment":                  {": a\u0085data: {}\n\n", true},
		"a file separator in an event":         {"event: a\x1cdata: {}\n\n", true},
		"NUL in an id":                         {"id: a\x00\n\n", true},
		"invalid UTF-8 in a comment":           {": a\xff\n\n", true},
		"a payload in a comment":               {": data: {\"choices\":[]}\n\n", true},
		"a payload in an event":                {"event: data:{\ndata: {}\n\n", true},
		"a payload behind another in a retry":  {"retry: data: data:  {\n\n", true},
		"the word data in a comment":           {": no data: yet\n\n", false},
		"a plain comment":                      {": OPENROUTER PROCESSING\n\n", false},
		"a comment in another script":          {": läuft… 処理中\n\n", false},
		"an empty comment":                     {":\n\n", false},
		"a tab in a comment":                   {":\ta\n\n", false},
		"U+2028 in a payload":                  {"data: {\"a\":\"\u2028\"}\n\n", false},
		"braces in an id":                      {"id: {x}\ndata: {}\n\n", false},
		"a replacement character in a comment": {": \ufffd\n\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			frames := whole(t, c.input)
			require.Len(t, frames, 1)
			require.Equal(t, c.odd, frames[0].Odd)
		})
	}
}

func TestDone(t *testing.T) {
	for input, want := range map[string]bool{
		"data: [DONE]\n\n": true, "data:[DONE]\r\n\r\n": true, "data:  [DONE] \n\n": true, "data: [DONE]": true, "event: done\ndata: [DONE]\n\n": true,
		"data: [DONE]\n data: {}\n\n": false, "data: [DONE]\nData: {}\n\n": false, ": data: {}\ndata: [DONE]\n\n": false,
		"data: [DONE]x\n\n": false, "data: \"[DONE]\"\n\n": false, "data: [DONE]\ndata: {}\n\n": false, ": [DONE]\n\n": false, "\n": false,
	} {
		f, err := NewReader(strings.NewReader(input), 0).Next()
		require.NoError(t, err)
		require.Equal(t, want, f.Done(), "%q", input)
	}
}

var streamBits = []string{"data:", "data: ", "data", "event: message", "event: x", "id: 1", "retry: 5", ": c", ":", " data: {}", "\n", "\n", "\n\n", "\r\n", "\r\n\r\n", "\r", "\r\r",
	"\ufeff", "😀", "ü", "\xff", "{\"a\":1}", "[DONE]", " ", "x", "\u2028"}

func drawStream(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(streamBits), 0, 40).Draw(t, "bits"), "")
}

func drawPieces(t *rapid.T, input string) [][]byte {
	var list [][]byte
	for b := []byte(input); len(b) > 0; {
		n := rapid.IntRange(0, len(b)).Draw(t, "piece")
		list, b = append(list, b[:n]), b[n:]
		if n == 0 && len(b) > 0 { // an empty read is no end
			list = append(list, b[:1])
			b = b[1:]
		}
	}
	return list
}

// F67, F74: a frame over many reads, several in one read, CRLF and UTF-8 split:
// how the bytes arrive changes nothing, and no byte is lost or added.
func TestEverySegmentationGivesTheSameFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		input := drawStream(t)
		want := whole(t, input)
		require.Equal(t, input, joinRaw(want))
		src := &pieces{list: drawPieces(t, input), err: io.EOF, glue: rapid.Bool().Draw(t, "glue")}
		frames, _, err := all(NewReader(src, 0))
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, want, frames)
	})
}

// The payload of a line is a part of the frame, at the place that is named.
func TestAtIsWhereThePayloadStands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for i, f := range whole(t, drawStream(t)) {
			if f.At >= 0 {
				require.Equal(t, f.Data, f.Raw[f.At:f.At+len(f.Data)])
			}
			if !f.Complete {
				text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(f.Raw)
				require.False(t, strings.HasSuffix(text, "\n\n") || text == "\n", "frame %d has its blank line", i)
			}
		}
	})
}

func TestBufferedSaysWhetherAFrameIsThere(t *testing.T) {
	r := NewReader(&pieces{list: [][]byte{[]byte("data: a\n\ndata: b\n\ndata: c\r\n\r"), []byte("\ndata: d\n"), []byte("\n")}, err: io.EOF}, 0)
	require.False(t, r.Buffered(), "nothing was read")
	for _, want := range []struct {
		data  string
		ahead bool
	}{{"a", true}, {"b", false}, {"c", false}, {"d", false}} {
		f, err := r.Next()
		require.NoError(t, err)
		require.Equal(t, want.data, string(f.Data))
		for range 3 {
			require.Equal(t, want.ahead, r.Buffered(), "after %s", want.data)
		}
		require.Equal(t, want.data, string(f.Data), "asking leaves the frame alone")
	}
	_, err := r.Next()
	require.ErrorIs(t, err, io.EOF)
	require.False(t, r.Buffered())
}

// Buffered promises that Next will not wait.
func TestBufferedNeverPromisesTooMuch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reads := 0
		src := &pieces{list: drawPieces(t, drawStream(t)), err: io.EOF}
		r := NewReader(reader(func(b []byte) (int, error) { reads++; return src.Read(b) }), 0)
		for {
			ahead, before := r.Buffered(), reads
			_, err := r.Next()
			if ahead {
				require.NoError(t, err)
				require.Equal(t, before, reads)
			}
			if err != nil {
				return
			}
		}
	})
}

type reader func([]byte) (int, error)

func (r reader) Read(b []byte) (int, error) { return r(b) }

func TestAnErrorInTheMiddleComesAfterWhatCame(t *testing.T) {
	broken := errors.New("connection reset")
	for _, glue := range []bool{false, true} {
		r := NewReader(&pieces{list: [][]byte{[]byte("data: a\n\ndata: {\"b"), []byte("\":1")}, err: broken, glue: glue}, 0)
		frames, _, err := all(r)
		require.ErrorIs(t, err, broken)
		require.Equal(t, []kept{{"data: a\n\n", "a", "", true, 6, true, false}, {`data: {"b":1`, `{"b":1`, "", true, 6, false, false}}, frames)
		for range 3 {
			f, err := r.Next()
			require.ErrorIs(t, err, broken, "it stays")
			require.Nil(t, f.Raw)
		}
	}
}

func TestAReaderThatNeverReadsIsGivenUp(t *testing.T) {
	_, err := NewReader(reader(func([]byte) (int, error) { return 0, nil }), 0).Next()
	require.ErrorIs(t, err, io.ErrNoProgress)
}

func TestAFrameThatIsTooLargeIsAnError(t *testing.T) {
	frame := "data: " + strings.Repeat("x", 92) + "\n\n" // 100 bytes
	for name, c := range map[string]struct {
		input string
		max   int
		good  int
	}{
		"just so":                 {frame + frame, 100, 2},
		"one too long":            {frame + frame, 99, 0},
		"the second":              {frame + "data: " + strings.Repeat("x", 200) + "\n\n" + frame, 100, 1},
		"without an end":          {frame + strings.Repeat("x", 101), 100, 1},
		"just so without an end":  {frame + strings.Repeat("x", 100), 100, 2},
		"just so, CR to complete": {frame[:99] + "\r" + frame, 100, 2},
		"many short lines":        {strings.Repeat("data\n", 30) + "\n", 100, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var split [][]byte
			for i := range c.input {
				split = append(split, []byte(c.input[i:i+1]))
			}
			for how, src := range map[string]io.Reader{"whole": strings.NewReader(c.input), "bytes": &pieces{list: split, err: io.EOF}} {
				r := NewReader(src, c.max)
				frames, _, err := all(r)
				require.Len(t, frames, c.good, how)
				if c.good == 2 {
					require.ErrorIs(t, err, io.EOF)
					continue
				}
				require.ErrorIs(t, err, ErrFrameTooLarge)
				require.ErrorContains(t, err, fmt.Sprint(c.max))
				require.False(t, r.Buffered())
				_, err = r.Next()
				require.ErrorIs(t, err, ErrFrameTooLarge, "it stays")
			}
		})
	}
}

func TestALargeFrameOverManyReads(t *testing.T) {
	payload := strings.Repeat("0123456789", 100_000)
	input := "data: " + payload + "\r\n\r\ndata: b\n\n"
	var list [][]byte
	for b := []byte(input); len(b) > 0; b = b[min(len(b), 1013):] {
		list = append(list, b[:min(len(b), 1013)])
	}
	frames, _, err := all(NewReader(&pieces{list: list, err: io.EOF}, 0))
	require.ErrorIs(t, err, io.EOF)
	require.Len(t, frames, 2)
	require.Equal(t, payload, frames[0].Data)
}

func TestResetStartsAfresh(t *testing.T) {
	r := NewReader(strings.NewReader("data: a\ndata: b\n\ndata: half"), 50)
	_, err := r.Next()
	require.NoError(t, err)
	r.Reset(strings.NewReader("\ufeffdata: c\n\n" + strings.Repeat("x", 51)))
	f, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, "c", string(f.Data), "a byte order mark may stand here again")
	_, err = r.Next()
	require.ErrorIs(t, err, ErrFrameTooLarge, "the limit stays")
	r.Reset(bytes.NewReader([]byte("data: d\n\n")))
	f, err = r.Next()
	require.NoError(t, err)
	require.Equal(t, "data: d\n\n", string(f.Raw))
}

// A frame's slices end where they end: appending to one leaves the reader alone.
func TestAppendingToAFrameLeavesTheNextAlone(t *testing.T) {
	r := NewReader(strings.NewReader("data: a\n\ndata: b\n\n"), 0)
	f, err := r.Next()
	require.NoError(t, err)
	_ = append(f.Raw, "zzzzzz"...)
	_ = append(f.Data, "zzzzzz"...)
	f, err = r.Next()
	require.NoError(t, err)
	require.Equal(t, "data: b\n\n", string(f.Raw))
}

// Whoever looks ahead and takes frames without Next sees the same frames, and whoever does both.
func TestFramesAheadAreThoseOfNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"data: a\n\n", "data: b\r\n\r\n", ": c\n", "\n", "data: dd\r\r", "data", "\r", "event: e\n"})).Draw(t, "text"), "")
		want, _, err := all(NewReader(strings.NewReader(text), 0))
		require.ErrorIs(t, err, io.EOF)
		r := NewReader(iotest.HalfReader(strings.NewReader(text)), 0)
		for _, frame := range want {
			for len(r.Ahead()) == 0 {
				require.True(t, r.Fill(), "%q is still to come", frame.Raw)
			}
			for more := rapid.IntRange(0, 2).Draw(t, "fills"); more > 0 && r.Fill(); more-- {
			}
			if ahead := string(r.Ahead()); strings.HasPrefix(ahead, frame.Raw) && strings.HasSuffix(frame.Raw, "\n") && rapid.Bool().Draw(t, "skips") {
				r.Skip(len(frame.Raw))
				continue
			}
			if rapid.Bool().Draw(t, "asks") {
				r.Buffered()
			}
			f, err := r.Next()
			require.NoError(t, err)
			require.Equal(t, frame, keep(f))
		}
		require.False(t, r.Fill())
		_, err = r.Next()
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestNoMoreIsSeenAheadThanAFrameMayHave(t *testing.T) {
	r := NewReader(strings.NewReader("data: 0123456789\n\n"), 10)
	require.True(t, r.Fill())
	require.Equal(t, "data: 0123", string(r.Ahead()))
	_, err := r.Next()
	require.ErrorIs(t, err, ErrFrameTooLarge)
	require.False(t, r.Fill())
}
