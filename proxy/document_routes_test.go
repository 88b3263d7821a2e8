package proxy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every address that is served is in the document, and the other way round.
func TestTheDocumentHasEveryRoute(t *testing.T) {
	st := start(t, echoBody)
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(document(), &doc))
	described := map[string]bool{}
	for path, item := range doc.Paths {
		_, own := item["servers"]
		for method := range item {
			if isMethod(method) {
				key := strings.ToUpper(method) + " " + path
				if !own {
					key = strings.ToUpper(method) + " {base}" + path
				}
				described[key] = true
			}
		}
	}
	served := map[string]bool{}
	for _, r := range st.server.echo.Routes() {
		if !isMethod(strings.ToLower(r.Method)) {
			continue // HEAD is as GET
		}
		path := r.Path
		for _, base := range bases {
			if rest, ok := strings.CutPrefix(path, base+"/"); ok {
				path = "{base}/" + rest
				break
			}
		}
		if slices.Contains([]string{"/chat/completions", "/models"}, path) {
			path = "{base}" + path // they answer without a base too
		}
		parts := strings.Split(path, "/")
		for i, part := range parts {
			if name, ok := strings.CutPrefix(part, ":"); ok {
				parts[i] = "{" + name + "}"
			}
		}
		served[r.Method+" "+strings.Join(parts, "/")] = true
	}
	for route := range served {
		require.True(t, described[route], "%s is served and not in document.yaml: add it", route)
	}
	for route := range described {
		require.True(t, served[route], "%s is in document.yaml and not served", route)
	}
}
