package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/internal/fieldmask"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
)

// CreateStaff adds a member of staff.
func (s *Server) CreateStaff(ctx context.Context, req *ticketv1.CreateStaffRequest) (*ticketv1.Staff, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	now := s.now()
	row := &db.Staff{ID: id, CreateTime: now, UpdateTime: now, Version: 1}
	if err := s.fillStaff(row, req.GetStaff()); err != nil {
		return nil, err
	}
	out, err := write.DoBatch(ctx, s.write, req, func(ctx context.Context, tx *write.BatchTx) (*ticketv1.Staff, error) {
		return staffChanged(&tx.Record, row), s.q.InsertStaff(ctx, tx, db.InsertStaffParams{
			ID: id, Name: row.Name, DepartmentID: row.DepartmentID, Posts: row.Posts, Skills: row.Skills,
			Languages: row.Languages, Status: row.Status, Issuer: row.Issuer, Subject: row.Subject,
			CreateTime: row.CreateTime, CalendarID: row.CalendarID,
			CertificateNames: row.CertificateNames, CertificateExpiries: row.CertificateExpiries,
		})
	})
	return out, staffRefused(err, row)
}

// GetStaff returns a member of staff.
func (s *Server) GetStaff(ctx context.Context, req *ticketv1.GetStaffRequest) (*ticketv1.Staff, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetStaff(ctx, s.pool, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, rpcerr.NotFound("staff", id.String())
	}
	if err != nil {
		return nil, fmt.Errorf("read staff: %w", err)
	}
	out := staffProto(&row)
	return out, s.upToDate(ctx, out)
}

// ListStaff lists staff in the order they were added.
func (s *Server) ListStaff(ctx context.Context, req *ticketv1.ListStaffRequest) (*ticketv1.ListStaffResponse, error) {
	after, err := s.cursor(ctx, req)
	if err != nil {
		return nil, err
	}
	department, err := parseOptional("department_id", req.GetDepartmentId())
	if err != nil {
		return nil, err
	}
	var rows []db.Staff
	switch {
	case req.GetSubject() != "":
		rows, err = s.q.ListStaffBySubject(ctx, s.pool, db.ListStaffBySubjectParams{
			Subject: req.GetSubject(), After: after, DepartmentID: idPtr(department), Size: onceMore(req),
		})
	case department != uuid.Nil:
		rows, err = s.q.ListStaffOfDepartment(ctx, s.pool, department, after, onceMore(req))
	default:
		rows, err = s.q.ListStaff(ctx, s.pool, after, onceMore(req))
	}
	if err != nil {
		return nil, fmt.Errorf("list staff: %w", err)
	}
	rows, next, err := onePage(ctx, s, req, rows, func(row db.Staff) string { return row.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &ticketv1.ListStaffResponse{NextPageToken: next}
	for i := range rows {
		out.Staff = append(out.Staff, staffProto(&rows[i]))
	}
	return out, s.upToDate(ctx, out.GetStaff()...)
}

// UpdateStaff changes named fields.
func (s *Server) UpdateStaff(ctx context.Context, req *ticketv1.UpdateStaffRequest) (*ticketv1.Staff, error) {
	id, err := parseID("staff.id", req.GetStaff().GetId())
	if err != nil {
		return nil, err
	}
	row := new(db.Staff)
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Staff, error) {
		if err := s.lockStaff(ctx, tx, row, id, req.GetStaff().GetEtag()); err != nil {
			return nil, err
		}
		merged := staffProto(row)
		if err := fieldmask.Apply(merged, req.GetStaff(), req.GetUpdateMask(), "id"); err != nil {
			return nil, err
		}
		// The rules of a member of staff, with the paths of this request.
		if err := rpc.Check(s.validator, &ticketv1.CreateStaffRequest{Staff: merged}); err != nil {
			return nil, err
		}
		if err := s.fillStaff(row, merged); err != nil {
			return nil, err
		}
		return s.storeStaff(ctx, tx, row)
	})
	return out, staffRefused(err, row)
}

// lockStaff holds a member of staff for a change.
func (s *Server) lockStaff(ctx context.Context, tx *write.Tx, row *db.Staff, id uuid.UUID, etag string) error {
	held, err := s.q.LockStaff(ctx, tx, id)
	if err != nil {
		return missing(err, "staff", id)
	}
	*row = held
	return current(etag, row.Version, "staff", id)
}

// storeStaff writes a held row as the next version.
func (s *Server) storeStaff(ctx context.Context, tx *write.Tx, row *db.Staff) (*ticketv1.Staff, error) {
	row.UpdateTime, row.Version = s.now(), row.Version+1
	if err := s.q.UpdateStaff(ctx, tx, db.UpdateStaffParams{
		ID: row.ID, Name: row.Name, DepartmentID: row.DepartmentID, Posts: row.Posts, Skills: row.Skills,
		Languages: row.Languages, Status: row.Status, Issuer: row.Issuer, Subject: row.Subject,
		CalendarID: row.CalendarID, CertificateNames: row.CertificateNames,
		CertificateExpiries: row.CertificateExpiries, UpdateTime: row.UpdateTime, Version: row.Version,
	}); err != nil {
		return nil, fmt.Errorf("update staff: %w", err)
	}
	return staffChanged(&tx.Record, row), nil
}

// staffChanged records that a member of staff is now what the row says.
func staffChanged(record *write.Record, row *db.Staff) *ticketv1.Staff {
	out := staffProto(row)
	record.Emit(event.Event{
		Type: directory.TypeStaff, SubjectID: row.ID, SubjectVersion: row.Version, OccurTime: row.UpdateTime,
		Payload: &ticketv1.StaffChanged{Staff: out},
	})
	record.Audit("staff", row.ID, out)
	return out
}

// staffRefused tells what a constraint means to the caller.
func staffRefused(err error, row *db.Staff) error {
	switch {
	case pg.Violates(err, "staff_issuer_subject_key"):
		return rpcerr.Exists("staff", "issuer and subject", row.Issuer+" "+row.Subject)
	case pg.Violates(err, "staff_department_id_fkey"):
		return unknownDepartment("staff.department_id", row.DepartmentID)
	case pg.Violates(err, "staff_calendar_id_fkey"):
		return unknownCalendar("staff.calendar_id", text(row.CalendarID))
	}
	return err
}

// fillStaff writes to a row what a caller may set of a member of staff, and the defaults.
func (s *Server) fillStaff(row *db.Staff, in *ticketv1.Staff) error {
	department, err := parseID("staff.department_id", in.GetDepartmentId())
	if err != nil {
		return err
	}
	row.Name, row.DepartmentID = in.GetName(), department
	row.Posts = make([]int16, 0, len(in.GetPosts()))
	for _, p := range in.GetPosts() {
		row.Posts = append(row.Posts, int16(p))
	}
	row.Skills, row.Languages = some(in.GetSkills()), some(in.GetLanguages())
	row.Status = int16(given(in.GetStatus(), ticketv1.StaffStatus_STAFF_STATUS_AVAILABLE))
	row.Issuer, row.Subject = in.GetIssuer(), in.GetSubject()
	row.CalendarID = nil
	if id := in.GetCalendarId(); id != "" {
		row.CalendarID = &id
	}
	if err := fillCertificates(row, in.GetCertificates()); err != nil {
		return err
	}
	if row.Issuer == "" {
		row.Issuer = s.issuer
	}
	if row.Subject == "" {
		row.Subject = row.ID.String()
	}
	return nil
}

func staffProto(row *db.Staff) *ticketv1.Staff {
	return &ticketv1.Staff{
		Id: row.ID.String(), Name: row.Name, DepartmentId: row.DepartmentID.String(), Posts: postsOf(row.Posts),
		Skills: row.Skills, Languages: row.Languages, Status: ticketv1.StaffStatus(row.Status),
		Issuer: row.Issuer, Subject: row.Subject, CreateTime: timestamppb.New(row.CreateTime),
		UpdateTime: timestamppb.New(row.UpdateTime), Etag: etag(row.Version),
		CalendarId: text(row.CalendarID), Certificates: certificates(row),
	}
}

func postsOf(row []int16) []ticketv1.Post {
	posts := make([]ticketv1.Post, 0, len(row))
	for _, p := range row {
		posts = append(posts, ticketv1.Post(p))
	}
	return posts
}

// some turns no list into an empty one, for columns that are never null.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
