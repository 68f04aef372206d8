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
	reasonReleased  = "released"
	reasonRehomed   = "rehomed"
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
func (s *Server) firstClocks(ctx context.Context, on db.DBTX, row *db.Ticket) ([]clock.Opening, error) {
	specs, err := s.starting(ctx, on, row, row.CreateTime, ticket.EventCreated, ticket.EventOpened)
	if err != nil {
		return nil, err
	}
	return s.clocks.Prepare(ctx, on, specs...)
}

// ticketClocks are the open clocks of a held ticket, for the changes of one write.
type ticketClocks struct {
	*clock.Case
	s   *Server
	tx  *write.Tx
	row *db.Ticket
}

// holdClocks holds the open clocks of a ticket, and where asked for those that ended; nil for
// a ticket without.
func (s *Server) holdClocks(ctx context.Context, tx *write.Tx, row *db.Ticket, ended bool) (*ticketClocks, error) {
	if !clocked(row) {
		return nil, nil
	}
	held, err := s.clocks.Hold(ctx, tx, clock.Select{Subject: row.ID, Ended: ended})
	if err != nil {
		return nil, fmt.Errorf("clocks of the ticket: %w", err)
	}
	return &ticketClocks{held, s, tx, row}, nil
}

// keep has what changed of the clocks stored soon.
func (c *ticketClocks) keep(ctx context.Context) error {
	if c == nil {
		return nil
	}
	return c.Queue(ctx, c.tx.Soon())
}

// start starts the clocks of a ticket that events start. One of the kind that is open
// is given up for the new one, for a reason.
func (c *ticketClocks) start(ctx context.Context, act clock.Act, events ...string) error {
	specs, err := c.s.starting(ctx, c.tx, c.row, act.At, events...)
	if err != nil || len(specs) == 0 {
		return err
	}
	kinds := make([]string, len(specs))
	for i := range specs {
		kinds[i] = specs[i].Kind
	}
	if _, err := c.Cancel(ctx, clock.Select{Kinds: kinds}, act); err != nil {
		return err
	}
	if err := c.Start(ctx, specs...); err != nil {
		return err
	}
	if ticket.State(c.row.State) != ticket.Waiting {
		return nil
	}
	_, err = c.Pause(ctx, clock.Select{Kinds: kinds},
		clock.Act{At: act.At, Reason: ticket.PauseReason(ticketv1.WaitFor(c.row.WaitFor))})
	return err
}

// stop stops the open clocks of a ticket that events stop.
func (c *ticketClocks) stop(ctx context.Context, act clock.Act, events ...string) error {
	p, err := c.s.rules(ctx, c.tx, c.row)
	if err != nil {
		return err
	}
	kinds, _ := chosen(p, c.row, stoppedBy(events...))
	if len(kinds) == 0 {
		return nil
	}
	_, err = c.Stop(ctx, clock.Select{Kinds: kinds}, act)
	return err
}

// follow brings the clocks of a ticket in step with a move that brought it from a standing
// to where the row stands, and has the row know when it is due. They are not kept yet; nil
// where the move is none of theirs.
func (s *Server) follow(ctx context.Context, tx *write.Tx, was ticket.Standing, row *db.Ticket, m ticket.Move) (*ticketClocks, error) {
	quiet := m.Verb == ticket.Start || m.Verb == ticket.Confirm || m.Verb == ticket.Close || m.Verb == ticket.Contact && !m.TwoWay
	if quiet || !clocked(row) {
		return nil, nil
	}
	if m.Verb == ticket.Unmerge {
		if err := s.goBack(ctx, tx, row); err != nil {
			return nil, fmt.Errorf("clocks of the ticket: %w", err)
		}
	}
	retargets := m.Verb == ticket.Triage || m.Verb == ticket.Prioritize || m.Verb == ticket.Retarget
	c, err := s.holdClocks(ctx, tx, row, retargets)
	if err != nil {
		return nil, err
	}
	err = c.follow(ctx, was, m)
	if err == nil && (m.Verb == ticket.Resolve || m.Verb == ticket.Cancel || m.Verb == ticket.Merge) {
		err = s.lapse(ctx, tx, row, m.At)
	}
	if err != nil {
		return nil, fmt.Errorf("clocks of the ticket: %w", err)
	}
	row.DueTime = timePtr(c.Due())
	return c, nil
}

func (c *ticketClocks) follow(ctx context.Context, was ticket.Standing, m ticket.Move) (err error) {
	switch m.Verb {
	case ticket.Triage:
		if err = c.handOver(ctx, clock.Act{At: m.At, Reason: reasonTriaged}); err == nil {
			err = c.retarget(ctx, clock.Act{At: m.At, Reason: reasonPriority})
		}
	case ticket.Prioritize:
		err = c.retarget(ctx, clock.Act{At: m.At, Reason: reasonPriority})
	case ticket.Assign:
		err = c.assigned(ctx, was, m.At)
	case ticket.HandOver:
		err = c.handedOver(ctx, was, m.At)
	case ticket.Release:
		err = c.handOver(ctx, clock.Act{At: m.At, Reason: reasonReleased})
	case ticket.Rehome:
		err = c.handOver(ctx, clock.Act{At: m.At, Reason: reasonRehomed})
	case ticket.Retarget:
		err = c.retarget(ctx, clock.Act{At: m.At, Reason: reasonPolicy})
	case ticket.Contact:
		err = c.contacted(ctx, m)
	case ticket.Wait:
		_, err = c.Pause(ctx, clock.Select{}, clock.Act{At: m.At, Reason: ticket.PauseReason(m.WaitFor)})
	case ticket.Resume:
		err = c.goOn(ctx, was, m.At)
	case ticket.Resolve:
		err = c.resolved(ctx, m.At)
	case ticket.Reopen:
		err = c.nextRound(ctx, m.At)
	case ticket.Cancel:
		_, err = c.Cancel(ctx, clock.Select{}, clock.Act{At: m.At, Reason: reasonCancelled})
	case ticket.Merge:
		_, err = c.Cancel(ctx, clock.Select{}, clock.Act{At: m.At, Reason: reasonMerged})
	}
	return err
}

// resolved ends the clocks of a round with its solution. Clocks that wait are judged by when
// they were paused, so they do not go on first.
func (c *ticketClocks) resolved(ctx context.Context, at time.Time) error {
	if err := c.stop(ctx, clock.Act{At: at}, ticket.EventResolved); err != nil {
		return err
	}
	answered := clock.Act{At: at, Reason: reasonResolved}
	if err := c.stop(ctx, answered, ticket.OnResolve()...); err != nil {
		return err
	}
	// What a solution does not stand for: nobody had a word with the customer.
	_, err := c.Cancel(ctx, clock.Select{}, answered)
	return err
}

// assigned hands the open clocks of a ticket over. What runs from the assignment is each
// assignee's own: somebody else's begins anew, the same person's goes on.
func (c *ticketClocks) assigned(ctx context.Context, was ticket.Standing, at time.Time) error {
	if err := c.goOn(ctx, was, at); err != nil {
		return err
	}
	if was.Assignee != idValue(c.row.AssigneeStaffID) {
		if err := c.start(ctx, clock.Act{At: at, Reason: reasonHandedOn}, ticket.EventAssigned); err != nil {
			return err
		}
	}
	return c.handOver(ctx, clock.Act{At: at, Reason: reasonAssigned})
}

// handedOver is assigned for a ticket that keeps its state: one that waits keeps its clocks too.
func (c *ticketClocks) handedOver(ctx context.Context, was ticket.Standing, at time.Time) error {
	if was.State == ticket.Waiting {
		return c.handOver(ctx, clock.Act{At: at, Reason: reasonHandedOn})
	}
	return c.assigned(ctx, was, at)
}

// contacted stops the clocks that a two-way contact meets. One that started after the
// contact took place is not met by it.
func (c *ticketClocks) contacted(ctx context.Context, m ticket.Move) error {
	if !m.TwoWay || !ticket.Open(ticket.State(c.row.State)) {
		return nil
	}
	p, err := c.s.rules(ctx, c.tx, c.row)
	if err != nil {
		return err
	}
	kinds, _ := chosen(p, c.row, stoppedBy(ticket.OnContact()...))
	if len(kinds) == 0 {
		return nil
	}
	_, err = c.Stop(ctx, clock.Select{Kinds: kinds, StartedBy: m.ContactTime}, clock.Act{At: m.ContactTime})
	return err
}

// goOn ends the pause of a ticket that waited.
func (c *ticketClocks) goOn(ctx context.Context, was ticket.Standing, at time.Time) error {
	if was.State != ticket.Waiting {
		return nil
	}
	_, err := c.Resume(ctx, clock.Select{}, clock.Act{At: at, Reason: ticket.PauseReason(was.WaitFor)})
	return err
}

// nextRound starts the clocks of a round by the tier that the customer has by now.
func (c *ticketClocks) nextRound(ctx context.Context, at time.Time) error {
	tier, err := c.s.tierOf(ctx, c.tx, c.row)
	if err != nil {
		return err
	}
	if err := c.s.setTier(ctx, c.tx, c.row, tier); err != nil {
		return err
	}
	return c.start(ctx, clock.Act{At: at, Reason: reasonRestarted}, ticket.EventOpened)
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
	c, err := s.holdClocks(ctx, tx, row, false)
	if err != nil {
		return err
	}
	if err := c.stop(ctx, clock.Act{At: at}, ticket.OnReply()...); err != nil {
		return fmt.Errorf("clocks of the ticket: %w", err)
	}
	if err := c.start(ctx, clock.Act{At: at, Reason: reasonRestarted}, ticket.OnReply()...); err != nil {
		return fmt.Errorf("clocks of the ticket: %w", err)
	}
	return c.keep(ctx)
}

// handOver gives the open clocks of a ticket to whom it belongs now.
func (c *ticketClocks) handOver(ctx context.Context, act clock.Act) error {
	p, err := c.s.rules(ctx, c.tx, c.row)
	if err != nil {
		return err
	}
	kinds, choices := chosen(p, c.row, func(*clockv1.PolicyClause) bool { return true })
	for i, choice := range choices {
		if _, err := c.HandOver(ctx, clock.Select{Kinds: kinds[i : i+1]}, act, keeper(choice.Clause, c.row)); err != nil {
			return err
		}
	}
	return nil
}

// retarget gives the open clocks of a ticket the targets that apply to it now, from their
// original start, and starts those it has none of. What ended, which must be held too, was
// judged by the standard of its time and stays.
func (c *ticketClocks) retarget(ctx context.Context, act clock.Act) error {
	p, err := c.s.rules(ctx, c.tx, c.row)
	if err != nil {
		return err
	}
	var ended []string
	_, err = c.Retarget(ctx, clock.Select{}, act, func(one *clock.Clock) (clock.Terms, bool, error) {
		choice, ok := policy.Pick(p, one.Kind, facts(c.row))
		if !ok {
			ended = append(ended, one.Kind)
			return clock.Terms{}, false, nil
		}
		terms, err := c.s.terms(ctx, c.tx, p, choice, one.State.Start)
		return terms, err == nil, err
	})
	if err != nil {
		return err
	}
	if len(ended) > 0 {
		if _, err := c.Cancel(ctx, clock.Select{Kinds: ended}, clock.Act{At: act.At, Reason: policy.ReasonNoDeadline}); err != nil {
			return err
		}
	}
	return c.startMissing(ctx, p)
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
