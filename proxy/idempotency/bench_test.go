package idempotency

import (
	"context"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
	"cadreen/store/storetest"
)

// What a key costs beside the work itself: a request of 1 KB that is answered
// with 2 KB, for the first time and again, by 1 and by 64 clients.
func BenchmarkKeyed(b *testing.B) {
	file, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "cadreen.db"))
	require.NoError(b, err)
	defer file.Close()
	server, err := redis.Open(b.Context(), "redis://"+storetest.RedisServer(b))
	require.NoError(b, err)
	defer server.Close()
	body, answer := []byte(strings.Repeat("b", 1<<10)), []byte(strings.Repeat("a", 2<<10))
	h := func(_ context.Context, w http.ResponseWriter) error {
		w.Header().Set("Content-Type", "application/json")
		_, err := w.Write(answer)
		return err
	}
	for name, e := range map[string]store.Engine{"sqlite": file, "redis": server} {
		k := New(Options{Engine: e})
		serve := func(key string) error {
			return k.Serve(context.Background(), nowhere{}, Request{Workspace: "w", Principal: "key_1", Route: "POST chat", Key: key, Body: body}, h)
		}
		for _, clients := range []int{1, 64} {
			b.Run(name+"/first/clients="+strconv.Itoa(clients), func(b *testing.B) {
				prefix := b.Name() + strconv.Itoa(b.N) + "/"
				storetest.Share(b, clients, func(n int64) error { return serve(prefix + strconv.FormatInt(n, 10)) })
			})
		}
		b.Run(name+"/again", func(b *testing.B) {
			storetest.Share(b, 1, func(int64) error { return serve("again") })
		})
	}
}

type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}
