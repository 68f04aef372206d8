package server

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/mask"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/contactdata"
	"github.com/kefu-suite/kefu/services/internal/textsearch"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
)

// ListTickets lists tickets, newest recorded first or by due time.
func (s *Server) ListTickets(ctx context.Context, req *ticketv1.ListTicketsRequest) (*ticketv1.ListTicketsResponse, error) {
	filter, err := s.filter(ctx, req)
	if err != nil {
		return nil, err
	}
	rows, next, err := s.ticketPage(ctx, req, filter)
	if err != nil {
		return nil, err
	}
	tickets, err := s.present(ctx, s.pool, rows...)
	if err != nil {
		return nil, err
	}
	return &ticketv1.ListTicketsResponse{Tickets: tickets, NextPageToken: next}, nil
}

func (s *Server) filter(ctx context.Context, req *ticketv1.ListTicketsRequest) (db.TicketFilter, error) {
	f := db.TicketFilter{
		Number: req.GetNumber(), Source: req.GetSource(), ExternalID: req.GetExternalId(), Size: onceMore(req),
		Tier: int16(req.GetTier()), Phase: int16(req.GetPhase()), Channel: int16(req.GetChannel()), Text: textsearch.Fold(req.GetText()),
	}
	if req.GetInAbsentHands() {
		f.Away = s.now()
	}
	for _, state := range req.GetStates() {
		f.States = append(f.States, int16(state))
	}
	if f.ExternalID != "" && f.Source == "" {
		return f, rpcerr.Invalid("external_id", rpcerr.T(
			"it means nothing without its source; give source too",
			"缺少来源系统时该值没有意义；请同时填写 source"))
	}
	if err := blindFilter(ctx, req); err != nil {
		return f, err
	}
	var err error
	for _, id := range []struct {
		field, given string
		to           *uuid.UUID
	}{
		{"customer_id", req.GetCustomerId(), &f.CustomerID},
		{"assignee_staff_id", req.GetAssigneeStaffId(), &f.AssigneeStaffID},
		{"department_id", req.GetDepartmentId(), &f.DepartmentID},
		{"answer_id", req.GetAnswerId(), &f.AnswerID},
	} {
		if *id.to, err = parseOptional(id.field, id.given); err != nil {
			return f, err
		}
	}
	phone, bad := contactdata.Phone(req.GetReporterPhone(), s.region)
	if bad != nil {
		return f, rpcerr.Invalid("reporter_phone", *bad)
	}
	if phone != "" {
		f.ReporterPhoneIndex = s.phoneIndex(phone)
	}
	return f, orderFits(req)
}

// blindFilter refuses filters by what the caller does not see: an answer would tell it.
func blindFilter(ctx context.Context, req *ticketv1.ListTicketsRequest) error {
	for _, by := range []struct {
		field, given string
		of           proto.Message
		seen         protoreflect.Name
	}{
		{"assignee_staff_id", req.GetAssigneeStaffId(), &ticketv1.Ticket{}, "assignee_staff_id"},
		{"department_id", req.GetDepartmentId(), &ticketv1.Ticket{}, "department_id"},
		{"in_absent_hands", told(req.GetInAbsentHands()), &ticketv1.Ticket{}, "assignee_staff_id"},
		{"source", req.GetSource(), &ticketv1.Ticket{}, "source"},
		{"external_id", req.GetExternalId(), &ticketv1.Ticket{}, "external_id"},
		{"answer_id", req.GetAnswerId(), &ticketv1.Ticket{}, "evidence"},
		{"tier", told(req.GetTier() != 0), &ticketv1.Ticket{}, "needs"},
		{"order", told(req.GetOrder() == ticketv1.TicketOrder_TICKET_ORDER_DUE), &ticketv1.Ticket{}, "due_time"},
		{"reporter_phone", req.GetReporterPhone(), &ticketv1.Reporter{}, "phone"},
	} {
		// Customers see a reporter's phone and take nobody in; after-sales specialists would
		// learn those of tickets that are no longer open.
		byPhone := by.field == "reporter_phone" && (customer(ctx) != uuid.Nil || access.OpenCasesOnly(ctx))
		if by.given == "" || !byPhone && authz.Sees(ctx, by.of, by.seen) == mask.Shown {
			continue
		}
		return rpcerr.Invalid(by.field, rpcerr.T(
			"you do not see this field and cannot filter by it; use states or number",
			"您无权查看该字段，因此不能按它筛选；请使用 states 或 number"))
	}
	return nil
}

// told is a text that is empty where nothing is asked.
func told(asked bool) string {
	if asked {
		return "asked"
	}
	return ""
}

// ListTransitions lists every move of a ticket, oldest first.
func (s *Server) ListTransitions(ctx context.Context, req *ticketv1.ListTransitionsRequest) (*ticketv1.ListTransitionsResponse, error) {
	t, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	var after int64
	at, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	if at != "" {
		if after, err = strconv.ParseInt(at, 10, 64); err != nil {
			return nil, fmt.Errorf("cursor of a page: %w", err)
		}
	}
	rows, err := s.q.ListTransitions(ctx, s.pool, t.ID, after, onceMore(req))
	if err != nil {
		return nil, fmt.Errorf("list transitions: %w", err)
	}
	rows, next, err := onePage(ctx, s, req, rows, func(row db.TicketTransition) string { return etag(row.Version) })
	if err != nil {
		return nil, err
	}
	out := &ticketv1.ListTransitionsResponse{NextPageToken: next}
	for i := range rows {
		out.Transitions = append(out.Transitions, transitionProto(&rows[i]))
	}
	return out, nil
}

func transitionProto(row *db.TicketTransition) *ticketv1.Transition {
	return &ticketv1.Transition{
		Version: row.Version, Verb: row.Verb, From: ticketv1.TicketState(row.FromState),
		To: ticketv1.TicketState(row.ToState), Round: row.Round, Reason: row.Reason,
		ActorKind: ticketv1.AuthorKind(row.ActorKind), ActorStaffId: idString(row.ActorStaffID),
		AssigneeStaffId: idString(row.AssigneeStaffID), OccurTime: timestamppb.New(row.OccurTime),
		WaitFor: ticketv1.WaitFor(row.WaitFor), Priority: ticketv1.Priority(row.Priority),
		PrioritySource: ticketv1.PrioritySource(row.PrioritySource), Urgency: ticketv1.Urgency(row.Urgency), Impact: ticketv1.Impact(row.Impact),
	}
}
