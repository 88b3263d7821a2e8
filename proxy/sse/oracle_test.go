package sse

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	gosse "github.com/tmaxmax/go-sse"
	"pgregory.net/rapid"
)

// On streams that are well formed, another reader finds the same events.
func TestGoSSEFindsTheSameEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		eol := rapid.SampledFrom([]string{"\n", "\r\n", "\r"}).Draw(t, "eol")
		if rapid.Bool().Draw(t, "mark") {
			b.WriteString("\ufeff")
		}
		for range rapid.IntRange(0, 6).Draw(t, "frames") {
			for range rapid.IntRange(1, 4).Draw(t, "lines") {
				b.WriteString(rapid.SampledFrom([]string{"data: ", "data:", "event: ", ": ", "id: ", "retry: ", "data: {}", "data"}).Draw(t, "field"))
				b.WriteString(rapid.StringMatching(`[a-zü😀0-9]{0,6}`).Draw(t, "value"))
				b.WriteString(eol)
			}
			b.WriteString(eol)
		}
		type event struct{ Type, Data string }
		var want, got []event
		gosse.Read(strings.NewReader(b.String()), nil)(func(e gosse.Event, err error) bool {
			require.NoError(t, err)
			want = append(want, event{e.Type, e.Data})
			return true
		})
		for _, f := range whole(t, b.String()) {
			require.True(t, f.Complete || f.Raw == "\ufeff")
			// go-sse also gives out events that have a name or an id alone.
			if f.HasData || f.Event != "" {
				got = append(got, event{f.Event, f.Data})
			}
		}
		keepData := func(list []event) (some []event) {
			for _, e := range list {
				if e.Data != "" {
					some = append(some, e)
				}
			}
			return some
		}
		require.Equal(t, keepData(want), keepData(got))
	})
}
