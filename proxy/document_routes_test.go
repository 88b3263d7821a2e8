package proxy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
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

// Every address of the document stands in a page of docs/, and every address that
// a page names as one of the API is in the document.
func TestThePagesNameEveryRoute(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	named := map[string]string{}
	span := regexp.MustCompile("`(GET|POST|PUT|PATCH|DELETE) ({base})?(/[^`? ]*)[^`]*`")
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range span.FindAllStringSubmatch(string(text), -1) {
			path := regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(m[3], "{id}")
			named[m[1]+" "+path] = page
		}
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(document(), &doc))
	described := map[string]bool{}
	for path, item := range doc.Paths {
		for method := range item {
			if isMethod(method) {
				described[strings.ToUpper(method)+" "+regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(path, "{id}")] = true
			}
		}
	}
	for route := range described {
		if named[route] == "" {
			t.Errorf("no page of docs/ names %s", route)
		}
	}
	for route, page := range named {
		for _, base := range bases {
			route = strings.Replace(route, " "+base+"/", " /", 1)
		}
		if !described[route] {
			t.Errorf("%s names %s, which the document does not have", page, route)
		}
	}
}
