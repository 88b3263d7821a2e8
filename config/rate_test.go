package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRates(t *testing.T) {
	perMinute := func(n, burst int) Rate { return Rate{n, time.Minute, burst} }
	for text, want := range map[string]Rates{
		"off":                                {},
		"600/m":                              {Key: perMinute(600, 600)},
		"600/m burst 60":                     {Key: perMinute(600, 60)},
		"key 6_000 / minute burst 1_000":     {Key: perMinute(6000, 1000)},
		"workspace 10/s":                     {Workspace: Rate{10, time.Second, 10}},
		"600/m burst 60, workspace 6000/min": {Key: perMinute(600, 60), Workspace: perMinute(6000, 6000)},
		"workspace 1/h,key 1/d":              {Key: Rate{1, 24 * time.Hour, 1}, Workspace: Rate{1, time.Hour, 1}},
		"10000/s":                            {Key: Rate{10000, time.Second, 10000}},
	} {
		c, err := Load("", []string{"CADREEN_LIMITS_RATE=" + text})
		require.NoError(t, err, text)
		require.Equal(t, want, c.Limits.Rate, text)
	}
	for _, text := range []string{"600", "600/", "/m", "0/m", "-1/m", "600/w", "10001/s", "600001/m", "600/m burst", "600/m burst 0", "600/m burst 1000001",
		"600/m, 600/s", "key 1/s, key 2/s", "team 600/m", "600/m burst 60 workspace 1/s", "off, 600/m", ",", "600/m,", "99999999999999999999/m", "6.5/s"} {
		_, err := Load("", []string{"CADREEN_LIMITS_RATE=" + text})
		require.ErrorContains(t, err, "write off, or limits like 600/m", text)
	}
}
