package event_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

var key = []byte("a key of the tests, thirty-two b")

// things is the business of these tests: rows that change, and rows that effects leave.
var things = pg.MigrationSet{Name: "things", FS: fstest.MapFS{"0001_create_things.sql": {Data: []byte(`-- +goose Up
CREATE TABLE things (id uuid PRIMARY KEY, version bigint NOT NULL);
CREATE TABLE elsewhere (n int);
CREATE TABLE effects (n bigint GENERATED ALWAYS AS IDENTITY, position bigint NOT NULL, subject_id text NOT NULL, version bigint NOT NULL);
`)}}}

func database(t testing.TB) *testkit.DB {
	t.Helper()
	return testkit.Database(t, event.Migrations(), audit.Migrations(), things)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start runs fn until the test ends or the returned function is called, which waits.
func start(t testing.TB, fn func(ctx context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- fn(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("did not end")
		}
	}
	t.Cleanup(stop)
	return stop
}

// eventually polls until ok or fails after a while.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func scalar[T any](t testing.TB, db pg.DBTX, sql string, args ...any) (v T) {
	t.Helper()
	if err := db.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// change changes a thing as the write path does: lock, write, then draw the event's id.
func change(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	var version int64
	err := tx.QueryRow(ctx, `INSERT INTO things VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET version = things.version + 1 RETURNING version`, id).Scan(&version)
	if err != nil {
		return err
	}
	return emit(ctx, tx, id, version)
}

func emit(ctx context.Context, tx pgx.Tx, id uuid.UUID, version int64) error {
	now := time.Now()
	err := event.Insert(ctx, tx, event.Event{
		Type: "thing.changed.v1", SubjectID: id, SubjectVersion: version, Payload: wrapperspb.Int64(version),
	}, event.Origin{ActorKind: eventv1.ActorKind_ACTOR_KIND_PERSON, ActorID: "issuer|someone", RequestID: "r", RecordTime: now})
	if err != nil {
		return err
	}
	return audit.Insert(ctx, tx, key, audit.Entry{Action: "change", ObjectType: "thing", ObjectID: id},
		audit.Origin{Time: now, Actor: "issuer|someone"})
}

func commitChange(t testing.TB, db *testkit.DB, id uuid.UUID) {
	t.Helper()
	err := pg.InTx(context.Background(), db.Pool, func(tx pgx.Tx) error { return change(context.Background(), tx, id) })
	if err != nil {
		t.Fatal(err)
	}
}

// sequence runs a sequencer, and a server which it wakes.
func sequence(t testing.TB, db *testkit.DB) (*event.Sequencer, *event.Server, func()) {
	t.Helper()
	server := event.NewServer(db.Pool, quiet())
	sequencer := event.NewSequencer(db.Pool, quiet(), key, server.Wake)
	return sequencer, server, start(t, sequencer.Run)
}

// serve gives a connection to the server.
func serve(t testing.TB, server *event.Server) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	s := grpc.NewServer()
	eventv1.RegisterEventServiceServer(s, server)
	go func() { _ = s.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///events", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		s.Stop()
	})
	return conn
}

// checkOrder checks that all n events have dense positions and that the versions of each
// thing follow each other.
func checkOrder(t testing.TB, db *testkit.DB, n int) {
	t.Helper()
	rows, err := db.Pool.Query(context.Background(), `SELECT position, subject_id, subject_version FROM event_outbox ORDER BY position`)
	if err != nil {
		t.Fatal(err)
	}
	var position, last, version int64
	var subject uuid.UUID
	versions := map[uuid.UUID]int64{}
	_, err = pgx.ForEachRow(rows, []any{&position, &subject, &version}, func() error {
		last++
		versions[subject]++
		if position != last {
			return fmt.Errorf("position %d follows %d", position, last-1)
		}
		if version != versions[subject] {
			return fmt.Errorf("at position %d version %d of a thing, want %d", position, version, versions[subject])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if int(last) != n {
		t.Errorf("%d events, want %d", last, n)
	}
}

var errPoison = errors.New("this event cannot be applied")
