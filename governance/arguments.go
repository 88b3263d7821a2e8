package governance

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxArgumentDepth bounds the nesting of arguments: objects and arrays inside
// one another. Deeper arguments are refused.
const MaxArgumentDepth = 128

// ErrArguments is the root of every error of ReadArguments.
var ErrArguments = errors.New("arguments are not usable")

// Arguments are the arguments of a call the way rules see them: one JSON object,
// read strictly as a whole, of which a value is built when it is asked for.
//
// Numbers are int64, uint64, float64 where the float64 prints back as the very
// decimal that was written, else Inexact. Other values are string, bool, nil,
// []any and map[string]any. What was handed out must not be changed. Not safe for
// concurrent use.
type Arguments struct {
	text  string
	nodes []node
	// asides are strings that do not stand in the text as they are: names that
	// were written with escapes, and a custom tool's input.
	asides []string
	built  []argument // the members that were asked for
	whole  map[string]any
	names  []int32 // scratch of the scan
}

// node is one value or one name of the text, in the order of the text: an object
// is followed by name, value, name, value …, a list by its elements.
type node struct {
	// start and end bound a number or the inside of a string in the text. Of an
	// aside, start is its position in asides. Of an object, start is the first
	// name in canonical order, 0 if it is empty.
	start, end int32
	// next of a value is the position behind it and all that it holds; of a name
	// the next name of the object in canonical order, 0 behind the last.
	next     int32
	kind     byte // { [ " 0 t f n
	spelling spelling
}

// spelling says how the text of a string or number relates to its value and to its
// canonical form (RFC 8785).
type spelling uint8

const (
	plain     spelling = iota // the text is both
	canonical                 // a string with escapes, all of them the canonical ones
	other                     // the text is neither
	aside                     // the value stands in asides
)

// argument is a top-level member that was asked for.
type argument struct {
	name  string
	value any
	found bool
}

// manyMembers is from where a map is quicker than looking through the members.
const manyMembers = 32

// ReadArguments reads the arguments of a call.
//
// Empty text is an empty object, a custom tool's free text is {"input": text}.
// Anything else must be exactly one JSON object: valid UTF-8, no duplicate
// names at any depth (compared after escapes are resolved), nothing behind it,
// at most MaxArgumentDepth deep; else the error wraps ErrArguments and says
// where.
func ReadArguments(call Call) (*Arguments, error) {
	a := &Arguments{}
	if err := a.read(&call); err != nil {
		return nil, err
	}
	return a, nil
}

// DecodeArguments is ReadArguments with every value built.
func DecodeArguments(call Call) (map[string]any, error) {
	a, err := ReadArguments(call)
	if err != nil {
		return nil, err
	}
	return a.Map(), nil
}

// Get builds one argument. A repeated Get answers the same value.
func (a *Arguments) Get(name string) (value any, found bool) {
	if a.whole != nil {
		value, found = a.whole[name]
		return value, found
	}
	for i := range a.built {
		if m := &a.built[i]; m.name == name {
			return m.value, m.found
		}
	}
	if len(a.built) == manyMembers {
		value, found = a.Map()[name]
		return value, found
	}
	if at := a.find(0, name); at > 0 {
		value, found = a.value(at), true
	}
	a.built = append(a.built, argument{name, value, found})
	return value, found
}

// Has says whether there is an argument of this name, without building it.
func (a *Arguments) Has(name string) bool {
	if a.whole != nil {
		_, found := a.whole[name]
		return found
	}
	return a.find(0, name) > 0
}

// Map builds all arguments.
func (a *Arguments) Map() map[string]any {
	if a.whole == nil {
		a.whole = a.object(0)
	}
	return a.whole
}

// Inexact is a number of the arguments that neither fits 64 bits nor survives
// a float64 unchanged. Evaluators must treat any use of it as an error, so
// that no rule compares a rounded value.
type Inexact struct {
	Text string // as written
}

// read fills a with the arguments of a call, keeping what room it has.
func (a *Arguments) read(call *Call) error {
	a.clear()
	a.text = call.Arguments
	if call.Form == FormCustom {
		if !utf8.ValidString(call.Arguments) {
			return fmt.Errorf("%w: not valid UTF-8", ErrArguments)
		}
		a.asides = append(a.asides, "input", call.Arguments)
		a.nodes = append(a.nodes, node{kind: '{', start: 1, next: 3}, node{kind: '"', spelling: aside}, node{kind: '"', start: 1, next: 3, spelling: aside})
		return nil
	}
	return scan(a)
}

// clear empties a, keeping the room it has but no reference to what it held.
func (a *Arguments) clear() {
	clear(a.asides)
	clear(a.built)
	*a = Arguments{nodes: a.nodes[:0], asides: a.asides[:0], built: a.built[:0], names: a.names[:0]}
}

// lookUp finds a value by the names that lead to it, 0 if there is none.
func (a *Arguments) lookUp(path []string) int32 {
	at := int32(0)
	for _, name := range path {
		if at = a.find(at, name); at == 0 {
			return 0
		}
	}
	return at
}

// find answers the value of a name in the object at a position, 0 if there is none.
func (a *Arguments) find(object int32, name string) int32 {
	if int(object) >= len(a.nodes) || a.nodes[object].kind != '{' {
		return 0
	}
	for at := a.nodes[object].start; at != 0; at = a.nodes[at].next {
		if a.str(at) == name {
			return at + 1
		}
	}
	return 0
}

// str is the value of a string or name.
func (a *Arguments) str(at int32) string {
	n := &a.nodes[at]
	switch n.spelling {
	case plain:
		return a.text[n.start:n.end]
	case aside:
		return a.asides[n.start]
	}
	return unescape(a.text[n.start-1 : n.end+1])
}

// unescape reads a string literal, quotes included, that is known to be right.
func unescape(literal string) string {
	value, err := jsontext.AppendUnquote(make([]byte, 0, len(literal)), literal)
	if err != nil {
		panic("governance: a string that was read strictly is refused: " + err.Error())
	}
	return string(value)
}

// value builds the value at a position.
func (a *Arguments) value(at int32) any {
	n := &a.nodes[at]
	switch n.kind {
	case '{':
		return a.object(at)
	case '[':
		list := []any{}
		for e := at + 1; e < n.next; e = a.nodes[e].next {
			list = append(list, a.value(e))
		}
		return list
	case '"':
		return a.str(at)
	case '0':
		return exactNumber(a.text[n.start:n.end])
	case 't':
		return true
	case 'f':
		return false
	}
	return nil
}

func (a *Arguments) object(at int32) map[string]any {
	m := map[string]any{}
	if len(a.nodes) == 0 {
		return m
	}
	for name := a.nodes[at].start; name != 0; name = a.nodes[name].next {
		m[a.str(name)] = a.value(name + 1)
	}
	return m
}
