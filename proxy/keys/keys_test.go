package keys

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/store"
	"cadreen/store/sqlite"
)

// clock is moved by hand.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// outage is a real engine whose reads can be made to fail, and that counts them.
type outage struct {
	store.Engine
	away  atomic.Bool
	reads atomic.Int64
}

func (o *outage) Get(ctx context.Context, workspace, kind, id string) (store.Doc, error) {
	o.reads.Add(1)
	if o.away.Load() {
		return store.Doc{}, store.ErrUnavailable
	}
	return o.Engine.Get(ctx, workspace, kind, id)
}

func openEngine(t *testing.T) *outage {
	t.Helper()
	engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "keys.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	return &outage{Engine: engine}
}

func newRing(t *testing.T, engine store.Engine, c *clock, change ...func(*Options)) *Ring {
	t.Helper()
	o := Options{Engine: engine, Now: c.now}
	for _, f := range change {
		f(&o)
	}
	r, err := New(o)
	require.NoError(t, err)
	return r
}

func TestCreatedKeyIsRecognised(t *testing.T) {
	engine, c := openEngine(t), newClock()
	r := newRing(t, engine, c)
	key, rec, err := r.Create(t.Context(), Template{Name: "shop", Workspace: "acme", Roles: []string{RoleReviewer}})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(key, Prefix))
	require.True(t, strings.HasPrefix(rec.ID, "key_"))
	require.True(t, strings.HasPrefix(key, rec.Prefix))

	for _, header := range []string{"Bearer " + key, "bearer " + key, "BEARER  " + key + " "} {
		p, err := r.Authenticate(t.Context(), header)
		require.NoError(t, err, header)
		require.Equal(t, Principal{KeyID: rec.ID, Workspace: "acme", Roles: []string{RoleReviewer}}, p)
		require.True(t, p.Can(RoleReviewer))
		require.False(t, p.Can(RoleChat))
	}
	for _, header := range []string{"", "Bearer", "Bearer ", key, "Basic " + key, "Bearer " + key + "x", "Bearer " + key[:len(key)-1], "Bearer " + strings.ToUpper(key)} {
		_, err := r.Authenticate(t.Context(), header)
		require.ErrorIs(t, err, ErrUnknown, header)
	}
	list, err := r.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Record{rec}, list)
}

func TestPlaintextIsNeverWrittenToTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	engine, err := sqlite.Open(t.Context(), path)
	require.NoError(t, err)
	r := newRing(t, engine, newClock())
	key, rec, err := r.Create(t.Context(), Template{Name: "findme"})
	require.NoError(t, err)
	require.NoError(t, engine.Close())
	files, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	var all strings.Builder
	for _, f := range files {
		raw, err := os.ReadFile(f)
		require.NoError(t, err)
		all.Write(raw)
	}
	require.Contains(t, all.String(), rec.ID)
	require.Contains(t, all.String(), hashOf(key).id())
	require.NotContains(t, all.String(), key)
	require.NotContains(t, all.String(), key[len(rec.Prefix):])
}

func TestRevokedElsewhereIsGoodForFiveSecondsAtMost(t *testing.T) {
	engine, c := openEngine(t), newClock()
	here, elsewhere := newRing(t, engine, c), newRing(t, engine, c)
	key, rec, err := here.Create(t.Context(), Template{})
	require.NoError(t, err)
	_, err = here.Authenticate(t.Context(), "Bearer "+key)
	require.NoError(t, err)

	revoked, err := elsewhere.Revoke(t.Context(), rec.ID)
	require.NoError(t, err)
	require.NotNil(t, revoked.RevokedAt)
	reads := engine.reads.Load()
	c.advance(fresh - time.Millisecond)
	_, err = here.Authenticate(t.Context(), "Bearer "+key)
	require.NoError(t, err)
	require.Equal(t, reads, engine.reads.Load(), "a fresh entry asks nobody")
	c.advance(time.Millisecond)
	_, err = here.Authenticate(t.Context(), "Bearer "+key)
	require.ErrorIs(t, err, ErrUnknown)

	again, err := here.Revoke(t.Context(), rec.ID)
	require.NoError(t, err)
	require.Equal(t, revoked, again, "revoking again changes nothing")
	_, err = here.Revoke(t.Context(), "key_nobody")
	require.ErrorIs(t, err, ErrUnknown)
	list, err := here.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Record{revoked}, list, "the record stays")
}

func TestRevocationIsSeenAtOnceThroughTheWatch(t *testing.T) {
	engine, c := openEngine(t), newClock()
	here, elsewhere := newRing(t, engine, c), newRing(t, engine, c)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { here.Run(ctx) })
	key, rec, err := elsewhere.Create(t.Context(), Template{})
	require.NoError(t, err)
	_, err = here.Authenticate(t.Context(), "Bearer "+key)
	require.NoError(t, err)
	_, err = elsewhere.Revoke(t.Context(), rec.ID)
	require.NoError(t, err)
	// The clock stands still: only the watch can bring the news.
	for err == nil {
		require.NoError(t, t.Context().Err())
		_, err = here.Authenticate(t.Context(), "Bearer "+key)
	}
	require.ErrorIs(t, err, ErrUnknown)
	cancel()
	wg.Wait()
}

func TestStoreAwayKeepsVerifiedKeysForFiveMinutes(t *testing.T) {
	engine, c := openEngine(t), newClock()
	r := newRing(t, engine, c)
	key, _, err := r.Create(t.Context(), Template{})
	require.NoError(t, err)
	stranger, _, err := r.Create(t.Context(), Template{})
	require.NoError(t, err)
	want, err := r.Authenticate(t.Context(), "Bearer "+key)
	require.NoError(t, err)

	engine.away.Store(true)
	_, err = r.Authenticate(t.Context(), "Bearer "+stranger)
	require.ErrorIs(t, err, store.ErrUnavailable, "a key that was not verified lately")
	// A change signal during the outage must not forget what was verified.
	r.memory.stale()
	c.advance(remember - time.Millisecond)
	got, err := r.Authenticate(t.Context(), "Bearer "+key)
	require.NoError(t, err)
	require.Equal(t, want, got)
	reads := engine.reads.Load()
	_, err = r.Authenticate(t.Context(), "Bearer "+key)
	require.NoError(t, err)
	require.Equal(t, reads, engine.reads.Load(), "a dead store is not asked by every request")
	c.advance(time.Millisecond)
	_, err = r.Authenticate(t.Context(), "Bearer "+key)
	require.ErrorIs(t, err, store.ErrUnavailable)

	engine.away.Store(false)
	c.advance(away)
	_, err = r.Authenticate(t.Context(), "Bearer "+key)
	require.NoError(t, err, "it heals by itself")
	_, err = r.Authenticate(t.Context(), "Bearer "+stranger)
	require.NoError(t, err)
}

func TestUnknownKeysCostLittle(t *testing.T) {
	engine, c := openEngine(t), newClock()
	r := newRing(t, engine, c)
	_, err := r.Authenticate(t.Context(), "Bearer "+Prefix+"short")
	require.ErrorIs(t, err, ErrUnknown)
	require.Zero(t, engine.reads.Load(), "what cannot be a key is refused without a read")
	guess := newSecret()
	for range 10 {
		_, err := r.Authenticate(t.Context(), "Bearer "+guess)
		require.ErrorIs(t, err, ErrUnknown)
	}
	require.EqualValues(t, 1, engine.reads.Load())
	for range maxUnknown + 10 {
		r.memory.refuse(hashOf(newSecret()), 0, c.now())
	}
	require.LessOrEqual(t, len(r.memory.unknown), maxUnknown)
	c.advance(negative)
	_, err = r.Authenticate(t.Context(), "Bearer "+guess)
	require.ErrorIs(t, err, ErrUnknown)
	require.EqualValues(t, 2, engine.reads.Load(), "a refusal is not remembered long")
}

func TestFirstKeyIsMadeOnceByManyProcesses(t *testing.T) {
	engine, c := openEngine(t), newClock()
	var made atomic.Int64
	var errs [8]error
	var wg sync.WaitGroup
	for i := range errs {
		r := newRing(t, engine, c)
		wg.Go(func() {
			_, _, ok, err := r.CreateFirst(context.Background(), Template{Roles: []string{RoleOperator}})
			errs[i] = err
			if ok {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs[:]...))
	require.EqualValues(t, 1, made.Load())
	r := newRing(t, engine, c)
	list, err := r.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	_, err = r.Revoke(t.Context(), list[0].ID)
	require.NoError(t, err)
	_, _, ok, err := r.CreateFirst(t.Context(), Template{})
	require.NoError(t, err)
	require.False(t, ok, "a revoked first key is not replaced behind the owner's back")
}

func TestConfiguredKeys(t *testing.T) {
	engine, c := openEngine(t), newClock()
	with := func(list ...Configured) func(*Options) { return func(o *Options) { o.Configured = list } }
	r := newRing(t, engine, c, with(Configured{Key: "any-text-of-the-owner", Workspace: "w1", Roles: []string{"refund-lead"}}))
	p, err := r.Authenticate(t.Context(), "Bearer any-text-of-the-owner")
	require.NoError(t, err)
	require.Equal(t, "w1", p.Workspace)
	require.Equal(t, []string{"refund-lead", RoleChat}, p.Roles, "roles that only policies know leave chat")
	require.Zero(t, engine.reads.Load())
	_, _, made, err := r.CreateFirst(t.Context(), Template{})
	require.NoError(t, err)
	require.False(t, made)

	moved := newRing(t, engine, c, with(Configured{Key: "another-key"}, Configured{Key: "any-text-of-the-owner"}))
	q, err := moved.Authenticate(t.Context(), "Bearer any-text-of-the-owner")
	require.NoError(t, err)
	require.Equal(t, p.KeyID, q.KeyID, "the id does not depend on the place in the list")

	for name, bad := range map[string]Configured{
		"workspace": {Key: "k", Workspace: "_system"}, "blank": {Key: "a b"}, "empty": {}, "role": {Key: "k", Roles: []string{"no blanks"}},
	} {
		_, err := New(Options{Engine: engine, Configured: []Configured{bad}})
		require.ErrorIs(t, err, ErrInvalid, name)
	}
	_, err = New(Options{Engine: engine, Configured: []Configured{{Key: "twice"}, {Key: "twice", Workspace: "w"}}})
	require.ErrorIs(t, err, ErrInvalid)
}

func TestPassthroughPrincipals(t *testing.T) {
	engine, c := openEngine(t), newClock()
	r := newRing(t, engine, c, func(o *Options) { o.Passthrough = true })
	key, rec, err := r.Create(t.Context(), Template{})
	require.NoError(t, err)

	one, err := r.Authenticate(t.Context(), "Bearer sk-upstream-1")
	require.NoError(t, err)
	require.True(t, one.Passthrough)
	require.Equal(t, DefaultWorkspace, one.Workspace)
	require.Equal(t, []string{RoleChat}, one.Roles)
	require.NotContains(t, one.KeyID, "upstream")
	same, err := r.Authenticate(t.Context(), "bearer  sk-upstream-1")
	require.NoError(t, err)
	require.Equal(t, one, same)
	two, err := r.Authenticate(t.Context(), "Bearer sk-upstream-2")
	require.NoError(t, err)
	require.NotEqual(t, one.KeyID, two.KeyID)

	own, err := r.Authenticate(t.Context(), "Bearer "+key)
	require.NoError(t, err)
	require.Equal(t, rec.ID, own.KeyID)
	require.False(t, own.Passthrough)

	// A mistyped or revoked key of ours must not travel to the model's server.
	for _, header := range []string{"", "  ", "Bearer " + newSecret(), "Bearer " + key[:20], "Basic " + key, key} {
		_, err := r.Authenticate(t.Context(), header)
		require.ErrorIs(t, err, ErrUnknown, header)
	}
}

func TestSecretsAreWellFormedAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		key := newSecret()
		require.True(t, wellFormed(key), key)
		require.False(t, seen[key])
		seen[key] = true
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		if wellFormed(text) && len(text) != len(Prefix)+secretLength {
			t.Fatalf("%q", text)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	engine, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "keys.db"))
	require.NoError(b, err)
	defer engine.Close()
	r, err := New(Options{Engine: engine})
	require.NoError(b, err)
	key, _, err := r.Create(b.Context(), Template{})
	require.NoError(b, err)
	header := "Bearer " + key
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Authenticate(b.Context(), header); err != nil {
			b.Fatal(err)
		}
	}
}
