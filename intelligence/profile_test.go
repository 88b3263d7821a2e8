package intelligence

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Profile negotiation: quoted or not, among other media ranges, in any case.
func TestProfileOfAnAcceptHeader(t *testing.T) {
	for _, tt := range []struct {
		accept []string
		want   Profile
	}{
		{nil, Unnamed},
		{[]string{""}, Unnamed},
		{[]string{"application/json"}, Unnamed},
		{[]string{"*/*"}, Unnamed},
		{[]string{"text/event-stream"}, Unnamed},
		{[]string{"application/json; profile=lean"}, Lean},
		{[]string{`application/json; profile="full"`}, Full},
		{[]string{`application/json;profile=audit`}, Audit},
		{[]string{`application/json;PROFILE="Audit"`}, Audit},
		{[]string{`application/json;	profile = audit`}, Audit},    // blanks around = do no harm
		{[]string{`application/json; profile="f\\ull"`}, Unnamed}, // a quoted pair is kept as it is
		{[]string{"text/html, application/json; profile=lean"}, Lean},
		{[]string{"text/html", "application/json; profile=lean"}, Lean},
		{[]string{`text/plain; title="a, profile=full", application/json; profile=lean`}, Lean},
		{[]string{`text/plain; title="\", profile=full"; profile=audit`}, Audit},
		{[]string{"application/json; profile=lean; q=0.2, application/json; profile=full; q=0.9"}, Full},
		{[]string{"application/json; profile=lean, application/json; profile=full"}, Lean},
		{[]string{"application/json; profile=full; q=0"}, Unnamed},
		{[]string{"application/json; profile=full; q=x"}, Unnamed},
		{[]string{"application/json; profile=full; q=NaN"}, Unnamed},
		{[]string{"application/json; profile=full; q=7"}, Unnamed},
		{[]string{`application/json; profile="http://example.com/p"`}, Unnamed},
		{[]string{"application/json; profile=everything"}, Unnamed},
		{[]string{"application/json; profile=lean; profile=full"}, Unnamed}, // twice is no media type
		{[]string{"application/json; profile="}, Unnamed},
		{[]string{`application/json; profile="full`}, Unnamed},
		{[]string{",,;profile=full,"}, Unnamed},
	} {
		require.Equal(t, tt.want, ProfileOf(tt.accept), "%q", tt.accept)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { ProfileOf([]string{"application/json, text/event-stream"}) }))
}

func FuzzProfileOf(f *testing.F) {
	f.Add(`application/json; profile="full", text/*;q=0.1`)
	f.Fuzz(func(t *testing.T, accept string) {
		if p := ProfileOf([]string{accept}); p < Unnamed || p > Full {
			t.Fatal(p)
		}
	})
}
