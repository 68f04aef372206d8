package calendar_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	calendarv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// office is open on Mondays from the given hour for eight hours.
func office(id, opens string) *calendarv1.Calendar {
	return &calendarv1.Calendar{
		Id: id, Name: &typev1.Text{Zh: "办公室"}, TimeZone: "Asia/Shanghai", Etag: "7",
		Week:       []*calendarv1.WeekdayHours{{Weekday: calendarv1.Weekday_WEEKDAY_MONDAY, Open: opens, Close: "18:00"}},
		CreateTime: timestamppb.New(time.Unix(1, 0)), UpdateTime: timestamppb.New(time.Unix(2, 0)),
	}
}

func envelope(t *testing.T, version int64, payload proto.Message) *eventv1.Envelope {
	t.Helper()
	packed, err := anypb.New(payload)
	if err != nil {
		t.Fatal(err)
	}
	return &eventv1.Envelope{
		Id: uuid.NewString(), Type: calendar.TypeChanged, SubjectId: uuid.NewString(), SubjectVersion: version, Payload: packed,
	}
}

func changed(t *testing.T, version int64, c *calendarv1.Calendar) *eventv1.Envelope {
	t.Helper()
	return envelope(t, version, &calendarv1.CalendarChanged{Calendar: c})
}

func handle(ctx context.Context, db *testkit.DB, env *eventv1.Envelope) error {
	return pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error { return calendar.Handle(ctx, tx, env) })
}

func feed(t *testing.T, db *testkit.DB, envelopes ...*eventv1.Envelope) {
	t.Helper()
	for _, env := range envelopes {
		if err := handle(t.Context(), db, env); err != nil {
			t.Fatalf("version %d: %v", env.GetSubjectVersion(), err)
		}
	}
}

// opens says when a loaded calendar opens on Monday, 2 November 2026.
func opens(t *testing.T, c *worktime.Calendar) string {
	t.Helper()
	due, err := c.Add(time.Date(2026, 11, 1, 16, 0, 0, 0, time.UTC), time.Nanosecond)
	if err != nil {
		t.Fatal(err)
	}
	return due.In(c.Location()).Format("15:04")
}

func TestCopiesFollowEventsAndKeepTheNewestVersion(t *testing.T) {
	ctx := t.Context()
	db := testkit.Database(t, calendar.Migrations())
	cache := calendar.NewCache()
	first, second := changed(t, 1, office("desk", "09:00")), changed(t, 2, office("desk", "10:00"))

	if _, _, err := cache.Load(ctx, db.Pool, "desk"); !errors.Is(err, calendar.ErrUnknown) {
		t.Errorf("before its event: %v, want ErrUnknown", err)
	}
	feed(t, db, first)
	got, version, err := cache.Load(ctx, db.Pool, "desk")
	if err != nil || version != 1 || opens(t, got) != "09:00" {
		t.Fatalf("version %d, %v", version, err)
	}
	if d := got.Definition(); d.ID != "desk" || d.Version != "1" {
		t.Errorf("the definition calls itself %s, version %s", d.ID, d.Version)
	}
	again, _, err := cache.Load(ctx, db.Pool, "desk")
	if err != nil || again != got {
		t.Errorf("the same version was made twice: %v", err)
	}
	feed(t, db, second, first, second)
	got, version, err = cache.Load(ctx, db.Pool, "desk")
	if err != nil || version != 2 || opens(t, got) != "10:00" {
		t.Errorf("after replays version %d, %v, want 2 from 10:00", version, err)
	}
}

func TestTheDefaultIsTheOneMadeSoLast(t *testing.T) {
	ctx := t.Context()
	db := testkit.Database(t, calendar.Migrations())
	cache := calendar.NewCache()
	if _, _, err := cache.Load(ctx, db.Pool, ""); !errors.Is(err, calendar.ErrUnknown) {
		t.Errorf("without calendars: %v, want ErrUnknown", err)
	}
	is := func(id, at string, second int64, yes bool) *calendarv1.Calendar {
		c := office(id, at)
		c.Default, c.UpdateTime = yes, timestamppb.New(time.Unix(second, 0))
		return c
	}
	feed(t, db, changed(t, 1, is("old", "08:00", 1, true)), changed(t, 1, is("other", "07:00", 5, false)))
	for _, step := range []struct {
		event *eventv1.Envelope
		want  string
	}{
		{changed(t, 1, is("new", "10:00", 3, true)), "10:00"}, // the event of the old one is late
		{changed(t, 2, is("old", "08:00", 3, false)), "10:00"},
		{changed(t, 2, is("new", "10:00", 4, false)), ""},
	} {
		feed(t, db, step.event)
		got, _, err := cache.Load(ctx, db.Pool, "")
		if step.want == "" {
			if !errors.Is(err, calendar.ErrUnknown) {
				t.Errorf("with no default: %v", err)
			}
			continue
		}
		if err != nil || opens(t, got) != step.want {
			t.Errorf("the default: %v, want the one from %s", err, step.want)
		}
	}
}

func TestHandleRefusesWhatDoesNotCountAndPassesOtherEventsOver(t *testing.T) {
	db := testkit.Database(t, calendar.Migrations())
	other := changed(t, 1, office("desk", "09:00"))
	other.Type = "department.changed.v1"
	feed(t, db, other)
	broken := office("desk", "19:00")
	for name, env := range map[string]*eventv1.Envelope{
		"hours":   changed(t, 1, broken),
		"time":    changed(t, 1, office("desk", "soon")),
		"payload": envelope(t, 1, &calendarv1.Calendar{}),
		"nothing": changed(t, 1, nil),
	} {
		if err := handle(t.Context(), db, env); err == nil {
			t.Errorf("an event with bad %s was applied", name)
		}
	}
	if _, _, err := calendar.NewCache().Load(t.Context(), db.Pool, "desk"); !errors.Is(err, calendar.ErrUnknown) {
		t.Errorf("something was stored: %v", err)
	}
}

func TestLoadWhileVersionsChange(t *testing.T) {
	ctx := t.Context()
	db := testkit.Database(t, calendar.Migrations())
	cache := calendar.NewCache()
	hours := []string{"06:00", "07:00", "08:00", "09:00", "10:00"}
	feed(t, db, changed(t, 1, office("desk", hours[0])))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for seen := int64(0); seen < int64(len(hours)); {
				c, version, err := cache.Load(ctx, db.Pool, "desk")
				if err != nil {
					t.Error(err)
					return
				}
				if version < seen || opens(t, c) != hours[version-1] {
					t.Errorf("version %d after %d opens at %s", version, seen, opens(t, c))
					return
				}
				seen = version
			}
		})
	}
	for i, at := range hours[1:] {
		feed(t, db, changed(t, int64(i+2), office("desk", at)))
	}
	wg.Wait()
}
