package cadreen_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hazards are the rows that docs/traps.md owes: A1 to H93 count on, the others have a count of their own.
func hazards() []string {
	var list []string
	for group, last := range []int{19, 31, 46, 56, 73, 82, 88, 93} {
		for len(list) < last {
			list = append(list, fmt.Sprintf("%c%d", 'A'+group, len(list)+1))
		}
	}
	for group, count := range map[string]int{"P": 23, "L": 8} {
		for i := range count {
			list = append(list, fmt.Sprint(group, i+1))
		}
	}
	return list
}

var (
	tableRow  = regexp.MustCompile(`(?m)^\| ([A-Z]\d+) \| (.+) \| (.+) \|$`)
	namedTest = regexp.MustCompile("`([a-z/]+)` ((?:Test|Fuzz)[A-Za-z0-9_]+)")
	testName  = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z][A-Za-z0-9_]+`)
)

// Every hazard has a row, and every row a test that exists or a reason.
func TestEveryTrapHasItsTestOrAReason(t *testing.T) {
	prose, _ := readPage(t, "docs/traps.md")
	var found []string
	for _, row := range tableRow.FindAllStringSubmatch(prose, -1) {
		found = append(found, row[1])
		require.NotEmpty(t, strings.TrimSpace(row[3]), "%s is held by nothing", row[1])
	}
	require.ElementsMatch(t, hazards(), found)
}

// Wherever a document names a test, with its folder before it, that test exists.
func TestTestsThatDocumentsNameExist(t *testing.T) {
	tests := map[string]map[string]bool{}
	for _, page := range []string{"docs/traps.md", "docs/guarantees.md"} {
		prose, _ := readPage(t, page)
		named := namedTest.FindAllStringSubmatch(prose, -1)
		require.NotEmpty(t, named, page)
		require.Len(t, testName.FindAllString(prose, -1), len(named), "%s names a test without its folder", page)
		for _, m := range named {
			folder, name := m[1], m[2]
			if tests[folder] == nil {
				tests[folder] = testsOf(t, folder)
			}
			if !tests[folder][name] {
				t.Errorf("%s names %s in %s, which has no such test", page, name, folder)
			}
		}
	}
}

// testsOf are the tests and fuzzers of a folder.
func testsOf(t *testing.T, folder string) map[string]bool {
	t.Helper()
	list := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				list[fn.Name.Name] = true
			}
		}
	}
	return list
}
