package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSplice(t *testing.T) {
	src := []byte("0123456789")
	at := func(from, to int, with string) Edit { return Edit{Span{from, to}, []byte(with)} }
	for name, c := range map[string]struct {
		edits []Edit
		want  string
	}{
		"nothing":                         {nil, "0123456789"},
		"in any order":                    {[]Edit{at(8, 9, "b"), at(0, 2, "a")}, "a234567b9"},
		"inserts keep their order":        {[]Edit{at(3, 3, "a"), at(3, 3, "b")}, "012ab3456789"},
		"an insert before what goes":      {[]Edit{at(3, 5, ""), at(3, 3, "a")}, "012a56789"},
		"an insert behind what goes":      {[]Edit{at(5, 5, "a"), at(3, 5, "")}, "012a56789"},
		"neighbours":                      {[]Edit{at(5, 7, "y"), at(3, 5, "x")}, "012xy789"},
		"at both ends":                    {[]Edit{at(10, 10, "z"), at(0, 0, "a")}, "a0123456789z"},
		"everything":                      {[]Edit{at(0, 10, "")}, ""},
		"between an insert and an insert": {[]Edit{at(10, 10, "y"), at(0, 10, "x"), at(0, 0, "w")}, "wxy"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, "dst "+c.want, string(Splice([]byte("dst "), src, c.edits...)))
		})
	}
	for name, edits := range map[string][]Edit{"overlap": {at(0, 3, ""), at(2, 4, "")}, "twice": {at(1, 3, ""), at(1, 3, "")}, "within": {at(0, 5, ""), at(2, 2, "x")},
		"backwards": {at(3, 2, "")}, "beyond": {at(9, 11, "")}, "before": {at(-1, 2, "")}} {
		t.Run(name, func(t *testing.T) { require.Panics(t, func() { Splice(nil, src, edits...) }) })
	}
}

// Edits that do not touch one another may come in any order; each stretch is
// what it was or what was put there.
func TestSpliceIsEveryStretchInItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "src")
		var edits []Edit
		var want []byte
		for at := 0; at < len(src); {
			stay := rapid.IntRange(0, 4).Draw(t, "stay")
			stay = min(stay, len(src)-at)
			want = append(want, src[at:at+stay]...)
			at += stay
			cut := min(rapid.IntRange(0, 4).Draw(t, "cut"), len(src)-at)
			with := rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "with")
			edits = append(edits, Edit{Span{at, at + cut}, with})
			want = append(want, with...)
			at += cut
			if cut == 0 && at < len(src) { // inserts in a row are another test's
				want = append(want, src[at])
				at++
			}
		}
		before := bytes.Clone(src)
		require.Equal(t, string(want), string(Splice(nil, src, rapid.Permutation(edits).Draw(t, "order")...)))
		require.Equal(t, before, src)
	})
}

type pair struct {
	key   string
	value any
}

// pairs are an object's members in their order, as encoding/json reads them.
func pairs(t require.TestingT, b []byte) (list []pair) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	_, err := dec.Token()
	require.NoError(t, err, "%s", b)
	for dec.More() {
		key, err := dec.Token()
		require.NoError(t, err, "%s", b)
		var value any
		require.NoError(t, dec.Decode(&value), "%s", b)
		list = append(list, pair{key.(string), value})
	}
	_, err = dec.Token()
	require.NoError(t, err, "%s", b)
	require.True(t, json.Valid(b), "%s", b)
	return list
}

func listed(t require.TestingT, b []byte) (d document, all []Member) {
	d, err := scan(b, nil)
	require.NoError(t, err)
	for o := d.inside(root); o.next(); {
		all = append(all, o.member())
	}
	return d, all
}

// Every set of members, in every white space, with and without an insert: what
// is left is valid and is what was to be left, in its order.
func TestCutMembersLeavesTheOthers(t *testing.T) {
	blanks := [][4]string{{"", "", "", ""}, {" ", "", "", " "}, {"\n  ", " ", " ", "\n"}, {"\t", "\r\n", " ", ""}, {"", " ", "", "\t\t"}}
	for _, ws := range blanks {
		for n := range 5 {
			var parts []string
			for i := range n {
				parts = append(parts, fmt.Sprintf(`%s"m%d"%s:%s%s`, ws[0], i, ws[1], ws[2], []string{`1`, `"a,b}"`, `{"x":[1,2]}`, `[ {} ]`, `null`}[i])+ws[3])
			}
			src := []byte("{" + strings.Join(parts, ",") + "}")
			if n == 0 {
				src = []byte("{" + ws[0] + "}")
			}
			d, all := listed(t, src)
			require.Len(t, all, n)
			whole := pairs(t, src)
			for mask := range 1 << n {
				for _, insert := range []string{"", `"i":0`, `"i":0,"j":[1]`} {
					var cut []Span
					want := []pair(nil)
					if insert != "" {
						want = pairs(t, []byte("{"+insert+"}"))
					}
					for i, m := range all {
						if mask>>i&1 == 1 {
							cut = append(cut, m.Span())
						} else {
							want = append(want, whole[i])
						}
					}
					slices.Reverse(cut) // their order is nobody's business
					out := Splice(nil, src, d.cutMembers(root, []byte(insert), cut...)...)
					require.Equal(t, want, pairs(t, out), "%s without %b and with %q is %s", src, mask, insert, out)
				}
			}
			require.Equal(t, string(src), string(Splice(nil, src, d.cutMembers(root, nil)...)))
		}
	}
}

// The same on objects of any spelling, next to edits of what stays.
func TestCutMembersAmongOtherEdits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := drawJSON(t)
		if _, err := scan(src, nil); err != nil {
			return
		}
		d, all := listed(t, src)
		whole := pairs(t, src)
		var cut []Span
		var edits []Edit
		var want []pair
		for i, m := range all {
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				cut = append(cut, m.Span())
			case 1:
				want = append(want, whole[i])
			case 2:
				edits = append(edits, Edit{m.Value, []byte(`"new"`)})
				want = append(want, pair{whole[i].key, "new"})
			}
		}
		out := Splice(nil, src, append(edits, d.cutMembers(root, nil, cut...)...)...)
		require.Equal(t, want, pairs(t, out), "%s became %s", src, out)
	})
}

func TestViewCutsWhatItIsTold(t *testing.T) {
	data := []byte(`{ "gate" : 1, "id":"x", "st\u0061tus":[ ], "Trace_ID":"y", "choices":[{"index":0,"delta":{"a":1 , "tool_calls":[{"index":0}],"b":2}}], "error":null }`)
	var v View
	require.NoError(t, v.Parse(data))
	out := Splice(nil, data, v.Cut("status", "gate", "trace_id", "error", "none")...)
	require.Equal(t, `{ "id":"x", "choices":[{"index":0,"delta":{"a":1 , "tool_calls":[{"index":0}],"b":2}}] }`, string(out))
	require.Empty(t, v.Cut("none"))
	ch := v.Choices[0]
	out = Splice(nil, data, v.CutMembers(ch.Message, nil, ch.CallsMember)...)
	require.Contains(t, string(out), `"delta":{"a":1,"b":2}`)
	out = Splice(nil, data, v.CutMembers(ch.Message, []byte(`"content":null`), ch.CallsMember)...)
	require.Contains(t, string(out), `"delta":{"content":null,"a":1,"b":2}`)
}
