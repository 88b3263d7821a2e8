package main

import (
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"
)

// stacks are samples, each with its time and its frames, the innermost first.
func stacks(samples map[int64][]string) *profile.Profile {
	p := new(profile.Profile)
	for value, names := range samples {
		s := &profile.Sample{Value: []int64{1, value}}
		for _, name := range names {
			s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: name}}}})
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}

func TestAMomentCountsForTheInnermostOwner(t *testing.T) {
	got := shares(stacks(map[int64][]string{
		10: {"internal/runtime/syscall/linux.Syscall6", "syscall.write", "net.(*conn).Write", "net/http.persistConnWriter.Write", "net/http.(*persistConn).writeLoop"},
		20: {"internal/runtime/syscall/linux.Syscall6", "syscall.write", "net.(*conn).Write", "net/http.checkConnErrorWriter.Write", "net/http.(*conn).serve"},
		30: {"runtime.nextFreeFast", "runtime.mallocgc", "cadreen/proxy/openai.ParseRequest", "cadreen/proxy/chat.(*Handler).serve", "net/http.(*conn).serve"},
		15: {"strings.Index", "cadreen/proxy/openai.ParseRequest", "cadreen/proxy/chat.(*Handler).serve"},
		5:  {"modernc.org/sqlite/lib._sqlite3Step", "cadreen/store/sqlite.(*writer).run"},
		19: {"runtime.futex", "runtime.schedule"},
		1:  {"cadreen/proxy.(*Server).ServeHTTP", "net/http.(*conn).serve"},
	}))
	require.Equal(t, map[string]float64{
		"upstream: net/http client": 0.10, "server: net/http": 0.20, everywhere.name: 0.30, "reading JSON and frames": 0.15, "store": 0.05,
		rest: 0.19, "around it: proxy, Echo, metrics": 0.01, kernel: 0.30,
	}, got)
}

func TestTheProfileOfNothing(t *testing.T) { require.Empty(t, shares(new(profile.Profile))) }

func TestAProfileOfFewMomentsSaysNothing(t *testing.T) {
	few := stacks(map[int64][]string{1: {"runtime.mallocgc"}, 2: {"main.main"}})
	require.EqualValues(t, 2, moments(few))
	r := &report{watched: []watched{{"x", "few", shares(few), moments(few)}, {"x", "enough", shares(few), fewMoments}}}
	for _, row := range r.profileTable("x", "a request", func(string) float64 { return 3 })[1:] {
		require.Equal(t, "too few moments", row[1])
		require.NotEqual(t, "too few moments", row[2])
	}
}

func TestTheMemoryOfAStreamIsDividedByItsOwners(t *testing.T) {
	r := measured()
	for i := range r.idle {
		if i > 1 {
			r.idle[i].heap = heapOf(stacks(map[int64][]string{
				5000 << 10: {"bufio.NewReaderSize", "net/http.newBufioReader", "net/http.(*conn).serve"},
				5000 << 11: {"cadreen/proxy/sse.(*Reader).fill", "cadreen/proxy/chat.(*stream).takeAll", "net/http.(*conn).serve"},
			}))
		}
	}
	got := map[string][]string{}
	for _, row := range r.heapTable() {
		got[row[0]] = row[1:]
	}
	require.Equal(t, []string{governed, governedRedis}, got["memory of a slow stream, KiB"])
	require.Equal(t, []string{"1.0", "1.0"}, got["heap in use: server: net/http"])
	require.Equal(t, []string{"2.0", "2.0"}, got["heap in use: reading JSON and frames"])
	require.Equal(t, []string{"27.7", "27.7"}, got["stacks and the rest, less room that was never touched"])
	require.Equal(t, []string{"30.7", "30.7"}, got["all"])
	require.Len(t, measured().heapTable(), 1)
}
