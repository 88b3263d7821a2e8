// Package rule turns plain English into rules: a grammar, no model. It knows a
// closed list of words (words.tsv) and the names, arguments and values of the
// tools it is given; a sentence with any other word is not understood, a sentence
// that fits two things is a question, and nothing is ever guessed.
//
// The whole interface is Compile and CompileRule:
//
//	result := rule.Compile(sentence, tools, answers)
//
// tools are those that the workspace has seen. result.Rule is the rule document
// and result.ReadBack the sentence that it is read back as; or result.Questions
// are to be answered, with Answers{question.ID: one of question.Options}, and
// Compile called again with all answers; or result.Unknown are the words that were
// not understood; or result.Problem says why the sentence is no rule. Nothing
// fails in another way, and the result depends on nothing but what is passed.
//
// What lives here: the words, the grammar, how words are bound to tools and their
// arguments, and the sentence that a rule is read back as. What does not: the
// files that rules stand in and their lock (package governance), what CEL means
// (governance/cel), checking a rule against schemas and other rules.
package rule
