package server_test

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func TestCreateTicket(t *testing.T) {
	w := newWorld(t)
	customer := w.customer(typev1.Tier_TIER_A)
	req := &ticketv1.CreateTicketRequest{RequestId: "call-1", Ticket: &ticketv1.Ticket{
		CustomerId: customer, Channel: typev1.Channel_CHANNEL_PHONE, Title: "水泵漏水", Description: "at the seal",
		ProductModel: "P-100", SerialNumber: "SN1", OrderNumber: "O-1",
		Reporter: &ticketv1.Reporter{Name: "王芳", Phone: "138 0013 8000", Email: "Wang@Example.com"},
		// Output only, so ignored.
		State: ticket.Closed, AssigneeStaffId: nowhere, Number: "X", Round: 7,
	}}
	got, err := w.tickets.CreateTicket(w.AsStaff(access.ServiceAgent, "agent-1"), req)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^T-202611-\d{6,}$`).MatchString(got.GetNumber()) {
		t.Errorf("number %q", got.GetNumber())
	}
	now := timestamppb.New(w.Clock.Now())
	want := &ticketv1.Ticket{
		Id: got.GetId(), Number: got.GetNumber(), CustomerId: customer, Channel: typev1.Channel_CHANNEL_PHONE,
		Mode: ticketv1.Mode_MODE_PASSIVE, Phase: ticketv1.Phase_PHASE_AFTER_SALE,
		Type: ticketv1.TicketType_TICKET_TYPE_OTHER, Priority: ticketv1.Priority_PRIORITY_P3, PrioritySource: byDefault,
		Title: "水泵漏水", Description: "at the seal", ProductModel: "P-100", SerialNumber: "SN1", OrderNumber: "O-1",
		Reporter: &ticketv1.Reporter{Name: "王芳", Phone: "+8613800138000", Email: "wang@example.com"},
		State:    ticket.New, Round: 1, CreateTime: now, UpdateTime: now, Etag: "1", PolicyVersion: 1, DueTime: w.in(5),
	}
	if !proto.Equal(got, want) {
		t.Errorf("created %v\nwant %v", got, want)
	}
	if read := w.get(got.GetId()); !proto.Equal(read, want) {
		t.Errorf("read %v\nwant %v", read, want)
	}
	again, err := w.tickets.CreateTicket(w.AsStaff(access.ServiceAgent, "agent-1"), req)
	if err != nil || !proto.Equal(again, got) {
		t.Errorf("the same call again: %v, %v", again, err)
	}
	other := proto.Clone(req).(*ticketv1.CreateTicketRequest)
	other.Ticket.Title = "another"
	_, err = w.tickets.CreateTicket(w.AsStaff(access.ServiceAgent, "agent-1"), other)
	refused(t, "the id with another body", err, codes.AlreadyExists, "REQUEST_ID_REUSED", "")

	events := w.eventsOf(got.GetId())
	if len(events) != 1 || events[0].GetType() != "ticket.created.v1" || events[0].GetCustomerId() != customer ||
		events[0].GetSubjectVersion() != 1 || events[0].GetHistoric() ||
		events[0].GetActorKind() != eventv1.ActorKind_ACTOR_KIND_PERSON {
		t.Fatalf("events %v", events)
	}
	payload, err := event.Unpack[*ticketv1.TicketChanged](events[0])
	if err != nil || payload.GetNumber() != got.GetNumber() || payload.GetStateBefore() != ticket.None ||
		payload.GetStateAfter() != ticket.New || payload.GetRound() != 1 || payload.GetChannel() != typev1.Channel_CHANNEL_PHONE {
		t.Errorf("payload %v, %v", payload, err)
	}
	if n := w.count("SELECT count(*) FROM audit_records WHERE object_id = $1", got.GetId()); n != 1 {
		t.Errorf("%d audit records, want 1", n)
	}
	if n := w.count(`SELECT count(*) FROM ticket_transitions WHERE ticket_id = $1 AND verb = 'create'
		AND actor_staff_id = $2`, got.GetId(), w.agent.GetId()); n != 1 {
		t.Errorf("%d first transitions by the agent, want 1", n)
	}
}

func TestCreateTicketRefusals(t *testing.T) {
	w := newWorld(t)
	good := func(change func(*ticketv1.Ticket)) *ticketv1.CreateTicketRequest {
		in := &ticketv1.Ticket{Channel: typev1.Channel_CHANNEL_WEB, Title: "x"}
		change(in)
		return &ticketv1.CreateTicketRequest{Ticket: in}
	}
	for _, c := range []struct {
		field  string
		change func(*ticketv1.Ticket)
	}{
		{"ticket.title", func(in *ticketv1.Ticket) { in.Title = "" }},
		{"ticket.channel", func(in *ticketv1.Ticket) { in.Channel = 0 }},
		{"ticket.channel", func(in *ticketv1.Ticket) { in.Channel = typev1.Channel_CHANNEL_UNKNOWN }},
		{"ticket.customer_id", func(in *ticketv1.Ticket) { in.CustomerId = "x" }},
		{"ticket.customer_id", func(in *ticketv1.Ticket) { in.CustomerId = nowhere }},
		{"ticket.customer_id", func(in *ticketv1.Ticket) {
			in.CustomerId, in.Reporter = nowhere, &ticketv1.Reporter{Phone: "13800138000"}
		}},
		{"ticket.reporter.phone", func(in *ticketv1.Ticket) { in.Reporter = &ticketv1.Reporter{Phone: "12"} }},
		{"ticket.reporter.email", func(in *ticketv1.Ticket) { in.Reporter = &ticketv1.Reporter{Email: "at home"} }},
	} {
		_, err := w.tickets.CreateTicket(w.manager(), good(c.change))
		refused(t, c.field, err, codes.InvalidArgument, "VALIDATION_FAILED", c.field)
	}
	w.registry.stop(true)
	_, err := w.tickets.CreateTicket(w.manager(), good(func(in *ticketv1.Ticket) { in.CustomerId = nowhere }))
	refused(t, "registry down", err, codes.Unavailable, "DEPENDENCY_UNAVAILABLE", "")
	for _, role := range []string{access.Auditor, access.CRMSpecialist, access.SupportEngineer} {
		_, err := w.tickets.CreateTicket(w.As(role), good(func(*ticketv1.Ticket) {}))
		refused(t, role, err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	}
	if n := w.count("SELECT count(*) FROM tickets") + w.count("SELECT count(*) FROM subject_keys"); n != 0 {
		t.Errorf("refused calls left %d rows", n)
	}
}

func TestCreateTicketForACustomerOnlyTheRegistryKnows(t *testing.T) {
	w := newWorld(t)
	fresh := w.registered(typev1.Tier_TIER_B)
	if got := w.create(&ticketv1.Ticket{CustomerId: fresh.GetId()}); got.GetCustomerId() != fresh.GetId() {
		t.Errorf("customer %s, want %s", got.GetCustomerId(), fresh.GetId())
	}
	w.create(&ticketv1.Ticket{CustomerId: fresh.GetId()})
	if w.registry.asked != 1 {
		t.Errorf("the registry was asked %d times, want once", w.registry.asked)
	}
}

func TestCreateTicketForAMergedCustomerGoesToTheSurvivor(t *testing.T) {
	w := newWorld(t)
	gone, survivor := w.registered(typev1.Tier_TIER_B), w.customer(typev1.Tier_TIER_B)
	w.merge(gone, survivor)
	for _, reporter := range []*ticketv1.Reporter{nil, {Phone: "13800138000"}} {
		got := w.create(&ticketv1.Ticket{CustomerId: gone.GetId(), Reporter: reporter})
		if got.GetCustomerId() != survivor || got.GetReporter().GetPhone() != "" && got.GetReporter().GetPhone() != "+8613800138000" {
			t.Errorf("%v, want customer %s", got, survivor)
		}
		if events := w.eventsOf(got.GetId()); len(events) != 1 || events[0].GetCustomerId() != survivor {
			t.Errorf("events %v, want one of %s", events, survivor)
		}
	}
}

func TestReportersAreEncryptedAndFoundByPhone(t *testing.T) {
	w := newWorld(t)
	customer := w.customer(typev1.Tier_TIER_C)
	reporter := func() *ticketv1.Reporter {
		return &ticketv1.Reporter{Phone: "+86 138 0013 8000", Email: "a@example.com"}
	}
	named := w.create(&ticketv1.Ticket{CustomerId: customer, Reporter: reporter()})
	unnamed := w.create(&ticketv1.Ticket{Reporter: reporter()})
	w.create(&ticketv1.Ticket{Reporter: &ticketv1.Reporter{Phone: "13900139000"}})

	got, err := w.tickets.ListTickets(w.manager(), &ticketv1.ListTicketsRequest{ReporterPhone: "138-0013-8000"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.GetTickets()) != 2 || got.GetTickets()[0].GetId() != unnamed.GetId() || got.GetTickets()[1].GetId() != named.GetId() {
		t.Errorf("by phone: %v", got)
	}
	var phone, email []byte
	var subject uuid.UUID
	read := func(id string) {
		if err := w.Pool.QueryRow(t.Context(), `SELECT reporter_phone, reporter_email, reporter_subject_id
			FROM tickets WHERE id = $1`, id).Scan(&phone, &email, &subject); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]string{named.GetId(): customer, unnamed.GetId(): unnamed.GetId()} {
		read(id)
		if bytes.Contains(phone, []byte("138")) || bytes.Contains(email, []byte("example")) || subject.String() != want {
			t.Errorf("ticket %s: phone %q, e-mail %q under %s, want ciphertext under %s", id, phone, email, subject, want)
		}
	}

	// Erasing the customer takes their contacts and leaves the other's.
	if err := w.Process.Keyring.Shred(t.Context(), w.Pool, uuid.MustParse(customer)); err != nil {
		t.Fatal(err)
	}
	if r := w.get(named.GetId()).GetReporter(); r != nil {
		t.Errorf("the erased reporter is %v", r)
	}
	if r := w.get(unnamed.GetId()).GetReporter(); r.GetPhone() != "+8613800138000" {
		t.Errorf("the other reporter is %v", r)
	}
	_, err = w.tickets.CreateTicket(w.manager(), &ticketv1.CreateTicketRequest{Ticket: &ticketv1.Ticket{
		CustomerId: customer, Channel: typev1.Channel_CHANNEL_WEB, Title: "x", Reporter: reporter(),
	}})
	refused(t, "contacts of the erased", err, codes.InvalidArgument, "VALIDATION_FAILED", "ticket.reporter")
}

func TestGetTicketRefusals(t *testing.T) {
	w := newWorld(t)
	_, err := w.tickets.GetTicket(w.manager(), &ticketv1.GetTicketRequest{Id: nowhere})
	refused(t, "unknown", err, codes.NotFound, "TICKET_NOT_FOUND", "")
	_, err = w.tickets.GetTicket(w.manager(), &ticketv1.GetTicketRequest{Id: "x"})
	refused(t, "malformed", err, codes.InvalidArgument, "VALIDATION_FAILED", "id")
}

func TestCustomersActOnTheirOwnTicketsOnly(t *testing.T) {
	w := newWorld(t)
	me, other := w.customer(typev1.Tier_TIER_B), w.customer(typev1.Tier_TIER_B)
	ctx := w.AsCustomer(me)
	created, err := w.tickets.CreateTicket(ctx, &ticketv1.CreateTicketRequest{
		Ticket: &ticketv1.Ticket{Channel: typev1.Channel_CHANNEL_WEB, Title: "mine"},
	})
	if err != nil || created.GetCustomerId() != me {
		t.Fatalf("created %v, %v, want one of %s", created, err, me)
	}
	_, err = w.tickets.CreateTicket(ctx, &ticketv1.CreateTicketRequest{
		Ticket: &ticketv1.Ticket{Channel: typev1.Channel_CHANNEL_WEB, Title: "theirs", CustomerId: other},
	})
	refused(t, "for another", err, codes.InvalidArgument, "VALIDATION_FAILED", "ticket.customer_id")

	mine, theirs, nobodys := w.at(ticket.Resolved, me), w.at(ticket.Resolved, other), w.at(ticket.Resolved, "")
	got, err := w.tickets.GetTicket(ctx, &ticketv1.GetTicketRequest{Id: mine.GetId()})
	if err != nil || got.GetResolution() != "seal replaced" || got.GetAssigneeStaffId() != "" || got.GetDepartmentId() != "" {
		t.Errorf("mine: %v, %v, want the resolution and nothing internal", got, err)
	}
	comment := &ticketv1.Comment{Body: "hello"}
	for name, id := range map[string]string{"another's": theirs.GetId(), "nobody's": nobodys.GetId()} {
		for call, err := range map[string]error{
			"get":     second(w.tickets.GetTicket(ctx, &ticketv1.GetTicketRequest{Id: id})),
			"confirm": second(w.do(ctx, "confirm", id, "")),
			"reopen":  second(w.do(ctx, "reopen", id, "")),
			"cancel":  second(w.do(ctx, "cancel", id, "")),
			"comment": second(w.tickets.CreateComment(ctx, &ticketv1.CreateCommentRequest{TicketId: id, Comment: comment})),
			"read":    second(w.tickets.ListComments(ctx, &ticketv1.ListCommentsRequest{TicketId: id})),
		} {
			refused(t, call+" "+name, err, codes.NotFound, "TICKET_NOT_FOUND", "")
		}
	}
	for _, verb := range []string{"triage", "assign", "start", "wait", "resume", "resolve"} {
		_, err := w.do(ctx, verb, mine.GetId(), "")
		refused(t, verb, err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	}
	_, err = w.tickets.MergeTicket(ctx, &ticketv1.MergeTicketRequest{Id: mine.GetId(), IntoId: created.GetId(), Reason: "x"})
	refused(t, "merge", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	_, err = w.tickets.ListTransitions(ctx, &ticketv1.ListTransitionsRequest{TicketId: mine.GetId()})
	refused(t, "history", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	for _, verb := range []string{"confirm", "reopen"} {
		if got, err := w.do(ctx, verb, mine.GetId(), ""); err != nil || got.GetAssigneeStaffId() != "" {
			t.Errorf("%s mine: %v, %v", verb, got, err)
		}
	}

	list, err := w.tickets.ListTickets(ctx, &ticketv1.ListTicketsRequest{})
	if err != nil || len(list.GetTickets()) != 2 {
		t.Fatalf("my tickets: %v, %v, want 2", list, err)
	}
	for _, one := range list.GetTickets() {
		if one.GetCustomerId() != me || one.GetAssigneeStaffId() != "" || one.GetDepartmentId() != "" {
			t.Errorf("my list has %v", one)
		}
	}
	list, err = w.tickets.ListTickets(ctx, &ticketv1.ListTicketsRequest{CustomerId: other})
	if err != nil || len(list.GetTickets()) != 0 {
		t.Errorf("another's tickets: %v, %v, want none", list, err)
	}
	for field, req := range map[string]*ticketv1.ListTicketsRequest{
		"reporter_phone":    {ReporterPhone: "13800138000"},
		"assignee_staff_id": {AssigneeStaffId: w.agent.GetId()},
		"department_id":     {DepartmentId: w.desk.GetId()},
		"source":            {Source: "nyc311"},
		"answer_id":         {AnswerId: nowhere},
	} {
		_, err := w.tickets.ListTickets(ctx, req)
		refused(t, "filter by "+field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
}

func second[T any](_ T, err error) error { return err }
