package openai

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// agrees holds the one pass against the library, and against the reading of what the library has checked.
func agrees(t require.TestingT, b []byte) {
	nodes, fast := new(scanner).read(b, nil, strictly)
	err := check(b)
	var slow []node
	if err == nil {
		s := new(scanner)
		var shallow bool
		if slow, shallow = s.read(b, nil, again); !shallow {
			require.Equal(t, MaxDepth, deepest(b[:s.at]), "%q", b)
			err = deep(s.at)
		}
	}
	if fast {
		require.NoError(t, err, "%q is taken, and should not be", b)
		require.Equal(t, slow, nodes, "%q", b)
	}
	d, scanned := scan(b, nil)
	require.Equal(t, fmt.Sprint(err), fmt.Sprint(scanned))
	if err == nil {
		require.Equal(t, slow, d.nodes)
	}
}

// deepest is how many objects and arrays are open at the end of a part of a document that is right.
func deepest(b []byte) (open int) {
	for at := 0; at < len(b); at++ {
		switch b[at] {
		case '"':
			at += 1 + StringEnd(b[at+1:])
		case '{', '[':
			open++
		case '}', ']':
			open--
		}
	}
	return open
}

func FuzzScan(f *testing.F) {
	for _, s := range documents {
		f.Add([]byte(s))
	}
	for _, s := range []string{``, ` `, `{`, `{}`, ` {} `, `{} x`, `[]`, `{"a":1,"a":2}`, `{"a":{"a":1},"b":{"a":1}}`, `{"\u0061":1,"a":2}`, `{"a":[1,2,{"b":[]}]}`, `{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":1e}`,
		`{"a":-0.0e+10}`, `{"a":tru}`, `{"a":nulll}`, `{"a" : null , "b":[ ]}`, `{"a":1,}`, `{,"a":1}`, `{"a"}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":"\x"}`, "{\"a\":\"\x80\"}", "\ufeff{}", `{"12345678":1,"123456789":2,"12345678":3}`,
		`{"a":[}`, `{"a":{]}`, strings.Repeat(`{"a":`, 129) + `1` + strings.Repeat(`}`, 129), strings.Repeat(`{"a":`, 128) + `1` + strings.Repeat(`}`, 128), `{"a\u0000":1,"a":2}`, "{\"a\x00\":1}", `{"":1,"":2}`, `{"":1,"\u0000":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { agrees(t, b) })
}

func TestOnePassTakesWhatTheLibraryTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawJSON(t)
		agrees(t, b)
		// A byte changed somewhere.
		if len(b) > 0 {
			at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
			b[at] = rapid.SampledFrom([]byte(`{}[]",:0-.eE\u tfn`+"\x00\x1f\x80\xff")).Draw(t, "byte")
			agrees(t, b)
		}
	})
}

// Names that differ only behind their first bytes, or in nothing, in objects of every size.
func TestDuplicateNamesAreFoundHoweverManyThereAre(t *testing.T) {
	for _, n := range []int{2, 8, 63, 64, 65, manyKeys, manyKeys + 1, 500} {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf(`"a_long_beginning_%d":%d`, i, i))
		}
		good := `{` + strings.Join(names, ",") + `}`
		agrees(t, []byte(good))
		_, err := scan([]byte(good), nil)
		require.NoError(t, err)
		for _, at := range []int{0, n / 2, n - 1} {
			_, err := scan([]byte(`{"x":[{`+strings.Join(names, ",")+`,`+names[at]+`}]}`), nil)
			require.ErrorContains(t, err, "duplicate name", "%d names, number %d again", n, at)
		}
	}
	// The common case is the one pass: requests and chunks as they are sent.
	for name, b := range faithful {
		_, good := new(scanner).read([]byte(b), nil, strictly)
		require.True(t, good || strings.Contains(b, `\u`), name)
	}
	_, good := new(scanner).read(bigRequest(), nil, strictly)
	require.True(t, good)
}
