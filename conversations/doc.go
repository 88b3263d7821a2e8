// Package conversations knows who is talking: which conversation a request
// belongs to, whether its last message answers a question of ours, which hold
// that question was about, and in which words calls are asked about.
//
// What does not live here: the yes/no table (conversations/answer), the life of
// a hold (governance), and the wire (proxy/openai).
package conversations
