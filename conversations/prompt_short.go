package conversations

import (
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"cadreen/governance"
)

// shortForm decides whether the values of a call may stay unshown: only where
// the requester has just written every one of them. That is: one call alone, to
// be confirmed, with no message, no tag and no text of the model's; and every
// argument is a scalar that stands, spelled the same, as a whole word of the last
// user message, beside a word of the argument's name ("order 456" for order_id)
// or, for an amount, with a currency ("$750", "750 EUR"). Each word of the message
// can account for one argument. No arguments at all qualify.
//
// When in doubt it answers false: showing too much costs a few lines.
func shortForm(a Ask) bool {
	if len(a.Items) != 1 || a.ModelText || a.Tag != "" {
		return false
	}
	item := a.Items[0]
	if item.Verdict != governance.Confirm || item.Also || item.Custom || strings.TrimSpace(item.Message) != "" {
		return false
	}
	arguments, ok := scalarArguments(item.Arguments)
	if !ok {
		return false
	}
	words := userWords(a.UserText)
	for _, argument := range arguments {
		if !claimWord(words, argument) {
			return false
		}
	}
	return true
}

// shortArguments is how many arguments a short form may stand for, shortValue
// how long each may be, in bytes.
const (
	shortArguments = 8
	shortValue     = 64
)

type scalarArgument struct {
	name   []string // the words of its name that say something, in lower case
	amount bool     // a number whose name says that it is money
	value  string   // as the user would have to write it
}

// scalarArguments reads an object of scalars, strictly: duplicate names, nested
// values and anything after the object answer false.
func scalarArguments(text string) ([]scalarArgument, bool) {
	if strings.TrimSpace(text) == "" {
		return nil, true
	}
	d := jsontext.NewDecoder(strings.NewReader(text))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil, false
	}
	var arguments []scalarArgument
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil || len(arguments) == shortArguments {
			return nil, false
		}
		argument := scalarArgument{}
		argument.name, argument.amount = nameWords(name.String())
		value, err := d.ReadToken()
		if err != nil {
			return nil, false
		}
		switch value.Kind() {
		case '0':
			argument.value = value.String()
		case '"':
			argument.value, argument.amount = value.String(), false
		default:
			return nil, false
		}
		if !plainWord(argument.value) {
			return nil, false
		}
		arguments = append(arguments, argument)
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	return arguments, len(strings.TrimSpace(text[d.InputOffset():])) == 0
}

// plainWord: a short word in which nothing can hide.
func plainWord(s string) bool {
	if s == "" || len(s) > shortValue {
		return false
	}
	for _, r := range s {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r):
		case '!' <= r && r <= '~' && r != '`' && r != '\\':
		default:
			return false
		}
	}
	return true
}

// hollowWords of an argument's name say nothing about what the value is.
var hollowWords = map[string]bool{
	"id": true, "ids": true, "number": true, "num": true, "no": true, "nr": true, "uuid": true,
	"key": true, "value": true, "name": true, "the": true, "of": true, "for": true, "to": true, "from": true, "in": true,
}

// amountWords in an argument's name say that its number is money.
var amountWords = map[string]bool{
	"amount": true, "price": true, "total": true, "cost": true, "sum": true, "fee": true, "payment": true,
	"refund": true, "charge": true, "budget": true, "balance": true, "tip": true, "deposit": true,
}

// otherWords in an argument's name say that its number is not an amount as a
// person writes one: an identifier, a count, a part of the unit.
var otherWords = map[string]bool{
	"id": true, "ids": true, "number": true, "num": true, "no": true, "nr": true, "uuid": true, "key": true, "code": true,
	"count": true, "cent": true, "cents": true, "pence": true, "minor": true, "micro": true, "micros": true, "milli": true,
	"percent": true, "percentage": true, "index": true, "thousand": true, "thousands": true, "millions": true,
}

// nameWords splits an argument's name at everything that is not a letter or a
// digit and where lower case turns into upper case.
func nameWords(name string) (words []string, amount bool) {
	var b strings.Builder
	before := rune(0)
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) || unicode.IsUpper(r) && unicode.IsLower(before) {
			b.WriteByte(' ')
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			b.WriteRune(unicode.ToLower(r))
		}
		before = r
	}
	other := false
	for _, word := range strings.Fields(b.String()) {
		amount = amount || amountWords[word]
		// A currency in the name must stand in the message: "$750" is not amount_eur.
		other = other || otherWords[word] || currencyWords[word]
		if !hollowWords[word] {
			words = append(words, word)
		}
	}
	return words, amount && !other
}

// userWord is one word of the user's message.
type userWord struct {
	text     string // without quotes, '#' and the sentence's punctuation around it
	currency bool   // a currency sign stood right before or after it
	taken    bool   // it already accounts for an argument
}

// userWords splits a message at white space. What is taken off a word never
// changes a value: no sign, no leading point, no bracket.
func userWords(text string) []userWord {
	fields := strings.Fields(text)
	words := make([]userWord, 0, len(fields))
	for _, field := range fields {
		word := strings.TrimRight(strings.TrimLeft(field, `#"'“‘„«`), `.,;:!?"'”’“»`)
		bare := strings.TrimFunc(word, func(r rune) bool { return unicode.Is(unicode.Sc, r) })
		words = append(words, userWord{text: bare, currency: bare != word})
	}
	return words
}

// currencyWords follow or precede an amount.
var currencyWords = map[string]bool{
	"dollar": true, "dollars": true, "euro": true, "euros": true, "pound": true, "pounds": true, "yen": true, "yuan": true,
	"rupee": true, "rupees": true, "franc": true, "francs": true, "bucks": true,
	"usd": true, "eur": true, "gbp": true, "jpy": true, "cny": true, "chf": true, "cad": true, "aud": true, "inr": true,
	"sek": true, "nok": true, "dkk": true, "pln": true, "czk": true, "brl": true, "mxn": true, "krw": true,
}

// claimWord finds a free word that is the argument's value in its place.
func claimWord(words []userWord, argument scalarArgument) bool {
	for i := range words {
		word := &words[i]
		if word.taken || word.text != argument.value || word.currency && !argument.amount {
			continue
		}
		if besides(words, i, argument) {
			word.taken = true
			return true
		}
	}
	return false
}

func besides(words []userWord, i int, argument scalarArgument) bool {
	if argument.amount && words[i].currency {
		return true
	}
	for _, j := range [...]int{i - 1, i + 1} {
		if j < 0 || j >= len(words) {
			continue
		}
		neighbour := strings.ToLower(words[j].text)
		if argument.amount && (currencyWords[neighbour] || neighbour == "" && words[j].currency) {
			return true
		}
		for _, word := range argument.name {
			if neighbour == word {
				return true
			}
		}
	}
	return false
}
