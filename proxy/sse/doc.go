// Package sse takes frames out of a model's event stream and keeps their
// bytes.
//
// A frame here is everything up to and including a blank line, exactly as it
// came: comments, fields this package has no use for and the line endings of
// the sender included, so that the concatenation of all frames is the input.
// What lives here is the cutting and the reading of the payload. What the
// payload means, and which frame may go on to a client, is decided elsewhere;
// events that this program authors are not written with this package.
//
// Some readers do not follow the format: they split at other characters, trim
// names or read every line for itself. A frame in which such a reader could find
// something else than its payload is marked as odd.
//
// The rules are those of the WHATWG event stream format: lines end with LF,
// CRLF or CR, a byte order mark at the very start is ignored, one blank after
// the colon is not part of the value, several data lines are joined with LF.
// They differ in one point on purpose: a last frame that lacks its blank line
// is delivered (marked as incomplete), because models end streams that way.
package sse
