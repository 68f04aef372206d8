package calendar

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Glance is which versions all calendars had at one moment, read along with something else. In
// a context of [Glance.In], [Cache.Load] gives calendars as of that moment and asks the database
// for those alone that it does not have in that version.
type Glance struct {
	standard string
	versions map[string]int64
}

const selectVersions = `SELECT id, version, is_default FROM calendars ORDER BY is_default, update_time, id DESC`

// Queue has b read the versions into g, which has them once b was sent; what it had is gone.
func (g *Glance) Queue(b *pgx.Batch) {
	b.Queue(selectVersions).Query(func(rows pgx.Rows) error {
		*g = Glance{versions: map[string]int64{}}
		var (
			id       string
			version  int64
			standard bool
		)
		_, err := pgx.ForEachRow(rows, []any{&id, &version, &standard}, func() error {
			if g.versions[id] = version; standard {
				g.standard = id // the last is the one that Load takes for the default
			}
			return nil
		})
		return err
	})
}

type glanceKey struct{}

// In gives a context in which calendars are those of the glance. It must not outlive the
// transaction, or the call, that the glance was read for.
func (g *Glance) In(ctx context.Context) context.Context {
	return context.WithValue(ctx, glanceKey{}, g)
}

// glanced gives a calendar as of the context's glance, nil where there is none or the version
// is not at hand.
func (c *Cache) glanced(ctx context.Context, id string) (*worktime.Calendar, int64) {
	g, ok := ctx.Value(glanceKey{}).(*Glance)
	if !ok {
		return nil, 0
	}
	if id == "" {
		id = g.standard
	}
	version, known := g.versions[id]
	if have := c.get(id); known && have.calendar != nil && have.version == version {
		return have.calendar, version
	}
	return nil, 0
}
