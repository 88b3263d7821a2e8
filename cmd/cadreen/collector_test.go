package main

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the environment says of garbage collection stands.
func TestCollectLeavesWhatTheEnvironmentSays(t *testing.T) {
	const before = 123
	defer debug.SetGCPercent(debug.SetGCPercent(before))
	for _, c := range []struct {
		env  map[string]string
		want int
	}{
		{map[string]string{"GOGC": "50"}, before},
		{map[string]string{"GOMEMLIMIT": "64MiB"}, before},
		{nil, collectAt},
	} {
		debug.SetGCPercent(before)
		collect(func(name string) string { return c.env[name] })
		require.Equal(t, c.want, debug.SetGCPercent(before), c.env)
	}
}
