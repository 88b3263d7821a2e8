package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const keptMetrics = `# HELP cadreen_traces_stored_total Traces that were stored.
cadreen_traces_stored_total 30
cadreen_traces_lost_total{reason="queue_full"} 0
cadreen_traces_lost_total{reason="store"} 0
cadreen_decisions_total{verdict="allow"} 4
cadreen_decisions_total{verdict="confirm"} 1
cadreen_http_requests_total{method="GET",route="metrics",status="200"} 100
cadreen_http_requests_total{method="POST",route="chat",status="200"} 29
cadreen_http_requests_total{method="POST",route="chat",status="503"} 1
cadreen_http_request_seconds_count{route="chat"} 77`

func TestARunThatLeavesSomethingOutIsNotTaken(t *testing.T) {
	read := func(metrics string) kept {
		k := kept{records: 5}
		for line := range strings.Lines(metrics) {
			k.count(strings.TrimSpace(line))
		}
		return k
	}
	require.Equal(t, kept{chats: 30, stored: 30, decisions: 5, records: 5}, read(keptMetrics))
	require.NoError(t, read(keptMetrics).missing())
	for name, change := range map[string][2]string{
		"a trace too few":      {"stored_total 30", "stored_total 29"},
		"no traces":            {"stored_total 30", "stored_total 0"},
		"a trace lost":         {`"queue_full"} 0`, `"queue_full"} 1`},
		"lost by the store":    {`"store"} 0`, `"store"} 2`},
		"a record too few":     {`"allow"} 4`, `"allow"} 5`},
		"no chats, no metrics": {keptMetrics, ""},
	} {
		spoiled := strings.Replace(keptMetrics, change[0], change[1], 1)
		require.NotEqual(t, keptMetrics, spoiled, name)
		require.Error(t, read(spoiled).missing(), name)
	}
}
