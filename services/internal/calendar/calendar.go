// Package calendar keeps, in the databases of the services that do not own them, a copy of
// the business calendars, and makes of what is stored the calendars that count. Rows come
// from the events of service-ticket ([Handle]); its own table has the same columns, so
// that a [Cache] reads there too.
package calendar

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	calendarv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes the table of the copies; apply it before the service's own. The owner
// has a table of its own and does not apply it.
func Migrations() pg.MigrationSet {
	return pg.MigrationSet{Name: "calendar", FS: migrations}
}

const (
	// Source is the name of the service whose events Handle takes.
	Source = "service-ticket"
	// TypeChanged is the type of the events that carry a calendar.
	TypeChanged = "calendar.changed.v1"
)

// ErrUnknown says that there is no calendar of that id, at least not yet.
var ErrUnknown = errors.New("no such calendar is known here")

const upsert = `
INSERT INTO calendars (id, is_default, version, update_time, definition)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO UPDATE SET
  is_default = excluded.is_default, version = excluded.version, update_time = excluded.update_time,
  definition = excluded.definition
WHERE calendars.version < excluded.version`

// Handle applies one event of service-ticket, unless what is stored is as new or newer,
// and takes no notice of types that carry no calendar. It is the Handle of an
// event.Consumer, or a part of one. A calendar that cannot count is an error, so that the
// event is parked and told of.
func Handle(ctx context.Context, tx pgx.Tx, env *eventv1.Envelope) error {
	if env.GetType() != TypeChanged {
		return nil
	}
	payload, err := event.Unpack[*calendarv1.CalendarChanged](env)
	if err != nil {
		return err
	}
	c := payload.GetCalendar()
	if _, err := Compile(c, env.GetSubjectVersion()); err != nil {
		return fmt.Errorf("calendar %q: %w", c.GetId(), err)
	}
	definition, err := Encode(c)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, upsert, c.GetId(), c.GetDefault(), env.GetSubjectVersion(), c.GetUpdateTime().AsTime(), definition)
	if err != nil {
		return fmt.Errorf("store calendar %s: %w", c.GetId(), err)
	}
	return nil
}

// Seed stores the built-in calendars where no event has told of them yet: China's, which is
// the default, and the one in which every hour counts. Every event of the owner is newer.
func Seed(ctx context.Context, db pg.DBTX) error {
	china, err := worktime.ChinaDefinition()
	if err != nil {
		return err
	}
	for _, d := range []worktime.Definition{china, worktime.DayAndNightDefinition()} {
		definition, err := Encode(Proto(d))
		if err != nil {
			return err
		}
		_, err = db.Exec(ctx, `
INSERT INTO calendars (id, is_default, version, update_time, definition) VALUES ($1, $2, 0, 'epoch', $3)
ON CONFLICT (id) DO NOTHING`, d.ID, d.ID == worktime.ChinaID, definition)
		if err != nil {
			return fmt.Errorf("store calendar %s: %w", d.ID, err)
		}
	}
	return nil
}

// Encode gives what is stored of a calendar: all that a caller may set but the default,
// which moves from one calendar to another.
func Encode(c *calendarv1.Calendar) ([]byte, error) {
	stored := &calendarv1.Calendar{
		Id: c.GetId(), Name: c.GetName(), TimeZone: c.GetTimeZone(), Week: c.GetWeek(), Years: c.GetYears(),
	}
	out, err := proto.MarshalOptions{Deterministic: true}.Marshal(stored)
	if err != nil {
		return nil, fmt.Errorf("encode calendar %s: %w", c.GetId(), err)
	}
	return out, nil
}

// Decode reads what Encode gave.
func Decode(definition []byte) (*calendarv1.Calendar, error) {
	c := new(calendarv1.Calendar)
	if err := proto.Unmarshal(definition, c); err != nil {
		return nil, fmt.Errorf("decode a calendar: %w", err)
	}
	return c, nil
}

// Compile makes the calendar that counts; its definition has the id and the version as the
// calendar's etag. It fails with the public error of [Definition] or worktime.New.
func Compile(c *calendarv1.Calendar, version int64) (*worktime.Calendar, error) {
	d, err := Definition("", c)
	if err != nil {
		return nil, err
	}
	d.Version = strconv.FormatInt(version, 10)
	return worktime.New(d)
}

// maxCached bounds the calendars that a Cache keeps; a company has a handful.
const maxCached = 64

// Cache loads calendars and keeps those it has made for as long as their version is the
// stored one. It is safe for concurrent use.
type Cache struct {
	mu   sync.Mutex
	made map[string]made
}

type made struct {
	version  int64
	calendar *worktime.Calendar
}

// NewCache makes an empty Cache.
func NewCache() *Cache { return &Cache{made: map[string]made{}} }

// The definition travels only when it is not the version known already.
const selectOne = `
SELECT version, CASE WHEN version = $2::bigint THEN NULL ELSE definition END
FROM calendars WHERE id = $1`

const selectDefault = `SELECT id FROM calendars WHERE is_default ORDER BY update_time DESC, id LIMIT 1`

// Load gives a calendar as db sees it at this moment, with its version; the empty id means
// the default. Without such a calendar the error is ErrUnknown. Asking for one by id costs
// one small read while its version stays.
func (c *Cache) Load(ctx context.Context, db pg.DBTX, id string) (*worktime.Calendar, int64, error) {
	if cal, version := c.glanced(ctx, id); cal != nil {
		return cal, version, nil
	}
	if id == "" {
		if err := db.QueryRow(ctx, selectDefault).Scan(&id); err != nil {
			return nil, 0, unknown("the default calendar", err)
		}
	}
	known := c.get(id)
	var have *int64
	if known.calendar != nil {
		have = &known.version
	}
	var version int64
	var definition []byte
	if err := db.QueryRow(ctx, selectOne, id, have).Scan(&version, &definition); err != nil {
		return nil, 0, unknown("calendar "+id, err)
	}
	if known.calendar != nil && version == known.version {
		return known.calendar, version, nil
	}
	stored, err := Decode(definition)
	if err != nil {
		return nil, 0, err
	}
	calendar, err := Compile(stored, version)
	if err != nil {
		// What is stored was checked, so this is no fault of the caller.
		return nil, 0, fmt.Errorf("calendar %s, version %d, does not count: %s", id, version, err.Error())
	}
	c.put(id, made{version, calendar})
	return calendar, version, nil
}

func unknown(what string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrUnknown)
	}
	return fmt.Errorf("read %s: %w", what, err)
}

func (c *Cache) get(id string) made {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made[id]
}

func (c *Cache) put(id string, m made) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.made[id]; !ok && len(c.made) >= maxCached {
		for other := range c.made {
			delete(c.made, other)
			break
		}
	}
	c.made[id] = m
}
