package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/type/money"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// numberPrefix is that of numbers given in a month.
func numberPrefix(at time.Time) string { return "CP-" + at.UTC().Format("200601") + "-" }

// CreateComplaint registers a complaint.
func (s *Server) CreateComplaint(ctx context.Context, req *complaintv1.CreateComplaintRequest) (*complaintv1.Complaint, error) {
	in := req.GetComplaint()
	who, err := s.caller(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	if err := registrable(who, in); err != nil {
		return nil, err
	}
	customer, err := customerref.EnsureActive(ctx, s.pool, id(in.GetCustomerId()), "complaint.customer_id", s.registry)
	if err != nil {
		return nil, err
	}
	purchase := s.checkPurchase(ctx, customer.ID, complaint.Bought{
		OrderNumber: in.GetOrderNumber(), ProductModel: in.GetProductModel(), Quantity: in.GetQuantity(),
	})
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*complaintv1.Complaint, error) {
		if in.GetAccusedStaffId() != "" {
			if _, err := staff(ctx, tx, id(in.GetAccusedStaffId()), "complaint.accused_staff_id"); err != nil {
				return nil, err
			}
		}
		c, err := s.register(ctx, tx, who, customer.ID, in)
		if err != nil {
			return nil, err
		}
		if err := purchase.keep(ctx, s.q, tx, c.ID); err != nil {
			return nil, fmt.Errorf("store a purchase: %w", err)
		}
		receipt, err := s.receipt(ctx, tx, c)
		if err != nil {
			return nil, err
		}
		out, err := s.compose(ctx, tx, []db.Complaint{c})
		if err != nil {
			return nil, err
		}
		tx.Audit(kind, c.ID, out[0])
		answer := with(out[0], receipt)
		if who.customer != uuid.Nil {
			return narrow(answer, outer), nil
		}
		return answer, nil
	})
}

// registrable checks what validation by field cannot.
func registrable(who caller, in *complaintv1.Complaint) error {
	switch {
	case in.GetCustomerId() == "":
		return rpcerr.Invalid("complaint.customer_id", rpcerr.T(
			"it is empty; give the id of the customer who complains", "不能为空；请填写投诉客户的 id"))
	case in.GetChannel() == typev1.Channel_CHANNEL_UNKNOWN:
		return rpcerr.Invalid("complaint.channel", rpcerr.T(
			"unknown is for imported complaints only; give the channel it came over",
			"unknown 仅用于导入的投诉；请填写受理渠道"))
	case who.customer != uuid.Nil && id(in.GetCustomerId()) != who.customer:
		return rpcerr.Invalid("complaint.customer_id", rpcerr.T(
			"there is no customer %[1]s; give your own id", "没有客户 %[1]s；请填写您本人的 id", in.GetCustomerId()))
	case who.customer != uuid.Nil && in.GetAccusedStaffId() != "":
		return rpcerr.Invalid("complaint.accused_staff_id", rpcerr.T(
			"customers leave it empty; describe in words whom the complaint is about",
			"客户请留空；请用文字说明投诉对象"))
	}
	return complaint.Money("complaint.amount", in.GetAmount())
}

// register writes the complaint, its first round and the first line of its history.
func (s *Server) register(ctx context.Context, tx *write.Tx, who caller, customer uuid.UUID, in *complaintv1.Complaint) (db.Complaint, error) {
	now := s.now()
	c, err := complaintRow(in, now)
	if err != nil {
		return c, err
	}
	sequence, err := s.q.NextNumber(ctx, tx)
	if err != nil {
		return c, fmt.Errorf("draw a number: %w", err)
	}
	c.Number = fmt.Sprintf("%s%06d", numberPrefix(now), sequence)
	c.CustomerID, c.RegisteredBy, c.RegisteredIn = &customer, who.Actor, pointer(who.viewer.Department)
	c.SelfRegistered = !who.person
	c.State = int16(complaint.Received)
	inEffect, err := s.book.InEffect(ctx, tx, now)
	if err != nil {
		return c, err
	}
	c.PolicyVersion = inEffect.GetVersion()
	judged, err := s.assess(ctx, tx, &c)
	if err != nil {
		return c, err
	}
	p := &pipeline{Tx: tx}
	steps := []error{
		s.q.InsertComplaint(ctx, p, db.InsertComplaintParams(c)),
		s.q.InsertRound(ctx, p, db.InsertRoundParams{ComplaintID: c.ID, Number: 1, StartTime: now}),
		s.q.SetReaders(ctx, p, c.ID, complaint.Readers(openness(c, nil)), c.State),
		s.q.InsertTransition(ctx, p, db.InsertTransitionParams{
			ComplaintID: c.ID, Version: 1, Verb: complaint.Create.Name(), ToState: c.State, Round: 1,
			Actor: who.Actor, ActorStaffID: pointer(who.Staff), OccurTime: now,
		}),
		judged.keep(ctx, p),
	}
	if err := p.send(ctx, steps...); err != nil {
		return c, err
	}
	tx.Emit(event.Event{
		Type: complaint.Create.Event(), SubjectID: c.ID, SubjectVersion: 1, CustomerID: customer,
		OccurTime: now, Payload: changed(c, complaint.None, 0),
	})
	k, err := s.course(ctx, tx, &c, &db.ComplaintRound{StartTime: now})
	if err != nil {
		return c, err
	}
	k.registrar = who.Staff
	if err := k.start(ctx, tx, now, startsAt(complaint.Happens(complaint.Create)...)); err != nil {
		return c, fmt.Errorf("clocks of the complaint: %w", err)
	}
	return c, nil
}

// complaintRow is a row with what a caller says of a complaint.
func complaintRow(in *complaintv1.Complaint, now time.Time) (db.Complaint, error) {
	newID, err := uuid.NewV7()
	if err != nil {
		return db.Complaint{}, fmt.Errorf("id of a complaint: %w", err)
	}
	c := db.Complaint{
		ID: newID, Channel: int16(in.GetChannel()), Title: in.GetTitle(), Description: in.GetDescription(),
		Category: int16(in.GetCategory()), SeverityFacts: make([]int16, 0, len(in.GetSeverityFacts())),
		OrderNumber: in.GetOrderNumber(), ProductModel: in.GetProductModel(), Quantity: in.GetQuantity(),
		DemandedRemedy: in.GetDemandedRemedy(), AccusedStaffID: optional(in.GetAccusedStaffId()),
		TicketID: optional(in.GetTicketId()), Demanded: int16(in.GetDemanded()), SurveyAnswerID: optional(in.GetSurveyAnswerId()), Round: 1, Version: 1, CreateTime: now, UpdateTime: now,
	}
	c.Currency, c.AmountUnits, c.AmountNanos = sum(in.GetAmount())
	if c.Category == 0 {
		c.Category = int16(complaintv1.Category_CATEGORY_OTHER)
	}
	for _, f := range in.GetSeverityFacts() {
		c.SeverityFacts = append(c.SeverityFacts, int16(f))
	}
	return c, nil
}

func sum(m *money.Money) (currency string, units int64, nanos int32) {
	return m.GetCurrencyCode(), m.GetUnits(), m.GetNanos()
}

// openness says of a complaint with these handlers, and no proposal that waits, what
// decides who may read it.
func openness(c db.Complaint, handlers []uuid.UUID) complaint.Openness {
	return complaint.Openness{
		State: complaint.State(c.State), Category: complaintv1.Category(c.Category),
		Quality: complaintv1.Quality(c.Quality), RegisteredBy: c.RegisteredBy, RegisteredIn: value(c.RegisteredIn),
		Department: value(c.DepartmentID), Handlers: handlers, SelfRegistered: c.SelfRegistered,
	}
}

// GetComplaint returns a complaint, or of it what the caller may see.
func (s *Server) GetComplaint(ctx context.Context, req *complaintv1.GetComplaintRequest) (*complaintv1.Complaint, error) {
	c, v, err := s.readable(ctx, id(req.GetId()))
	if err != nil {
		return nil, err
	}
	out, err := s.compose(ctx, s.pool, []db.Complaint{c})
	if err != nil {
		return nil, err
	}
	return narrow(out[0], v), nil
}

// readable reads a complaint of which the caller may see anything.
func (s *Server) readable(ctx context.Context, complaintID uuid.UUID) (db.Complaint, view, error) {
	c, err := s.q.GetComplaint(ctx, s.pool, complaintID)
	if missing(err) {
		return c, nothing, notFound(complaintID)
	}
	if err != nil {
		return c, nothing, fmt.Errorf("read complaint: %w", err)
	}
	who, err := s.caller(ctx, s.pool)
	if err != nil {
		return c, nothing, err
	}
	v, err := s.see(ctx, s.pool, who, c)
	if err != nil {
		return c, nothing, err
	}
	if v == nothing {
		return c, nothing, notFound(complaintID)
	}
	return c, v, nil
}

// ListComplaints lists what the caller may see, newest recorded first.
func (s *Server) ListComplaints(ctx context.Context, req *complaintv1.ListComplaintsRequest) (*complaintv1.ListComplaintsResponse, error) {
	who, err := s.caller(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	if err := listable(who, req); err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	f := db.ListFilter{
		CustomerID: optional(req.GetCustomerId()), HandlerID: optional(req.GetHandlerStaffId()),
		DepartmentID: optional(req.GetDepartmentId()), Number: req.GetNumber(), Source: req.GetSource(),
		ProductModel: req.GetProductModel(), TicketID: optional(req.GetTicketId()), Severity: int16(req.GetSeverity()),
		ExternalID: req.GetExternalId(), NotAccused: pointer(who.Staff), Before: uuid.Max, Size: size + 1,
	}
	for _, state := range req.GetStates() {
		f.States = append(f.States, int16(state))
	}
	v := whole
	switch {
	case who.customer != uuid.Nil:
		v, f.CustomerID = outer, &who.customer
	case !who.viewer.Everything():
		f.Readers = who.viewer.Keys()
	}
	cursor, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	if cursor != "" {
		if f.Before, err = uuid.Parse(cursor); err != nil {
			return nil, fmt.Errorf("cursor of a page: %w", err)
		}
	}
	rows, err := db.ListComplaints(ctx, s.pool, f)
	if err != nil {
		return nil, err
	}
	next := ""
	if len(rows) > int(size) {
		rows = rows[:size]
		next = rows[size-1].ID.String()
	}
	out := &complaintv1.ListComplaintsResponse{}
	if out.Complaints, err = s.compose(ctx, s.pool, rows); err != nil {
		return nil, err
	}
	for i, c := range out.GetComplaints() {
		out.Complaints[i] = narrow(c, v)
	}
	out.NextPageToken, err = s.pages.Seal(ctx, req, next)
	return out, err
}

// listable refuses filters that do not go together, or that would tell a customer what
// is internal.
func listable(who caller, req *complaintv1.ListComplaintsRequest) error {
	if req.GetExternalId() != "" && req.GetSource() == "" {
		return rpcerr.Invalid("external_id", rpcerr.T(
			"it is given without source; give the source that the id belongs to",
			"缺少 source；请同时填写该 id 所属的来源"))
	}
	if who.customer == uuid.Nil {
		return nil
	}
	own := rpcerr.T("customers list their own complaints only; leave it out", "客户只能查询本人的投诉；请留空")
	switch {
	case req.GetCustomerId() != "" && id(req.GetCustomerId()) != who.customer:
		return rpcerr.Invalid("customer_id", own)
	case req.GetHandlerStaffId() != "":
		return rpcerr.Invalid("handler_staff_id", own)
	case req.GetDepartmentId() != "":
		return rpcerr.Invalid("department_id", own)
	}
	return nil
}
