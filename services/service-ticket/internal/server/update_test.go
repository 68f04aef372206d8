package server_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func TestUpdateTicket(t *testing.T) {
	w := newWorld(t)
	of := w.create(&ticketv1.Ticket{
		ProductModel: "P-100", SerialNumber: "SN1",
		Reporter: &ticketv1.Reporter{Name: "王芳", Phone: "13800138000"},
	})
	update := func(in *ticketv1.Ticket, paths ...string) (*ticketv1.Ticket, error) {
		in.Id = of.GetId()
		return w.tickets.UpdateTicket(w.manager(), &ticketv1.UpdateTicketRequest{Ticket: in, UpdateMask: mask(paths...)})
	}
	got, err := update(&ticketv1.Ticket{Title: "Pump leaks badly", SerialNumber: "ignored", Etag: "1"}, "title", "product_model")
	if err != nil {
		t.Fatal(err)
	}
	want := proto.Clone(of).(*ticketv1.Ticket)
	want.Title, want.ProductModel, want.Etag = "Pump leaks badly", "", "2"
	if !proto.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	got, err = update(&ticketv1.Ticket{Reporter: &ticketv1.Reporter{Email: "Wang@example.com"}}, "reporter.email")
	if err != nil || got.GetReporter().GetPhone() != "+8613800138000" || got.GetReporter().GetEmail() != "wang@example.com" {
		t.Errorf("e-mail added: %v, %v", got.GetReporter(), err)
	}
	if found, err := w.tickets.ListTickets(w.manager(), &ticketv1.ListTicketsRequest{ReporterPhone: "13800138000"}); err != nil || len(found.GetTickets()) != 1 {
		t.Errorf("by the phone that stayed: %v, %v", found, err)
	}
	if got, err = update(&ticketv1.Ticket{}, "reporter"); err != nil || got.GetReporter() != nil {
		t.Errorf("reporter taken away: %v, %v", got.GetReporter(), err)
	}
	if found, err := w.tickets.ListTickets(w.manager(), &ticketv1.ListTicketsRequest{ReporterPhone: "13800138000"}); err != nil || len(found.GetTickets()) != 0 {
		t.Errorf("by the phone taken away: %v, %v", found, err)
	}
	events := w.eventsOf(of.GetId())
	if len(events) != 4 || events[3].GetType() != "ticket.updated.v1" || events[3].GetSubjectVersion() != 4 {
		t.Errorf("events %v", events)
	}
	if read := w.get(of.GetId()); !proto.Equal(read, got) {
		t.Errorf("read %v, want %v", read, got)
	}
}

func TestUpdateTicketRefusals(t *testing.T) {
	w := newWorld(t)
	of := w.create(&ticketv1.Ticket{})
	update := func(in *ticketv1.Ticket, paths ...string) error {
		if in.GetId() == "" {
			in.Id = of.GetId()
		}
		return second(w.tickets.UpdateTicket(w.manager(), &ticketv1.UpdateTicketRequest{Ticket: in, UpdateMask: mask(paths...)}))
	}
	for _, path := range []string{
		"state", "number", "id", "customer_id", "channel", "mode", "phase", "type", "priority", "nothing", "title.x", "resolution",
	} {
		refused(t, path, update(&ticketv1.Ticket{Title: "y"}, "title", path), codes.InvalidArgument, "UPDATE_MASK_INVALID", "update_mask")
	}
	refused(t, "empty mask", update(&ticketv1.Ticket{Title: "y"}), codes.InvalidArgument, "UPDATE_MASK_INVALID", "update_mask")
	refused(t, "empty title", update(&ticketv1.Ticket{}, "title"), codes.InvalidArgument, "VALIDATION_FAILED", "ticket.title")
	refused(t, "bad phone", update(&ticketv1.Ticket{Reporter: &ticketv1.Reporter{Phone: "1"}}, "reporter.phone"),
		codes.InvalidArgument, "VALIDATION_FAILED", "ticket.reporter.phone")
	refused(t, "bad id", update(&ticketv1.Ticket{Id: "x", Title: "y"}, "title"), codes.InvalidArgument, "VALIDATION_FAILED", "ticket.id")
	refused(t, "unknown", update(&ticketv1.Ticket{Id: nowhere, Title: "y"}, "title"), codes.NotFound, "TICKET_NOT_FOUND", "")
	refused(t, "stale", update(&ticketv1.Ticket{Title: "y", Etag: "7"}, "title"), codes.Aborted, "ETAG_MISMATCH", "")
	for _, state := range states() {
		err := update(&ticketv1.Ticket{Id: w.at(state, "").GetId(), Title: "y"}, "title")
		if ticket.Editable(state) == nil {
			if err != nil {
				t.Errorf("correcting a ticket that is %v: %v", state, err)
			}
			continue
		}
		refused(t, ticket.Name(state), err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	}
	if got := w.get(of.GetId()); got.GetEtag() != "1" || got.GetTitle() != "Pump leaks" {
		t.Errorf("refused calls changed the ticket: %v", got)
	}
	won, lost := wins(4, func(int) error { return update(&ticketv1.Ticket{Title: "race", Etag: "1"}, "title") })
	if won != 1 {
		t.Errorf("%d of 4 corrections of one version won: %v", won, lost)
	}
}

func TestThoseWhoTakeNoTicketsInDoNotSeeContacts(t *testing.T) {
	w := newWorld(t)
	of := w.create(&ticketv1.Ticket{Reporter: &ticketv1.Reporter{Name: "王芳", Phone: "13800138000", Email: "a@example.com"}})
	bare := w.create(&ticketv1.Ticket{Reporter: &ticketv1.Reporter{Phone: "13800138000"}})
	for role, sees := range map[string]bool{
		access.ServiceManager: true, access.ServiceSupervisor: true, access.ServiceAgent: true,
		access.AfterSalesSpecialist: true, access.SupportEngineer: false,
	} {
		ctx := w.As(role)
		got, err := w.tickets.GetTicket(ctx, &ticketv1.GetTicketRequest{Id: of.GetId()})
		if err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		list, err := w.tickets.ListTickets(ctx, &ticketv1.ListTicketsRequest{})
		if err != nil || len(list.GetTickets()) != 2 {
			t.Fatalf("%s: %v, %v", role, list, err)
		}
		for _, r := range []*ticketv1.Reporter{got.GetReporter(), list.GetTickets()[1].GetReporter()} {
			if r.GetName() != "王芳" || (r.GetPhone() == "+8613800138000") != sees || (r.GetEmail() != "") != sees {
				t.Errorf("%s sees %v, contacts %v", role, r, sees)
			}
		}
		if got := list.GetTickets()[0]; got.GetId() != bare.GetId() || (got.GetReporter() != nil) != sees {
			t.Errorf("%s sees %v, contacts %v", role, got, sees)
		}
		_, err = w.tickets.ListTickets(ctx, &ticketv1.ListTicketsRequest{ReporterPhone: "13800138000"})
		// After-sales specialists see phones of open tickets alone.
		if (sees && role != access.AfterSalesSpecialist) != (err == nil) {
			t.Errorf("%s filters by phone: %v", role, err)
		}
	}
	// Who does not see them does not lose them either.
	got, err := w.tickets.UpdateTicket(w.As(access.SupportEngineer), &ticketv1.UpdateTicketRequest{
		Ticket:     &ticketv1.Ticket{Id: of.GetId(), Title: "seal", Reporter: &ticketv1.Reporter{Name: "王方"}},
		UpdateMask: mask("title", "reporter.name"),
	})
	if err != nil || got.GetReporter().GetPhone() != "" || got.GetReporter().GetName() != "王方" {
		t.Errorf("corrected %v, %v", got, err)
	}
	want := &ticketv1.Reporter{Name: "王方", Phone: "+8613800138000", Email: "a@example.com"}
	if kept := w.get(of.GetId()).GetReporter(); !proto.Equal(kept, want) {
		t.Errorf("kept %v, want %v", kept, want)
	}
}
