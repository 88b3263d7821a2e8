package main

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// description is the OpenAPI document as the program serves it, with its schemas
// ready to check what the program answers. Nothing may be in an answer that the
// document does not have.
type description struct {
	paths    map[string]map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	schemas  map[string]*jsonschema.Schema
}

const documentAt = "memory:cadreen"

var (
	described    *description
	describeOnce sync.Once
)

// open are the schemas of what is OpenAI's, or the client's.
var open = map[string]bool{"ChatCompletion": true, "Models": true, "ChatMessage": true, "Tool": true, "Context": true,
	"ChatRequest": true, "IntentRequest": true, "PreconditionsRequest": true, "PolicyInput": true, "PolicyEvaluateRequest": true, "SetupRequest": true}

// describe fetches the document once.
func describe(t *testing.T, root string) *description {
	t.Helper()
	describeOnce.Do(func() {
		res, err := http.Get(root + "/api/v1/cadreen/docs/openapi.json")
		require.NoError(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Equal(t, 200, res.StatusCode)
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		require.NoError(t, err)
		root := doc.(map[string]any)
		for name, s := range root["components"].(map[string]any)["schemas"].(map[string]any) {
			schema := s.(map[string]any)
			if _, says := schema["additionalProperties"]; !says && !open[name] && schema["properties"] != nil {
				schema["additionalProperties"] = false
			}
		}
		d := &description{paths: map[string]map[string]any{}, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
		require.NoError(t, d.compiler.AddResource(documentAt, doc))
		for path, item := range root["paths"].(map[string]any) {
			d.paths[path] = item.(map[string]any)
		}
		described = d
	})
	require.NotNil(t, described, "the document could not be read")
	return described
}

// find is the operation of an address, with its place in the document.
func (d *description) find(method, path string) (operation map[string]any, pointer string) {
	path, _, _ = strings.Cut(path, "?")
	for _, base := range []string{"/api/v1/cadreen", "/api/v1", "/v1"} {
		if rest, ok := strings.CutPrefix(path, base+"/"); ok {
			path = "/" + rest
			break
		}
	}
	best := ""
	for template, item := range d.paths {
		if item[strings.ToLower(method)] != nil && fits(template, path) && (best == "" || !strings.Contains(template, "{")) {
			best = template
		}
	}
	if best == "" {
		return nil, ""
	}
	method = strings.ToLower(method)
	return d.paths[best][method].(map[string]any), "/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(best) + "/" + method
}

func fits(template, path string) bool {
	a, b := strings.Split(template, "/"), strings.Split(path, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !(strings.HasPrefix(a[i], "{") && b[i] != "") {
			return false
		}
	}
	return true
}

func (d *description) valid(t *testing.T, pointer, text string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.schemas[pointer]
	if s == nil {
		var err error
		s, err = d.compiler.Compile(documentAt + "#" + pointer)
		require.NoError(t, err, pointer)
		d.schemas[pointer] = s
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	require.NoError(t, err, text)
	require.NoError(t, s.Validate(value), "%s\n%s", pointer, text)
}

// checkDocument holds an answer, and the request where it was taken, against the
// document.
func checkDocument(t *testing.T, root, method, path, sent string, status int, header http.Header, body string) {
	t.Helper()
	d := describe(t, root)
	operation, at := d.find(method, path)
	if operation == nil || status == http.StatusMethodNotAllowed {
		return
	}
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if status >= 400 && kind == "application/json" && !strings.HasSuffix(at, "~1readyz/get") {
		d.valid(t, "/components/schemas/Error", body)
		var failure struct{ Error struct{ Code string } }
		require.NoError(t, json.Unmarshal([]byte(body), &failure))
		passes := strings.Contains(at, "~1chat~1completions") || strings.Contains(at, "~1models") || strings.Contains(at, "~1intent/")
		if !passes || status >= 500 {
			codes := fmt.Sprint(operation["x-codes"])
			require.Contains(t, codes, failure.Error.Code, "%s %s answers a code that the document does not name", method, path)
		}
		return
	}
	responses := operation["responses"].(map[string]any)
	answer, known := responses[fmt.Sprint(status)].(map[string]any)
	require.True(t, known, "%s %s answers %d, which the document does not have", method, path, status)
	content, _ := answer["content"].(map[string]any)
	if body == "" && content == nil {
		return
	}
	_, known = content[kind]
	require.True(t, known, "%s %s answers %s, which the document does not have", method, path, kind)
	if kind == "application/json" {
		d.valid(t, at+"/responses/"+fmt.Sprint(status)+"/content/application~1json/schema", body)
	}
	if request, ok := operation["requestBody"].(map[string]any); ok && strings.TrimSpace(sent) != "" && request["content"] != nil {
		d.valid(t, at+"/requestBody/content/application~1json/schema", sent)
	}
}

// The document is served to everyone, at every base.
func TestTheDocumentIsServed(t *testing.T) {
	p := start(t, setup{})
	for _, base := range []string{"/api/v1/cadreen", "/v1", "/api/v1"} {
		res, body := p.exchange(t, "GET", base+"/docs/openapi.json", "", "")
		require.Equal(t, 200, res.StatusCode)
		require.Equal(t, "application/json", res.Header.Get("Content-Type"))
		require.Contains(t, body, `"openapi":"3.1.0"`)
	}
}
