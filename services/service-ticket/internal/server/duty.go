package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/worktime"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/department"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
)

const rosterKind = "duty roster"

// CreateDutyRoster adds a roster.
func (s *Server) CreateDutyRoster(ctx context.Context, req *ticketv1.CreateDutyRosterRequest) (*ticketv1.DutyRoster, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	now := s.now()
	row := &db.DutyRoster{ID: id, CreateTime: now, UpdateTime: now, Version: 1}
	if err := fillRoster(row, req.GetRoster()); err != nil {
		return nil, err
	}
	out, err := write.DoBatch(ctx, s.write, req, func(ctx context.Context, tx *write.BatchTx) (*ticketv1.DutyRoster, error) {
		tx.Audit("duty-roster", id, rosterProto(row))
		return rosterProto(row), s.q.InsertDutyRoster(ctx, tx, db.InsertDutyRosterParams{
			ID: id, Code: row.Code, NameZh: row.NameZh, NameEn: row.NameEn, DepartmentID: row.DepartmentID,
			CalendarID: row.CalendarID, Closed: row.Closed, CreateTime: now,
		})
	})
	return out, rosterRefused(err, row)
}

// UpdateDutyRoster changes named fields.
func (s *Server) UpdateDutyRoster(ctx context.Context, req *ticketv1.UpdateDutyRosterRequest) (*ticketv1.DutyRoster, error) {
	id, err := parseID("roster.id", req.GetRoster().GetId())
	if err != nil {
		return nil, err
	}
	row := new(db.DutyRoster)
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.DutyRoster, error) {
		held, err := s.q.LockDutyRoster(ctx, tx, id)
		if err != nil {
			return nil, missing(err, rosterKind, id)
		}
		*row = held
		if err := current(req.GetRoster().GetEtag(), row.Version, rosterKind, id); err != nil {
			return nil, err
		}
		merged := rosterProto(row)
		if err := s.merge(merged, req.GetRoster(), req.GetUpdateMask(), &ticketv1.CreateDutyRosterRequest{Roster: merged}); err != nil {
			return nil, err
		}
		if err := fillRoster(row, merged); err != nil {
			return nil, err
		}
		row.UpdateTime, row.Version = s.now(), row.Version+1
		if err := s.q.UpdateDutyRoster(ctx, tx, db.UpdateDutyRosterParams{
			ID: id, Code: row.Code, NameZh: row.NameZh, NameEn: row.NameEn, DepartmentID: row.DepartmentID,
			CalendarID: row.CalendarID, Closed: row.Closed, UpdateTime: row.UpdateTime, Version: row.Version,
		}); err != nil {
			return nil, fmt.Errorf("update duty roster: %w", err)
		}
		tx.Audit("duty-roster", id, rosterProto(row))
		return rosterProto(row), nil
	})
	return out, rosterRefused(err, row)
}

// ListDutyRosters lists rosters in the order they were added.
func (s *Server) ListDutyRosters(ctx context.Context, req *ticketv1.ListDutyRostersRequest) (*ticketv1.ListDutyRostersResponse, error) {
	rows, next, err := byID(ctx, s, req, "duty rosters", func(r db.DutyRoster) uuid.UUID { return r.ID }, func(after uuid.UUID, size int32) ([]db.DutyRoster, error) {
		return s.q.ListDutyRosters(ctx, s.pool, after, size)
	})
	out := &ticketv1.ListDutyRostersResponse{NextPageToken: next}
	for i := range rows {
		out.Rosters = append(out.Rosters, rosterProto(&rows[i]))
	}
	return out, err
}

// CreateDutyShift puts somebody on duty for a time.
func (s *Server) CreateDutyShift(ctx context.Context, req *ticketv1.CreateDutyShiftRequest) (*ticketv1.DutyShift, error) {
	in := req.GetShift()
	id, err := newID()
	if err != nil {
		return nil, err
	}
	row := &db.DutyShift{ID: id, StartTime: instant(in.GetStartTime()), EndTime: instant(in.GetEndTime()), CreateTime: s.now()}
	if row.RosterID, err = parseID("roster_id", req.GetRosterId()); err != nil {
		return nil, err
	}
	if row.StaffID, err = parseID("shift.staff_id", in.GetStaffId()); err != nil {
		return nil, err
	}
	if err := organisation.CheckSpan("shift.end_time", row.StartTime, row.EndTime, organisation.MaxShift); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.DutyShift, error) {
		if _, err := s.q.LockDutyRoster(ctx, tx, row.RosterID); err != nil {
			return nil, missing(err, rosterKind, row.RosterID)
		}
		if err := s.employed(ctx, tx, "shift.staff_id", row.StaffID); err != nil {
			return nil, err
		}
		others, err := s.q.ListShiftsOfStaffDuring(ctx, tx, db.ListShiftsOfStaffDuringParams{
			RosterID: row.RosterID, StaffID: row.StaffID, FromTime: row.StartTime, ToTime: row.EndTime,
			Earliest: row.StartTime.Add(-organisation.MaxShift),
		})
		if err != nil {
			return nil, fmt.Errorf("read shifts: %w", err)
		}
		if len(others) > 0 {
			return nil, rpcerr.WrongState("DUTY_SHIFT_OVERLAPS", rpcerr.T(
				"%[1]s is on duty there from %[2]s to %[3]s already; give a time outside of it.",
				"%[1]s 在该值班表中 %[2]s 至 %[3]s 已排班；请填写此外的时间。", row.StaffID,
				others[0].StartTime.UTC().Format(time.RFC3339), others[0].EndTime.UTC().Format(time.RFC3339)))
		}
		if err := s.q.InsertDutyShift(ctx, tx, db.InsertDutyShiftParams(*row)); err != nil {
			return nil, fmt.Errorf("add shift: %w", err)
		}
		tx.Audit("duty-shift", id, shiftProto(row))
		return shiftProto(row), nil
	})
}

// DeleteDutyShift takes a shift back.
func (s *Server) DeleteDutyShift(ctx context.Context, req *ticketv1.DeleteDutyShiftRequest) (*emptypb.Empty, error) {
	roster, err := parseID("roster_id", req.GetRosterId())
	if err != nil {
		return nil, err
	}
	return s.remove(ctx, req, "duty shift", req.GetId(), func(tx *write.Tx, id uuid.UUID) (int64, error) {
		return s.q.DeleteDutyShift(ctx, tx, id, roster)
	})
}

// ListDutyShifts lists shifts by their begin.
func (s *Server) ListDutyShifts(ctx context.Context, req *ticketv1.ListDutyShiftsRequest) (*ticketv1.ListDutyShiftsResponse, error) {
	roster, err := s.findRoster(ctx, req.GetRosterId())
	if err != nil {
		return nil, err
	}
	from := s.now()
	if req.GetFromTime() != nil {
		from = instant(req.GetFromTime())
	}
	q := db.ListDutyShiftsParams{RosterID: roster.ID, FromTime: from, Earliest: from.Add(-organisation.MaxShift), Size: onceMore(req)}
	if q.AfterTime, q.After, err = s.timeCursor(ctx, req); err != nil {
		return nil, err
	}
	rows, err := s.q.ListDutyShifts(ctx, s.pool, q)
	if err != nil {
		return nil, fmt.Errorf("list shifts: %w", err)
	}
	rows, next, err := onePage(ctx, s, req, rows, func(r db.DutyShift) string { return timeToken(r.StartTime, r.ID) })
	out := &ticketv1.ListDutyShiftsResponse{NextPageToken: next}
	for i := range rows {
		out.Shifts = append(out.Shifts, shiftProto(&rows[i]))
	}
	return out, err
}

// GetDutyGaps tells the hours that nobody covers.
func (s *Server) GetDutyGaps(ctx context.Context, req *ticketv1.GetDutyGapsRequest) (*ticketv1.DutyGaps, error) {
	roster, err := s.findRoster(ctx, req.GetRosterId())
	if err != nil {
		return nil, err
	}
	from := s.now()
	to := from.Add(s.policy.FlagAhead)
	if req.GetDays() > 0 {
		to = from.Add(time.Duration(req.GetDays()) * 24 * time.Hour)
	}
	gaps, err := s.gaps(ctx, s.pool, roster, from, to)
	if err != nil {
		return nil, err
	}
	out := &ticketv1.DutyGaps{FromTime: timestamppb.New(from), ToTime: timestamppb.New(to)}
	for _, g := range gaps {
		out.Gaps = append(out.Gaps, &ticketv1.DutyGap{StartTime: timestamppb.New(g.Start), EndTime: timestamppb.New(g.End)})
	}
	return out, nil
}

func (s *Server) findRoster(ctx context.Context, given string) (*db.DutyRoster, error) {
	id, err := parseID("roster_id", given)
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetDutyRoster(ctx, s.pool, id)
	if err != nil {
		return nil, missing(err, rosterKind, id)
	}
	return &row, nil
}

// gaps gives what of a roster's hours in a time nobody covers.
func (s *Server) gaps(ctx context.Context, on db.DBTX, roster *db.DutyRoster, from, to time.Time) ([]organisation.Span, error) {
	if roster.Closed {
		return nil, nil
	}
	cal, _, err := s.calendars.Load(ctx, on, roster.CalendarID)
	if err != nil {
		return nil, err
	}
	segments, err := cal.Segments(from, to)
	if err != nil {
		return nil, err
	}
	var cover, held []organisation.Span
	for _, part := range segments {
		if part.Counted {
			cover = append(cover, organisation.Span{Start: part.Start, End: part.End})
		}
	}
	shifts, err := s.shifts(ctx, on, roster.ID, from, to)
	for i := range shifts {
		held = append(held, organisation.Span{Start: shifts[i].StartTime, End: shifts[i].EndTime})
	}
	return organisation.Gaps(cover, held), err
}

func (s *Server) shifts(ctx context.Context, on db.DBTX, roster uuid.UUID, from, to time.Time) ([]db.DutyShift, error) {
	rows, err := s.q.ListShiftsDuring(ctx, on, db.ListShiftsDuringParams{
		RosterID: roster, FromTime: from, ToTime: to, Earliest: from.Add(-organisation.MaxShift),
	})
	if err != nil {
		return nil, fmt.Errorf("read shifts: %w", err)
	}
	return rows, nil
}

// GetOnDuty tells who is on duty at a moment.
func (s *Server) GetOnDuty(ctx context.Context, req *ticketv1.GetOnDutyRequest) (*ticketv1.OnDuty, error) {
	roster, err := s.findRoster(ctx, req.GetRosterId())
	if err != nil {
		return nil, err
	}
	at := s.now()
	if req.GetTime() != nil {
		at = instant(req.GetTime())
	}
	moment := at.Add(time.Microsecond)
	shifts, err := s.shifts(ctx, s.pool, roster.ID, at, moment)
	if err != nil {
		return nil, err
	}
	absences, err := s.absences(ctx, s.pool, at, moment)
	if err != nil {
		return nil, err
	}
	out := &ticketv1.OnDuty{}
	for i := range shifts {
		who := organisation.StandIn(shifts[i].StaffID, at, absences)
		p := &ticketv1.DutyPerson{StaffId: who.String(), UntilTime: timestamppb.New(shifts[i].EndTime)}
		if who != shifts[i].StaffID {
			p.InsteadOfStaffId = shifts[i].StaffID.String()
		}
		out.People = append(out.People, p)
	}
	return out, nil
}

func rosterRefused(err error, row *db.DutyRoster) error {
	switch {
	case pg.Violates(err, "duty_rosters_code_key"):
		return rpcerr.Exists(rosterKind, "code", row.Code)
	case pg.Violates(err, "duty_rosters_department_id_fkey"):
		return unknownDepartment("roster.department_id", idValue(row.DepartmentID))
	case pg.Violates(err, "duty_rosters_calendar_id_fkey"):
		return unknownCalendar("roster.calendar_id", row.CalendarID)
	}
	return err
}

func fillRoster(row *db.DutyRoster, in *ticketv1.DutyRoster) error {
	if err := department.CheckName("roster.name", in.GetName()); err != nil {
		return err
	}
	of, err := parseOptional("roster.department_id", in.GetDepartmentId())
	if err != nil {
		return err
	}
	row.Code, row.NameZh, row.NameEn, row.DepartmentID = in.GetCode(), in.GetName().GetZh(), in.GetName().GetEn(), idPtr(of)
	row.CalendarID, row.Closed = in.GetCalendarId(), in.GetClosed()
	if row.CalendarID == "" {
		row.CalendarID = worktime.DayAndNightID
	}
	return nil
}

func rosterProto(row *db.DutyRoster) *ticketv1.DutyRoster {
	return &ticketv1.DutyRoster{
		Id: row.ID.String(), Code: row.Code, Name: &typev1.Text{Zh: row.NameZh, En: row.NameEn},
		DepartmentId: idString(row.DepartmentID), CalendarId: row.CalendarID, Closed: row.Closed,
		CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime), Etag: etag(row.Version),
	}
}

func shiftProto(row *db.DutyShift) *ticketv1.DutyShift {
	return &ticketv1.DutyShift{
		Id: row.ID.String(), RosterId: row.RosterID.String(), StaffId: row.StaffID.String(),
		StartTime: timestamppb.New(row.StartTime), EndTime: timestamppb.New(row.EndTime), CreateTime: timestamppb.New(row.CreateTime),
	}
}
