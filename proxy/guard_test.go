package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/proxy/keys"
)

func TestTheHintNamesEachRoleOnce(t *testing.T) {
	require.Contains(t, fault.From(lacks(keys.RoleReviewer)).Hint, "the role reviewer or operator (cadreen key create --role reviewer)")
	require.Contains(t, fault.From(lacks(keys.RoleOperator)).Hint, "the role operator (cadreen key create --role operator)")
}
