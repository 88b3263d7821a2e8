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

// The page lists exactly what is linked, each under a licence that lets anybody link it.
func TestEveryLibraryOfTheProgramIsListedWithItsLicence(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", "./cmd/cadreen").Output()
	require.NoError(t, err)
	linked := strings.Fields(string(out))
	slices.Sort(linked)
	text, err := os.ReadFile("docs/libraries.md")
	require.NoError(t, err)
	var listed []string
	for _, row := range libraryRow.FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, row[1])
		require.Contains(t, []string{"Apache-2.0", "MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause"}, row[2], row[1])
	}
	slices.Sort(listed)
	require.Equal(t, slices.Compact(linked), listed)
}
