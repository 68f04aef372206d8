package calendar_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/calendar"
)

// A glance stands for one moment: what changed since is not seen in its context, and what the
// cache does not have in that version is asked for.
func TestAGlanceStandsForOneMoment(t *testing.T) {
	db := testkit.Database(t, calendar.Migrations())
	a := office("office", "10:00")
	a.Default = true
	feed(t, db, changed(t, 3, a))
	cache := calendar.NewCache()
	var g calendar.Glance
	look := func() {
		b := new(pgx.Batch)
		g.Queue(b)
		if err := db.Pool.SendBatch(t.Context(), b).Close(); err != nil {
			t.Fatal(err)
		}
	}
	look()
	in := g.In(t.Context())
	for _, id := range []string{"office", ""} {
		// The first time the cache is empty.
		for range 2 {
			if _, version, err := cache.Load(in, db.Pool, id); err != nil || version != 3 {
				t.Errorf("%q: version %d, %v", id, version, err)
			}
		}
	}
	feed(t, db, changed(t, 4, a))
	if _, version, err := cache.Load(in, nil, "office"); err != nil || version != 3 {
		t.Errorf("in the glance: version %d, %v", version, err)
	}
	if _, version, err := cache.Load(t.Context(), db.Pool, "office"); err != nil || version != 4 {
		t.Errorf("outside of it: version %d, %v", version, err)
	}
	look()
	if _, version, err := cache.Load(g.In(t.Context()), nil, ""); err != nil || version != 4 {
		t.Errorf("looked again: version %d, %v", version, err)
	}
	if _, _, err := cache.Load(g.In(t.Context()), db.Pool, "nowhere"); !errors.Is(err, calendar.ErrUnknown) {
		t.Errorf("unknown: %v", err)
	}
}
