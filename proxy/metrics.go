package proxy

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cadreen/intelligence"
)

// Metrics are what GET /metrics shows. No label ever holds anything that a
// client or a model made up, such as the name of a tool.
type Metrics struct {
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	inFlight   prometheus.Gauge
	decisions  *prometheus.CounterVec
	held       *prometheus.CounterVec
	answers    *prometheus.CounterVec
	answering  *prometheus.HistogramVec
	added      *prometheus.HistogramVec
	model      *prometheus.HistogramVec
	modelError *prometheus.CounterVec
	tokens     *prometheus.CounterVec
	streams    prometheus.Gauge
	store      *prometheus.CounterVec
	stored     prometheus.Counter
	lost       *prometheus.CounterVec
	handler    http.Handler

	// Of chats, so that nobody looks them up by their labels for each: for JSON and for streams.
	addedTo, modelOf [2]prometheus.Observer
	input, output    prometheus.Counter
}

var knownMethods = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodPost: true, http.MethodPut: true,
	http.MethodPatch: true, http.MethodDelete: true, http.MethodOptions: true,
}

// NewMetrics makes the metrics of one process.
func NewMetrics(version string) *Metrics {
	registry := prometheus.NewRegistry()
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		registry.MustRegister(h)
		return h
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		registry.MustRegister(g)
		return g
	}
	m := &Metrics{
		requests: counter("cadreen_http_requests_total", "Answered requests.", "route", "method", "status"),
		duration: histogram("cadreen_http_request_seconds", "Time from the request's headers to the end of the answer, streams included.",
			[]float64{.001, .005, .025, .1, .5, 1, 5, 15, 60, 300, 900}, "route"),
		inFlight:  gauge("cadreen_http_requests_in_flight", "Requests being answered now."),
		streams:   gauge("cadreen_streams_open", "Streamed answers being sent now."),
		decisions: counter("cadreen_decisions_total", "Tool calls that were judged, by verdict.", "verdict"),
		held:      counter("cadreen_calls_held_total", "Tool calls that were held, by who is to answer: confirm (the requester) or escalate (a reviewer).", "verdict"),
		answers:   counter("cadreen_answers_total", "Answers to held calls, by what they came to.", "result"),
		answering: histogram("cadreen_answer_seconds", "Time that calls were held until somebody answered, by where: chat or review.",
			[]float64{1, 5, 15, 60, 300, 900, 3600, 14400, 86400}, "channel"),
		added: histogram("cadreen_added_seconds", "Time that a chat completion took beside the model's: from the headers until the model is asked, and from the end of its reply to the end of the answer.",
			[]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .1, 1}, "stream"),
		model: histogram("cadreen_model_seconds", "Time of one model call, until its reply had come.",
			[]float64{.1, .25, .5, 1, 2.5, 5, 15, 60, 300}, "stream"),
		modelError: counter("cadreen_model_errors_total", "Model calls without a usable reply, by code.", "code"),
		tokens:     counter("cadreen_model_tokens_total", "Tokens as the model counts them.", "type"),
		store:      counter("cadreen_store_errors_total", "Operations that the store could not do.", "operation"),
		lost:       counter("cadreen_traces_lost_total", "Traces that could not be stored.", "reason"),
	}
	m.stored = prometheus.NewCounter(prometheus.CounterOpts{Name: "cadreen_traces_stored_total", Help: "Traces that were stored."})
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "cadreen_build_info", Help: "Always 1; the version is a label."}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	registry.MustRegister(m.stored, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.begin()
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return m
}

// begin shows zeros where nothing has happened yet: a rate needs a first value.
func (m *Metrics) begin() {
	for _, verdict := range []string{"allow", "clarify", "confirm", "escalate", "block"} {
		m.decisions.WithLabelValues(verdict)
	}
	for _, verdict := range []string{"confirm", "escalate"} {
		m.held.WithLabelValues(verdict)
	}
	for _, reason := range []string{intelligence.LostFull, intelligence.LostStore} {
		m.lost.WithLabelValues(reason)
	}
	m.store.WithLabelValues("commit")
	m.input, m.output = m.tokens.WithLabelValues("input"), m.tokens.WithLabelValues("output")
	for stream, label := range []string{"false", "true"} {
		m.addedTo[stream], m.modelOf[stream] = m.added.WithLabelValues(label), m.model.WithLabelValues(label)
	}
}

// StoreFailed counts an operation that the store could not do.
func (m *Metrics) StoreFailed(operation string) { m.store.WithLabelValues(operation).Inc() }

// TracesStored counts traces that were stored.
func (m *Metrics) TracesStored(n int) { m.stored.Add(float64(n)) }

// TracesLost counts traces that could not be stored.
func (m *Metrics) TracesLost(n int, reason string) { m.lost.WithLabelValues(reason).Add(float64(n)) }

func (m *Metrics) request(route, method string, status int, took time.Duration) {
	if !knownMethods[method] {
		method = "other"
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route).Observe(took.Seconds())
}

const micro = 1e-6 // seconds

// trace takes what the trace of an answered request tells.
func (m *Metrics) trace(e *intelligence.Entry) {
	if e.Judged {
		for i := range e.Calls {
			c := &e.Calls[i]
			m.decisions.WithLabelValues(c.Verdict).Inc()
			if c.Went == intelligence.WentHeld {
				m.held.WithLabelValues(c.Verdict).Inc()
			}
		}
	}
	if e.Answer != "" {
		m.answers.WithLabelValues(e.Answer).Inc()
		channel := "chat"
		if e.Answer == intelligence.Reviewed {
			channel = "review"
		}
		if e.Waited > 0 {
			m.answering.WithLabelValues(channel).Observe(float64(e.Waited) * micro)
		}
	}
	if len(e.Models) == 0 {
		return
	}
	stream := 0
	if e.Stream {
		stream = 1
	}
	rest := e.Took
	for i := range e.Models {
		c := &e.Models[i]
		rest -= c.Took
		m.modelOf[stream].Observe(float64(c.Took) * micro)
		m.input.Add(float64(max(c.Input, 0)))
		m.output.Add(float64(max(c.Output, 0)))
		if c.Code != "" {
			m.modelError.WithLabelValues(c.Code).Inc()
		}
	}
	m.addedTo[stream].Observe(float64(max(rest, 0)) * micro)
}

func (m *Metrics) serve(c echo.Context) error {
	m.handler.ServeHTTP(c.Response(), c.Request())
	return nil
}
