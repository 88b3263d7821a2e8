package cadreen_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// block is one fenced code block of a page.
type block struct {
	Page     string
	Line     int // of the opening fence
	Language string
	Note     string // the comment on the line before the fence
	Text     string // ends with a line end
}

// plain says that the block is a policy that says what it means in sentences alone.
func (b block) plain() bool {
	return b.Language == "yaml" && strings.Contains(b.Text, "\nrules:\n") && !strings.Contains(b.Text, "when:")
}

// readPage splits a page into its prose, line numbers kept, and its code blocks. Fences are ``` and ~~~ of any length.
func readPage(t *testing.T, page string) (prose string, blocks []block) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	var b strings.Builder
	var open *block
	var fence, before string
	for i, line := range strings.Split(string(text), "\n") {
		mark := line[:len(line)-len(strings.TrimLeft(line, "`~"))]
		switch {
		case open == nil && len(mark) >= 3:
			blocks = append(blocks, block{Page: page, Line: i + 1, Language: line[len(mark):], Note: before})
			open, fence = &blocks[len(blocks)-1], mark
			line = ""
		case open != nil && strings.HasPrefix(mark, fence) && strings.TrimSpace(line) == mark:
			open, line = nil, ""
		case open != nil:
			open.Text += line + "\n"
			line = ""
		}
		b.WriteString(line + "\n")
		before = strings.TrimSuffix(strings.TrimPrefix(line, "<!-- "), " -->")
	}
	require.Nil(t, open, "%s: a code block is not closed", page)
	return b.String(), blocks
}

// pages are all documents of the project.
func pages(t *testing.T) []string {
	t.Helper()
	var list []string
	eachFolder(t, func(dir string) {
		found, err := filepath.Glob(filepath.Join(dir, "*.md"))
		require.NoError(t, err)
		list = append(list, found...)
	})
	require.NotEmpty(t, list)
	return list
}

// blocksOf are the code blocks of one language, of all pages.
func blocksOf(t *testing.T, language string) []block {
	t.Helper()
	var list []block
	for _, page := range pages(t) {
		_, blocks := readPage(t, page)
		for _, b := range blocks {
			if b.Language == language {
				list = append(list, b)
			}
		}
	}
	require.NotEmpty(t, list, "no block of the language %s", language)
	return list
}

// A block in a language that no test knows is a block that nobody runs.
func TestEveryCodeBlockIsOfAKindThatIsTested(t *testing.T) {
	for _, page := range pages(t) {
		_, blocks := readPage(t, page)
		for _, b := range blocks {
			switch b.Language {
			case "sh", "yaml", "json", "js", "go", "text":
			case "python": // read by people only: the tests need no Python
			default:
				t.Errorf("%s:%d: the language %q is none of sh, yaml, json, js, go, python, text", b.Page, b.Line, b.Language)
			}
		}
	}
}
