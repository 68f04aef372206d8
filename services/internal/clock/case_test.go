package clock_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Several changes of one case that are stored together come to what they come to one by one:
// the one clock gives way to the next of its kind, which is paused and handed over at once.
func TestChangesOfACaseAreStoredTogether(t *testing.T) {
	apart, together := newBench(t), newBench(t)
	terms := clock.Terms{Target: worktime.Target{WorkingTime: 4 * time.Hour}, CalendarID: "china-standard", PauseReasons: holds}
	next := func(b *bench) clock.Spec {
		return clock.Spec{Subject: b.subject, Kind: "resolution", Round: 1, At: b.clock.Now(), Owner: clock.Owner{Role: "a"}, Terms: terms}
	}
	for _, b := range []*bench{apart, together} {
		b.start("2026-11-02 09:00:00", terms)
		b.at("2026-11-02 10:00:00")
	}
	to := clock.Owner{Role: "service-supervisor"}
	apart.do(func(ctx context.Context, tx *write.Tx) error {
		_, err := apart.store.Cancel(ctx, tx, apart.all(), apart.act("restarted"))
		if err == nil {
			_, err = apart.store.Start(ctx, tx, next(apart))
		}
		if err == nil {
			_, err = apart.store.Pause(ctx, tx, apart.all(), apart.act(clock.ReasonWaitingCustomer))
		}
		if err == nil {
			_, err = apart.store.HandOver(ctx, tx, apart.all(), apart.act("handed-on"), to)
		}
		return err
	})
	together.do(func(ctx context.Context, tx *write.Tx) error {
		c, err := together.store.Hold(ctx, tx, together.all())
		if err != nil {
			return err
		}
		if _, err := c.Cancel(ctx, clock.Select{}, together.act("restarted")); err != nil {
			return err
		}
		if err := c.Start(ctx, next(together)); err != nil {
			return err
		}
		if due := c.Due(); !due.Equal(together.clock.Now().Add(5 * time.Hour)) { // over lunch
			t.Errorf("due at %v", due)
		}
		if _, err := c.Pause(ctx, clock.Select{}, together.act(clock.ReasonWaitingCustomer)); err != nil {
			return err
		}
		if due := c.Due(); !due.IsZero() {
			t.Errorf("paused, and due at %v", due)
		}
		changed, err := c.HandOver(ctx, clock.Select{Kinds: []string{"resolution"}}, together.act("handed-on"), to)
		if err != nil || len(changed) != 1 {
			t.Errorf("handed over %d, %v", len(changed), err)
		}
		if stored, err := together.store.List(ctx, tx, together.subject.ID); err != nil || len(stored) != 1 || !stored[0].Open() {
			t.Errorf("stored before the end: %v, %v", stored, err)
		}
		if err := c.Queue(ctx, tx.Soon()); err != nil {
			return err
		}
		return c.Queue(ctx, tx.Soon()) // nothing is left to store
	})
	var logs [2][][]clock.Type
	for i, b := range []*bench{apart, together} {
		b.rebuild()
		all, err := b.store.List(t.Context(), b.db.Pool, b.subject.ID)
		if err != nil || len(all) != 2 {
			t.Fatalf("%d clocks, %v", len(all), err)
		}
		for _, c := range all {
			_, log, err := b.store.Get(t.Context(), b.db.Pool, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			types := make([]clock.Type, len(log))
			for k := range log {
				types[k] = log[k].Type
			}
			logs[i] = append(logs[i], types)
		}
		if all[0].Phase != clock.Cancelled || all[1].Phase != clock.Paused || all[1].Owner != to {
			t.Errorf("stand as %v and %v of %v", all[0].Phase, all[1].Phase, all[1].Owner)
		}
	}
	for k := range logs[0] {
		if !slices.Equal(logs[0][k], logs[1][k]) {
			t.Errorf("one by one %v, together %v", logs[0][k], logs[1][k])
		}
	}
}

// A second clock of a kind beside an open one is refused, whether that is stored or not.
func TestACaseHasOneOpenClockOfAKind(t *testing.T) {
	b := newBench(t)
	terms := clock.Terms{Target: worktime.Target{WorkingTime: time.Hour}, CalendarID: "china-standard"}
	b.start("2026-11-02 09:00:00", terms)
	err := b.try(func(ctx context.Context, tx *write.Tx) error {
		c, err := b.store.Hold(ctx, tx, b.all())
		if err != nil {
			return err
		}
		return c.Start(ctx, clock.Spec{Subject: b.subject, Kind: "resolution", Round: 1, At: b.clock.Now(), Terms: terms})
	})
	if !errors.Is(err, clock.ErrOpen) {
		t.Errorf("a second one: %v", err)
	}
	b.do(func(ctx context.Context, tx *write.Tx) error {
		c, err := b.store.Hold(ctx, tx, b.all())
		if err != nil {
			return err
		}
		return c.Start(ctx, clock.Spec{Subject: b.subject, Kind: "resolution", Round: 2, At: b.clock.Now(), Terms: terms})
	})
}

// More clocks than one statement takes are stored by several.
func TestManyClocksOfOneCase(t *testing.T) {
	b := newBench(t)
	b.at("2026-11-02 09:00:00")
	const n = 19
	terms := clock.Terms{Target: worktime.Target{WorkingTime: time.Hour}, CalendarID: "china-standard", PauseReasons: holds}
	b.do(func(ctx context.Context, tx *write.Tx) error {
		specs := make([]clock.Spec, n)
		for i := range specs {
			specs[i] = clock.Spec{Subject: b.subject, Kind: "resolution", Round: int32(i + 1), At: b.clock.Now(), Owner: clock.Owner{Role: "a"}, Terms: terms}
		}
		_, err := b.store.Start(ctx, tx, specs...)
		return err
	})
	b.pause("2026-11-02 09:30:00")
	b.resume("2026-11-02 10:30:00")
	if got := b.rebuild(); got != n {
		t.Errorf("%d clocks, want %d", got, n)
	}
}
