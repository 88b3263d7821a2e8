// Package openai is a byte-exact view of chat completion requests, replies and
// stream chunks: find a value, edit by offsets, splice. Nothing is re-marshalled:
// what nobody asked to change stays as it came, to the byte.
//
// Every document is checked strictly before anything is looked at: valid JSON,
// valid UTF-8, no duplicate names (compared unescaped), nothing behind the end.
// A \u escape of a lone surrogate is JSON and is let through. What does not live
// here: what the values mean to governance, and how frames are found in a stream
// (proxy/sse).
package openai
