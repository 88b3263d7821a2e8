package tools_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/tools"
)

func TestProviderExecutedToolsAreKeptApart(t *testing.T) {
	var c tools.Catalogue
	for _, tool := range []governance.Tool{{Type: "function", Name: "read"}, {Type: "web_search"}, {Type: "custom", Name: "sql"},
		{Type: "code_interpreter", Name: "read"}} {
		c.Offer(tool)
	}
	require.Equal(t, []string{"web_search", "code_interpreter"}, c.Hosted())
	require.Equal(t, map[string]governance.Tool{"read": {Type: "function", Name: "read"}, "sql": {Type: "custom", Name: "sql"}}, c.ByName())
}

func TestAnEmptyCatalogueOffersNothing(t *testing.T) {
	var c tools.Catalogue
	require.Empty(t, c.Hosted())
	require.Empty(t, c.ByName())
}
