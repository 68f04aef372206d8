package event_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

// fill makes n numbered events at once, of a few subjects.
func fill(t *testing.T, db *testkit.DB, n int, payload []byte) {
	t.Helper()
	_, err := db.Pool.Exec(context.Background(), `
INSERT INTO event_outbox (event_id, position, type, subject_id, subject_version, occur_time, record_time, actor_kind, actor_id, request_id, historic, payload)
SELECT gen_random_uuid(), n, 'thing.changed.v1', ('00000000-0000-0000-0000-00000000000' || n % 7)::uuid, (n - 1) / 7 + 1, now(), now(), 4, 'x', '', false, $2
FROM generate_series(1::bigint, $1::bigint) AS n`, n, payload)
	must(t, err)
}

func TestStream(t *testing.T) {
	db := database(t)
	_, server, _ := sequence(t, db)
	client := eventv1.NewEventServiceClient(serve(t, server))
	thing := uuid.New()
	commitChange(t, db, thing)
	commitChange(t, db, thing)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := client.StreamEvents(ctx, &eventv1.StreamEventsRequest{})
	must(t, err)
	var got []*eventv1.Envelope
	for len(got) < 3 {
		answer, err := stream.Recv()
		must(t, err)
		got = append(got, answer.GetEvents()...)
		if len(got) == 2 {
			commitChange(t, db, thing) // one more while the stream is open
		}
	}
	for i, e := range got {
		payload, err := event.Unpack[*wrapperspb.Int64Value](e)
		if err != nil || payload.GetValue() != int64(i+1) {
			t.Errorf("payload of event %d: %v, %v", i+1, payload, err)
		}
		if e.GetPosition() != int64(i+1) || e.GetSubjectId() != thing.String() || e.GetSubjectVersion() != int64(i+1) ||
			e.GetType() != "thing.changed.v1" || e.GetActorKind() != eventv1.ActorKind_ACTOR_KIND_PERSON ||
			e.GetActorId() != "issuer|someone" || e.GetRequestId() != "r" || e.GetCustomerId() != "" || e.GetHistoric() ||
			e.GetRecordTime().AsTime().IsZero() || !e.GetOccurTime().AsTime().Equal(e.GetRecordTime().AsTime()) {
			t.Errorf("event %d: %v", i+1, e)
		}
	}
	if _, err := event.Unpack[*wrapperspb.StringValue](got[0]); err == nil {
		t.Error("a payload was unpacked as another message")
	}
}

func TestStreamFromTheMiddleInRuns(t *testing.T) {
	db := database(t)
	fill(t, db, 1300, nil)
	client := eventv1.NewEventServiceClient(serve(t, event.NewServer(db.Pool, quiet())))
	stream, err := client.StreamEvents(t.Context(), &eventv1.StreamEventsRequest{AfterPosition: 100})
	must(t, err)
	for last := int64(100); last < 1300; {
		answer, err := stream.Recv()
		must(t, err)
		if n := len(answer.GetEvents()); n == 0 || n > 500 {
			t.Fatalf("an answer of %d events", n)
		}
		for _, e := range answer.GetEvents() {
			if last++; e.GetPosition() != last {
				t.Fatalf("position %d, want %d", e.GetPosition(), last)
			}
		}
	}
}

func TestStreamBoundsTheSizeOfAnswers(t *testing.T) {
	db := database(t)
	fill(t, db, 60, append([]byte{0x12, 0x80, 0x80, 0x02}, make([]byte, 32<<10)...))
	client := eventv1.NewEventServiceClient(serve(t, event.NewServer(db.Pool, quiet())))
	stream, err := client.StreamEvents(t.Context(), &eventv1.StreamEventsRequest{})
	must(t, err)
	answers := 0
	for last := int64(0); last < 60; answers++ {
		answer, err := stream.Recv()
		must(t, err)
		last += int64(len(answer.GetEvents()))
	}
	if answers != 4 {
		t.Errorf("60 events of 32 KiB came in %d answers, want 4", answers)
	}
}

func TestStreamBeyondTheHead(t *testing.T) {
	db := database(t)
	fill(t, db, 3, nil)
	client := eventv1.NewEventServiceClient(serve(t, event.NewServer(db.Pool, quiet())))
	stream, err := client.StreamEvents(t.Context(), &eventv1.StreamEventsRequest{AfterPosition: 4})
	must(t, err)
	if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a stream after a position that never was: %v", err)
	}
}

func TestHeartbeatAndShutdown(t *testing.T) {
	db := database(t)
	server := event.NewServer(db.Pool, quiet())
	server.SetBeat(50 * time.Millisecond)
	client := eventv1.NewEventServiceClient(serve(t, server))
	stream, err := client.StreamEvents(t.Context(), &eventv1.StreamEventsRequest{})
	must(t, err)
	for range 3 {
		answer, err := stream.Recv()
		if err != nil || len(answer.GetEvents()) != 0 {
			t.Fatalf("heartbeat: %v, %v", answer, err)
		}
	}
	server.Shutdown()
	server.Shutdown()
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("end of the stream: %v", err)
	}
}

// A consumer that does not read holds neither a connection nor a transaction.
func TestSlowConsumerHoldsNothing(t *testing.T) {
	db := database(t)
	fill(t, db, 3000, append([]byte{0x12, 0x80, 0x08}, make([]byte, 1<<10)...))
	client := eventv1.NewEventServiceClient(serve(t, event.NewServer(db.Pool, quiet())))
	before := db.Pool.Stat().AcquireCount()
	stream, err := client.StreamEvents(t.Context(), &eventv1.StreamEventsRequest{})
	must(t, err)
	_, err = stream.Recv()
	must(t, err)
	eventually(t, "the stream has read and holds no connection", func() bool {
		stat := db.Pool.Stat()
		return stat.AcquireCount() > before+1 && stat.AcquiredConns() == 0
	})
	if n := scalar[int](t, db.Pool, `SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%'`); n != 0 {
		t.Errorf("%d open transactions", n)
	}
}
