package pii

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/kefu-suite/kefu/runtime/pg"
)

const (
	// rootID is the service key that everything but subject keys is derived from.
	rootID = "root"
	// beforeID marks a database from before there were service keys: its first ones are those
	// that were derived from the key file.
	beforeID = "before"
)

// Open reads the service keys of a database, unwraps them by the master key, and makes them if
// there are none yet; of several that make them at once all take the same. db is kept, for the
// time when another process has made a new one. Open fails with ErrNoMaster if a key is under
// a version of the master key that is not at hand, and with ErrCorrupt if one was tampered with.
func Open(ctx context.Context, db pg.DBTX, master Master, now func() time.Time) (*Keyring, error) {
	k := &Keyring{master: master, db: db, cache: newKeyCache(now)}
	rows, err := readServiceKeys(ctx, db)
	if err != nil {
		return nil, err
	}
	if !made(rows) {
		if err := k.create(ctx, rows[beforeID] != nil); err != nil {
			return nil, err
		}
		if rows, err = readServiceKeys(ctx, db); err != nil {
			return nil, err
		}
	}
	root := rows[rootID]
	if root == nil {
		return nil, errors.New("pii: the service keys were not kept")
	}
	if k.secret, err = master.Unwrap(ctx, root.masterID, root.wrapped, serviceContext(rootID)); err != nil {
		return nil, fmt.Errorf("pii: service key %s: %w", rootID, err)
	}
	return k, k.adopt(ctx, rows)
}

// serviceKey is a row of service_keys.
type serviceKey struct {
	id, masterID string
	generation   int64
	wrapped      []byte
	retired      bool
}

func readServiceKeys(ctx context.Context, db pg.DBTX) (map[string]*serviceKey, error) {
	rows, err := db.Query(ctx, `SELECT id, master_id, generation, wrapped, retire_time IS NOT NULL FROM service_keys`)
	if err != nil {
		return nil, fmt.Errorf("pii: read service keys: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*serviceKey, error) {
		s := new(serviceKey)
		return s, row.Scan(&s.id, &s.masterID, &s.generation, &s.wrapped, &s.retired)
	})
	if err != nil {
		return nil, fmt.Errorf("pii: read service keys: %w", err)
	}
	out := make(map[string]*serviceKey, len(list))
	for _, s := range list {
		out[s.id] = s
	}
	return out, nil
}

// made tells whether the first service keys are there, all of them: releases before made them one by one.
func made(rows map[string]*serviceKey) bool {
	for _, row := range rows {
		if row.generation > 0 {
			return rows[rootID] != nil
		}
	}
	return false
}

// create makes the secret and the first wrapping key, from the key file where the database
// holds what was made with keys derived from it.
func (k *Keyring) create(ctx context.Context, before bool) error {
	root, wrap := newKey(), newKey()
	id := newWrapID()
	if before {
		key, ok, err := first(k.master)
		if err != nil {
			return err
		}
		if !ok {
			return errors.New("pii: the database was used with a key file; give that too, as the master key before this one")
		}
		root, wrap, id = key, derive(key, "subject-key-wrap"), fileID(key)
	}
	wrappedRoot, rootMaster, err := k.wrap(ctx, rootID, root)
	if err != nil {
		return err
	}
	wrapped, masterID, err := k.wrap(ctx, id, wrap)
	if err != nil {
		return err
	}
	// One statement: another process sees both keys or none, also if this one ends here.
	_, err = k.db.Exec(ctx, `WITH before AS (DELETE FROM service_keys WHERE id = $1)
		INSERT INTO service_keys (id, generation, wrapped, master_id) VALUES ($2, 0, $3, $4), ($5, 1, $6, $7)
		ON CONFLICT DO NOTHING`, beforeID, rootID, wrappedRoot, rootMaster, id, wrapped, masterID)
	if err != nil {
		return fmt.Errorf("pii: make service keys: %w", err)
	}
	return nil
}

// wrap puts a service key under the current version of the master key, whose name it returns.
func (k *Keyring) wrap(ctx context.Context, id string, key []byte) (wrapped []byte, masterID string, err error) {
	wrapped, masterID, err = k.master.Wrap(ctx, key, serviceContext(id))
	if err != nil {
		return nil, "", fmt.Errorf("pii: wrap service key %s: %w", id, err)
	}
	return wrapped, masterID, nil
}

// adopt takes up the wrapping keys of the rows; those it has already it does not unwrap again.
func (k *Keyring) adopt(ctx context.Context, rows map[string]*serviceKey) error {
	have := k.wrapping.Load()
	set := &wrapping{keys: map[string]tink.AEAD{}}
	var newest int64
	for id, row := range rows {
		if row.generation < 1 {
			continue
		}
		if have != nil && have.keys[id] != nil {
			set.keys[id] = have.keys[id]
		} else {
			key, err := k.master.Unwrap(ctx, row.masterID, row.wrapped, serviceContext(id))
			if err != nil {
				return fmt.Errorf("pii: service key %s: %w", id, err)
			}
			if set.keys[id], err = subtle.NewAESGCM(key); err != nil {
				return fmt.Errorf("pii: service key %s: %w", id, err)
			}
		}
		if row.generation > newest && !row.retired {
			newest, set.current = row.generation, id
		}
	}
	if set.current == "" {
		return errors.New("pii: no service key wraps")
	}
	k.wrapping.Store(set)
	return nil
}

// reload reads the service keys again.
func (k *Keyring) reload(ctx context.Context) error {
	rows, err := readServiceKeys(ctx, k.db)
	if err != nil {
		return err
	}
	return k.adopt(ctx, rows)
}

// wrappingKey finds one, and looks again for one that another process has made.
func (k *Keyring) wrappingKey(ctx context.Context, id string) (tink.AEAD, error) {
	if found := k.wrapping.Load().keys[id]; found != nil {
		return found, nil
	}
	if k.db != nil {
		if err := k.reload(ctx); err != nil {
			return nil, err
		}
		if found := k.wrapping.Load().keys[id]; found != nil {
			return found, nil
		}
	}
	return nil, fmt.Errorf("%w: it is under the wrapping key %s, which this database does not have (any more)", ErrCorrupt, id)
}

// newKey is 32 random bytes. rand.Read never fails.
func newKey() []byte {
	key := make([]byte, keySize)
	_, _ = rand.Read(key)
	return key
}

func newWrapID() string { return "w-" + hex.EncodeToString(newKey()[:8]) }

func serviceContext(id string) []byte { return []byte("service_keys/v1/" + id) }
