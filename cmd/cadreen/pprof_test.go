package main

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProfilesAreForThisMachineOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "localhost:0", "127.0.0.1", "[::]:0"} {
		_, err := servePprof(address)
		require.ErrorContains(t, err, "--pprof", address)
	}
	l, err := servePprof("127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	ask := func(host string) (int, string) {
		r, err := http.NewRequest(http.MethodGet, "http://"+l.Addr().String()+"/debug/pprof/goroutine?debug=1", nil)
		require.NoError(t, err)
		if host != "" {
			r.Host = host
		}
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(text)
	}
	status, text := ask("")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, "goroutine profile:")
	status, _ = ask("localhost:6060") // by a tunnel
	require.Equal(t, http.StatusOK, status)
	status, _ = ask("page.example:6060")
	require.Equal(t, http.StatusForbidden, status)
}
