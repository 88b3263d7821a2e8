package fault

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The errors page says of each code whether this version sends it. A code that some room's code names is sent; one that none
// names is not. internal_error is also what From makes of everything else.
func TestServedIsTrueOfExactlyTheCodesThatAreSent(t *testing.T) {
	constants := constantNames(t)
	sent := map[string]bool{InternalError: true}
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() {
			if name == "node_modules" || name == "testdata" || name == "fault" || (strings.HasPrefix(name, ".") && name != "..") {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			collectCodes(t, path, constants, sent)
		}
		return nil
	}))
	for _, a := range Absences() {
		sent[a.Code] = true
	}
	for _, e := range Catalogue() {
		if e.Served != sent[e.Code] {
			t.Errorf("%s: served is %t in catalogue.json, but sent by the code is %t; mend the catalogue and run: make docs", e.Code, e.Served, sent[e.Code])
		}
	}
}

// collectCodes notes every fault.X of a file whose X is the constant of a code.
func collectCodes(t *testing.T, path string, constants map[string]string, sent map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if from, ok := selector.X.(*ast.Ident); ok && from.Name == "fault" {
			if code, known := constants[selector.Sel.Name]; known {
				sent[code] = true
			}
		}
		return true
	})
}

// constantNames maps the name of each constant in codes.go to its code.
func constantNames(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	require.NoError(t, err)
	names := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		require.Len(t, spec.Names, 1)
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		names[spec.Names[0].Name] = code
		return true
	})
	return names
}
