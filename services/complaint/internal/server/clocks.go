package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Why clocks of a complaint change or stop, as their logs have it.
const (
	reasonReviewed   = "severity-changed"
	reasonReassigned = "reassigned"
	reasonProposed   = "proposed"
	reasonAttempted  = "attempted"
	reasonHead       = "head-changed"
	reasonPolicy     = "policy-retargeted"
	reasonRestarted  = "restarted"
)

// clocked tells whether a complaint has clocks: history that was imported has none.
func clocked(c *db.Complaint) bool { return c.Source == nil }

// course is what the clocks of a complaint in its present round go by.
type course struct {
	*Server
	on    db.DBTX
	c     *db.Complaint
	round *db.ComplaintRound
	// registrar is who registered it; known with the registration alone.
	registrar uuid.UUID
	policy    *clockv1.Policy
	facts     policy.Facts
}

// course reads what the clocks of a complaint go by. Here alone a complaint gets its policy.
func (s *Server) course(ctx context.Context, on db.DBTX, c *db.Complaint, round *db.ComplaintRound) (*course, error) {
	p, err := s.book.Published(ctx, on, c.PolicyVersion)
	var public *rpcerr.Error
	if errors.As(err, &public) {
		// A complaint names versions that are there, so this is no fault of the caller.
		return nil, fmt.Errorf("policy of complaint %s: %s", c.ID, public.Error())
	}
	if err != nil {
		return nil, err
	}
	return &course{
		Server: s, on: on, c: c, round: round, policy: p,
		facts: policy.Facts{
			Channel:  typev1.Channel(c.Channel),
			Severity: complaint.SeverityName(complaintv1.Severity(c.Severity)),
		},
	}, nil
}

// clause is one that applies to a complaint, and the kind of clock it is about.
type clause struct {
	kind string
	policy.Choice
}

// chosen are the clauses that apply and of which want is true, in the order of the policy.
func (k *course) chosen(want func(*clockv1.PolicyClause) bool) []clause {
	var out []clause
	for _, kind := range policy.Kinds(k.policy) {
		if choice, ok := policy.Pick(k.policy, kind, k.facts); ok && want(choice.Clause) {
			out = append(out, clause{kind, choice})
		}
	}
	return out
}

// kinds names the clocks of which want is true.
func (k *course) kinds(want func(*clockv1.PolicyClause) bool) []string {
	var out []string
	for _, c := range k.chosen(want) {
		out = append(out, c.kind)
	}
	return out
}

func startsAt(events ...string) func(*clockv1.PolicyClause) bool {
	return func(c *clockv1.PolicyClause) bool { return slices.Contains(events, c.GetStartEvent()) }
}

func keptBy(role string) func(*clockv1.PolicyClause) bool {
	return func(c *clockv1.PolicyClause) bool { return c.GetOwnerRole() == role }
}

// calendar loads a calendar as it is now.
func (k *course) calendar(ctx context.Context) policy.Calendars {
	return func(id string) (*worktime.Calendar, error) {
		cal, _, err := k.calendars.Load(ctx, k.on, id)
		return cal, err
	}
}

// events tells when what floors count from happened.
func (k *course) events() map[string]time.Time {
	out := map[string]time.Time{complaint.EventReceived: k.c.CreateTime, complaint.EventOpened: k.round.StartTime}
	for event, at := range map[string]*time.Time{
		complaint.EventSubmitted: k.round.SubmitTime, complaint.EventReviewed: k.round.ReviewTime,
		complaint.EventAssigned: k.round.AssignTime, complaint.EventContacted: k.round.ContactTime,
	} {
		if at != nil {
			out[event] = *at
		}
	}
	return out
}

// spec makes the clock of a clause that starts at an instant.
func (k *course) spec(ctx context.Context, of clause, at time.Time) (clock.Spec, error) {
	terms, _, err := of.Terms(k.policy, at, k.events(), k.calendar(ctx))
	if err != nil {
		return clock.Spec{}, err
	}
	owner, err := k.keeper(ctx, of.Clause)
	return clock.Spec{
		Subject: clock.Subject{Type: complaint.SubjectType, ID: k.c.ID}, Kind: of.kind, Round: k.c.Round, At: at,
		Owner: owner, Terms: terms,
	}, err
}

// keeper is who is to keep a clock.
func (k *course) keeper(ctx context.Context, c *clockv1.PolicyClause) (clock.Owner, error) {
	owner := clock.Owner{Role: c.GetOwnerRole()}
	switch owner.Role {
	case complaint.RoleHandler:
		owner.StaffID, owner.DepartmentID = value(k.c.HandlerStaffID), value(k.c.DepartmentID)
	case complaint.RoleHead:
		unit, err := k.responsible(ctx, k.on, k.c)
		owner.StaffID, owner.DepartmentID = unit.HeadStaffID, value(k.c.DepartmentID)
		return owner, err
	case access.ServiceAgent:
		owner.StaffID, owner.DepartmentID = k.registrar, value(k.c.RegisteredIn)
	case access.ServiceSupervisor:
		desk, err := directory.DepartmentByFunction(ctx, k.on, ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_COMPLAINT_DESK)
		if err != nil && !errors.Is(err, directory.ErrUnknown) {
			return owner, err
		}
		owner.DepartmentID = desk.ID
	case access.ServiceManager:
		role, err := k.decider(ctx)
		owner.Role = role
		return owner, err
	}
	return owner, nil
}

// responsible is the department that answers for the complaint; the zero Unit before the review.
func (s *Server) responsible(ctx context.Context, on db.DBTX, c *db.Complaint) (directory.Unit, error) {
	if c.DepartmentID == nil {
		return directory.Unit{}, nil
	}
	unit, err := directory.Department(ctx, on, *c.DepartmentID)
	if errors.Is(err, directory.ErrUnknown) {
		return directory.Unit{}, nil
	}
	return unit, err
}

// decider is the role that decides on the round's proposal.
func (k *course) decider(ctx context.Context) (string, error) {
	unit, err := k.responsible(ctx, k.on, k.c)
	if err != nil {
		return "", err
	}
	proposal, err := k.q.GetProposal(ctx, k.on, k.c.ID, k.c.Round)
	if err != nil && !missing(err) {
		return "", fmt.Errorf("read the proposal: %w", err)
	}
	amount := complaint.Amount{Units: proposal.AmountUnits, Nanos: proposal.AmountNanos}
	return complaint.Decider(unit.Function, amount, k.limits), nil
}

// start starts clocks.
func (k *course) start(ctx context.Context, tx *write.Tx, at time.Time, want func(*clockv1.PolicyClause) bool) error {
	var specs []clock.Spec
	for _, c := range k.chosen(want) {
		spec, err := k.spec(ctx, c, at)
		if err != nil {
			return err
		}
		specs = append(specs, spec)
	}
	if len(specs) == 0 {
		return nil
	}
	// Policies are data: one may let the start of an open clock come again.
	again := clock.Select{Subject: k.c.ID, Kinds: k.kinds(want)}
	if _, err := k.clocks.Cancel(ctx, tx, again, clock.Act{At: at, Reason: reasonRestarted}); err != nil {
		return err
	}
	_, err := k.clocks.Start(ctx, tx, specs...)
	return err
}

// open selects the open clocks of some kinds; it is false where there is no kind.
func (k *course) open(want func(*clockv1.PolicyClause) bool) (clock.Select, bool) {
	kinds := k.kinds(want)
	return clock.Select{Subject: k.c.ID, Kinds: kinds}, len(kinds) > 0
}

// stop stops the open clocks that events stop.
func (k *course) stop(ctx context.Context, tx *write.Tx, act clock.Act, events []string) error {
	sel, ok := k.open(func(c *clockv1.PolicyClause) bool { return slices.Contains(events, c.GetStopEvent()) })
	if !ok {
		return nil
	}
	_, err := k.clocks.Stop(ctx, tx, sel, act)
	return err
}

// extend leaves the open clocks that events extend what they have to have from then on.
func (k *course) extend(ctx context.Context, tx *write.Tx, at time.Time, events []string) error {
	for _, c := range k.chosen(func(c *clockv1.PolicyClause) bool {
		return c.GetExtension() != nil && slices.Contains(events, c.GetExtension().GetStartEvent())
	}) {
		target := clock.TargetOf(c.Clause.GetExtension().GetTarget())
		if target.WorkingDays > 0 {
			cal, err := k.calendar(ctx)(c.Clause.GetCalendarId())
			if err != nil {
				return err
			}
			if target.WorkingTime, err = cal.WorkingTime(at, target.WorkingDays); err != nil {
				return err
			}
		}
		sel := clock.Select{Subject: k.c.ID, Kinds: []string{c.kind}}
		act := clock.Act{At: at, Reason: c.Clause.GetExtension().GetStartEvent()}
		if _, err := k.clocks.Extend(ctx, tx, sel, act, target.WorkingTime); err != nil {
			return err
		}
	}
	return nil
}

// handOver gives open clocks to whose they are by now, and says whether one changed hands.
func (k *course) handOver(ctx context.Context, tx *write.Tx, act clock.Act, want func(*clockv1.PolicyClause) bool) (bool, error) {
	changed := false
	for _, c := range k.chosen(want) {
		to, err := k.keeper(ctx, c.Clause)
		if err != nil {
			return false, err
		}
		sel := clock.Select{Subject: k.c.ID, Kinds: []string{c.kind}}
		moved, err := k.clocks.HandOver(ctx, tx, sel, act, to)
		if err != nil {
			return false, err
		}
		changed = changed || len(moved) > 0
	}
	return changed, nil
}

// retarget gives the open clocks the targets that apply by now, from their original start.
func (k *course) retarget(ctx context.Context, tx *write.Tx, act clock.Act) error {
	var ended []string
	_, err := k.clocks.Retarget(ctx, tx, clock.Select{Subject: k.c.ID}, act, func(c *clock.Clock) (clock.Terms, bool, error) {
		choice, ok := policy.Pick(k.policy, c.Kind, k.facts)
		if !ok {
			ended = append(ended, c.Kind)
			return clock.Terms{}, false, nil
		}
		terms, _, err := choice.Terms(k.policy, c.State.Start, k.events(), k.calendar(ctx))
		return terms, err == nil, err
	})
	if err != nil || len(ended) == 0 {
		return err
	}
	_, err = k.clocks.Cancel(ctx, tx, clock.Select{Subject: k.c.ID, Kinds: ended}, clock.Act{At: act.At, Reason: policy.ReasonNoDeadline})
	return err
}

// follow brings the clocks of a complaint in step with a move that was stored.
func (s *Server) follow(ctx context.Context, a *action) error {
	events := complaint.Happens(a.step.Verb)
	if !clocked(&a.c) || events == nil && a.step.Verb != complaint.Return && a.step.Verb != complaint.Retarget && !a.raised {
		return nil
	}
	round := &a.round
	if a.opened != nil {
		round = &db.ComplaintRound{
			StartTime: a.opened.StartTime, SubmitTime: a.opened.SubmitTime, ReviewTime: a.opened.ReviewTime,
		}
	}
	k, err := s.course(ctx, a.tx, &a.c, round)
	if err == nil {
		err = k.follow(ctx, a, events)
	}
	if err != nil {
		return fmt.Errorf("clocks of the complaint: %w", err)
	}
	return nil
}

func (k *course) follow(ctx context.Context, a *action, events []string) error {
	act := clock.Act{At: a.occur}
	if a.step.Verb == complaint.Retarget {
		if err := k.retarget(ctx, a.tx, clock.Act{At: a.occur, Reason: reasonPolicy}); err != nil {
			return err
		}
		return k.startMissing(ctx, a.tx)
	}
	if a.raised {
		return k.retarget(ctx, a.tx, clock.Act{At: a.occur, Reason: reasonReviewed})
	}
	if a.step.Verb == complaint.Contact {
		act.At = *a.round.ContactTime
		if !a.twoWay {
			act.Reason = reasonAttempted
		}
	}
	if a.step.Verb == complaint.Assign && a.step.From != complaint.Reviewed {
		return k.reassign(ctx, a)
	}
	if err := k.stop(ctx, a.tx, act, events); err != nil {
		return err
	}
	if a.step.Verb == complaint.Review {
		if err := k.retarget(ctx, a.tx, clock.Act{At: act.At, Reason: reasonReviewed}); err != nil {
			return err
		}
	}
	if err := k.turn(ctx, a); err != nil {
		return err
	}
	if err := k.extend(ctx, a.tx, act.At, events); err != nil {
		return err
	}
	if a.step.Verb == complaint.Propose {
		return k.proposed(ctx, a, events)
	}
	if err := k.start(ctx, a.tx, act.At, startsAt(events...)); err != nil || a.step.Verb != complaint.Review {
		return err
	}
	return k.startMissing(ctx, a.tx)
}

// turn passes the time from the handler to whoever decides, and back.
func (k *course) turn(ctx context.Context, a *action) error {
	all := clock.Select{Subject: k.c.ID}
	pending := clock.Act{At: a.occur, Reason: clock.ReasonApprovalPending}
	returned := clock.Act{At: a.occur, Reason: clock.ReasonReturned}
	var err error
	switch a.step.Verb {
	case complaint.Propose:
		if _, err = k.clocks.Resume(ctx, a.tx, all, returned); err == nil {
			_, err = k.clocks.Pause(ctx, a.tx, all, pending)
		}
	case complaint.Return:
		if _, err = k.clocks.Pause(ctx, a.tx, all, returned); err == nil {
			_, err = k.clocks.Resume(ctx, a.tx, all, pending)
		}
	case complaint.Approve:
		_, err = k.clocks.Resume(ctx, a.tx, all, pending)
	}
	return err
}

// proposed starts the clock of whoever decides, with the round's first proposal; a later
// one may be another's to decide.
func (k *course) proposed(ctx context.Context, a *action, events []string) error {
	proposal, err := k.q.GetProposal(ctx, k.on, k.c.ID, k.c.Round)
	if err != nil {
		return fmt.Errorf("read the proposal: %w", err)
	}
	if proposal.Number > 1 {
		_, err = k.handOver(ctx, a.tx, clock.Act{At: a.occur, Reason: reasonProposed}, startsAt(events...))
		return err
	}
	return k.start(ctx, a.tx, a.occur, startsAt(events...))
}

// reassign gives the round's clocks to another handler. What the customer waits for does
// not begin anew; who takes over after a contact has to make their own.
func (k *course) reassign(ctx context.Context, a *action) error {
	if _, err := k.handOver(ctx, a.tx, clock.Act{At: a.occur, Reason: reasonReassigned}, keptBy(complaint.RoleHandler)); err != nil {
		return err
	}
	if a.step.From != complaint.Contacted {
		return nil
	}
	return k.start(ctx, a.tx, a.occur, func(c *clockv1.PolicyClause) bool {
		return c.GetStartEvent() == complaint.EventAssigned && c.GetStopEvent() == complaint.EventContacted
	})
}
