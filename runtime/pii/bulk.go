package pii

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// NewKeys are keys of many subjects that were just made and are not stored yet. They are for
// imports: making and using them needs no database, and one statement stores them all.
type NewKeys struct {
	ids      []uuid.UUID
	wrapped  [][]byte
	wrapID   string
	subjects []*Subject
}

// NewKeys makes a key for each subject. What is sealed with them is lost unless Store commits.
func (k *Keyring) NewKeys(ids []uuid.UUID) (*NewKeys, error) {
	set := k.wrapping.Load()
	wrap := set.keys[set.current]
	out := &NewKeys{ids: ids, wrapID: set.current, wrapped: make([][]byte, len(ids)), subjects: make([]*Subject, len(ids))}
	keys := make([]byte, keySize*len(ids))
	if _, err := rand.Read(keys); err != nil {
		return nil, fmt.Errorf("pii: make subject keys: %w", err)
	}
	for i, id := range ids {
		key := keys[i*keySize : (i+1)*keySize]
		var err error
		if out.wrapped[i], err = wrap.Encrypt(key, wrapContext(id)); err != nil {
			return nil, fmt.Errorf("pii: wrap subject key: %w", err)
		}
		if out.subjects[i], err = newSubject(key); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Subject is the key of the i-th subject.
func (n *NewKeys) Subject(i int) *Subject { return n.subjects[i] }

// Store writes the keys of the subjects that are named by their index, in the transaction of
// what was sealed with them. It fails as Create does, and when the wrapping key was retired
// since NewKeys: then make them anew.
func (n *NewKeys) Store(ctx context.Context, db pg.DBTX, which []int) error {
	ids, wrapped := make([]uuid.UUID, len(which)), make([][]byte, len(which))
	for i, at := range which {
		ids[i], wrapped[i] = n.ids[at], n.wrapped[at]
	}
	if _, err := db.Exec(ctx, insertKeys, ids, wrapped, n.wrapID); err != nil {
		return fmt.Errorf("pii: store %d subject keys: %w", len(which), err)
	}
	return nil
}

// insertKeys is insertKey for many subjects.
const insertKeys = `INSERT INTO subject_keys (subject_id, wrapped, wrap_id)
	SELECT subject, key, ` + usable + `
	FROM unnest($1::uuid[], $2::bytea[]) AS made (subject, key)`
