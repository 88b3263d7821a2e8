package rule

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"
)

// symbols are the kinds of token that the grammar speaks of. Beside the classes of
// words.tsv: Word and Noun (a word of a tool, argument or role; a Noun has filler
// words such as an article before it, so that it begins a phrase; so do TheHead
// and TheDepartment), Tool (a tool's
// name or a glob), Figure, Money, Clock, Quoted, Value (a word of an enum), Poss ('s), Window (a time that counts reach
// back), Domain (of mail addresses), Country and Group (of countries).
var symbols = func() map[string]lexer.TokenType {
	names := []string{"Word", "Noun", "Tool", "Figure", "Money", "Clock", "Quoted", "Value", "Poss", "Sep", "Stop", "Zone", "TheHead", "TheDepartment",
		"Window", "Dash", "Country", "Group", "Domain"}
	for _, e := range phrases {
		names = append(names, e.class)
	}
	slices.Sort(names)
	types := map[string]lexer.TokenType{"EOF": lexer.EOF}
	for i, name := range slices.Compact(names) {
		types[name] = lexer.TokenType(-2 - i)
	}
	return types
}()

// token is one token with the place it came from.
type token struct {
	class, value string
	start, end   int // bytes of the sentence
	gap          bool
}

// tokens is a lexer.Lexer over a sentence that was read already.
type tokens struct {
	list []token
	next int
}

// Next implements lexer.Lexer. The position's offset is where the token begins.
func (t *tokens) Next() (lexer.Token, error) {
	if t.next == len(t.list) {
		return lexer.EOFToken(lexer.Position{Line: 1, Column: len(t.list) + 1}), nil
	}
	k := t.list[t.next]
	t.next++
	return lexer.Token{Type: symbols[k.class], Value: k.value, Pos: lexer.Position{Offset: k.start, Line: 1, Column: t.next}}, nil
}

// definition tells participle the symbols; sentences come to it as tokens.
type definition struct{ types map[string]lexer.TokenType }

// Symbols implements lexer.Definition.
func (d definition) Symbols() map[string]lexer.TokenType { return d.types }

// Lex implements lexer.Definition, for sentences that speak of no tool.
func (definition) Lex(_ string, r io.Reader) (lexer.Lexer, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	list, unknown := scan(string(text), newVocabulary(nil))
	if len(unknown) > 0 {
		return nil, Result{Unknown: unknown}.Err()
	}
	return &tokens{list: list}, nil
}

var currencySigns = map[rune]string{'$': "USD", '€': "EUR", '£': "GBP"}

// domainPattern is a domain of mail addresses, with or without its @.
var domainPattern = regexp.MustCompile(`^@?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24}\b`)

// addressWords may stand behind a domain.
var addressWords = regexp.MustCompile(`^ (?:e-?mail )?address(?:es)?\b`)

var wordPattern = regexp.MustCompile(`^[\p{L}\p{N}_*][\p{L}\p{N}_.:/*-]*`)

var spacedDigits = regexp.MustCompile(`^(?:[ \x{a0}\x{202f}]+[0-9]+)+`)

// scanner cuts one sentence into tokens with the vocabulary of the given tools.
type scanner struct {
	text    string
	plain   string // the same length: lower case, straight apostrophes
	at      int
	gap     bool
	known   *vocabulary
	out     []token
	unknown []Word
}

func scan(sentence string, known *vocabulary) ([]token, []Word) {
	s := &scanner{text: sentence, plain: fold(sentence), known: known}
	for s.at < len(s.text) {
		s.step()
	}
	return s.out, s.unknown
}

// fold lowers the letters of a sentence without moving any byte: a letter whose
// lower case has another length stays.
func fold(sentence string) string {
	var b strings.Builder
	for _, r := range sentence {
		if l := unicode.ToLower(r); utf8.RuneLen(l) == utf8.RuneLen(r) {
			r = l
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (s *scanner) emit(class, value string, length int) {
	if class == "Filler" {
		s.gap = true
	} else {
		switch {
		case !s.gap:
		case class == "Word":
			class = "Noun"
		case class == "Head", class == "Department":
			class = "The" + class
		}
		s.out = append(s.out, token{class, value, s.at, s.at + length, s.gap})
		s.gap = false
	}
	s.at += length
}

func (s *scanner) reject(length int) {
	s.unknown = append(s.unknown, Word{s.text[s.at : s.at+length], s.at, s.at + length, ""})
	s.at += length
}

func (s *scanner) step() {
	rest := s.text[s.at:]
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case unicode.IsSpace(r):
		s.at += size
	case r == ',' || r == ':' || r == '—':
		s.emit("Sep", ",", size)
	case r == '.' || r == ';' || r == '!':
		s.emit("Stop", ".", size)
	case r == '"' || r == '“':
		s.quoted(size)
	case s.window():
	case strings.HasPrefix(s.plain[s.at:], "non-"):
		s.emit("Not", "not", 4)
	case r == '-' || r == '–':
		s.emit("Dash", "-", size)
	case strings.ContainsRune("<>=≤≥", r):
		s.sign(rest)
	case strings.ContainsRune("$€£", r):
		s.money(currencySigns[r], size)
	case r >= '0' && r <= '9' && !s.identifier(rest):
		s.number(rest)
	case r == '@' && domainPattern.MatchString(s.plain[s.at:]):
		domain := domainPattern.FindString(s.plain[s.at:])
		s.emit("Domain", domain[1:], len(domain)+len(addressWords.FindString(s.plain[s.at+len(domain):])))
	case (r == '\'' || r == '’') && len(s.out) > 0 && s.out[len(s.out)-1].end == s.at:
		// requester's, reviewers'
		tail := rest[size:]
		if strings.HasPrefix(tail, "s") && !startsWord(tail[1:]) {
			size++
		}
		s.emit("Poss", "'s", size)
	default:
		s.word(rest, size)
	}
}

func (s *scanner) quoted(open int) {
	inside := s.text[s.at+open:]
	end := strings.IndexAny(inside, "\"”")
	if end <= 0 {
		s.reject(len(s.text) - s.at)
		return
	}
	_, closing := utf8.DecodeRuneInString(inside[end:])
	s.emit("Quoted", inside[:end], open+end+closing)
}

// identifier: the text begins with a tool's name that begins with a digit.
func (s *scanner) identifier(rest string) bool {
	name := strings.TrimRight(wordPattern.FindString(rest), ".:/-")
	return s.known.isTool(name)
}

func (s *scanner) word(rest string, size int) {
	whole := strings.TrimRight(wordPattern.FindString(rest), ".:/-")
	if whole == "" {
		s.reject(size)
		return
	}
	if s.known.isTool(whole) && strings.ContainsAny(whole, "_.:/-") {
		s.emit("Tool", whole, len(whole))
		return
	}
	e, length := s.phrase(s.at)
	if length == 0 && !s.known.has(whole) {
		e, length = s.special(whole)
	}
	if length > 0 {
		class, value := e.class, e.value
		if class == "Unit" {
			if s.unitBefore(e, length) {
				return
			}
			class = "Currency" // without a figure before it
		}
		if class == "Suffix" && strings.HasPrefix(s.plain[s.at:], "or ") && startsAmount(s.text[s.at+length:]) {
			class, value, length = "Or", "", 2 // "under $50 or over $500"
		}
		if class == "CompareTimes" && s.plain[s.at:s.at+length] == "only once" && !s.countsAt(s.at+length) {
			class, value, length = "Only", "", len("only") // "only once the identity was checked"
		}
		if number := smallNumbers[s.plain[s.at:s.at+length]]; class == "Number" {
			s.emit("Figure", number, length)
			return
		}
		if value == "" {
			value = s.plain[s.at : s.at+length]
		}
		s.emit(class, value, length)
		return
	}
	switch {
	case s.known.isTool(whole) || strings.Contains(whole, "*") && s.known.glob(whole):
		s.emit("Tool", whole, len(whole))
	case s.known.isValue(whole):
		s.emit("Value", whole, len(whole))
	case strings.EqualFold(whole, "up") && s.behindLook():
		s.emit("Filler", whole, len(whole))
	case s.known.has(whole) || s.beforeRole(len(whole)):
		s.emit("Word", whole, len(whole))
	default:
		s.reject(len(whole))
	}
}

// special finds what stands in tables of its own, where no tool has the word:
// countries, groups of them, domains.
func (s *scanner) special(whole string) (entry, int) {
	if e, length := s.longest(s.at, countryPhrases, longestCountry); length > 0 {
		return e, length
	}
	if strings.HasPrefix(s.text[s.at:], "US") && !startsWord(s.text[s.at+2:]) {
		return entry{"Country", "US"}, 2 // "us" is a word
	}
	if domain := domainPattern.FindString(s.plain[s.at:]); domain != "" && !strings.Contains(whole, "/") {
		return entry{"Domain", strings.TrimPrefix(domain, "@")}, len(domain) + len(addressWords.FindString(s.plain[s.at+len(domain):]))
	}
	return entry{}, 0
}

// phrase finds the longest known phrase at a place.
func (s *scanner) phrase(at int) (found entry, length int) { return s.longest(at, phrases, longest) }

func (s *scanner) longest(at int, phrases map[string]entry, words int) (found entry, length int) {
	end, text := at, ""
	for range words {
		n := phraseWord(s.plain[end:])
		if n == 0 {
			return found, length
		}
		word := strings.ReplaceAll(s.plain[end:end+n], "’", "'")
		if bare, ok := strings.CutSuffix(word, "'s"); ok {
			if e, ok := phrases[text+bare]; ok {
				found, length = e, end-at+len(bare)
			}
		}
		text += word
		end += n
		if e, ok := phrases[text]; ok && !startsWord(s.plain[end:]) {
			found, length = e, end-at
		}
		blanks := len(s.plain[end:]) - len(strings.TrimLeft(s.plain[end:], " "))
		if blanks == 0 {
			return found, length
		}
		text += " "
		end += blanks
	}
	return found, length
}

// phraseWord is the length of the word at the beginning of a text as phrases have
// them: with hyphens, slashes and underscores inside, and apostrophes in front of
// a t or s ("don't", "user's").
func phraseWord(text string) int {
	for i, r := range text {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			continue
		}
		next, _ := utf8.DecodeRuneInString(text[i+utf8.RuneLen(r):])
		inside := i > 0 && unicode.IsLetter(next) && (r == '-' || r == '/' || r == '_')
		if inside {
			continue
		}
		if tail := strings.TrimPrefix(text[i:], string(r)); (r == '\'' || r == '’') && i > 0 && len(tail) > 0 && (tail[0] == 't' || tail[0] == 's') && !startsWord(tail[1:]) {
			return i + utf8.RuneLen(r) + 1
		}
		return i
	}
	return len(text)
}

// behindLook: the word before is "look", in some form.
func (s *scanner) behindLook() bool {
	if len(s.out) == 0 {
		return false
	}
	last := s.out[len(s.out)-1]
	return stem(s.plain[last.start:last.end]) == "look"
}

// beforeRole: one of the next two words is the head of a role's name, as in "a
// refund lead", so that this word may be part of it.
func (s *scanner) beforeRole(length int) bool {
	at := s.at + length
	for range 2 {
		blanks := len(s.plain[at:]) - len(strings.TrimLeft(s.plain[at:], " "))
		if blanks == 0 {
			return false
		}
		at += blanks
		e, n := s.phrase(at)
		if e.class == "Head" {
			return true
		}
		if n > 0 {
			return false
		}
		at += wordLength(s.plain[at:])
	}
	return false
}

func wordLength(text string) int {
	for i, r := range text {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-' {
			return i
		}
	}
	return len(text)
}

// countsAt: how far back is counted stands there.
func (s *scanner) countsAt(at int) bool {
	rest := strings.TrimLeft(s.plain[at:], " ")
	e, _ := s.phrase(len(s.plain) - len(rest))
	return e.class == "Per" || windowPattern.MatchString(rest)
}

func startsWord(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_'
}
