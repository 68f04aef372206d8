package write_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/idempotency"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/write"
)

var things = pg.MigrationSet{Name: "things", FS: fstest.MapFS{"0001_create_things.sql": {Data: []byte(`-- +goose Up
CREATE TABLE things (id uuid PRIMARY KEY, name text NOT NULL, version bigint NOT NULL DEFAULT 1);
`)}}}

func sets() []pg.MigrationSet {
	return []pg.MigrationSet{event.Migrations(), audit.Migrations(), idempotency.Migrations(), things}
}

// keyring gives each label a fixed key.
type keyring struct{}

func (keyring) Derive(label string) []byte {
	return append([]byte(label), make([]byte, 32)...)[:32]
}

type counter struct{ atomic.Int64 }

func (c *counter) wake() { c.Add(1) }

func newPath(t testing.TB, pool *pgxpool.Pool, wake func()) *write.Path {
	t.Helper()
	p, err := write.New(write.Config{
		Pool: pool, Keyring: keyring{}, Service: "thing-service", Log: slog.New(slog.DiscardHandler), Wake: wake,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stream is what a gRPC server puts into a handler's context, as far as the path reads it.
type stream struct{ method string }

func (s stream) Method() string             { return s.method }
func (stream) SetHeader(metadata.MD) error  { return nil }
func (stream) SendHeader(metadata.MD) error { return nil }
func (stream) SetTrailer(metadata.MD) error { return nil }

// by is the context of a call of a method by a person.
func by(subject, method string) context.Context {
	ctx := authn.NewContext(context.Background(), authn.Identity{Kind: authn.Person, Issuer: "issuer", Subject: subject})
	ctx = authz.NewContext(ctx, authz.Decision{Right: "role:clerk/things.write"})
	return grpc.NewContextWithServerTransportStream(ctx, stream{method})
}

const create = "/kefu.test.v1.Things/CreateThing"

// request is a message {request_id, name} whose type needs no generated code.
type request struct{ *dynamicpb.Message }

func newRequest(t testing.TB, requestID, name string) request {
	t.Helper()
	text := descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
	one := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("things.proto"), Syntax: proto.String("proto3"), Package: proto.String("kefu.test.v1"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("CreateThingRequest"),
			Field: []*descriptorpb.FieldDescriptorProto{
				{Name: proto.String("request_id"), Number: proto.Int32(1), Type: text, Label: one},
				{Name: proto.String("name"), Number: proto.Int32(2), Type: text, Label: one},
			},
		}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(file.Messages().Get(0))
	m.Set(m.Descriptor().Fields().ByName("request_id"), protoreflect.ValueOfString(requestID))
	m.Set(m.Descriptor().Fields().ByName("name"), protoreflect.ValueOfString(name))
	return request{m}
}

func (r request) GetRequestId() string {
	return r.Get(r.Descriptor().Fields().ByName("request_id")).String()
}

// with is a copy under another request id.
func (r request) with(requestID string) request {
	m, ok := proto.Clone(r.Message).(*dynamicpb.Message)
	if !ok {
		panic("the clone is of another type")
	}
	m.Set(m.Descriptor().Fields().ByName("request_id"), protoreflect.ValueOfString(requestID))
	return request{m}
}

func (r request) name() string { return r.Get(r.Descriptor().Fields().ByName("name")).String() }

const insertThing = `INSERT INTO things (id, name) VALUES ($1, $2)`

func recordCreated(r *write.Record, id uuid.UUID, name string) {
	r.Emit(event.Event{Type: "thing.created.v1", SubjectID: id, SubjectVersion: 1})
	r.Audit("thing", id, map[string]string{"name": name})
}

// do creates a thing by Do and answers with its id.
func do(ctx context.Context, p *write.Path, req request) (*wrapperspb.StringValue, error) {
	return write.Do(ctx, p, req, func(ctx context.Context, tx *write.Tx) (*wrapperspb.StringValue, error) {
		id := uuid.New()
		if _, err := tx.Exec(ctx, insertThing, id, req.name()); err != nil {
			return nil, err
		}
		recordCreated(&tx.Record, id, req.name())
		return wrapperspb.String(id.String()), nil
	})
}

// doBatch is do by DoBatch.
func doBatch(ctx context.Context, p *write.Path, req request) (*wrapperspb.StringValue, error) {
	return write.DoBatch(ctx, p, req, func(ctx context.Context, tx *write.BatchTx) (*wrapperspb.StringValue, error) {
		id := uuid.New()
		if _, err := tx.Exec(ctx, insertThing, id, req.name()); err != nil {
			return nil, err
		}
		recordCreated(&tx.Record, id, req.name())
		return wrapperspb.String(id.String()), nil
	})
}

// thing is a call of createTogether.
type thing = write.Shared[request, *wrapperspb.StringValue]

// createTogether creates the things of some calls.
func createTogether(_ context.Context, _ any, calls []*thing) error {
	for _, c := range calls {
		id := uuid.New()
		if _, err := c.Tx.Soon().Exec(c.Ctx, insertThing, id, c.Req.name()); err != nil {
			return err
		}
		recordCreated(&c.Tx.Record, id, c.Req.name())
		c.Answer = wrapperspb.String(id.String())
	}
	return nil
}

func readNothing(*pgx.Batch, []*thing) any { return nil }

// gathered are the one Together of each path.
var gathered sync.Map

// doTogether is do by Together.
func doTogether(ctx context.Context, p *write.Path, req request) (*wrapperspb.StringValue, error) {
	of, _ := gathered.LoadOrStore(p, write.NewTogether(p, 2, 8, readNothing, createTogether))
	g, ok := of.(*write.Together[request, *wrapperspb.StringValue, any])
	if !ok {
		panic("another Together")
	}
	return g.Do(ctx, req)
}

// doors are the ways, which keep the same promises.
var doors = map[string]func(context.Context, *write.Path, request) (*wrapperspb.StringValue, error){
	"Do": do, "DoBatch": doBatch, "Together": doTogether,
}

func count(t testing.TB, db pg.DBTX, table string) (n int) {
	t.Helper()
	if err := db.QueryRow(context.Background(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// checkEffects checks that n calls took effect, each with one event, record and outcome.
func checkEffects(t testing.TB, db *testkit.DB, n int) {
	t.Helper()
	for _, table := range []string{"things", "event_outbox", "audit_records", "audit_pending", "idempotency_outcomes"} {
		if got := count(t, db.Pool, table); got != n {
			t.Errorf("%d rows in %s, want %d", got, table, n)
		}
	}
}

// cutter makes connections that can be cut between the server's answer and its reader.
type cutter struct {
	armed atomic.Bool
	mark  []byte // what must be in the request whose answer is lost
}

func (c *cutter) pool(t testing.TB, db *testkit.DB) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	dial := cfg.ConnConfig.DialFunc
	cfg.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &cuttable{Conn: conn, by: c}, nil
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

type cuttable struct {
	net.Conn
	by  *cutter
	cut atomic.Bool
}

func (c *cuttable) Write(b []byte) (int, error) {
	if bytes.Contains(b, c.by.mark) && c.by.armed.CompareAndSwap(true, false) {
		c.cut.Store(true)
	}
	return c.Conn.Write(b)
}

// Read swallows the answer up to ReadyForQuery outside a transaction, so the commit is
// done, and then ends.
func (c *cuttable) Read(b []byte) (int, error) {
	if !c.cut.Load() {
		return c.Conn.Read(b)
	}
	var answer []byte
	for !bytes.HasSuffix(answer, []byte{'Z', 0, 0, 0, 5, 'I'}) {
		n, err := c.Conn.Read(b)
		if err != nil {
			return 0, errors.Join(io.EOF, err)
		}
		answer = append(answer, b[:n]...)
	}
	return 0, errors.Join(io.EOF, c.Conn.Close())
}

// eventually polls until ok or fails after a while.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
