package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/contactdata"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/intake"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

const (
	// maxCases bounds the open cases that are told.
	maxCases = 20
	// maxMerges bounds how far a case is followed through merges.
	maxMerges = 32
)

// said is what a customer said on its way to a case.
type said struct {
	// source and id name the message, thread the conversation; empty where it has none.
	source, id, thread string
	ticket             *ticketv1.Ticket // as it would be registered
	owner              uuid.UUID        // the customer, zero for nobody known
	told               reporter
	// place is the case, where the message names or proves one.
	place func(ctx context.Context, tx *write.Tx) (*db.Ticket, error)
	// number lets it join the open case of its phone number, fresh keeps it from joining the
	// last case of customer or number.
	number, fresh bool
}

// body is the text as it joins a case.
func (m *said) body() string {
	if m.ticket.GetDescription() == "" {
		return m.ticket.GetTitle()
	}
	return m.ticket.GetTitle() + "\n" + m.ticket.GetDescription()
}

// taken is where it went.
type taken struct {
	row    *db.Ticket
	joined bool
}

// takeIn brings what was said to a case that takes it up, or opens one.
func (s *Server) takeIn(ctx context.Context, tx *write.Tx, m *said) (taken, error) {
	if err := s.lockThreads(ctx, tx, m); err != nil {
		return taken{}, err
	}
	if m.id != "" {
		known, err := s.q.GetIntakeMessage(ctx, tx, m.source, m.id)
		if err == nil {
			tx.Unchanged()
			row, err := s.followed(ctx, tx, known.TicketID)
			return taken{row, known.Joined}, err
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return taken{}, fmt.Errorf("look for the message: %w", err)
		}
	}
	row, err := s.caseOf(ctx, tx, m)
	if err != nil {
		return taken{}, err
	}
	out := taken{row: row, joined: row != nil}
	if out.joined {
		err = s.join(ctx, tx, row, m.body())
	} else {
		out.row, err = s.openFor(ctx, tx, m)
	}
	if err != nil || m.id == "" {
		return out, err
	}
	if err := s.q.InsertIntakeMessage(ctx, tx, db.InsertIntakeMessageParams{
		Source: m.source, MessageID: m.id, Thread: m.thread, TicketID: out.row.ID, Joined: out.joined, CreateTime: s.now(),
	}); err != nil {
		return taken{}, fmt.Errorf("keep the message: %w", err)
	}
	return out, nil
}

// lockThreads holds everything by which the case could be found, in one order.
func (s *Server) lockThreads(ctx context.Context, tx *write.Tx, m *said) error {
	var keys []string
	if m.id != "" {
		keys = append(keys, "message/"+m.source+"/"+m.id)
	}
	if m.thread != "" {
		keys = append(keys, "thread/"+m.source+"/"+m.thread)
	}
	if m.owner != uuid.Nil {
		keys = append(keys, "customer/"+m.owner.String())
	}
	if m.number && m.told.phone != "" {
		keys = append(keys, fmt.Sprintf("phone/%x", s.phoneIndex(m.told.phone)))
	}
	slices.Sort(keys)
	for _, key := range keys {
		if err := s.q.LockThread(ctx, tx, key); err != nil {
			return fmt.Errorf("wait for other messages: %w", err)
		}
	}
	return nil
}

// caseOf finds and holds the case that takes up what was said; nil for none.
func (s *Server) caseOf(ctx context.Context, tx *write.Tx, m *said) (*db.Ticket, error) {
	if m.place != nil {
		return m.place(ctx, tx)
	}
	if m.thread != "" {
		id, err := s.q.LastOfThread(ctx, tx, m.source, m.thread)
		if err == nil {
			row, err := s.followed(ctx, tx, id)
			if err != nil || intake.Joinable(ticket.State(row.State)) {
				return row, err
			}
		} else if !errors.Is(err, pgx.ErrNoRows) {
			return nil, fmt.Errorf("find the thread: %w", err)
		}
	}
	if m.fresh {
		return nil, nil
	}
	var number []byte
	if m.number && m.owner == uuid.Nil && m.told.phone != "" {
		number = s.phoneIndex(m.told.phone)
	}
	open, err := s.openCases(ctx, tx, m.owner, number, 1)
	if err != nil || len(open) == 0 {
		return nil, err
	}
	row, err := s.followed(ctx, tx, open[0].ID)
	if err != nil || !intake.Joinable(ticket.State(row.State)) {
		return nil, err // it was closed while it was waited for
	}
	return row, nil
}

// openCases reads those of a customer and a number, changed last first.
func (s *Server) openCases(ctx context.Context, on db.DBTX, owner uuid.UUID, number []byte, size int32) ([]db.Ticket, error) {
	if owner == uuid.Nil && number == nil {
		return nil, nil
	}
	rows, err := s.q.FindOpenCases(ctx, on, idPtr(owner), number, size)
	if err != nil {
		return nil, fmt.Errorf("list open cases: %w", err)
	}
	return rows, nil
}

// followed holds a ticket, or the one that it was merged into.
func (s *Server) followed(ctx context.Context, tx *write.Tx, id uuid.UUID) (*db.Ticket, error) {
	for range maxMerges {
		row, err := s.q.LockTicket(ctx, tx, id)
		if err != nil {
			return nil, fmt.Errorf("lock the case: %w", err)
		}
		if row.MergedInto == nil {
			return &row, nil
		}
		id = *row.MergedInto
	}
	return nil, fmt.Errorf("ticket %s was merged more than %d times", id, maxMerges)
}

// join adds the customer's words to a held case. They end a wait for the customer.
func (s *Server) join(ctx context.Context, tx *write.Tx, row *db.Ticket, body string) error {
	id, err := newID()
	if err != nil {
		return err
	}
	now := s.now()
	stand(row, s.policy.Heard(standing(row), now))
	err = s.addComment(ctx, tx, row, &db.Comment{
		ID: id, TicketID: row.ID, Body: body, Public: true, Author: authn.FromContext(ctx).Actor(),
		AuthorKind: int16(ticketv1.AuthorKind_AUTHOR_KIND_CUSTOMER), CreateTime: now,
	})
	if err != nil || ticket.State(row.State) != ticket.Waiting || ticketv1.WaitFor(row.WaitFor) != ticketv1.WaitFor_WAIT_FOR_CUSTOMER {
		return err
	}
	return s.apply(ctx, tx, row, ticket.Move{Verb: ticket.Resume, At: now}, "客户已回复 · the customer answered")
}

// openFor opens a ticket for what was said.
func (s *Server) openFor(ctx context.Context, tx *write.Tx, m *said) (*db.Ticket, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	row := newRow(id, m.owner, m.ticket, s.now())
	st, err := s.policy.Apply(standing(row), ticket.Move{Verb: ticket.Create, At: row.CreateTime})
	if err != nil {
		return nil, err
	}
	stand(row, st)
	numbers, err := s.numbers(ctx, tx, 1, row.CreateTime)
	if err != nil {
		return nil, err
	}
	row.Number = numbers[0]
	if err := s.open(ctx, tx, row, triageGiven{m.ticket.GetType(), saidWeight(m.ticket)}, m.told); err != nil {
		return nil, err
	}
	// Refuses a customer who was retired since they were looked up.
	if err := s.q.RequireServiceTier(ctx, tx, row.CustomerID, row.ServiceTier); err != nil {
		return nil, err
	}
	return row, nil
}

// heldFor does a write that takes something in. A customer who was merged or retired since
// they were looked up is found as they are by the next try.
func heldFor(err error) error {
	if pg.Violates(err, customerKey) || pg.Violates(err, retiredKey) {
		return rpcerr.Unavailable(customerref.Source)
	}
	return err
}

// TakeIn takes in what a colleague or a telephony system reports.
func (s *Server) TakeIn(ctx context.Context, req *ticketv1.TakeInRequest) (*ticketv1.TakeInResponse, error) {
	m, into, err := s.reported(ctx, req)
	if err != nil {
		return nil, err
	}
	if into != uuid.Nil {
		m.place = func(ctx context.Context, tx *write.Tx) (*db.Ticket, error) { return s.named(ctx, tx, m, into) }
	}
	out, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.TakeInResponse, error) {
		at, err := s.takeIn(ctx, tx, m)
		if err != nil {
			return nil, err
		}
		var number []byte
		if m.told.phone != "" {
			number = s.phoneIndex(m.told.phone)
		}
		open, err := s.openCases(ctx, tx, m.owner, number, maxCases+1)
		if err != nil {
			return nil, err
		}
		open = slices.DeleteFunc(open, func(t db.Ticket) bool { return t.ID == at.row.ID })
		return &ticketv1.TakeInResponse{
			Case: openCase(at.row), Joined: at.joined, OtherCases: openCaseList(open[:min(len(open), maxCases)]),
		}, nil
	})
	return out, heldFor(err)
}

// reported reads what a colleague or a telephony system tells.
func (s *Server) reported(ctx context.Context, req *ticketv1.TakeInRequest) (*said, uuid.UUID, error) {
	into, err := parseOptional("ticket_id", req.GetTicketId())
	if err != nil {
		return nil, uuid.Nil, err
	}
	told, faults := s.normalize(req.GetReporter())
	if len(faults) > 0 {
		return nil, uuid.Nil, invalid("", faults)
	}
	m := &said{
		source: "channel/" + req.GetChannel().String(), id: req.GetMessageId(), told: told, number: true, fresh: req.GetNewCase(),
		ticket: &ticketv1.Ticket{
			Channel: req.GetChannel(), Mode: req.GetMode(), Phase: req.GetPhase(), Type: req.GetType(), Priority: req.GetPriority(),
			Urgency: req.GetUrgency(), Impact: req.GetImpact(),
			Title: req.GetTitle(), Description: req.GetDescription(), ProductModel: req.GetProductModel(), SerialNumber: req.GetSerialNumber(),
		},
	}
	m.owner, err = s.intakeOwner(ctx, "customer_id", req.GetCustomerId())
	return m, into, err
}

// intakeOwner makes a customer known here; zero for none.
func (s *Server) intakeOwner(ctx context.Context, field, given string) (uuid.UUID, error) {
	id, err := parseOptional(field, given)
	if err != nil || id == uuid.Nil {
		return uuid.Nil, err
	}
	ref, err := customerref.EnsureActive(ctx, s.pool, id, field, s.registry)
	return ref.ID, err
}

// named holds the case that a colleague names: one within their reach, or of the customer or
// the number that spoke.
func (s *Server) named(ctx context.Context, tx *write.Tx, m *said, id uuid.UUID) (*db.Ticket, error) {
	row, err := s.q.LockTicket(ctx, tx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ticketNotFound(id)
	}
	if err != nil {
		return nil, fmt.Errorf("lock ticket: %w", err)
	}
	of := idValue(row.CustomerID)
	theirs := m.owner != uuid.Nil && of == m.owner ||
		m.told.phone != "" && slices.Equal(row.ReporterPhoneIndex, s.phoneIndex(m.told.phone))
	if !theirs {
		if err := s.reach(ctx, tx, &row); err != nil {
			return nil, err
		}
	}
	if m.owner != uuid.Nil && of != uuid.Nil && of != m.owner {
		return nil, rpcerr.WrongState("TICKET_OF_OTHER_CUSTOMER", rpcerr.T(
			"Ticket %[1]s belongs to another customer than %[2]s; name a ticket of theirs, or none.",
			"工单 %[1]s 不属于客户 %[2]s；请填写该客户的工单，或留空。", id, m.owner))
	}
	if !intake.Joinable(ticket.State(row.State)) {
		return nil, rpcerr.WrongState(ticket.ReasonWrongState, rpcerr.T(
			"Ticket %[1]s is %[2]s and takes nothing more in; leave it out, which opens another, or reopen it.",
			"工单 %[1]s 处于“%[2]s”状态，不再接收内容；请留空以新建工单，或重新打开该工单。", id, ticket.Label(ticket.State(row.State))))
	}
	return &row, nil
}

// FindOpenCases lists the open cases of a customer and of a number.
func (s *Server) FindOpenCases(ctx context.Context, req *ticketv1.FindOpenCasesRequest) (*ticketv1.FindOpenCasesResponse, error) {
	owner, err := parseOptional("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	phone, bad := contactdata.Phone(req.GetPhone(), s.region)
	if bad != nil {
		return nil, rpcerr.Invalid("phone", *bad)
	}
	if owner == uuid.Nil && phone == "" {
		return nil, rpcerr.Invalid("phone", rpcerr.T(
			"neither a phone nor a customer is given; give one of them or both", "电话和客户均未填写；请至少填写其一"))
	}
	var number []byte
	if phone != "" {
		number = s.phoneIndex(phone)
	}
	rows, err := s.openCases(ctx, s.pool, owner, number, maxCases)
	return &ticketv1.FindOpenCasesResponse{Cases: openCaseList(rows)}, err
}

func openCaseList(rows []db.Ticket) []*ticketv1.OpenCase {
	out := make([]*ticketv1.OpenCase, len(rows))
	for i := range rows {
		out[i] = openCase(&rows[i])
	}
	return out
}

func openCase(row *db.Ticket) *ticketv1.OpenCase {
	return &ticketv1.OpenCase{
		TicketId: row.ID.String(), Number: row.Number, Title: row.Title, State: ticketv1.TicketState(row.State),
		Priority: ticketv1.Priority(row.Priority), Channel: typev1.Channel(row.Channel), CustomerId: idString(row.CustomerID),
		AssigneeStaffId: idString(row.AssigneeStaffID), CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime),
	}
}
