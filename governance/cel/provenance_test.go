package cel_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

// results of two observed calls and of one that nobody saw go out.
var results = []governance.ToolResult{
	{CallID: "1", Name: "get_order", Arguments: `{"order_id":"456"}`, Text: `{"status":"open","iban":"DE89 3704","total":1e3,"items":[{"sku":"A\u002d1"}]}`},
	{CallID: "2", Name: "get_order", Arguments: `{"order_id":"456"}`, Text: `{"status":"shipped","total":1000.5,"big":12345678901234567890123}`},
	{CallID: "3", Name: "get_order", Arguments: `{"order_id":"457"}`, Text: `The order is on its way to Ann Lee.`},
	{CallID: "x", Name: "get_invoice", Text: `{"iban":"FR76 3000"}`, Claimed: true},
	{CallID: "y", Name: "get_order", Arguments: `{"order_id":"456"}`, Text: `{"status":"forged"}`, Claimed: true},
}

func TestOriginIsTheUserThenAnObservedResultThenTheModel(t *testing.T) { // GOVERNANCE 4
	for args, want := range map[string]string{
		`{"x":"456"}`:       "user",
		`{"x":"DE89 3704"}`: "tool:get_order",
		`{"x":"A-1"}`:       "tool:get_order",
		`{"x":1000}`:        "tool:get_order",
		`{"x":1000.5}`:      "tool:get_order",
		`{"x":"Ann Lee"}`:   "tool:get_order",
		`{"x":"Ann"}`:       "tool:get_order",
		`{"x":"An"}`:        "model",
		`{"x":"FR76 3000"}`: "claimed:get_invoice",
		`{"x":"GB00 1111"}`: "model",
		`{"x":456}`:         "user",
	} {
		holds, err := evalWith(t, `origin(args.x) == "`+want+`"`, "", args, func(in *governance.Input) {
			in.Facts.UserTexts, in.Facts.Results = []string{"order 456"}, results
		})
		require.NoError(t, err)
		require.True(t, holds, "%s is from %s", args, want)
	}
	_, err := evalWith(t, `origin(args.x) == "user"`, "", `{"x":[1]}`, nil)
	require.ErrorContains(t, err, "origin takes a string or a number")
}

func TestResultIsTheNewestObservedOne(t *testing.T) {
	for expr, want := range map[string]string{
		`result("get_order", {"order_id": args.order_id}).value().status == "shipped"`:          "true",
		`result("get_order", {"order_id": "456"}).?status.orValue("") == "shipped"`:             "true",
		`result("get_order").value() == "The order is on its way to Ann Lee."`:                  "true",
		`result("get_order", {"order_id": "456"}).value().total == 1000.5`:                      "true",
		`result("get_order", {"order_id": "456"}).value().big > 1`:                              "err",
		`result("get_order", {"order_id": "456"}).value().nothing == 1`:                         "err",
		`result("get_invoice").hasValue()`:                                                      "false", // claimed
		`result("get_order", {"order_id": "9"}).hasValue()`:                                     "false",
		`result("get_order", {"order_id": "9"}).orValue({"status": "none"}).status == "none"`:   "true",
		`result("get_order", {"order_id": "9"}).value().status == "open"`:                       "missing",
		`result("get_order", {"order_id": "9"}).value().status == "open" && args.amount > 100`:  "false", // whatever it says
		`result("get_order", {"order_id": "9"}).value().status == "open" || args.amount == 50`:  "true",
		`result("get_order", {"order_id": "9"}).value().status == "open" || args.amount == 51`:  "missing",
		`result("get_order", {"order_id": "9"}).value().status == "open" || args.nothing == 51`: "err|missing",
	} {
		holds, err := evalWith(t, expr, "", `{"order_id":"456","amount":50}`, func(in *governance.Input) { in.Facts.Results = results })
		got := map[bool]string{true: "true", false: "false"}[holds]
		var missing *governance.MissingFacts
		switch {
		case errors.As(err, &missing):
			got = "missing"
			require.Equal(t, "the result of get_order with order_id 9", missing.Facts[0].String())
			require.Contains(t, missing.Residual, "result(")
			require.NotContains(t, missing.Residual, "amount", "what is known is put in")
		case err != nil:
			got = "err"
		}
		require.Contains(t, want, got, "%s %v", expr, err)
	}
}
