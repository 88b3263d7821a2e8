package main

import (
	"context"
	"errors"
	"fmt"

	"cadreen/governance"
	"cadreen/store"
)

// notedFiles is what the policies of files were when somebody last looked.
type notedFiles struct {
	Bundle string `json:"bundle"`
}

// notePolicyFiles records that the policies of files, or the profile, are others
// than those that a program of this store last went by. They hold in all workspaces,
// so the record names none.
func (m *Main) notePolicyFiles(ctx context.Context, bundle *governance.Bundle) error {
	last := store.Of[notedFiles](m.engine, "policy_files")
	for {
		was, version, err := last.Get(ctx, store.System, "last")
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if was.Bundle == bundle.Version() {
			return nil
		}
		now, err := m.engine.Now(ctx)
		if err != nil {
			return err
		}
		put, err := last.Set("last", notedFiles{bundle.Version()})
		if err != nil {
			return err
		}
		put.Create, put.IfVersion = version == 0, version
		line, err := governance.AppendRecord(governance.Record{Event: governance.EventPolicyFiles, Subject: "policy_files",
			SubjectDigest: bundle.Version(), Bundle: bundle.Version(), At: now, Channel: governance.ChannelConfiguration,
			Reason: fmt.Sprintf("%d policies of files, profile %s, bundle %s", len(bundle.Policies()), bundle.Profile(), bundle.Version())})
		if err != nil {
			return err
		}
		if err = m.engine.Commit(ctx, store.System, put, line); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}
