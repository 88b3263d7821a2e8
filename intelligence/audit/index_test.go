package audit

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a page lists of a record is what a reader of the whole record finds in it.
func TestARecordIsListedUnderEveryIDThatItNames(t *testing.T) {
	// Every text of a record is another one, so that an id that is left out, or one
	// too many, is seen.
	var r record
	fill := func(v reflect.Value) {
		for i := range v.NumField() {
			if f := v.Field(i); f.Kind() == reflect.String {
				f.SetString("\"ü<" + v.Type().Field(i).Name)
			}
		}
	}
	fill(reflect.ValueOf(&r).Elem())
	fill(reflect.ValueOf(&r.named).Elem())
	whole, err := json.Marshal(r)
	require.NoError(t, err)
	for name, value := range map[string]string{
		"whole":        string(whole),
		"escaped name": `{"trace\u005fid":"a"}`,
		"none":         `{}`,
		"empty":        `{"via":"","hold":"h"}`,
		"twice":        `{"via":"a","hold":"a"}`,
		"nested":       `{"fired":[{"hold":"x"}],"hold":"h"}`,
		"white space":  " { \"hold\" : \"h\" } ",
		"no object":    `["hold","h"]`,
		"cut off":      `{"hold":"h"`,
		"broken":       `{"hold":"h",}`,
		"nothing":      ``,
	} {
		t.Run(name, func(t *testing.T) {
			var r record
			want := []string{}
			if json.Unmarshal([]byte(value), &r) == nil {
				want = r.ids()
			}
			p := newIndex()
			require.True(t, p.add([]byte(value)))
			got := []string{}
			for id := range p.ids {
				got = append(got, id)
			}
			require.ElementsMatch(t, want, got)
		})
	}
}
