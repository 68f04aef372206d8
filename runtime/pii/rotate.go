package pii

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kefu-suite/kefu/runtime/pg"
)

const (
	// rewrapStep bounds the subject keys that one transaction looks at.
	rewrapStep = 1000
	// rotateLock is the advisory lock under which a wrapping key is made.
	rotateLock = 0x6b656675_0001
)

// Follow brings the service keys under the current version of the master key, if that is a
// new one, and goes on with bringing the subject keys under the newest wrapping key, in steps
// of their own transactions, until none is under another. It may be ended at any step and
// goes on from there when called again; several processes may be at it at once. Old wrapping
// keys are retired when nothing is under them, and removed when the longest transaction has
// ended that might still use them.
func (k *Keyring) Follow(ctx context.Context, pool *pgxpool.Pool) error {
	if err := k.follow(ctx, pool); err != nil {
		return fmt.Errorf("pii: follow the master key: %w", err)
	}
	for {
		more, err := k.rewrap(ctx, pool)
		if err != nil {
			return fmt.Errorf("pii: wrap subject keys anew: %w", err)
		}
		if !more {
			return k.retire(ctx, pool)
		}
	}
}

// follow makes a wrapping key under the current version and wraps the secret anew.
func (k *Keyring) follow(ctx context.Context, pool *pgxpool.Pool) error {
	current, err := k.master.Current(ctx)
	if err != nil {
		return err
	}
	err = pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, rotateLock); err != nil {
			return err
		}
		rows, err := readServiceKeys(ctx, tx)
		if err != nil {
			return err
		}
		newest := new(serviceKey)
		for _, row := range rows {
			if row.generation > newest.generation {
				newest = row
			}
		}
		if newest.masterID != current {
			id := newWrapID()
			wrapped, masterID, err := k.wrap(ctx, id, newKey())
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `INSERT INTO service_keys (id, generation, wrapped, master_id) VALUES ($1, $2, $3, $4)`,
				id, newest.generation+1, wrapped, masterID)
			if err != nil {
				return err
			}
		}
		if rows[rootID].masterID == current {
			return nil
		}
		wrapped, masterID, err := k.wrap(ctx, rootID, k.secret)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE service_keys SET wrapped = $2, master_id = $3 WHERE id = $1`, rootID, wrapped, masterID)
		return err
	})
	if err != nil {
		return err
	}
	return k.reload(ctx)
}

// rewrap takes one step with the oldest wrapping key before the current one; more is false when
// nothing is under any.
func (k *Keyring) rewrap(ctx context.Context, pool *pgxpool.Pool) (more bool, err error) {
	set := k.wrapping.Load()
	err = pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		more = false
		var old string
		var cursor *uuid.UUID
		err := tx.QueryRow(ctx, `SELECT id, cursor FROM service_keys
			WHERE generation >= 1 AND generation < (SELECT generation FROM service_keys WHERE id = $1)
			AND retire_time IS NULL ORDER BY generation LIMIT 1 FOR UPDATE`, set.current).Scan(&old, &cursor)
		if err == pgx.ErrNoRows { //nolint:errorlint // Scan does not wrap it
			return nil
		}
		if err != nil {
			return err
		}
		more = true
		if cursor == nil {
			cursor = new(uuid.UUID)
		}
		last, looked, err := k.step(ctx, tx, set, old, *cursor)
		if err != nil {
			return err
		}
		if looked == rewrapStep {
			_, err = tx.Exec(ctx, `UPDATE service_keys SET cursor = $2 WHERE id = $1`, old, last)
			return err
		}
		return k.finish(ctx, tx, old)
	})
	return more, err
}

// step wraps anew what is under old among the next subject keys.
func (k *Keyring) step(ctx context.Context, tx pgx.Tx, set *wrapping, old string, after uuid.UUID) (last uuid.UUID, looked int, err error) {
	rows, err := tx.Query(ctx, `SELECT subject_id, wrapped, wrap_id FROM subject_keys WHERE subject_id > $1
		ORDER BY subject_id LIMIT $2`, after, rewrapStep)
	if err != nil {
		return last, 0, err
	}
	var (
		ids       []uuid.UUID
		before    [][]byte
		rewrapped [][]byte
		id        uuid.UUID
		wrapped   []byte
		wrapID    string
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &wrapped, &wrapID}, func() error {
		last, looked = id, looked+1
		if wrapID == old && wrapped != nil {
			ids, before = append(ids, id), append(before, slices.Clone(wrapped))
		}
		return nil
	})
	if err != nil || len(ids) == 0 {
		return last, looked, err
	}
	for i, id := range ids {
		key, err := set.keys[old].Decrypt(before[i], wrapContext(id))
		if err != nil {
			return last, looked, fmt.Errorf("%w: key of subject %s", ErrCorrupt, id)
		}
		anew, err := set.keys[set.current].Encrypt(key, wrapContext(id))
		if err != nil {
			return last, looked, err
		}
		rewrapped = append(rewrapped, anew)
	}
	// Whoever was shredded meanwhile stays so.
	_, err = tx.Exec(ctx, `UPDATE subject_keys s SET wrapped = n.wrapped, wrap_id = $4
		FROM unnest($1::uuid[], $2::bytea[]) AS n (id, wrapped)
		WHERE s.subject_id = n.id AND s.wrap_id = $3 AND s.wrapped IS NOT NULL`, ids, rewrapped, old, set.current)
	return last, looked, err
}

// finish ends a pass over all subject keys. A key may have come under the old one behind the
// pass: then there is another.
func (k *Keyring) finish(ctx context.Context, tx pgx.Tx, old string) error {
	_, err := tx.Exec(ctx, `UPDATE service_keys SET cursor = NULL, retire_time = CASE WHEN EXISTS (
			SELECT FROM subject_keys WHERE wrap_id = $1 AND wrapped IS NOT NULL
		) THEN NULL ELSE clock_timestamp() END WHERE id = $1`, old)
	return err
}

// retire removes wrapping keys that were retired longer ago than any transaction lives that
// might still use them, and revives those that were used once more before their end.
func (k *Keyring) retire(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, `UPDATE service_keys k SET retire_time = NULL WHERE retire_time IS NOT NULL
		AND EXISTS (SELECT FROM subject_keys s WHERE s.wrap_id = k.id AND s.wrapped IS NOT NULL)`)
	if err != nil {
		return fmt.Errorf("pii: retire wrapping keys: %w", err)
	}
	_, err = pool.Exec(ctx, `DELETE FROM service_keys k WHERE retire_time < clock_timestamp() - make_interval(secs => $1)
		AND NOT EXISTS (SELECT FROM subject_keys s WHERE s.wrap_id = k.id AND s.wrapped IS NOT NULL)`, (settled + time.Minute).Seconds())
	if err != nil {
		return fmt.Errorf("pii: remove wrapping keys: %w", err)
	}
	return nil
}

// KeyStatus is one service key as it stands.
type KeyStatus struct {
	// ID is `root` or the name of a wrapping key.
	ID string
	// MasterID is the version of the master key that it is under, Current that of the newest.
	MasterID   string
	Current    bool
	CreateTime time.Time
	// RetireTime is when nothing was under it any more.
	RetireTime *time.Time
	// Subjects counts the subject keys under it.
	Subjects int64
}

// Status tells how far the newest rotation has come: it is over when every key is under the
// current version and none but the newest wraps a subject key.
func Status(ctx context.Context, db pg.DBTX, master Master) ([]KeyStatus, error) {
	current, err := master.Current(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := db.Query(ctx, `SELECT k.id, k.master_id, k.master_id = $1, k.create_time, k.retire_time, count(s.subject_id)
		FROM service_keys k LEFT JOIN subject_keys s ON s.wrap_id = k.id AND s.wrapped IS NOT NULL
		GROUP BY k.id ORDER BY k.generation`, current)
	if err != nil {
		return nil, fmt.Errorf("pii: status of the service keys: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s KeyStatus, err error) {
		return s, row.Scan(&s.ID, &s.MasterID, &s.Current, &s.CreateTime, &s.RetireTime, &s.Subjects)
	})
	if err != nil {
		return nil, fmt.Errorf("pii: status of the service keys: %w", err)
	}
	return list, nil
}

// RetireMaster takes away the versions of the master key that no service key is under.
func RetireMaster(ctx context.Context, db pg.DBTX, master Master) error {
	list, err := Status(ctx, db, master)
	if err != nil {
		return err
	}
	used := make([]string, 0, len(list))
	for _, s := range list {
		used = append(used, s.MasterID)
	}
	return master.Retire(ctx, used)
}
