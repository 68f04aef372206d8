package audit_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

// anchored is a trail of ten records of which the head was anchored after each third.
func anchored(t *testing.T) (db *testkit.DB, file string) {
	t.Helper()
	db = testkit.Database(t, audit.Migrations())
	file = audit.AnchorFile(t.TempDir(), "complaint")
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	for i := range 10 {
		insert(t, db, i)
		linkAll(t, db)
		if i%3 != 2 {
			continue
		}
		for range 2 { // the second time there is nothing new
			if _, err := audit.Anchor(t.Context(), db.Pool, file, at.Add(time.Duration(i)*time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return db, file
}

func linkAll(t *testing.T, db *testkit.DB) {
	t.Helper()
	err := pg.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
		_, err := audit.Link(t.Context(), tx, key, 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func asOwner(t *testing.T, db *testkit.DB, sql string) {
	t.Helper()
	owner, err := pgx.Connect(t.Context(), db.OwnerDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	if tag, err := owner.Exec(t.Context(), sql); err != nil || tag.RowsAffected() == 0 {
		t.Fatalf("%s: %v, %d rows", sql, err, tag.RowsAffected())
	}
}

func TestAnchorsAgreeWithAGoodTrail(t *testing.T) {
	db, file := anchored(t)
	v, err := audit.VerifyAnchored(t.Context(), db.Pool, key, file)
	if err != nil || v != (audit.Verified{Records: 10, Anchors: 3}) {
		t.Fatalf("VerifyAnchored = %+v, %v", v, err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "2026-11-25T10:02:00Z 3 ") {
		t.Errorf("the anchors are %q", lines)
	}
}

// TestACrashLeavesHalfALine: the next anchor begins a line of its own, and the half one is
// counted and passed over.
func TestACrashLeavesHalfALine(t *testing.T) {
	db, file := anchored(t)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(content, "2026-11-25T10:10:00Z 1"...), 0o640); err != nil {
		t.Fatal(err)
	}
	if position, err := audit.Anchor(t.Context(), db.Pool, file, time.Now()); position != 10 || err != nil {
		t.Fatalf("Anchor = %d, %v", position, err)
	}
	v, err := audit.VerifyAnchored(t.Context(), db.Pool, key, file)
	if err != nil || v != (audit.Verified{Records: 10, Anchors: 4, Unreadable: 1}) {
		t.Errorf("VerifyAnchored = %+v, %v", v, err)
	}
}

// TestACutTailIsFound: everything of the last records is gone, from all tables. Only the
// anchor knows of them.
func TestACutTailIsFound(t *testing.T) {
	db, file := anchored(t)
	asOwner(t, db, `
WITH cut AS (DELETE FROM audit_chain WHERE position > 7 RETURNING position, audit_id),
  entries AS (DELETE FROM audit_search USING cut WHERE audit_search.position = cut.position)
DELETE FROM audit_records USING cut WHERE id = audit_id`)
	if n, err := audit.Verify(t.Context(), db.Pool, key); n != 7 || err != nil {
		t.Fatalf("without anchors the cut does not show: %d, %v", n, err)
	}
	_, err := audit.VerifyAnchored(t.Context(), db.Pool, key, file)
	broken := new(audit.Broken)
	if !errors.As(err, &broken) || broken.Position != 8 || !strings.Contains(broken.Problem, "cut off: position 9 was anchored at 2026-11-25T10:08:00Z") {
		t.Errorf("VerifyAnchored: %v", err)
	}
	behind := new(audit.BehindError)
	if _, err := audit.Anchor(t.Context(), db.Pool, file, time.Now()); !errors.As(err, &behind) || *behind != (audit.BehindError{Anchored: 9, Head: 7}) {
		t.Errorf("the next anchor: %v", err)
	}
	// The chain grows past the anchored position with other records.
	for i := range 4 {
		insert(t, db, 20+i)
	}
	linkAll(t, db)
	_, err = audit.VerifyAnchored(t.Context(), db.Pool, key, file)
	if !errors.As(err, &broken) || broken.Position != 9 || !strings.Contains(broken.Problem, "made anew") {
		t.Errorf("VerifyAnchored after it grew again: %v", err)
	}
}

func TestAnchorsThatWereEditedAreRefused(t *testing.T) {
	db, file := anchored(t)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(content), "\n")
	if err := os.WriteFile(file, []byte(lines[1]+lines[0]+lines[2]), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.VerifyAnchored(t.Context(), db.Pool, key, file); err == nil || !strings.Contains(err.Error(), "not in order") {
		t.Errorf("lines that changed places: %v", err)
	}
	if _, err := audit.VerifyAnchored(t.Context(), db.Pool, key, file+"-gone"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := audit.Anchor(t.Context(), db.Pool, file+"/x", time.Now()); err == nil {
		t.Error("a file that cannot be made")
	}
}

// TestLinksOfAnOlderReplicaAreEntered: what was linked without an entry for the search, as
// the release before does, is entered with the next links, and is no tampering until then.
func TestLinksOfAnOlderReplicaAreEntered(t *testing.T) {
	db, _ := anchored(t)
	asOwner(t, db, `DELETE FROM audit_search WHERE position > 6`)
	if n, err := audit.Verify(t.Context(), db.Pool, key); n != 10 || err != nil {
		t.Fatalf("before: %d, %v", n, err)
	}
	insert(t, db, 10)
	linkAll(t, db)
	var entries int
	if err := db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM audit_search`).Scan(&entries); err != nil || entries != 11 {
		t.Errorf("%d entries, %v", entries, err)
	}
	if n, err := audit.Verify(t.Context(), db.Pool, key); n != 11 || err != nil {
		t.Errorf("after: %d, %v", n, err)
	}
}
