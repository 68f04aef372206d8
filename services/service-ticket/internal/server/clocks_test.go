package server_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/clocktest"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// A key customer's P3 before a make-up Saturday and the Spring Festival: 2 h and 2 working
// days in business hours.
func TestAKeyCustomersTicketOverTheSpringFestival(t *testing.T) {
	w := newWorld(t)
	w.set("2026-02-13 17:50:00") // Friday; Saturday the 14th is worked, 15 to 23 February are off
	id := w.create(&ticketv1.Ticket{CustomerId: w.customer(typev1.Tier_TIER_KEY)}).GetId()

	w.due(id, "first-response", "2026-02-14 10:50:00")
	w.due(id, "resolution", "2026-02-24 17:50:00")

	w.set("2026-02-14 09:30:00")
	w.must(w.do(w.manager(), "assign", id, ""))
	w.reply(id, true)
	w.must(w.do(w.manager(), "start", id, ""))
	first := w.state(id, "first-response", clock.Met)
	if first.GetElapsed().AsDuration() != 40*time.Minute {
		t.Errorf("first response after %v, want 40m", first.GetElapsed().AsDuration())
	}

	w.set("2026-02-14 15:00:00")
	w.must(w.do(w.manager(), "wait", id, ""))
	held := w.due(id, "resolution", "")
	if held.GetClock().GetState() != clock.Paused || held.GetClock().GetPauses()[0].GetReason() != "waiting-customer" {
		t.Errorf("on hold: %v", held.GetClock())
	}

	// P2 of a key customer is 8 h day and night: from Friday 17:50 they would have been over
	// on Saturday 01:50, before the hold began.
	w.set("2026-02-18 12:00:00")
	w.prioritize(id, ticketv1.Priority_PRIORITY_P2)
	w.due(id, "resolution", "2026-02-14 01:50:00")
	w.state(id, "resolution", clock.Missed)
	// And back: the hold is measured anew in business hours.
	w.prioritize(id, ticketv1.Priority_PRIORITY_P3)
	w.due(id, "resolution", "")
	w.state(id, "resolution", clock.Paused)

	// 10 min on Friday and 5 h on Saturday have counted; 10 h 50 min are left of 16 h.
	w.set("2026-02-25 09:30:00")
	w.must(w.do(w.manager(), "resume", id, ""))
	receipt := w.due(id, "resolution", "2026-02-26 13:20:00")
	kinds := map[clockv1.ClockSegmentKind]time.Duration{}
	for _, s := range receipt.GetSums() {
		kinds[s.GetKind()] = s.GetLength().AsDuration()
	}
	if kinds[clockv1.ClockSegmentKind_CLOCK_SEGMENT_KIND_MAKEUP_WORKDAY] != 5*time.Hour ||
		kinds[clockv1.ClockSegmentKind_CLOCK_SEGMENT_KIND_PAUSED] != clocktest.WallClock(t, "2026-02-25 09:30:00").Sub(clocktest.WallClock(t, "2026-02-14 15:00:00")) {
		t.Errorf("sums %v", receipt.GetSums())
	}
	if receipt.GetClock().GetClauseId() != "resolution-key-p3" || receipt.GetText().GetZh() == "" || receipt.GetText().GetEn() == "" {
		t.Errorf("receipt %v", receipt)
	}

	// P4 mid-way: 3 wd of 8 h, less the 5 h 10 min and what counts from the resumption on.
	w.set("2026-02-25 10:00:00")
	w.must(w.do(w.manager(), "wait", id, ""))
	w.prioritize(id, ticketv1.Priority_PRIORITY_P4)
	w.due(id, "resolution", "")
	w.set("2026-02-25 14:00:00")
	w.must(w.do(w.manager(), "resume", id, ""))
	// 5 h 40 min counted, 18 h 20 min left: 4 h on the 25th, 8 h on the 26th, 6 h 20 min on the 27th.
	w.due(id, "resolution", "2026-02-27 16:20:00")

	w.set("2026-02-27 16:20:00")
	w.must(w.do(w.manager(), "resolve", id, ""))
	w.state(id, "resolution", clock.Met)
	w.rebuilt()
}

func TestClocksOfATicketByItsMoves(t *testing.T) {
	w := newWorld(t) // Monday, 2 November 2026, 09:00 in Shanghai
	id := w.create(&ticketv1.Ticket{}).GetId()
	w.due(id, "resolution", "2026-11-06 18:00:00") // C, P3: 5 wd
	w.due(id, "first-response", "2026-11-02 18:00:00")
	w.state(id, "progress", clock.Pending)
	w.must(w.do(w.manager(), "triage", id, "")) // P2: 4 h and 3 wd
	w.due(id, "first-response", "2026-11-02 14:00:00")
	w.due(id, "resolution", "2026-11-04 18:00:00")
	w.must(w.do(w.manager(), "assign", id, ""))
	if owner := w.clocksOf(id)["resolution"].GetOwner(); owner.GetStaffId() != w.agent.GetId() ||
		owner.GetDepartmentId() != w.desk.GetId() || owner.GetRole() != access.ServiceAgent {
		t.Errorf("owner %v", owner)
	}
	w.reply(id, false)
	w.state(id, "first-response", clock.Running)
	w.must(w.do(w.manager(), "start", id, ""))

	// Waiting for a third party counts.
	w.must(w.tickets.WaitTicket(w.manager(), &ticketv1.WaitTicketRequest{
		Id: id, WaitFor: ticketv1.WaitFor_WAIT_FOR_THIRD_PARTY, Reason: "parts",
	}))
	w.state(id, "resolution", clock.Running)
	w.must(w.do(w.manager(), "resume", id, ""))

	// On hold for the customer and resolved directly: judged by when the hold began.
	w.set("2026-11-04 17:00:00")
	w.must(w.do(w.manager(), "wait", id, ""))
	w.set("2026-11-09 09:00:00")
	w.must(w.do(w.manager(), "resolve", id, ""))
	w.state(id, "resolution", clock.Met)
	if first := w.state(id, "first-response", clock.Missed); first.GetStopReason() != "resolved" {
		t.Errorf("first response stopped for %q", first.GetStopReason())
	}

	// Thanks after the solution start nothing.
	before := w.count("SELECT count(*) FROM clock_log")
	w.reply(id, true)
	if after := w.count("SELECT count(*) FROM clock_log"); after != before {
		t.Errorf("a reply after the solution wrote %d entries", after-before)
	}

	// A new round has a new resolution clock and no other.
	w.must(w.do(w.manager(), "reopen", id, ""))
	c := w.state(id, "resolution", clock.Running)
	if c.GetRound() != 2 || !c.GetStartTime().AsTime().Equal(w.Clock.Now()) {
		t.Errorf("in round two: %v", c)
	}
	w.due(id, "resolution", "2026-11-11 18:00:00")
	if n := w.count("SELECT count(*) FROM clocks WHERE subject_id = $1", id); n != 4 {
		t.Errorf("%d clocks, want two resolutions, a first response and a contact", n)
	}
	old, err := w.tickets.ExplainTicketClock(w.manager(), &ticketv1.ExplainTicketClockRequest{TicketId: id, Clock: "resolution", Round: 1})
	if err != nil || old.GetClock().GetState() != clock.Met {
		t.Errorf("round one: %v, %v", old.GetClock(), err)
	}
	w.must(w.do(w.manager(), "cancel", id, ""))
	w.state(id, "resolution", clock.Cancelled)
	w.rebuilt()
}

func TestProgressIsToldFromReplyToReply(t *testing.T) {
	w := newWorld(t)
	id := w.create(&ticketv1.Ticket{Priority: ticketv1.Priority_PRIORITY_P2}).GetId()
	w.reply(id, true)
	w.state(id, "first-response", clock.Met)
	w.due(id, "progress", "2026-11-02 14:00:00")
	w.Clock.Advance(2 * time.Hour)
	w.reply(id, true)
	w.due(id, "progress", "2026-11-02 16:00:00")
	if n := w.count("SELECT count(*) FROM clocks WHERE subject_id = $1 AND kind = 'progress' AND stop_time IS NULL", id); n != 1 {
		t.Errorf("%d open progress clocks, want 1", n)
	}
	w.must(w.do(w.manager(), "merge", id, ""))
	w.state(id, "progress", clock.Cancelled)
	w.state(id, "resolution", clock.Cancelled)
	w.rebuilt()
}

func TestClocksAreListedInPages(t *testing.T) {
	w := newWorld(t)
	id := w.create(&ticketv1.Ticket{}).GetId()
	for range 3 {
		w.Clock.Advance(time.Minute)
		w.reply(id, true)
	}
	var kinds []string
	req := &ticketv1.ListTicketClocksRequest{TicketId: id, PageSize: 2}
	for pages := 1; ; pages++ {
		page, err := w.tickets.ListTicketClocks(w.manager(), req)
		if err != nil || pages > 3 {
			t.Fatalf("page %d: %v", pages, err)
		}
		for _, c := range page.GetClocks() {
			kinds = append(kinds, c.GetKind())
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	slices.Sort(kinds[:2])
	if !slices.Equal(kinds, []string{"first-response", "resolution", "progress", "progress", "progress", "contact"}) {
		t.Errorf("listed %v", kinds)
	}
}

func TestACustomersCommentAnswersNothing(t *testing.T) {
	w := newWorld(t)
	customer := w.customer(typev1.Tier_TIER_B)
	id := w.create(&ticketv1.Ticket{CustomerId: customer}).GetId()
	if _, err := w.tickets.CreateComment(w.AsCustomer(customer), &ticketv1.CreateCommentRequest{
		TicketId: id, Comment: &ticketv1.Comment{Body: "hello?"},
	}); err != nil {
		t.Fatal(err)
	}
	w.state(id, "first-response", clock.Running)
	w.state(id, "progress", clock.Pending)
}

func TestWhoSeesClocks(t *testing.T) {
	w := newWorld(t)
	customer := w.customer(typev1.Tier_TIER_B)
	id := w.create(&ticketv1.Ticket{CustomerId: customer}).GetId()
	list := &ticketv1.ListTicketClocksRequest{TicketId: id}
	explain := &ticketv1.ExplainTicketClockRequest{TicketId: id, Clock: "resolution"}
	_, err := w.tickets.ListTicketClocks(w.AsCustomer(customer), list)
	refused(t, "a customer's list", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	_, err = w.tickets.ExplainTicketClock(w.AsCustomer(customer), explain)
	refused(t, "a customer's receipt", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	_, err = w.tickets.ListTicketClocks(w.manager(), &ticketv1.ListTicketClocksRequest{TicketId: nowhere})
	refused(t, "of no ticket", err, codes.NotFound, "TICKET_NOT_FOUND", "")
	_, err = w.tickets.ExplainTicketClock(w.manager(), &ticketv1.ExplainTicketClockRequest{TicketId: nowhere, Clock: "resolution"})
	refused(t, "of no ticket", err, codes.NotFound, "TICKET_NOT_FOUND", "")
	for _, name := range []string{"progress", "contact", nowhere} {
		_, err = w.tickets.ExplainTicketClock(w.manager(), &ticketv1.ExplainTicketClockRequest{TicketId: id, Clock: name})
		refused(t, name, err, codes.NotFound, "CLOCK_NOT_FOUND", "")
	}
	_, err = w.tickets.ExplainTicketClock(w.manager(), &ticketv1.ExplainTicketClockRequest{TicketId: id, Clock: "Resolution"})
	refused(t, "a kind in capitals", err, codes.InvalidArgument, "VALIDATION_FAILED", "clock")
	// By its own id too.
	c := w.clocksOf(id)["resolution"]
	got, err := w.tickets.ExplainTicketClock(w.manager(), &ticketv1.ExplainTicketClockRequest{TicketId: id, Clock: c.GetId()})
	if err != nil || got.GetClock().GetKind() != "resolution" {
		t.Errorf("by id: %v, %v", got, err)
	}
}

func TestAnotherTierMovesOpenClocks(t *testing.T) {
	w := newWorld(t)
	customer := w.customer(typev1.Tier_TIER_C)
	id := w.create(&ticketv1.Ticket{CustomerId: customer}).GetId()
	done := w.at(ticket.Resolved, customer).GetId()
	w.must(w.do(w.manager(), "assign", id, ""))
	w.must(w.do(w.manager(), "start", id, ""))
	w.must(w.do(w.manager(), "wait", id, ""))
	w.Clock.Advance(time.Hour)
	for range 2 { // the second time it changes nothing
		if err := w.promote(customer, typev1.Tier_TIER_KEY, 2); err != nil {
			t.Fatal(err)
		}
	}
	w.must(w.do(w.manager(), "resume", id, ""))
	got := w.due(id, "resolution", "2026-11-04 10:00:00") // 2 wd and the hour on hold
	if c := got.GetClock(); c.GetClauseId() != "resolution-key-p3" {
		t.Errorf("clause %q", c.GetClauseId())
	}
	retargets := 0
	for _, e := range got.GetLog() {
		if e.GetType() == clock.EntryRetargeted && e.GetReason() == "tier-changed" {
			retargets++
		}
	}
	if retargets != 1 {
		t.Errorf("%d retargets for the tier, want 1", retargets)
	}
	// What was resolved keeps its verdict; its next round goes by the new tier.
	if c := w.explain(done, "resolution").GetClock(); c.GetClauseId() != "resolution-c-p3" {
		t.Errorf("resolved: clause %q", c.GetClauseId())
	}
	w.must(w.do(w.manager(), "reopen", done, ""))
	if c := w.explain(done, "resolution").GetClock(); c.GetClauseId() != "resolution-key-p3" || c.GetRound() != 2 {
		t.Errorf("reopened: %v", c)
	}
	w.rebuilt()
}

func TestARegistrationRacingATierChangeEndsWithTheNewTier(t *testing.T) {
	w := newWorld(t)
	customer := w.customer(typev1.Tier_TIER_C)
	const n = 12
	ids := make([]string, n)
	won, lost := wins(n, func(i int) error {
		if i == n/2 {
			return w.promote(customer, typev1.Tier_TIER_KEY, 2)
		}
		got, err := w.tickets.CreateTicket(w.manager(), &ticketv1.CreateTicketRequest{Ticket: &ticketv1.Ticket{
			CustomerId: customer, Channel: typev1.Channel_CHANNEL_WEB, Title: "x",
		}})
		ids[i] = got.GetId()
		return err
	})
	if won != n {
		t.Fatalf("%d of %d: %v", won, n, lost)
	}
	for _, id := range ids {
		if id == "" {
			continue
		}
		if c := w.clocksOf(id)["resolution"]; c.GetClauseId() != "resolution-key-p3" {
			t.Errorf("clause %q, want that of a key customer", c.GetClauseId())
		}
	}
	w.rebuilt()
}

func TestAMergedCustomersTicketsGoByTheSurvivor(t *testing.T) {
	w := newWorld(t)
	gone, survivor := w.registered(typev1.Tier_TIER_C), w.customer(typev1.Tier_TIER_B)
	id := w.create(&ticketv1.Ticket{CustomerId: gone.GetId()}).GetId()
	w.merge(gone, survivor)
	if err := w.promote(survivor, typev1.Tier_TIER_A, 2); err != nil {
		t.Fatal(err)
	}
	if c := w.clocksOf(id)["resolution"]; c.GetClauseId() != "resolution-a-p3" {
		t.Errorf("clause %q, want that of the survivor", c.GetClauseId())
	}
}

func TestImportedTicketsHaveNoClocks(t *testing.T) {
	w := newWorld(t)
	got, err := w.tickets.ImportTickets(w.As(access.InformationAdministrator), &ticketv1.ImportTicketsRequest{
		Source: "legacy", Records: []*ticketv1.TicketRecord{{
			ExternalId: "1", State: ticket.New, CreateTime: timestamppb.New(w.Clock.Now().Add(-time.Hour)),
			Ticket: &ticketv1.Ticket{Title: "old", Channel: typev1.Channel_CHANNEL_UNKNOWN},
		}},
	})
	if err != nil || got.GetResults()[0].GetId() == "" {
		t.Fatalf("%v, %v", got, err)
	}
	id := got.GetResults()[0].GetId()
	for _, verb := range []string{"triage", "prioritize", "assign", "start", "wait", "resume", "resolve", "reopen"} {
		w.must(w.do(w.manager(), verb, id, ""))
		w.reply(id, true)
	}
	if n := w.count("SELECT count(*) FROM clocks") + len(w.clocksOf(id)); n != 0 {
		t.Errorf("%d clocks, want none", n)
	}
}

func TestAFollowUpHasClocks(t *testing.T) {
	w := newWorld(t)
	if err := w.feed(answered(t, w.registered(typev1.Tier_TIER_KEY).GetId(), nil)); err != nil {
		t.Fatal(err)
	}
	var id string
	if err := w.Pool.QueryRow(t.Context(), "SELECT id FROM tickets").Scan(&id); err != nil {
		t.Fatal(err)
	}
	w.due(id, "resolution", "2026-11-02 17:00:00") // P2 of a key customer: 8 h day and night
	w.due(id, "first-response", "2026-11-02 09:30:00")
	w.rebuilt()
}

func TestADeadlineThatPassesIsToldOnce(t *testing.T) {
	w := newWorld(t)
	id := w.create(&ticketv1.Ticket{Priority: ticketv1.Priority_PRIORITY_P1}).GetId() // 2 h and 24 h
	w.Clock.Advance(3*time.Hour + time.Second)
	c := w.clocksOf(id)["first-response"]
	won, lost := wins(4, func(int) error { return second(w.sweeper.Sweep(t.Context())) })
	if won != 4 {
		t.Fatalf("sweeps: %v", lost)
	}
	types := map[string]int{}
	for _, e := range w.eventsOf(c.GetId()) {
		types[e.GetType()]++
		if e.GetType() != clock.TypeMissed {
			continue
		}
		payload, err := event.Unpack[*clockv1.ClockChanged](e)
		if err != nil || payload.GetSubjectId() != id || payload.GetClauseId() != "first-response-c-p1" ||
			payload.GetLate().AsDuration().Round(time.Second) != time.Hour+time.Second {
			t.Errorf("missed: %v, %v", payload, err)
		}
	}
	if types[clock.TypeMissed] != 1 || types[clock.TypeWarned] != 2 || types[clock.TypeEscalated] != 3 {
		t.Errorf("events %v, want a miss, two warnings and three escalations", types)
	}
	w.reply(id, true)
	if got := w.state(id, "first-response", clock.Missed); got.GetMissedBy().AsDuration() != time.Hour+time.Second {
		t.Errorf("missed by %v", got.GetMissedBy().AsDuration())
	}
	w.rebuilt()
}

func TestRacingMovesAndSweepsKeepTheLogsWhole(t *testing.T) {
	w := newWorld(t)
	id := w.at(ticket.InProgress, "").GetId()
	w.Clock.Advance(30 * time.Hour)
	verbs := []string{"wait", "resume", "assign", "start", "prioritize", "wait", "resume", "reply", "sweep"}
	_, lost := wins(27, func(i int) error {
		switch verb := verbs[i%len(verbs)]; verb {
		case "reply":
			return second(w.tickets.CreateComment(w.manager(), &ticketv1.CreateCommentRequest{
				TicketId: id, Comment: &ticketv1.Comment{Body: "x", Public: true},
			}))
		case "sweep":
			return second(w.sweeper.Sweep(t.Context()))
		default:
			return second(w.do(w.manager(), verb, id, ""))
		}
	})
	for _, err := range lost {
		refused(t, "a lost move", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	}
	w.replay(id)
	w.rebuilt()
	got := w.get(id)
	c := w.clocksOf(id)["resolution"]
	onHold := got.GetState() == ticket.Waiting && got.GetWaitFor() == ticketv1.WaitFor_WAIT_FOR_CUSTOMER
	if held := len(c.GetPauses()) > 0; held != onHold {
		t.Errorf("the ticket is %v and its clock %v with pauses %v", got.GetState(), c.GetState(), c.GetPauses())
	}
}
