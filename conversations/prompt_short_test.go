package conversations

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/governance"
)

func TestShortFormWhereTheUserWroteEveryValue(t *testing.T) {
	for _, c := range []struct{ user, arguments string }{
		{"Refund order 456 for $750", `{"order_id":"456","amount":750}`},
		{"Refund order 456 for $750", `{"order_id":456,"amount":750}`},
		{"refund Order #456, $750.", `{"amount":750,"orderId":"456"}`},
		{"Pay 750 EUR for order 456", `{"order-number":"456","amount":750}`},
		{"Pay 12.50 dollars", `{"amount":12.50}`},
		{"Pay € 80", `{"total_amount":80}`},
		{"the amount 750 please", `{"amount":750}`},
		{"750€", `{"price":750}`},
		{"Transfer 750 EUR", `{"amount_eur":750}`},
		{"customer bob@example.com must go", `{"customer_email":"bob@example.com"}`},
		{"cancel my subscription", `{}`},
		{"cancel my subscription", ``},
	} {
		require.True(t, shortForm(Ask{Items: []Item{confirmItem("x", c.arguments)}, UserText: c.user}), "%s | %s", c.user, c.arguments)
	}
}

func TestLongFormWhereAValueWouldGoUnseen(t *testing.T) {
	for why, c := range map[string]struct{ user, arguments string }{
		"another value":                  {"Refund order 456 for $750", `{"order_id":"457","amount":750}`},
		"another amount":                 {"Refund order 456 for $750", `{"order_id":"456","amount":7500}`},
		"spelled otherwise":              {"Refund order 456 for $750", `{"order_id":"456","amount":750.5}`},
		"an exponent":                    {"Refund order 456 for $750", `{"order_id":"456","amount":75e1}`},
		"a further argument":             {"Refund order 456 for $750", `{"order_id":"456","amount":750,"to":"mallory"}`},
		"a boolean":                      {"Refund order 456, full true", `{"order_id":"456","full":true}`},
		"null":                           {"order null", `{"order":null}`},
		"an empty string":                {"order ", `{"order":""}`},
		"nested":                         {"order 456", `{"order":{"id":456}}`},
		"a list":                         {"order 456", `{"order":[456]}`},
		"values swapped":                 {"move account 1 to order 2", `{"account":"2","order":"1"}`},
		"part of a word":                 {"order 4567", `{"order":"456"}`},
		"no name beside it":              {"456 is what I mean", `{"order_id":"456"}`},
		"a name of hollow words":         {"id 456", `{"id":"456"}`},
		"a number that is no amount":     {"Refund $750", `{"order_id":750}`},
		"a count in place of an amount":  {"Refund $750", `{"refund_count":750}`},
		"cents":                          {"Refund $750", `{"amount_cents":750}`},
		"another currency":               {"Refund $750", `{"amount_eur":750}`},
		"one word for two arguments":     {"Pay $750", `{"amount":750,"fee":750}`},
		"negative":                       {"Refund amount 750", `{"amount":-750}`},
		"the user's was negative":        {"Refund amount -750", `{"amount":750}`},
		"the user's had a leading point": {"amount .5", `{"amount":5}`},
		"thousands":                      {"Refund $1,000", `{"amount":1}`},
		"times a thousand":               {"Refund $750k", `{"amount":750}`},
		"duplicate names":                {"order 456", `{"order":"456","order":"456"}`},
		"not JSON":                       {"order 456", `{"order":"456"`},
		"bytes behind":                   {"order 456", `{"order":"456"} x`},
		"not an object":                  {"order 456", `"456"`},
		"hidden characters":              {"order 4\u200b56", `{"order":"4\u200b56"}`},
		"an escape for them":             {"order 4\u200b56", "{\"order\":\"4\u200b56\"}"},
		"two words":                      {"city New York", `{"city":"New York"}`},
		"another case":                   {"user Bob", `{"user":"bob"}`},
		"nothing said":                   {"", `{"amount":1}`},
	} {
		t.Run(why, func(t *testing.T) {
			require.False(t, shortForm(Ask{Items: []Item{confirmItem("x", c.arguments)}, UserText: c.user}))
		})
	}
}

func TestLongFormWhereMoreThanOneBareCallIsAsked(t *testing.T) {
	ask := func(change func(*Ask)) Ask {
		a := Ask{Items: []Item{confirmItem("process_refund", refundArguments)}, UserText: "Refund order 456 for $750"}
		change(&a)
		return a
	}
	require.True(t, shortForm(ask(func(*Ask) {})))
	for why, a := range map[string]Ask{
		"the model wrote text": ask(func(a *Ask) { a.ModelText = true }),
		"a tag":                ask(func(a *Ask) { a.Tag = "K7" }),
		"a message":            ask(func(a *Ask) { a.Items[0].Message = "Over $100" }),
		"a custom tool":        ask(func(a *Ask) { a.Items[0].Custom = true }),
		"an escalation":        ask(func(a *Ask) { a.Items[0].Verdict = governance.Escalate }),
		"a companion":          ask(func(a *Ask) { a.Items = append(a.Items, Item{Tool: "get_order", Also: true}) }),
		"two calls":            ask(func(a *Ask) { a.Items = append(a.Items, a.Items[0]) }),
	} {
		require.False(t, shortForm(a), why)
	}
}

func TestPropertyTheShortFormHidesNothingTheUserDidNotWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"order", "456", "$750", "750", "for", "amount", "-750", "#456", "456,", "EUR", "bob", "user", "\u200b456", "4\u202e56", "$", "New", "York"})
		user := strings.Join(rapid.SliceOfN(word, 0, 8).Draw(t, "user"), " ")
		arguments := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "count") {
			name := rapid.SampledFrom([]string{"order_id", "amount", "user", "id", "fee", "orderNumber"}).Draw(t, "name")
			arguments[name] = rapid.OneOf(
				rapid.SampledFrom([]any{"456", 750, "750", "bob", -750, "New York", "\u200b456", true, nil, 456}),
				rapid.Map(rapid.String(), func(s string) any { return s }),
			).Draw(t, "value")
		}
		raw, err := json.Marshal(arguments)
		if err != nil {
			t.Fatalf("%v", err)
		}
		text := Render(Ask{Items: []Item{confirmItem("x", string(raw))}, UserText: user}).Text
		for name, value := range arguments {
			if strings.Contains(text, fmt.Sprintf("%q:", name)) { // the long form names it
				continue
			}
			found := false
			for _, w := range strings.Fields(user) {
				found = found || strings.Trim(w, "$#,") == fmt.Sprint(value)
			}
			if !found {
				t.Fatalf("%s of %s is hidden, the user wrote %q", name, raw, user)
			}
		}
	})
}
