package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"cadreen/intelligence"
)

// Attributes of ours.
const (
	keyTrace     = "cadreen.trace_id"
	keyWorkspace = "cadreen.workspace"
	keyDomain    = "cadreen.domain"
	keyGate      = "cadreen.gate"
	keyDecision  = "cadreen.governance.decision"
	keyCalls     = "cadreen.calls." // and a verdict
	keyTool      = "cadreen.tool"
	keyVerdict   = "cadreen.verdict"
	keyOutcome   = "cadreen.outcome"
	keyPolicy    = "cadreen.policy"
	keyRule      = "cadreen.rule"
)

// Request tells the span of a request what its trace tells, and makes a span of
// each of its steps but the model calls, which have theirs. method and path are
// the span's name; path is the route, not what stood in the request.
func (t *Telemetry) Request(ctx context.Context, method, path, workspace string, e *intelligence.Entry) {
	if t == nil {
		return
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	if path != "" {
		span.SetName(method + " " + path)
		span.SetAttributes(attribute.String("http.route", path))
	}
	span.SetAttributes(attribute.String(keyTrace, e.ID))
	for _, a := range []struct{ key, value string }{
		{keyWorkspace, workspace}, {keyDomain, e.Domain}, {keyGate, e.Gate}, {keyDecision, e.Decision()},
		{genAIConversation, e.Conversation}, {"error.type", e.Code},
	} {
		if a.value != "" {
			span.SetAttributes(attribute.String(a.key, a.value))
		}
	}
	if e.Status >= 500 || e.Status == 0 {
		span.SetStatus(codes.Error, e.Code)
	}
	verdicts := map[string]int{}
	for _, c := range e.Calls {
		verdicts[c.Verdict]++
	}
	for verdict, n := range verdicts {
		span.SetAttributes(attribute.Int(keyCalls+verdict, n))
	}
	for _, s := range e.Stages {
		if s.Name != intelligence.StageModel {
			t.stage(ctx, e, s)
		}
	}
}

// stage makes the span of a step that is over.
func (t *Telemetry) stage(ctx context.Context, e *intelligence.Entry, s intelligence.Stage) {
	_, span := t.tracer.Start(ctx, s.Name, trace.WithTimestamp(micros(e.Started, s.At)))
	if s.Status != "" {
		span.SetAttributes(attribute.String("cadreen.status", s.Status))
	}
	if s.Name == intelligence.StageGovernance || s.Name == intelligence.StageAnswer {
		for _, c := range e.Calls {
			span.AddEvent("decision", trace.WithTimestamp(micros(e.Started, s.At+s.Took)), trace.WithAttributes(
				attribute.String(keyTool, c.Tool), attribute.String(keyVerdict, c.Verdict), attribute.String(keyOutcome, c.Went),
				attribute.String(keyPolicy, c.Policy), attribute.String(keyRule, c.Rule)))
		}
	}
	span.End(trace.WithTimestamp(micros(e.Started, s.At+s.Took)))
}
