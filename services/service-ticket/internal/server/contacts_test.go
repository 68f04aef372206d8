package server_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// contact logs one of a kind at a time; zero is now.
func (w *world) contact(id string, twoWay bool, at time.Time) error {
	w.t.Helper()
	req := &ticketv1.RecordTicketContactRequest{Id: id, Channel: typev1.Channel_CHANNEL_PHONE, TwoWay: twoWay, Note: "王芳 asked for 13800138000"}
	if !at.IsZero() {
		req.ContactTime = timestamppb.New(at)
	}
	return second(w.tickets.RecordTicketContact(w.AsStaff(access.ServiceAgent, "agent-1"), req))
}

func (w *world) mustContact(id string, twoWay bool, at time.Time) {
	w.t.Helper()
	if err := w.contact(id, twoWay, at); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) assign(id string, to *ticketv1.Staff) {
	w.t.Helper()
	w.must(w.tickets.AssignTicket(w.manager(), &ticketv1.AssignTicketRequest{Id: id, StaffId: to.GetId()}))
}

func TestATwoWayContactMeetsFirstResponseAndTheAssigneesContact(t *testing.T) {
	w := newWorld(t) // Monday, 2 November 2026, 09:00 in Shanghai
	id := w.create(&ticketv1.Ticket{Priority: ticketv1.Priority_PRIORITY_P2}).GetId()
	if c := w.state(id, "contact", clock.Pending); c.GetClauseId() != "contact-c-p2" {
		t.Errorf("pending by %s", c.GetClauseId())
	}
	w.Clock.Advance(30 * time.Minute)
	w.assign(id, w.agent)
	w.due(id, "contact", "2026-11-02 14:30:00") // 4 h from the assignment
	w.due(id, "first-response", "2026-11-02 14:00:00")

	// A reply answers first response alone, an attempt nothing.
	w.mustContact(id, false, time.Time{})
	w.state(id, "first-response", clock.Running)
	w.Clock.Advance(30 * time.Minute)
	w.mustContact(id, true, time.Time{})
	w.state(id, "first-response", clock.Met)
	if c := w.state(id, "contact", clock.Met); c.GetElapsed().AsDuration() != 30*time.Minute || c.GetOwner().GetStaffId() != w.agent.GetId() {
		t.Errorf("contact: %v", c)
	}
	w.state(id, "progress", clock.Pending)

	list, err := w.tickets.ListTicketContacts(w.manager(), &ticketv1.ListTicketContactsRequest{TicketId: id, PageSize: 1})
	if err != nil || len(list.GetContacts()) != 1 || list.GetContacts()[0].GetTwoWay() || list.GetNextPageToken() == "" {
		t.Fatalf("contacts %v, %v", list, err)
	}
	list, err = w.tickets.ListTicketContacts(w.manager(), &ticketv1.ListTicketContactsRequest{TicketId: id, PageSize: 1, PageToken: list.GetNextPageToken()})
	if err != nil || len(list.GetContacts()) != 1 || list.GetNextPageToken() != "" {
		t.Fatalf("contacts %v, %v", list, err)
	}
	if c := list.GetContacts()[0]; !c.GetTwoWay() || c.GetRound() != 1 || c.GetStaffId() != w.agent.GetId() || c.GetNote() == "" ||
		c.GetChannel() != typev1.Channel_CHANNEL_PHONE || !c.GetContactTime().AsTime().Equal(w.Clock.Now()) {
		t.Errorf("contact %v", c)
	}
	w.replay(id)
	w.rebuilt()
}

func TestAContactTellsTheWorldWithoutAWordOfIt(t *testing.T) {
	w := newWorld(t)
	id := w.create(&ticketv1.Ticket{Channel: typev1.Channel_CHANNEL_WEB}).GetId()
	w.Clock.Advance(time.Hour)
	at := w.Clock.Now().Add(-10 * time.Minute)
	w.mustContact(id, true, at)
	w.mustContact(id, false, time.Time{})
	told := map[string]bool{}
	for _, e := range w.eventsOf(id) {
		if strings.Contains(e.String(), "13800138000") || strings.Contains(e.String(), "王芳") {
			t.Errorf("%s tells what was said", e.GetType())
		}
		if e.GetType() != "ticket.contacted.v1" && e.GetType() != "ticket.attempted.v1" {
			continue
		}
		told[e.GetType()] = true
		payload, err := event.Unpack[*ticketv1.TicketChanged](e)
		if err != nil || payload.GetChannel() != typev1.Channel_CHANNEL_PHONE || payload.GetStateAfter() != ticket.New ||
			e.GetType() == "ticket.contacted.v1" && !e.GetOccurTime().AsTime().Equal(at) {
			t.Errorf("%s: %v at %v, %v", e.GetType(), payload, e.GetOccurTime().AsTime(), err)
		}
	}
	if len(told) != 2 {
		t.Errorf("told %v", told)
	}
	history, err := w.tickets.ListTransitions(w.manager(), &ticketv1.ListTransitionsRequest{TicketId: id})
	if n := len(history.GetTransitions()); err != nil || n != 3 || history.GetTransitions()[1].GetVerb() != "recordContact" {
		t.Errorf("history %v, %v", history, err)
	}
}

func TestAContactLoggedLateCountsFromWhenItTookPlace(t *testing.T) {
	w := newWorld(t)
	id := w.create(&ticketv1.Ticket{Priority: ticketv1.Priority_PRIORITY_P1}).GetId() // 2 h day and night
	w.Clock.Advance(3 * time.Hour)
	if _, err := w.sweeper.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.state(id, "first-response", clock.Missed)
	w.assign(id, w.agent)
	w.mustContact(id, true, w.Clock.Now().Add(-90*time.Minute))
	// In time after all; the assignment came later and is not answered by it.
	w.state(id, "first-response", clock.Met)
	w.state(id, "contact", clock.Running)
	w.rebuilt()
}

func TestAHandOverGivesTheNextAssigneeAContactClockOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	other := w.staff("agent-2")
	id := w.create(&ticketv1.Ticket{Priority: ticketv1.Priority_PRIORITY_P2}).GetId()
	w.assign(id, w.agent)
	w.Clock.Advance(time.Hour)
	w.assign(id, w.agent) // the same person goes on
	w.due(id, "contact", "2026-11-02 14:00:00")
	w.assign(id, other)
	w.due(id, "contact", "2026-11-02 15:00:00")
	if c := w.state(id, "contact", clock.Running); c.GetOwner().GetStaffId() != other.GetId() {
		t.Errorf("owner %v", c.GetOwner())
	}
	// What the first one owed is given up, and stays missed where it was late.
	if n := w.count("SELECT count(*) FROM clocks WHERE kind = 'contact' AND state = $1 AND owner_staff_id = $2", int16(clock.Cancelled), w.agent.GetId()); n != 1 {
		t.Errorf("%d given up, want 1", n)
	}
	w.set("2026-11-03 09:00:00")
	w.assign(id, w.agent)
	if n := w.count("SELECT count(*) FROM clocks WHERE kind = 'contact' AND state = $1 AND owner_staff_id = $2", int16(clock.Missed), other.GetId()); n != 1 {
		t.Errorf("%d missed by the second, want 1", n)
	}
	w.mustContact(id, true, time.Time{})
	w.state(id, "contact", clock.Met)
	w.rebuilt()
}

func TestASolutionIsNoWordWithTheCustomer(t *testing.T) {
	w := newWorld(t)
	id := w.at(ticket.InProgress, "").GetId()
	w.must(w.do(w.manager(), "resolve", id, ""))
	w.state(id, "first-response", clock.Met)
	if c := w.state(id, "contact", clock.Cancelled); c.GetStopReason() != "resolved" {
		t.Errorf("given up for %q", c.GetStopReason())
	}
	// A call after the solution moves no clock, and none runs in round two until somebody
	// else takes it over.
	before := w.count("SELECT count(*) FROM clock_log")
	w.Clock.Advance(time.Hour)
	w.mustContact(id, true, time.Time{})
	if after := w.count("SELECT count(*) FROM clock_log"); after != before {
		t.Errorf("%d entries", after-before)
	}
	due := w.count("SELECT extract(epoch FROM confirm_due)::bigint FROM tickets WHERE id = $1", id)
	if want := w.Clock.Now().Add(72 * time.Hour).Unix(); int64(due) != want {
		t.Errorf("silence ends at %d, want %d: the customer spoke", due, want)
	}
	w.must(w.do(w.manager(), "reopen", id, ""))
	w.state(id, "contact", clock.Cancelled)
	w.assign(id, w.staff("agent-2"))
	if c := w.state(id, "contact", clock.Running); c.GetRound() != 2 {
		t.Errorf("round %d", c.GetRound())
	}
	w.rebuilt()
}

func TestRefusedContacts(t *testing.T) {
	w := newWorld(t)
	id := w.create(&ticketv1.Ticket{}).GetId()
	w.Clock.Advance(time.Hour)
	good := func() *ticketv1.RecordTicketContactRequest {
		return &ticketv1.RecordTicketContactRequest{Id: id, Channel: typev1.Channel_CHANNEL_PHONE, Note: "x"}
	}
	for field, spoil := range map[string]func(*ticketv1.RecordTicketContactRequest){
		"channel": func(r *ticketv1.RecordTicketContactRequest) { r.Channel = typev1.Channel_CHANNEL_UNKNOWN },
		"note":    func(r *ticketv1.RecordTicketContactRequest) { r.Note = "" },
		"contact_time": func(r *ticketv1.RecordTicketContactRequest) {
			r.ContactTime = timestamppb.New(w.Clock.Now().Add(time.Second))
		},
	} {
		req := good()
		spoil(req)
		_, err := w.tickets.RecordTicketContact(w.manager(), req)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	req := good()
	req.ContactTime = timestamppb.New(w.Clock.Now().Add(-2 * time.Hour))
	_, err := w.tickets.RecordTicketContact(w.manager(), req)
	refused(t, "before the round", err, codes.InvalidArgument, "VALIDATION_FAILED", "contact_time")
	_, err = w.tickets.RecordTicketContact(w.AsCustomer(w.customer(typev1.Tier_TIER_B)), good())
	refused(t, "by a customer", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	_, err = w.tickets.ListTicketContacts(w.manager(), &ticketv1.ListTicketContactsRequest{TicketId: nowhere})
	refused(t, "of no ticket", err, codes.NotFound, "TICKET_NOT_FOUND", "")
	if n := w.count("SELECT count(*) FROM ticket_contacts"); n != 0 {
		t.Errorf("%d contacts of refused calls", n)
	}
}
