package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"cadreen/store"
)

// Commit runs one script. The client may repeat it on the wire after a lost
// answer; the token in it makes the repetition answer like the first.
func (e *Engine) Commit(ctx context.Context, workspace string, ops ...store.Op) error {
	if err := store.CheckCommit(workspace, ops); err != nil {
		return err
	}
	if len(ops) == 0 {
		return nil
	}
	if err := e.enrol(ctx, workspace); err != nil {
		return err
	}
	keys, args := e.script(workspace, ops)
	cmd, err := e.put(ctx, &question{script: commitScript, keys: keys, args: args, size: size(ops)})
	if errors.Is(err, errUnsent) {
		return e.failed(ctx, "commit", ctx.Err())
	}
	if err != nil {
		return unavailable("commit", err)
	}
	step, err := cmd.Int()
	if err != nil {
		return unavailable("commit", err)
	}
	if step == 0 {
		return nil
	}
	if step < 0 || step > len(ops) {
		return unavailable("commit", fmt.Errorf("the script answered %d", step))
	}
	return conflict(ops[step-1])
}

// enrol writes the name of the workspace into the set of names, once in the
// life of an engine and before the first Commit: a name without a document does
// no harm, a document that nobody lists would.
func (e *Engine) enrol(ctx context.Context, workspace string) error {
	if _, done := e.known.Load(workspace); done {
		return nil
	}
	_, err := ask(ctx, e, "commit", func(ctx context.Context) (int64, error) {
		return e.client.SAdd(ctx, workspacesKey, workspace).Result()
	})
	if err == nil {
		e.known.Store(workspace, struct{}{})
	}
	return err
}

// script lays the ops out as commit.lua reads them.
func (e *Engine) script(workspace string, ops []store.Op) (keys []string, args []any) {
	keys = make([]string, 1, 1+2*len(ops))
	keys[0] = tokenKey(workspace, e.token+strconv.FormatUint(e.sent.Add(1), 36))
	args = make([]any, 4, 4+11*len(ops))
	args[0], args[1], args[2], args[3] = e.publish, channel(workspace), e.keep, e.offset().Microseconds()
	for _, op := range ops {
		switch op := op.(type) {
		case store.Put:
			prefix := indexPrefix(workspace, op.Doc.Kind)
			keys = append(keys, docPrefix(workspace, op.Doc.Kind)+op.Doc.ID)
			args = append(args, "P", condition(op.Create, op.IfVersion), op.Doc.ID, prefix, op.Doc.Value, store.Milliseconds(op.TTL), len(op.Doc.Index))
			for _, x := range op.Doc.Index {
				position := x.Name + ":" + x.Key
				keys = append(keys, prefix+position)
				args = append(args, "i"+position, x.Score)
			}
		case store.Delete:
			keys = append(keys, docPrefix(workspace, op.Kind)+op.ID)
			args = append(args, "D", condition(false, op.IfVersion), op.ID, indexPrefix(workspace, op.Kind))
		case store.Append:
			keys = append(keys, logKey(workspace, op.Log))
			args = append(args, "A", op.Value)
		case store.Trim:
			keys = append(keys, logKey(workspace, op.Log))
			args = append(args, "T", op.Through)
		}
	}
	return keys, args
}

// size is about what the ops take on the wire.
func size(ops []store.Op) int {
	n := 0
	for _, op := range ops {
		switch op := op.(type) {
		case store.Put:
			n += len(op.Doc.Value) + 256*len(op.Doc.Index)
		case store.Append:
			n += len(op.Value)
		}
	}
	return n
}

func condition(create bool, version int64) string {
	switch {
	case create:
		return "c"
	case version > 0:
		return strconv.FormatInt(version, 10)
	default:
		return ""
	}
}

func conflict(op store.Op) error {
	switch op := op.(type) {
	case store.Put:
		if op.Create {
			return fmt.Errorf("%w: %s %q exists", store.ErrConflict, op.Doc.Kind, op.Doc.ID)
		}
		return fmt.Errorf("%w: %s %q does not have version %d", store.ErrConflict, op.Doc.Kind, op.Doc.ID, op.IfVersion)
	case store.Delete:
		return fmt.Errorf("%w: %s %q does not have version %d", store.ErrConflict, op.Kind, op.ID, op.IfVersion)
	default:
		return store.ErrConflict
	}
}
