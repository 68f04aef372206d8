package pii

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// What the tests with a database see of the inside; they stand in their own package
// because testkit itself opens keyrings.

func (k *Keyring) SetClock(now func() time.Time) { k.cache.now = now }

func (k *Keyring) Cached(id uuid.UUID) bool { _, ok := k.cache.get(id); return ok }

func (k *Keyring) Keep(id uuid.UUID, s *Subject) { k.cache.put(id, s) }

// Rewrap takes one step with an older wrapping key.
func (k *Keyring) Rewrap(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	return k.rewrap(ctx, pool)
}

// OpenKeyring is the keyring of a key file, without a database.
func OpenKeyring(file string) (*Keyring, error) {
	m, err := OpenFileMaster(file)
	if err != nil {
		return nil, err
	}
	key := m.versions[0].key
	aead, err := subtle.NewAESGCM(derive(key, "subject-key-wrap"))
	if err != nil {
		return nil, err
	}
	k := &Keyring{secret: key, cache: newKeyCache(time.Now)}
	k.wrapping.Store(&wrapping{current: fileID(key), keys: map[string]tink.AEAD{fileID(key): aead}})
	return k, nil
}
