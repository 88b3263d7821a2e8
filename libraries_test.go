package cadreen_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var libraryRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\|$")

// The page lists everything that is linked, and nothing that the module does not need, each under a licence that lets anybody
// link it.
func TestEveryLibraryOfTheProgramIsListedWithItsLicence(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", "./cmd/cadreen").Output()
	require.NoError(t, err)
	linked := strings.Fields(string(out))
	slices.Sort(linked)
	needed, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	text, err := os.ReadFile("docs/libraries.md")
	require.NoError(t, err)
	var listed []string
	for _, row := range libraryRow.FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, row[1])
		require.Contains(t, []string{"Apache-2.0", "MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause"}, row[2], row[1])
		require.Contains(t, string(needed), "\t"+row[1]+" v", "the module does not need it")
	}
	require.Subset(t, listed, slices.Compact(linked))
}
