package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	calendarv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
	"github.com/kefu-suite/kefu/services/internal/worktime"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/department"
)

// CreateCalendar adds a calendar.
func (s *Server) CreateCalendar(ctx context.Context, req *calendarv1.CreateCalendarRequest) (*calendarv1.Calendar, error) {
	if err := checkCalendar(req.GetCalendar()); err != nil {
		return nil, err
	}
	subject, err := newID()
	if err != nil {
		return nil, err
	}
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*calendarv1.Calendar, error) {
		if err := lockCalendars(ctx, tx); err != nil {
			return nil, err
		}
		return s.addCalendar(ctx, tx, subject, req.GetCalendar())
	})
	if pg.Violates(err, "calendars_pkey") {
		return nil, rpcerr.Exists("calendar", "id", req.GetCalendar().GetId())
	}
	return out, err
}

// GetCalendar returns a calendar with all its years.
func (s *Server) GetCalendar(ctx context.Context, req *calendarv1.GetCalendarRequest) (*calendarv1.Calendar, error) {
	row, err := s.readCalendar(ctx, s.pool, req.GetId())
	if err != nil {
		return nil, err
	}
	return calendarProto(row)
}

// ListCalendars lists calendars by id, their years without days.
func (s *Server) ListCalendars(ctx context.Context, req *calendarv1.ListCalendarsRequest) (*calendarv1.ListCalendarsResponse, error) {
	after, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListCalendars(ctx, s.pool, after, onceMore(req))
	if err != nil {
		return nil, fmt.Errorf("list calendars: %w", err)
	}
	rows, next, err := onePage(ctx, s, req, rows, func(row db.Calendar) string { return row.ID })
	if err != nil {
		return nil, err
	}
	out := &calendarv1.ListCalendarsResponse{NextPageToken: next}
	for i := range rows {
		c, err := calendarProto(&rows[i])
		if err != nil {
			return nil, err
		}
		for _, y := range c.GetYears() {
			y.Days = nil
		}
		out.Calendars = append(out.Calendars, c)
	}
	return out, nil
}

// UpdateCalendar changes named fields.
func (s *Server) UpdateCalendar(ctx context.Context, req *calendarv1.UpdateCalendarRequest) (*calendarv1.Calendar, error) {
	given := req.GetCalendar()
	if rpc.Check(s.validator, &calendarv1.GetCalendarRequest{Id: given.GetId()}) != nil {
		return nil, rpcerr.Invalid("calendar.id", rpcerr.T(
			"it is %[1]q; give the id of a calendar, such as china-standard",
			"现为 %[1]q；请填写日历的 id，例如 china-standard", given.GetId()))
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*calendarv1.Calendar, error) {
		row, before, err := s.holdCalendar(ctx, tx, given.GetId(), given.GetEtag())
		if err != nil {
			return nil, err
		}
		merged := proto.CloneOf(before)
		if err := fieldmask.Apply(merged, given, req.GetUpdateMask(), "id"); err != nil {
			return nil, err
		}
		// The rules of a calendar, with the paths of this request.
		if err := rpc.Check(s.validator, &calendarv1.CreateCalendarRequest{Calendar: merged}); err != nil {
			return nil, err
		}
		if err := checkCalendar(merged); err != nil {
			return nil, err
		}
		if before.GetDefault() && !merged.GetDefault() {
			return nil, rpcerr.WrongState("CALENDAR_DEFAULT_REQUIRED", rpcerr.T(
				"Calendar %[1]s is the default and stays so until another is; make another calendar the default instead.",
				"日历 %[1]s 是默认日历，在指定其他默认日历之前不能取消；请改为将另一个日历设为默认。", row.ID))
		}
		return s.storeCalendar(ctx, tx, row, before, merged)
	})
}

// SetYear loads the dates of one year.
func (s *Server) SetYear(ctx context.Context, req *calendarv1.SetYearRequest) (*calendarv1.Calendar, error) {
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*calendarv1.Calendar, error) {
		row, before, err := s.holdCalendar(ctx, tx, req.GetId(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		merged, err := withYear(before, req.GetYear())
		if err != nil {
			return nil, err
		}
		return s.storeCalendar(ctx, tx, row, before, merged)
	})
}

// SeedCalendars makes sure that China's calendar is there, the default where there is none
// yet, and knows the years that this program knows, and the calendar in which every hour
// counts. Years that are stored stay as they are: somebody may have loaded them.
func (s *Server) SeedCalendars(ctx context.Context) error {
	definition, err := worktime.ChinaDefinition()
	if err != nil {
		return err
	}
	china, always := calendar.Proto(definition), calendar.Proto(worktime.DayAndNightDefinition())
	china.Name, always.Name = chinaName(), dayAndNightName()
	if err := s.seedCalendar(ctx, china, true); err != nil {
		return err
	}
	return s.seedCalendar(ctx, always, false)
}

// seedCalendar adds a calendar unless it is there, and the years it does not know.
func (s *Server) seedCalendar(ctx context.Context, built *calendarv1.Calendar, fallback bool) error {
	subject, err := newID()
	if err != nil {
		return err
	}
	return write.Job(ctx, s.write, "calendars/seed", func(ctx context.Context, tx *write.Tx) error {
		if err := lockCalendars(ctx, tx); err != nil {
			return err
		}
		row, err := s.q.GetCalendar(ctx, tx, built.GetId())
		if err == nil {
			return s.addYears(ctx, tx, &row, built.GetYears())
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("read calendar: %w", err)
		}
		_, err = s.q.GetDefaultCalendar(ctx, tx)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("read the default calendar: %w", err)
		}
		built.Default = fallback && err != nil
		_, err = s.addCalendar(ctx, tx, subject, built)
		return err
	})
}

// addYears stores the years that a calendar does not list yet.
func (s *Server) addYears(ctx context.Context, tx *write.Tx, row *db.Calendar, years []*calendarv1.CalendarYear) error {
	before, err := calendarProto(row)
	if err != nil {
		return err
	}
	after := proto.CloneOf(before)
	for _, y := range years {
		if !slices.ContainsFunc(before.GetYears(), func(has *calendarv1.CalendarYear) bool { return has.GetYear() == y.GetYear() }) {
			after.Years = append(after.Years, y)
		}
	}
	// What is added may not fit hours that somebody changed; then it is left out.
	if err := checkCalendar(after); err != nil {
		s.log.WarnContext(ctx, "built-in years do not fit the calendar and are left out", "calendar", row.ID, "error", err)
		after = before
	}
	_, err = s.storeCalendar(ctx, tx, row, before, after)
	return err
}

// lockCalendars lets one change of calendars follow the other: each may concern two, the
// default before and after, and there are few.
func lockCalendars(ctx context.Context, tx *write.Tx) error {
	if _, err := tx.Exec(ctx, `LOCK TABLE calendars IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return fmt.Errorf("lock the calendars: %w", err)
	}
	return nil
}

func (s *Server) readCalendar(ctx context.Context, on db.DBTX, id string) (*db.Calendar, error) {
	row, err := s.q.GetCalendar(ctx, on, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, rpcerr.NotFound("calendar", id)
	}
	if err != nil {
		return nil, fmt.Errorf("read calendar: %w", err)
	}
	return &row, nil
}

// holdCalendar reads a calendar that is about to change.
func (s *Server) holdCalendar(ctx context.Context, tx *write.Tx, id, given string) (*db.Calendar, *calendarv1.Calendar, error) {
	if err := lockCalendars(ctx, tx); err != nil {
		return nil, nil, err
	}
	row, err := s.readCalendar(ctx, tx, id)
	if err != nil {
		return nil, nil, err
	}
	if given != "" && given != etag(row.Version) {
		return nil, nil, rpcerr.Stale("calendar", id)
	}
	before, err := calendarProto(row)
	return row, before, err
}

// addCalendar stores a calendar that was checked, under the lock.
func (s *Server) addCalendar(ctx context.Context, tx *write.Tx, subject uuid.UUID, c *calendarv1.Calendar) (*calendarv1.Calendar, error) {
	definition, err := calendar.Encode(ordered(c))
	if err != nil {
		return nil, err
	}
	now := s.now()
	row := &db.Calendar{
		ID: c.GetId(), SubjectID: subject, IsDefault: c.GetDefault(), Definition: definition,
		CreateTime: now, UpdateTime: now, Version: 1,
	}
	if row.IsDefault {
		if err := s.giveUpDefault(ctx, tx); err != nil {
			return nil, err
		}
	}
	if err := s.q.InsertCalendar(ctx, tx, db.InsertCalendarParams{
		ID: row.ID, SubjectID: subject, IsDefault: row.IsDefault, Definition: definition, CreateTime: now,
	}); err != nil {
		return nil, fmt.Errorf("insert calendar: %w", err)
	}
	return calendarChanged(&tx.Record, row)
}

// storeCalendar changes a calendar to what was checked, under the lock.
func (s *Server) storeCalendar(ctx context.Context, tx *write.Tx, row *db.Calendar, before, after *calendarv1.Calendar) (*calendarv1.Calendar, error) {
	after = ordered(after)
	if proto.Equal(before, after) {
		tx.Unchanged()
		return before, nil
	}
	if after.GetDefault() && !row.IsDefault {
		if err := s.giveUpDefault(ctx, tx); err != nil {
			return nil, err
		}
	}
	definition, err := calendar.Encode(after)
	if err != nil {
		return nil, err
	}
	row.IsDefault, row.Definition = after.GetDefault(), definition
	return s.saveCalendar(ctx, tx, row)
}

// giveUpDefault takes it from the calendar that has it.
func (s *Server) giveUpDefault(ctx context.Context, tx *write.Tx) error {
	row, err := s.q.GetDefaultCalendar(ctx, tx)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the default calendar: %w", err)
	}
	row.IsDefault = false
	_, err = s.saveCalendar(ctx, tx, &row)
	return err
}

func (s *Server) saveCalendar(ctx context.Context, tx *write.Tx, row *db.Calendar) (*calendarv1.Calendar, error) {
	row.UpdateTime, row.Version = s.now(), row.Version+1
	if err := s.q.UpdateCalendar(ctx, tx, db.UpdateCalendarParams{
		ID: row.ID, IsDefault: row.IsDefault, Definition: row.Definition, UpdateTime: row.UpdateTime, Version: row.Version,
	}); err != nil {
		return nil, fmt.Errorf("update calendar: %w", err)
	}
	return calendarChanged(&tx.Record, row)
}

// calendarChanged records that a calendar is now what the row says.
func calendarChanged(record *write.Record, row *db.Calendar) (*calendarv1.Calendar, error) {
	c, err := calendarProto(row)
	if err != nil {
		return nil, err
	}
	record.Emit(event.Event{
		Type: calendar.TypeChanged, SubjectID: row.SubjectID, SubjectVersion: row.Version, OccurTime: row.UpdateTime,
		Payload: &calendarv1.CalendarChanged{Calendar: c},
	})
	record.Audit("calendar", row.SubjectID, c)
	return c, nil
}

// checkCalendar refuses what makes no calendar.
func checkCalendar(c *calendarv1.Calendar) error {
	if err := department.CheckName("calendar.name", c.GetName()); err != nil {
		return err
	}
	d, err := calendar.Definition("calendar.", c)
	if err != nil {
		return err
	}
	return worktime.Check("calendar.", d)
}

// ordered gives a calendar with years and dates in their order.
func ordered(c *calendarv1.Calendar) *calendarv1.Calendar {
	c = proto.CloneOf(c)
	slices.SortFunc(c.GetYears(), func(a, b *calendarv1.CalendarYear) int { return cmp.Compare(a.GetYear(), b.GetYear()) })
	for _, y := range c.GetYears() {
		slices.SortFunc(y.GetDays(), func(a, b *calendarv1.CalendarDay) int { return cmp.Compare(a.GetDate(), b.GetDate()) })
	}
	return c
}

func calendarProto(row *db.Calendar) (*calendarv1.Calendar, error) {
	c, err := calendar.Decode(row.Definition)
	if err != nil {
		return nil, err
	}
	c.Default, c.Etag = row.IsDefault, etag(row.Version)
	c.CreateTime, c.UpdateTime = timestamppb.New(row.CreateTime), timestamppb.New(row.UpdateTime)
	return c, nil
}
