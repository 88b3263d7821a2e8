package governance

import (
	_ "embed"
	"encoding/json"
	"strings"
	"unicode"
)

//go:embed kinds.tsv
var kindTable string

// wordClass says what a word tells about a tool; see kinds.tsv.
type wordClass uint8

const (
	wordWrite wordClass = 1 << iota
	wordNoun
	wordRead
	wordGeneric
	argDanger
	argAddress
)

var kindWords = readKindTable(kindTable)

func readKindTable(table string) map[string]wordClass {
	classes := map[string]wordClass{"write": wordWrite, "noun": wordNoun, "read": wordRead,
		"generic": wordGeneric, "danger": argDanger, "address": argAddress}
	words := make(map[string]wordClass)
	for line := range strings.Lines(table) {
		class, list, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for _, w := range strings.Fields(list) {
			words[w] |= classes[class]
		}
	}
	return words
}

// GuessKind guesses what a tool does from its name, description and schema. It
// decides what the profile does with tools no rule names; it is a convenience,
// not a boundary: a name may lie. Who needs a boundary uses the profile locked.
//
// A write verb in the name makes a write. A read verb makes a read, unless the
// description holds a write verb or the tool is generic and takes a program or
// an address (sql, query, command, code, script, url, path): that is unknown.
func GuessKind(tool Tool) Kind {
	var read, write, nounFirst, generic, specific bool
	joined := false // the word before was "and", "or", "then"
	for _, w := range NameWords(tool.Name, unicode.IsLetter) {
		class := kindWords[w]
		switch {
		case class&wordWrite != 0, class&wordNoun != 0 && joined:
			write = true
		case class&wordRead != 0:
			read = true
		case class&wordNoun != 0 && !read:
			nounFirst = true
		}
		if class&wordGeneric != 0 {
			generic = true
		} else if class&(wordRead|wordWrite) == 0 && len(w) > 2 {
			specific = true
		}
		joined = w == "and" || w == "or" || w == "then"
	}
	if write {
		return KindWrite
	}
	if nounFirst && !read {
		return KindWrite
	}
	if describesWrite(tool.Description) {
		if read {
			return KindUnknown
		}
		return KindWrite
	}
	if !read || nounFirst {
		return KindUnknown
	}
	if generic && !specific && !onlyData(tool.Name) {
		return KindUnknown
	}
	for _, name := range argumentNames(tool) {
		for _, w := range NameWords(name, unicode.IsLetter) {
			class := kindWords[w]
			if class&argDanger != 0 || class&argAddress != 0 && (generic || !specific) {
				return KindUnknown
			}
		}
	}
	return KindRead
}

// onlyData: the generic words of a name are those that merely store things, so
// that the name alone (get_data, query_db) does not make the tool a tunnel.
func onlyData(name string) bool {
	for _, w := range NameWords(name, unicode.IsLetter) {
		switch w {
		case "url", "uri", "http", "https", "api", "shell", "command", "cmd", "sql", "curl", "endpoint", "request", "graphql", "rpc",
			"bash", "powershell", "terminal":
			return false
		}
	}
	return true
}

// describesWrite: a write verb anywhere in the description, in its plain form,
// with -s or with -ing. Participles in -ed describe things ("recently updated").
// A word that may be a noun counts where the description begins with it as a verb
// ("Posts …", "Update the …").
func describesWrite(description string) bool {
	words := NameWords(description, unicode.IsLetter)
	for i, w := range words {
		singular := strings.TrimSuffix(w, "s")
		for _, form := range [...]string{w, singular, strings.TrimSuffix(w, "es"), strings.TrimSuffix(w, "ing"), strings.TrimSuffix(w, "ing") + "e"} {
			if kindWords[form]&wordWrite != 0 {
				return true
			}
		}
		if i > 0 || singular == "return" { // "Returns the order" is what a read does
			continue
		}
		article := false
		if len(words) > 1 {
			switch words[1] {
			case "a", "an", "the", "this", "that", "your", "all", "one":
				article = true
			}
		}
		if kindWords[singular]&wordNoun != 0 && (singular != w || article) {
			return true
		}
	}
	return false
}

func argumentNames(tool Tool) []string {
	if len(tool.Schema) == 0 {
		return nil
	}
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(tool.Schema, &schema) != nil {
		return []string{"code"} // what cannot be read is not called a read
	}
	names := make([]string, 0, len(schema.Properties))
	for name := range schema.Properties {
		names = append(names, name)
	}
	return names
}

// NameWords splits snake_case, kebab-case, dotted, spaced and camelCase names
// into lower-case words: "getHTTPStatus2" is get, http, status. in says which
// characters belong to words.
func NameWords(name string, in func(rune) bool) []string {
	var words []string
	runes := []rune(name)
	start := -1
	flush := func(end int) {
		if start >= 0 {
			words = append(words, strings.ToLower(string(runes[start:end])))
		}
		start = -1
	}
	for i, r := range runes {
		if !in(r) {
			flush(i)
			continue
		}
		if start >= 0 && unicode.IsUpper(r) {
			lowerBefore := unicode.IsLower(runes[i-1])
			lowerAfter := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if lowerBefore || lowerAfter {
				flush(i)
			}
		}
		if start < 0 {
			start = i
		}
	}
	flush(len(runes))
	return words
}
