package store

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// CheckWorkspace answers ErrInvalid unless name is [A-Za-z0-9_.-]{1,64}.
func CheckWorkspace(name string) error {
	if len(name) == 0 || len(name) > 64 {
		return fmt.Errorf("%w: a workspace name has 1 to 64 characters, got %d", ErrInvalid, len(name))
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '.', c == '-':
		default:
			return fmt.Errorf("%w: workspace %q: only letters, digits, '_', '.' and '-'", ErrInvalid, name)
		}
	}
	return nil
}

// CheckName answers ErrInvalid unless name is [a-z_]{1,32}, the form of kinds,
// index names and log names. What says in the error which of them it is.
func CheckName(what, name string) error {
	if len(name) == 0 || len(name) > 32 {
		return fmt.Errorf("%w: %s %q: 1 to 32 characters", ErrInvalid, what, name)
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && c != '_' {
			return fmt.Errorf("%w: %s %q: only a to z and '_'", ErrInvalid, what, name)
		}
	}
	return nil
}

// CheckID answers ErrInvalid unless id has 1 to MaxID bytes without a NUL.
func CheckID(id string) error {
	if len(id) == 0 || len(id) > MaxID {
		return fmt.Errorf("%w: an id has 1 to %d bytes, got %d", ErrInvalid, MaxID, len(id))
	}
	if strings.IndexByte(id, 0) >= 0 {
		return fmt.Errorf("%w: id %q holds a NUL", ErrInvalid, id)
	}
	return nil
}

// CheckGet checks the arguments of Engine.Get.
func CheckGet(workspace, kind, id string) error {
	if err := CheckWorkspace(workspace); err != nil {
		return err
	}
	if err := CheckName("kind", kind); err != nil {
		return err
	}
	return CheckID(id)
}

// CheckList checks the arguments of Engine.List and answers the query with its
// defaults filled in: Limit is 1 to MaxLimit, and Min and Max are true bounds
// within the range of scores.
func CheckList(workspace, kind string, q Query) (Query, error) {
	if err := CheckWorkspace(workspace); err != nil {
		return q, err
	}
	if err := CheckName("kind", kind); err != nil {
		return q, err
	}
	if err := CheckName("index", q.Index); err != nil {
		return q, err
	}
	if q.Offset < 0 {
		return q, fmt.Errorf("%w: offset %d", ErrInvalid, q.Offset)
	}
	if q.Limit < 0 || q.Limit > MaxLimit {
		return q, fmt.Errorf("%w: limit %d is not within 0 to %d", ErrInvalid, q.Limit, MaxLimit)
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	if q.Max == 0 {
		q.Max = MaxScore
	}
	// No score lies beyond these, so the answer is the same, and the bounds
	// stay exact when an engine reads them as doubles.
	q.Min = max(min(q.Min, MaxScore+1), -MaxScore)
	q.Max = max(min(q.Max, MaxScore), -MaxScore-1)
	return q, nil
}

// CheckRead checks the arguments of Engine.Read and answers after and limit
// with their defaults filled in.
func CheckRead(workspace, log string, after int64, limit int) (int64, int, error) {
	if err := CheckWorkspace(workspace); err != nil {
		return 0, 0, err
	}
	if err := CheckName("log", log); err != nil {
		return 0, 0, err
	}
	if limit < 0 {
		return 0, 0, fmt.Errorf("%w: limit %d", ErrInvalid, limit)
	}
	if limit == 0 {
		limit = DefaultLimit
	}
	return max(after, 0), limit, nil
}

// CheckCommit checks the arguments of Engine.Commit: names, sizes, conditions
// that contradict each other, and that no document is named twice.
func CheckCommit(workspace string, ops []Op) error {
	if err := CheckWorkspace(workspace); err != nil {
		return err
	}
	var few [8]document
	named := few[:0]
	for _, op := range ops {
		switch op := op.(type) {
		case Put:
			if err := checkPut(op); err != nil {
				return err
			}
			named = append(named, document{op.Doc.Kind, op.Doc.ID})
		case Delete:
			if err := checkDelete(op); err != nil {
				return err
			}
			named = append(named, document{op.Kind, op.ID})
		case Append:
			if err := CheckName("log", op.Log); err != nil {
				return err
			}
			if err := checkValue(op.Value); err != nil {
				return fmt.Errorf("append to %s: %w", op.Log, err)
			}
		case Trim:
			if err := CheckName("log", op.Log); err != nil {
				return err
			}
			if op.Through < 1 {
				return fmt.Errorf("%w: trim %s through %d", ErrInvalid, op.Log, op.Through)
			}
		default:
			return fmt.Errorf("%w: operation %T", ErrInvalid, op)
		}
	}
	return checkDistinct(named)
}

// Milliseconds is a TTL as engines keep it: whole milliseconds, rounded up.
func Milliseconds(ttl time.Duration) int64 {
	return int64((ttl + time.Millisecond - 1) / time.Millisecond)
}

// SortedIndex answers the positions sorted by name, then key, the form in which
// engines answer them. It leaves the argument as it is.
func SortedIndex(index []Index) []Index {
	before := func(a, b Index) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	}
	if slices.IsSortedFunc(index, before) {
		return index
	}
	sorted := slices.Clone(index)
	slices.SortFunc(sorted, before)
	return sorted
}

type document struct{ kind, id string }

func checkPut(p Put) error {
	if err := CheckName("kind", p.Doc.Kind); err != nil {
		return err
	}
	if err := CheckID(p.Doc.ID); err != nil {
		return err
	}
	if err := checkValue(p.Doc.Value); err != nil {
		return fmt.Errorf("put %s %q: %w", p.Doc.Kind, p.Doc.ID, err)
	}
	if p.IfVersion < 0 || p.IfVersion > 0 && p.Create {
		return fmt.Errorf("%w: put %s %q: condition Create=%t IfVersion=%d", ErrInvalid, p.Doc.Kind, p.Doc.ID, p.Create, p.IfVersion)
	}
	if p.TTL < 0 || p.TTL > 0 && len(p.Doc.Index) > 0 {
		return fmt.Errorf("%w: put %s %q: a TTL of %s with %d index positions", ErrInvalid, p.Doc.Kind, p.Doc.ID, p.TTL, len(p.Doc.Index))
	}
	if len(p.Doc.Index) > MaxIndexes {
		return fmt.Errorf("%w: put %s %q: %d index positions, at most %d", ErrInvalid, p.Doc.Kind, p.Doc.ID, len(p.Doc.Index), MaxIndexes)
	}
	for _, x := range p.Doc.Index {
		if err := CheckName("index", x.Name); err != nil {
			return err
		}
		if x.Score > MaxScore || x.Score < -MaxScore {
			return fmt.Errorf("%w: put %s %q: index %s: score %d is beyond 2^53", ErrInvalid, p.Doc.Kind, p.Doc.ID, x.Name, x.Score)
		}
	}
	sorted := SortedIndex(p.Doc.Index)
	for i := 1; i < len(sorted); i++ {
		if sorted[i].Name == sorted[i-1].Name && sorted[i].Key == sorted[i-1].Key {
			return fmt.Errorf("%w: put %s %q: two positions in index %s under one key", ErrInvalid, p.Doc.Kind, p.Doc.ID, sorted[i].Name)
		}
	}
	return nil
}

func checkDelete(d Delete) error {
	if err := CheckName("kind", d.Kind); err != nil {
		return err
	}
	if d.IfVersion < 0 {
		return fmt.Errorf("%w: delete %s %q: IfVersion=%d", ErrInvalid, d.Kind, d.ID, d.IfVersion)
	}
	return CheckID(d.ID)
}

func checkValue(v []byte) error {
	if len(v) > MaxValue {
		return fmt.Errorf("%w: a value of %d bytes, at most %d", ErrInvalid, len(v), MaxValue)
	}
	return nil
}

func checkDistinct(named []document) error {
	if len(named) <= 8 {
		for i := range named {
			for j := range i {
				if named[i] == named[j] {
					return fmt.Errorf("%w: %s %q twice in one commit", ErrInvalid, named[i].kind, named[i].id)
				}
			}
		}
		return nil
	}
	seen := make(map[document]struct{}, len(named))
	for _, d := range named {
		if _, twice := seen[d]; twice {
			return fmt.Errorf("%w: %s %q twice in one commit", ErrInvalid, d.kind, d.id)
		}
		seen[d] = struct{}{}
	}
	return nil
}
