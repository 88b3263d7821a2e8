package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"strings"
)

// secretLength is what 32 bytes need in base 62.
const secretLength = 43

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// shownLength is how much of a key's secret part its Record shows.
const shownLength = 4

// newSecret makes a key: Prefix and 32 random bytes, letters and digits only,
// so that a double click selects all of it.
func newSecret() string {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails: it ends the program instead
	n, base, digit := new(big.Int).SetBytes(raw), big.NewInt(int64(len(alphabet))), new(big.Int)
	text := make([]byte, secretLength)
	for i := len(text) - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		text[i] = alphabet[digit.Int64()]
	}
	return Prefix + string(text)
}

// wellFormed says whether a token could be a key of ours; what could not is
// refused without asking the store.
func wellFormed(token string) bool {
	secret, ok := strings.CutPrefix(token, Prefix)
	if !ok || len(secret) != secretLength {
		return false
	}
	for i := 0; i < len(secret); i++ {
		if strings.IndexByte(alphabet, secret[i]) < 0 {
			return false
		}
	}
	return true
}

func shown(key string) string { return key[:len(Prefix)+shownLength] }

// hash is what a key is looked up by.
type hash [sha256.Size]byte

func hashOf(key string) hash {
	var room [128]byte // of a key of ours and more
	return sha256.Sum256(append(room[:0], key...))
}

// id is the stored form of a key, and its document's id.
func (h hash) id() string { return hex.EncodeToString(h[:]) }

// configuredID is the same after a restart and on every replica, and does not
// depend on the key's place in the list.
func configuredID(key string) string {
	sum := sha256.Sum256([]byte("cadreen configured key\n" + key))
	return "key_" + hex.EncodeToString(sum[:10])
}

// passthroughPrincipal names a caller by a hash of what it sent; the header
// itself is kept nowhere.
func passthroughPrincipal(scheme, token string) Principal {
	sum := sha256.Sum256([]byte("cadreen passthrough\n" + strings.ToLower(scheme) + "\n" + token))
	return Principal{
		KeyID:       "pass_" + hex.EncodeToString(sum[:12]),
		Workspace:   DefaultWorkspace,
		Roles:       []string{RoleChat},
		Passthrough: true,
	}
}
