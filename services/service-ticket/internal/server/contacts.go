package server

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// RecordTicketContact logs a contact with the customer.
func (s *Server) RecordTicketContact(ctx context.Context, req *ticketv1.RecordTicketContactRequest) (*ticketv1.Ticket, error) {
	if req.GetChannel() == typev1.Channel_CHANNEL_UNKNOWN {
		return nil, rpcerr.Invalid("channel", rpcerr.T(
			"CHANNEL_UNKNOWN is for imported tickets only; give the channel that was used",
			"CHANNEL_UNKNOWN 仅用于导入的工单；请填写实际使用的渠道"))
	}
	return s.move(ctx, req, "", ticket.Move{Verb: ticket.Contact, Channel: req.GetChannel(), TwoWay: req.GetTwoWay()},
		func(ctx context.Context, tx *write.Tx, row *db.Ticket, m *ticket.Move) error {
			began, err := s.q.GetRoundStart(ctx, tx, row.ID)
			if err != nil {
				return fmt.Errorf("read when the round began: %w", err)
			}
			if m.ContactTime, err = when("contact_time", req.GetContactTime(), began, m.At); err != nil {
				return err
			}
			// The rule is asked before anything is written.
			if _, err := ticket.Next(ticket.State(row.State), ticket.Contact); err != nil {
				return err
			}
			id, err := newID()
			if err != nil {
				return err
			}
			staff, err := s.callerStaff(ctx, tx)
			if err != nil {
				return err
			}
			err = s.q.InsertContact(ctx, tx, db.InsertContactParams{
				ID: id, TicketID: row.ID, Round: row.Round, Version: row.Version + 1, Channel: int16(req.GetChannel()),
				TwoWay: req.GetTwoWay(), Note: req.GetNote(), ContactTime: m.ContactTime, StaffID: staff,
			})
			if err != nil {
				return fmt.Errorf("log a contact: %w", err)
			}
			return nil
		})
}

// when reads a time that is now unless given, and lies between the beginning of a round and
// now.
func when(field string, given *timestamppb.Timestamp, began, now time.Time) (time.Time, error) {
	if given == nil {
		return now, nil
	}
	if err := validTime(field, given); err != nil {
		return time.Time{}, err
	}
	at := instant(given)
	if at.After(now) || at.Before(began) {
		return time.Time{}, rpcerr.Invalid(field, rpcerr.T(
			"%[1]s is outside the possible time; give one from %[2]s, when the round began, to now, %[3]s",
			"%[1]s 不在允许范围内；请填写自 %[2]s（本轮开始）至当前 %[3]s 之间的时间",
			at.Format(time.RFC3339), began.UTC().Format(time.RFC3339), now.Format(time.RFC3339)))
	}
	return at, nil
}

// contactEvent makes of the event of a move that of a contact: when it took place, and over
// what.
func contactEvent(e event.Event, m ticket.Move) event.Event {
	e.OccurTime = m.ContactTime
	if payload, ok := e.Payload.(*ticketv1.TicketChanged); ok {
		payload.Channel = m.Channel
	}
	return e
}

// ListTicketContacts lists the logged contacts of a ticket, oldest first.
func (s *Server) ListTicketContacts(ctx context.Context, req *ticketv1.ListTicketContactsRequest) (*ticketv1.ListTicketContactsResponse, error) {
	t, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	after, err := s.cursor(ctx, req)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListContacts(ctx, s.pool, t.ID, after, onceMore(req))
	if err != nil {
		return nil, fmt.Errorf("list contacts: %w", err)
	}
	rows, next, err := onePage(ctx, s, req, rows, func(row db.TicketContact) string { return row.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &ticketv1.ListTicketContactsResponse{NextPageToken: next}
	for i := range rows {
		out.Contacts = append(out.Contacts, contactProto(&rows[i]))
	}
	return out, nil
}

func contactProto(row *db.TicketContact) *ticketv1.TicketContact {
	return &ticketv1.TicketContact{
		Id: row.ID.String(), Round: row.Round, Channel: typev1.Channel(row.Channel), TwoWay: row.TwoWay,
		Note: row.Note, ContactTime: timestamppb.New(row.ContactTime), StaffId: idString(row.StaffID),
	}
}
