package openai

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// spellings are n ways to write a name in upper and lower case.
func spellings(name string, n int) (list []string) {
	for mask := range n {
		b := []byte(name)
		for i, bit := 0, 0; i < len(b) && bit < 14; i++ {
			if b[i] == '_' {
				continue
			}
			if mask>>bit&1 == 1 {
				b[i] -= 'a' - 'A'
			}
			bit++
		}
		list = append(list, string(b))
	}
	return list
}

// manyOurs is a chunk with n spellings of two names of ours among others.
func manyOurs(n int) []byte {
	b := new(strings.Builder)
	b.WriteString(`{"choices":[]`)
	for i, name := range spellings("pending_actions", n) {
		fmt.Fprintf(b, `,"%s":%d,"x%d":"pending_actions"`, name, i, i)
	}
	for i, name := range spellings("conversation_id", n) {
		fmt.Fprintf(b, `,"%s":%d`, name, i)
	}
	return []byte(b.String() + "}")
}

// F81, a cost that grows with the square: names are cut in any case, so a model
// server can write one in thousands of ways. Both the members that go and those
// that stay are gone through once.
func TestManySpellingsOfOurNamesAreCutInOneGo(t *testing.T) {
	const n = 1 << 14
	data := manyOurs(n)
	var v View
	require.NoError(t, v.Parse(data))
	edits := v.Cut("pending_actions", "conversation_id")
	require.Len(t, edits, 2*n)
	var left View
	require.NoError(t, left.Parse(Splice(nil, data, edits...)))
	require.Equal(t, n+1, left.doc.count(root))
	require.Empty(t, left.Cut("pending_actions", "conversation_id"))
	require.True(t, left.HasChoices)
}

// The time per member is to stay the same from one size to the next.
func BenchmarkCutMany(b *testing.B) {
	for _, n := range []int{1 << 8, 1 << 11, 1 << 14} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var v View
			if err := v.Parse(manyOurs(n)); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				v.Cut("pending_actions", "conversation_id")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(3*n+1), "ns/member")
		})
	}
}
