package backend

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func fillText(schema, text string) string {
	return fillArguments(readSchema(json.RawMessage(schema)), readWords(text), everything)
}

func TestRehearsalFillsBySchema(t *testing.T) {
	for _, tc := range []struct{ name, schema, text, want string }{
		{"no schema", ``, "x", `{}`},
		{"not an object", `7`, "x", `{}`},
		{"order of the schema", `{"properties":{"z":{"type":"integer"},"a":{"type":"integer"}}}`, "take 1 and 2", `{"z":1,"a":2}`},
		{"enum", `{"properties":{"unit":{"type":"string","enum":["celsius","fahrenheit"]}}}`, "in Fahrenheit please", `{"unit":"fahrenheit"}`},
		{"enum of two words", `{"properties":{"state":{"enum":["in_progress","done"]}}}`, "everything in progress", `{"state":"in_progress"}`},
		{"enum, last resort", `{"properties":{"unit":{"enum":["celsius"]}},"required":["unit"]}`, "x", `{"unit":"celsius"}`},
		{"const", `{"properties":{"v":{"const":3}},"required":["v"]}`, "x", `{"v":3}`},
		{"nullable", `{"properties":{"count":{"type":["null","integer"]}}}`, "count 5", `{"count":5}`},
		{"any of", `{"properties":{"count":{"anyOf":[{"type":"null"},{"type":"integer"}]}}}`, "count 5", `{"count":5}`},
		{"reference", `{"properties":{"order":{"$ref":"#/$defs/Order"}},"$defs":{"Order":{"type":"object","properties":{"order_id":{"type":"string"}},"required":["order_id"]}}}`,
			"order 77", `{"order":{"order_id":"77"}}`},
		{"all of", `{"allOf":[{"properties":{"count":{"type":"integer"}}},{"required":["count"]}]}`, "x", `{"count":0}`},
		{"nested, last resort", `{"properties":{"to":{"type":"object","properties":{"zip":{"type":"string"},"opt":{"type":"string"}},"required":["zip"]}},"required":["to"]}`,
			"x", `{"to":{"zip":"unknown"}}`},
		{"recursion", `{"$defs":{"n":{"type":"object","properties":{"n":{"$ref":"#/$defs/n"}},"required":["n"]}},"$ref":"#/$defs/n"}`, "x", ""},
		{"minimum", `{"properties":{"n":{"type":"integer","minimum":5}},"required":["n"]}`, "3", `{"n":5}`},
		{"maximum", `{"properties":{"n":{"type":"number","maximum":-2}},"required":["n"]}`, "x", `{"n":-2}`},
		{"no fraction for an integer", `{"properties":{"n":{"type":"integer"}}}`, "2.5 or 4", `{"n":4}`},
		{"formats", `{"properties":{"at":{"type":"string","format":"date-time"},"mail":{"type":"string","format":"email"},"u":{"type":"string","format":"uri"}}}`,
			"a@b.co 2026-01-02 https://x.test/y.", `{"at":"2026-01-02T00:00:00Z","mail":"a@b.co","u":"https://x.test/y"}`},
		{"formats, last resort", `{"properties":{"at":{"type":"string","format":"date-time"},"id":{"type":"string","format":"uuid"}},"required":["at","id"]}`,
			"x", `{"at":"1970-01-01T00:00:00Z","id":"00000000-0000-0000-0000-000000000000"}`},
		{"list of mails", `{"properties":{"recipients":{"type":"array","items":{"type":"string","format":"email"}}}}`, "to a@b.co and c@d.eu", `{"recipients":["a@b.co","c@d.eu"]}`},
		{"list, last resort", `{"properties":{"l":{"type":"array","items":{"type":"integer"},"minItems":2}},"required":["l"]}`, "x", `{"l":[0,0]}`},
		{"list of an enum", `{"properties":{"sizes":{"type":"array","items":{"enum":["s","m","l"]}}}}`, "sizes S and L", `{"sizes":["s","l"]}`},
		{"percent", `{"properties":{"discount":{"type":"number"}}}`, "give 15% off", `{"discount":15}`},
		{"money is no count", `{"properties":{"quantity":{"type":"integer"}}}`, "for $30", `{}`},
		{"booleans", `{"properties":{"urgent":{"type":"boolean"},"gift":{"type":"boolean"},"x":{"type":"boolean"}}}`, "urgent, not a gift", `{"urgent":true,"gift":false}`},
		{"escapes", `{"properties":{"a\"b":{"type":"string"}},"required":["a\"b"]}`, `say "<ü>"`, `{"a\"b":"<ü>"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := fillText(tc.schema, tc.text)
			require.True(t, json.Valid([]byte(got)), got)
			if tc.want != "" {
				require.Equal(t, tc.want, got)
			}
		})
	}
}

func TestRehearsalSchemaThatDoublesAtEachLevelIsBounded(t *testing.T) {
	var defs []string
	for i := range 40 {
		defs = append(defs, fmt.Sprintf(`"d%d":{"type":"object","properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}},"required":["a","b"]}`, i, i+1, i+1))
	}
	got := fillText(`{"$ref":"#/$defs/d0","$defs":{`+strings.Join(defs, ",")+`}}`, "x")
	require.True(t, json.Valid([]byte(got)))
	require.Less(t, len(got), 1<<20)
}

func TestRehearsalReadsOnlyTheBeginningOfALongMessage(t *testing.T) {
	said := readWords("Refund order 456" + strings.Repeat(" and so on", 100_000))
	require.LessOrEqual(t, len(said.list), wordLimit)
	require.Equal(t, "456", said.list[2].value)
}

// A filled form is valid against its schema, whatever was said.
func TestRehearsalArgumentsFitTheirSchema(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := []string{
			`{"type":"string"}`, `{"type":"number"}`, `{"type":"integer","minimum":1,"maximum":99}`, `{"type":"boolean"}`,
			`{"type":"string","enum":["small","large"]}`, `{"type":"array","items":{"type":"string","enum":["small","large"]}}`, `{"type":"array","items":{"type":"integer"}}`, `{"type":"array","items":{"type":"string"},"minItems":2,"maxItems":3}`,
			`{"type":"object","properties":{"order_id":{"type":"string"}},"required":["order_id"]}`, `{"type":["string","null"]}`,
		}
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"order_id", "amount", "city", "email", "query", "body", "tags", "count", "urgent", "customerName", "date"}), 0, 6, rapid.ID).Draw(t, "names")
		var properties, required []string
		for _, name := range names {
			properties = append(properties, fmt.Sprintf("%q:%s", name, rapid.SampledFrom(kinds).Draw(t, name)))
			if rapid.Bool().Draw(t, name+" required") {
				required = append(required, fmt.Sprintf("%q", name))
			}
		}
		schema := `{"type":"object","additionalProperties":false,"properties":{` + strings.Join(properties, ",") + `},"required":[` + strings.Join(required, ",") + `]}`
		text := strings.Join(rapid.SliceOf(rapid.OneOf(
			rapid.SampledFrom([]string{"refund", "order", "456", "$7.50", "a@b.co", "Paris", "in", "2026-01-01", "urgent", "not", "large", `"quoted"`, "ORD-1", "15%", "and", ",", "count", "-3", ":"}),
			rapid.String())).Draw(t, "words"), " ")

		document, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource("https://schema.test/x", document); err != nil {
			t.Fatal(err)
		}
		got := fillText(schema, text)
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(got))
		if err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		if err := compiler.MustCompile("https://schema.test/x").Validate(value); err != nil {
			t.Fatalf("%v: %s", err, got)
		}
	})
}

func TestStemBringsTheFormsOfAWordTogether(t *testing.T) {
	for _, forms := range [][]string{
		{"refund", "refunds", "refunded", "refunding", "Refund's"}, {"delete", "deleting", "deleted", "deletes", "remove", "erase"},
		{"cancel", "cancelled", "cancelling"}, {"create", "creation", "creating"}, {"city", "cities"}, {"ship", "shipping", "shipment"},
	} {
		for _, form := range forms {
			require.Equal(t, stem(forms[0]), stem(form), form)
		}
	}
	require.Equal(t, []string{"book", "flight"}, nameStems("bookFlight"))
	require.Equal(t, []string{"strip", "refund", "creat"}, nameStems("stripe.refunds.create"))
	require.Equal(t, []string{"a", "ü", "b"}, nameStems("a__ü-b"))
}

func FuzzRehearsal(f *testing.F) {
	f.Add([]byte(askBody("Refund order 456 for $750", refundTool, "")))
	f.Add([]byte(askBody("“x” \xff -5% a@b.co", emailTool+","+bookTool+","+deleteTool, `,"n":2,"tool_choice":"required"`)))
	f.Add([]byte(`{"messages":[{"role":"tool","content":"{}"}],"tools":[{"type":"custom"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		asked, err := readRehearsal(body)
		if err != nil {
			return
		}
		for _, call := range rehearse(asked).calls {
			if !call.custom && !json.Valid([]byte(call.arguments)) {
				t.Fatalf("%q", call.arguments)
			}
		}
	})
}
