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
