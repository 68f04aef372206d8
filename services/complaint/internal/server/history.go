package server

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
)

// historyRequest is a page of what happened to one complaint.
type historyRequest interface {
	proto.Message
	GetComplaintId() string
	GetPageSize() int32
	GetPageToken() string
}

// history opens a page of a complaint's log for callers who see the whole complaint. It
// gives the version after which the page begins.
func (s *Server) history(ctx context.Context, req historyRequest) (c db.Complaint, after int64, size int32, err error) {
	if c, err = s.wholly(ctx, id(req.GetComplaintId())); err != nil {
		return c, 0, 0, err
	}
	cursor, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil || cursor == "" {
		return c, 0, page.Size(req.GetPageSize()), err
	}
	if after, err = strconv.ParseInt(cursor, 10, 64); err != nil {
		return c, 0, 0, fmt.Errorf("cursor of a page: %w", err)
	}
	return c, after, page.Size(req.GetPageSize()), nil
}

// wholly reads a complaint for callers who see all of it.
func (s *Server) wholly(ctx context.Context, complaintID uuid.UUID) (db.Complaint, error) {
	c, v, err := s.readable(ctx, complaintID)
	if err == nil && v != whole {
		err = notFound(complaintID)
	}
	return c, err
}

// cut leaves a page of the rows and seals where the next one begins.
func cut[R any](ctx context.Context, s *Server, req proto.Message, rows []R, size int32, version func(R) int64) ([]R, string, error) {
	if len(rows) <= int(size) {
		return rows, "", nil
	}
	rows = rows[:size]
	token, err := s.pages.Seal(ctx, req, strconv.FormatInt(version(rows[size-1]), 10))
	return rows, token, err
}

// ListComplaintContacts lists the logged contacts, oldest first.
func (s *Server) ListComplaintContacts(ctx context.Context, req *complaintv1.ListComplaintContactsRequest) (*complaintv1.ListComplaintContactsResponse, error) {
	of, after, size, err := s.history(ctx, req)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListContacts(ctx, s.pool, of.ID, after, size+1)
	if err != nil {
		return nil, fmt.Errorf("list contacts: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(c db.ComplaintContact) int64 { return c.Version })
	if err != nil {
		return nil, err
	}
	out := &complaintv1.ListComplaintContactsResponse{NextPageToken: next}
	for _, c := range rows {
		out.Contacts = append(out.Contacts, &complaintv1.ComplaintContact{
			Id: c.ID.String(), Round: c.Round, Channel: typev1.Channel(c.Channel), TwoWay: c.TwoWay, Note: c.Note,
			ContactTime: timestamppb.New(c.ContactTime), StaffId: text(c.StaffID),
		})
	}
	return out, nil
}

// ListComplaintTransitions lists every move, oldest first.
func (s *Server) ListComplaintTransitions(ctx context.Context, req *complaintv1.ListComplaintTransitionsRequest) (*complaintv1.ListComplaintTransitionsResponse, error) {
	of, after, size, err := s.history(ctx, req)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListTransitions(ctx, s.pool, of.ID, after, size+1)
	if err != nil {
		return nil, fmt.Errorf("list transitions: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(t db.ComplaintTransition) int64 { return t.Version })
	if err != nil {
		return nil, err
	}
	out := &complaintv1.ListComplaintTransitionsResponse{NextPageToken: next}
	for _, t := range rows {
		out.Transitions = append(out.Transitions, &complaintv1.ComplaintTransition{
			Version: t.Version, Verb: t.Verb, From: complaint.State(t.FromState), To: complaint.State(t.ToState),
			Round: t.Round, Reason: t.Reason, ActorStaffId: text(t.ActorStaffID),
			HandlerStaffId: text(t.HandlerStaffID), OccurTime: timestamppb.New(t.OccurTime),
		})
	}
	return out, nil
}
