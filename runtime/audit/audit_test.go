package audit_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

var key = []byte("a key of the tests, thirty-two b")

var addresses = []netip.Prefix{
	netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:1::/48"), {},
}

// trail makes n records and links them in passes of three.
func trail(t *testing.T, n int) *testkit.DB {
	t.Helper()
	db := testkit.Database(t, audit.Migrations())
	ctx := t.Context()
	for i := range n {
		insert(t, db, i)
	}
	for left := n; left > 0; {
		err := pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
			linked, err := audit.Link(ctx, tx, key, 3)
			if err == nil && linked == 0 {
				return errors.New("nothing was linked")
			}
			left -= linked
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func insert(t *testing.T, db *testkit.DB, i int) {
	t.Helper()
	o := audit.Origin{Time: time.Now(), Actor: "issuer|someone", ActorKind: eventv1.ActorKind_ACTOR_KIND_PERSON, RequestID: "r"}
	if i%2 == 1 {
		o.CauseEventID = uuid.New()
	}
	if i >= 3 { // the first three are as those of before there was an address
		o.Address = addresses[i%len(addresses)]
	}
	var customer uuid.UUID
	if i%3 == 1 {
		customer = uuid.New()
	}
	e := audit.Entry{Action: "/kefu.Things/Change", ObjectType: "thing", ObjectID: uuid.New(), Right: "role:x/y", CustomerID: customer, Changes: map[string]int{"n": i}}
	if err := audit.Insert(t.Context(), db.Pool, key, e, o); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyGoodTrail(t *testing.T) {
	db := trail(t, 10)
	insert(t, db, 10) // waits for its link, which is no fault
	n, err := audit.Verify(t.Context(), db.Pool, key)
	if n != 10 || err != nil {
		t.Fatalf("Verify = %d, %v; want 10 good records", n, err)
	}
	position, hash, err := audit.Head(t.Context(), db.Pool)
	if position != 10 || len(hash) != 32 || err != nil {
		t.Errorf("Head = %d, %x, %v", position, hash, err)
	}
	if n, err := audit.Verify(t.Context(), db.Pool, []byte("another key")); n != 0 || err == nil {
		t.Errorf("Verify with another key = %d, %v", n, err)
	}
}

func TestVerifyNamesTampering(t *testing.T) {
	at := func(position string) string {
		return "(SELECT audit_id FROM audit_chain WHERE position = " + position + ")"
	}
	swapRecords := `
UPDATE audit_records AS r SET actor = o.actor, time = o.time, object_id = o.object_id, changes_hash = o.changes_hash, mac = o.mac,
  cause_event_id = o.cause_event_id
FROM audit_records AS o WHERE (r.id, o.id) IN ((` + at("4") + `, ` + at("6") + `), (` + at("6") + `, ` + at("4") + `))`
	copyRecord := `INSERT INTO audit_records SELECT '00000000-0000-7000-8000-00000000f00d', time, actor, actor_kind, action, object_type, object_id,
  access_right, changes_hash, request_id, cause_event_id, mac, customer_id, address FROM audit_records WHERE id = ` + at("2")
	insertLinked := copyRecord + `;
INSERT INTO audit_chain SELECT 11, '00000000-0000-7000-8000-00000000f00d', hash, sha256('x') FROM audit_chain WHERE position = 10`
	shiftAndInsert := copyRecord + `;
UPDATE audit_chain SET position = -position - 1 WHERE position >= 5;
UPDATE audit_chain SET position = -position WHERE position < 0;
INSERT INTO audit_chain SELECT 5, '00000000-0000-7000-8000-00000000f00d', previous, hash FROM audit_chain WHERE position = 6`
	swapLinks := `
UPDATE audit_chain SET audit_id = gen_random_uuid() WHERE position = 4;`
	for name, c := range map[string]struct {
		sql      string
		position int64
		problem  string
	}{
		"edited actor":       {`UPDATE audit_records SET actor = 'nobody' WHERE id = ` + at("5"), 5, "edited"},
		"edited time":        {`UPDATE audit_records SET time = time + interval '1 microsecond' WHERE id = ` + at("5"), 5, "edited"},
		"edited right":       {`UPDATE audit_records SET access_right = '' WHERE id = ` + at("1"), 1, "edited"},
		"edited changes":     {`UPDATE audit_records SET changes_hash = sha256('x') WHERE id = ` + at("7"), 7, "edited"},
		"edited cause":       {`UPDATE audit_records SET cause_event_id = NULL WHERE cause_event_id IS NOT NULL AND id = (SELECT max(id::text)::uuid FROM audit_records WHERE cause_event_id IS NOT NULL)`, 10, "edited"},
		"forged MAC":         {`UPDATE audit_records SET mac = sha256('x') WHERE id = ` + at("3"), 3, "edited"},
		"deleted record":     {`DELETE FROM audit_records WHERE id = ` + at("5"), 5, "deleted"},
		"deleted link":       {`DELETE FROM audit_chain WHERE position = 5`, 5, "link is missing"},
		"deleted both":       {`WITH gone AS (DELETE FROM audit_chain WHERE position = 5 RETURNING audit_id) DELETE FROM audit_records USING gone WHERE id = audit_id`, 5, "link is missing"},
		"closed the gap":     {`WITH gone AS (DELETE FROM audit_chain WHERE position = 10 RETURNING audit_id) UPDATE audit_chain SET audit_id = gone.audit_id FROM gone WHERE position = 9`, 9, "does not belong"},
		"swapped records":    {swapRecords, 4, "edited"},
		"link to nothing":    {swapLinks, 4, "deleted"},
		"cut link's history": {`UPDATE audit_chain SET previous = sha256('x') WHERE position = 8`, 8, "does not continue"},
		"rewritten hash":     {`UPDATE audit_chain SET hash = sha256('x') WHERE position = 10`, 10, "does not belong"},
		"swapped links": {`
UPDATE audit_chain SET position = CASE position WHEN 4 THEN -6 ELSE -4 END WHERE position IN (4, 6);
UPDATE audit_chain SET position = -position WHERE position < 0`, 4, "does not continue"},
		"edited customer":        {`UPDATE audit_records SET customer_id = gen_random_uuid() WHERE id = ` + at("6"), 6, "edited"},
		"edited address":         {`UPDATE audit_records SET address = '203.0.113.8' WHERE id = ` + at("5"), 5, "edited"},
		"widened address":        {`UPDATE audit_records SET address = set_masklen(address, 16) WHERE id = ` + at("6"), 6, "edited"},
		"address taken away":     {`UPDATE audit_records SET address = NULL WHERE id = ` + at("7"), 7, "edited"},
		"address put there":      {`UPDATE audit_records SET address = '203.0.113.7' WHERE id = ` + at("2"), 2, "edited"},
		"search without address": {`UPDATE audit_search SET address = NULL WHERE position = 5`, 5, "search of auditors"},
		"edited search entry":    {`UPDATE audit_search SET actor = 'nobody' WHERE position = 4`, 4, "search of auditors"},
		"deleted search entry":   {`DELETE FROM audit_search WHERE position = 4`, 4, "search of auditors"},
		"inserted with a link":   {insertLinked, 11, "edited or forged"},
		"inserted in the middle": {shiftAndInsert, 5, "edited or forged"},
		"record never queued":    {`INSERT INTO audit_records SELECT gen_random_uuid(), time, actor, actor_kind, action, object_type, object_id, access_right, changes_hash, request_id, cause_event_id, mac, customer_id, address FROM audit_records WHERE id = ` + at("2"), 0, "never linked"},
	} {
		t.Run(name, func(t *testing.T) {
			db := trail(t, 10)
			owner, err := pgx.Connect(t.Context(), db.OwnerDSN)
			if err != nil {
				t.Fatal(err)
			}
			defer owner.Close(context.Background())
			changed := int64(0)
			for statement := range strings.SplitSeq(c.sql, ";\n") {
				tag, err := owner.Exec(t.Context(), statement)
				if err != nil {
					t.Fatal(err)
				}
				changed += tag.RowsAffected()
			}
			if changed == 0 {
				t.Fatal("the tampering changed nothing")
			}
			_, err = audit.Verify(t.Context(), db.Pool, key)
			broken := new(audit.Broken)
			if !errors.As(err, &broken) {
				t.Fatalf("Verify found nothing: %v", err)
			}
			if broken.Position != c.position || !strings.Contains(broken.Problem, c.problem) {
				t.Errorf("Verify: %v; want position %d: %s", err, c.position, c.problem)
			}
		})
	}
}

func TestRunRoleOnlyInserts(t *testing.T) {
	db := trail(t, 1)
	for _, sql := range []string{
		`UPDATE audit_records SET actor = ''`, `DELETE FROM audit_records`, `TRUNCATE audit_records`,
		`UPDATE audit_chain SET position = 2`, `DELETE FROM audit_chain`, `TRUNCATE audit_chain`,
		`UPDATE audit_search SET actor = ''`, `DELETE FROM audit_search`, `TRUNCATE audit_search`,
	} {
		if _, err := db.Pool.Exec(t.Context(), sql); pg.Code(err) != "42501" {
			t.Errorf("%s: %v; want insufficient privilege", sql, err)
		}
	}
}

func TestOnlyOneLinks(t *testing.T) {
	db := testkit.Database(t, audit.Migrations())
	ctx := t.Context()
	insert(t, db, 0)
	insert(t, db, 1)
	first, err := db.Pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Rollback(context.Background()) }()
	if _, err := audit.Link(ctx, first, key, 1); err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() {
		second <- pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
			_, err := audit.Link(ctx, tx, key, 2)
			return err
		})
	}()
	waitForLock(t, db)
	if err := first.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-second; !pg.Violates(err, "audit_chain_pkey") {
		t.Errorf("second linker: %v; want a violation of audit_chain_pkey", err)
	}
	if n, err := audit.Verify(ctx, db.Pool, key); n != 1 || err != nil {
		t.Errorf("Verify = %d, %v", n, err)
	}
}

// waitForLock returns once some session of the database waits for another.
func waitForLock(t *testing.T, db *testkit.DB) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for waiting := 0; waiting == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no session waits for a lock")
		}
		err := db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestHashChanges(t *testing.T) {
	hash := func(v any) string {
		t.Helper()
		h, err := audit.HashChanges(key, v)
		if err != nil {
			t.Fatal(err)
		}
		return string(h)
	}
	a := &eventv1.Envelope{Id: "a"}
	if hash(a) != hash(&eventv1.Envelope{Id: "a"}) || hash(a) == hash(&eventv1.Envelope{Id: "b"}) {
		t.Error("messages do not hash by their content")
	}
	if hash(map[string]int{"a": 1, "b": 2}) != hash(map[string]int{"b": 2, "a": 1}) {
		t.Error("the order of a map changes the hash")
	}
	if hash(nil) == hash("") {
		t.Error("nothing hashes like an empty text")
	}
	if _, err := audit.HashChanges(key, func() {}); err == nil {
		t.Error("a value without encoding was hashed")
	}
}
