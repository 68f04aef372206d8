// Package clocktest checks in tests of services what must hold of every clock.
package clocktest

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	"github.com/kefu-suite/kefu/services/internal/clock"
)

const wall = "2006-01-02 15:04:05"

func shanghai(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// WallClock is an instant by the wall clock of the company.
func WallClock(t testing.TB, at string) time.Time {
	t.Helper()
	out, err := time.ParseInLocation(wall, at, shanghai(t))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Receipt checks that a receipt adds up: segments without gaps whose counted ones come to
// the target, sums that are theirs, and words in both languages.
func Receipt(t testing.TB, got *clockv1.ClockExplanation) {
	t.Helper()
	var counted, all, sums time.Duration
	var end time.Time
	c := got.GetClock()
	kind := c.GetKind()
	for i, g := range got.GetSegments() {
		start := g.GetStartTime().AsTime()
		if i > 0 && !start.Equal(end) {
			t.Errorf("%s: a gap before %v", kind, g)
		}
		end = g.GetEndTime().AsTime()
		length := end.Sub(start)
		if length <= 0 || length != g.GetLength().AsDuration() || g.GetText().GetZh() == "" || g.GetText().GetEn() == "" {
			t.Errorf("%s: segment %v", kind, g)
		}
		if all += length; g.GetCounted() {
			counted += length
		}
	}
	for _, s := range got.GetSums() {
		sums += s.GetLength().AsDuration()
	}
	if sums != all || counted != got.GetCounted().AsDuration() {
		t.Errorf("%s: sums %v of %v, counted %v and %v", kind, sums, all, counted, got.GetCounted().AsDuration())
	}
	if c.GetDueTime() != nil && (counted != c.GetWorkingTime().AsDuration() || !end.Equal(c.GetDueTime().AsTime())) {
		t.Errorf("%s: counted %v to %v, want %v to %v", kind, counted, end, c.GetWorkingTime().AsDuration(), c.GetDueTime().AsTime())
	}
	if got.GetText().GetZh() == "" || got.GetText().GetEn() == "" {
		t.Errorf("%s: it says %v", kind, got.GetText())
	}
}

// Due checks when a clock is due, by the wall clock; empty for not known.
func Due(t testing.TB, c *clockv1.Clock, want string) {
	t.Helper()
	var due string
	if at := c.GetDueTime(); at != nil {
		due = at.AsTime().In(shanghai(t)).Format(wall)
	}
	if due != want {
		t.Errorf("%s is due %q, want %q", c.GetKind(), due, want)
	}
}

// Rebuilt checks that what is stored of every clock is what its log comes to.
func Rebuilt(t testing.TB, pool *pgxpool.Pool, store *clock.Store) {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SELECT id, state, target, due_time, stop_time, next_step_time, version FROM clocks")
	if err != nil {
		t.Fatal(err)
	}
	type cache struct {
		ID                              uuid.UUID
		State                           int16
		Target                          int64
		DueTime, StopTime, NextStepTime *time.Time
		Version                         int64
	}
	stored, err := pgx.CollectRows(rows, pgx.RowToStructByPos[cache])
	if err != nil || len(stored) == 0 {
		t.Fatalf("%d clocks, %v", len(stored), err)
	}
	same := func(a *time.Time, b time.Time) bool { return a == nil && b.IsZero() || a != nil && a.Equal(b) }
	for _, row := range stored {
		c, log, err := store.Get(t.Context(), pool, row.ID)
		if err != nil {
			t.Fatal(err)
		}
		if int16(c.Phase) != row.State || int64(c.Target) != row.Target || !same(row.DueTime, c.Due) ||
			!same(row.StopTime, c.Stop) || !same(row.NextStepTime, c.Next()) || row.Version != int64(len(log)) {
			t.Errorf("clock %s: stored %+v, its log says %v %v due %v", c.Kind, row, c.Phase, c.Target, c.Due)
		}
	}
}
