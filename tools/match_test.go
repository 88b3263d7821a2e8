package tools

import (
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

func TestMatchingTools(t *testing.T) {
	list := []governance.Tool{{Name: "process_refund"}, {Name: "sendEmail"}, {Name: "get_order_status"}, {Name: "delete_account"}, {Name: "get"}, {Name: "block_user"}}
	for _, tt := range []struct {
		task string
		want []string
	}{
		{"Refund order 456", []string{"process_refund", "get_order_status"}},
		{"refunding the customer", []string{"process_refund"}},
		{"email Ann, then delete her account", []string{"delete_account", "sendEmail"}},
		{"What is the order of the refund?", []string{"process_refund", "get_order_status"}},
		{"Deleting accounts", []string{"delete_account"}},
		{"block the user of the refund", []string{"block_user", "process_refund"}},
		{"get the list", nil},
		{"funds", nil},
		{"", nil},
	} {
		t.Run(tt.task, func(t *testing.T) {
			var names []string
			for _, m := range Matching(list, tt.task) {
				names = append(names, m.Tool.Name)
				require.NotEmpty(t, m.On)
				require.Greater(t, m.Score, 0.0)
				require.LessOrEqual(t, m.Score, 1.0)
			}
			require.Equal(t, tt.want, names)
		})
	}
}
