package main

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"cadreen/config"
	"cadreen/proxy/scripted"
)

// spanCollector takes OTLP over HTTP as a real one does.
type spanCollector struct {
	mu    sync.Mutex
	spans []*otlp.Span
	raw   []byte
	about string // attributes of the resource
}

func (c *spanCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var req collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &req) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, body...)
	for _, rs := range req.ResourceSpans {
		c.about = rs.Resource.String()
		for _, ss := range rs.ScopeSpans {
			c.spans = append(c.spans, ss.Spans...)
		}
	}
}

func (c *spanCollector) named(t *testing.T, name string) *otlp.Span {
	t.Helper()
	for _, s := range c.spans {
		if s.Name == name {
			return s
		}
	}
	require.Fail(t, "no span "+name)
	return nil
}

func attributesOf(s *otlp.Span) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes {
		v := a.Value.GetStringValue()
		if v == "" {
			v = strings.TrimPrefix(strings.ReplaceAll(a.Value.String(), " ", ""), "int_value:")
		}
		all[a.Key] = v
	}
	return all
}

const parentTrace, parentSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

func TestSpansReachACollector(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		got := &spanCollector{}
		server := httptest.NewServer(got)
		defer server.Close()
		model := scripted.New(t)
		cfg, err := config.Load(setup{backend: model.URL(), policy: tracePolicy, yaml: "telemetry: {otlp_endpoint: '" + server.URL + "'}\n"}.file(t), nil)
		require.NoError(t, err)
		m := &Main{Config: cfg, Stderr: t.Output()}
		require.NoError(t, m.Run(t.Context()))
		p := &proxyUnderTest{t: t, url: m.URL() + "/v1", main: m}

		model.Next(turnOf(stream, "Well.", refundOf("750")))
		r := p.post(newChat("Refund it, canary-text").with(inShop).streaming(stream).body(),
			"traceparent", "00-"+parentTrace+"-"+parentSpan+"-01", "tracestate", "vendor=opaque", "baggage", "a=b")
		require.Equal(t, 200, r.status)
		sent := model.Last().Header
		model.Next(scripted.Error(500, "server_error", "boom", "boom"), scripted.Error(500, "server_error", "boom", "boom"), scripted.Error(500, "server_error", "boom", "boom"))
		require.Equal(t, 503, p.post(newChat("hi").streaming(stream).body()).status)
		p.call(t, "GET", "/v1/escalations/esc_none", keyRhea, "")
		p.call(t, "GET", "/healthz", "", "")
		require.NoError(t, m.Close())

		require.Contains(t, got.about, "cadreen")
		served := got.named(t, "POST /v1/chat/completions")
		require.Equal(t, parentTrace, hex.EncodeToString(served.TraceId))
		require.Equal(t, parentSpan, hex.EncodeToString(served.ParentSpanId))
		require.Equal(t, otlp.Span_SPAN_KIND_SERVER, served.Kind)
		about := attributesOf(served)
		require.Equal(t, r.header.Get("X-Cadreen-Trace-Id"), about["cadreen.trace_id"])
		require.Equal(t, []string{"shop", "shop", "needs_input", "conditional", "1", "/v1/chat/completions"},
			[]string{about["cadreen.workspace"], about["cadreen.domain"], about["cadreen.gate"], about["cadreen.governance.decision"], about["cadreen.calls.confirm"], about["http.route"]})

		asked := got.named(t, "chat gpt-any")
		require.Equal(t, served.SpanId, asked.ParentSpanId)
		require.Equal(t, otlp.Span_SPAN_KIND_CLIENT, asked.Kind)
		about = attributesOf(asked)
		require.Equal(t, []string{"chat", "openai", "gpt-any", "127.0.0.1"}, []string{about["gen_ai.operation.name"], about["gen_ai.provider.name"], about["gen_ai.request.model"], about["server.address"]})
		require.NotEmpty(t, about["gen_ai.response.model"])
		require.NotEmpty(t, about["gen_ai.usage.input_tokens"])
		require.Equal(t, "00-"+parentTrace+"-"+hex.EncodeToString(asked.SpanId)+"-01", sent.Get("Traceparent"))
		require.Equal(t, "vendor=opaque", sent.Get("Tracestate"))
		require.Equal(t, "a=b", sent.Get("Baggage"))

		judged := got.named(t, "governance_eval")
		require.Equal(t, served.SpanId, judged.ParentSpanId)
		require.Len(t, judged.Events, 1)
		got.named(t, "GET /v1/escalations/{id}")
		failed := 0
		for _, s := range got.spans {
			require.NotContains(t, s.Name, "healthz")
			require.GreaterOrEqual(t, s.EndTimeUnixNano, s.StartTimeUnixNano)
			if s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR {
				failed++
			}
		}
		require.Equal(t, 2, failed, "the request and its model call")
		for _, secret := range []string{"canary-text", "456", "750", keyAnn} {
			require.NotContains(t, string(got.raw), secret)
		}
	})
}

// Without telemetry the trace context passes through as it came, and the stored
// trace knows which W3C trace it belongs to.
func TestTraceContextPassesThrough(t *testing.T) {
	p, llm := startScripted(t, setup{})
	for name, c := range map[string]struct{ parent, want string }{
		"valid":         {"00-" + parentTrace + "-" + parentSpan + "-01", parentTrace},
		"later version": {"cc-" + parentTrace + "-" + parentSpan + "-01-more", parentTrace},
		"zero":          {"00-" + strings.Repeat("0", 32) + "-" + parentSpan + "-01", ""},
		"upper case":    {"00-" + strings.ToUpper(parentTrace) + "-" + parentSpan + "-01", ""},
		"short":         {"00-abc", ""},
	} {
		t.Run(name, func(t *testing.T) {
			llm.Next(turnOf(false, "Hello."))
			r := p.post(newChat("hi").body(), "traceparent", c.parent, "tracestate", "vendor=opaque")
			require.Equal(t, c.parent, llm.Last().Header.Get("Traceparent"))
			require.Equal(t, "vendor=opaque", llm.Last().Header.Get("Tracestate"))
			var tr struct {
				Meta struct {
					Process struct {
						W3C string `json:"w3c_trace_id"`
					} `json:"process"`
				} `json:"meta"`
			}
			require.Equal(t, 200, p.get(t, "/v1/intelligence/"+r.header.Get("X-Cadreen-Trace-Id"), keyAnn, &tr))
			require.Equal(t, c.want, tr.Meta.Process.W3C)
		})
	}
}

// metricsOf reads GET /metrics as Prometheus does.
func metricsOf(t *testing.T, p *proxyUnderTest) (value func(name string, labels ...string) float64, names map[string]bool, text string) {
	t.Helper()
	_, text = p.call(t, "GET", "/metrics", "", "")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	names = map[string]bool{}
	for name := range families {
		names[name] = true
		if families[name].GetType().String() == "HISTOGRAM" {
			names[name+"_bucket"], names[name+"_sum"], names[name+"_count"] = true, true, true
		}
	}
	return func(name string, labels ...string) float64 {
		t.Helper()
		f := families[name]
		require.NotNil(t, f, name)
		sum, found := 0.0, false
	next:
		for _, m := range f.Metric {
			have := map[string]string{}
			for _, l := range m.Label {
				have[l.GetName()] = l.GetValue()
			}
			for i := 0; i+1 < len(labels); i += 2 {
				if have[labels[i]] != labels[i+1] {
					continue next
				}
			}
			found = true
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
		require.True(t, found, "%s %v", name, labels)
		return sum
	}, names, text
}

func TestMetrics(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		c := &clock{}
		p, llm := startScripted(t, setup{policy: tracePolicy, store: storeURL, clock: c})
		value, _, _ := metricsOf(t, p)
		for _, verdict := range []string{"allow", "clarify", "confirm", "escalate", "block"} {
			require.Zero(t, value("cadreen_decisions_total", "verdict", verdict))
		}
		llm.Next(turnOf(false, "", refundOf("750")))
		ask := newChat("Refund it").with(inShop)
		asked := p.post(ask.body()).read(t)
		c.forward(90_000_000_000)
		p.post(ask.say(asked.text, "yes").body()).read(t).released(t, refundOf("750"))
		llm.Next(turnOf(true, "", lookupCall, refundOf("9000")))
		p.post(newChat("Both").with(inShop).streaming(true).body())
		llm.Next(turnOf(false, "", scripted.Call{ID: "call_1", Name: "a_tool_nobody_knows", Arguments: "{}"}))
		p.post(newChat("Invent one").with(inShop).body())
		llm.Next(turnOf(false, "", refundOf("2000")))
		res := p.post(newChat("Escalate it").with(inShop).body())
		_, place, found := strings.Cut(res.body, `"approve_url":"`)
		require.True(t, found, res.body)
		place, _, _ = strings.Cut(place, `"`)
		status, body := p.call(t, "POST", place+"/resolve", keyRhea, `{"decision":"auto"}`)
		require.Equal(t, 200, status, body)
		llm.Next(scripted.Error(500, "server_error", "odd_code", "boom"), scripted.Error(500, "server_error", "odd_code", "boom"), scripted.Error(500, "server_error", "odd_code", "boom"))
		p.post(newChat("hi").body())
		p.get(t, "/v1/intelligence", keyAnn, nil) // also waits until all is stored

		value, _, text := metricsOf(t, p)
		require.Equal(t, []float64{1, 1, 1, 2}, []float64{value("cadreen_decisions_total", "verdict", "allow"), value("cadreen_decisions_total", "verdict", "confirm"),
			value("cadreen_decisions_total", "verdict", "escalate"), value("cadreen_decisions_total", "verdict", "block")})
		require.Equal(t, 1.0, value("cadreen_calls_held_total", "verdict", "confirm"))
		require.Equal(t, 1.0, value("cadreen_calls_held_total", "verdict", "escalate"))
		require.Equal(t, 1.0, value("cadreen_answers_total", "result", "released"))
		require.Equal(t, 1.0, value("cadreen_answers_total", "result", "reviewed"))
		require.Equal(t, 2.0, value("cadreen_answer_seconds"))
		require.Contains(t, text, `cadreen_answer_seconds_bucket{channel="chat",le="60"} 0`)
		require.Contains(t, text, `cadreen_answer_seconds_bucket{channel="chat",le="300"} 1`)
		require.Equal(t, 4.0, value("cadreen_added_seconds", "stream", "false"))
		require.Equal(t, 1.0, value("cadreen_added_seconds", "stream", "true"))
		require.Equal(t, 1.0, value("cadreen_model_errors_total", "code", "service_unavailable"))
		require.Positive(t, value("cadreen_model_tokens_total", "type", "input"))
		require.Zero(t, value("cadreen_streams_open"))
		require.Positive(t, value("cadreen_traces_stored_total"))
		require.Zero(t, value("cadreen_traces_lost_total"))
		for _, secret := range []string{"a_tool_nobody_knows", "process_refund", "odd_code", "shop"} {
			require.False(t, strings.Contains(text, secret), "%s: nothing that a client or a model made up is a label", secret)
		}
	})
}

// A stream that is being sent is counted while it is.
func TestStreamsThatAreOpenAreCounted(t *testing.T) {
	p, llm := startScripted(t, setup{})
	h, gate := scripted.Head{}, make(chan struct{})
	steps := append(scripted.Wire{NoDone: true}.Steps(h.Role(0), h.Text(0, "first")), scripted.Wait(gate))
	llm.Next(scripted.Stream(append(steps, scripted.Wire{}.Steps(h.Finish(0, "stop"))...)...))
	res, err := p.open(t.Context(), newChat("hi").streaming(true).body())
	require.NoError(t, err)
	defer res.Body.Close()
	value, _, _ := metricsOf(t, p)
	require.Equal(t, 1.0, value("cadreen_streams_open"))
	close(gate)
	_, err = io.ReadAll(res.Body)
	require.NoError(t, err)
	value, _, _ = metricsOf(t, p)
	require.Zero(t, value("cadreen_streams_open"))
}

var metricName = regexp.MustCompile(`\b(cadreen_[a-z_]+|go_[a-z_]+|process_[a-z_]+)\b`)

// Every query of the dashboard in the docs names metrics that exist, and every
// metric of ours that is documented does too.
func TestTheDashboardNamesMetricsThatExist(t *testing.T) {
	p := start(t, setup{})
	_, names, _ := metricsOf(t, p)
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "grafana-dashboard.json"))
	require.NoError(t, err)
	var board struct {
		Title  string `json:"title"`
		Panels []struct {
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	require.NoError(t, json.Unmarshal(raw, &board))
	require.NotEmpty(t, board.Panels)
	all := everyMetric(t)
	queries := 0
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			queries++
			found := metricName.FindAllString(target.Expr, -1)
			require.NotEmpty(t, found, target.Expr)
			for _, name := range found {
				require.True(t, all[name] || names[name], "%s: %s is no metric", panel.Title, name)
			}
		}
	}
	require.Greater(t, queries, 10)
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "telemetry.md"))
	require.NoError(t, err)
	for name := range all {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		require.Contains(t, string(docs), "`"+base+"`", "docs/telemetry.md lists every metric")
	}
}

// everyMetric are the names in proxy/metrics.go, with the series of histograms.
func everyMetric(t *testing.T) map[string]bool {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "..", "proxy", "metrics.go"))
	require.NoError(t, err)
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(histogram\(|Name: |counter\(|gauge\()"(cadreen_[a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		all[m[2]] = true
		if m[1] == "histogram(" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				all[m[2]+suffix] = true
			}
		}
	}
	require.Greater(t, len(all), 12)
	return all
}
