package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/store"
)

// records are the decision records of the workspace of the tests' keys.
func (p *proxyUnderTest) records() []governance.Record {
	p.t.Helper()
	all, _ := recordsIn(p.t.Context(), p.t, p.main.engine, 0)
	return all
}

// recordsIn reads that workspace's records behind a number from a store, and the
// number of the last.
func recordsIn(ctx context.Context, t tester, engine store.Engine, after int64) (all []governance.Record, last int64) {
	t.Helper()
	for last = after; ; {
		entries, err := engine.Read(ctx, "shop", governance.RecordLog, last, 1000)
		require.NoError(t, err)
		if len(entries) == 0 {
			return all, last
		}
		for _, e := range entries {
			var r governance.Record
			require.NoError(t, json.Unmarshal(e.Value, &r))
			all = append(all, r)
			last = e.Seq
		}
	}
}

// awaitRecord waits until a record with this event is there: the work of a
// sweeper, or of another request.
func (p *proxyUnderTest) awaitRecord(event string) governance.Record {
	p.t.Helper()
	changed, err := p.main.engine.Watch(p.t.Context(), "shop")
	require.NoError(p.t, err)
	for {
		for _, r := range p.records() {
			if r.Event == event {
				return r
			}
		}
		select {
		case <-changed:
		case <-p.t.Context().Done():
			require.Fail(p.t, "no record came", event)
		}
	}
}

// events are the events of the records, in their order.
func (p *proxyUnderTest) events() []string {
	p.t.Helper()
	var list []string
	for _, r := range p.records() {
		list = append(list, r.Event)
	}
	return list
}

// get fetches an address of the server and decodes the JSON that comes.
func (p *proxyUnderTest) get(t *testing.T, path, key string, into any) int {
	t.Helper()
	status, body := p.call(t, "GET", path, key, "")
	if into != nil {
		require.NoError(t, json.Unmarshal([]byte(body), into), body)
	}
	return status
}

// call sends one request; path may be a whole address. Without a key no
// Authorization is sent.
func (p *proxyUnderTest) call(t *testing.T, method, path, key, body string, headers ...string) (int, string) {
	t.Helper()
	res, text := p.exchange(t, method, path, key, body, headers...)
	return res.StatusCode, text
}

func (p *proxyUnderTest) exchange(t *testing.T, method, path, key, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	if !strings.HasPrefix(path, "http://") {
		path = strings.TrimSuffix(p.url, "/v1") + path
	}
	r, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	if !p.loose {
		root := strings.TrimSuffix(p.url, "/v1")
		if at, ok := strings.CutPrefix(path, root); ok {
			checkDocument(t, root, method, at, body, res.StatusCode, res.Header, string(text))
		}
	}
	return res, string(text)
}
