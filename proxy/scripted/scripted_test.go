package scripted_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/proxy/scripted"
)

func post(t *testing.T, ctx context.Context, url, body string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/chat/completions", strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("X-Probe", "one")
	return http.DefaultTransport.RoundTrip(r)
}

func read(t *testing.T, r *http.Response, err error) string {
	t.Helper()
	require.NoError(t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

func TestRequestBytesAndHeadersAreKept(t *testing.T) {
	s := scripted.New(t)
	s.Next(scripted.JSON(`{"a": 1.50}`), scripted.Error(429, "rate_limit_error", "slow", "slow down", "Retry-After", "7"))

	r, err := post(t, t.Context(), s.URL(), `{ "messages" :[] }`)
	require.Equal(t, `{"a": 1.50}`, read(t, r, err))
	r, err = post(t, t.Context(), s.URL(), `{}`)
	require.Contains(t, read(t, r, err), `"code":"slow"`)
	require.Equal(t, 429, r.StatusCode)
	require.Equal(t, "7", r.Header.Get("Retry-After"))

	first, err := s.Await(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, `{ "messages" :[] }`, string(first.Body))
	require.Equal(t, "/v1/chat/completions", first.Path)
	require.Equal(t, "one", first.Header.Get("X-Probe"))
	require.Equal(t, `{}`, string(s.Last().Body))
	require.Zero(t, s.Pending())
}

func TestEveryWireSpellingArrivesByteForByte(t *testing.T) {
	h := scripted.Head{}
	chunks := h.Turn("Zürich", scripted.Call{ID: "call_1", Name: "f", Arguments: `{"a":"ü"}`})
	for name, w := range map[string]scripted.Wire{
		"lf": {}, "crlf": {EOL: "\r\n"}, "cr": {EOL: "\r"}, "no blank": {NoBlank: true}, "bom": {BOM: true},
		"no final newline": {NoFinalNewline: true}, "no done": {NoDone: true}, "comments": {Comment: " keep-alive"},
	} {
		for how, reply := range map[string]scripted.Reply{"frames": w.Reply(chunks...), "one read": w.OneRead(chunks...), "split": w.Split(chunks...)} {
			t.Run(name+"/"+how, func(t *testing.T) {
				s := scripted.New(t)
				s.Next(reply)
				r, err := post(t, t.Context(), s.URL(), `{}`)
				require.Equal(t, w.Bytes(chunks...), read(t, r, err))
			})
		}
	}
}

func TestStepsWaitOnTheirGate(t *testing.T) {
	s := scripted.New(t)
	gate, reached := make(chan struct{}), make(chan struct{})
	s.Next(scripted.Stream(scripted.Frame("data: 1\n\n"), scripted.Signal(reached), scripted.Wait(gate), scripted.Frame("data: 2\n\n")))
	r, err := post(t, t.Context(), s.URL(), `{}`)
	require.NoError(t, err)
	defer r.Body.Close()
	lines := bufio.NewReader(r.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "data: 1\n", line)
	<-reached
	select {
	case <-s.Last().Served():
		t.Fatal("the reply ended before its gate opened")
	default:
	}
	close(gate)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Equal(t, "\ndata: 2\n\n", string(rest))
}

func TestCancellationIsRecorded(t *testing.T) {
	for name, reply := range map[string]scripted.Reply{"before headers": scripted.Hang(), "in the stream": scripted.Stream(scripted.Frame("data: 1\n\n"), scripted.Stall())} {
		t.Run(name, func(t *testing.T) {
			s := scripted.New(t)
			s.Next(reply)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				if r, err := post(t, ctx, s.URL(), `{}`); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					_ = r.Body.Close()
				}
			}()
			got, err := s.Await(t.Context(), 1)
			require.NoError(t, err)
			cancel()
			<-got.Gone()
			<-got.Served()
			<-done
			require.NoError(t, s.AwaitClosed(t.Context(), 1))
		})
	}
}

func TestBrokenEndingsLookBroken(t *testing.T) {
	for name, last := range map[string]scripted.Step{"cut": scripted.Cut(), "reset": scripted.Reset()} {
		t.Run(name, func(t *testing.T) {
			s := scripted.New(t)
			s.Next(scripted.Stream(scripted.Frame(`data: {"half`), last))
			r, err := post(t, t.Context(), s.URL(), `{}`)
			require.NoError(t, err)
			defer r.Body.Close()
			_, err = io.ReadAll(r.Body)
			require.Error(t, err)
		})
	}
	t.Run("close delimited", func(t *testing.T) {
		s := scripted.New(t)
		s.Next(scripted.CloseDelimited("data: 1\n\n"))
		r, err := post(t, t.Context(), s.URL(), `{}`)
		require.Equal(t, "data: 1\n\n", read(t, r, err))
	})
	t.Run("drop", func(t *testing.T) {
		s := scripted.New(t)
		s.Next(scripted.Drop())
		_, err := post(t, t.Context(), s.URL(), `{}`)
		require.Error(t, err)
	})
}

// Every builder must give valid JSON whatever the texts are, and pieces must
// add up to what was cut.
func TestBuildersGiveValidJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, n := rapid.String().Draw(t, "text"), rapid.IntRange(1, 9).Draw(t, "n")
		pieces := scripted.Pieces(text, n)
		if strings.Join(pieces, "") != text || len(pieces) != n {
			t.Fatalf("pieces %q of %q", pieces, text)
		}
		h := scripted.Head{Extra: `,"x_vendor":{"a":1.50}`}
		c := scripted.Call{ID: "call_1", Name: text, Arguments: text, RepeatName: n%2 == 0, NoIndex: n%3 == 0}
		all := append(h.Turn(text, c), h.Parallel(0, c, c), h.SameIndexTwice(0, 0, c), h.TextAndCall(0, text, c),
			h.FinishNoDelta(0, "stop"), h.UsageInFinish(0, "stop"), h.Reasoning(1, text), h.Completion(text, c), h.LongLine(0, 10), scripted.StreamError)
		all = append(all, h.CustomChunks(0, 0, c, n)...)
		all = append(all, h.LegacyChunks(0, c, n)...)
		c.Key = `"tool\u005fcalls"`
		all = append(all, h.CallChunks(0, 0, c, n)...)
		for _, raw := range all {
			if !json.Valid([]byte(raw)) {
				t.Fatalf("not JSON: %s", raw)
			}
		}
	})
}

func TestRecordedStreams(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "one.jsonl"), []byte("{\"a\":1}\r\n\n{\"b\":2}"), 0o600))
	all, err := scripted.Load(folder)
	require.NoError(t, err)
	require.Equal(t, []scripted.Recorded{{Name: "one", Chunks: []string{`{"a":1}`, `{"b":2}`}}}, all)
	_, err = scripted.Load(filepath.Join(folder, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
