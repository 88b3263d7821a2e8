package keys

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// witness writes down what the store is asked for.
type witness struct {
	store.Engine
	mu    sync.Mutex
	asked []string
}

func (w *witness) Get(ctx context.Context, workspace, kind, id string) (store.Doc, error) {
	w.mu.Lock()
	w.asked = append(w.asked, id)
	w.mu.Unlock()
	return w.Engine.Get(ctx, workspace, kind, id)
}

// A guess that is nearly right is treated like any other: what is looked up is the hash of all of it, in the store and
// in the configuration alike, so neither an answer nor its time tells how much of a key was right.
func TestANearGuessIsLookedUpLikeAnyOther(t *testing.T) {
	engine := &witness{Engine: openEngine(t)}
	c := newClock()
	const configured = "sk_cadreen_configured_0123456789"
	r := newRing(t, engine, c, func(o *Options) { o.Configured = []Configured{{Name: "file", Key: configured}} })
	real, _, err := r.Create(t.Context(), Template{Name: "stored"})
	require.NoError(t, err)
	engine.asked = nil
	digests := map[string]bool{}
	guesses := 0
	for _, key := range []string{real, configured} {
		for at := len(Prefix); at < len(key); at++ {
			for _, swap := range []byte("0aZ") {
				if key[at] == swap {
					continue
				}
				guess := key[:at] + string(swap) + key[at+1:]
				_, err := r.Authenticate(t.Context(), "Bearer "+guess)
				require.ErrorIs(t, err, ErrUnknown)
				digests[hashOf(guess).id()] = true
				guesses++
				c.advance(2 * time.Second) // no guess profits from the memory of another
			}
		}
	}
	require.Len(t, digests, guesses)
	for _, id := range engine.asked {
		require.True(t, digests[id], "the store was asked for %q, which is not the hash of a whole guess", id)
	}
	for range 2000 {
		_, err := r.Authenticate(t.Context(), "Bearer "+newSecret())
		require.ErrorIs(t, err, ErrUnknown)
	}
	for _, key := range []string{real, configured} {
		_, err := r.Authenticate(t.Context(), "Bearer "+key)
		require.NoError(t, err)
	}
}
