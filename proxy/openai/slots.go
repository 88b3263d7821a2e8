package openai

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// SlotKind is what a Slot holds.
type SlotKind uint8

const (
	SlotContent   SlotKind = iota // the text of the choice
	SlotWords                     // other words of the message: reasoning, a refusal
	SlotArguments                 // a fragment of a call's arguments
	SlotFiller                    // a string of the chunk itself that nobody here reads
)

// Slot is a string of a chunk that may hold any other characters without the chunk becoming something else: no other
// name, no other structure, no other call. Its span lies between the quotes.
type Slot struct {
	Span
	Kind SlotKind
}

// fixed are top-level strings that stay the same from chunk to chunk.
var fixed = names{"object", "system_fingerprint", "service_tier"}

// Slots finds the strings by which this chunk differs from the next one of its stream, in their order. ok is true only
// for the two kinds of chunk that streams are made of: one choice that goes on with text, and one choice that goes on
// with the arguments of one call, by its index. A chunk with the same bytes around other strings that pass StringEnd is
// as strict as this one and means the same but for them.
func (v *View) Slots(list []Slot) (slots []Slot, ok bool) {
	list = list[:0]
	if len(v.Choices) != 1 || v.Error.Present() || v.Usage.Present() {
		return list, false
	}
	c := &v.Choices[0]
	if !c.Message.Present() || c.FinishReason != "" || c.HasLegacy {
		return list, false
	}
	switch len(c.Calls) {
	case 0:
		list, ok = v.textSlots(list, c)
	case 1:
		list, ok = v.argumentSlots(list, c)
	}
	if !ok {
		return list, false
	}
	for o := v.doc.inside(root); o.next(); {
		known, _ := topNames.find(o.name())
		same, _ := fixed.find(o.name())
		if known < 0 && same < 0 && v.Data[o.Value.Start] == '"' {
			list = append(list, Slot{inside(o.Value), SlotFiller})
		}
	}
	slices.SortFunc(list, func(a, b Slot) int { return a.Start - b.Start })
	return list, true
}

// inside is what stands between the quotes of a string.
func inside(s Span) Span { return Span{s.Start + 1, s.End - 1} }

func (v *View) textSlots(list []Slot, c *ChoiceView) ([]Slot, bool) {
	for o := v.doc.inside(v.doc.at(c.Message)); o.next(); {
		raw := o.Value.Of(v.Data)
		switch at, _ := bodyNames.find(o.name()); {
		case at == 0: // the role
		case raw[0] == '"' && at == 1:
			list = append(list, Slot{inside(o.Value), SlotContent})
		case raw[0] == '"':
			list = append(list, Slot{inside(o.Value), SlotWords})
		case says(raw):
			return list, false // parts and objects are read whole
		}
	}
	return list, len(list) > 0
}

func (v *View) argumentSlots(list []Slot, c *ChoiceView) ([]Slot, bool) {
	call := &c.Calls[0]
	// With an id or a name it is a fragment that begins a call, or says again what it is.
	silent := func(s Span) bool { return !s.Present() || s.End-s.Start == 2 }
	if c.HasText || c.Role.Present() || !call.HasIndex || !silent(call.ID) || !silent(call.Name) || !call.Arguments.Present() {
		return list, false
	}
	return append(list, Slot{inside(call.Arguments), SlotArguments}), true
}

const (
	ones      = 0x0101010101010101
	quotes    = '"' * ones
	slashes   = '\\' * ones
	blanksOf8 = ' ' * ones
	highs     = ones << 7
)

// StringEnd is the place of the quote that ends a JSON string whose characters begin b: -1 if none does, or if they are
// no such characters. It accepts what the strict scan accepts.
func StringEnd(b []byte) int {
	end, _ := stringEnd(b, 0)
	return end
}

// stringEnd is StringEnd of what begins at at, and whether there are escapes before. It looks at eight bytes at a time:
// strings are most of a document.
func stringEnd(b []byte, at int) (end int, escaped bool) {
	for at < len(b) {
		for at+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[at:])
			q, s := x^quotes, x^slashes
			// The lowest high bit that is set marks the first byte that is a quote, a backslash, a control character or
			// no ASCII.
			found := ((q-ones)&^q | (s-ones)&^s | (x-blanksOf8)&^x | x) & highs
			if found != 0 {
				at += bits.TrailingZeros64(found) / 8
				break
			}
			at += 8
		}
		if at >= len(b) {
			break
		}
		switch c := b[at]; {
		case c == '"':
			return at, escaped
		case c == '\\':
			n := escape(b[at:])
			if n == 0 {
				return -1, true
			}
			escaped = true
			at += n
		case c < ' ':
			return -1, escaped
		case c < utf8.RuneSelf:
			at++
		default:
			r, n := utf8.DecodeRune(b[at:])
			if r == utf8.RuneError && n == 1 {
				return -1, escaped
			}
			at += n
		}
	}
	return -1, escaped
}

// escape is the length of the escape that begins b, 0 if it is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
				return 0
			}
		}
		return 6
	}
	return 0
}
