package event_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/event"
)

// An operator sees what is parked and why, and does not have to wait for its time.
func TestParkedIsSeenAndRedriven(t *testing.T) {
	const n, bad = 21, 10 // of one subject are 3, 10 and 17
	source, sink := database(t), database(t)
	fill(t, source, n, nil)
	var mended atomic.Bool
	c := consumer(sink, serve(t, event.NewServer(source.Pool, quiet())), func(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope) error {
		if e.GetPosition() == bad && !mended.Load() {
			return errPoison
		}
		return effect(ctx, tx, e)
	})
	c.SetPace(time.Millisecond, 10*time.Millisecond, time.Hour)
	start(t, c.Run)
	eventually(t, "the others applied", func() bool { return effects(t, sink) == n-2 })
	parked, err := event.ListParked(t.Context(), sink.Pool, 10)
	must(t, err)
	if len(parked) != 2 {
		t.Fatalf("parked: %+v", parked)
	}
	first, second := parked[0], parked[1]
	if first.Position != bad || first.Tries != 10 || !strings.Contains(first.Problem, errPoison.Error()) || first.Consumer != "effects" ||
		first.Source != "things" || first.Type != "thing.changed.v1" || first.RetryTime.Sub(first.ParkTime) != time.Hour {
		t.Errorf("the poison: %+v", first)
	}
	if second.Position != bad+7 || second.Tries != 0 || second.SubjectID != first.SubjectID {
		t.Errorf("what queues behind it: %+v", second)
	}
	if some, err := event.ListParked(t.Context(), sink.Pool, 1); err != nil || len(some) != 1 {
		t.Errorf("at most one: %v, %v", some, err)
	}

	if count, err := event.Redrive(t.Context(), sink.Pool, "another"); err != nil || count != 0 {
		t.Errorf("Redrive of another source = %d, %v", count, err)
	}
	redrive := func() {
		t.Helper()
		if count, err := event.Redrive(t.Context(), sink.Pool, "things"); err != nil || count != 2 {
			t.Errorf("Redrive = %d, %v; want 2", count, err)
		}
	}
	redrive()
	eventually(t, "it failed again", func() bool {
		return scalar[int](t, sink.Pool, `SELECT tries FROM event_parked WHERE position = $1`, bad) == 11
	})
	mended.Store(true)
	redrive()
	eventually(t, "all applied", func() bool { return effects(t, sink) == n })
	checkEffects(t, sink, n)
}
