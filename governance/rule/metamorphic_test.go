package rule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/governance"
	"cadreen/governance/cel"
	"cadreen/governance/rule"
)

func TestParaphrasesBecomeTheSameRule(t *testing.T) {
	for _, same := range read[[][]string](t, "paraphrases.yaml") {
		first := rule.Compile(same[0], tools(t), nil)
		require.NoError(t, first.Err(), same[0])
		for _, says := range same[1:] {
			t.Run(says, func(t *testing.T) {
				other := rule.Compile(says, tools(t), nil)
				require.NoError(t, other.Err())
				require.Equal(t, first.ReadBack, other.ReadBack)
				other.Rule.Condition = first.Rule.Condition
				require.Equal(t, first.Rule, other.Rule)
			})
		}
	}
}

// known is a sentence that compiles, with the calls that are written for it.
type known struct {
	says  string
	rule  governance.Rule
	calls []string
}

func corpus(t testing.TB) []known {
	t.Helper()
	var list []known
	for _, g := range read[[]group](t, "sentences.yaml") {
		for _, s := range g.Sentences {
			result := rule.Compile(s.Says, tools(t), nil)
			require.NoError(t, result.Err(), s.Says)
			r := result.Rule
			r.ID = fmt.Sprintf("r%d", len(list))
			list = append(list, known{s.Says, r, s.Calls})
		}
	}
	return list
}

// JSON has many ways to write one object. None of them is a way around a rule.
func TestTheSameCallSpelledOtherwiseGetsTheSameVerdict(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	spelled := 0
	for _, k := range corpus(t) {
		b := bundle(t, k.says, rule.Compile(k.says, tools(t), nil))
		for _, call := range k.calls {
			line, want, _ := strings.Cut(call, " -> ")
			parts := strings.SplitN(line, " | ", 2)
			name, arguments, _ := strings.Cut(parts[0], " ")
			rest := ""
			if len(parts) == 2 {
				rest = " | " + parts[1]
			}
			for range 4 {
				other := respell(t, arguments, rng)
				got, _ := judge(t, b, name+" "+other+rest+" -> "+want)
				require.Equal(t, want, got, "%s\n%s %s", k.says, name, other)
				if other != arguments {
					spelled++
				}
			}
		}
	}
	require.Greater(t, spelled, 1000)
}

// respell writes an object with its members in another order, characters as
// escapes, numbers with exponents, and white space.
func respell(t testing.TB, text string, rng *rand.Rand) string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v), text)
	var b bytes.Buffer
	write(&b, v, rng)
	return b.String()
}

func write(b *bytes.Buffer, v any, rng *rand.Rand) {
	blank := func() { b.WriteString([]string{"", " ", "\t", " \n "}[rng.IntN(4)]) }
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		b.WriteString("{")
		for i, name := range names {
			if i > 0 {
				b.WriteString(",")
			}
			blank()
			writeText(b, name, rng)
			blank()
			b.WriteString(":")
			blank()
			write(b, v[name], rng)
		}
		b.WriteString("}")
	case []any:
		b.WriteString("[")
		for i, e := range v {
			if i > 0 {
				b.WriteString(",")
			}
			blank()
			write(b, e, rng)
		}
		b.WriteString("]")
	case string:
		writeText(b, v, rng)
	case json.Number:
		b.WriteString(respellNumber(v.String(), rng))
	default:
		text, _ := json.Marshal(v)
		b.Write(text)
	}
}

func writeText(b *bytes.Buffer, s string, rng *rand.Rand) {
	b.WriteString(`"`)
	for _, r := range s {
		if rng.IntN(3) == 0 {
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(b, []string{`\u%04x`, `\u%04X`}[rng.IntN(2)], unit)
			}
			continue
		}
		text, _ := json.Marshal(string(r))
		b.Write(text[1 : len(text)-1])
	}
	b.WriteString(`"`)
}

// respellNumber writes 1000 as 1e3, 1000.0, 10000E-1 or as it is.
func respellNumber(n string, rng *rand.Rand) string {
	whole, fraction, _ := strings.Cut(n, ".")
	digits, exponent := whole+fraction, -len(fraction)
	switch rng.IntN(4) {
	case 0:
		for len(digits) > 1 && strings.HasSuffix(digits, "0") {
			digits, exponent = digits[:len(digits)-1], exponent+1
		}
		return strings.TrimLeft(digits[:len(digits)-1], "0") + digits[len(digits)-1:] + "e" + strconv.Itoa(exponent)
	case 1:
		return strings.TrimLeft(digits, "0") + map[bool]string{true: "0", false: ""}[strings.Trim(digits, "0") == ""] + "0E" + strconv.Itoa(exponent-1)
	case 2:
		if fraction == "" {
			return n + ".0"
		}
		return n + "0"
	}
	return n
}

// rulesOf makes a bundle of some rules in some order.
func rulesOf(t testing.TB, evaluator governance.Evaluator, rules []governance.Rule) *governance.Bundle {
	t.Helper()
	b, err := governance.NewBundle([]governance.Policy{{Name: "p", Rules: rules}}, governance.Options{Evaluator: evaluator})
	require.NoError(t, err)
	return b
}

func TestTheOrderOfRulesNeverMatters(t *testing.T) {
	list := corpus(t)
	evaluator, err := cel.New()
	require.NoError(t, err)
	rapid.Check(t, func(rt *rapid.T) {
		chosen := rapid.SliceOfNDistinct(rapid.IntRange(0, len(list)-1), 2, 6, rapid.ID[int]).Draw(rt, "sentences")
		rules := make([]governance.Rule, len(chosen))
		var calls []string
		for i, n := range chosen {
			rules[i] = list[n].rule
			calls = append(calls, list[n].calls...)
		}
		other := rapid.Permutation(rules).Draw(rt, "order")
		one, two := rulesOf(t, evaluator, rules), rulesOf(t, evaluator, other)
		for _, call := range calls {
			call = enforced(call)
			first, _ := judge(t, one, call)
			second, _ := judge(t, two, call)
			if first != second {
				rt.Fatalf("%s: %s in one order, %s in another", call, first, second)
			}
		}
	})
}

func TestAddingARuleNeverLoosensAVerdict(t *testing.T) {
	list := corpus(t)
	evaluator, err := cel.New()
	require.NoError(t, err)
	stricter := 0
	rapid.Check(t, func(rt *rapid.T) {
		chosen := rapid.SliceOfNDistinct(rapid.IntRange(0, len(list)-1), 2, 5, rapid.ID[int]).Draw(rt, "sentences")
		var rules []governance.Rule
		for _, n := range chosen {
			rules = append(rules, list[n].rule)
		}
		fewer, more := rules[:len(rules)-1], rules
		one, two := rulesOf(t, evaluator, fewer), rulesOf(t, evaluator, more)
		for _, n := range chosen {
			for _, call := range list[n].calls {
				call = enforced(call)
				name, _, _ := strings.Cut(call, " ")
				taken := false
				for _, r := range fewer {
					taken = taken || r.TakesOver() && len(r.Tools) > 0 && rule.Covers(r.Tools, name)
				}
				if !taken {
					continue // the profile decided so far
				}
				before, _ := judge(t, one, call)
				after, _ := judge(t, two, call)
				if strict(rt, after) < strict(rt, before) {
					rt.Fatalf("%s: %s before %q, %s with it", call, before, list[chosen[len(chosen)-1]].says, after)
				}
				if after != before {
					stricter++
				}
			}
		}
	})
	require.Positive(t, stricter, "some rules must matter")
}

// enforced takes the mark of rules that only record off what a call should get.
func enforced(call string) string { return strings.Replace(call, " -> shadow ", " -> ", 1) }

func strict(t interface{ Fatalf(string, ...any) }, verdict string) governance.Verdict {
	v, err := governance.ParseVerdict(verdict)
	if err != nil {
		t.Fatalf("%s: %v", verdict, err)
	}
	return v
}
