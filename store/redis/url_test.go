package redis

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"cadreen/store"
)

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		url        string
		addrs      []string
		cluster    bool
		master     string
		user, pass string
		db         int
		tls        bool
	}{
		{url: "redis://h", addrs: []string{"h:6379"}},
		{url: "redis://h:1/2", addrs: []string{"h:1"}, db: 2},
		{url: "redis://h/", addrs: []string{"h:6379"}},
		{url: "redis://:secret@h", addrs: []string{"h:6379"}, pass: "secret"},
		{url: "redis://u:p%40%2F%3A%3F@h", addrs: []string{"h:6379"}, user: "u", pass: "p@/:?"},
		{url: "redis://u:a:b@h", addrs: []string{"h:6379"}, user: "u", pass: "a:b"},
		{url: "redis://[::1]:7", addrs: []string{"[::1]:7"}},
		{url: "redis://[::1]", addrs: []string{"[::1]:6379"}},
		{url: "redis://h?tls=true", addrs: []string{"h:6379"}, tls: true},
		{url: "rediss://h", addrs: []string{"h:6379"}, tls: true},
		{url: "rediss://h?tls=true", addrs: []string{"h:6379"}, tls: true},
		{url: "redis+cluster://h1", addrs: []string{"h1:6379"}, cluster: true},
		{url: "redis+cluster://u:p@h1,h2:7,[::1]?tls=true", addrs: []string{"h1:6379", "h2:7", "[::1]:6379"}, cluster: true, user: "u", pass: "p", tls: true},
		{url: "redis+sentinel://m@h1,h2", addrs: []string{"h1:26379", "h2:26379"}, master: "m"},
		{url: "redis+sentinel://u:p@m@h1:9/4?tls=1", addrs: []string{"h1:9"}, master: "m", user: "u", pass: "p", db: 4, tls: true},
	} {
		o, err := parse(c.url)
		require.NoError(t, err, c.url)
		require.Equal(t, c.addrs, o.Addrs, c.url)
		require.Equal(t, c.cluster, o.IsClusterMode, c.url)
		require.Equal(t, c.master, o.MasterName, c.url)
		require.Equal(t, c.user, o.Username, c.url)
		require.Equal(t, c.pass, o.Password, c.url)
		require.Equal(t, c.db, o.DB, c.url)
		require.Equal(t, c.tls, o.TLSConfig != nil, c.url)
		require.Equal(t, maintnotifications.ModeDisabled, o.MaintNotificationsConfig.Mode)
	}
	o, err := parse("redis+sentinel://m@h?pool_size=7&dial_timeout=1s&read_timeout=2s&sentinel_username=su&sentinel_password=sp")
	require.NoError(t, err)
	require.Equal(t, 7, o.PoolSize)
	require.Equal(t, time.Second, o.DialTimeout)
	require.Equal(t, 2*time.Second, o.ReadTimeout)
	require.Equal(t, 2*time.Second, o.WriteTimeout)
	require.Equal(t, "su", o.SentinelUsername)
	require.Equal(t, "sp", o.SentinelPassword)
}

func TestMistakesInAddressesAreNamedAndKeepTheSecret(t *testing.T) {
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(noPEM, []byte("nothing"), 0o600))
	for url, says := range map[string]string{
		"":                                             "begins with redis://",
		"localhost:6379":                               "begins with redis://",
		"http://u:s3cret@h":                            `scheme "http"`,
		"redis://":                                     "a host is missing",
		"redis://u:s3cret@":                            "a host is missing",
		"redis://u:s3cret@h:port":                      "host:port",
		"redis://u:s3cret@h:0":                         "host:port",
		"redis://u:s3cret@:6379":                       "host",
		"redis://u:s3cret@a,b":                         "several hosts",
		"redis://u:s3cret@a/x":                         "database",
		"redis://u:s3cret@a/-1":                        "database",
		"redis://u:s3cret%zz@a":                        "percent-encoded",
		"redis://u:s3cret@more@a":                      "percent-encoded",
		"redis://u:s3cret#more@a":                      "percent-encoded",
		"redis+cluster://u:s3cret@a,,b":                "a host is missing",
		"redis+cluster://u:s3cret@a/1":                 "no databases",
		"redis+sentinel://a,b":                         "master's name",
		"redis+sentinel://u:s3cret@a":                  "master's name",
		"redis://u:s3cret@a?tls=maybe":                 "tls",
		"rediss://u:s3cret@a?tls=false":                "tls",
		"redis://u:s3cret@a?tls_ca=/nowhere/x":         "tls_ca",
		"rediss://u:s3cret@a?tls_ca=/nowhere/x":        "no such file",
		"rediss://u:s3cret@a?tls_ca=" + noPEM:          "no PEM",
		"redis://u:s3cret@a?pool_size=0":               "pool_size",
		"redis://u:s3cret@a?read_timeout=3":            "read_timeout",
		"redis://u:s3cret@a?dial_timeout=1h":           "dial_timeout",
		"redis://u:s3cret@a?colour=red":                `"colour"`,
		"redis://u:s3cret@a?%zz":                       "parameters",
		"redis://a?sentinel_password=s3cret":           "sentinel",
		"redis+sentinel://u:s3cret@m@a?sentinel_pass=": `"sentinel_pass"`,
	} {
		_, err := Open(t.Context(), url)
		require.ErrorIs(t, err, store.ErrInvalid, url)
		require.ErrorContains(t, err, says, url)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("redis+sentinel://u:p@m@h1:9,[::1]/4?tls=1&pool_size=3")
	f.Fuzz(func(t *testing.T, url string) {
		o, err := parse(url)
		if err != nil {
			require.ErrorIs(t, err, store.ErrInvalid)
			return
		}
		require.NotEmpty(t, o.Addrs)
	})
}
