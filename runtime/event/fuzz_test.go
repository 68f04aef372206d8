package event

import (
	"context"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
)

// FuzzEnvelope: an answer of whatever bytes is applied in dense order or refused, never twice
// and never out of turn, and no event takes the consumer with it.
func FuzzEnvelope(f *testing.F) {
	seed := func(positions ...int64) []byte {
		out := &eventv1.StreamEventsResponse{}
		for _, p := range positions {
			out.Events = append(out.Events, &eventv1.Envelope{Id: "01a20991-58db-7ee3-8c5f-01a9dbb34189", Position: p, Type: "thing.changed.v1", SubjectId: "s",
				RecordTime: timestamppb.Now(), Payload: &anypb.Any{TypeUrl: "type.googleapis.com/kefu.event.v1.Envelope", Value: []byte{1}}})
		}
		b, err := proto.Marshal(out)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	for _, b := range [][]byte{nil, seed(1), seed(1, 2, 3), seed(2), seed(1, 1, 2), seed(1, 3), seed(-1, 1), seed(3, 2, 1)} {
		f.Add(b, int64(0))
	}
	f.Add(seed(8, 9), int64(7))
	f.Fuzz(func(t *testing.T, raw []byte, after int64) {
		answer := &eventv1.StreamEventsResponse{}
		if proto.Unmarshal(raw, answer) != nil || after < 0 || after > 1<<60 {
			return
		}
		position := after
		c := &Consumer{Name: "fuzz", Source: "fuzz", Log: slog.New(slog.DiscardHandler), Handle: func(_ context.Context, _ pgx.Tx, e *eventv1.Envelope) error {
			if e.GetPosition() != position+1 {
				t.Fatalf("position %d is applied after %d", e.GetPosition(), position)
			}
			position++
			payload, err := e.GetPayload().UnmarshalNew() // as every consumer begins
			if err == nil {
				_ = payload.ProtoReflect()
			}
			return nil
		}}
		done, reached, err := c.take(t.Context(), nil, answer.GetEvents(), after, map[string]bool{}, "")
		if err == nil && (reached != position || done > len(answer.GetEvents())) {
			t.Fatalf("%d of %d events taken, up to %d and applied up to %d", done, len(answer.GetEvents()), reached, position)
		}
	})
}
