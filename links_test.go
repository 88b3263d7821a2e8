package cadreen_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	codeSpan     = regexp.MustCompile("`[^`\n]*`")
	heading      = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)
	anchorTag    = regexp.MustCompile(`<a id="([^"]+)">`)
	notInSlug    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// A link inside the project must lead to a file that is there, and to a heading that is in it.
func TestLinksInTheDocumentsLeadSomewhere(t *testing.T) {
	checked := 0
	for _, page := range pages(t) {
		checked += checkLinks(t, page)
	}
	require.NotZero(t, checked)
}

func checkLinks(t *testing.T, page string) int {
	t.Helper()
	prose, _ := readPage(t, page) // in code, brackets are not links
	links := markdownLink.FindAllStringSubmatch(codeSpan.ReplaceAllString(prose, ""), -1)
	for _, link := range links {
		target := link[1]
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(target, "#")
		there := page
		if file != "" {
			there = filepath.Join(filepath.Dir(page), filepath.FromSlash(file))
		}
		if _, err := os.Stat(there); err != nil {
			t.Errorf("%s: the link %s leads nowhere", page, target)
			continue
		}
		if anchor != "" && strings.HasSuffix(there, ".md") && !anchors(t, there)[anchor] {
			t.Errorf("%s: %s has no heading #%s", page, there, anchor)
		}
	}
	return len(links)
}

// anchors are the names that a link into a page may end in: its headings as they are usually turned into ids, and ids set by hand.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	prose, _ := readPage(t, page)
	found := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(prose, -1) {
		slug := notInSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		found[strings.ReplaceAll(slug, " ", "-")] = true
	}
	for _, m := range anchorTag.FindAllStringSubmatch(prose, -1) {
		found[m[1]] = true
	}
	return found
}
