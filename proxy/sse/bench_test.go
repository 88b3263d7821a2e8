package sse

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const chunk = `{"id":"chatcmpl-9x8y7z6w5v","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4.1-mini-2026-01-01","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}`

// endless yields one text for ever, in reads of at most step bytes.
type endless struct {
	text     string
	at, step int
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b[:min(len(b), e.step)], e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

var spellings = map[string]string{
	"LF": "data: " + chunk + "\n\n", "CRLF": "data: " + chunk + "\r\n\r\n", "CR": "data: " + chunk + "\r\r",
	"several lines": "data: " + chunk[:100] + "\ndata: " + chunk[100:] + "\n\n", "a comment and an id": ": hi\nid: 7\ndata: " + chunk + "\n\n",
}

func TestAFrameAllocatesNothing(t *testing.T) {
	for name, text := range spellings {
		for _, step := range []int{7, 300, 1 << 20} {
			r := NewReader(&endless{text: text, step: step}, 0)
			out := make([]byte, 0, 4096)
			one := func() {
				f, err := r.Next()
				if err != nil {
					panic(err)
				}
				if !r.Buffered() {
					out = f.Replace(out[:0], f.Data)
				}
			}
			for range 100 {
				one()
			}
			require.Zero(t, testing.AllocsPerRun(500, one), "%s, %d bytes a read", name, step)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	for name, text := range spellings {
		b.Run(name, func(b *testing.B) {
			r := NewReader(&endless{text: text, step: len(text)}, 0)
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := r.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReplace(b *testing.B) {
	f, err := NewReader(strings.NewReader(spellings["LF"]), 0).Next()
	if err != nil {
		b.Fatal(err)
	}
	data, out := []byte(chunk), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		out = f.Replace(out[:0], data)
	}
}

// A frame of very many short lines costs what its bytes cost, whatever ends the
// lines: the largest here would take minutes if lines were looked for again and
// again.
func BenchmarkManyLines(b *testing.B) {
	for name, eol := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
		b.Run(name, func(b *testing.B) {
			text := strings.Repeat(":"+eol, 1<<20) + eol
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r := NewReader(strings.NewReader(text), 8<<20)
				for {
					if _, err := r.Next(); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
