package openai

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What two readers read differently is refused, and the error says where.
func TestTheStrictScanRefuses(t *testing.T) {
	nest := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }
	for name, c := range map[string]struct {
		doc     string
		offset  int
		pointer string
		reason  string
	}{
		"duplicate names":                  {`{"a":1,"a":2}`, 7, "/a", "duplicate name"},
		"duplicates in the depth":          {`{"a":[{"b":1,"c":2,"b":3}]}`, 19, "/a/0/b", "duplicate name"},
		"duplicates, one escaped":          {`{"ab":1,"\u0061b":2}`, 8, "/ab", "duplicate name"},
		"duplicates, both escaped":         {`{"\u0061":1,"\u0061":2}`, 12, "/a", "duplicate name"},
		"duplicates among many":            {`{"x":1,` + manyMembers(100) + `,"x":2}`, -1, "/x", "duplicate name"},
		"invalid UTF-8":                    {"{\"a\":\"x\xffy\"}", 7, "", "invalid UTF-8"},
		"invalid UTF-8 in a name":          {"{\"a\xc0\":1}", 3, "", "invalid UTF-8"},
		"a cut rune":                       {"{\"a\":\"\xe2\x82\"}", 6, "", "invalid UTF-8"},
		"a surrogate in UTF-8":             {"{\"a\":\"\xed\xa0\x80\"}", 6, "", "invalid UTF-8"},
		"an overlong form":                 {"{\"a\":\"\xc0\xaf\"}", 6, "", "invalid UTF-8"},
		"a second value":                   {`{} {}`, 3, "", "something stands behind the JSON value"},
		"trailing text":                    {`{"a":1}x`, 7, "", "something stands behind the JSON value"},
		"a trailing NUL":                   {"{}\x00", 2, "", "something stands behind the JSON value"},
		"A14 a byte order mark":            {"\ufeff{}", 0, "", "invalid JSON"},
		"too deep":                         {nest(MaxDepth + 1), 5 + MaxDepth - 1, "", "nesting deeper than 128 levels"},
		"far too deep":                     {nest(20_000), -1, "", "nesting deeper than 128 levels"},
		"too deep and never closed":        {strings.Repeat(`{"a":`, 200), -1, "", "nesting deeper than 128 levels"},
		"an array":                         {` [1]`, 1, "", "a JSON object is needed, this is another value"},
		"a string":                         {`"{}"`, 0, "", "a JSON object is needed, this is another value"},
		"nothing":                          {``, 0, "", "the JSON ends too early"},
		"blanks":                           {" \n", 2, "", "the JSON ends too early"},
		"half":                             {`{"a":`, 5, "", "invalid JSON: unexpected EOF"},
		"half a string":                    {`{"a":"b`, 7, "", "invalid JSON: unexpected EOF"},
		"a comma too many":                 {`{"a":1,}`, -1, "", "invalid JSON"},
		"a comment":                        {`{/**/}`, -1, "", "invalid JSON"},
		"single quotes":                    {`{'a':1}`, -1, "", "invalid JSON"},
		"NaN":                              {`{"a":NaN}`, -1, "", "invalid JSON"},
		"a leading zero":                   {`{"a":01}`, -1, "", "invalid JSON"},
		"a raw line end in a string":       {"{\"a\":\"\n\"}", -1, "", "invalid JSON"},
		"an unknown escape":                {`{"a":"\x41"}`, -1, "", "invalid JSON"},
		"half an escape":                   {`{"a":"\u00f"}`, -1, "", "invalid JSON"},
		"another blank":                    {"{\"a\":\u00a01}", -1, "", "invalid JSON"},
		"duplicates that differ by a half": {`{"\ud800":1,"\ud801":2}`, 12, "/\ufffd", "duplicate name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := scan([]byte(c.doc), nil)
			var syntax *SyntaxError
			require.ErrorAs(t, err, &syntax)
			if c.offset >= 0 {
				require.Equal(t, c.offset, syntax.Offset, err)
			}
			require.Equal(t, strings.HasPrefix(c.reason, "duplicate"), strings.Contains(err.Error(), "duplicate name"))
			require.Contains(t, err.Error(), c.reason)
			require.Contains(t, err.Error(), " at byte ")
			if c.pointer != "" {
				require.Equal(t, c.pointer, syntax.Pointer)
			}
			var v View
			require.Equal(t, err, v.Parse([]byte(c.doc)), "chunks are held to the same")
			_, err2 := ParseRequest([]byte(c.doc))
			require.Equal(t, err, err2)
		})
	}
}

func manyMembers(n int) string {
	var list []string
	for i := range n {
		list = append(list, `"m`+strings.Repeat("i", i)+`":0`)
	}
	return strings.Join(list, ",")
}

func TestTheStrictScanAccepts(t *testing.T) {
	for name, doc := range map[string]string{
		"blanks around":                  "\r\n\t {} \n",
		"as deep as may be":              `{"a":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + `}`,
		"many values, none deep":         `{"a":[` + strings.TrimSuffix(strings.Repeat("[],", 500), ",") + `]}`,
		"braces in strings":              `{"a":"` + strings.Repeat("[{", 500) + `"}`,
		"a lone high surrogate":          `{"a":"\ud83d"}`,
		"a lone low surrogate":           `{"a":"\ude00"}`,
		"surrogates the wrong way round": `{"a":"\ude00\ud83d"}`,
		"the same name at two depths":    `{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}`,
		"names that differ in case":      `{"a":1,"A":2}`,
		"noncharacters and NUL escapes":  `{"a":"\u0000\uffff"}`,
		"a number of any spelling":       `{"a":-0.0e-00,"b":123456789012345678901234567890}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := scan([]byte(doc), nil)
			require.NoError(t, err)
		})
	}
}
