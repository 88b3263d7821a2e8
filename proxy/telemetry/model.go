package telemetry

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"cadreen/intelligence"
	"cadreen/proxy/backend"
)

// Attributes of the GenAI conventions, which are no longer part of the semantic
// conventions' package.
const (
	genAIOperation     = "gen_ai.operation.name"
	genAIProvider      = "gen_ai.provider.name"
	genAIRequestModel  = "gen_ai.request.model"
	genAIResponseModel = "gen_ai.response.model"
	genAIInput         = "gen_ai.usage.input_tokens"
	genAIOutput        = "gen_ai.usage.output_tokens"
	genAIConversation  = "gen_ai.conversation.id"

	operationChat  = "chat"
	providerOpenAI = "openai" // what speaks its API counts as it
)

// Backend is b with a span for each model call. The model's server is given the
// span as its parent, in place of the client's own trace context.
func (t *Telemetry) Backend(b backend.Backend) backend.Backend {
	if t == nil {
		return b
	}
	return spanned{b, t}
}

type spanned struct {
	backend.Backend
	t *Telemetry
}

func (s spanned) Chat(ctx context.Context, req backend.Request) (*backend.Response, error) {
	told := intelligence.From(ctx)
	if told == nil {
		return s.Backend.Chat(ctx, req) // nobody would end the span
	}
	ctx, span := s.t.tracer.Start(ctx, operationChat, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		append([]attribute.KeyValue{attribute.String(genAIOperation, operationChat), attribute.String(genAIProvider, providerOpenAI)}, s.t.model...)...))
	header := req.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	for _, name := range s.t.propagator.Fields() {
		header.Del(name)
	}
	s.t.propagator.Inject(ctx, propagation.HeaderCarrier(header))
	req.Header = header
	told.OnModel(func(m intelligence.ModelCall) { end(span, m) })
	return s.Backend.Chat(ctx, req)
}

// Close closes the backend, if it can be closed.
func (s spanned) Close() error {
	if c, ok := s.Backend.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}

// end ends the span of a model call with what came of it.
func end(span trace.Span, m intelligence.ModelCall) {
	if m.Asked != "" {
		span.SetName(operationChat + " " + m.Asked)
		span.SetAttributes(attribute.String(genAIRequestModel, m.Asked))
	}
	if m.Code != "" {
		span.SetStatus(codes.Error, m.Code)
		span.SetAttributes(attribute.String("error.type", m.Code))
	} else if m.Model != "" {
		span.SetAttributes(attribute.String(genAIResponseModel, m.Model))
	}
	if m.Input > 0 || m.Output > 0 {
		span.SetAttributes(attribute.Int64(genAIInput, m.Input), attribute.Int64(genAIOutput, m.Output))
	}
	span.End()
}
