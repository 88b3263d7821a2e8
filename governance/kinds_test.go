package governance_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

// checkKinds reads names.tsv: name, kind, argument names, description.
func checkKinds(t *testing.T, table string) {
	rows := 0
	for line := range strings.Lines(table) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cells := append(strings.Split(line, "\t"), "", "")
		tool := governance.Tool{Type: "function", Name: cells[0], Description: cells[3]}
		if cells[2] != "" {
			properties := map[string]any{}
			for _, name := range strings.Split(cells[2], ",") {
				properties[name] = map[string]string{"type": "string"}
			}
			schema, err := json.Marshal(map[string]any{"type": "object", "properties": properties})
			require.NoError(t, err)
			tool.Schema = schema
		}
		rows++
		if got := governance.GuessKind(tool); string(got) != cells[1] {
			t.Errorf("%s is %s, should be %s", line, got, cells[1])
		}
	}
	require.GreaterOrEqual(t, rows, 150)
}

func TestAToolWhoseSchemaCannotBeReadIsNoRead(t *testing.T) {
	require.Equal(t, governance.KindUnknown, governance.GuessKind(governance.Tool{Name: "get_order", Schema: []byte(`{"properties":[`)}))
}
