// Package fault is the catalogue of everything that Cadreen can answer with instead of a result: the stable code, its HTTP
// status, its type, a message, a hint that says how to mend it, and what to do next.
//
// The catalogue is data (catalogue.json); docs/errors.md and the page that the server shows at /docs/errors are made from it.
// Rooms return an *Error, wrapped as far as they like; the front turns whatever arrives into the wire form with From and Body,
// and an error that is not one of ours leaves as a bare internal_error that tells the client nothing about the inside.
//
// Not here: writing responses, trace ids, and deciding whether a blocked call is a fault at all.
package fault
