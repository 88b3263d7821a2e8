// Package cadreen_test holds the house rules that no single room can check: who may import whom, which library lives in which
// room, how folders are named, and that links in the documents lead somewhere.
package cadreen_test

import (
	"encoding/json"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "cadreen"

// mayImport lists, for each room, the rooms that its code may import. Tests may import more. A room that is not listed may not
// exist. A trailing /* stands for the rooms below, one level.
var mayImport = map[string][]string{
	"config":       {},
	"fault":        {},
	"store":        {},
	"store/sqlite": {"store"},
	"store/redis":  {"store"},
	"governance":   {"store", "fault"},
	"intelligence": {"store", "fault"},
	// The audit reads what others recorded, and imports none of them.
	"intelligence/audit": {"store"},
	"tools":              {"governance", "store", "fault"},
	"tools/*":            {"tools", "governance", "fault"},
	"conversations":      {"conversations/answer", "governance", "store", "fault"},
	// The reader of yes and no is a pure function; nothing of ours may make it depend on more than the text.
	"conversations/answer": {},
	"governance/cel":       {"governance"},
	"governance/rule":      {"governance", "governance/cel"},
	// The policies of workspaces: their versions in the store, and what decides by them.
	"governance/policies": {"governance", "store", "fault"},
	"proxy/openai":        {},
	"proxy/sse":           {},
	"proxy/lent":          {},
	// What an answer says crosses from conversations in the reader's own type, so its room counts as part of conversations.
	"proxy/*": {"proxy/openai", "proxy/sse", "proxy/lent", "proxy/backend", "conversations", "conversations/answer", "governance", "governance/policies", "tools", "intelligence", "intelligence/audit", "fault"},
	// Keys of requests are claimed in the store.
	"proxy/idempotency": {"fault", "store"},
	// Keys are kept in the store, and readiness asks whether it can write.
	"proxy/keys": {"governance", "fault", "store"},
	"proxy":      {"proxy/*", "conversations", "governance", "governance/policies", "tools", "intelligence", "intelligence/audit", "fault", "config", "store"},
	// The only place that knows every room.
	"cmd/*": {"*"},
	// What measures the program from outside runs it and imports none of it.
	"bench/*":       {},
	"bench/proxy/*": {},
}

// onlyForTests are rooms that exist to test others; no code that is shipped may import them. They may import what their
// neighbours may.
var onlyForTests = map[string][]string{
	"store/storetest": {"store"},
	"proxy/scripted":  {"proxy/openai", "proxy/sse"},
}

// home names the one room of a library that would otherwise spread.
var home = map[string]string{
	"github.com/labstack/echo":               "proxy",
	"github.com/redis/go-redis":              "store/redis",
	"cel.dev/cel-go":                         "governance/cel",
	"github.com/google/cel-go":               "governance/cel",
	"github.com/modelcontextprotocol/go-sdk": "tools/mcp",
	"modernc.org/sqlite":                     "store/sqlite",
}

// baseline names the one more place that may import a library: what the program is measured against.
var baseline = map[string]string{"github.com/labstack/echo": "bench/proxy/rawecho"}

// vague are names that say nothing about what a folder holds.
var vague = []string{"util", "utils", "common", "helper", "helpers", "model", "models", "type", "types", "internal", "misc", "shared"}

// room is one package of ours.
type room struct {
	Name    string // path below the module
	Imports []string
}

// rooms asks the Go tool for every package that has code outside tests.
func rooms(t *testing.T) []room {
	t.Helper()
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,GoFiles,CgoFiles,Imports", "./...").Output()
	require.NoError(t, err)
	var list []room
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct {
			ImportPath        string
			GoFiles, CgoFiles []string
			Imports           []string
		}
		require.NoError(t, dec.Decode(&p))
		if len(p.GoFiles)+len(p.CgoFiles) > 0 {
			list = append(list, room{Name: below(p.ImportPath), Imports: p.Imports})
		}
	}
	require.NotEmpty(t, list)
	return list
}

// below is the path inside the module, "" for the module itself.
func below(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

func ours(importPath string) bool {
	return importPath == module || strings.HasPrefix(importPath, module+"/")
}

// rule finds what a room may import: its own line, or that of its kind.
func rule(name string) ([]string, bool) {
	for _, key := range []string{name, path.Dir(name) + "/*"} {
		for _, table := range []map[string][]string{mayImport, onlyForTests} {
			if allowed, ok := table[key]; ok {
				return allowed, true
			}
		}
	}
	return nil, false
}

// allows matches a target with a list of rooms.
func allows(list []string, target string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, target) || slices.Contains(list, path.Dir(target)+"/*")
}

// wrongArrow says what is wrong with one import of a room, or "".
func wrongArrow(from, imported string) string {
	for library, at := range home {
		if (imported == library || strings.HasPrefix(imported, library+"/")) && from != at && from != baseline[library] {
			return from + " imports " + imported + ", which lives in " + at + " only"
		}
	}
	if !ours(imported) {
		return ""
	}
	target := below(imported)
	allowed, known := rule(from)
	_, testRoom := onlyForTests[target]
	switch {
	case !known:
		return from + " is not a room of the house: add it to mayImport"
	case testRoom:
		return from + " imports " + target + ", which exists for tests only"
	case !allows(allowed, target):
		return from + " imports " + target + ", which it may not"
	}
	return ""
}

func TestEveryArrowBetweenRoomsIsAllowed(t *testing.T) {
	for _, r := range rooms(t) {
		if _, known := rule(r.Name); !known {
			t.Errorf("%s is not a room of the house: add it to mayImport, with a reason", r.Name)
		}
		for _, imported := range r.Imports {
			if problem := wrongArrow(r.Name, imported); problem != "" {
				t.Error(problem)
			}
		}
	}
}

// The rule itself, held to examples, so that a slip in the table cannot let everything through.
func TestTheRuleOfArrows(t *testing.T) {
	tests := []struct {
		from, imported string
		allowed        bool
	}{
		{"cmd/cadreen", "cadreen/store/redis", true},
		{"proxy", "cadreen/proxy/chat", true},
		{"proxy", "cadreen/config", true},
		{"proxy", "cadreen/store", true},
		{"proxy/chat", "cadreen/store", false},
		{"proxy/chat", "cadreen/governance", true},
		{"proxy/chat", "cadreen/governance/cel", false},
		{"proxy/chat", "cadreen/proxy", false},
		{"proxy/chat", "cadreen/proxy/api", false},
		{"proxy/chat", "cadreen/config", false},
		{"proxy/sse", "cadreen/fault", false},
		{"governance", "cadreen/governance/cel", false},
		{"governance", "cadreen/conversations", false},
		{"governance/cel", "cadreen/governance", true},
		{"governance/cel", "cadreen/fault", false},
		{"conversations/answer", "cadreen/fault", false},
		{"store/redis", "cadreen/store", true},
		{"store/redis", "cadreen/store/sqlite", false},
		{"store", "cadreen/fault", false},
		{"config", "cadreen/fault", false},
		{"tools/mcp", "cadreen/tools", true},
		{"tools/mcp", "github.com/modelcontextprotocol/go-sdk/mcp", true},
		{"tools", "github.com/modelcontextprotocol/go-sdk/mcp", false},
		{"proxy", "github.com/labstack/echo/v4", true},
		{"proxy", "github.com/labstack/echo/v4/middleware", true},
		{"proxy/chat", "github.com/labstack/echo/v4", false},
		{"bench/proxy/rawecho", "github.com/labstack/echo/v4", true},
		{"bench/proxy/rawecho", "modernc.org/sqlite", false},
		{"bench/proxy", "github.com/labstack/echo/v4", false},
		{"bench/proxy", "cadreen/proxy", false},
		{"store", "modernc.org/sqlite", false},
		{"cmd/cadreen", "github.com/redis/go-redis/v9", false},
		{"cmd/cadreen", "cadreen/proxy/scripted", false},
		{"kitchen", "cadreen/fault", false},
		{"fault", "encoding/json", true},
		{"store/redis", "github.com/redis/go-redis-other", true},
	}
	for _, tt := range tests {
		problem := wrongArrow(tt.from, tt.imported)
		require.Equal(t, tt.allowed, problem == "", "%s -> %s: %s", tt.from, tt.imported, problem)
	}
}

func TestNoFolderHasAVagueName(t *testing.T) {
	eachFolder(t, func(dir string) {
		require.NotContains(t, vague, strings.ToLower(filepath.Base(dir)), dir)
	})
}

// eachFolder visits the folders of the project, without what was installed or is not ours.
func eachFolder(t *testing.T, visit func(dir string)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() {
			return nil
		}
		if base := entry.Name(); name != "." && (base == "node_modules" || base == "cadreen-data" || base == "bin" || (strings.HasPrefix(base, ".") && base != ".ci")) {
			return filepath.SkipDir
		}
		visit(name)
		return nil
	}))
}
