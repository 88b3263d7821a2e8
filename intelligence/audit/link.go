package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cadreen/store"
)

// ChainLog is the log of a workspace that holds its chains.
const ChainLog = "audit_chain"

// Digest is a SHA-256; in JSON its base64url without padding.
type Digest [sha256.Size]byte

// MarshalText writes the digest.
func (d Digest) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, d[:]), nil
}

// UnmarshalText reads a digest.
func (d *Digest) UnmarshalText(b []byte) error {
	var room [sha256.Size + 3]byte
	if base64.RawURLEncoding.DecodedLen(len(b)) != len(d) {
		return fmt.Errorf("audit: %d characters are no digest", len(b))
	}
	_, err := base64.RawURLEncoding.Strict().Decode(room[:], b)
	copy(d[:], room[:])
	return err
}

func (d Digest) String() string { return base64.RawURLEncoding.EncodeToString(d[:]) }

// Link is one entry of ChainLog.
type Link struct {
	Workspace string    `json:"workspace"`
	Writer    string    `json:"writer"`
	N         int64     `json:"n"`              // 1, 2, 3 … in the chain of its writer
	Prev      *Digest   `json:"prev,omitempty"` // of link N-1, as its bytes stand in the log
	At        time.Time `json:"at"`
	// Records are the digests of the records From, From+1, ….
	From    int64    `json:"from,omitempty"`
	Records []Digest `json:"records,omitempty"`
	// Heads are links of others that the writer has seen.
	Heads []Head `json:"heads,omitempty"`
	// Lost are digests of the bytes of records that the writer's process committed
	// and did not find in the log afterwards.
	Lost []Digest `json:"lost,omitempty"`
	// Removed says that retention removes the records up to this one.
	Removed int64 `json:"removed,omitempty"`
}

// end is the last record that the link covers.
func (l *Link) end() int64 { return l.From + int64(len(l.Records)) - 1 }

// Head names a link and what it was.
type Head struct {
	Workspace string `json:"workspace,omitempty"` // "" is that of the link that says so
	Writer    string `json:"writer"`
	N         int64  `json:"n"`
	Hash      Digest `json:"hash"`
}

// String is the form in which a head is kept outside: workspace:writer:n:hash.
func (h Head) String() string { return fmt.Sprintf("%s:%s:%d:%s", h.Workspace, h.Writer, h.N, h.Hash) }

// Concerns says that a check of the workspace looks at this head.
func (h Head) Concerns(workspace string) bool { return slices.Contains(places(workspace), h.Workspace) }

// ParseHead reads what String wrote.
func ParseHead(text string) (Head, error) {
	var h Head
	parts := bytes.Split([]byte(text), []byte(":"))
	if len(parts) != 4 {
		return h, fmt.Errorf("%q is no head: it has the form workspace:writer:n:hash", text)
	}
	h.Workspace, h.Writer = string(parts[0]), string(parts[1])
	if err := store.CheckWorkspace(h.Workspace); err != nil {
		return h, fmt.Errorf("%q is no head: its workspace is none", text)
	}
	if err := json.Unmarshal(parts[2], &h.N); err != nil || h.N < 1 {
		return h, fmt.Errorf("%q is no head: its number is none", text)
	}
	if err := h.Hash.UnmarshalText(parts[3]); err != nil {
		return h, fmt.Errorf("%q is no head: its hash is none", text)
	}
	return h, nil
}

// entryDigest is the digest of a record.
func entryDigest(e store.Entry) Digest { return recordDigest(e, sha256.Sum256(e.Value)) }

func decodeLink(e store.Entry) (Link, Digest, error) {
	var l Link
	err := json.Unmarshal(e.Value, &l)
	if err == nil && (l.Writer == "" || l.N < 1 || l.From < 0 || l.end() < l.From-1 || l.From == 0 && len(l.Records) > 0 || l.Removed < 0) {
		err = errors.New("audit: a link with impossible numbers")
	}
	return l, sha256.Sum256(e.Value), err
}

// recordDigest covers where and when an entry stands in its log, beside its bytes.
func recordDigest(e store.Entry, bytes Digest) Digest {
	var b [16 + sha256.Size]byte
	binary.BigEndian.PutUint64(b[:8], uint64(e.Seq))
	binary.BigEndian.PutUint64(b[8:16], uint64(e.At.UnixMicro()))
	copy(b[16:], bytes[:])
	return sha256.Sum256(b[:])
}
