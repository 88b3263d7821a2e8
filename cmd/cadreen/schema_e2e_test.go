package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// sharedData holds OpenAI's schema and recorded streams; it lies beside the
// module where the project is developed.
var sharedData = filepath.Join("..", "..", "..", "shared", "data")

type schemas struct{ completion, chunk, failure, models *jsonschema.Schema }

var loadSchemas = sync.OnceValues(func() (*schemas, error) {
	text, err := os.ReadFile(filepath.Join(sharedData, "openai-chat.schema.json"))
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return nil, err
	}
	const at = "memory:openai-chat"
	c := jsonschema.NewCompiler()
	if err := c.AddResource(at, doc); err != nil {
		return nil, err
	}
	s := &schemas{}
	for name, to := range map[string]**jsonschema.Schema{
		"CreateChatCompletionResponse": &s.completion, "CreateChatCompletionStreamResponse": &s.chunk,
		"ErrorResponse": &s.failure, "ListModelsResponse": &s.models,
	} {
		if *to, err = c.Compile(at + "#/$defs/" + name); err != nil {
			return nil, err
		}
	}
	return s, nil
})

// checkSchema holds a reply against OpenAI's published document, where it is
// there.
func checkSchema(t *testing.T, r reply) {
	t.Helper()
	checkStrict(t, r)
	s, err := loadSchemas()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	require.NoError(t, err)
	if !strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream") {
		schema := s.completion
		if r.status != 200 {
			schema = s.failure
		}
		valid(t, schema, r.body)
		return
	}
	for _, payload := range payloads(r.body) {
		switch {
		case payload == "[DONE]":
		case strings.HasPrefix(payload, `{"error":{`):
			valid(t, s.failure, payload)
		default:
			valid(t, s.chunk, payload)
		}
	}
}

// checkStrict asserts that every JSON text of a reply is one value that all
// readers read alike: no name twice, valid UTF-8, nothing behind it.
func checkStrict(t *testing.T, r reply) {
	t.Helper()
	texts := []string{r.body}
	if strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream") {
		texts = payloads(r.body)
	}
	for _, text := range texts {
		require.True(t, text == "[DONE]" || jsontext.Value(text).IsValid(), "not strict JSON: %s", text)
	}
}

func valid(t *testing.T, schema *jsonschema.Schema, raw string) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(raw))
	require.NoError(t, err, raw)
	require.NoError(t, schema.Validate(value), raw)
}
