package idempotency

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// Two replicas on one store, each of which fails to write now and then, with or
// without effect, and renews its claims too late now and then: no key makes two
// holds, and no two complete answers to one key differ.
func TestNoKeyHappensTwice(t *testing.T) {
	const keys, clients = 40, 4
	onBothStores(t, func(t *testing.T, e store.Engine) {
		var dice sync.Mutex
		source := mathrand.New(mathrand.NewPCG(1, 2))
		oneIn := func(n int) bool {
			dice.Lock()
			defer dice.Unlock()
			return source.IntN(n) == 0
		}
		// What a model says is never the same twice.
		do := func(ctx context.Context, w http.ResponseWriter, fenced store.Engine) error {
			key := ctx.Value(claimKey{}).(*claim).id
			ask(ctx)
			stream := oneIn(3)
			if stream {
				w.Header().Set("Content-Type", "text/event-stream")
				if err := http.NewResponseController(w).Flush(); err != nil {
					return err
				}
			}
			if oneIn(4) {
				<-time.After(40 * time.Millisecond) // longer than a lease: others may take over
			}
			if err := holds(ctx, fenced, key+" "+rand.Text()); err != nil {
				return err
			}
			if oneIn(10) {
				return errors.New("failed late")
			}
			if stream {
				_, err := fmt.Fprintf(w, "data: %s\n\ndata: [DONE]\n\n", rand.Text())
				return err
			}
			_, err := fmt.Fprint(w, "whole "+rand.Text())
			return err
		}
		var replicas []*replica
		for range 2 {
			r := start(t, e, Options{Lease: 25 * time.Millisecond}, do)
			r.engine.fails = func() failure {
				switch {
				case oneIn(12):
					return before
				case oneIn(12):
					return after
				}
				return never
			}
			replicas = append(replicas, r)
		}
		whole := 0
		for k := range keys {
			name := fmt.Sprint("key ", k)
			answers := make(chan string, clients)
			for n := range clients {
				go func() { answers <- insist(t.Context(), replicas[n%2], replicas[(n+1)%2], name) }()
			}
			seen := ""
			for range clients {
				answer := <-answers
				if answer == "" {
					continue
				}
				whole++
				if seen != "" {
					require.Equal(t, seen, answer, name)
				}
				seen = answer
			}
		}
		docs, err := e.List(t.Context(), "w", "hold", store.Query{Index: "all", Limit: 1000})
		require.NoError(t, err)
		made := map[string]string{}
		for _, doc := range docs {
			key, _, _ := strings.Cut(doc.ID, " ")
			require.Empty(t, made[key], "two holds of one key")
			made[key] = doc.ID
		}
		require.NotZero(t, whole)
		t.Logf("%d holds, %d whole answers to %d requests", len(docs), whole, keys*clients)
	})
}

// insist repeats a request, as SDKs do, and answers the complete answer, or ""
// for one that says that there will be none.
func insist(ctx context.Context, one, other *replica, key string) string {
	for ctx.Err() == nil {
		r := one.post(ctx, key, "body")
		switch {
		case r.err != nil:
		case strings.HasPrefix(r.body, "whole "), strings.HasSuffix(r.body, "[DONE]\n\n"):
			return r.body
		case r.header.Get("X-Should-Retry") == "false", strings.HasPrefix(r.body, "data: {\"error\""):
			return ""
		}
		one, other = other, one
	}
	return ""
}
