// Package pii encrypts personal data under a key of the person it is about.
//
// The chain is: master key (a file, or a KMS) → wrapping key (a row of service_keys) → subject
// key (a row of subject_keys) → AES-256-GCM over one value, bound to its table, column and
// row. Erasing a person destroys the subject key: what was encrypted under it stays unreadable
// in every copy and backup of the other tables. Each service keeps its own keys by subject id.
// A new version of the master key brings a new wrapping key, under which all subject keys come
// while the service works; values are not touched.
package pii

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// ErrShredded says that the subject's key was destroyed: the value is gone for good, and
// nothing new can be stored about the subject.
var ErrShredded = errors.New("pii: the subject was erased")

// ErrCorrupt says that a ciphertext does not belong where it was found: it was changed,
// cut, moved to another row or column, or made under another key.
var ErrCorrupt = errors.New("pii: the ciphertext does not belong here")

const keySize = 32

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations creates subject_keys and service_keys.
func Migrations() pg.MigrationSet { return pg.MigrationSet{Name: "pii", FS: migrations} }

// Keyring holds the keys of one service. It is safe for concurrent use.
type Keyring struct {
	secret []byte
	master Master
	db     pg.DBTX
	cache  *keyCache

	wrapping atomic.Pointer[wrapping]
	indexes  sync.Map // field → its HMAC key
}

// wrapping is the set of wrapping keys as it was read last.
type wrapping struct {
	current string
	keys    map[string]tink.AEAD
}

// Derive returns 32 bytes that depend on the service's secret and the label only, for other
// uses: MACs, page sealing, links. Different labels give unrelated keys. They stay what they
// are when the master key is rotated: the secret is wrapped anew, not replaced.
func (k *Keyring) Derive(label string) []byte { return derive(k.secret, "derive/"+label) }

// Index returns the blind index of a normalised value: equal values of one field have
// equal indexes, those of different fields are unrelated.
func (k *Keyring) Index(field, normalized string) []byte {
	key, ok := k.indexes.Load(field)
	if !ok {
		key, _ = k.indexes.LoadOrStore(field, derive(k.secret, "index/"+field))
	}
	mac := hmac.New(sha256.New, key.([]byte))
	mac.Write([]byte(normalized))
	return mac.Sum(nil)
}

// derive cannot fail: HKDF-SHA256 gives up to 8160 bytes from any secret of this size.
func derive(secret []byte, label string) []byte {
	out, err := hkdf.Key(sha256.New, secret, nil, "kefu/pii/v1/"+label, keySize)
	if err != nil {
		panic(fmt.Sprintf("pii: hkdf: %v", err))
	}
	return out
}

// Seal encrypts a value of the subject for its place, making the subject's key if there
// is none yet. It fails with ErrShredded for an erased subject. In a transaction that
// seals several values use Subject once instead.
func (k *Keyring) Seal(ctx context.Context, db pg.DBTX, subject uuid.UUID, at Place, plaintext string) ([]byte, error) {
	s, err := k.Subject(ctx, db, subject)
	if err != nil {
		return nil, err
	}
	return s.Seal(at, plaintext)
}

// Open decrypts what Seal made for the same subject and place. It fails with ErrShredded
// after Shred and with ErrCorrupt if the ciphertext is not that of this place.
func (k *Keyring) Open(ctx context.Context, db pg.DBTX, subject uuid.UUID, at Place, ciphertext []byte) (string, error) {
	keys, err := k.Subjects(ctx, db, subject)
	if err != nil {
		return "", err
	}
	return keys.Open(subject, at, ciphertext)
}
