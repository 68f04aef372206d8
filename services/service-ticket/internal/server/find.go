package server

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/google/uuid"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/textsearch"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
)

// ticketPage reads a page of a list of tickets and seals the token of the next one: in the
// order that is asked for, and what has a text by the index of texts. The newest are read in the
// round trip that looks the caller up.
func (s *Server) ticketPage(ctx context.Context, req *ticketv1.ListTicketsRequest, f db.TicketFilter) ([]db.Ticket, string, error) {
	f.For = viewerIn(ctx, authz.FromContext(ctx).Scope)
	switch {
	case req.GetOrder() == ticketv1.TicketOrder_TICKET_ORDER_DUE:
		return s.duePage(ctx, req, f)
	case f.Text != "" && f.CustomerID == uuid.Nil && f.AssigneeStaffID == uuid.Nil && f.Away.IsZero() && f.For.Scope != accessv1.Scope_SCOPE_OWN:
		return s.foundPage(ctx, req, f)
	}
	if placed(ctx, f.For) {
		caller := authn.FromContext(ctx)
		f.Issuer, f.Subject = caller.Issuer, caller.Subject
	}
	var err error
	if f.Before, err = s.cursor(ctx, req); err != nil {
		return nil, "", err
	}
	rows, err := s.q.ListTickets(ctx, s.pool, s.lists, f)
	if err != nil {
		return nil, "", fmt.Errorf("list tickets: %w", err)
	}
	return onePage(ctx, s, req, rows, func(row db.Ticket) string { return row.ID.String() })
}

// duePage lists what has a deadline that runs, the first due first.
func (s *Server) duePage(ctx context.Context, req *ticketv1.ListTicketsRequest, f db.TicketFilter) ([]db.Ticket, string, error) {
	var at db.DuePlace
	var err error
	if at.Due, at.ID, err = s.timeCursor(ctx, req); err != nil {
		return nil, "", err
	}
	if err := validTime("due_before", req.GetDueBefore()); err != nil {
		return nil, "", err
	}
	at.Before = instant(req.GetDueBefore())
	if f.For, err = s.viewer(ctx, s.pool, f.For.Scope); err != nil {
		return nil, "", err
	}
	rows, err := s.q.ListDue(ctx, s.pool, f, at)
	if err != nil {
		return nil, "", fmt.Errorf("list tickets by due time: %w", err)
	}
	return onePage(ctx, s, req, rows, func(row db.Ticket) string { return timeToken(timeValue(row.DueTime), row.ID) })
}

// foundPage lists what has a text, the newest first. The page goes on by the position that a
// number has.
func (s *Server) foundPage(ctx context.Context, req *ticketv1.ListTicketsRequest, f db.TicketFilter) ([]db.Ticket, string, error) {
	before := int64(math.MaxInt64)
	place, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, "", err
	}
	if place != "" {
		if before, err = strconv.ParseInt(place, 10, 64); err != nil {
			return nil, "", fmt.Errorf("cursor of a search: %w", err)
		}
	}
	if f.For, err = s.viewer(ctx, s.pool, f.For.Scope); err != nil {
		return nil, "", err
	}
	found, err := s.q.SearchTickets(ctx, s.pool, f, before)
	if err != nil {
		return nil, "", fmt.Errorf("search tickets: %w", err)
	}
	found, next, err := onePage(ctx, s, req, found, func(row db.FoundTicket) string { return strconv.FormatInt(row.Position, 10) })
	rows := make([]db.Ticket, len(found))
	for i := range found {
		rows[i] = found[i].Ticket
	}
	return rows, next, err
}

// orderFits refuses a time that only one order goes by.
func orderFits(req *ticketv1.ListTicketsRequest) error {
	if req.GetDueBefore() == nil || req.GetOrder() == ticketv1.TicketOrder_TICKET_ORDER_DUE {
		return nil
	}
	return rpcerr.Invalid("due_before", rpcerr.T(
		"it goes with the order by due time; give order TICKET_ORDER_DUE too", "该条件须与按截止时间排序同用；请同时填写 order 为 TICKET_ORDER_DUE"))
}

// keepText stores what a new ticket is found by.
func (s *Server) keepText(ctx context.Context, on db.DBTX, row *db.Ticket) error {
	text, position, err := searchText(row)
	if err != nil {
		return err
	}
	return s.q.InsertTicketText(ctx, on, db.InsertTicketTextParams{TicketID: row.ID, Position: position, Folded: text, Grams: textsearch.Terms(text, position)})
}

// searchText is what a ticket is found by any part of, and the position that its number gives it.
func searchText(row *db.Ticket) (text string, position int64, err error) {
	if position, err = strconv.ParseInt(row.Number[strings.LastIndexByte(row.Number, '-')+1:], 10, 64); err != nil {
		return "", 0, fmt.Errorf("number %s of a ticket: %w", row.Number, err)
	}
	return textsearch.Lines(row.Title, row.Number, row.ProductModel, row.SerialNumber, row.OrderNumber), position, nil
}
