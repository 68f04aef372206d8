package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

var created = time.Date(2018, 3, 4, 5, 6, 7, 0, time.UTC)

// record is a complete record of a ticket in that state.
func record(external string, state ticket.State) *ticketv1.TicketRecord {
	r := &ticketv1.TicketRecord{
		ExternalId: external, State: state, CreateTime: timestamppb.New(created),
		Ticket: &ticketv1.Ticket{Channel: typev1.Channel_CHANNEL_UNKNOWN, Title: "HEAT/HOT WATER"},
	}
	switch state {
	case ticket.Resolved, ticket.Closed:
		r.ResolveTime, r.Resolution = timestamppb.New(created.Add(time.Hour)), "heat restored"
		if state == ticket.Closed {
			r.CloseTime = timestamppb.New(created.Add(2 * time.Hour))
		}
	case ticket.Cancelled:
		r.ResolveTime = timestamppb.New(created.Add(time.Hour))
	}
	return r
}

func (w *world) importer() context.Context { return w.As(access.InformationAdministrator) }

func (w *world) imports(ctx context.Context, records ...*ticketv1.TicketRecord) []*typev1.ImportResult {
	w.t.Helper()
	got, err := w.tickets.ImportTickets(ctx, &ticketv1.ImportTicketsRequest{Source: "nyc311", Records: records})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(got.GetResults()) != len(records) {
		w.t.Fatalf("%d results of %d records", len(got.GetResults()), len(records))
	}
	return got.GetResults()
}

func TestImportTickets(t *testing.T) {
	w := newWorld(t)
	customer := w.registered(typev1.Tier_TIER_B)
	var records []*ticketv1.TicketRecord
	for _, state := range states() {
		if state != ticket.Merged {
			records = append(records, record(ticket.Name(state), state))
		}
	}
	records[0].Ticket.CustomerId = customer.GetId()
	records[0].Ticket.Reporter = &ticketv1.Reporter{Name: "Ann", Phone: "+1 212 736 5000"}
	records[1].Ticket.Reporter = &ticketv1.Reporter{Email: "Ann@example.com"}
	records[2].DepartmentId = w.desk.GetId()
	records = append(records, proto.Clone(records[0]).(*ticketv1.TicketRecord))
	first := w.imports(w.importer(), records...)
	for i, r := range first[:8] {
		if r.GetOutcome() != typev1.ImportOutcome_IMPORT_OUTCOME_CREATED || r.GetExternalId() != records[i].GetExternalId() ||
			!strings.HasPrefix(r.GetNumber(), "T-202611-") {
			t.Errorf("record %d: %v", i, r)
			continue
		}
		w.replay(r.GetId())
		got := w.get(r.GetId())
		want := &ticketv1.Ticket{
			Id: r.GetId(), Number: r.GetNumber(), CustomerId: records[i].GetTicket().GetCustomerId(),
			Channel: typev1.Channel_CHANNEL_UNKNOWN, Mode: ticketv1.Mode_MODE_PASSIVE,
			Phase: ticketv1.Phase_PHASE_AFTER_SALE, Type: ticketv1.TicketType_TICKET_TYPE_OTHER,
			Priority: ticketv1.Priority_PRIORITY_P3, PrioritySource: byDefault, Title: "HEAT/HOT WATER", State: records[i].GetState(), Round: 1,
			DepartmentId: records[i].GetDepartmentId(), Resolution: records[i].GetResolution(), Source: "nyc311",
			ExternalId: r.GetExternalId(), CreateTime: timestamppb.New(created), UpdateTime: timestamppb.New(w.Clock.Now()),
			ResolveTime: records[i].GetResolveTime(), CloseTime: records[i].GetCloseTime(), Etag: "1",
			Reporter: got.GetReporter(),
		}
		if want.GetState() == ticket.Cancelled {
			want.ResolveTime = nil
		}
		if !proto.Equal(got, want) {
			t.Errorf("%s: %v\nwant %v", r.GetExternalId(), got, want)
		}
	}
	if r := w.get(first[0].GetId()).GetReporter(); r.GetPhone() != "+12127365000" || r.GetName() != "Ann" {
		t.Errorf("reporter %v", r)
	}
	if r := w.get(first[1].GetId()).GetReporter(); r.GetEmail() != "ann@example.com" {
		t.Errorf("reporter %v", r)
	}
	if twin := first[8]; twin.GetOutcome() != typev1.ImportOutcome_IMPORT_OUTCOME_EXISTS ||
		twin.GetId() != first[0].GetId() || twin.GetNumber() != first[0].GetNumber() {
		t.Errorf("the record given twice: %v, want that of %v", twin, first[0])
	}

	events := w.eventsOf(first[6].GetId())
	payload, err := event.Unpack[*ticketv1.TicketChanged](events[0])
	if len(events) != 1 || err != nil || events[0].GetType() != "ticket.imported.v1" || !events[0].GetHistoric() ||
		!events[0].GetOccurTime().AsTime().Equal(created.Add(2*time.Hour)) || payload.GetStateAfter() != ticket.Closed {
		t.Errorf("events %v, %v", events, err)
	}
	if n := w.count("SELECT count(*) FROM audit_records WHERE object_type = 'ticket'"); n != 8 {
		t.Errorf("%d audit records, want 8", n)
	}

	// Again, with other content: nothing changes.
	records[0].Ticket.Title = "changed"
	for i, r := range w.imports(w.importer(), records...) {
		if r.GetOutcome() != typev1.ImportOutcome_IMPORT_OUTCOME_EXISTS || r.GetId() != first[i].GetId() || r.GetNumber() != first[i].GetNumber() {
			t.Errorf("record %d again: %v, want that of %v", i, r, first[i])
		}
	}
	if n := w.count("SELECT count(*) FROM tickets"); n != 8 {
		t.Errorf("%d tickets, want 8", n)
	}
	if got := w.list(w.manager(), &ticketv1.ListTicketsRequest{Source: "nyc311", ExternalId: "closed"}); !slices.Equal(got, []string{first[6].GetId()}) {
		t.Errorf("by source and external id: %v", got)
	}
	if got := w.list(w.manager(), &ticketv1.ListTicketsRequest{Source: "nyc311", PageSize: 3}); len(got) != 8 {
		t.Errorf("by source: %v", got)
	}

	// History starts no clock.
	w.Clock.Advance(1000 * time.Hour)
	if err := w.server.SweepSilent(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.get(first[5].GetId()); got.GetState() != ticket.Resolved {
		t.Errorf("an imported ticket was closed by silence: %v", got)
	}
	_, err = w.do(w.manager(), "reopen", first[6].GetId(), "")
	refused(t, "reopening history", err, codes.FailedPrecondition, "TICKET_REOPEN_TOO_LATE", "")
}

func TestImportRefusesRecordsOneByOne(t *testing.T) {
	w := newWorld(t)
	now := w.Clock.Now()
	for _, c := range []struct {
		name, reason, field string
		state               ticket.State
		spoil               func(*ticketv1.TicketRecord)
		text                []string
	}{
		{"no external id", "VALIDATION_FAILED", "external_id", ticket.New, func(r *ticketv1.TicketRecord) { r.ExternalId = "" }, nil},
		{"no title", "VALIDATION_FAILED", "ticket.title", ticket.New, func(r *ticketv1.TicketRecord) { r.Ticket.Title = "" }, nil},
		{"no channel", "VALIDATION_FAILED", "ticket.channel", ticket.New, func(r *ticketv1.TicketRecord) { r.Ticket.Channel = 0 }, nil},
		{"merged", "VALIDATION_FAILED", "state", ticket.New, func(r *ticketv1.TicketRecord) { r.State = ticket.Merged }, nil},
		{"no time", "VALIDATION_FAILED", "create_time", ticket.New, func(r *ticketv1.TicketRecord) { r.CreateTime = nil }, nil},
		{"no such customer", "VALIDATION_FAILED", "ticket.customer_id", ticket.New, func(r *ticketv1.TicketRecord) { r.Ticket.CustomerId = nowhere }, []string{nowhere}},
		{"no such department", "VALIDATION_FAILED", "department_id", ticket.New, func(r *ticketv1.TicketRecord) { r.DepartmentId = nowhere }, []string{nowhere}},
		{"bad phone", "VALIDATION_FAILED", "ticket.reporter.phone", ticket.New, func(r *ticketv1.TicketRecord) { r.Ticket.Reporter = &ticketv1.Reporter{Phone: "1"} }, nil},
		{"closed before resolved", "TICKET_TIMES_OUT_OF_ORDER", "close_time", ticket.Closed,
			func(r *ticketv1.TicketRecord) { r.CloseTime = timestamppb.New(created) }, []string{"2018-03-04T05:06:07Z", "2018-03-04T06:06:07Z"}},
		{"in the future", "TICKET_TIMES_OUT_OF_ORDER", "create_time", ticket.New,
			func(r *ticketv1.TicketRecord) { r.CreateTime = timestamppb.New(now.Add(time.Hour)) }, []string{"2026-11-02T02:00:00Z", "2026-11-02T01:00:00Z"}},
		{"no resolution", "TICKET_STATE_INCOMPLETE", "resolution", ticket.Resolved, func(r *ticketv1.TicketRecord) { r.Resolution = "" }, nil},
		{"closed without time", "TICKET_STATE_INCOMPLETE", "close_time", ticket.Closed, func(r *ticketv1.TicketRecord) { r.CloseTime = nil }, nil},
	} {
		bad := record("bad", c.state)
		c.spoil(bad)
		got := w.imports(w.importer(), record("good "+c.name, ticket.New), bad)
		if got[0].GetOutcome() != typev1.ImportOutcome_IMPORT_OUTCOME_CREATED {
			t.Errorf("%s: the good record beside it: %v", c.name, got[0])
		}
		if got[1].GetOutcome() != typev1.ImportOutcome_IMPORT_OUTCOME_REFUSED || len(got[1].GetRefusals()) != 1 || got[1].GetId() != "" {
			t.Errorf("%s: %v, want one refusal", c.name, got[1])
			continue
		}
		refusal := got[1].GetRefusals()[0]
		if refusal.GetReason() != c.reason || refusal.GetField() != c.field || refusal.GetMessage() == "" {
			t.Errorf("%s: %v, want %s of %s", c.name, refusal, c.reason, c.field)
		}
		for _, part := range c.text {
			if !strings.Contains(refusal.GetMessage(), part) {
				t.Errorf("%s: %q does not name %s", c.name, refusal.GetMessage(), part)
			}
		}
	}
	if n := w.count("SELECT count(*) FROM tickets WHERE external_id = 'bad' OR external_id = ''"); n != 0 {
		t.Errorf("refused records left %d tickets", n)
	}
	chinese := chinese(w.importer())
	bad := record("bad", ticket.Resolved)
	bad.Resolution = ""
	if got := w.imports(chinese, bad)[0].GetRefusals(); len(got) != 1 || !strings.Contains(got[0].GetMessage(), "工单") {
		t.Errorf("in Chinese: %v", got)
	}
}

func TestImportCallRefusals(t *testing.T) {
	w := newWorld(t)
	good := []*ticketv1.TicketRecord{record("1", ticket.New)}
	for field, req := range map[string]*ticketv1.ImportTicketsRequest{
		"source":  {Source: "NYC 311", Records: good},
		"records": {Source: "nyc311"},
	} {
		_, err := w.tickets.ImportTickets(w.importer(), req)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	_, err := w.tickets.ImportTickets(w.manager(), &ticketv1.ImportTicketsRequest{Source: "nyc311", Records: good})
	refused(t, "manager", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	w.registry.stop(true)
	good[0].Ticket.CustomerId = nowhere
	_, err = w.tickets.ImportTickets(w.importer(), &ticketv1.ImportTicketsRequest{Source: "nyc311", Records: good})
	refused(t, "registry down", err, codes.Unavailable, "DEPENDENCY_UNAVAILABLE", "")
}

func TestImportsOfTheSameRecordsMakeEachTicketOnce(t *testing.T) {
	w := newWorld(t)
	var records []*ticketv1.TicketRecord
	for i := range 500 {
		records = append(records, record(fmt.Sprint(i), states()[i%8]))
	}
	begin := time.Now()
	ids := make([][]*typev1.ImportResult, 3)
	won, lost := wins(3, func(i int) error {
		got, err := w.tickets.ImportTickets(w.importer(), &ticketv1.ImportTicketsRequest{Source: "nyc311", Records: records})
		ids[i] = got.GetResults()
		return err
	})
	if won != 3 {
		t.Fatalf("imports failed: %v", lost)
	}
	t.Logf("500 records by three callers at once: %v", time.Since(begin))
	made := 0
	for i := range records {
		for _, results := range ids {
			if results[i].GetOutcome() == typev1.ImportOutcome_IMPORT_OUTCOME_CREATED {
				made++
			}
			if results[i].GetId() != ids[0][i].GetId() {
				t.Fatalf("record %d is %s for one and %s for another", i, results[i].GetId(), ids[0][i].GetId())
			}
		}
	}
	if n := w.count("SELECT count(*) FROM tickets"); made != 500 || n != 500 {
		t.Errorf("%d created, %d stored, want 500", made, n)
	}
	if n := len(w.Events(t)); n != 504 {
		t.Errorf("%d events, want one a ticket, the directory's two and the calendars' two", n)
	}
}

func TestImportsForMergedAndErasedCustomers(t *testing.T) {
	w := newWorld(t)
	gone, survivor, erased := w.registered(typev1.Tier_TIER_B), w.customer(typev1.Tier_TIER_B), w.customer(typev1.Tier_TIER_B)
	w.merge(gone, survivor)
	if err := w.Process.Keyring.Shred(t.Context(), w.Pool, uuid.MustParse(erased)); err != nil {
		t.Fatal(err)
	}
	var records []*ticketv1.TicketRecord
	for _, customer := range []string{gone.GetId(), survivor, erased} {
		r := record("of "+customer, ticket.New)
		r.Ticket.CustomerId, r.Ticket.Reporter = customer, &ticketv1.Reporter{Name: "Ann", Phone: "13800138000"}
		records = append(records, r)
	}
	results := w.imports(w.importer(), records...)
	for i, want := range []*ticketv1.Ticket{
		{CustomerId: survivor, Reporter: &ticketv1.Reporter{Name: "Ann", Phone: "+8613800138000"}},
		{CustomerId: survivor, Reporter: &ticketv1.Reporter{Name: "Ann", Phone: "+8613800138000"}},
		{CustomerId: erased, Reporter: &ticketv1.Reporter{Name: "Ann"}},
	} {
		got := w.get(results[i].GetId())
		if got.GetCustomerId() != want.GetCustomerId() || !proto.Equal(got.GetReporter(), want.GetReporter()) {
			t.Errorf("%s: %v, want %v", results[i].GetExternalId(), got, want)
		}
	}
}
