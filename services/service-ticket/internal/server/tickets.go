package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/triage"
)

const (
	// customerKey is violated by a customer that is not known here, or merged away.
	customerKey = "tickets_customer_id_fkey"
	// tierKey is violated by clocks made ready for another tier than the customer has.
	tierKey = "tickets_service_tier_check"
	// departmentKey is violated by a department that is not known, or closed.
	departmentKey = "tickets_department_id_fkey"
	// retiredKey is violated by a customer whose file is retired.
	retiredKey = "tickets_customer_retired_check"
	// createTries bounds how often a ticket is made ready anew.
	createTries = 4
)

// CreateTicket registers a ticket. It is the hot path: but for the number, which is drawn
// before, everything travels in one round trip.
func (s *Server) CreateTicket(ctx context.Context, req *ticketv1.CreateTicketRequest) (*ticketv1.Ticket, error) {
	var calendars calendar.Glance
	row, told, err := s.draft(ctx, req.GetTicket(), &calendars)
	if err != nil {
		return nil, err
	}
	ctx = calendars.In(ctx)
	// Once more when the customer turns out to be unknown here, merged meanwhile, or of
	// another tier, or the department was closed since the rules were read. Of one who is retired ensure says so.
	for try := 1; ; try++ {
		key, err := s.reporterKey(ctx, row.Ticket, told)
		if err != nil {
			return nil, err
		}
		clocks, err := s.firstClocks(ctx, s.pool, row.Ticket)
		if err != nil {
			return nil, err
		}
		row.DueTime = soonest(clocks)
		t, err := s.insert(ctx, req, row, told, key, clocks)
		unknown := pg.Violates(err, customerKey) || pg.Violates(err, retiredKey)
		closed := pg.Violates(err, departmentKey)
		if try == createTries || !unknown && !closed && !pg.Violates(err, tierKey) {
			return t, err
		}
		if closed {
			open, err := s.openDepartment(ctx, s.pool, idValue(row.DepartmentID))
			if err != nil {
				return nil, err
			}
			row.DepartmentID = idPtr(open)
		}
		if unknown {
			if err := s.ensure(ctx, row.Ticket); err != nil {
				return nil, err
			}
		}
		if row.ServiceTier, err = s.q.GetServiceTier(ctx, s.pool, row.CustomerID); err != nil {
			return nil, fmt.Errorf("read the tier: %w", err)
		}
	}
}

// soonest gives when the first of some new clocks is due, nil for none.
func soonest(clocks []clock.Opening) (due *time.Time) {
	for i := range clocks {
		if at := clocks[i].Clock.Due; !at.IsZero() && (due == nil || at.Before(*due)) {
			due = &at
		}
	}
	return due
}

// reporterKey is the key of the customer, under whom the reporter's contacts are kept; nil
// where the ticket itself is the subject or there is nothing to keep. A key is made for
// customers who exist.
func (s *Server) reporterKey(ctx context.Context, row *db.Ticket, told reporter) (*pii.Subject, error) {
	if row.CustomerID == nil || !told.contacts() {
		return nil, nil
	}
	if err := s.ensure(ctx, row); err != nil {
		return nil, err
	}
	key, err := s.keys.Subject(ctx, s.pool, row.ReporterSubjectID)
	return key, erased(err)
}

// ensure makes the ticket's customer known here and names the survivor of a merge.
func (s *Server) ensure(ctx context.Context, row *db.Ticket) error {
	ref, err := customerref.EnsureActive(ctx, s.pool, *row.CustomerID, "ticket.customer_id", s.registry)
	if err != nil {
		return err
	}
	row.CustomerID, row.ReporterSubjectID = &ref.ID, ref.ID
	return nil
}

// newTicket is the row of a new ticket, and what it was taken for.
type newTicket struct {
	*db.Ticket
	triage *ticketv1.TicketTriage
}

// draft makes the row of a new ticket from what the caller tells, and its number.
// With it the versions of calendars are read.
func (s *Server) draft(ctx context.Context, t *ticketv1.Ticket, calendars *calendar.Glance) (*newTicket, reporter, error) {
	if t.GetChannel() == typev1.Channel_CHANNEL_UNKNOWN {
		return nil, reporter{}, rpcerr.Invalid("ticket.channel", rpcerr.T(
			"CHANNEL_UNKNOWN is for imported tickets only; say how this one arrived",
			"CHANNEL_UNKNOWN 仅用于导入的工单；请填写该工单的来源渠道"))
	}
	told, faults := s.normalize(t.GetReporter())
	if len(faults) > 0 {
		return nil, reporter{}, invalid("ticket.", faults)
	}
	id, err := newID()
	if err != nil {
		return nil, reporter{}, err
	}
	owner, err := s.registrant(ctx, t.GetCustomerId())
	if err != nil {
		return nil, reporter{}, err
	}
	needs := needsOf(t.GetNeeds())
	if err := ticket.CheckNeeds("ticket.needs", needs); err != nil {
		return nil, reporter{}, err
	}
	if customer(ctx) != uuid.Nil && len(needs.Skills) > 0 {
		return nil, reporter{}, rpcerr.Invalid("ticket.needs.skills", rpcerr.T(
			"the desk says which skills a ticket needs; leave them out", "工单所需技能由客服确定；请不要填写"))
	}
	now := s.now()
	row := newRow(id, owner, t, now)
	row.Needs = needs.String()
	st, err := s.policy.Apply(standing(row), ticket.Move{Verb: ticket.Create, At: now})
	if err != nil {
		return nil, reporter{}, err
	}
	stand(row, st)
	drawn, err := s.q.DrawTicketAnd(ctx, s.pool, row.CustomerID, now, calendars.Queue)
	if err != nil {
		return nil, reporter{}, fmt.Errorf("draw a ticket number: %w", err)
	}
	row.Number, row.ServiceTier, row.PolicyVersion = ticketNumber(drawn.Number, now), drawn.ServiceTier, drawn.PolicyVersion
	taken, err := s.triaged(ctx, s.pool, row, triageGiven{t.GetType(), saidWeight(t)}, drawn.TriageVersion, drawn.RoutingVersion)
	return &newTicket{row, taken}, told, err
}

// registrant is the customer a new ticket is for: customers register for themselves.
func (s *Server) registrant(ctx context.Context, given string) (uuid.UUID, error) {
	id, err := parseOptional("ticket.customer_id", given)
	if err != nil {
		return uuid.Nil, err
	}
	who := customer(ctx)
	if who == uuid.Nil {
		return id, nil
	}
	if id != uuid.Nil && id != who {
		return uuid.Nil, rpcerr.Invalid("ticket.customer_id", rpcerr.T(
			"customers register tickets for themselves only; leave it empty or give your own id",
			"客户只能为自己登记工单；请留空或填写您自己的客户 id"))
	}
	return who, nil
}

// newRow fills a row with what a caller may tell of a new ticket, and the defaults.
func newRow(id, owner uuid.UUID, t *ticketv1.Ticket, now time.Time) *db.Ticket {
	row := &db.Ticket{
		ID: id, CustomerID: idPtr(owner), Channel: int16(t.GetChannel()),
		Mode:  int16(given(t.GetMode(), ticketv1.Mode_MODE_PASSIVE)),
		Phase: int16(given(t.GetPhase(), ticketv1.Phase_PHASE_AFTER_SALE)),
		Type:  int16(given(t.GetType(), ticketv1.TicketType_TICKET_TYPE_OTHER)),
		Title: t.GetTitle(), Description: t.GetDescription(), ProductModel: t.GetProductModel(),
		SerialNumber: t.GetSerialNumber(), OrderNumber: t.GetOrderNumber(), ReporterSubjectID: owner,
		CreateTime: now, UpdateTime: now, Version: 1,
	}
	if owner == uuid.Nil {
		row.ReporterSubjectID = id
	}
	setWeight(row, triage.Weigh(nil, saidWeight(t), triage.Decision{}))
	return row
}

// given is the value, or the default for none.
func given[E ~int32](value, otherwise E) E {
	if value == 0 {
		return otherwise
	}
	return value
}

// ticketNumber is made of the month of registration and a sequence that never restarts.
func ticketNumber(n int64, now time.Time) string {
	return fmt.Sprintf("T-%s-%06d", now.UTC().Format("200601"), n)
}

// numbers draws ticket numbers.
func (s *Server) numbers(ctx context.Context, on db.DBTX, count int, now time.Time) ([]string, error) {
	drawn, err := s.q.NextTicketNumbers(ctx, on, int32(count))
	if err != nil {
		return nil, fmt.Errorf("draw %d ticket numbers: %w", count, err)
	}
	out := make([]string, 0, count)
	for _, n := range drawn {
		out = append(out, ticketNumber(n, now))
	}
	return out, nil
}

func (s *Server) insert(ctx context.Context, req write.Request, made *newTicket, told reporter, key *pii.Subject, clocks []clock.Opening) (*ticketv1.Ticket, error) {
	row := made.Ticket
	return write.DoBatch(ctx, s.write, req, func(ctx context.Context, tx *write.BatchTx) (*ticketv1.Ticket, error) {
		key := key
		if key == nil && told.contacts() {
			var err error
			if key, err = s.keys.Create(ctx, tx, row.ReporterSubjectID); err != nil {
				return nil, err
			}
		}
		if err := s.seal(row, told, key); err != nil {
			return nil, err
		}
		if err := s.put(ctx, tx.Batch, row, made.triage, transition(ctx, ticket.Create, ticket.None, row, "", row.CreateTime), clocks); err != nil {
			return nil, err
		}
		if err := s.q.RequireServiceTier(ctx, tx, row.CustomerID, row.ServiceTier); err != nil {
			return nil, err
		}
		tx.Emit(ticketEvent(ticket.EventType(ticket.Create), ticket.None, row, row.CreateTime))
		t, err := ticketProto(row, pii.Subjects{row.ReporterSubjectID: key})
		if err != nil {
			return nil, err
		}
		tx.Audit("ticket", row.ID, t)
		return t, nil
	})
}

// put queues what is stored of a new ticket.
func (s *Server) put(ctx context.Context, b *pg.Batch, row *db.Ticket, taken *ticketv1.TicketTriage, made db.InsertTransitionParams, clocks []clock.Opening) error {
	row.Registrar = made.Actor
	if err := s.q.InsertTicket(ctx, b, insertTicket(row)); err != nil {
		return err
	}
	if err := s.keepText(ctx, b, row); err != nil {
		return err
	}
	if err := s.keepTriage(ctx, b, row.ID, taken); err != nil {
		return err
	}
	if err := s.q.InsertTransition(ctx, b, made); err != nil {
		return err
	}
	return s.clocks.Put(ctx, b, clocks...)
}

// open stores a new ticket in a transaction that has read before: row, history, clocks, event
// and audit record. The row needs everything but tier, policy and contacts.
func (s *Server) open(ctx context.Context, tx *write.Tx, row *db.Ticket, given triageGiven, told reporter) error {
	var err error
	if row.ServiceTier, err = s.q.HoldServiceTier(ctx, tx, row.CustomerID); err != nil {
		return fmt.Errorf("read the tier: %w", err)
	}
	if err := s.underPolicy(ctx, tx, row); err != nil {
		return err
	}
	var key *pii.Subject
	switch {
	case !told.contacts():
	case row.CustomerID != nil:
		if key, err = s.keys.Subject(ctx, tx, row.ReporterSubjectID); err != nil {
			return erased(err)
		}
	default:
		if key, err = s.keys.Create(ctx, tx, row.ReporterSubjectID); err != nil {
			return err
		}
	}
	if err := s.seal(row, told, key); err != nil {
		return err
	}
	taken, err := s.triagedNow(ctx, tx, row, given)
	if err != nil {
		return err
	}
	clocks, err := s.firstClocks(ctx, tx, row)
	if err != nil {
		return fmt.Errorf("clocks of the ticket: %w", err)
	}
	row.DueTime = soonest(clocks)
	made := transition(ctx, ticket.Create, ticket.None, row, "", row.CreateTime)
	if err := s.put(ctx, tx.Soon(), row, taken, made, clocks); err != nil {
		return err
	}
	tx.Emit(ticketEvent(ticket.EventType(ticket.Create), ticket.None, row, row.CreateTime))
	tx.Audit("ticket", row.ID, made)
	return nil
}

// GetTicket returns a ticket.
func (s *Server) GetTicket(ctx context.Context, req *ticketv1.GetTicketRequest) (*ticketv1.Ticket, error) {
	row, err := s.find(ctx, "id", req.GetId())
	if err != nil {
		return nil, err
	}
	return s.presentOne(ctx, s.pool, &row)
}

// find reads a ticket that the caller may see.
func (s *Server) find(ctx context.Context, field, given string) (db.Ticket, error) {
	id, err := parseID(field, given)
	if err != nil {
		return db.Ticket{}, err
	}
	caller := authn.FromContext(ctx)
	seen, err := s.q.GetTicketSeen(ctx, s.pool, caller.Issuer, caller.Subject, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return db.Ticket{}, ticketNotFound(id)
	}
	if err != nil {
		return db.Ticket{}, fmt.Errorf("read ticket: %w", err)
	}
	return seen.Ticket, reachSeen(ctx, &seen)
}

// lock reads a ticket that the caller may change, and holds it.
func (s *Server) lock(ctx context.Context, tx *write.Tx, id uuid.UUID, etag string) (*db.Ticket, error) {
	caller := authn.FromContext(ctx)
	locked, err := s.q.LockTicketSeen(ctx, tx, caller.Issuer, caller.Subject, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ticketNotFound(id)
	}
	if err != nil {
		return nil, fmt.Errorf("lock ticket: %w", err)
	}
	seen := db.GetTicketSeenRow(locked)
	if err := reachSeen(ctx, &seen); err != nil {
		return nil, err
	}
	return &seen.Ticket, current(etag, seen.Ticket.Version, "ticket", id)
}
