package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answering is a server on 127.0.0.1 that answers each request by its number, from 1.
func answering(t *testing.T, answer func(w http.ResponseWriter, n int64)) string {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, n.Add(1))
	}))
	t.Cleanup(s.Close)
	return s.URL + "/v1"
}

func under(t *testing.T, l load) (answers, int) {
	calls := 0
	l.body, l.between = []byte(`{}`), func() { calls++ }
	got, err := l.run(t.Context())
	require.NoError(t, err)
	return got, calls
}

func TestEveryBodyIsKept(t *testing.T) {
	base := answering(t, func(w http.ResponseWriter, _ int64) { _, _ = io.WriteString(w, "body") })
	got, calls := under(t, load{base: base, concurrency: 3, slice: 20 * time.Millisecond})
	require.Equal(t, 2, calls)
	require.Empty(t, got.failed)
	require.NotEmpty(t, got.bodies)
	require.Len(t, got.took, len(got.bodies))
	for _, b := range got.bodies {
		require.Equal(t, "body", string(b))
	}
}

func TestARateBeginsSoManyAndNoMore(t *testing.T) {
	base := answering(t, func(w http.ResponseWriter, _ int64) { _, _ = io.WriteString(w, "body") })
	got, _ := under(t, load{base: base, concurrency: 4, slice: 100 * time.Millisecond, rate: 200})
	require.Len(t, got.bodies, 21) // 0, 5, … 100 ms
}

func TestACutStreamIsAFailureAndTheNextRequestGoesOn(t *testing.T) {
	base := answering(t, func(w http.ResponseWriter, n int64) {
		_, _ = io.WriteString(w, "begun")
		_ = http.NewResponseController(w).Flush()
		if n == 2 {
			panic(http.ErrAbortHandler)
		}
	})
	got, _ := under(t, load{base: base, concurrency: 1, slice: 50 * time.Millisecond})
	require.Len(t, got.failed, 1)
	require.ErrorIs(t, got.failed[0], io.ErrUnexpectedEOF)
	require.NotEmpty(t, got.bodies)
}

func TestAnErrorStatusIsAFailure(t *testing.T) {
	base := answering(t, func(w http.ResponseWriter, n int64) {
		if n > 1 {
			http.Error(w, "no", http.StatusServiceUnavailable)
		}
	})
	got, _ := under(t, load{base: base, concurrency: 1, slice: 50 * time.Millisecond})
	require.Empty(t, got.bodies)
	require.ErrorContains(t, got.failed[0], "503")
}

func TestWhatTheKernelSaysOfAProcess(t *testing.T) {
	used, err := runTime([]byte("1750000000 25 12\n"))
	require.NoError(t, err)
	require.Equal(t, 1750*time.Millisecond, used)
	for _, text := range []string{"", "12", "x 1 2"} {
		_, err = runTime([]byte(text))
		require.Error(t, err)
	}
}

func TestAProcessesTimeCounts(t *testing.T) {
	own := &process{command: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	before, err := own.cpu()
	require.NoError(t, err)
	require.Positive(t, before)
	for range 1 << 20 {
		excerpt(nil, 0)
	}
	after, err := own.cpu()
	require.NoError(t, err)
	require.GreaterOrEqual(t, after, before)
	memory, err := own.memory()
	require.NoError(t, err)
	require.Positive(t, memory)
}

func TestOnlyThisMachineIsPutUnderLoad(t *testing.T) {
	for text, ok := range map[string]bool{
		"a=http://127.0.0.1:80/v1": true, "a=http://localhost:80/v1/": true, "a=http://[::1]:80/v1": true,
		"a=http://10.0.0.1:80/v1": false, "a=http://example.com:80/v1": false, "a=https://127.0.0.1:80/v1": false, "http://127.0.0.1:80/v1": false, "a=http://127.0.0.1/v1": false,
	} {
		_, err := parsePeer(text)
		require.Equal(t, ok, err == nil, "%s: %v", text, err)
	}
}

func TestSpreadAndRatio(t *testing.T) {
	require.Equal(t, spread{2.5, 1, 4}, spreadOf([]float64{4, 1, 3, 2}))
	require.Equal(t, spread{2, 1, 9}, spreadOf([]float64{9, 1, 2}))
	by := func(values ...float64) (list []round) {
		for _, v := range values {
			list = append(list, round{cpu: v})
		}
		return list
	}
	require.Equal(t, spread{2, 2, 3}, ratio(by(2, 4, 9), by(1, 2, 3), cpuOf))
	require.Equal(t, spread{}, ratio(by(1), by(0), cpuOf))
}

func TestRequestsHaveTheirSize(t *testing.T) {
	for _, s := range scenarios() {
		want := 1 << 10
		if s.name == "large" {
			want = 19 << 10
		}
		require.InDelta(t, want, len(s.body), 200, s.name)
	}
}
