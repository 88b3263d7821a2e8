package intelligence

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

const idPrefix = "cad_"

// NewID makes a trace id; it holds the time.
func NewID(now time.Time) string {
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(now)) // fails in the year 10889
	rand.Read(id[6:])
	var text [len(idPrefix) + ulid.EncodedSize]byte
	copy(text[:], idPrefix)
	_ = id.MarshalTextTo(text[len(idPrefix):]) // fits
	return string(text[:])
}

// momentOf is what all ids share that were made within 32 ms, all but the last of the
// digits of their time; of what is no id of ours it is the whole. A segment then has
// a few positions by id, not one for each trace, and one moment fits into a few
// segments however many traces there are.
func momentOf(id string) string {
	const digits = 10
	if n := len(idPrefix) + digits - 1; strings.HasPrefix(id, idPrefix) && len(id) == len(idPrefix)+ulid.EncodedSize {
		return id[:n]
	}
	return id
}

// youth is how long after its request began a trace may be on its way, unless
// its answer took longer.
const youth = 5 * time.Second

// young says that an id was made a moment ago.
func (r *Recorder) young(ctx context.Context, id string) bool {
	made, err := ulid.ParseStrict(strings.TrimPrefix(id, idPrefix))
	if err != nil {
		return false
	}
	now, err := r.o.Engine.Now(ctx)
	age := now.Sub(made.Timestamp())
	return err == nil && age > -youth && age < youth
}
