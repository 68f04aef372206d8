package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

const (
	// ProductsConsumer is the name under which HandleProducts has its place in the stream.
	ProductsConsumer = Name + "/products"
	outreachEvery    = 10 * time.Second
	// outreachBatch bounds the customers of one transaction.
	outreachBatch = 20
	// contactsRead is how many customers of a notice are looked at at a time.
	contactsRead = 500
)

// HandleProducts keeps whose the installed products are. It is the Handle of an event.Consumer.
func (s *Server) HandleProducts(ctx context.Context, tx pgx.Tx, env *eventv1.Envelope) error {
	if env.GetType() != "product.installed.v1" {
		return nil
	}
	p, err := event.Unpack[*customerv1.ProductInstalled](env)
	if err != nil {
		return err
	}
	row := db.UpsertInstalledProductParams{
		ProductModel: organisation.Product(p.GetProductModel()), SerialNumber: p.GetSerialNumber(), Version: env.GetSubjectVersion(),
	}
	if row.ID, err = uuid.Parse(env.GetSubjectId()); err != nil {
		return fmt.Errorf("id of the product: %w", err)
	}
	if row.CustomerID, err = uuid.Parse(env.GetCustomerId()); err != nil {
		return fmt.Errorf("customer of the product: %w", err)
	}
	if err := s.q.UpsertInstalledProduct(ctx, tx, row); err != nil {
		return fmt.Errorf("keep a product: %w", err)
	}
	return nil
}

// CreateFaultNotice says that products have a fault.
func (s *Server) CreateFaultNotice(ctx context.Context, req *ticketv1.CreateFaultNoticeRequest) (*ticketv1.FaultNotice, error) {
	in := req.GetNotice()
	if err := ticket.CheckRange(in.GetSerialFrom(), in.GetSerialTo()); err != nil {
		return nil, err
	}
	department, err := parseID("notice.department_id", in.GetDepartmentId())
	if err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	row := &db.FaultNotice{
		ID: id, ProductModel: organisation.Product(in.GetProductModel()), SerialFrom: in.GetSerialFrom(), SerialTo: in.GetSerialTo(),
		Title: in.GetTitle(), Description: in.GetDescription(), Priority: int16(noticePriority(in)), Urgency: int16(in.GetUrgency()), Impact: int16(in.GetImpact()),
		DepartmentID: department, CreateTime: s.now(),
	}
	out, err := write.DoBatch(ctx, s.write, req, func(ctx context.Context, tx *write.BatchTx) (*ticketv1.FaultNotice, error) {
		tx.Audit("fault-notice", id, noticeProto(row, db.CountFaultContactsRow{}))
		return noticeProto(row, db.CountFaultContactsRow{}), s.q.InsertFaultNotice(ctx, tx, db.InsertFaultNoticeParams{
			ID: id, ProductModel: row.ProductModel, SerialFrom: row.SerialFrom, SerialTo: row.SerialTo, Title: row.Title,
			Description: row.Description, Priority: row.Priority, Urgency: row.Urgency, Impact: row.Impact, DepartmentID: department, CreateTime: row.CreateTime,
		})
	})
	if pg.Violates(err, "fault_notices_department_id_fkey") {
		return nil, unknownDepartment("notice.department_id", department)
	}
	return out, err
}

// noticePriority is that of a notice's tickets, none where each has to find its own.
func noticePriority(in *ticketv1.FaultNotice) ticketv1.Priority {
	if in.GetUrgency() != 0 && in.GetImpact() != 0 {
		return in.GetPriority()
	}
	return given(in.GetPriority(), ticketv1.Priority_PRIORITY_P3)
}

// RepeatFaultNotice looks for customers once more.
func (s *Server) RepeatFaultNotice(ctx context.Context, req *ticketv1.RepeatFaultNoticeRequest) (*ticketv1.FaultNotice, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.FaultNotice, error) {
		row, err := s.q.LockFaultNotice(ctx, tx, id)
		if err != nil {
			return nil, missing(err, "fault notice", id)
		}
		from, to := row.SerialFrom, row.SerialTo
		if req.GetSerialFrom() != "" || req.GetSerialTo() != "" {
			from, to = req.GetSerialFrom(), req.GetSerialTo()
			if err := ticket.CheckWider(from, to, row.SerialFrom, row.SerialTo); err != nil {
				return nil, err
			}
		}
		if row, err = s.q.RepeatFaultNotice(ctx, tx, from, to, id); err != nil {
			return nil, fmt.Errorf("look for customers anew: %w", err)
		}
		all, err := s.notices(ctx, tx, []db.FaultNotice{row})
		if err != nil {
			return nil, err
		}
		tx.Audit("fault-notice", id, all[0])
		return all[0], nil
	})
}

// ReachOut opens, until ctx ends, the tickets of fault notices. Every replica runs it.
func (s *Server) ReachOut(ctx context.Context) error {
	return s.every(ctx, outreachEvery, "tickets of fault notices", s.SweepNotices)
}

// SweepNotices opens the tickets of all fault notices whose customers are still looked for.
func (s *Server) SweepNotices(ctx context.Context) error {
	for {
		seen, err := s.q.GetUnfoundNotice(ctx, s.pool)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("find a fault notice: %w", err)
		}
		next, err := s.affected(ctx, &seen)
		if err != nil {
			return err
		}
		if err := write.Job(ctx, s.write, "fault-notices", func(ctx context.Context, tx *write.Tx) error {
			notice, err := s.q.LockFaultNotice(ctx, tx, seen.ID)
			if err != nil {
				return fmt.Errorf("hold a fault notice: %w", err)
			}
			if notice.FoundTime != nil || notice.Cursor != seen.Cursor || notice.SerialFrom != seen.SerialFrom || notice.SerialTo != seen.SerialTo {
				// Another replica was faster, or it is to look for others now.
				tx.Unchanged()
				return nil
			}
			return s.reachOut(ctx, tx, &notice, next)
		}); err != nil {
			return err
		}
	}
}

// affected are the next customers that a notice concerns.
type affected struct {
	found []db.ListAffectedRow
	refs  map[uuid.UUID]customerref.Ref
}

// affected finds them, and asks the registry for those not known here.
func (s *Server) affected(ctx context.Context, notice *db.FaultNotice) (next affected, err error) {
	next.found, err = s.q.ListAffected(ctx, s.pool, db.ListAffectedParams{
		ProductModel: notice.ProductModel, After: notice.Cursor, SerialFrom: notice.SerialFrom, SerialTo: notice.SerialTo, Size: outreachBatch,
	})
	if err != nil {
		return affected{}, fmt.Errorf("find the customers of a fault notice: %w", err)
	}
	ids := make([]uuid.UUID, len(next.found))
	for i, one := range next.found {
		ids[i] = one.CustomerID
	}
	next.refs, err = customerref.EnsureAll(ctx, s.pool, ids, s.registry)
	return next, err
}

// reachOut opens the tickets of the next customers of a held notice. One whose file is retired,
// or that the registry does not know, is nobody to call; of customers who were merged the
// survivor is called, once.
func (s *Server) reachOut(ctx context.Context, tx *write.Tx, notice *db.FaultNotice, next affected) error {
	for _, one := range next.found {
		notice.Cursor = one.CustomerID
		ref, known := next.refs[one.CustomerID]
		if !known || ref.Status == customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED {
			continue
		}
		if err := s.contactAbout(ctx, tx, notice, ref, one.SerialNumber); err != nil {
			return err
		}
	}
	var done *time.Time
	if len(next.found) < outreachBatch {
		now := s.now()
		done = &now
	}
	if err := s.q.MoveFaultNotice(ctx, tx, notice.Cursor, done, notice.ID); err != nil {
		return fmt.Errorf("move a fault notice on: %w", err)
	}
	tx.Audit("fault-notice", notice.ID, map[string]any{"customers": len(next.found)})
	return nil
}

// contactAbout opens the ticket of one customer, unless they have one.
func (s *Server) contactAbout(ctx context.Context, tx *write.Tx, notice *db.FaultNotice, ref customerref.Ref, serial string) error {
	has, err := s.q.HasFaultContact(ctx, tx, notice.ID, ref.ID)
	if err != nil || has {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	now := s.now()
	t := &ticketv1.Ticket{
		Channel: typev1.Channel_CHANNEL_INTERNAL, Mode: ticketv1.Mode_MODE_PROACTIVE, Type: ticketv1.TicketType_TICKET_TYPE_TECHNICAL_PROBLEM,
		Priority: ticketv1.Priority(notice.Priority), Urgency: ticketv1.Urgency(notice.Urgency), Impact: ticketv1.Impact(notice.Impact),
		Title: notice.Title, Description: notice.Description, ProductModel: notice.ProductModel, SerialNumber: serial,
	}
	row := newRow(id, ref.ID, t, now)
	department, err := s.openDepartment(ctx, tx, notice.DepartmentID)
	if err != nil {
		return err
	}
	row.DepartmentID = idPtr(department)
	st, err := s.policy.Apply(standing(row), ticket.Move{Verb: ticket.Create, At: now})
	if err != nil {
		return err
	}
	stand(row, st)
	numbers, err := s.numbers(ctx, tx, 1, now)
	if err != nil {
		return err
	}
	row.Number = numbers[0]
	if err := s.open(ctx, tx, row, triageGiven{t.GetType(), saidWeight(t)}, reporter{}); err != nil {
		return err
	}
	if _, err := s.q.InsertFaultContact(ctx, tx, db.InsertFaultContactParams{
		NoticeID: notice.ID, CustomerID: ref.ID, SerialNumber: serial, TicketID: id,
	}); err != nil {
		return fmt.Errorf("keep a contact of a fault notice: %w", err)
	}
	return nil
}

// GetFaultNotice returns a notice with how far it has come.
func (s *Server) GetFaultNotice(ctx context.Context, req *ticketv1.GetFaultNoticeRequest) (*ticketv1.FaultNotice, error) {
	row, err := s.findNotice(ctx, "id", req.GetId())
	if err != nil {
		return nil, err
	}
	all, err := s.notices(ctx, s.pool, []db.FaultNotice{*row})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func (s *Server) findNotice(ctx context.Context, field, given string) (*db.FaultNotice, error) {
	id, err := parseID(field, given)
	if err != nil {
		return nil, err
	}
	row, err := s.q.GetFaultNotice(ctx, s.pool, id)
	if err != nil {
		return nil, missing(err, "fault notice", id)
	}
	return &row, nil
}

// notices tells rows with how far they have come.
func (s *Server) notices(ctx context.Context, on db.DBTX, rows []db.FaultNotice) ([]*ticketv1.FaultNotice, error) {
	ids, counts := make([]uuid.UUID, len(rows)), map[uuid.UUID]db.CountFaultContactsRow{}
	for i := range rows {
		ids[i] = rows[i].ID
	}
	all, err := s.q.CountFaultContacts(ctx, on, ids)
	if err != nil {
		return nil, fmt.Errorf("count the contacts of fault notices: %w", err)
	}
	for _, c := range all {
		counts[c.NoticeID] = c
	}
	out := make([]*ticketv1.FaultNotice, len(rows))
	for i := range rows {
		out[i] = noticeProto(&rows[i], counts[rows[i].ID])
	}
	return out, nil
}

// ListFaultNotices lists notices in the order they were made.
func (s *Server) ListFaultNotices(ctx context.Context, req *ticketv1.ListFaultNoticesRequest) (*ticketv1.ListFaultNoticesResponse, error) {
	rows, next, err := byID(ctx, s, req, "fault notices", func(r db.FaultNotice) uuid.UUID { return r.ID }, func(after uuid.UUID, size int32) ([]db.FaultNotice, error) {
		return s.q.ListFaultNotices(ctx, s.pool, after, size)
	})
	if err != nil {
		return nil, err
	}
	out := &ticketv1.ListFaultNoticesResponse{NextPageToken: next}
	out.Notices, err = s.notices(ctx, s.pool, rows)
	return out, err
}

// ListFaultContacts lists the customers that a notice found, and whose tickets the caller may
// read.
func (s *Server) ListFaultContacts(ctx context.Context, req *ticketv1.ListFaultContactsRequest) (*ticketv1.ListFaultContactsResponse, error) {
	notice, err := s.findNotice(ctx, "notice_id", req.GetNoticeId())
	if err != nil {
		return nil, err
	}
	rows, next, err := byID(ctx, s, req, "contacts", func(r db.ListFaultContactsRow) uuid.UUID { return r.CustomerID }, func(after uuid.UUID, size int32) ([]db.ListFaultContactsRow, error) {
		return s.faultContacts(ctx, notice.ID, after, size)
	})
	out := &ticketv1.ListFaultContactsResponse{NextPageToken: next}
	for _, r := range rows {
		out.Contacts = append(out.Contacts, &ticketv1.FaultContact{
			CustomerId: r.CustomerID.String(), SerialNumber: r.SerialNumber, TicketId: r.TicketID.String(), TicketNumber: r.Number, State: ticketv1.TicketState(r.State),
		})
	}
	return out, err
}

// faultContacts reads the next customers of a notice whose tickets are within the caller's
// reach. Who registered a ticket reaches it too, and these are registered by this service.
func (s *Server) faultContacts(ctx context.Context, notice, after uuid.UUID, size int32) ([]db.ListFaultContactsRow, error) {
	who, err := s.viewer(ctx, s.pool, authz.Held(ctx, "tickets.read"))
	if err != nil {
		return nil, err
	}
	var out []db.ListFaultContactsRow
	for {
		rows, err := s.q.ListFaultContacts(ctx, s.pool, notice, after, contactsRead)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if len(out) == int(size) {
				return out, nil
			}
			if who.Covers(ticket.Holding{
				Customer: r.CustomerID, Assignee: idValue(r.AssigneeStaffID), Department: idValue(r.DepartmentID), State: ticket.State(r.State),
			}) {
				out = append(out, r)
			}
		}
		if len(rows) < contactsRead {
			return out, nil
		}
		after = rows[len(rows)-1].CustomerID
	}
}

func noticeProto(row *db.FaultNotice, count db.CountFaultContactsRow) *ticketv1.FaultNotice {
	return &ticketv1.FaultNotice{
		Id: row.ID.String(), ProductModel: row.ProductModel, SerialFrom: row.SerialFrom, SerialTo: row.SerialTo, Title: row.Title,
		Description: row.Description, Priority: ticketv1.Priority(row.Priority), DepartmentId: row.DepartmentID.String(),
		Urgency: ticketv1.Urgency(row.Urgency), Impact: ticketv1.Impact(row.Impact),
		Customers: count.Customers, Done: count.Done, FoundTime: stamp(row.FoundTime), CreateTime: timestamppb.New(row.CreateTime),
	}
}
