package proxy

import (
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/backend"
	"cadreen/proxy/chat"
	"cadreen/proxy/keys"
	"cadreen/store/sqlite"
)

func BenchmarkServer(b *testing.B) {
	engine, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "proxy.db"))
	require.NoError(b, err)
	defer engine.Close()
	ring, err := keys.New(keys.Options{Engine: engine})
	require.NoError(b, err)
	key, _, err := ring.Create(b.Context(), keys.Template{})
	require.NoError(b, err)
	s := New(Options{
		Chat: chatFunc(func(w http.ResponseWriter, r *http.Request, _ chat.Caller) error { w.WriteHeader(204); return nil }),
		Keys: ring, Engine: engine, Backend: backend.NewRehearsal(), Logger: slog.New(slog.DiscardHandler),
	})
	r, err := http.NewRequest("POST", "http://x/v1/chat/completions", http.NoBody)
	require.NoError(b, err)
	r.Header.Set("Authorization", "Bearer "+key)
	w := &nowhere{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.h)
		s.ServeHTTP(w, r)
		if w.status != 204 {
			b.Fatal(fmt.Sprint(w.status))
		}
	}
}

type nowhere struct {
	h      http.Header
	status int
}

func (n *nowhere) Header() http.Header         { return n.h }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n *nowhere) WriteHeader(status int)      { n.status = status }
