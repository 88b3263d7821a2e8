package governance_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
	"cadreen/store/storetest"
)

// One released call: decided, committed with its record and evidence, and, with a
// rule that counts, read from and written to the ledger.
func benchLedger(b *testing.B, engine store.Engine) {
	for name, when := range map[string]string{
		"without": `args.amount > 100`,
		"counted": `count("pay", "24h", args.customer) > 1000000 || total("pay", "amount", "24h", requester.id) > 1000000000`,
	} {
		b.Run(name, func(b *testing.B) {
			desk := governance.NewDesk(engine, limits(b, governance.Rule{ID: "limit", Tools: []string{"pay"}, When: []governance.Line{{If: when, Effect: governance.Confirm}}}), governance.DeskOptions{})
			n := 0
			for b.Loop() {
				n++
				plan, err := desk.Plan(b.Context(), payTurn(fmt.Sprint(n), alice, fmt.Sprintf(`{"customer":"C%d","amount":1}`, n%50)))
				require.NoError(b, err)
				out, err := desk.CommitWith(b.Context(), plan, func() governance.Asked { return governance.Asked{} })
				require.NoError(b, err)
				require.Len(b, out.Calls, 1)
			}
		})
	}
}

func BenchmarkLedgerOnSQLite(b *testing.B) {
	engine, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "desk.db"))
	require.NoError(b, err)
	b.Cleanup(func() { _ = engine.Close() })
	benchLedger(b, engine)
}

func BenchmarkLedgerOnRedis(b *testing.B) {
	engine, err := redis.Open(b.Context(), "redis://"+storetest.RedisServer(b))
	require.NoError(b, err)
	b.Cleanup(func() { _ = engine.Close() })
	benchLedger(b, engine)
}
