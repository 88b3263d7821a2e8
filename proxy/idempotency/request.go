package idempotency

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"

	"cadreen/fault"
	"cadreen/store"
)

// Header names the key of a request; Replayed is "true" on an answer that was
// made for another request of the same key.
const (
	Header   = "Idempotency-Key"
	Replayed = "Idempotent-Replayed"
)

// Request is a keyed request. Everything but Body and the last two fields makes
// up the scope of the key.
type Request struct {
	Workspace string
	Principal string // id of the API key
	Person    string // whom the body names, "" if nobody
	Route     string // method, route and its parameters
	Key       string
	Body      []byte
	// TraceID and BaseURL are for the errors that this request itself gets.
	TraceID string
	BaseURL string
}

// Key reads the header: 1 to 255 printable ASCII characters, once.
func Key(h http.Header) (string, error) {
	values := h[Header]
	if len(values) != 1 {
		return "", badKey("The request has more than one Idempotency-Key header")
	}
	key := values[0]
	good := len(key) >= 1 && len(key) <= 255
	for i := range len(key) {
		good = good && key[i] >= ' ' && key[i] <= '~'
	}
	if !good {
		return "", badKey("Idempotency-Key must be 1 to 255 printable ASCII characters")
	}
	return key, nil
}

// alias leads from a key without a person to the last one with a person.
type alias struct {
	ID string `json:"id"`
}

// find answers the id of the request's claim. Older SDKs send a retry with an
// empty body, which names nobody: it means the last request of its key.
func (k *Keeper) find(ctx context.Context, q Request) (string, error) {
	if len(q.Body) > 0 {
		return q.id(q.Person), nil
	}
	to, _, err := k.aliases.Get(ctx, q.Workspace, q.id(""))
	if errors.Is(err, store.ErrNotFound) {
		return q.id(""), nil
	}
	return to.ID, err
}

// id is the scope of the key as a document id.
func (q *Request) id(person string) string {
	h := sha256.New()
	for _, part := range []string{q.Principal, person, q.Route, q.Key} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (q *Request) print() []byte {
	sum := sha256.Sum256(q.Body)
	return sum[:]
}

func badKey(text string) *fault.Error {
	e := fault.New(fault.InvalidRequest, "%s", text)
	e.Param = Header
	return e
}

func otherBody() *fault.Error {
	e := badKey("This Idempotency-Key was used with another request body")
	e.Hint = "Send every new request with a new key, and a retry with the same body."
	return e
}

// lost answers for a claim that will never have a whole answer.
func lost(w http.ResponseWriter, q Request, stream bool) error {
	w.Header().Set(Replayed, "true")
	if !stream {
		return notKept()
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(notKept().Event(q.TraceID, q.BaseURL)) // a client that went away needs no answer
	return nil
}

func notKept() *fault.Error {
	e := fault.New(fault.ServiceUnavailable, "The answer that belongs to this Idempotency-Key is not kept: it was broken off, or is too long")
	e.Hint = "What was asked may have happened. Look, and if it is still wanted send the request with a new key."
	e.ShouldRetry = new(bool)
	return e
}

func bodyNeeded() *fault.Error {
	e := fault.New(fault.ServiceUnavailable, "The server that ran this request is gone, and this retry has no body")
	e.Hint = "Send the request again with its body and the same Idempotency-Key."
	e.ShouldRetry = new(bool)
	return e
}

// Why a run was cancelled, or did not take place.
var (
	errTaken = fault.New(fault.ServiceUnavailable, "Another replica took this request over, because this one could not renew its claim")
	errAlone = errors.New("idempotency: nobody waits for the answer any more")
	errNever = errors.New("idempotency: the run did not begin")
	errStop  = fault.New(fault.ServiceUnavailable, "The server is stopping")
)
