package cadreen_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Files of deploy that docs/deploy.md shows are shown as they are, all of them. cmd/cadreen holds them against the program.
func TestTheDeployPageShowsTheFilesAsTheyAre(t *testing.T) {
	_, blocks := readPage(t, filepath.Join("docs", "deploy.md"))
	shown := map[string]bool{}
	for _, b := range blocks {
		if !b.shownFile() {
			continue
		}
		file, err := os.ReadFile(filepath.FromSlash(b.Note))
		require.NoError(t, err, "%s:%d", b.Page, b.Line)
		require.Equal(t, string(file), b.Text, "%s:%d", b.Page, b.Line)
		shown[b.Note] = true
	}
	files, err := filepath.Glob(filepath.Join("deploy", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		require.True(t, shown[filepath.ToSlash(file)], "%s is not shown", file)
	}
}

// shownFile says that the block is a file of the folder deploy.
func (b block) shownFile() bool { return strings.HasPrefix(b.Note, "deploy/") }
