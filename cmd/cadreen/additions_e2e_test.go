package main

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// additions are the top-level members that the proxy adds to good answers.
var additions = []string{"conversation_id", "trace_id", "gate", "status", "next_action", "pending_actions", "intelligence"}

// plain takes our additions away from a JSON object and puts a fixed text in
// place of the value of its id; every other character stays.
func plain(t *testing.T, raw string) string {
	t.Helper()
	start := strings.IndexByte(raw, '{') + 1
	d := json.NewDecoder(strings.NewReader(raw))
	_, err := d.Token()
	require.NoError(t, err, raw)
	out, end, first := raw[:start], int64(start), true
	for d.More() {
		key, err := d.Token()
		require.NoError(t, err, raw)
		var value json.RawMessage
		require.NoError(t, d.Decode(&value), raw)
		member := raw[end:d.InputOffset()]
		end = d.InputOffset()
		if slices.Contains(additions, key.(string)) {
			continue
		}
		if key == "id" {
			member = strings.TrimSuffix(member, string(value)) + `"ID"`
		}
		if first {
			member, first = strings.TrimPrefix(member, ","), false
		}
		out += member
	}
	_, err = d.Token()
	require.NoError(t, err, raw)
	_, err = d.Token()
	require.ErrorIs(t, err, io.EOF, raw)
	return out + raw[end:]
}

// lines cuts a stream after every line end, CR LF being one.
func lines(stream string) []string {
	var all []string
	for from, i := 0, 0; i < len(stream); i++ {
		if stream[i] == '\r' && i+1 < len(stream) && stream[i+1] == '\n' {
			continue
		}
		if stream[i] == '\n' || stream[i] == '\r' {
			all = append(all, stream[from:i+1])
			from = i + 1
		}
		if i == len(stream)-1 && from < len(stream) {
			all = append(all, stream[from:])
		}
	}
	return all
}

// payloads are the data lines of a stream.
func payloads(stream string) []string {
	var all []string
	for _, line := range lines(strings.TrimPrefix(stream, "\ufeff")) {
		if data, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "data:"); ok {
			all = append(all, strings.TrimPrefix(data, " "))
		}
	}
	return all
}

// plainStream is plain for every data line of a stream that holds an object.
func plainStream(t *testing.T, stream string) string {
	t.Helper()
	var b strings.Builder
	for _, line := range lines(stream) {
		body := strings.TrimRight(line, "\r\n")
		at := strings.Index(body, "data:")
		brace := strings.IndexByte(body, '{')
		if at < 0 || brace < 0 || strings.Trim(body[at+5:brace], " ") != "" || strings.Trim(body[:at], "\ufeff") != "" {
			b.WriteString(line)
			continue
		}
		b.WriteString(body[:brace] + plain(t, body[brace:]) + line[len(body):])
	}
	return b.String()
}

// sameObject asserts that a JSON reply is the model's, to the character.
func sameObject(t *testing.T, model string, r reply) {
	t.Helper()
	require.NoError(t, r.broken)
	require.Equal(t, 200, r.status, r.body)
	require.Equal(t, plain(t, model), plain(t, r.body))
	requireOurID(t, r.body)
}

// sameStream asserts that a stream is the model's, to the character.
func sameStream(t *testing.T, model string, r reply) {
	t.Helper()
	require.NoError(t, r.broken)
	require.Equal(t, 200, r.status, r.body)
	require.Equal(t, plainStream(t, model), plainStream(t, r.body))
	for _, payload := range payloads(r.body) {
		if payload != "[DONE]" {
			requireOurID(t, payload)
		}
	}
	require.LessOrEqual(t, len(r.read(t).ids), 1, "one id in every chunk")
}

func requireOurID(t *testing.T, raw string) {
	t.Helper()
	var o struct{ ID *string }
	require.NoError(t, json.Unmarshal([]byte(raw), &o), raw)
	if o.ID != nil {
		require.True(t, strings.HasPrefix(*o.ID, "chatcmpl-"), raw)
	}
	require.NotContains(t, raw, `"error"`)
}
