package proxy

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// The document is a valid one of OpenAPI 3.1.
func TestTheDocumentIsOpenAPI(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(document())
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
}
