package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/internal/worktime"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// Why clocks of a ticket change or end, as their logs have it.
const (
	reasonPriority  = "priority-changed"
	reasonTier      = "tier-changed"
	reasonAssigned  = "assigned"
	reasonTriaged   = "triaged"
	reasonResolved  = "resolved"
	reasonCancelled = "ticket-cancelled"
	reasonMerged    = "ticket-merged"
	reasonPolicy    = "policy-retargeted"
	reasonHandedOn  = "handed-on"
	reasonRestarted = "restarted"
	reasonException = "standard-exception"
	reasonEscalated = "escalated"
)

// clocked tells whether a ticket has clocks: history that was imported has none.
func clocked(row *db.Ticket) bool { return row.ServiceTier != 0 }

// facts are what the clauses for a ticket are chosen by.
func facts(row *db.Ticket) policy.Facts {
	return policy.Facts{
		Tier: typev1.Tier(row.ServiceTier), Channel: typev1.Channel(row.Channel),
		Priority: ticket.PriorityName(ticketv1.Priority(row.Priority)),
	}
}

// keeper is who is to keep a clock of a ticket.
func keeper(clause *clockv1.PolicyClause, row *db.Ticket) clock.Owner {
	if clause.GetOwnerRole() == "" {
		return clock.Owner{}
	}
	return clock.Owner{
		Role: clause.GetOwnerRole(), StaffID: idValue(row.AssigneeStaffID), DepartmentID: idValue(row.DepartmentID),
	}
}

// rules gives the version of the policy that a ticket goes by.
func (s *Server) rules(ctx context.Context, on db.DBTX, row *db.Ticket) (*clockv1.Policy, error) {
	p, err := s.book.Published(ctx, on, row.PolicyVersion)
	var public *rpcerr.Error
	if errors.As(err, &public) {
		// A ticket names versions that are there, so this is no fault of the caller.
		return nil, fmt.Errorf("policy of ticket %s: %s", row.ID, public.Error())
	}
	return p, err
}

// underPolicy puts a new ticket under the version in effect.
func (s *Server) underPolicy(ctx context.Context, on db.DBTX, row *db.Ticket) error {
	p, err := s.book.InEffect(ctx, on, row.CreateTime)
	if err != nil {
		return err
	}
	row.PolicyVersion = p.GetVersion()
	return nil
}

// chosen are the clauses that apply to a ticket and of which want is true, by kind of
// clock in the order of the policy.
func chosen(p *clockv1.Policy, row *db.Ticket, want func(*clockv1.PolicyClause) bool) (kinds []string, choices []policy.Choice) {
	for _, kind := range policy.Kinds(p) {
		if choice, ok := policy.Pick(p, kind, facts(row)); ok && want(choice.Clause) {
			kinds, choices = append(kinds, kind), append(choices, choice)
		}
	}
	return kinds, choices
}

// startedBy and stoppedBy want the clauses whose clocks one of the events starts or stops.
func startedBy(events ...string) func(*clockv1.PolicyClause) bool {
	return func(c *clockv1.PolicyClause) bool { return slices.Contains(events, c.GetStartEvent()) }
}

func stoppedBy(events ...string) func(*clockv1.PolicyClause) bool {
	return func(c *clockv1.PolicyClause) bool { return slices.Contains(events, c.GetStopEvent()) }
}

// terms gives the terms of a clock that started at an instant.
func (s *Server) terms(ctx context.Context, on db.DBTX, p *clockv1.Policy, choice policy.Choice, start time.Time) (clock.Terms, error) {
	terms, _, err := choice.Terms(p, start, nil, func(id string) (*worktime.Calendar, error) {
		cal, _, err := s.calendars.Load(ctx, on, id)
		return cal, err
	})
	return terms, err
}

// starting gives the clocks of a ticket that events start.
func (s *Server) starting(ctx context.Context, on db.DBTX, row *db.Ticket, at time.Time, events ...string) ([]clock.Spec, error) {
	p, err := s.rules(ctx, on, row)
	if err != nil {
		return nil, err
	}
	kinds, choices := chosen(p, row, startedBy(events...))
	specs := make([]clock.Spec, len(kinds))
	for i, choice := range choices {
		terms, err := s.terms(ctx, on, p, choice, at)
		if err != nil {
			return nil, err
		}
		specs[i] = clock.Spec{
			Subject: clock.Subject{Type: ticket.SubjectType, ID: row.ID}, Kind: kinds[i], Round: row.Round, At: at,
			Owner: keeper(choice.Clause, row), Terms: terms,
		}
	}
	return specs, nil
}

// firstClocks makes the clocks of a new ticket ready to be stored with it.
func (s *Server) firstClocks(ctx context.Context, row *db.Ticket) ([]clock.Opening, error) {
	specs, err := s.starting(ctx, s.pool, row, row.CreateTime, ticket.EventCreated, ticket.EventOpened)
	if err != nil {
		return nil, err
	}
	return s.clocks.Prepare(ctx, s.pool, specs...)
}

// startClocks starts the clocks of a ticket that events start. One of the kind that is open
// is given up for the new one, for a reason.
func (s *Server) startClocks(ctx context.Context, tx *write.Tx, row *db.Ticket, act clock.Act, events ...string) error {
	specs, err := s.starting(ctx, tx, row, act.At, events...)
	if err != nil || len(specs) == 0 {
		return err
	}
	kinds := make([]string, len(specs))
	for i := range specs {
		kinds[i] = specs[i].Kind
	}
	if _, err := s.clocks.Cancel(ctx, tx, clock.Select{Subject: row.ID, Kinds: kinds}, act); err != nil {
		return err
	}
	if _, err := s.clocks.Start(ctx, tx, specs...); err != nil {
		return err
	}
	if ticket.State(row.State) != ticket.Waiting {
		return nil
	}
	_, err = s.clocks.Pause(ctx, tx, clock.Select{Subject: row.ID, Kinds: kinds},
		clock.Act{At: act.At, Reason: ticket.PauseReason(ticketv1.WaitFor(row.WaitFor))})
	return err
}

// stopClocks stops the open clocks of a ticket that events stop.
func (s *Server) stopClocks(ctx context.Context, tx *write.Tx, row *db.Ticket, act clock.Act, events ...string) error {
	p, err := s.rules(ctx, tx, row)
	if err != nil {
		return err
	}
	kinds, _ := chosen(p, row, stoppedBy(events...))
	if len(kinds) == 0 {
		return nil
	}
	_, err = s.clocks.Stop(ctx, tx, clock.Select{Subject: row.ID, Kinds: kinds}, act)
	return err
}

// follow brings the clocks of a ticket in step with a move that brought it from a standing
// to where the row stands.
func (s *Server) follow(ctx context.Context, tx *write.Tx, was ticket.Standing, row *db.Ticket, m ticket.Move) error {
	if !clocked(row) {
		return nil
	}
	all := clock.Select{Subject: row.ID}
	var err error
	switch m.Verb {
	case ticket.Triage:
		if err = s.handOver(ctx, tx, row, clock.Act{At: m.At, Reason: reasonTriaged}); err == nil {
			err = s.retarget(ctx, tx, row, clock.Act{At: m.At, Reason: reasonPriority})
		}
	case ticket.Prioritize:
		err = s.retarget(ctx, tx, row, clock.Act{At: m.At, Reason: reasonPriority})
	case ticket.Assign:
		err = s.assigned(ctx, tx, was, row, m.At)
	case ticket.Retarget:
		err = s.retarget(ctx, tx, row, clock.Act{At: m.At, Reason: reasonPolicy})
	case ticket.Contact:
		err = s.contacted(ctx, tx, row, m)
	case ticket.Wait:
		_, err = s.clocks.Pause(ctx, tx, all, clock.Act{At: m.At, Reason: ticket.PauseReason(m.WaitFor)})
	case ticket.Resume:
		err = s.goOn(ctx, tx, was, row, m.At)
	case ticket.Resolve:
		err = s.resolved(ctx, tx, row, m.At)
	case ticket.Reopen:
		err = s.nextRound(ctx, tx, row, m.At)
	case ticket.Cancel:
		_, err = s.clocks.Cancel(ctx, tx, all, clock.Act{At: m.At, Reason: reasonCancelled})
	case ticket.Merge:
		_, err = s.clocks.Cancel(ctx, tx, all, clock.Act{At: m.At, Reason: reasonMerged})
	case ticket.Unmerge:
		err = s.goBack(ctx, tx, row)
	}
	if err == nil && (m.Verb == ticket.Resolve || m.Verb == ticket.Cancel || m.Verb == ticket.Merge) {
		err = s.lapse(ctx, tx, row, m.At)
	}
	if err != nil {
		return fmt.Errorf("clocks of the ticket: %w", err)
	}
	return nil
}

// resolved ends the clocks of a round with its solution. Clocks that wait are judged by when
// they were paused, so they do not go on first.
func (s *Server) resolved(ctx context.Context, tx *write.Tx, row *db.Ticket, at time.Time) error {
	if err := s.stopClocks(ctx, tx, row, clock.Act{At: at}, ticket.EventResolved); err != nil {
		return err
	}
	answered := clock.Act{At: at, Reason: reasonResolved}
	if err := s.stopClocks(ctx, tx, row, answered, ticket.OnResolve()...); err != nil {
		return err
	}
	// What a solution does not stand for: nobody had a word with the customer.
	_, err := s.clocks.Cancel(ctx, tx, clock.Select{Subject: row.ID}, answered)
	return err
}

// assigned hands the open clocks of a ticket over. What runs from the assignment is each
// assignee's own: somebody else's begins anew, the same person's goes on.
func (s *Server) assigned(ctx context.Context, tx *write.Tx, was ticket.Standing, row *db.Ticket, at time.Time) error {
	if err := s.goOn(ctx, tx, was, row, at); err != nil {
		return err
	}
	if was.Assignee != idValue(row.AssigneeStaffID) {
		if err := s.startClocks(ctx, tx, row, clock.Act{At: at, Reason: reasonHandedOn}, ticket.EventAssigned); err != nil {
			return err
		}
	}
	return s.handOver(ctx, tx, row, clock.Act{At: at, Reason: reasonAssigned})
}

// contacted stops the clocks that a two-way contact meets. One that started after the
// contact took place is not met by it.
func (s *Server) contacted(ctx context.Context, tx *write.Tx, row *db.Ticket, m ticket.Move) error {
	if !m.TwoWay || !ticket.Open(ticket.State(row.State)) {
		return nil
	}
	p, err := s.rules(ctx, tx, row)
	if err != nil {
		return err
	}
	kinds, _ := chosen(p, row, stoppedBy(ticket.OnContact()...))
	if len(kinds) == 0 {
		return nil
	}
	_, err = s.clocks.Stop(ctx, tx, clock.Select{Subject: row.ID, Kinds: kinds, StartedBy: m.ContactTime}, clock.Act{At: m.ContactTime})
	return err
}

// goOn ends the pause of a ticket that waited.
func (s *Server) goOn(ctx context.Context, tx *write.Tx, was ticket.Standing, row *db.Ticket, at time.Time) error {
	if was.State != ticket.Waiting {
		return nil
	}
	_, err := s.clocks.Resume(ctx, tx, clock.Select{Subject: row.ID},
		clock.Act{At: at, Reason: ticket.PauseReason(was.WaitFor)})
	return err
}

// nextRound starts the clocks of a round by the tier that the customer has by now.
func (s *Server) nextRound(ctx context.Context, tx *write.Tx, row *db.Ticket, at time.Time) error {
	tier, err := s.tierOf(ctx, tx, row)
	if err != nil {
		return err
	}
	if err := s.setTier(ctx, tx, row, tier); err != nil {
		return err
	}
	return s.startClocks(ctx, tx, row, clock.Act{At: at, Reason: reasonRestarted}, ticket.EventOpened)
}

func (s *Server) setTier(ctx context.Context, tx *write.Tx, row *db.Ticket, tier int16) error {
	if row.ServiceTier == tier {
		return nil
	}
	row.ServiceTier = tier
	if err := s.q.SetServiceTier(ctx, tx, tier, row.ID); err != nil {
		return fmt.Errorf("store the tier: %w", err)
	}
	return nil
}

// replied brings the clocks of a ticket in step with a public reply by staff.
func (s *Server) replied(ctx context.Context, tx *write.Tx, row *db.Ticket, at time.Time) error {
	if !clocked(row) || !ticket.Open(ticket.State(row.State)) {
		return nil
	}
	if err := s.stopClocks(ctx, tx, row, clock.Act{At: at}, ticket.OnReply()...); err != nil {
		return fmt.Errorf("clocks of the ticket: %w", err)
	}
	if err := s.startClocks(ctx, tx, row, clock.Act{At: at, Reason: reasonRestarted}, ticket.OnReply()...); err != nil {
		return fmt.Errorf("clocks of the ticket: %w", err)
	}
	return nil
}

// handOver gives the open clocks of a ticket to whom it belongs now.
func (s *Server) handOver(ctx context.Context, tx *write.Tx, row *db.Ticket, act clock.Act) error {
	p, err := s.rules(ctx, tx, row)
	if err != nil {
		return err
	}
	kinds, choices := chosen(p, row, func(*clockv1.PolicyClause) bool { return true })
	var owners []clock.Owner
	kindsOf := map[clock.Owner][]string{}
	for i, choice := range choices {
		to := keeper(choice.Clause, row)
		if _, ok := kindsOf[to]; !ok {
			owners = append(owners, to)
		}
		kindsOf[to] = append(kindsOf[to], kinds[i])
	}
	for _, to := range owners {
		if _, err := s.clocks.HandOver(ctx, tx, clock.Select{Subject: row.ID, Kinds: kindsOf[to]}, act, to); err != nil {
			return err
		}
	}
	return nil
}

// retarget gives the open clocks of a ticket the targets that apply to it now, from their
// original start. What ended was judged by the standard of its time and stays.
func (s *Server) retarget(ctx context.Context, tx *write.Tx, row *db.Ticket, act clock.Act) error {
	p, err := s.rules(ctx, tx, row)
	if err != nil {
		return err
	}
	var ended []string
	_, err = s.clocks.Retarget(ctx, tx, clock.Select{Subject: row.ID}, act, func(c *clock.Clock) (clock.Terms, bool, error) {
		choice, ok := policy.Pick(p, c.Kind, facts(row))
		if !ok {
			ended = append(ended, c.Kind)
			return clock.Terms{}, false, nil
		}
		terms, err := s.terms(ctx, tx, p, choice, c.State.Start)
		return terms, err == nil, err
	})
	if err != nil {
		return err
	}
	if len(ended) > 0 {
		if _, err := s.clocks.Cancel(ctx, tx, clock.Select{Subject: row.ID, Kinds: ended}, clock.Act{At: act.At, Reason: policy.ReasonNoDeadline}); err != nil {
			return err
		}
	}
	return s.startMissing(ctx, tx, p, row)
}

// HandleCustomer takes over what the registry tells of a customer and gives the clocks of
// their open tickets the targets of their tier. It is the Handle of an event.Consumer.
func (s *Server) HandleCustomer(ctx context.Context, tx pgx.Tx, env *eventv1.Envelope) error {
	if err := customerref.Handle(ctx, tx, env); err != nil {
		return err
	}
	if t := env.GetType(); t != customerref.TypeCreated && t != customerref.TypeChanged {
		return nil
	}
	payload, err := event.Unpack[*customerv1.CustomerChanged](env)
	if err != nil {
		return err
	}
	id, err := uuid.Parse(payload.GetCustomer().GetId())
	if err != nil {
		return fmt.Errorf("id of the customer: %w", err)
	}
	// Whatever the event changed: an answer of the registry may have brought it before.
	rows, err := s.q.LockTicketsOfOtherTier(ctx, tx, id)
	if err != nil {
		return fmt.Errorf("find tickets of another tier: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	return write.Effect(ctx, s.write, tx, env, func(ctx context.Context, tx *write.Tx) error {
		return s.retier(ctx, tx, rows, reasonTier)
	})
}
