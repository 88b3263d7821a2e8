package bench_test

import (
	"net/http"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// ceiling is what one request may cost.
type ceiling struct {
	allocations float64
	kilobytes   float64
}

// ceilings are how many allocations one governed request may cost, and how much they may take together, those of the client and
// of the model server (about 90) included. They are what it costs now and a little more: whoever raises one says why in its
// commit.
var ceilings = map[string]ceiling{"text": {187, 19}, "large": {190, 30}, "stream": {285, 132}, "call": {455, 37}, "fragments": {587, 120}}

// Time depends on the machine and what else it does; allocations do not.
func TestOneRequestStaysBelowItsCeilingOfAllocations(t *testing.T) {
	if raced {
		t.Skip("the race detector makes allocations of its own")
	}
	for _, kind := range walks() {
		url, key := governed(t, model(t, kind.contentType, kind.reply))
		client := &http.Client{Transport: &http.Transport{}}
		ask := func() { require.NoError(t, post(client, url, key, kind.body, kind.want)) }
		for range 20 { // connections, statements and pools are there
			ask()
		}
		const runs = 200
		before := allocated()
		got := testing.AllocsPerRun(runs, ask)
		kilobytes := float64(allocated()-before) / (runs + 1) / 1e3 // AllocsPerRun asks once more than it counts
		t.Logf("%s: %.0f allocations, %.1f KB", kind.name, got, kilobytes)
		require.LessOrEqual(t, got, ceilings[kind.name].allocations, kind.name)
		require.LessOrEqual(t, kilobytes, ceilings[kind.name].kilobytes, "KB of %s", kind.name)
		client.CloseIdleConnections()
	}
}

// allocated is how many bytes this process has asked for so far.
func allocated() uint64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.TotalAlloc
}
