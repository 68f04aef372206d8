package pii_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

func fileMaster(t testing.TB, file string) *pii.FileMaster {
	t.Helper()
	m, err := pii.OpenFileMaster(file)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func stored(t testing.TB, db *testkit.DB, m pii.Master) *pii.Keyring {
	t.Helper()
	k, err := pii.Open(t.Context(), db.Pool, m, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rotate(t testing.TB, db *testkit.DB, k *pii.Keyring, m pii.Master) {
	t.Helper()
	if _, err := m.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := k.Follow(t.Context(), db.Pool); err != nil {
		t.Fatal(err)
	}
}

func status(t testing.TB, db *testkit.DB, m pii.Master) []pii.KeyStatus {
	t.Helper()
	list, err := pii.Status(t.Context(), db.Pool, m)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// exec changes rows as nobody in the suite does.
func exec(t testing.TB, db *testkit.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Owner(t).Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func TestRotation(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	file := keyFile(t)
	m := fileMaster(t, file)
	k, other := stored(t, db, m), stored(t, db, fileMaster(t, file)) // two replicas
	index, derived := k.Index("phone", "x"), k.Derive("x")

	subjects := map[uuid.UUID][]byte{}
	for range 2500 { // several steps
		id := uuid.New()
		subjects[id] = seal(t, k, db.Pool, id, id.String())
	}
	gone := uuid.New()
	lost := seal(t, k, db.Pool, gone, "gone")
	if err := k.Shred(t.Context(), db.Pool, gone); err != nil {
		t.Fatal(err)
	}
	before := status(t, db, m)
	rotate(t, db, k, m)
	after := status(t, db, m)

	if len(before) != 2 || before[1].Subjects != 2500 {
		t.Fatalf("before: %+v", before)
	}
	if len(after) != 3 || after[0].ID != "root" || !after[0].Current || after[1].Subjects != 0 || after[1].RetireTime == nil ||
		after[2].Subjects != 2500 || !after[2].Current || after[1].MasterID == after[2].MasterID {
		t.Fatalf("after: %+v", after)
	}
	for name, ring := range map[string]*pii.Keyring{"who rotated": k, "the other replica": other, "a new process": stored(t, db, fileMaster(t, file))} {
		for id, c := range subjects {
			if got, err := ring.Open(t.Context(), db.Pool, id, phone, c); err != nil || got != id.String() {
				t.Fatalf("%s: %q, %v", name, got, err)
			}
		}
		if _, err := ring.Open(t.Context(), db.Pool, gone, phone, lost); !errors.Is(err, pii.ErrShredded) {
			t.Errorf("%s: the rotation brought someone back: %v", name, err)
		}
		if string(ring.Index("phone", "x")) != string(index) || string(ring.Derive("x")) != string(derived) {
			t.Errorf("%s: indexes or derived keys changed", name)
		}
	}
	retireMaster(t, db, k, m, file)
	for id, c := range subjects {
		if got, err := stored(t, db, fileMaster(t, file)).Open(t.Context(), db.Pool, id, phone, c); err != nil || got != id.String() {
			t.Fatalf("without the old version: %q, %v", got, err)
		}
		break
	}
}

// retireMaster: the old version stays while a key is under it, and goes afterwards.
func retireMaster(t *testing.T, db *testkit.DB, k *pii.Keyring, m pii.Master, file string) {
	t.Helper()
	lines := func() int {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(data), "\n")
	}
	if err := pii.RetireMaster(t.Context(), db.Pool, m); err != nil || lines() != 2 {
		t.Errorf("a version in use was taken away (%d lines left, %v)", lines(), err)
	}
	exec(t, db, `UPDATE service_keys SET retire_time = retire_time - interval '1 hour' WHERE retire_time IS NOT NULL`)
	if err := k.Follow(t.Context(), db.Pool); err != nil {
		t.Fatal(err)
	}
	if err := pii.RetireMaster(t.Context(), db.Pool, m); err != nil || lines() != 1 {
		t.Errorf("a version that nothing is under stays (%d lines, %v)", lines(), err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("rights of the file: %v, %v", info.Mode(), err)
	}
}

// TestRotationWhileWorking: others make and read keys, and nothing of it is lost, whoever
// wraps anew and however often they are stopped.
func TestRotationWhileWorking(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	file := keyFile(t)
	m := fileMaster(t, file)
	ctx, stop := context.WithCancel(t.Context())
	var workers, rotators sync.WaitGroup
	for range 3 {
		k := stored(t, db, fileMaster(t, file))
		workers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := uuid.New()
				c, err := k.Seal(t.Context(), db.Pool, id, phone, fmt.Sprint(n))
				if err != nil {
					t.Errorf("seal: %v", err)
					return
				}
				if got, err := k.Open(t.Context(), db.Pool, id, phone, c); err != nil || got != fmt.Sprint(n) {
					t.Errorf("open: %q, %v", got, err)
					return
				}
			}
		})
	}
	for range 2 {
		k := stored(t, db, fileMaster(t, file))
		rotators.Go(func() {
			for n := range 4 {
				if _, err := m.Rotate(t.Context()); err != nil {
					t.Error(err)
				}
				cut, cancel := context.WithCancel(t.Context())
				if n%2 == 0 { // in the middle of it
					time.AfterFunc(time.Millisecond, cancel)
				}
				_ = k.Follow(cut, db.Pool) // the next one goes on
				cancel()
			}
		})
	}
	rotators.Wait()
	stop()
	workers.Wait()
	k := stored(t, db, fileMaster(t, file))
	for range 2 {
		if err := k.Follow(t.Context(), db.Pool); err != nil {
			t.Fatal(err)
		}
	}
	var all, under int64
	for _, s := range status(t, db, m) {
		all += s.Subjects
		if s.Current && s.ID != "root" {
			under = s.Subjects
		}
	}
	if all == 0 || all != under {
		t.Errorf("%d of %d subject keys are under the newest wrapping key", under, all)
	}
}

// TestRetiredKeyWrapsNothing: a process that slept through a rotation.
func TestRetiredKeyWrapsNothing(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	file := keyFile(t)
	m := fileMaster(t, file)
	k, asleep := stored(t, db, m), stored(t, db, fileMaster(t, file))
	rotate(t, db, k, m)
	// Until it has looked again, its key serves on for a minute.
	late := uuid.New()
	seal(t, asleep, db.Pool, late, "x")
	exec(t, db, `DELETE FROM subject_keys WHERE subject_id = $1`, late)
	exec(t, db, `UPDATE service_keys SET retire_time = retire_time - interval '2 minutes' WHERE retire_time IS NOT NULL`)
	id := uuid.New()
	if _, err := asleep.Seal(t.Context(), db.Pool, id, phone, "x"); pg.Code(err) != "23502" {
		t.Errorf("a key was wrapped by a retired one: %v", err)
	}
	if err := asleep.Follow(t.Context(), db.Pool); err != nil {
		t.Fatal(err)
	}
	c := seal(t, asleep, db.Pool, id, "x")
	if got, err := k.Open(t.Context(), db.Pool, id, phone, c); err != nil || got != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestOldVersionsAreLoud: rows of before a rotation, put back.
func TestOldVersionsAreLoud(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	file := keyFile(t)
	m := fileMaster(t, file)
	k := stored(t, db, m)
	id := uuid.New()
	c := seal(t, k, db.Pool, id, "13812345678")
	var wrapped []byte
	var wrapID string
	if err := db.Pool.QueryRow(t.Context(), `SELECT wrapped, wrap_id FROM subject_keys WHERE subject_id = $1`, id).Scan(&wrapped, &wrapID); err != nil {
		t.Fatal(err)
	}
	rotate(t, db, k, m)
	fails := func(what string, want error) {
		t.Helper()
		ring, err := pii.Open(t.Context(), db.Pool, fileMaster(t, file), time.Now)
		if err == nil {
			_, err = ring.Open(t.Context(), db.Pool, id, phone, c)
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	exec(t, db, `UPDATE subject_keys SET wrapped = $2 WHERE subject_id = $1`, id, wrapped)
	fails("the old wrapping under the new name", pii.ErrCorrupt)
	exec(t, db, `DELETE FROM service_keys WHERE id = $1`, wrapID)
	exec(t, db, `UPDATE subject_keys SET wrap_id = $2 WHERE subject_id = $1`, id, wrapID)
	fails("under a wrapping key that is gone", pii.ErrCorrupt)
	exec(t, db, `UPDATE service_keys SET wrapped = wrapped || '\x00' WHERE id <> 'root'`)
	fails("a changed service key", pii.ErrCorrupt)
	exec(t, db, `UPDATE service_keys SET wrapped = (SELECT wrapped FROM service_keys WHERE id = 'root') WHERE id <> 'root'`)
	fails("a service key moved to another's row", pii.ErrCorrupt)
	exec(t, db, `UPDATE service_keys SET master_id = 'feedfeedfeedfeed'`)
	fails("a version of the master key that is not in the file", pii.ErrNoMaster)
	if _, err := pii.Open(t.Context(), db.Pool, fileMaster(t, keyFile(t)), time.Now); !errors.Is(err, pii.ErrNoMaster) {
		t.Errorf("another key file: %v", err)
	}
}

// TestDatabaseFromBeforeServiceKeys opens what was made with keys from the key file alone.
func TestDatabaseFromBeforeServiceKeys(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	file := keyFile(t)
	old := open(t, file)
	id := uuid.New()
	c := seal(t, old, db.Pool, id, "13812345678")
	exec(t, db, `INSERT INTO service_keys (id, generation, wrapped, master_id) VALUES ('before', -1, '', '')`)
	m := fileMaster(t, file)
	for range 2 {
		k := stored(t, db, m)
		if got, err := k.Open(t.Context(), db.Pool, id, phone, c); err != nil || got != "13812345678" {
			t.Errorf("%q, %v", got, err)
		}
		if string(k.Index("phone", "x")) != string(old.Index("phone", "x")) || string(k.Derive("x")) != string(old.Derive("x")) {
			t.Error("indexes or derived keys changed")
		}
		rotate(t, db, k, m)
	}
}

// TestServiceKeysOfManyMakers: all replicas of a service start at once on an empty database.
func TestServiceKeysOfManyMakers(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	file := keyFile(t)
	secrets := make([]string, 8)
	var group sync.WaitGroup
	for i := range secrets {
		m := fileMaster(t, file)
		group.Go(func() {
			k, err := pii.Open(t.Context(), db.Pool, m, time.Now)
			if err != nil {
				t.Error(err)
				return
			}
			secrets[i] = string(k.Derive("x"))
		})
	}
	group.Wait()
	for _, s := range secrets {
		if s == "" || s != secrets[0] {
			t.Fatal("two replicas have different keys")
		}
	}
}

// TestServiceKeysOfAMakerThatEnds: whoever ends while it makes the keys leaves nothing behind
// that stops the next.
func TestServiceKeysOfAMakerThatEnds(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	m := fileMaster(t, keyFile(t))
	exec(t, db, `ALTER TABLE service_keys ADD CONSTRAINT ends_here CHECK (generation <> 1)`)
	if _, err := pii.Open(t.Context(), db.Pool, m, time.Now); err == nil {
		t.Fatal("the wrapping key was not kept, but Open says nothing")
	}
	exec(t, db, `ALTER TABLE service_keys DROP CONSTRAINT ends_here`)
	secret := string(stored(t, db, m).Derive("x"))
	exec(t, db, `DELETE FROM service_keys WHERE generation > 0`) // as a release before left it
	k := stored(t, db, m)
	if string(k.Derive("x")) != secret {
		t.Error("what was kept of the keys is not used")
	}
	id := uuid.New()
	c := seal(t, k, db.Pool, id, "13812345678")
	if got, err := k.Open(t.Context(), db.Pool, id, phone, c); err != nil || got != "13812345678" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestNewerWrappingKeyIsLeftAlone: another process has made one that this one does not know yet.
func TestNewerWrappingKeyIsLeftAlone(t *testing.T) {
	db := testkit.Database(t, pii.Migrations())
	m := fileMaster(t, keyFile(t))
	behind, ahead := stored(t, db, m), stored(t, db, m)
	seal(t, behind, db.Pool, uuid.New(), "13812345678")
	rotate(t, db, ahead, m)
	if more, err := behind.Rewrap(t.Context(), db.Pool); err != nil || more {
		t.Errorf("%v, %v", more, err)
	}
	for _, s := range status(t, db, m) {
		if s.Current && s.RetireTime != nil {
			t.Errorf("the newest key is retired: %+v", s)
		}
	}
}

// TestRetireOfManyAtOnce: each takes away what is not used, and none what another has left.
func TestRetireOfManyAtOnce(t *testing.T) {
	file := keyFile(t)
	m := fileMaster(t, file)
	var used []string
	for range 4 {
		id, err := m.Rotate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		used = append(used, id)
	}
	used = used[1:]
	var group sync.WaitGroup
	for range 8 {
		one := fileMaster(t, file)
		group.Go(func() {
			if err := one.Retire(t.Context(), used); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(data), "\n"); lines != len(used) {
		t.Errorf("%d versions are left of %d in use", lines, len(used))
	}
}
