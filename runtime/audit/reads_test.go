package audit_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

func readings(t *testing.T, pool *pgxpool.Pool) *audit.Reads {
	t.Helper()
	return audit.NewReads(pool, slog.New(slog.NewTextHandler(t.Output(), nil)), key)
}

// anAct is a read of something.
func anAct() audit.Act {
	return audit.Act{
		Entry: audit.Entry{Action: "/kefu.Things/Get", ObjectType: "thing", ObjectID: uuid.New(), CustomerID: uuid.New(), Right: "role:x/y"},
		Origin: audit.Origin{
			Time: time.Now(), Actor: "issuer|someone", ActorKind: eventv1.ActorKind_ACTOR_KIND_PERSON, Address: addresses[1],
		},
	}
}

// number runs a query that answers one.
func number(t *testing.T, on pg.DBTX, sql string, args ...any) (n int) {
	t.Helper()
	if err := on.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const waiting = `SELECT count(*) FROM audit_reads`

// Reads are committed when they are done, filed and linked between other records in the order
// of their ids, and held until then.
func TestReadsAreFiled(t *testing.T) {
	db := testkit.Database(t, audit.Migrations())
	reads := readings(t, db.Pool)
	var done int
	for _, acts := range [][]audit.Act{{anAct()}, {}, {anAct(), anAct(), anAct()}} {
		r := reads.Begin(t.Context(), acts...)
		if n := number(t, r, `SELECT 41 + $1::int`, 1); n != 42 {
			t.Errorf("read %d", n)
		}
		if err := r.Done(t.Context()); err != nil {
			t.Fatal(err)
		}
		if done += len(acts); number(t, db.Pool, waiting) != done || reads.Held() != done {
			t.Errorf("%d records wait and %d are held after %d reads", number(t, db.Pool, waiting), reads.Held(), done)
		}
		change := anAct()
		if err := audit.Insert(t.Context(), db.Pool, key, change.Entry, change.Origin); err != nil {
			t.Fatal(err)
		}
	}
	if err := reads.Settle(t.Context()); err != nil || reads.Held() != 4 || number(t, db.Pool, waiting) != 4 {
		t.Errorf("before they are filed %d are held, %v", reads.Held(), err)
	}
	linkAll(t, db)
	if n, err := audit.Verify(t.Context(), db.Pool, key); n != 7 || err != nil {
		t.Errorf("Verify = %d, %v", n, err)
	}
	if n := number(t, db.Pool, `SELECT count(*) FROM (SELECT audit_id > lag(audit_id) OVER (ORDER BY position) AS later FROM audit_chain) c WHERE NOT later`); n != 0 {
		t.Errorf("%d links stand before an older record's", n)
	}
	if err := reads.Settle(t.Context()); err != nil || reads.Held() != 0 || number(t, db.Pool, waiting) != 0 {
		t.Errorf("when all are linked %d are held, %v", reads.Held(), err)
	}
}

// While nobody leads, a service files what waits itself, its own and what others left.
func TestReadsAreFiledWithoutASequencer(t *testing.T) {
	db := testkit.Database(t, audit.Migrations())
	gone, reads := readings(t, db.Pool), readings(t, db.Pool)
	for _, r := range []*audit.Reads{gone, reads} {
		if err := r.Begin(t.Context(), anAct(), anAct()).Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := reads.SettleLate(t.Context()); err != nil || number(t, db.Pool, waiting) != 0 {
		t.Errorf("%d records wait, %v", number(t, db.Pool, waiting), err)
	}
	for _, r := range []*audit.Reads{gone, reads} {
		if err := r.Settle(t.Context()); err != nil || r.Held() != 0 {
			t.Errorf("%d are held, %v", r.Held(), err)
		}
	}
	linkAll(t, db)
	if n, err := audit.Verify(t.Context(), db.Pool, key); n != 4 || err != nil {
		t.Errorf("Verify = %d, %v", n, err)
	}
	if n := number(t, db.Pool, `SELECT count(*) FROM audit_chain`); n != 4 {
		t.Errorf("%d links", n)
	}
}

// An answer may not leave where its record is not committed.
func TestAReadWithoutItsRecordIsNotDone(t *testing.T) {
	db := testkit.Database(t, audit.Migrations())
	reads := readings(t, db.Pool)
	bad := anAct()
	bad.Entry.Changes = func() {}
	if err := reads.Begin(t.Context(), anAct(), bad).Done(t.Context()); err == nil {
		t.Error("changes that have no encoding were recorded")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := reads.Begin(gone, anAct()).Done(gone); err == nil {
		t.Error("done for a caller who had gone")
	}
	r := reads.Begin(t.Context(), anAct())
	var n int
	if err := r.QueryRow(t.Context(), `SELECT 1 / $1::int`, 0).Scan(&n); pg.Code(err) != "22012" {
		t.Errorf("a division by zero: %v", err)
	}
	if err := r.Done(t.Context()); err == nil {
		t.Error("done although what was read with the record failed")
	}
	if number(t, db.Pool, waiting) != 0 || reads.Held() != 0 {
		t.Errorf("%d records wait, %d are held", number(t, db.Pool, waiting), reads.Held())
	}
}

// While no links are made the newest are held.
func TestWhatIsHeldIsBounded(t *testing.T) {
	db := testkit.Database(t, audit.Migrations())
	reads := readings(t, db.Pool)
	some := make([]audit.Act, audit.MostHeld/2+1)
	for i := range some {
		some[i] = anAct()
	}
	for range 2 {
		if err := reads.Begin(t.Context(), some...).Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if reads.Held() != audit.MostHeld {
		t.Errorf("%d are held", reads.Held())
	}
	if err := reads.Settle(t.Context()); err != nil || reads.Held() != audit.MostHeld || number(t, db.Pool, waiting) != 2*len(some) {
		t.Errorf("%d are held of %d that wait, %v", reads.Held(), number(t, db.Pool, waiting), err)
	}
}

// A release before that knows no queue of reads finds them among the others.
func TestReadsAreFiledOnTheWayBack(t *testing.T) {
	db := testkit.Database(t, audit.Migrations())
	if err := readings(t, db.Pool).Begin(t.Context(), anAct(), anAct()).Done(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("migrations/0004_queue_reads.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, down, _ := strings.Cut(string(text), "-- +goose Down")
	for _, sql := range strings.SplitAfter(strings.TrimSpace(down), ";") {
		if _, err := db.Owner(t).Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if n := number(t, db.Pool, `SELECT count(*) FROM audit_records JOIN audit_pending ON audit_id = id`); n != 2 {
		t.Errorf("%d records wait for their link", n)
	}
}

// What a crash of the database takes away before it is filed is entered again.
func TestReadsSurviveACrashOfTheDatabase(t *testing.T) {
	admin, db := durable(t)
	reads := readings(t, db.Pool)
	read := func() {
		t.Helper()
		if err := reads.Begin(t.Context(), anAct()).Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	read()
	linkAll(t, db)
	for range 3 {
		read()
	}
	crash(t, admin)
	db.Pool.Reset()
	if n := number(t, db.Pool, waiting); n != 0 {
		t.Errorf("%d records wait after a crash", n)
	}
	for range 2 { // again changes nothing
		if err := reads.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := number(t, db.Pool, waiting); n != 3 || reads.Held() != 3 {
			t.Errorf("%d records wait and %d are held", n, reads.Held())
		}
	}
	linkAll(t, db)
	crash(t, admin) // what is filed is on disk
	db.Pool.Reset()
	if n, err := audit.Verify(t.Context(), db.Pool, key); n != 4 || err != nil {
		t.Errorf("Verify = %d, %v", n, err)
	}
	if err := reads.Settle(t.Context()); err != nil || reads.Held() != 0 || number(t, db.Pool, waiting) != 0 {
		t.Errorf("%d are held, %v", reads.Held(), err)
	}
}

// durable is a database on a server of its own, on which a commit is on disk.
func durable(t *testing.T) (admin string, db *testkit.DB) {
	t.Helper()
	admin = testkit.Durable(t, t.TempDir())
	at, err := pg.CreateDatabase(t.Context(), admin, "crashes", "owner", "run")
	if err != nil {
		t.Fatal(err)
	}
	if err := pg.Migrate(t.Context(), at.OwnerDSN, audit.Migrations()); err != nil {
		t.Fatal(err)
	}
	pool, err := pg.Open(t.Context(), pg.Config{URL: at.DSN})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return admin, &testkit.DB{Pool: pool, DSN: at.DSN, OwnerDSN: at.OwnerDSN}
}

// crash ends all sessions of a server with what it has in memory, and returns when it is back.
func crash(t *testing.T, admin string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	const walWriter = `SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE backend_type = 'walwriter'`
	writer, victim := number(t, conn, walWriter), number(t, conn, `SELECT pg_backend_pid()`)
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context()) // its session is dead
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		conn, err := pgx.Connect(t.Context(), admin)
		if err != nil {
			continue
		}
		now := 0
		err = conn.QueryRow(t.Context(), walWriter).Scan(&now)
		_ = conn.Close(t.Context())
		if err == nil && now != 0 && now != writer {
			return
		}
	}
	t.Fatal("the server does not come back")
}
