package pii

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
)

// format is the first byte of every ciphertext; it is authenticated with the place.
const format = 1

// Place is where a ciphertext stands. It is authenticated, so that a value cannot be
// moved to another row or column.
type Place struct {
	Table, Column string
	Row           uuid.UUID
}

func (p Place) associated() []byte {
	b := []byte{format}
	b = binary.AppendUvarint(b, uint64(len(p.Table)))
	b = append(b, p.Table...)
	b = binary.AppendUvarint(b, uint64(len(p.Column)))
	b = append(b, p.Column...)
	return append(b, p.Row[:]...)
}

// Subject is one person's unwrapped key. Use it within the transaction it was read in
// and do not keep it.
type Subject struct{ aead *subtle.AESGCM }

// Seal encrypts a value for its place; two ciphertexts of one value differ.
func (s *Subject) Seal(at Place, plaintext string) ([]byte, error) {
	body, err := s.aead.Encrypt([]byte(plaintext), at.associated())
	if err != nil {
		return nil, fmt.Errorf("pii: seal %s.%s: %w", at.Table, at.Column, err)
	}
	return append([]byte{format}, body...), nil
}

// Open decrypts what Seal made for the place, else it fails with ErrCorrupt.
func (s *Subject) Open(at Place, ciphertext []byte) (string, error) {
	if len(ciphertext) == 0 || ciphertext[0] != format {
		return "", fmt.Errorf("%w: %s.%s of row %s", ErrCorrupt, at.Table, at.Column, at.Row)
	}
	plain, err := s.aead.Decrypt(ciphertext[1:], at.associated())
	if err != nil {
		return "", fmt.Errorf("%w: %s.%s of row %s", ErrCorrupt, at.Table, at.Column, at.Row)
	}
	return string(plain), nil
}

// Subjects holds the keys of several people, for a list.
type Subjects map[uuid.UUID]*Subject

// Open decrypts a value of one of them. A subject that was erased, ErrShredded; one that
// never had a key cannot have made the ciphertext, ErrCorrupt.
func (m Subjects) Open(subject uuid.UUID, at Place, ciphertext []byte) (string, error) {
	s, known := m[subject]
	if !known {
		return "", fmt.Errorf("%w: subject %s has no key", ErrCorrupt, subject)
	}
	if s == nil {
		return "", ErrShredded
	}
	return s.Open(at, ciphertext)
}

// Subject reads the subject's key and makes it if there is none: of two transactions that
// make it at once one waits for the other and takes its key. It fails with ErrShredded
// for an erased subject.
func (k *Keyring) Subject(ctx context.Context, db pg.DBTX, subject uuid.UUID) (*Subject, error) {
	keys, err := k.Subjects(ctx, db, subject)
	if err != nil {
		return nil, err
	}
	s, known := keys[subject]
	if !known {
		// Whoever lost the race reads the winner's row in the next statement.
		if _, err := k.insert(ctx, db, subject, "ON CONFLICT (subject_id) DO NOTHING"); err != nil {
			return nil, err
		}
		if keys, err = k.Subjects(ctx, db, subject); err != nil {
			return nil, err
		}
		if s, known = keys[subject]; !known {
			return nil, fmt.Errorf("pii: the key of subject %s was not kept", subject)
		}
	}
	if s == nil {
		return nil, ErrShredded
	}
	return s, nil
}

// Create makes the key of a subject whose id was just made, in one statement that needs
// no answer, so that it also works in a pg.Batch. If the subject has a key or was erased
// the statement violates subject_keys_pkey and nothing of the transaction happens.
func (k *Keyring) Create(ctx context.Context, db pg.DBTX, subject uuid.UUID) (*Subject, error) {
	return k.insert(ctx, db, subject, "")
}

// The list is a subquery so that Postgres does not look into it: knowing how long it is, it
// would plan each call anew, for longer than the keys take to read.
const selectKeys = `SELECT subject_id, wrapped, wrap_id, create_time < clock_timestamp() - make_interval(secs => $2)
FROM subject_keys WHERE subject_id = ANY((SELECT $1::uuid[])::uuid[])`

// Subjects reads the keys of several subjects at once. Those without a key are absent,
// erased ones are present as nil; use Subjects.Open.
func (k *Keyring) Subjects(ctx context.Context, db pg.DBTX, subjects ...uuid.UUID) (Subjects, error) {
	out := make(Subjects, len(subjects))
	var missing []uuid.UUID
	for _, id := range subjects {
		if s, ok := k.cache.get(id); ok {
			out[id] = s
		} else {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return out, nil
	}
	rows, err := db.Query(ctx, selectKeys, missing, settled.Seconds())
	if err != nil {
		return nil, fmt.Errorf("pii: read subject keys: %w", err)
	}
	var (
		id      uuid.UUID
		wrapped []byte
		wrapID  string
		old     bool
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &wrapped, &wrapID, &old}, func() error {
		if wrapped == nil {
			out[id] = nil
			return nil
		}
		s, err := k.unwrap(ctx, id, wrapped, wrapID)
		if err != nil {
			return err
		}
		out[id] = s
		if old {
			k.cache.put(id, s)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("pii: read subject keys: %w", err)
	}
	return out, nil
}

// Shred destroys the subject's key, and makes sure that none is made later, in the
// caller's transaction. After its commit this process opens nothing of the subject any
// more, and any other process nothing after CacheLife. Doing it again is no error.
func (k *Keyring) Shred(ctx context.Context, tx pg.DBTX, subject uuid.UUID) error {
	k.cache.bar(subject)
	_, err := tx.Exec(ctx, `INSERT INTO subject_keys (subject_id, wrapped, wrap_id, shred_time)
		VALUES ($1, NULL, $2, clock_timestamp())
		ON CONFLICT (subject_id) DO UPDATE SET wrapped = NULL, shred_time = clock_timestamp()
		WHERE subject_keys.wrapped IS NOT NULL`, subject, k.wrapping.Load().current)
	if err != nil {
		return fmt.Errorf("pii: shred subject %s: %w", subject, err)
	}
	return nil
}

// usable names the wrapping key $3 by a look at it: one that was retired more than a minute
// ago, which every process knows by then that was not asleep, is null there, and nothing of
// the transaction happens. A keyring without service keys has none to look at.
const usable = `(SELECT CASE WHEN count(*) = 0 THEN $3::text ELSE max(id) FILTER (WHERE id = $3::text AND
	(retire_time IS NULL OR retire_time > clock_timestamp() - interval '1 minute')) END FROM service_keys)`

const insertKey = `INSERT INTO subject_keys (subject_id, wrapped, wrap_id) VALUES ($1, $2, ` + usable + `) `

func (k *Keyring) insert(ctx context.Context, db pg.DBTX, subject uuid.UUID, onConflict string) (*Subject, error) {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("pii: make subject key: %w", err)
	}
	set := k.wrapping.Load()
	wrapped, err := set.keys[set.current].Encrypt(key, wrapContext(subject))
	if err != nil {
		return nil, fmt.Errorf("pii: wrap subject key: %w", err)
	}
	if _, err = db.Exec(ctx, insertKey+onConflict, subject, wrapped, set.current); err != nil {
		return nil, fmt.Errorf("pii: store subject key: %w", err)
	}
	return newSubject(key)
}

func (k *Keyring) unwrap(ctx context.Context, subject uuid.UUID, wrapped []byte, wrapID string) (*Subject, error) {
	wrap, err := k.wrappingKey(ctx, wrapID)
	if err != nil {
		return nil, fmt.Errorf("key of subject %s: %w", subject, err)
	}
	key, err := wrap.Decrypt(wrapped, wrapContext(subject))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: key of subject %s", ErrCorrupt, subject), err)
	}
	return newSubject(key)
}

func newSubject(key []byte) (*Subject, error) {
	aead, err := subtle.NewAESGCM(key)
	if err != nil {
		return nil, fmt.Errorf("pii: subject key: %w", err)
	}
	return &Subject{aead: aead}, nil
}

func wrapContext(subject uuid.UUID) []byte { return append([]byte("subject_keys/v1/"), subject[:]...) }
