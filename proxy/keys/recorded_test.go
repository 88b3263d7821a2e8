package keys

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/store"
)

// A key that is made or revoked stands in the log that the audit seals, once, and
// without the key itself.
func TestChangesOfKeysAreRecorded(t *testing.T) {
	engine, c := openEngine(t), newClock()
	ring := newRing(t, engine, c)
	secret, rec, err := ring.Create(t.Context(), Template{Name: "finance", Workspace: "shop", Roles: []string{RoleReviewer}})
	require.NoError(t, err)
	for range 2 {
		_, err = ring.Revoke(t.Context(), rec.ID)
		require.NoError(t, err)
	}
	entries, err := engine.Read(t.Context(), store.System, governance.RecordLog, 0, 0)
	require.NoError(t, err)
	require.Len(t, entries, 2, "revoking again changes nothing")
	for i, event := range []string{governance.EventKeyCreate, governance.EventKeyRevoke} {
		var r governance.Record
		require.NoError(t, json.Unmarshal(entries[i].Value, &r))
		require.NotEmpty(t, r.ID)
		require.Equal(t, c.now().UTC(), r.At.UTC())
		require.Equal(t, governance.Record{ID: r.ID, At: r.At, Event: event, Workspace: "shop", Subject: rec.ID, SubjectName: "finance",
			Roles: []string{RoleReviewer}, Channel: governance.ChannelCommand}, r)
		require.NotContains(t, string(entries[i].Value), secret)
	}
}
