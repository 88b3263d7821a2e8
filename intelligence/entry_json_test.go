package intelligence

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// What is written without reflection is read back as what encoding/json writes,
// whatever is in it: every field that a trace has, and has tomorrow.
func TestEveryFieldOfATraceIsStored(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := make([]*Entry, rapid.IntRange(0, 3).Draw(t, "traces"))
		for i := range list {
			list[i] = new(Entry)
			drawn(t, reflect.ValueOf(list[i]).Elem())
		}
		reference, err := json.Marshal(list)
		require.NoError(t, err)
		var want, got []Entry
		require.NoError(t, json.Unmarshal(reference, &want))
		require.NoError(t, json.Unmarshal(appendEntries(nil, list), &got))
		require.Equal(t, want, got)
	})
}

// drawn fills every field.
func drawn(t *rapid.T, v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(rapid.Int64Range(-1<<33, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()))
	case v.Kind() == reflect.String:
		v.SetString(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "plain", "\"<&>\\\n\u2028\x00é\xff"})).Draw(t, "text"))
	case v.Kind() == reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "is"))
	case v.CanInt():
		v.SetInt(rapid.Int64().Draw(t, "number"))
	case v.CanFloat():
		v.SetFloat(rapid.Float64().Draw(t, "share"))
	case v.Kind() == reflect.Pointer:
		if rapid.Bool().Draw(t, "there") {
			v.Set(reflect.New(v.Type().Elem()))
			drawn(t, v.Elem())
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rapid.IntRange(0, 2).Draw(t, "n"), 2))
		for i := range v.Len() {
			drawn(t, v.Index(i))
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			drawn(t, v.Field(i))
		}
	default:
		t.Fatalf("a field is a %s", v.Type())
	}
}
