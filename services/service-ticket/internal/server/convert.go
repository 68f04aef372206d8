package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// present gives rows with all that is kept of them; what the caller does not see of it is
// masked on the way out. Who may know contacts for open tickets only gets none of others.
func (s *Server) present(ctx context.Context, on db.DBTX, rows ...db.Ticket) ([]*ticketv1.Ticket, error) {
	keys, err := s.reporterKeys(ctx, on, rows)
	if err != nil {
		return nil, err
	}
	return presented(ctx, keys, rows...)
}

// presented is present with the keys at hand.
func presented(ctx context.Context, keys pii.Subjects, rows ...db.Ticket) ([]*ticketv1.Ticket, error) {
	out := make([]*ticketv1.Ticket, 0, len(rows))
	for i := range rows {
		t, err := ticketProto(&rows[i], keys)
		if err != nil {
			return nil, err
		}
		if r := t.GetReporter(); r != nil && !ticket.Open(t.GetState()) && access.OpenCasesOnly(ctx) {
			r.Phone, r.Email = "", ""
		}
		out = append(out, t)
	}
	return out, nil
}

func (s *Server) presentOne(ctx context.Context, on db.DBTX, row *db.Ticket) (*ticketv1.Ticket, error) {
	all, err := s.present(ctx, on, *row)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func ticketProto(row *db.Ticket, keys pii.Subjects) (*ticketv1.Ticket, error) {
	reporter, err := openReporter(row, keys)
	if err != nil {
		return nil, err
	}
	t := &ticketv1.Ticket{
		Id: row.ID.String(), Number: row.Number, CustomerId: idString(row.CustomerID),
		Channel: typev1.Channel(row.Channel), Mode: ticketv1.Mode(row.Mode), Phase: ticketv1.Phase(row.Phase),
		Type: ticketv1.TicketType(row.Type), Priority: ticketv1.Priority(row.Priority),
		Title: row.Title, Description: row.Description, ProductModel: row.ProductModel,
		SerialNumber: row.SerialNumber, OrderNumber: row.OrderNumber, Reporter: reporter,
		State: ticketv1.TicketState(row.State), Round: row.Round, DepartmentId: idString(row.DepartmentID),
		AssigneeStaffId: idString(row.AssigneeStaffID), WaitFor: ticketv1.WaitFor(row.WaitFor),
		Resolution: row.Resolution, MergedInto: idString(row.MergedInto),
		Source: text(row.Source), ExternalId: text(row.ExternalID),
		CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime),
		ResolveTime: stamp(row.ResolveTime), CloseTime: stamp(row.CloseTime), Etag: etag(row.Version),
		PolicyVersion: row.PolicyVersion, Needs: needsProto(row), DueTime: stamp(row.DueTime),
		Urgency: ticketv1.Urgency(row.Urgency), Impact: ticketv1.Impact(row.Impact), PrioritySource: ticketv1.PrioritySource(row.PrioritySource),
	}
	if row.EvidenceAnswerID != nil {
		t.Evidence = &ticketv1.Evidence{
			AnswerId: row.EvidenceAnswerID.String(), QuestionKey: row.EvidenceQuestionKey, Score: row.EvidenceScore,
			TicketId: idString(row.EvidenceTicketID), ComplaintId: idString(row.EvidenceComplaintID),
		}
	}
	return t, nil
}

// openReporter gives what was told of the reporter; contact data of an erased person is
// gone.
func openReporter(row *db.Ticket, keys pii.Subjects) (*ticketv1.Reporter, error) {
	r := &ticketv1.Reporter{Name: row.ReporterName}
	for _, part := range []struct {
		column string
		sealed []byte
		to     *string
	}{{columnPhone, row.ReporterPhone, &r.Phone}, {columnEmail, row.ReporterEmail, &r.Email}} {
		if part.sealed == nil {
			continue
		}
		plain, err := keys.Open(row.ReporterSubjectID, place(row.ID, part.column), part.sealed)
		if err != nil && !errors.Is(err, pii.ErrShredded) {
			return nil, fmt.Errorf("open %s of ticket %s: %w", part.column, row.ID, err)
		}
		*part.to = plain
	}
	if r.GetName() == "" && r.GetPhone() == "" && r.GetEmail() == "" {
		return nil, nil
	}
	return r, nil
}

// standing is what moves change of a row.
func standing(row *db.Ticket) ticket.Standing {
	return ticket.Standing{
		State: ticket.State(row.State), Round: row.Round, Type: ticketv1.TicketType(row.Type),
		Weight: weightOf(row), Department: idValue(row.DepartmentID),
		Assignee: idValue(row.AssigneeStaffID), WaitFor: ticketv1.WaitFor(row.WaitFor),
		Resolution: row.Resolution, MergedInto: idValue(row.MergedInto), Resolve: timeValue(row.ResolveTime),
		Close: timeValue(row.CloseTime), ConfirmDue: timeValue(row.ConfirmDue),
	}
}

// stand writes a standing to a row.
func stand(row *db.Ticket, st ticket.Standing) {
	row.State, row.Round, row.Type = int16(st.State), st.Round, int16(st.Type)
	setWeight(row, st.Weight)
	row.DepartmentID, row.AssigneeStaffID, row.WaitFor = idPtr(st.Department), idPtr(st.Assignee), int16(st.WaitFor)
	row.Resolution, row.MergedInto, row.ResolveTime = st.Resolution, idPtr(st.MergedInto), timePtr(st.Resolve)
	row.CloseTime, row.ConfirmDue = timePtr(st.Close), timePtr(st.ConfirmDue)
}

func updateStanding(row *db.Ticket) db.UpdateTicketStandingParams {
	return db.UpdateTicketStandingParams{
		ID: row.ID, Type: row.Type, Priority: row.Priority, State: row.State, Round: row.Round,
		Urgency: row.Urgency, Impact: row.Impact, PrioritySource: row.PrioritySource,
		DepartmentID: row.DepartmentID, AssigneeStaffID: row.AssigneeStaffID, WaitFor: row.WaitFor,
		Resolution: row.Resolution, MergedInto: row.MergedInto, ResolveTime: row.ResolveTime,
		CloseTime: row.CloseTime, ConfirmDue: row.ConfirmDue, DueTime: row.DueTime, UpdateTime: row.UpdateTime, Version: row.Version,
	}
}

func insertTicket(row *db.Ticket) db.InsertTicketParams {
	return db.InsertTicketParams{
		ID: row.ID, Number: row.Number, CustomerID: row.CustomerID, Channel: row.Channel, Mode: row.Mode,
		Phase: row.Phase, Type: row.Type, Priority: row.Priority, Title: row.Title, Description: row.Description,
		ProductModel: row.ProductModel, SerialNumber: row.SerialNumber, OrderNumber: row.OrderNumber,
		ReporterName: row.ReporterName, ReporterSubjectID: row.ReporterSubjectID, ReporterPhone: row.ReporterPhone,
		ReporterPhoneIndex: row.ReporterPhoneIndex, ReporterEmail: row.ReporterEmail, State: row.State,
		Round: row.Round, DepartmentID: row.DepartmentID, AssigneeStaffID: row.AssigneeStaffID,
		WaitFor: row.WaitFor, Resolution: row.Resolution, EvidenceAnswerID: row.EvidenceAnswerID,
		EvidenceQuestionKey: row.EvidenceQuestionKey, EvidenceScore: row.EvidenceScore,
		EvidenceTicketID: row.EvidenceTicketID, EvidenceComplaintID: row.EvidenceComplaintID,
		OriginEventID: row.OriginEventID, Source: row.Source, ExternalID: row.ExternalID,
		CreateTime: row.CreateTime, UpdateTime: row.UpdateTime, ResolveTime: row.ResolveTime,
		CloseTime: row.CloseTime, ConfirmDue: row.ConfirmDue, ServiceTier: row.ServiceTier,
		PolicyVersion: row.PolicyVersion, Needs: row.Needs, DueTime: row.DueTime,
		Urgency: row.Urgency, Impact: row.Impact, PrioritySource: row.PrioritySource, Registrar: row.Registrar,
	}
}

// ticketEvent is the event of a change that found the ticket in the state before.
func ticketEvent(kind string, before ticket.State, row *db.Ticket, at time.Time) event.Event {
	return event.Event{
		Type: kind, SubjectID: row.ID, SubjectVersion: row.Version, CustomerID: idValue(row.CustomerID), OccurTime: at,
		Payload: &ticketv1.TicketChanged{
			Number: row.Number, StateBefore: before, StateAfter: ticketv1.TicketState(row.State),
			Type: ticketv1.TicketType(row.Type), Priority: ticketv1.Priority(row.Priority),
			Channel: typev1.Channel(row.Channel), Round: row.Round, DepartmentId: idString(row.DepartmentID),
			AssigneeStaffId: idString(row.AssigneeStaffID), MergedInto: idString(row.MergedInto),
			PolicyVersion: row.PolicyVersion, EvidenceAnswerId: idString(row.EvidenceAnswerID),
			Urgency: ticketv1.Urgency(row.Urgency), Impact: ticketv1.Impact(row.Impact),
		},
	}
}

func idString(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
}

func idValue(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Nil
	}
	return *id
}

func idPtr(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

func stamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// validTime refuses what is no instant between the years 1 and 9999; none is valid.
func validTime(field string, given *timestamppb.Timestamp) error {
	if given == nil || given.CheckValid() == nil {
		return nil
	}
	return rpcerr.Invalid(field, rpcerr.T(
		"%[1]d s and %[2]d ns after 1970 is not a valid time; give one like 2026-11-02T09:00:00Z",
		"1970 年后 %[1]d 秒 %[2]d 纳秒不是有效时间；请填写如 2026-11-02T09:00:00Z 的时间", given.GetSeconds(), given.GetNanos()))
}

func timeValue(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func timePtr(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
