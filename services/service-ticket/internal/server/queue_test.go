package server_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func (w *world) queue() ticketv1.QueueServiceClient { return ticketv1.NewQueueServiceClient(w.Conn) }

// next pulls as somebody.
func (w *world) next(who string) (*ticketv1.Ticket, error) {
	return w.queue().NextTicket(w.AsStaff(access.ServiceAgent, who), &ticketv1.NextTicketRequest{})
}

// ordered makes a ticket of a tier and a priority that needs something.
func (w *world) ordered(tier typev1.Tier, p ticketv1.Priority, needs *ticketv1.TicketNeeds) string {
	w.t.Helper()
	return w.create(&ticketv1.Ticket{CustomerId: w.customer(tier), Priority: p, Needs: needs}).GetId()
}

// ownedBy makes a key customer with an account manager.
func (w *world) ownedBy(staff string) string {
	w.t.Helper()
	ref := w.registered(typev1.Tier_TIER_KEY)
	ref.OwnerStaffId, ref.Version = staff, 2
	w.put(ref)
	return ref.GetId()
}

func (w *world) put(ref *customerv1.CustomerRef) {
	w.t.Helper()
	if _, err := customerref.Apply(w.t.Context(), w.Pool, ref); err != nil {
		w.t.Fatal(err)
	}
}

const (
	p1 = ticketv1.Priority_PRIORITY_P1
	p2 = ticketv1.Priority_PRIORITY_P2
	p3 = ticketv1.Priority_PRIORITY_P3
)

// P1 of any tier, then key customers, then by due time; and across what tickets need.
func TestNextServesInOrder(t *testing.T) {
	w := newWorld(t)
	english := &ticketv1.TicketNeeds{Language: "en"}
	w.change(w.agent.GetId(), &ticketv1.Staff{Languages: []string{"en-GB", "zh-CN"}}, "languages")
	late := w.ordered(typev1.Tier_TIER_C, p3, nil)
	soon := w.ordered(typev1.Tier_TIER_A, p3, english)
	sooner := w.ordered(typev1.Tier_TIER_A, p2, nil)
	keyLate := w.ordered(typev1.Tier_TIER_KEY, p3, nil)
	keySoon := w.ordered(typev1.Tier_TIER_KEY, p2, english)
	first := w.ordered(typev1.Tier_TIER_C, p1, english)
	mine := w.given(ticket.Triaged, w.desk.GetId(), "", w.customer(typev1.Tier_TIER_A), "")
	want := []string{first, keySoon, keyLate, sooner, soon}
	for i, id := range want {
		got, err := w.next("agent-1")
		if err != nil || got.GetId() != id || got.GetState() != ticket.Assigned || got.GetAssigneeStaffId() != w.agent.GetId() ||
			got.GetDepartmentId() != w.desk.GetId() || got.GetDueTime() == nil {
			t.Fatalf("%d: %v, %v, want %s", i, got, err, id)
		}
	}
	// In different departments' queues, of which the one of none can be left out.
	w.create(&ticketv1.Ticket{Priority: p1})
	got, err := w.queue().NextTicket(w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.NextTicketRequest{DepartmentOnly: true})
	if err != nil || got.GetId() != mine {
		t.Fatalf("of the department alone: %v, %v, want %s", got, err, mine)
	}
	mine = w.create(&ticketv1.Ticket{Priority: p1}).GetId()
	w.exec(`UPDATE tickets SET state = 8 WHERE priority = 1 AND state = 1 AND id <> $1`, mine)
	for _, id := range []string{mine, late} {
		if got, err := w.next("agent-1"); err != nil || got.GetId() != id {
			t.Fatalf("%v, %v, want %s", got, err, id)
		}
	}
	_, err = w.next("agent-1")
	refused(t, "an empty queue", err, codes.NotFound, "TICKET_QUEUE_EMPTY", "")
	events := w.eventsOf(first)
	if n := len(events); n == 0 || events[n-1].GetType() != "ticket.assigned.v1" {
		t.Errorf("events %v", events)
	}
}

// Fifty at once share nothing, get what they are able to do, and take everything.
func TestFiftyPullAtOnce(t *testing.T) {
	w := newWorld(t)
	const people, tickets = 50, 120
	w.exec(`INSERT INTO staff (id, name, department_id, posts, skills, languages, status, issuer, subject, create_time, update_time, version)
		SELECT gen_random_uuid(), 'x', department_id, '{}', CASE WHEN i % 2 = 0 THEN '{pumps}'::text[] ELSE '{}' END,
		  CASE WHEN i % 3 = 0 THEN '{en}'::text[] ELSE '{}' END, 1, issuer, 'puller-' || i, now(), now(), 1
		FROM staff, generate_series(1, $2) i WHERE staff.id = $1`, w.agent.GetId(), people)
	for i := range tickets {
		needs := []*ticketv1.TicketNeeds{nil, {Skills: []string{"pumps"}}, {Language: "en"}, nil, nil, {Language: "en", Skills: []string{"pumps"}}}[i%6]
		w.create(&ticketv1.Ticket{Priority: ticketv1.Priority(1 + i%4), Needs: needs})
	}
	var mu sync.Mutex
	got := map[string]string{}
	var group sync.WaitGroup
	for i := range people {
		who := fmt.Sprint("puller-", i+1)
		group.Go(func() {
			for {
				one, err := w.next(who)
				if reason := rpcerr.Reason(err); reason == "TICKET_QUEUE_EMPTY" || reason == "STAFF_NOT_READY" {
					return
				}
				if err != nil {
					t.Errorf("%s: %v", who, err)
					return
				}
				if n := one.GetNeeds(); len(n.GetSkills()) > 0 && (i+1)%2 != 0 || n.GetLanguage() != "" && (i+1)%3 != 0 {
					t.Errorf("%s got what needs %v", who, n)
				}
				mu.Lock()
				if other, taken := got[one.GetId()]; taken {
					t.Errorf("%s and %s both got %s", who, other, one.GetId())
				}
				got[one.GetId()] = who
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(got) != tickets {
		t.Errorf("%d of %d tickets were taken", len(got), tickets)
	}
	if n := w.count(`SELECT count(*) FROM ticket_transitions WHERE verb = 'assign'`); n != tickets {
		t.Errorf("%d assignments of %d tickets", n, tickets)
	}
	if n := w.count(`SELECT count(*) FROM tickets t JOIN ticket_transitions h ON h.ticket_id = t.id AND h.version = t.version
		JOIN staff s ON s.id = t.assignee_staff_id AND s.id = h.assignee_staff_id AND s.id = h.actor_staff_id
		WHERE h.verb = 'assign' AND h.actor = s.issuer || '|' || s.subject`); n != tickets {
		t.Errorf("%d of %d tickets are in the hands of who took them", n, tickets)
	}
	if n := w.count(`SELECT count(*) FROM clocks c JOIN tickets t ON t.id = c.subject_id AND t.assignee_staff_id = c.owner_staff_id WHERE c.stop_time IS NULL`); n < 2*tickets {
		t.Errorf("%d open clocks belong to those who took the tickets", n)
	}
}

// change changes fields of somebody.
func (w *world) change(id string, to *ticketv1.Staff, fields ...string) {
	w.t.Helper()
	to.Id = id
	if _, err := w.directory.UpdateStaff(w.manager(), &ticketv1.UpdateStaffRequest{Staff: to, UpdateMask: mask(fields...)}); err != nil {
		w.t.Fatal(err)
	}
}

func TestNextIsForThoseWhoAreReady(t *testing.T) {
	w := newWorld(t)
	id := w.create(&ticketv1.Ticket{Needs: &ticketv1.TicketNeeds{Skills: []string{"pumps"}}}).GetId()
	_, err := w.next("agent-1")
	refused(t, "without the skill", err, codes.NotFound, "TICKET_QUEUE_EMPTY", "")
	w.change(w.agent.GetId(), &ticketv1.Staff{Skills: []string{"pumps", "seals"}, Status: ticketv1.StaffStatus_STAFF_STATUS_AWAY}, "skills", "status")
	notReady := func(what, obstacle string) {
		t.Helper()
		_, err := w.next("agent-1")
		refused(t, what, err, codes.FailedPrecondition, "STAFF_NOT_READY", "")
		if got := rpcerr.Info(err).GetMetadata()["obstacles"]; got != "ASSIGNEE_OBSTACLE_"+obstacle {
			t.Errorf("%s: %s", what, got)
		}
	}
	notReady("away", "STATUS")
	w.change(w.agent.GetId(), &ticketv1.Staff{Status: ticketv1.StaffStatus_STAFF_STATUS_AVAILABLE}, "status")
	mate := w.staff("mate")
	away, err := w.organisation().CreateSubstitution(w.manager(), &ticketv1.CreateSubstitutionRequest{Substitution: &ticketv1.Substitution{
		StaffId: w.agent.GetId(), SubstituteStaffId: mate.GetId(), StartTime: w.in(-1), EndTime: w.in(1)}})
	if err != nil {
		t.Fatal(err)
	}
	notReady("absent", "ABSENT")
	if _, err := w.organisation().DeleteSubstitution(w.manager(), &ticketv1.DeleteSubstitutionRequest{Id: away.GetId()}); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(3 * time.Hour) // lunch
	notReady("at lunch", "OFF_SHIFT")
	roster, err := ticketv1.NewDutyServiceClient(w.Conn).CreateDutyRoster(w.manager(), &ticketv1.CreateDutyRosterRequest{
		Roster: &ticketv1.DutyRoster{Code: "noon", Name: &typev1.Text{Zh: "午间"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ticketv1.NewDutyServiceClient(w.Conn).CreateDutyShift(w.manager(), &ticketv1.CreateDutyShiftRequest{
		RosterId: roster.GetId(), Shift: &ticketv1.DutyShift{StaffId: w.agent.GetId(), StartTime: w.in(-1), EndTime: w.in(1)}}); err != nil {
		t.Fatal(err)
	}
	w.exec(`INSERT INTO tickets (id, number, channel, mode, phase, type, priority, title, description, product_model, serial_number, order_number,
		reporter_name, reporter_subject_id, state, round, assignee_staff_id, wait_for, resolution, evidence_question_key, evidence_score, create_time, update_time, version)
		SELECT gen_random_uuid(), 'L-' || i, 1, 1, 1, 1, 3, 'x', '', '', '', '', '', gen_random_uuid(), 3, 1, $1, 0, '', '', 0, now(), now(), 1
		FROM generate_series(1, 20) i`, w.agent.GetId())
	notReady("with twenty open tickets", "LOAD")
	w.exec(`UPDATE tickets SET state = 5 + 1, resolve_time = now() WHERE number = 'L-1'`)
	if got, err := w.next("agent-1"); err != nil || got.GetId() != id {
		t.Errorf("on duty: %v, %v", got, err)
	}
	_, err = w.next("nobody")
	refused(t, "a stranger", err, codes.NotFound, "STAFF_NOT_FOUND", "")
	_, err = w.queue().NextTicket(w.AsAccount("erp", "tickets.assign"), &ticketv1.NextTicketRequest{})
	refused(t, "a system", err, codes.NotFound, "STAFF_NOT_FOUND", "")
	_, err = w.queue().NextTicket(w.AsStaff(access.SupportEngineer, "agent-1"), &ticketv1.NextTicketRequest{})
	refused(t, "an engineer", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
}

// Two pulls of one person at once do not both find room for the last one.
func TestTheLastPlaceIsTakenOnce(t *testing.T) {
	w := newWorld(t)
	for range 30 {
		w.create(&ticketv1.Ticket{})
	}
	won, lost := wins(30, func(int) error { return second(w.next("agent-1")) })
	if won != 20 {
		t.Errorf("%d pulls of one person with room for twenty", won)
	}
	for _, err := range lost {
		refused(t, "one too many", err, codes.FailedPrecondition, "STAFF_NOT_READY", "")
	}
}

// A repeated call gets the ticket it got.
func TestARepeatedPullIsTheSame(t *testing.T) {
	w := newWorld(t)
	w.create(&ticketv1.Ticket{})
	w.create(&ticketv1.Ticket{})
	as, req := w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.NextTicketRequest{RequestId: "again"}
	one, err := w.queue().NextTicket(as, req)
	if err != nil {
		t.Fatal(err)
	}
	if two, err := w.queue().NextTicket(as, req); err != nil || two.GetId() != one.GetId() {
		t.Errorf("%v, %v, want %s", two, err, one.GetId())
	}
}

func TestAKeyCustomersTicketWaitsForItsPerson(t *testing.T) {
	w := newWorld(t)
	manager, mate := w.staff("account-manager"), w.staff("mate")
	theirs := w.create(&ticketv1.Ticket{CustomerId: w.ownedBy(manager.GetId()), Priority: p3}).GetId()
	other := w.create(&ticketv1.Ticket{Priority: p3}).GetId()
	if got, err := w.next("agent-1"); err != nil || got.GetId() != other {
		t.Fatalf("somebody else got %v, %v, want %s", got, err, other)
	}
	_, err := w.next("agent-1")
	refused(t, "somebody else again", err, codes.NotFound, "TICKET_QUEUE_EMPTY", "")
	if got, err := w.next("account-manager"); err != nil || got.GetId() != theirs {
		t.Errorf("the account manager got %v, %v", got, err)
	}
	urgent := w.create(&ticketv1.Ticket{CustomerId: w.ownedBy(manager.GetId()), Priority: p1}).GetId()
	if got, err := w.next("agent-1"); err != nil || got.GetId() != urgent {
		t.Errorf("a P1 waits for nobody: %v, %v", got, err)
	}
	// While the account manager is absent it waits for who stands in.
	if _, err := w.organisation().CreateSubstitution(w.manager(), &ticketv1.CreateSubstitutionRequest{Substitution: &ticketv1.Substitution{
		StaffId: manager.GetId(), SubstituteStaffId: mate.GetId(), StartTime: w.in(-1), EndTime: w.in(2)}}); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"mate", "agent-1"} {
		theirs = w.create(&ticketv1.Ticket{CustomerId: w.ownedBy(manager.GetId()), Priority: p3}).GetId()
		if who == "agent-1" {
			_, err := w.next("agent-1")
			refused(t, "while the substitute can take it", err, codes.NotFound, "TICKET_QUEUE_EMPTY", "")
			w.Clock.Advance(10 * time.Minute)
		}
		if got, err := w.next(who); err != nil || got.GetId() != theirs {
			t.Errorf("%s got %v, %v", who, got, err)
		}
	}
	// Who cannot take it is not waited for.
	w.change(mate.GetId(), &ticketv1.Staff{Status: ticketv1.StaffStatus_STAFF_STATUS_BUSY}, "status")
	theirs = w.create(&ticketv1.Ticket{CustomerId: w.ownedBy(manager.GetId()), Priority: p3}).GetId()
	if got, err := w.next("agent-1"); err != nil || got.GetId() != theirs {
		t.Errorf("somebody else got %v, %v", got, err)
	}
}

func TestSuggestionsAndAutomaticAssignment(t *testing.T) {
	w := newWorld(t)
	busy, skilled, far := w.staff("busy"), w.staff("skilled"), w.staffOf(w.department("far").GetId(), "account-manager")
	w.change(skilled.GetId(), &ticketv1.Staff{Skills: []string{"pumps"}, Languages: []string{"en"}}, "skills", "languages")
	w.change(busy.GetId(), &ticketv1.Staff{Status: ticketv1.StaffStatus_STAFF_STATUS_BUSY}, "status")
	w.at(ticket.Assigned, "") // the agent's
	of := w.given(ticket.Triaged, w.desk.GetId(), "", w.ownedBy(far.GetId()), "")
	suggested := func() (out []string) {
		t.Helper()
		got, err := w.queue().SuggestAssignees(w.manager(), &ticketv1.SuggestAssigneesRequest{Id: of})
		if err != nil || got.GetDepartmentId() != w.desk.GetId() || got.GetLoadLimit() != 20 {
			t.Fatalf("%v, %v", got, err)
		}
		for _, a := range got.GetAssignees() {
			line := map[string]string{w.agent.GetId(): "agent", busy.GetId(): "busy", skilled.GetId(): "skilled", far.GetId(): "far"}[a.GetStaffId()]
			for _, o := range a.GetObstacles() {
				line += " " + o.String()[len("ASSIGNEE_OBSTACLE_"):]
			}
			out = append(out, line)
		}
		return out
	}
	if got := suggested(); !slices.Equal(got, []string{"far", "skilled", "agent", "busy STATUS"}) {
		t.Errorf("suggested %v", got)
	}
	if _, err := w.queue().SetTicketNeeds(w.manager(), &ticketv1.SetTicketNeedsRequest{Id: of, Needs: &ticketv1.TicketNeeds{Language: "en", Skills: []string{"pumps"}}}); err != nil {
		t.Fatal(err)
	}
	w.change(far.GetId(), &ticketv1.Staff{Status: ticketv1.StaffStatus_STAFF_STATUS_AWAY}, "status")
	if got := suggested(); got[0] != "skilled" || !slices.Contains(got, "agent SKILL LANGUAGE") || !slices.Contains(got, "far STATUS") {
		t.Errorf("suggested %v", got)
	}
	auto := func(id string) (*ticketv1.Ticket, error) {
		return w.queue().AutoAssignTicket(w.manager(), &ticketv1.AutoAssignTicketRequest{Id: id, Reason: "by the rules"})
	}
	if got, err := auto(of); err != nil || got.GetAssigneeStaffId() != skilled.GetId() || got.GetState() != ticket.Assigned {
		t.Errorf("assigned %v, %v", got, err)
	}
	// The least load, however many ask at once.
	var ids []string
	for range 12 {
		ids = append(ids, w.given(ticket.Triaged, w.desk.GetId(), "", "", ""))
	}
	if won, lost := wins(12, func(i int) error { return second(auto(ids[i])) }); won != 12 {
		t.Errorf("%d assigned, %v", won, lost)
	}
	// Both who are ready had one before.
	counts := map[string]int{w.agent.GetId(): 0, skilled.GetId(): 0}
	for _, id := range ids {
		counts[w.get(id).GetAssigneeStaffId()]++
	}
	if a, b := counts[w.agent.GetId()], counts[skilled.GetId()]; len(counts) != 2 || max(a, b)-min(a, b) > 1 {
		t.Errorf("12 tickets went to %v", counts)
	}
	closed := w.at(ticket.Closed, "")
	_, err := auto(closed.GetId())
	refused(t, "a closed one", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	_, err = auto(w.given(ticket.New, "", "", "", ""))
	refused(t, "without a department", err, codes.NotFound, "ROUTE_NOT_FOUND", "")
	_, err = auto(w.given(ticket.New, w.department("empty").GetId(), "", "", ""))
	refused(t, "for nobody", err, codes.FailedPrecondition, "NOBODY_READY", "")
	_, err = w.queue().SuggestAssignees(w.manager(), &ticketv1.SuggestAssigneesRequest{Id: of, DepartmentId: nowhere})
	refused(t, "of no department", err, codes.InvalidArgument, "VALIDATION_FAILED", "department_id")
	_, err = w.queue().SuggestAssignees(w.manager(), &ticketv1.SuggestAssigneesRequest{Id: nowhere})
	refused(t, "of no ticket", err, codes.NotFound, "TICKET_NOT_FOUND", "")
}

func TestTransfer(t *testing.T) {
	w := newWorld(t)
	far := w.department("far")
	head := w.staffOf(far.GetId(), "head")
	of := w.at(ticket.InProgress, "").GetId()
	transfer := func(ctx context.Context, id, to string) (*ticketv1.Ticket, error) {
		return w.queue().TransferTicket(ctx, &ticketv1.TransferTicketRequest{Id: id, DepartmentId: to, Reason: "a seal"})
	}
	got, err := transfer(w.AsStaff(access.ServiceAgent, "agent-1"), of, far.GetId())
	if err != nil || got.GetDepartmentId() != far.GetId() || got.GetAssigneeStaffId() != head.GetId() || got.GetState() != ticket.Assigned {
		t.Fatalf("%v, %v", got, err)
	}
	_, err = transfer(w.AsStaff(access.ServiceAgent, "agent-1"), of, w.desk.GetId())
	refused(t, "what is no longer theirs", err, codes.NotFound, "TICKET_NOT_FOUND", "")
	_, err = transfer(w.manager(), of, far.GetId())
	refused(t, "to where it is", err, codes.FailedPrecondition, "TICKET_ALREADY_THERE", "")
	_, err = transfer(w.manager(), of, nowhere)
	refused(t, "to nowhere", err, codes.InvalidArgument, "VALIDATION_FAILED", "department_id")
	w.change(head.GetId(), &ticketv1.Staff{Status: ticketv1.StaffStatus_STAFF_STATUS_AWAY}, "status")
	other := w.at(ticket.New, "").GetId()
	_, err = transfer(w.manager(), other, far.GetId())
	refused(t, "to where nobody is", err, codes.FailedPrecondition, "NOBODY_READY", "")
	if _, err := w.directory.UpdateDepartment(w.manager(), &ticketv1.UpdateDepartmentRequest{
		Department: &ticketv1.Department{Id: far.GetId(), HeadStaffId: head.GetId()}, UpdateMask: mask("head_staff_id")}); err != nil {
		t.Fatal(err)
	}
	if got, err := transfer(w.manager(), other, far.GetId()); err != nil || got.GetAssigneeStaffId() != head.GetId() {
		t.Errorf("to the head: %v, %v", got, err)
	}
	_, err = transfer(w.manager(), w.at(ticket.Closed, "").GetId(), far.GetId())
	refused(t, "a closed one", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
}

func TestNeeds(t *testing.T) {
	w := newWorld(t)
	of := w.create(&ticketv1.Ticket{Needs: &ticketv1.TicketNeeds{Language: "en-GB", Skills: []string{"seals", "pumps"}}})
	if n := of.GetNeeds(); n.GetLanguage() != "en-gb" || !slices.Equal(n.GetSkills(), []string{"pumps", "seals"}) {
		t.Errorf("kept %v", n)
	}
	set := func(id, etag string, n *ticketv1.TicketNeeds) (*ticketv1.Ticket, error) {
		return w.queue().SetTicketNeeds(w.manager(), &ticketv1.SetTicketNeedsRequest{Id: id, Etag: etag, Needs: n})
	}
	if got, err := set(of.GetId(), "1", nil); err != nil || got.GetNeeds() != nil || got.GetEtag() != "2" {
		t.Errorf("%v, %v", got, err)
	}
	_, err := set(of.GetId(), "1", nil)
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH", "")
	_, err = set(nowhere, "", nil)
	refused(t, "unknown", err, codes.NotFound, "TICKET_NOT_FOUND", "")
	_, err = set(of.GetId(), "", &ticketv1.TicketNeeds{Skills: []string{"a\nb"}})
	refused(t, "two in one", err, codes.InvalidArgument, "VALIDATION_FAILED", "needs.skills")
	_, err = set(w.at(ticket.Resolved, "").GetId(), "", nil)
	refused(t, "resolved", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	_, err = w.tickets.UpdateTicket(w.manager(), &ticketv1.UpdateTicketRequest{Ticket: &ticketv1.Ticket{Id: of.GetId()}, UpdateMask: mask("needs")})
	refused(t, "by an update", err, codes.InvalidArgument, "UPDATE_MASK_INVALID", "update_mask")
	who := w.customer(typev1.Tier_TIER_C)
	_, err = w.tickets.CreateTicket(w.AsCustomer(who), &ticketv1.CreateTicketRequest{Ticket: &ticketv1.Ticket{
		Title: "x", Channel: typev1.Channel_CHANNEL_WEB, Needs: &ticketv1.TicketNeeds{Skills: []string{"x"}}}})
	refused(t, "a customer's", err, codes.InvalidArgument, "VALIDATION_FAILED", "ticket.needs.skills")
}

// The due time is that of the first deadline that runs, whatever moves it.
func TestDueTimeFollowsTheDeadlines(t *testing.T) {
	w := newWorld(t)
	of := w.create(&ticketv1.Ticket{CustomerId: w.customer(typev1.Tier_TIER_B), Priority: p1}).GetId()
	soonest := func() time.Time {
		t.Helper()
		clocks, err := w.tickets.ListTicketClocks(w.manager(), &ticketv1.ListTicketClocksRequest{TicketId: of})
		if err != nil {
			t.Fatal(err)
		}
		var first time.Time
		for _, c := range clocks.GetClocks() {
			if due := c.GetDueTime(); due != nil && c.GetStopTime() == nil && (first.IsZero() || due.AsTime().Before(first)) {
				first = due.AsTime()
			}
		}
		return first
	}
	for _, step := range []string{"", "prioritize", "assign", "start", "recordContact", "wait", "resume", "resolve"} {
		if step != "" {
			w.Clock.Advance(time.Minute)
			got, err := w.do(w.manager(), step, of, "")
			if err != nil {
				t.Fatalf("%s: %v", step, err)
			}
			if kept := w.get(of).GetDueTime(); got.GetDueTime().AsTime() != kept.AsTime() {
				t.Errorf("%s answers %v, and %v is kept", step, got.GetDueTime().AsTime(), kept.AsTime())
			}
		}
		due, want := w.get(of).GetDueTime(), soonest()
		if (due == nil) != want.IsZero() || due != nil && !due.AsTime().Equal(want) {
			t.Errorf("after %q it is due %v, want %v", step, due.AsTime(), want)
		}
	}
}
