package proxy

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
	"go.yaml.in/yaml/v3"

	"cadreen/fault"
	"cadreen/intelligence"
	"cadreen/proxy/api"
	"cadreen/proxy/intent"
)

// documentPath is where the OpenAPI document of this API is served, below a base.
const documentPath = "/docs/openapi.json"

//go:embed document.yaml
var documentYAML []byte

// document is the OpenAPI document. Addresses and requests are written down in
// document.yaml; the shapes of answers are taken from the types that they are made
// of, errors from the catalogue, and what is absent from the list of absences.
var document = sync.OnceValue(func() []byte {
	var doc map[string]any
	if err := yaml.Unmarshal(documentYAML, &doc); err != nil {
		panic("proxy: document.yaml: " + err.Error())
	}
	components := doc["components"].(map[string]any)
	components["schemas"] = schemas(components["schemas"].(map[string]any))
	paths := doc["paths"].(map[string]any)
	for _, a := range fault.Absences() {
		describeAbsence(paths, a)
	}
	for path, item := range paths {
		for method, o := range item.(map[string]any) {
			if operation, ok := o.(map[string]any); ok && isMethod(method) {
				complete(path, method, operation)
			}
		}
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic("proxy: document.yaml: " + err.Error())
	}
	return text
})

func (s *Server) document(c echo.Context) error {
	h := c.Response().Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "public, max-age=300")
	return c.Blob(http.StatusOK, "application/json", document())
}

// schemas are the reflected shapes with what the document says of them laid over.
func schemas(written map[string]any) map[string]any {
	shapes := api.Shapes()
	shapes["Intent"] = intent.Answer{}
	shapes["Health"] = healthAnswer{}
	shapes["Intelligence"] = intelligence.Meta{}
	r := newReflector()
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		r.name(shapes[name], name)
	}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		r.define(shapes[name])
	}
	for name := range shapes {
		if properties, ok := r.defined[name].(map[string]any)["properties"].(map[string]any); ok && name != "Intelligence" {
			// Every answer gets them, see api.
			properties["trace_id"] = map[string]any{"type": "string"}
			properties["intelligence"] = map[string]any{"$ref": "#/components/schemas/Intelligence"}
		}
	}
	lay(r.defined, written)
	return r.defined
}

// lay puts what is written over what is reflected.
func lay(under, over map[string]any) {
	for name, value := range over {
		inner, ok := value.(map[string]any)
		if below, both := under[name].(map[string]any); ok && both {
			lay(below, inner)
			continue
		}
		under[name] = value
	}
}

func isMethod(name string) bool {
	return slices.Contains([]string{"get", "post", "put", "patch", "delete"}, name)
}

// describeAbsence adds the addresses of a part that is not there.
func describeAbsence(paths map[string]any, a fault.Absence) {
	for _, r := range a.Routes {
		method, path, _ := strings.Cut(r, " ")
		item, ok := paths[path].(map[string]any)
		if !ok {
			item = map[string]any{}
			paths[path] = item
		}
		item[strings.ToLower(method)] = map[string]any{
			"tags": []any{"absent"}, "operationId": operationID(method, path), "x-role": "chat", "x-codes": []any{a.Code},
			"summary": a.Name + ": this version does not have it", "responses": map[string]any{},
		}
	}
}

func operationID(method, path string) string {
	words := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune("/-_{}.", r) })
	return strings.ToLower(method) + "_" + strings.Join(words, "_")
}

// keyed are the codes that every address with a key may answer.
var keyed = []string{fault.Unauthorized, fault.Forbidden, fault.InvalidRequest, fault.RateLimit, fault.StoreUnavailable, fault.InternalError}

// complete writes out what is the same for all operations: the key, parameters of
// the path, headers, and the errors by their status.
func complete(path, method string, o map[string]any) {
	if o["operationId"] == nil {
		o["operationId"] = operationID(method, path)
	}
	codes := texts(o["x-codes"])
	parameters, _ := o["parameters"].([]any)
	for _, part := range strings.Split(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			parameters = append(parameters, map[string]any{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
	}
	if o["x-role"] != nil {
		codes = append(codes, keyed...)
		o["security"] = []any{map[string]any{"key": []any{}}}
		parameters = append(parameters, ref("parameters/workspace"), ref("parameters/profile"))
		if method == "post" {
			parameters = append(parameters, ref("parameters/once"))
		}
	} else {
		o["security"] = []any{}
	}
	if len(parameters) > 0 {
		o["parameters"] = parameters
	}
	responses, _ := o["responses"].(map[string]any)
	byStatus := map[int][]string{}
	for _, code := range codes {
		entry, known := fault.Lookup(code)
		if !known {
			panic("proxy: document.yaml: " + path + ": no code " + code)
		}
		if !slices.Contains(byStatus[entry.Status], code) {
			byStatus[entry.Status] = append(byStatus[entry.Status], code)
		}
	}
	for status, list := range byStatus {
		slices.Sort(list)
		responses[fmt.Sprint(status)] = map[string]any{
			"description": strings.Join(list, ", "),
			"content":     map[string]any{"application/json": map[string]any{"schema": ref("schemas/Error")}},
		}
	}
	o["x-codes"] = slices.Sorted(slices.Values(codes))
	if len(codes) == 0 {
		delete(o, "x-codes")
	}
}

func ref(to string) map[string]any { return map[string]any{"$ref": "#/components/" + to} }

func texts(list any) []string {
	var out []string
	items, _ := list.([]any)
	for _, i := range items {
		out = append(out, i.(string))
	}
	return out
}
