package server

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/disclosure"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

// HandleTicket applies events of service-ticket: the directory's, tickets' moves and
// comments. Other types are passed over.
func (s *Server) HandleTicket(ctx context.Context, tx pgx.Tx, events []*eventv1.Envelope) error {
	for _, env := range events {
		if err := directory.Handle(ctx, tx, env); err != nil {
			return err
		}
	}
	return s.project(ctx, tx, events, ticketFact)
}

func ticketFact(env *eventv1.Envelope) (*fact, error) {
	kind := env.GetType()
	switch {
	case kind == "comment.added.v1":
		payload, err := event.Unpack[*ticketv1.CommentAdded](env)
		if err != nil {
			return nil, err
		}
		// An internal note is nothing that happened with the customer.
		return &fact{number: payload.GetNumber(), contact: payload.GetPublic(), hidden: !payload.GetPublic()}, nil
	case strings.HasPrefix(kind, "ticket."):
		payload, err := event.Unpack[*ticketv1.TicketChanged](env)
		if err != nil {
			return nil, err
		}
		goes, err := visitor(payload)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", env.GetId(), err)
		}
		return &fact{
			kind: caseTicket, number: payload.GetNumber(), open: ticketOpen(payload.GetStateAfter()), visitor: goes,
			state:   stateName(payload.GetStateAfter().String(), "TICKET_STATE_"),
			contact: kind == "ticket.contacted.v1" || kind == "ticket.created.v1" && fromOutside(payload.GetChannel()),
			hidden:  kind == "ticket.updated.v1",
		}, nil
	}
	return nil, nil
}

// HandleComplaint applies events of complaint.
func (s *Server) HandleComplaint(ctx context.Context, tx pgx.Tx, events []*eventv1.Envelope) error {
	return s.project(ctx, tx, events, complaintFact)
}

func complaintFact(env *eventv1.Envelope) (*fact, error) {
	kind := env.GetType()
	if !strings.HasPrefix(kind, "complaint.") {
		return nil, nil
	}
	payload, err := event.Unpack[*complaintv1.ComplaintChanged](env)
	if err != nil {
		return nil, err
	}
	contact := false
	switch kind {
	case "complaint.received.v1":
		contact = fromOutside(payload.GetChannel())
	case "complaint.contacted.v1", "complaint.told.v1", "complaint.answered.v1":
		contact = true
	case "complaint.attempted.v1":
		contact = payload.GetTwoWay()
	}
	return &fact{
		kind: caseComplaint, number: payload.GetNumber(), contact: contact,
		open:  payload.GetStateAfter() != complaintv1.ComplaintState_COMPLAINT_STATE_CLOSED,
		state: stateName(payload.GetStateAfter().String(), "COMPLAINT_STATE_"),
	}, nil
}

// HandleSurvey applies events of survey: those of invitations and answers.
func (s *Server) HandleSurvey(ctx context.Context, tx pgx.Tx, events []*eventv1.Envelope) error {
	return s.project(ctx, tx, events, surveyFact)
}

func surveyFact(env *eventv1.Envelope) (*fact, error) {
	kind := env.GetType()
	switch {
	case kind == "answer.received.v1":
		payload, err := event.Unpack[*surveyv1.AnswerReceived](env)
		if err != nil {
			return nil, err
		}
		return &fact{score: int16(payload.GetScore()), contact: true}, nil
	case strings.HasPrefix(kind, "invitation."):
		payload, err := event.Unpack[*surveyv1.InvitationChanged](env)
		if err != nil {
			return nil, err
		}
		return &fact{state: payload.GetState()}, nil
	}
	return nil, nil
}

// visitor is who goes to the customer for a ticket: the assignee of one that is settled at
// the customer's, until it is resolved.
func visitor(t *ticketv1.TicketChanged) (uuid.UUID, error) {
	if t.GetAssigneeStaffId() == "" || !disclosure.Visits(t.GetType(), t.GetStateAfter()) {
		return uuid.Nil, nil
	}
	id, err := uuid.Parse(t.GetAssigneeStaffId())
	if err != nil {
		return uuid.Nil, fmt.Errorf("assignee of ticket %s: %w", t.GetNumber(), err)
	}
	return id, nil
}

// ticketOpen tells whether a ticket in the state counts as open.
func ticketOpen(state ticketv1.TicketState) bool {
	switch state {
	case ticketv1.TicketState_TICKET_STATE_CLOSED, ticketv1.TicketState_TICKET_STATE_CANCELLED,
		ticketv1.TicketState_TICKET_STATE_MERGED:
		return false
	}
	return true
}

func fromOutside(channel typev1.Channel) bool { return channel != typev1.Channel_CHANNEL_INTERNAL }

// stateName is a state in lower case, empty where it is unspecified.
func stateName(name, prefix string) string {
	name = strings.ToLower(strings.TrimPrefix(name, prefix))
	if name == "unspecified" {
		return ""
	}
	return name
}
