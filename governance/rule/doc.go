// Package rule turns plain English into rules: a grammar, no model. It knows a
// closed list of words (words.tsv) and the names, arguments and values of the
// tools it is given; a sentence with any other word is not understood, a sentence
// that fits two things is a question, and nothing is ever guessed.
//
// What lives here: the words, the grammar, how words are bound to tools and their
// arguments, and the sentence that a rule is read back as. What does not: the
// files that rules stand in and their lock (package governance), what CEL means
// (governance/cel).
package rule
