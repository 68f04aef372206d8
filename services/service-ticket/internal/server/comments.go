package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// CreateComment adds an internal note or a public reply.
func (s *Server) CreateComment(ctx context.Context, req *ticketv1.CreateCommentRequest) (*ticketv1.Comment, error) {
	id, err := parseID("ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Comment, error) {
		row, err := s.lock(ctx, tx, id, "")
		if err != nil {
			return nil, err
		}
		if err := ticket.Commentable(ticket.State(row.State)); err != nil {
			return nil, err
		}
		public := req.GetComment().GetPublic()
		if customer(ctx) != uuid.Nil {
			public = true
			stand(row, s.policy.Heard(standing(row), s.now()))
		}
		comment, err := s.comment(ctx, tx, row, req.GetComment().GetBody(), public)
		if err != nil {
			return nil, err
		}
		return commentProto(comment), nil
	})
}

// comment adds a comment of the caller to a locked ticket: row, event and audit record.
func (s *Server) comment(ctx context.Context, tx *write.Tx, row *db.Ticket, body string, public bool) (*db.Comment, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	caller := authn.FromContext(ctx)
	author, err := s.callerStaff(ctx, tx)
	if err != nil {
		return nil, err
	}
	c := &db.Comment{
		ID: id, TicketID: row.ID, Body: body, Public: public, Author: caller.Actor(),
		AuthorKind: int16(authorKind(caller)), AuthorStaffID: author, CreateTime: s.now(),
	}
	return c, s.addComment(ctx, tx, row, c)
}

// addComment adds a comment to a held ticket: row, clocks, event and audit record.
func (s *Server) addComment(ctx context.Context, tx *write.Tx, row *db.Ticket, c *db.Comment) error {
	row.UpdateTime, row.Version = c.CreateTime, row.Version+1
	kind := ticketv1.AuthorKind(c.AuthorKind)
	if c.Public && kind == ticketv1.AuthorKind_AUTHOR_KIND_STAFF {
		if err := s.replied(ctx, tx, row, c.CreateTime); err != nil {
			return err
		}
	}
	if err := s.q.InsertComment(ctx, tx.Soon(), db.InsertCommentParams(*c)); err != nil {
		return err
	}
	if err := s.q.TouchTicket(ctx, tx.Soon(), db.TouchTicketParams{
		ID: row.ID, ConfirmDue: row.ConfirmDue, UpdateTime: row.UpdateTime, Version: row.Version,
	}); err != nil {
		return err
	}
	tx.Emit(event.Event{
		Type: "comment.added.v1", SubjectID: row.ID, SubjectVersion: row.Version,
		CustomerID: idValue(row.CustomerID), OccurTime: c.CreateTime,
		Payload: &ticketv1.CommentAdded{
			Number: row.Number, CommentId: c.ID.String(), Public: c.Public, AuthorKind: kind,
		},
	})
	tx.AuditOf(idValue(row.CustomerID), "comment", c.ID, commentProto(c))
	return nil
}

// ListComments lists the comments of a ticket, oldest first.
func (s *Server) ListComments(ctx context.Context, req *ticketv1.ListCommentsRequest) (*ticketv1.ListCommentsResponse, error) {
	t, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	after, err := s.cursor(ctx, req)
	if err != nil {
		return nil, err
	}
	list := s.q.ListComments
	if customer(ctx) != uuid.Nil {
		list = s.q.ListPublicComments
	}
	rows, err := list(ctx, s.pool, t.ID, after, onceMore(req))
	if err != nil {
		return nil, fmt.Errorf("list comments: %w", err)
	}
	rows, next, err := onePage(ctx, s, req, rows, func(row db.Comment) string { return row.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &ticketv1.ListCommentsResponse{NextPageToken: next}
	for i := range rows {
		c := commentProto(&rows[i])
		if customer(ctx) != uuid.Nil {
			c.AuthorStaffId = ""
		}
		out.Comments = append(out.Comments, c)
	}
	return out, nil
}

func commentProto(row *db.Comment) *ticketv1.Comment {
	return &ticketv1.Comment{
		Id: row.ID.String(), TicketId: row.TicketID.String(), Body: row.Body, Public: row.Public,
		AuthorKind: ticketv1.AuthorKind(row.AuthorKind), AuthorStaffId: idString(row.AuthorStaffID),
		CreateTime: timestamppb.New(row.CreateTime),
	}
}
