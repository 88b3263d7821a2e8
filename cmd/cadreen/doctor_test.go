package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
	"cadreen/store/storetest"
)

// A Redis that may forget would bring a released call back to held.
func TestDoctorFailsForARedisThatMayForget(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		says string // "" if it is durable
	}{
		{"durable", nil, ""},
		{"no appendonly", []string{"--appendonly", "no"}, "appendonly"},
		{"fsync every second", []string{"--appendfsync", "everysec"}, "appendfsync"},
		{"evicting", []string{"--maxmemory-policy", "allkeys-lru"}, "maxmemory-policy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			redis, err := storetest.StartRedis(t.TempDir(), tt.args...)
			require.NoError(t, err)
			t.Cleanup(redis.Kill)
			config := filepath.Join(t.TempDir(), "cadreen.yaml")
			run := func(relaxed string) (string, int) {
				text := "store: {url: 'redis://" + redis.Addr + "', relaxed: " + relaxed + "}\n"
				require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
				var out, log bytes.Buffer
				code := program{Args: []string{"doctor", "--config", config}, Stdout: &out, Stderr: &log}.run(t.Context())
				return out.String(), code
			}
			out, code := run("false")
			if tt.says == "" {
				require.Equal(t, exitOK, code, out)
				require.Regexp(t, `(?m)^ok +durable`, out)
				return
			}
			require.Equal(t, exitFailed, code, out)
			require.Regexp(t, `(?m)^FAIL +durable .*`+tt.says, out)
			out, code = run("true")
			require.Equal(t, exitOK, code, out)
			require.Regexp(t, `(?m)^note +durable .*`+tt.says, out)
		})
	}
}

// skewed is a store whose clock is elsewhere.
type skewed struct {
	store.Engine
	by time.Duration
}

func (s skewed) Now(context.Context) (time.Time, error) { return time.Now().Add(s.by), nil }

func TestDoctorFailsForAClockThatIsFarOff(t *testing.T) {
	for by, failed := range map[time.Duration]bool{0: false, time.Second: false, -time.Minute: true, time.Hour: true} {
		var out bytes.Buffer
		d := &doctor{out: &out}
		d.clock(t.Context(), skewed{by: by})
		require.Equal(t, failed, d.failed, out.String())
	}
}

func TestDoctorKeepsALineOnALine(t *testing.T) {
	var out bytes.Buffer
	d := &doctor{out: &out}
	d.fail("store", "one\ntwo \x1b[31mred")
	require.Equal(t, "FAIL  store     one two  [31mred\n", out.String())
}
