package redis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
	"cadreen/store/storetest"
)

func TestTheSuiteOnOneServer(t *testing.T) {
	addr := storetest.RedisServer(t)
	storetest.Run(t, func(t *testing.T) store.Engine { return open(t, "redis://"+addr+"/3") })
}

func TestTheSuiteOnACluster(t *testing.T) {
	url := clusterURL(storetest.RedisCluster(t))
	storetest.Run(t, func(t *testing.T) store.Engine { return open(t, url) })
}

func open(t testing.TB, url string, opts ...Option) *Engine {
	t.Helper()
	e, err := Open(t.Context(), url, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

func clusterURL(nodes []*storetest.RedisProcess) string {
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, n.Addr)
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}
