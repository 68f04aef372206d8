package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// RequestEscalation asks for the standard of the next tier for one case.
func (s *Server) RequestEscalation(ctx context.Context, req *ticketv1.RequestEscalationRequest) (*ticketv1.Escalation, error) {
	id, err := parseID("ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Escalation, error) {
		row, err := s.lock(ctx, tx, id, "")
		if err != nil {
			return nil, err
		}
		to, err := raisable(row)
		if err != nil {
			return nil, err
		}
		return s.requestEscalation(ctx, tx, row, to, req.GetReason())
	})
	if pg.Violates(err, "escalations_requested_idx") {
		return nil, rpcerr.Exists("escalation", "ticket", id.String())
	}
	return out, err
}

// raisable gives the tier that a ticket can be raised to.
func raisable(row *db.Ticket) (typev1.Tier, error) {
	if state := ticket.State(row.State); !ticket.Open(state) {
		return 0, rpcerr.WrongState(ticket.ReasonWrongState, rpcerr.T(
			"Ticket %[1]s is %[2]s; an escalation is for one that is not resolved or ended.", "工单 %[1]s 处于“%[2]s”状态；升级仅适用于尚未解决或结束的工单。",
			row.ID, ticket.Label(state)))
	}
	if !clocked(row) {
		return 0, rpcerr.WrongState("TICKET_WITHOUT_CLOCKS", rpcerr.T(
			"Ticket %[1]s was imported and has no deadlines that could be raised; leave it as it is.", "工单 %[1]s 为导入工单，没有可升级的时限；请保持不变。", row.ID))
	}
	to, ok := ticket.NextTier(typev1.Tier(row.ServiceTier))
	if !ok {
		return 0, rpcerr.WrongState("ESCALATION_AT_TOP", rpcerr.T(
			"Ticket %[1]s goes by the highest standard already; raise its priority instead.", "工单 %[1]s 已适用最高标准；请改为提高优先级。", row.ID))
	}
	return to, nil
}

// requestEscalation stores a request for a held ticket and starts the clock of the decision.
func (s *Server) requestEscalation(ctx context.Context, tx *write.Tx, row *db.Ticket, to typev1.Tier, reason string) (*ticketv1.Escalation, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	staff, err := s.callerStaff(ctx, tx)
	if err != nil {
		return nil, err
	}
	now, clause := s.now(), s.policy.DecisionClause()
	terms, err := s.terms(ctx, tx, &clockv1.Policy{Version: 1}, policy.Choice{Clause: clause}, now)
	if err != nil {
		return nil, err
	}
	started, err := s.clocks.Start(ctx, tx, clock.Spec{
		Subject: clock.Subject{Type: ticket.EscalationSubject, ID: id}, Kind: ticket.ClockDecision, Round: 1, At: now,
		Owner: clock.Owner{Role: clause.GetOwnerRole(), DepartmentID: idValue(row.DepartmentID)}, Terms: terms,
	})
	if err != nil {
		return nil, fmt.Errorf("start the clock of the decision: %w", err)
	}
	caller := authn.FromContext(ctx)
	e := &db.Escalation{
		ID: id, TicketID: row.ID, State: int16(ticketv1.EscalationState_ESCALATION_STATE_REQUESTED), Reason: reason, Actor: caller.Actor(),
		ByCustomer: caller.Kind == authn.Customer, RequestStaffID: staff, FromTier: row.ServiceTier, ToTier: int16(to),
		CreateTime: now, DueTime: started[0].State.Due,
	}
	if err := s.q.InsertEscalation(ctx, tx, db.InsertEscalationParams{
		ID: e.ID, TicketID: e.TicketID, Reason: e.Reason, Actor: e.Actor, ByCustomer: e.ByCustomer, RequestStaffID: e.RequestStaffID,
		FromTier: e.FromTier, ToTier: e.ToTier, CreateTime: e.CreateTime, DueTime: e.DueTime,
	}); err != nil {
		return nil, err
	}
	s.tellEscalation(tx, row, e, 1, now)
	return escalationProto(e), nil
}

// tellEscalation emits and audits what became of a request.
func (s *Server) tellEscalation(tx *write.Tx, row *db.Ticket, e *db.Escalation, version int64, at time.Time) {
	kind := "escalation.requested.v1"
	if version > 1 {
		kind = "escalation.decided.v1"
	}
	tx.Emit(event.Event{
		Type: kind, SubjectID: e.ID, SubjectVersion: version, CustomerID: idValue(row.CustomerID), OccurTime: at,
		Payload: &ticketv1.EscalationChanged{
			TicketId: row.ID.String(), TicketNumber: row.Number, DepartmentId: idString(row.DepartmentID),
			State: ticketv1.EscalationState(e.State), FromTier: typev1.Tier(e.FromTier), ToTier: typev1.Tier(e.ToTier),
			DueTime: timestamppb.New(e.DueTime),
		},
	})
	tx.Audit("escalation", e.ID, escalationProto(e))
}

// DecideEscalation grants or refuses a request.
func (s *Server) DecideEscalation(ctx context.Context, req *ticketv1.DecideEscalationRequest) (*ticketv1.Escalation, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Escalation, error) {
		e, row, err := s.holdEscalation(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if err := authz.SecondPerson(ctx, e.Actor); err != nil {
			return nil, err
		}
		staff, err := s.callerStaff(ctx, tx)
		if err != nil {
			return nil, err
		}
		now := s.now()
		e.State, e.DecideStaffID, e.DecideTime, e.DecisionReason = int16(ticketv1.EscalationState_ESCALATION_STATE_REFUSED), staff, &now, req.GetReason()
		if req.GetGrant() {
			e.State = int16(ticketv1.EscalationState_ESCALATION_STATE_GRANTED)
		}
		n, err := s.q.DecideEscalation(ctx, tx, db.DecideEscalationParams{
			ID: id, State: e.State, DecideStaffID: e.DecideStaffID, DecideTime: e.DecideTime, DecisionReason: e.DecisionReason,
		})
		if err != nil {
			return nil, fmt.Errorf("decide an escalation: %w", err)
		}
		if n == 0 {
			return nil, decided(e)
		}
		if _, err := s.clocks.Stop(ctx, tx, clock.Select{Subject: id}, clock.Act{At: now}); err != nil {
			return nil, fmt.Errorf("stop the clock of the decision: %w", err)
		}
		s.tellEscalation(tx, row, e, 2, now)
		if !req.GetGrant() {
			return escalationProto(e), nil
		}
		return escalationProto(e), s.retier(ctx, tx, []db.Ticket{*row}, reasonEscalated)
	})
}

// holdEscalation holds the ticket of a request within the caller's reach, and reads the
// request, which only changes with its ticket held.
func (s *Server) holdEscalation(ctx context.Context, tx *write.Tx, id uuid.UUID) (*db.Escalation, *db.Ticket, error) {
	found, err := s.q.GetEscalation(ctx, tx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil, rpcerr.NotFound("escalation", id.String())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read an escalation: %w", err)
	}
	row, err := s.lock(ctx, tx, found.TicketID, "")
	var public *rpcerr.Error
	if errors.As(err, &public) && public.Reason() == "TICKET_NOT_FOUND" {
		return nil, nil, rpcerr.NotFound("escalation", id.String())
	}
	if err != nil {
		return nil, nil, err
	}
	if found, err = s.q.GetEscalation(ctx, tx, id); err != nil {
		return nil, nil, fmt.Errorf("read an escalation: %w", err)
	}
	if ticketv1.EscalationState(found.State) != ticketv1.EscalationState_ESCALATION_STATE_REQUESTED {
		return nil, nil, decided(&found)
	}
	return &found, row, nil
}

func decided(e *db.Escalation) error {
	return rpcerr.WrongState("ESCALATION_DECIDED", rpcerr.T(
		"Escalation %[1]s was decided on or has lapsed; ask anew where the case goes on.", "升级申请 %[1]s 已有决定或已失效；如工单仍在处理请重新申请。", e.ID))
}

// lapse ends the undecided request of a ticket that is resolved or ended.
func (s *Server) lapse(ctx context.Context, tx *write.Tx, row *db.Ticket, at time.Time) error {
	lapsed, err := s.q.LapseEscalations(ctx, tx, &at, row.ID)
	if err != nil {
		return fmt.Errorf("end escalations: %w", err)
	}
	for _, id := range lapsed {
		if _, err := s.clocks.Cancel(ctx, tx, clock.Select{Subject: id}, clock.Act{At: at, Reason: reasonResolved}); err != nil {
			return fmt.Errorf("end the clock of the decision: %w", err)
		}
		e, err := s.q.GetEscalation(ctx, tx, id)
		if err != nil {
			return fmt.Errorf("read an escalation: %w", err)
		}
		s.tellEscalation(tx, row, &e, 2, at)
	}
	return nil
}

// FindEscalations lists the undecided requests that the caller may decide.
func (s *Server) FindEscalations(ctx context.Context, _ *ticketv1.FindEscalationsRequest) (*ticketv1.FindEscalationsResponse, error) {
	scope := authz.FromContext(ctx).Scope
	who, err := s.viewer(ctx, s.pool, scope)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListUndecidedEscalations(ctx, s.pool, scope == accessv1.Scope_SCOPE_COMPANY, idPtr(who.Department))
	if err != nil {
		return nil, fmt.Errorf("list escalations: %w", err)
	}
	return escalationList(rows), nil
}

// FindTicketEscalations lists the requests of a ticket.
func (s *Server) FindTicketEscalations(ctx context.Context, req *ticketv1.FindTicketEscalationsRequest) (*ticketv1.FindEscalationsResponse, error) {
	row, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListEscalationsOf(ctx, s.pool, row.ID)
	if err != nil {
		return nil, fmt.Errorf("list escalations: %w", err)
	}
	return escalationList(rows), nil
}

func escalationList(rows []db.Escalation) *ticketv1.FindEscalationsResponse {
	out := &ticketv1.FindEscalationsResponse{}
	for i := range rows {
		out.Escalations = append(out.Escalations, escalationProto(&rows[i]))
	}
	return out
}

func escalationProto(e *db.Escalation) *ticketv1.Escalation {
	return &ticketv1.Escalation{
		Id: e.ID.String(), TicketId: e.TicketID.String(), State: ticketv1.EscalationState(e.State), Reason: e.Reason, ByCustomer: e.ByCustomer,
		RequestStaffId: idString(e.RequestStaffID), CreateTime: timestamppb.New(e.CreateTime), DueTime: timestamppb.New(e.DueTime),
		FromTier: typev1.Tier(e.FromTier), ToTier: typev1.Tier(e.ToTier), DecideStaffId: idString(e.DecideStaffID),
		DecideTime: stamp(e.DecideTime), DecisionReason: e.DecisionReason,
	}
}
