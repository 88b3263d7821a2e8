package fault

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/errors.md anew")

func TestCatalogueHasTheSeventyFourCodes(t *testing.T) {
	list := Catalogue()
	require.Len(t, list, 74)
	seen := map[string]bool{}
	for _, e := range list {
		require.False(t, seen[e.Code], "%s stands twice", e.Code)
		seen[e.Code] = true
		require.NotEmpty(t, e.Message, e.Code)
		require.NotEmpty(t, e.Hint, e.Code)
		require.NotEmpty(t, e.Subsystem, e.Code)
		require.NotEmpty(t, e.Next.Type, e.Code)
		require.NotEmpty(t, e.Next.Label, e.Code)
		found, ok := Lookup(e.Code)
		require.True(t, ok)
		require.Equal(t, e, found)
	}
	_, ok := Lookup("no_such_code")
	require.False(t, ok)
}

func TestTypeFollowsTheStatus(t *testing.T) {
	want := map[int]string{
		400: "invalid_request", 401: "authentication_error", 403: "permission_error", 404: "not_found", 409: "conflict",
		422: "validation_error", 429: "rate_limit", 500: "internal_error", 503: "service_unavailable",
	}
	for _, e := range Catalogue() {
		require.Equal(t, want[e.Status], e.Type, e.Code)
	}
}

// How many codes each status has in the public table; a code that slips to another status changes what SDKs retry.
func TestStatusCounts(t *testing.T) {
	counts := map[int]int{}
	for _, e := range Catalogue() {
		counts[e.Status]++
	}
	require.Equal(t, map[int]int{400: 9, 401: 1, 403: 4, 404: 8, 422: 3, 429: 1, 500: 32, 503: 16}, counts)
}

// A code is reached through its constant; a constant that is not in the catalogue would panic on its first use.
func TestConstantsEqualTheCatalogue(t *testing.T) {
	var constants []string
	for _, code := range constantNames(t) {
		constants = append(constants, code)
	}
	var codes []string
	for _, e := range Catalogue() {
		codes = append(codes, e.Code)
	}
	slices.Sort(constants)
	slices.Sort(codes)
	require.Equal(t, codes, constants)
}

func TestTheCodesOfASubsystemStandTogether(t *testing.T) {
	served := map[string]bool{}
	for _, s := range sections() {
		_, twice := served[s.Name]
		require.False(t, twice, "the codes of %s do not stand together", s.Name)
		served[s.Name] = s.Served
	}
	require.True(t, served["governance"])
	require.False(t, served["memory"])
}

func TestCatalogueReturnsACopy(t *testing.T) {
	Catalogue()[0].Code = "changed"
	require.NotEqual(t, "changed", Catalogue()[0].Code)
}

func TestDocsErrorsIsUpToDate(t *testing.T) {
	path := filepath.Join("..", "docs", "errors.md")
	if *update {
		require.NoError(t, os.WriteFile(path, Markdown(), 0o644))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(Markdown()), string(have), "run: go test ./fault -update")
}

func TestMarkdownTablesAreWhole(t *testing.T) {
	rows := 0
	for line := range strings.Lines(string(Markdown())) {
		if strings.HasPrefix(line, "| ") {
			require.Equal(t, 7, strings.Count(line, "|"), line)
			rows++
		}
	}
	require.Equal(t, 74+len(sections()), rows)
}

func TestPageHasAnAnchorForEveryCodeAndNoOutsideAsset(t *testing.T) {
	page := string(Page())
	for _, e := range Catalogue() {
		require.Equal(t, 1, strings.Count(page, `id="`+e.Anchor()+`"`), e.Code)
	}
	for _, outside := range []string{"http://", "https://", "src=", "<link", "<script", "@import", "url("} {
		require.NotContains(t, page, outside)
	}
	require.Contains(t, page, "<code>Authorization: Bearer &lt;api_key&gt;</code>")
	require.Contains(t, page, notServed)
}

func TestCatalogueFileHasNoUnknownField(t *testing.T) {
	dec := json.NewDecoder(strings.NewReader(string(catalogueJSON)))
	dec.DisallowUnknownFields()
	var list []Entry
	require.NoError(t, dec.Decode(&list))
}
