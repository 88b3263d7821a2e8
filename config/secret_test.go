package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestASecretIsNeverPrinted(t *testing.T) {
	const text = "hunter2hunter2"
	c := &Config{
		Backend: Backend{APIKey: NewSecret(text), URL: NewURL("https://x/v1?key=" + text)},
		Store:   Store{URL: NewURL("redis://u:" + text + "@h:1/0")},
		Keys:    []Key{{Name: "n", Key: NewSecret(text)}},
	}
	hidden := struct{ inner Secret }{NewSecret(text)}
	var printed []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10v", "%p"} {
		for _, v := range []any{c.Backend.APIKey, &c.Backend.APIKey, c.Store.URL, *c, c, c.Keys, hidden, []any{c.Keys[0].Key}, map[string]Secret{"a": c.Backend.APIKey}} {
			printed = append(printed, fmt.Sprintf(verb, v))
		}
	}
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		out, err := marshal(c)
		require.NoError(t, err)
		printed = append(printed, string(out))
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", c.Backend.APIKey, "url", c.Store.URL, "all", *c)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", c.Backend.APIKey, "url", c.Store.URL, "all", *c)
	printed = append(printed, log.String())
	inHex := fmt.Sprintf("%x", text)
	for _, p := range printed {
		require.NotContains(t, p, text)
		require.NotContains(t, strings.ToLower(p), inHex)
	}
	require.Equal(t, text, c.Backend.APIKey.Reveal())
	require.Equal(t, "[redacted]", c.Backend.APIKey.String())
	require.Equal(t, `"[redacted]"`, fmt.Sprintf("%#v", c.Backend.APIKey))
	require.Equal(t, `"[redacted]"`, c.Backend.APIKey.GoString())
	require.Equal(t, "", Secret{}.String())
	require.True(t, NewSecret("").IsZero())
}

func TestAnAddressIsShownWithoutItsPassword(t *testing.T) {
	for give, want := range map[string]string{
		"sqlite:cadreen-data/cadreen.db":         "sqlite:cadreen-data/cadreen.db",
		"redis://127.0.0.1:6379/0":               "redis://127.0.0.1:6379/0",
		"redis://:pw@h:1/0":                      "redis://[redacted]@h:1/0",
		"redis://u:p/w@h:1/0":                    "redis://[redacted]@h:1/0",
		"redis://u:p@w@h:1":                      "redis://[redacted]@h:1",
		"rediss://u:pw@h1,h2?password=x":         "rediss://[redacted]@h1,h2?[redacted]",
		"redis+sentinel://mymaster@h1,h2":        "redis+sentinel://mymaster@h1,h2",
		"redis+sentinel://u:pw@mymaster@h1:2,h2": "redis+sentinel://[redacted]@h1:2,h2",
		"https://api.openai.com/v1":              "https://api.openai.com/v1",
		"":                                       "",
	} {
		require.Equal(t, want, NewURL(give).String())
		require.Equal(t, want, fmt.Sprint(NewURL(give)))
		require.Equal(t, give, NewURL(give).Reveal())
	}
}

func TestSecretsFromVariablesAndFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	key := file("key", "sk-from-file\r\n")
	odd := file("odd", "pw${NOT}x")
	environ := []string{"PW=p$w", "WHOLE=file:" + key, "REDIS=redis://h:1", "ODD=${PW}"}

	ok := map[string]string{
		"${PW}": "p$w", "a${PW}b${PW}": "ap$wbp$w", "file:" + key: "sk-from-file", "file:" + odd: "pw${NOT}x", "plain": "plain", "$PW": "$PW",
		"${WHOLE}": "file:" + key, "${ODD}": "${PW}", // what a variable holds is not looked into again
	}
	for give, want := range ok {
		for _, load := range []func() (*Config, error){
			func() (*Config, error) { return Load(write(t, "backend:\n  api_key: '"+give+"'\n"), environ) },
			func() (*Config, error) { return Load("", append(environ, "CADREEN_BACKEND_API_KEY="+give)) },
		} {
			c, err := load()
			require.NoError(t, err, give)
			require.Equal(t, want, c.Backend.APIKey.Reveal(), give)
		}
	}

	c, err := Load(write(t, "store: {url: '${REDIS}/3'}\nkeys: [{key: 'sk_cadreen_${PW}_0123'}]\n"), environ)
	require.NoError(t, err)
	require.Equal(t, "redis://h:1/3", c.Store.URL.Reveal())
	require.Equal(t, "sk_cadreen_p$w_0123", c.Keys[0].Key.Reveal())

	bad := map[string]string{
		"${MISSING}":                       "names the variable MISSING, which is not set",
		"${PW":                             "has ${ without }",
		"${P W}":                           "has ${…} around something that is not the name of a variable",
		"${}":                              "has ${…} around something that is not the name of a variable",
		"file:" + dir + "/none":            "names a file that cannot be read",
		"file:" + dir:                      "names a file that cannot be read",
		"file:" + file("empty", "\n"):      "which is empty",
		"file:" + file("two", "a\nb\n"):    "holds a blank, a line end",
		"file:" + file("long", long(70e3)): "which is longer than 64 KiB",
	}
	for give, want := range bad {
		got := problems(t, "backend:\n  api_key: '"+give+"'\n", environ...)
		require.Len(t, got, 1, give)
		require.Contains(t, got[0], "cadreen.yaml:2: backend.api_key: ")
		require.Contains(t, got[0], want)
	}
}

func long(n int) string { return strings.Repeat("x", n) }
