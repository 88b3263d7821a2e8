package rule

import (
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"
)

// symbols are the kinds of token that the grammar speaks of. Beside the classes of
// words.tsv: Word and Noun (a word of a tool, argument or role; a Noun has filler
// words such as an article before it, so that it begins a phrase; so do TheHead
// and TheDepartment), Tool (a tool's
// name or a glob), Figure, Money, Clock, Quoted, Value (a word of an enum), Poss ('s).
var symbols = func() map[string]lexer.TokenType {
	names := []string{"Word", "Noun", "Tool", "Figure", "Money", "Clock", "Quoted", "Value", "Poss", "Sep", "Stop", "Zone", "TheHead", "TheDepartment"}
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

var wordPattern = regexp.MustCompile(`^[\p{L}\p{N}_*][\p{L}\p{N}_.:/*-]*`)

// numberLike is as much of a number that is none as is shown.
var numberLike = regexp.MustCompile(`^(?:[\p{L}\p{N}]+(?:[.,:][\p{L}\p{N}]+)*)?`)

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
	case strings.ContainsRune("$€£", r):
		s.money(map[rune]string{'$': "USD", '€': "EUR", '£': "GBP"}[r], size)
	case r >= '0' && r <= '9' && !s.identifier(rest):
		s.number(rest)
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

// money reads the figure behind a currency sign.
func (s *scanner) money(currency string, sign int) {
	value, written := readFigure(strings.TrimLeft(s.text[s.at+sign:], " "))
	length := sign + strings.Index(s.text[s.at+sign:], written) + len(written)
	if value == "" || startsWord(s.text[s.at+length:]) {
		s.reject(sign + len(numberLike.FindString(s.text[s.at+sign:])))
		return
	}
	s.emit("Money", currency+" "+value, length)
}

// number reads a time of day, or a figure with the unit behind it.
func (s *scanner) number(rest string) {
	if minute, written := readClock(rest); written != "" {
		s.emit("Clock", strconv.Itoa(minute), len(written))
		return
	}
	value, written := readFigure(rest)
	if value == "" || startsWord(rest[len(written):]) {
		s.reject(len(numberLike.FindString(rest)))
		return
	}
	behind := s.plain[s.at+len(written):]
	blanks := len(behind) - len(strings.TrimLeft(behind, " "))
	if e, length := s.phrase(s.at + len(written) + blanks); e.class == "Unit" {
		s.emit("Money", e.value+" "+value, len(written)+blanks+length)
		return
	}
	s.emit("Figure", value, len(written))
}

// identifier: the text begins with a tool's name that begins with a digit.
func (s *scanner) identifier(rest string) bool {
	name := strings.TrimRight(wordPattern.FindString(rest), ".:/-")
	return s.known.names[name]
}

func (s *scanner) word(rest string, size int) {
	whole := strings.TrimRight(wordPattern.FindString(rest), ".:/-")
	if whole == "" {
		s.reject(size)
		return
	}
	if s.known.names[whole] && strings.ContainsAny(whole, "_.:/-") {
		s.emit("Tool", whole, len(whole))
		return
	}
	if e, length := s.phrase(s.at); length > 0 {
		class := e.class
		if class == "Unit" {
			class = "Currency" // without a figure before it
		}
		value := e.value
		if value == "" {
			value = s.plain[s.at : s.at+length]
		}
		s.emit(class, value, length)
		return
	}
	switch {
	case s.known.names[whole] || strings.Contains(whole, "*") && s.known.glob(whole):
		s.emit("Tool", whole, len(whole))
	case s.known.isValue(whole):
		s.emit("Value", whole, len(whole))
	case s.known.has(whole) || s.beforeRole(len(whole)):
		s.emit("Word", whole, len(whole))
	default:
		s.reject(len(whole))
	}
}

// phrase finds the longest known phrase at a place.
func (s *scanner) phrase(at int) (found entry, length int) {
	end, text := at, ""
	for range longest {
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

func startsWord(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_'
}
