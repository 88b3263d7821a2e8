// Package store is durable state in a few primitives: documents with a
// version and secondary indexes, append-only logs, a change signal, and one
// atomic Commit of several operations inside one workspace.
//
// What lives here: the Engine contract that store/sqlite and store/redis meet
// (held by store/storetest) and the typed view Of[T]. What does not: anything
// that knows what a hold, a key or a policy is.
package store

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrNotFound is answered by Get when no such document exists.
	ErrNotFound = errors.New("store: not found")
	// ErrConflict is answered by Commit when a condition (Create, IfVersion)
	// did not hold. Nothing of that Commit has happened.
	ErrConflict = errors.New("store: conflict")
	// ErrUnavailable wraps every error that means "the engine cannot be
	// reached or cannot write now": nothing may be assumed to have happened,
	// and the same call may succeed later.
	ErrUnavailable = errors.New("store: unavailable")
	// ErrInvalid is answered before the engine is asked when a name, an id, a
	// query or an operation breaks a limit written in this package. It is a
	// defect of the caller: repeating the call cannot succeed.
	ErrInvalid = errors.New("store: invalid")
)

// The limits that both engines hold alike, so that what one accepts the other
// does not refuse. They are checked before the engine is asked.
const (
	// MaxID is the longest document id, in bytes.
	MaxID = 256
	// MaxValue is the largest value of a document or log entry: 64 MiB.
	MaxValue = 64 << 20
	// MaxIndexes is the number of index positions one document may have.
	MaxIndexes = 1000
	// MaxScore is the largest score, and -MaxScore the smallest: 2^53 - 1.
	MaxScore = 1<<53 - 1
	// MaxLimit is the largest Query.Limit.
	MaxLimit = 1000
	// DefaultLimit stands in for a Limit of 0.
	DefaultLimit = 100
)

// System is the workspace of what belongs to no workspace, such as API keys.
const System = "_system"

// Doc is one stored document.
type Doc struct {
	Kind    string // lower-case noun, [a-z_]{1,32}
	ID      string // 1..256 bytes, no NUL
	Version int64  // 1 on creation, +1 on every put
	Value   []byte // opaque, at most MaxValue; nil and empty are the same
	// Index holds the document's positions in secondary indexes, at most one for
	// a (Name, Key). Putting a document replaces all its positions. They are
	// read back sorted by Name, then Key.
	Index []Index
}

// Index is one position of a document: it is listed under (Name, Key), ordered
// by Score, then by the bytes of the document id. Scores lie between -MaxScore
// and MaxScore (Redis orders by double).
type Index struct {
	Name  string // [a-z_]{1,32}
	Key   string // any string; equality only
	Score int64  // for instance unix milliseconds
}

// Query selects documents of one kind by one index.
type Query struct {
	Index    string
	Key      string
	Min, Max int64 // inclusive bounds of Score; Max 0 means no upper bound
	Desc     bool  // the whole order reversed: highest score first, then highest id
	Offset   int
	Limit    int // 0 means 100; at most 1,000
}

// Entry is one line of a log.
type Entry struct {
	Seq   int64 // 1, 2, 3 … within one (workspace, log), without gaps but what Trim removed from the beginning
	At    time.Time
	Value []byte
}

// Op is one step of a Commit: Put, Delete, Append or Trim.
type Op interface{ op() }

// Put writes a document. With Create it must not exist; with IfVersion > 0 its
// stored version must be exactly that; with neither it is written in any case.
type Put struct {
	Doc       Doc // Doc.Version is ignored
	Create    bool
	IfVersion int64
	// TTL is how long the document lives from this Put on, in steps of a
	// millisecond, rounded up; 0 means until it is deleted. Such a document may
	// have no index positions. See Engine.
	TTL time.Duration
}

// Delete removes a document and its index positions. Deleting what is not
// there is no error, unless IfVersion > 0, which must then match.
type Delete struct {
	Kind, ID  string
	IfVersion int64
}

// Append adds one entry to a log. Its time is the engine's clock.
type Append struct {
	Log   string // [a-z_]{1,32}
	Value []byte // opaque, at most MaxValue
}

// Trim removes the entries of a log up to a number. The newest entry always stays,
// so that the numbers go on; those that were removed are not given out again.
type Trim struct {
	Log     string // [a-z_]{1,32}
	Through int64  // at least 1
}

func (Put) op()    {}
func (Delete) op() {}
func (Append) op() {}
func (Trim) op()   {}

// Engine is what a store engine must guarantee.
//
//   - Commit is atomic, isolated and durable: when it returns nil everything in
//     it has happened, survives a crash of this process (and of the machine,
//     under the engine's documented settings), and is seen by every later Get,
//     List and Read of any process. When it returns ErrConflict nothing has
//     happened. Conditions are checked against the state before the Commit; an
//     (kind, id) pair appears at most once in one Commit.
//   - When Commit returns ErrUnavailable its outcome is unknown; callers that
//     repeat must use conditions.
//   - A document whose TTL has passed does not exist, for reads and for
//     conditions alike; one that is put anew begins at version 1. Every Put sets
//     the TTL anew, one without TTL takes it away. Nobody is told when a document
//     expires (no Watch), and its bytes may lie in the store for a while longer:
//     a state that must be seen to end is never kept this way.
//   - Get, List and Read see every Commit that returned before they began, and
//     each answers one state: never half of a Commit.
//   - All methods are safe for concurrent use, obey ctx, and wrap outages with
//     ErrUnavailable. When ctx ends first the error wraps ctx.Err(); it wraps
//     ErrUnavailable as well if the deadline passed or if a Commit had begun,
//     so that a Commit error without ErrUnavailable means nothing happened.
//   - A value handed to Commit must not be changed afterwards, also when Commit
//     returned early because ctx ended. What is read belongs to the reader.
//   - What breaks a limit of this package is answered with ErrInvalid, by both
//     engines alike (Check* in this package).
//
// Workspace names are [A-Za-z0-9_.-]{1,64}.
type Engine interface {
	Get(ctx context.Context, workspace, kind, id string) (Doc, error)
	List(ctx context.Context, workspace, kind string, q Query) ([]Doc, error)
	// Read answers up to limit entries of a log with Seq > after, in order. A
	// limit of 0 means DefaultLimit; there is no upper bound but memory.
	Read(ctx context.Context, workspace, log string, after int64, limit int) ([]Entry, error)
	// Commit does all ops or none. Without ops it does nothing.
	Commit(ctx context.Context, workspace string, ops ...Op) error
	// Watch answers a channel that receives (coalesced, capacity 1) after
	// Commits to the workspace by any process, within about a second. It is a
	// hint: a signal may be lost while the engine is away, and one is sent
	// after the connection came back. Spurious signals are allowed. It is
	// closed when ctx ends or the engine is closed.
	Watch(ctx context.Context, workspace string) (<-chan struct{}, error)
	// Workspaces lists every workspace that was ever committed to, sorted.
	Workspaces(ctx context.Context) ([]string, error)
	// Now is the engine's clock: one clock for all replicas.
	Now(ctx context.Context) (time.Time, error)
	// Check says whether the engine can be reached and can write.
	Check(ctx context.Context) error
	// Close lets what has begun finish and frees everything. Afterwards every
	// method answers ErrUnavailable. A second Close does nothing.
	Close() error
}
