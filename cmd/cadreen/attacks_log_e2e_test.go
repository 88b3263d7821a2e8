package main

import (
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/config"
	"cadreen/proxy/scripted"
)

// What clients and models say cannot write lines of the log, move a terminal, or make labels of the metrics.
func TestLogsCannotBeForged(t *testing.T) {
	const forged = "\r\ntime=2001-01-01T00:00:00Z level=ERROR msg=forged\x1b[31m\u2028\u202e forged"
	quoted := scripted.Quote(forged)
	model := scripted.New(t)
	cfg, err := config.Load(setup{backend: model.URL()}.file(t), nil)
	require.NoError(t, err)
	log := newJournal()
	m := &Main{Config: cfg, Stderr: log, LogLevel: slog.LevelDebug}
	require.NoError(t, m.Run(t.Context()))
	p := &proxyUnderTest{t: t, url: m.URL() + "/v1", main: m, loose: true}

	evil := newChat("Refund " + forged)
	evil.tools = append(evil.tools, `{"type":"function","function":{"name":`+quoted+`,"description":`+quoted+`}}`)
	members := `,"conversation_id":` + quoted + `,"user_id":` + quoted + `,"user":` + quoted + `,"context":{"domain":` + quoted + `},"metadata":{"thread_id":` + quoted + `}`
	for _, stream := range []bool{false, true} {
		model.Next(turnOf(stream, forged, scripted.Call{ID: forged, Name: forged, Arguments: quoted}))
		p.post(evil.streaming(stream).with(members).body())
		ask := newChat("Refund it").streaming(stream).with(members)
		model.Next(turnOf(stream, "", refund(forged, `{"order_id":`+quoted+`}`)))
		asked := p.post(ask.body()).read(t)
		p.post(ask.say(asked.text, "yes").body(), "Idempotency-Key", "forged\x7f\xff", "User-Agent", "forged level=ERROR", "X-Cadreen-Task", "\tforged")
	}
	model.Next(scripted.Error(400, forged, forged, forged))
	p.post(newChat("hi").body())
	model.Next(scripted.Error(500, forged, forged, forged))
	p.post(newChat("hi").body())
	model.Next(scripted.Wire{}.Reply("{" + forged))
	_, _ = p.try(t.Context(), newChat("hi").streaming(true).body())
	for _, path := range []string{"/v1/%0d%0atime=2001%20level=ERROR%20msg=forged", "/v1/escalations/%1b%5b31mforged", "/v1/escalations?status=%0aforged"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.URL()+path, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+keyRhea)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
	}
	_, metrics := p.call(t, "GET", "/metrics", "", "")
	require.NotContains(t, metrics, "forged")
	require.NoError(t, m.Close())

	text := log.text.String()
	require.Contains(t, text, "level=DEBUG")
	line := regexp.MustCompile(`^time=\d{4}-\d\d-\d\dT\S+ level=(DEBUG|INFO|WARN|ERROR) msg=`)
	for l := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		require.Regexp(t, line, l)
		require.NotContains(t, l, "time=2001-01-01T00:00:00Z level", "as a line of its own, or what looks like one")
		require.Equal(t, -1, strings.IndexFunc(l, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u202e' }), "%q", l)
	}
}
