package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnEventArrivesWhenItsLastByteDoes(t *testing.T) {
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	tests := map[string]struct {
		pieces []string // 10 ms apart
		events []int    // ms
		gaps   []int
	}{
		"one each":               {[]string{"data: a\n\n", "data: b\n\n"}, []int{0, 10}, []int{10}},
		"two in one read":        {[]string{"data: a\n\ndata: b\n\n", "data: c\n\n"}, []int{0, 0, 10}, []int{0, 10}},
		"over two reads":         {[]string{"data: a", "\n\ndata: b\n\n"}, []int{10, 10}, []int{0}},
		"the line end divided":   {[]string{"data: a\n", "\ndata: b\n", "\n"}, []int{10, 20}, []int{10}},
		"the line end by itself": {[]string{"data: a", "\n", "\n", "data: b\n\n"}, []int{20, 30}, []int{10}},
		"an empty read":          {[]string{"data: a\n", "", "\n"}, []int{20}, nil},
		"cut":                    {[]string{"data: a\n\n", "data: b\n"}, []int{0}, nil},
		"nothing":                {nil, nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var a arrivals
			for i, piece := range tt.pieces {
				a.saw([]byte(piece), at(10*i))
			}
			var events []time.Time
			for _, ms := range tt.events {
				events = append(events, at(ms))
			}
			require.Equal(t, events, a.at)
			var gaps []time.Duration
			for _, ms := range tt.gaps {
				gaps = append(gaps, time.Duration(ms)*time.Millisecond)
			}
			require.Equal(t, gaps, a.gaps())
		})
	}
}

const (
	calledFor = `{"id":"call_1","type":"function","function":{"name":"get_order","arguments":"{\"amount\": 2050.00}"}}`
	askedFor  = `{"choices":[{"message":{"role":"assistant","content":"I need \"it\"."},"finish_reason":"stop"}],"gate":"needs_input"}`
)

func TestAQuestionIsReadAsTheModelsClientWould(t *testing.T) {
	said, err := questionIn([]byte(askedFor))
	require.NoError(t, err)
	require.Equal(t, `"I need \"it\"."`, string(said))
	for _, body := range []string{`{`, `{"choices":[]}`, `{"choices":[{"message":{"content":null}}]}`[:20],
		`{"choices":[{"message":{"content":"x y","tool_calls":[` + calledFor + `]}}]}`, `{"choices":[{"message":{"content":""}}]}`} {
		_, err := questionIn([]byte(body))
		require.Error(t, err, body)
	}
}

func TestAReleaseIsTheModelsCallCharacterForCharacter(t *testing.T) {
	reply := func(calls, finish string) []byte {
		return []byte(`{"choices":[{"message":{"content":null,"tool_calls":[` + calls + `]},"finish_reason":"` + finish + `"}]}`)
	}
	require.NoError(t, released(reply(calledFor, "tool_calls"), []byte(calledFor)))
	for name, body := range map[string][]byte{
		"a number written anew": reply(strings.Replace(calledFor, "2050.00", "2050", 1), "tool_calls"),
		"a blank lost":          reply(strings.Replace(calledFor, ": 2050", ":2050", 1), "tool_calls"),
		"two":                   reply(calledFor+","+calledFor, "tool_calls"),
		"another finish":        reply(calledFor, "stop"),
		"a question":            []byte(askedFor),
		"no JSON":               []byte("no"),
	} {
		require.Error(t, released(body, []byte(calledFor)), name)
	}
}
