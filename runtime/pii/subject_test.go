package pii_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

func keyFile(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "master.key")
	if err := pii.NewKeyFile(file); err != nil {
		t.Fatal(err)
	}
	return file
}

func open(t testing.TB, file string) *pii.Keyring {
	t.Helper()
	k, err := pii.OpenKeyring(file)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var phone = pii.Place{Table: "contacts", Column: "phone", Row: uuid.MustParse("0198c5a0-7d3e-7c4b-9f60-0123456789ab")}

func seal(t testing.TB, k *pii.Keyring, db pg.DBTX, subject uuid.UUID, value string) []byte {
	t.Helper()
	c, err := k.Seal(t.Context(), db, subject, phone, value)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// settle makes the subject's key old enough to be cached.
func settle(t testing.TB, db *testkit.DB, subject uuid.UUID) {
	t.Helper()
	if _, err := db.Owner(t).Exec(t.Context(), `UPDATE subject_keys SET create_time = create_time - interval '1 day' WHERE subject_id = $1`, subject); err != nil {
		t.Fatal(err)
	}
}

func TestSealedValuesOpenOnlyWhereTheyBelong(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	k := open(t, keyFile(t))
	ctx := t.Context()
	name := rapid.StringMatching(`[a-z_]{1,12}`)
	id := rapid.Custom(func(t *rapid.T) uuid.UUID {
		return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid"))
	})
	place := rapid.Custom(func(t *rapid.T) pii.Place {
		return pii.Place{name.Draw(t, "table"), name.Draw(t, "column"), id.Draw(t, "row")}
	})
	rapid.Check(t, func(t *rapid.T) {
		value, at, subject := rapid.String().Draw(t, "value"), place.Draw(t, "place"), id.Draw(t, "subject")
		c, err := k.Seal(ctx, db.Pool, subject, at, value)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Open(ctx, db.Pool, subject, at, c); err != nil || got != value {
			t.Fatalf("opened %q, %v; sealed %q", got, err, value)
		}
		twice, err := k.Seal(ctx, db.Pool, subject, at, value)
		if err != nil || slices.Equal(c, twice) {
			t.Fatalf("two ciphertexts of one value are equal (%v)", err)
		}
		if other := place.Draw(t, "other place"); other != at {
			if got, err := k.Open(ctx, db.Pool, subject, other, c); !errors.Is(err, pii.ErrCorrupt) {
				t.Fatalf("moved from %+v to %+v: %q, %v", at, other, got, err)
			}
		}
		shifted := pii.Place{at.Table + at.Column[:1], at.Column[1:], at.Row}
		if got, err := k.Open(ctx, db.Pool, subject, shifted, c); !errors.Is(err, pii.ErrCorrupt) {
			t.Fatalf("table and column run together: %q, %v", got, err)
		}
		cut := c[:rapid.IntRange(0, len(c)-1).Draw(t, "length")]
		if got, err := k.Open(ctx, db.Pool, subject, at, cut); !errors.Is(err, pii.ErrCorrupt) {
			t.Fatalf("cut to %d: %q, %v", len(cut), got, err)
		}
		changed := slices.Clone(c)
		changed[rapid.IntRange(0, len(c)-1).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "change"))
		if got, err := k.Open(ctx, db.Pool, subject, at, changed); !errors.Is(err, pii.ErrCorrupt) {
			t.Fatalf("changed: %q, %v", got, err)
		}
	})
}

func TestCiphertextOfAnotherSubject(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	k := open(t, keyFile(t))
	a, b := uuid.New(), uuid.New()
	c := seal(t, k, db.Pool, a, "13812345678")
	seal(t, k, db.Pool, b, "13900000000")
	if _, err := k.Open(t.Context(), db.Pool, b, phone, c); !errors.Is(err, pii.ErrCorrupt) {
		t.Errorf("opened by another subject: %v", err)
	}
	if _, err := k.Open(t.Context(), db.Pool, uuid.New(), phone, c); !errors.Is(err, pii.ErrCorrupt) {
		t.Errorf("opened by a subject without key: %v", err)
	}
	// The wrapped key is bound to its subject too.
	if _, err := db.Pool.Exec(t.Context(), `UPDATE subject_keys SET wrapped = (SELECT wrapped FROM subject_keys WHERE subject_id = $1) WHERE subject_id = $2`, a, b); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Open(t.Context(), db.Pool, b, phone, c); !errors.Is(err, pii.ErrCorrupt) {
		t.Errorf("opened with a key moved between subjects: %v", err)
	}
	if _, err := open(t, keyFile(t)).Open(t.Context(), db.Pool, a, phone, c); err == nil {
		t.Error("opened under another master key")
	}
}

func TestShred(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	file := keyFile(t)
	k := open(t, file)
	ctx := t.Context()
	subject, kept := uuid.New(), uuid.New()
	c, other := seal(t, k, db.Pool, subject, "13812345678"), seal(t, k, db.Pool, kept, "13900000000")
	settle(t, db, subject)
	if _, err := k.Open(ctx, db.Pool, subject, phone, c); err != nil { // now cached
		t.Fatal(err)
	}
	boom := errors.New("boom")
	if err := pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
		return errors.Join(k.Shred(ctx, tx, subject), boom)
	}); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if got, err := k.Open(ctx, db.Pool, subject, phone, c); err != nil || got != "13812345678" {
		t.Errorf("after a rolled-back erasure: %q, %v", got, err)
	}
	for range 2 { // again is no error
		if err := pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
			if err := k.Shred(ctx, tx, subject); err != nil {
				return err
			}
			if _, err := k.Open(ctx, tx, subject, phone, c); !errors.Is(err, pii.ErrShredded) {
				t.Errorf("within the erasing transaction: %v", err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for name, ring := range map[string]*pii.Keyring{"same process": k, "another process": open(t, file)} {
		if _, err := ring.Open(ctx, db.Pool, subject, phone, c); !errors.Is(err, pii.ErrShredded) {
			t.Errorf("%s: open: %v", name, err)
		}
		if _, err := ring.Seal(ctx, db.Pool, subject, phone, "new"); !errors.Is(err, pii.ErrShredded) {
			t.Errorf("%s: seal: %v", name, err)
		}
		if got, err := ring.Open(ctx, db.Pool, kept, phone, other); err != nil || got != "13900000000" {
			t.Errorf("%s: another subject: %q, %v", name, got, err)
		}
	}
	var left int
	if err := db.Pool.QueryRow(ctx, `SELECT count(*) FROM subject_keys WHERE subject_id = $1 AND wrapped IS NOT NULL`, subject).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d keys left, %v", left, err)
	}
	never := uuid.New()
	if err := k.Shred(ctx, db.Pool, never); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Seal(ctx, db.Pool, never, phone, "x"); !errors.Is(err, pii.ErrShredded) {
		t.Errorf("a key was made for someone erased before: %v", err)
	}
}

func TestTombstonesStay(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	k := open(t, keyFile(t))
	subject := uuid.New()
	if err := k.Shred(t.Context(), db.Pool, subject); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool.Exec(t.Context(), `DELETE FROM subject_keys`); pg.Code(err) != "42501" {
		t.Errorf("the service may delete the record of an erasure: %v", err)
	}
	if _, err := db.Pool.Exec(t.Context(), `UPDATE subject_keys SET wrapped = '\x00', shred_time = NULL`); err == nil {
		t.Error("the service may give an erased subject a key")
	}
}

func TestShredIsSeenInTimeByOtherProcesses(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	file := keyFile(t)
	shredder, reader := open(t, file), open(t, file)
	var at atomic.Int64
	reader.SetClock(func() time.Time { return time.Unix(0, at.Load()) })
	subject := uuid.New()
	c := seal(t, shredder, db.Pool, subject, "13812345678")
	settle(t, db, subject)
	read := func() error { _, err := reader.Open(t.Context(), db.Pool, subject, phone, c); return err }
	if err := read(); err != nil {
		t.Fatal(err)
	}
	if !reader.Cached(subject) {
		t.Error("an old key is not cached")
	}
	if err := shredder.Shred(t.Context(), db.Pool, subject); err != nil {
		t.Fatal(err)
	}
	at.Add(int64(pii.CacheLife))
	if err := read(); !errors.Is(err, pii.ErrShredded) {
		t.Errorf("after the cache's life: %v", err)
	}
}

func TestReaderDuringErasureDoesNotCache(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	k := open(t, keyFile(t))
	ctx := t.Context()
	subject := uuid.New()
	c := seal(t, k, db.Pool, subject, "13812345678")
	settle(t, db, subject)
	if err := pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
		if err := k.Shred(ctx, tx, subject); err != nil {
			return err
		}
		_, err := k.Open(ctx, db.Pool, subject, phone, c) // another transaction, before the commit
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Open(ctx, db.Pool, subject, phone, c); !errors.Is(err, pii.ErrShredded) {
		t.Errorf("right after the commit: %v", err)
	}
	// A read that began before the erasure and ends after it is not kept either.
	second := uuid.New()
	sealed := seal(t, k, db.Pool, second, "x")
	keys, err := k.Subjects(ctx, db.Pool, second)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Shred(ctx, db.Pool, second); err != nil {
		t.Fatal(err)
	}
	k.Keep(second, keys[second])
	if _, err := k.Open(ctx, db.Pool, second, phone, sealed); !errors.Is(err, pii.ErrShredded) {
		t.Errorf("a late reader kept the key: %v", err)
	}
}

func TestOneKeyOfManyMakers(t *testing.T) {
	const makers = 12
	db := testkit.Database(t, pii.Migrations())
	file := keyFile(t)
	for round := range 5 {
		subject := uuid.New()
		sealed := make([][]byte, makers)
		var group sync.WaitGroup
		for i := range makers {
			k := open(t, file) // a process of its own
			group.Go(func() {
				if err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) (err error) {
					sealed[i], err = k.Seal(t.Context(), tx, subject, phone, fmt.Sprint(i))
					return err
				}); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		k := open(t, file)
		for i, c := range sealed {
			if got, err := k.Open(t.Context(), db.Pool, subject, phone, c); err != nil || got != fmt.Sprint(i) {
				t.Fatalf("round %d, maker %d: %q, %v", round, i, got, err)
			}
		}
	}
}

func TestRolledBackKeyIsNotUsedByOthers(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	file := keyFile(t)
	k := open(t, file)
	ctx := t.Context()
	subject := uuid.New()
	boom := errors.New("boom")
	if err := pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
		for range 2 { // makes the key, then reads it
			if _, err := k.Seal(ctx, tx, subject, phone, "lost"); err != nil {
				return err
			}
		}
		return boom
	}); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	c := seal(t, k, db.Pool, subject, "kept")
	if got, err := open(t, file).Open(ctx, db.Pool, subject, phone, c); err != nil || got != "kept" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCreateInBatch(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	k := open(t, keyFile(t))
	ctx := t.Context()
	subject := uuid.New()
	var c []byte
	create := func(id uuid.UUID) error {
		return pg.InBatch(ctx, db.Pool, func(b *pg.Batch) error {
			s, err := k.Create(ctx, b, id)
			if err != nil {
				return err
			}
			c, err = s.Seal(phone, "13812345678")
			return err
		})
	}
	if err := create(subject); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open(ctx, db.Pool, subject, phone, c); err != nil || got != "13812345678" {
		t.Errorf("%q, %v", got, err)
	}
	if err := create(subject); !pg.Violates(err, "subject_keys_pkey") {
		t.Errorf("a second key: %v", err)
	}
	erased := uuid.New()
	if err := k.Shred(ctx, db.Pool, erased); err != nil {
		t.Fatal(err)
	}
	if err := create(erased); !pg.Violates(err, "subject_keys_pkey") {
		t.Errorf("a key for someone erased: %v", err)
	}
}

func TestSubjectsOfAList(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	k := open(t, keyFile(t))
	ctx := t.Context()
	a, gone, never := uuid.New(), uuid.New(), uuid.New()
	ca, cg := seal(t, k, db.Pool, a, "a"), seal(t, k, db.Pool, gone, "gone")
	if err := k.Shred(ctx, db.Pool, gone); err != nil {
		t.Fatal(err)
	}
	settle(t, db, a)
	for range 2 { // the second time from the cache
		keys, err := k.Subjects(ctx, db.Pool, a, gone, never)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := keys.Open(a, phone, ca); err != nil || got != "a" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := keys.Open(gone, phone, cg); !errors.Is(err, pii.ErrShredded) {
			t.Errorf("erased: %v", err)
		}
		if _, err := keys.Open(never, phone, ca); !errors.Is(err, pii.ErrCorrupt) {
			t.Errorf("without key: %v", err)
		}
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := k.Subjects(done, db.Pool, gone); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
