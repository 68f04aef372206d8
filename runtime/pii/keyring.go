// Package pii encrypts personal data under a key of the person it is about.
//
// The chain is: wrapping key (from the master key file, or a KMS) → subject key (a row of
// subject_keys) → AES-256-GCM over one value, bound to its table, column and row. Erasing
// a person destroys the subject key: what was encrypted under it stays unreadable in every
// copy and backup of the other tables. Each service keeps its own keys by subject id.
package pii

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
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

// Migrations creates subject_keys.
func Migrations() pg.MigrationSet { return pg.MigrationSet{Name: "pii", FS: migrations} }

// Keyring holds the keys of one service. It is safe for concurrent use.
type Keyring struct {
	secret []byte
	wrap   tink.AEAD
	wrapID string
	cache  *keyCache

	indexes sync.Map // field → its HMAC key
}

// NewKeyFile writes a new master key, 32 random bytes in base64, to a new file (0600).
// It fails if the file exists: a lost master key is lost data.
func NewKeyFile(path string) error {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("pii: master key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("pii: master key: %w", err)
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("pii: master key: %w", err)
	}
	return nil
}

// OpenKeyring reads the master key file. It fails on anything but 32 bytes in base64.
func OpenKeyring(masterKeyFile string) (*Keyring, error) {
	data, err := os.ReadFile(masterKeyFile)
	if err != nil {
		return nil, fmt.Errorf("pii: master key: %w", err)
	}
	master, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(master) != keySize {
		return nil, fmt.Errorf("pii: master key: %s must hold %d bytes in base64", masterKeyFile, keySize)
	}
	wrapKey := derive(master, "subject-key-wrap")
	wrap, err := subtle.NewAESGCM(wrapKey)
	if err != nil {
		return nil, fmt.Errorf("pii: master key: %w", err)
	}
	id := hex.EncodeToString(derive(master, "subject-key-wrap-id")[:8])
	return NewKeyring(master, wrap, id, time.Now)
}

// NewKeyring returns a keyring whose subject keys are wrapped by any AEAD, e.g. that of a
// KMS; wrapID names its key and is stored beside each wrapped key. secret (32 bytes) is
// what Derive and Index derive from.
func NewKeyring(secret []byte, wrap tink.AEAD, wrapID string, now func() time.Time) (*Keyring, error) {
	if len(secret) != keySize || wrapID == "" {
		return nil, fmt.Errorf("pii: a keyring needs a secret of %d bytes and the name of its wrapping key", keySize)
	}
	return &Keyring{secret: secret, wrap: wrap, wrapID: wrapID, cache: newKeyCache(now)}, nil
}

// Derive returns 32 bytes that depend on the master key and the label only, for other
// uses: MACs, page sealing, links. Different labels give unrelated keys.
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
