package cel_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

func TestFromUserFindsWholeWordsAndValuesOnly(t *testing.T) {
	for _, c := range []struct {
		text, args string
		want       bool
	}{
		{"refund order 456 please", `{"x":"456"}`, true},
		{"refund order #456.", `{"x":"456"}`, true},
		{"refund order:456, now", `{"x":"456"}`, true},
		{"order=456&x", `{"x":"456"}`, true},
		{"refund order 4567", `{"x":"456"}`, false},
		{"refund order 1456", `{"x":"456"}`, false},
		{"it was 456.78 in all", `{"x":"456"}`, false},
		{"it was 1,456 in all", `{"x":"456"}`, false},
		{"send it to Bob@Example.com.", `{"x":"bob@example.com"}`, true},
		{"send it to <bob@example.com>", `{"x":"bob@example.com"}`, true},
		{"send it to notbob@example.com", `{"x":"bob@example.com"}`, false},
		{"send it to bob@example.com.evil.org", `{"x":"bob@example.com"}`, false},
		{"send it to x@bob.com", `{"x":"bob"}`, false},
		{"send it to x@bob.com", `{"x":"bob.com"}`, false},
		{"see /home/user/x", `{"x":"/home"}`, false},
		{"tell bob's mother", `{"x":"bob"}`, true},
		{"tell Bobby", `{"x":"bob"}`, false},
		{"New\n  York it is", `{"x":"new york"}`, true},
		{"der Weg zur STRASSE", `{"x":"straße"}`, true},
		{"Cafe\u0301 Luna", `{"x":"café luna"}`, true},
		{"anything", `{"x":""}`, false},
		{"pay $1,000.50 now", `{"x":1000.5}`, true},
		{"pay 1000.50 now", `{"x":1000.5}`, true},
		{"pay US$1,000.50.", `{"x":1000.5}`, true},
		{"pay 1000,50", `{"x":1000}`, false},
		{"pay €750", `{"x":750}`, true},
		{"pay 750€, thanks", `{"x":750.0}`, true},
		{"pay 750.00", `{"x":750}`, true},
		{"pay 7500", `{"x":750}`, false},
		{"pay 1,750", `{"x":750}`, false},
		{"pay 750.5", `{"x":750}`, false},
		{"pay 750k", `{"x":750}`, false},
		{"pay 750k", `{"x":750000}`, true},
		{"pay $2k.", `{"x":2000}`, true},
		{"pay 2K", `{"x":2000}`, true},
		{"pay 1.5k€", `{"x":1500}`, true},
		{"pay 1.2345k", `{"x":1234.5}`, true},
		{"pay 2 k", `{"x":2000}`, false},
		{"pay 0.5k", `{"x":500}`, true},
		{"pay 2kg", `{"x":2000}`, false},
		{"pay 2 thousand dollars", `{"x":2000}`, true},
		{"pay 2 Million", `{"x":2000000}`, true},
		{"pay 2 thousand", `{"x":2}`, false},
		{"pay 2 tho", `{"x":2}`, true},
		{"pay 1.000,50 €", `{"x":1000.5}`, true},
		{"pay 1000,50", `{"x":1000.5}`, true},
		{"pay 1.000,50", `{"x":1}`, false},
		{"pay 10.00,50", `{"x":1000.5}`, false},
		{"pay 1,50", `{"x":150}`, false},
		{"pay $1,000.50 now", `{"x":"1000.50"}`, true},
		{"pay $1,000.50 now", `{"x":"$1000.5"}`, true},
		{"pay 1000.5 now", `{"x":"1,000.50"}`, true},
		{"pay 1001 now", `{"x":"1000"}`, false},
		{"order 1,456", `{"x":"001456"}`, false},
		{"order 1456", `{"x":"001456"}`, false},
		{"on March 5, 2026 please", `{"x":"2026-03-05"}`, true},
		{"on march 5th 2026", `{"x":"2026-03-05"}`, true},
		{"on the 5th of March 2026", `{"x":"2026-03-05"}`, true},
		{"on 5 Mar. 2026", `{"x":"2026-03-05"}`, true},
		{"am 5. März 2026", `{"x":"2026-03-05"}`, true},
		{"le 5 août 2026", `{"x":"2026-08-05"}`, true},
		{"el 5 de marzo de 2026", `{"x":"2026-03-05"}`, true},
		{"am 5.3.2026", `{"x":"2026-03-05"}`, true},
		{"am 05.03.2026.", `{"x":"2026-03-05"}`, true},
		{"on 2026/3/5", `{"x":"2026-03-05"}`, true},
		{"on 3/25/2026", `{"x":"2026-03-25"}`, true},
		{"on 25/3/2026", `{"x":"2026-03-25"}`, true},
		{"on 3/5/2026", `{"x":"2026-03-05"}`, false}, // or 3 May
		{"on 3/3/2026", `{"x":"2026-03-03"}`, true},
		{"on March 15, 2026", `{"x":"2026-03-05"}`, false},
		{"on March 5, 2027", `{"x":"2026-03-05"}`, false},
		{"on May 5, 2026", `{"x":"2026-03-05"}`, false},
		{"on March 5", `{"x":"2026-03-05"}`, false}, // the year is the model's
		{"in 2026", `{"x":"2026-03-05"}`, false},
		{"on March 5, 2026", `{"x":"2026-13-05"}`, false},
		{"pay Jose Nunez", `{"x":"José Núñez"}`, true},
		{"pay JOSÉ NÚÑEZ", `{"x":"jose nunez"}`, true},
		{"pay Søren O’Neill", `{"x":"Soren O'Neill"}`, true},
		{"pay Josefine", `{"x":"José"}`, false},
		{"mail jose@example.com", `{"x":"josé@example.com"}`, false}, // another address
		{"mail josé@example.com", `{"x":"jose@example.com"}`, false},
		{"version 1.750.2", `{"x":750}`, false},
		{"item A750", `{"x":750}`, false},
		{"between 5-10", `{"x":10}`, false},
		{"minus -5 degrees", `{"x":5}`, false},
		{"minus -5 degrees", `{"x":-5}`, true},
		{"at 10:30", `{"x":30}`, false},
		{"give 15% off", `{"x":15}`, true},
		{"id 9007199254740992", `{"x":9007199254740993}`, false},
		{"id 12345678901234567890", `{"x":12345678901234567890}`, true},
		{"0.5 of it", `{"x":0.5}`, true},
		{"5 of it", `{"x":0.5}`, false},
	} {
		got, err := evalWith(t, `from_user(args.x)`, "", c.args, func(in *governance.Input) {
			in.Facts.UserTexts = []string{"something else", c.text}
		})
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, got, "%q in %q", c.args, c.text)
	}
	for _, args := range []string{`{"x":true}`, `{"x":null}`, `{"x":[1]}`, `{"x":1e400}`, `{}`} {
		_, err := evalWith(t, `from_user(args.x)`, "", args, nil)
		require.Error(t, err, args)
	}
}

func TestCalledSeesReleasedAndEarlierCallsOfTheTurn(t *testing.T) {
	change := func(in *governance.Input) {
		in.Facts.Released = []governance.Released{{Name: "get_order", Arguments: `{"order_id":"456","limit":2}`}, {Name: "note", Arguments: "free text"}}
		in.Provisional = []governance.Released{{Name: "verify", Arguments: `{"code":7}`}}
	}
	for expr, want := range map[string]bool{
		`called("get_order")`:                                    true,
		`called("verify")`:                                       true,
		`called("delete_order")`:                                 false,
		`called("get_order", {"order_id": args.order_id})`:       true,
		`called("get_order", {"order_id": "457"})`:               false,
		`called("get_order", {"order_id": "456", "limit": 2.0})`: true,
		`called("get_order", {"order_id": "456", "absent": 1})`:  false,
		`called("verify", {"code": 7})`:                          true,
		`called("note", {"input": "free text"})`:                 true,
		`called("get_order") && !called("delete_order")`:         true,
		`confirmed()`: false,
		`call.name == "process_refund" && call.count == 1`:            true,
		`call.id == "call_1" && call.index == 0 && call.server == ""`: true,
		`"lead" in requester.roles`:                                   false,
		`workspace == "w" && domain == "" && conversation.turns == 0`: true,
	} {
		got, err := evalWith(t, expr, "", `{"order_id":"456"}`, change)
		require.NoError(t, err, expr)
		require.Equal(t, want, got, expr)
	}
	_, err := evalWith(t, `called("get_order", {"order_id": args.missing})`, "", `{}`, change)
	require.Error(t, err)
}

func TestHoursAndWeekdaysAreThoseOfTheZone(t *testing.T) {
	at := func(s string) func(*governance.Input) {
		now, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return func(in *governance.Input) { in.Facts.Now = now }
	}
	for _, c := range []struct {
		expr, now string
		want      bool
	}{
		{`in_hours("UTC", "9-17")`, "2026-01-02T09:00:00Z", true},
		{`in_hours("UTC", "9-17")`, "2026-01-02T08:59:59Z", false},
		{`in_hours("UTC", "9-17")`, "2026-01-02T17:00:00Z", false},
		{`in_hours("Europe/Berlin", "9-17")`, "2026-01-02T08:00:00Z", true},
		{`in_hours("Europe/Berlin", "9-17")`, "2026-07-02T07:00:00Z", true}, // summer time
		{`in_hours("UTC", "22-6")`, "2026-01-02T23:00:00Z", true},
		{`in_hours("UTC", "22-6")`, "2026-01-02T05:59:00Z", true},
		{`in_hours("UTC", "22-6")`, "2026-01-02T06:00:00Z", false},
		{`in_hours("UTC", "09:30-17:00")`, "2026-01-02T09:29:00Z", false},
		{`in_hours("UTC", "09:30-17:00")`, "2026-01-02T09:30:00Z", true},
		{`in_hours("UTC", "0-24")`, "2026-01-02T23:59:59Z", true},
		{`weekday("Europe/Berlin") == "friday"`, "2026-01-02T12:00:00Z", true},
		{`weekday("UTC") == "friday"`, "2026-01-02T23:30:00Z", true},
		{`weekday("Asia/Tokyo") == "saturday"`, "2026-01-02T23:30:00Z", true},
		{`now > timestamp("2026-01-01T00:00:00Z")`, "2026-01-02T00:00:00Z", true},
	} {
		got, err := evalWith(t, c.expr, "", `{}`, at(c.now))
		require.NoError(t, err, c.expr)
		require.Equal(t, c.want, got, "%s at %s", c.expr, c.now)
	}
	for _, expr := range []string{`in_hours(args.zone, "9-17")`, `in_hours("UTC", args.span)`, `weekday(args.zone) == "friday"`} {
		_, err := evalWith(t, expr, "", `{"zone":"Nowhere/Else","span":"9-9"}`, nil)
		require.Error(t, err, expr)
	}
}

func TestDomainOfTakesOnePlainAddress(t *testing.T) {
	got, err := evalWith(t, `domain_of(args.to) == "example.com"`, "", `{"to":"Bob@Example.COM"}`, nil)
	require.NoError(t, err)
	require.True(t, got)
	for _, to := range []string{"bob", "@example.com", "bob@", "a@b@example.com", "Bob <bob@example.com>", "a@evil.org,b@example.com", "bob@ example.com", "bob@.com"} {
		_, err := evalWith(t, `domain_of(args.to) == "example.com"`, "", `{"to":"`+to+`"}`, nil)
		require.Error(t, err, to)
	}
}

func TestConstantKnowsWhatReadsNothing(t *testing.T) {
	e := evaluator(t)
	for expr, want := range map[string][2]bool{
		`true`: {true, true}, `1 > 2`: {false, true}, `args.x > 1`: {false, false}, `confirmed()`: {false, false}, `now > now`: {false, false},
		`"a".matches("a")`: {true, true}, `1/0 > 1`: {false, false},
	} {
		value, constant := e.Constant(expr)
		require.Equal(t, want, [2]bool{value, constant}, expr)
	}
}
