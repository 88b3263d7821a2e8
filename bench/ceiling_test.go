package bench_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// ceilings are how many allocations one governed request may cost, those of the client and of the model server (about 90)
// included. They are what it costs now and a little more: whoever raises one says why in its commit.
var ceilings = map[string]float64{"text": 187, "large": 190, "stream": 285, "call": 455, "fragments": 587}

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
		got := testing.AllocsPerRun(200, ask)
		t.Logf("%s: %.0f allocations", kind.name, got)
		require.LessOrEqual(t, got, ceilings[kind.name], kind.name)
		client.CloseIdleConnections()
	}
}
