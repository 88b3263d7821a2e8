// Package telemetry shows requests as OpenTelemetry spans, with the attributes
// of the GenAI conventions on model calls, and sends them by OTLP over HTTP.
//
// What lives here: the exporter, the spans, and the trace context that model
// servers are given. What does not: metrics (proxy), and the traces that Cadreen
// itself stores (intelligence), which these spans are drawn from. No span holds an
// argument or a text of a conversation. Without an endpoint there is no Telemetry,
// and nothing here costs anything.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Options build a Telemetry. Endpoint is required.
type Options struct {
	// Endpoint is the base address of an OTLP collector; /v1/traces is added.
	Endpoint string
	// Model is the address of the model's server, "" if there is none.
	Model   string
	Version string
	Logger  *slog.Logger // slog.Default if nil
}

// Telemetry makes spans. A nil Telemetry makes none.
type Telemetry struct {
	provider   *sdktrace.TracerProvider
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	model      []attribute.KeyValue // where the model's server is
}

// Open makes a Telemetry. It opens no connection yet: a collector that is away is
// a line in the log, not an error.
func Open(ctx context.Context, o Options) (*Telemetry, error) {
	log := o.Logger
	if log == nil {
		log = slog.Default()
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimRight(o.Endpoint, "/")+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("telemetry.otlp_endpoint: %w", err)
	}
	// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "cadreen"), attribute.String("service.version", o.Version)), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("spans could not be sent", "error", err) }))
	t := &Telemetry{
		provider:   sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)),
		propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
		model:      serverOf(o.Model),
	}
	t.tracer = t.provider.Tracer("cadreen", trace.WithInstrumentationVersion(o.Version))
	return t, nil
}

// serverOf are the attributes of an address.
func serverOf(address string) []attribute.KeyValue {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	list := []attribute.KeyValue{attribute.String("server.address", u.Hostname())}
	if port := u.Port(); port != "" {
		list = append(list, attribute.String("server.port", port))
	}
	return list
}

// Close sends what is left, for as long as ctx lasts.
func (t *Telemetry) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Handler makes a span of every request that h answers, as a child of the
// request's traceparent. Probes make none.
func (t *Telemetry) Handler(h http.Handler) http.Handler {
	if t == nil {
		return h
	}
	return otelhttp.NewHandler(h, "cadreen",
		otelhttp.WithTracerProvider(t.provider), otelhttp.WithPropagators(t.propagator), otelhttp.WithMeterProvider(metricnoop.NewMeterProvider()),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method }),
		otelhttp.WithFilter(func(r *http.Request) bool {
			switch r.URL.Path {
			case "/healthz", "/readyz", "/metrics":
				return false
			}
			return true
		}))
}

// TraceID is the id of the W3C trace that a request belongs to, "" if it is not
// known.
func (t *Telemetry) TraceID(ctx context.Context) string {
	if t == nil {
		return ""
	}
	if c := trace.SpanContextFromContext(ctx); c.HasTraceID() {
		return c.TraceID().String()
	}
	return ""
}

// micros is a time so many microseconds after another.
func micros(from time.Time, n int64) time.Time { return from.Add(time.Duration(n) * time.Microsecond) }
