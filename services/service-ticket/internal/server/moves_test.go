package server_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func states() []ticket.State {
	return []ticket.State{
		ticket.New, ticket.Triaged, ticket.Assigned, ticket.InProgress, ticket.Waiting,
		ticket.Resolved, ticket.Closed, ticket.Cancelled, ticket.Merged,
	}
}

func TestTheWholeWayOfATicket(t *testing.T) {
	w := newWorld(t)
	customer := w.customer(typev1.Tier_TIER_B)
	agent := w.AsStaff(access.ServiceAgent, "agent-1")
	created := w.create(&ticketv1.Ticket{CustomerId: customer})
	id := created.GetId()
	var last *ticketv1.Ticket
	for i, step := range []struct {
		verb  string
		state ticket.State
		round int32
		event string
	}{
		{"triage", ticket.Triaged, 1, "ticket.triaged.v1"},
		{"assign", ticket.Assigned, 1, "ticket.assigned.v1"},
		{"start", ticket.InProgress, 1, "ticket.started.v1"},
		{"wait", ticket.Waiting, 1, "ticket.waiting.v1"},
		{"resume", ticket.InProgress, 1, "ticket.resumed.v1"},
		{"resolve", ticket.Resolved, 1, "ticket.resolved.v1"},
		{"reopen", ticket.Assigned, 2, "ticket.reopened.v1"},
		{"start", ticket.InProgress, 2, "ticket.started.v1"},
		{"resolve", ticket.Resolved, 2, "ticket.resolved.v1"},
		{"confirm", ticket.Closed, 2, "ticket.closed.v1"},
	} {
		w.Clock.Advance(time.Minute)
		before := w.get(id)
		got, err := w.do(agent, step.verb, id, before.GetEtag())
		if err != nil {
			t.Fatalf("%s: %v", step.verb, err)
		}
		if got.GetState() != step.state || got.GetRound() != step.round || !got.GetUpdateTime().AsTime().Equal(w.Clock.Now()) {
			t.Errorf("%s: %v, want %v in round %d", step.verb, got, step.state, step.round)
		}
		events := w.eventsOf(id)
		if len(events) != i+2 {
			t.Fatalf("%s: %d events, want %d", step.verb, len(events), i+2)
		}
		e := events[i+1]
		payload, err := event.Unpack[*ticketv1.TicketChanged](e)
		if err != nil {
			t.Fatal(err)
		}
		if e.GetType() != step.event || e.GetSubjectVersion() != int64(i+2) || e.GetCustomerId() != customer ||
			e.GetActorKind() != eventv1.ActorKind_ACTOR_KIND_PERSON || payload.GetRound() != step.round ||
			payload.GetStateBefore() != before.GetState() || payload.GetStateAfter() != step.state {
			t.Errorf("%s: event %v with %v", step.verb, e, payload)
		}
		last = got
	}
	if last.GetResolution() != "seal replaced" || last.GetAssigneeStaffId() != w.agent.GetId() ||
		last.GetDepartmentId() != w.desk.GetId() || last.GetType() != ticketv1.TicketType_TICKET_TYPE_REPAIR ||
		last.GetPriority() != ticketv1.Priority_PRIORITY_P2 ||
		!last.GetCloseTime().AsTime().Equal(w.Clock.Now()) ||
		!last.GetResolveTime().AsTime().Equal(w.Clock.Now().Add(-time.Minute)) {
		t.Errorf("at the end: %v", last)
	}
	history, err := w.tickets.ListTransitions(agent, &ticketv1.ListTransitionsRequest{TicketId: id})
	if err != nil || len(history.GetTransitions()) != 11 {
		t.Fatalf("history %v, %v, want 11 moves", history, err)
	}
	wait := history.GetTransitions()[4]
	if wait.GetVerb() != "wait" || wait.GetReason() != "photo asked for" || wait.GetActorStaffId() != w.agent.GetId() ||
		wait.GetActorKind() != ticketv1.AuthorKind_AUTHOR_KIND_STAFF || wait.GetAssigneeStaffId() != w.agent.GetId() ||
		wait.GetVersion() != 5 || !wait.GetOccurTime().AsTime().Equal(w.Clock.Now().Add(-6*time.Minute)) {
		t.Errorf("the wait is recorded as %v", wait)
	}
	w.replay(id)
	if n := w.count("SELECT count(*) FROM audit_records WHERE object_id = $1", id); n != 11 {
		t.Errorf("%d audit records, want 11", n)
	}
}

// replay checks that a ticket's history leads to where it stands.
func (w *world) replay(id string) {
	w.t.Helper()
	history, err := w.tickets.ListTransitions(w.manager(), &ticketv1.ListTransitionsRequest{TicketId: id, PageSize: 500})
	if err != nil {
		w.t.Fatal(err)
	}
	var steps []ticket.Step
	for _, move := range history.GetTransitions() {
		steps = append(steps, ticket.Step{
			Verb: ticket.Verb(move.GetVerb()), From: move.GetFrom(), To: move.GetTo(), Round: move.GetRound(),
		})
	}
	state, round, err := ticket.Replay(steps)
	if stored := w.get(id); err != nil || state != stored.GetState() || round != stored.GetRound() {
		w.t.Errorf("history leads to %v in round %d, %v; stored is %v in round %d",
			state, round, err, stored.GetState(), stored.GetRound())
	}
}

func TestEveryOtherMoveIsRefused(t *testing.T) {
	w := newWorld(t)
	ctx := w.manager()
	for _, state := range states() {
		for _, verb := range verbs() {
			of := w.at(state, "")
			got, err := w.do(ctx, verb, of.GetId(), "")
			to, refusal := ticket.Next(state, ticket.Verb(verb))
			if refusal == nil {
				if err != nil || got.GetState() != to {
					t.Errorf("%s from %v: %v, %v, want %v", verb, state, got.GetState(), err, to)
				}
				continue
			}
			refused(t, verb+" from "+ticket.Name(state), err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
			if rpcerr.Info(err).GetMetadata()["state"] != ticket.Name(state) {
				t.Errorf("%s from %v: %v does not name the state", verb, state, rpcerr.Info(err))
			}
			if after := w.get(of.GetId()); after.GetEtag() != of.GetEtag() {
				t.Errorf("a refused %s changed the ticket to %v", verb, after)
			}
		}
	}
}

func TestMovesAreRefusedForUnknownTicketsAndStaleEtags(t *testing.T) {
	w := newWorld(t)
	ctx := w.manager()
	from := map[string]ticket.State{
		"triage": ticket.New, "prioritize": ticket.Waiting, "assign": ticket.New, "start": ticket.Assigned, "wait": ticket.InProgress,
		"resume": ticket.Waiting, "resolve": ticket.InProgress, "confirm": ticket.Resolved,
		"reopen": ticket.Resolved, "cancel": ticket.New, "merge": ticket.New, "recordContact": ticket.Waiting,
	}
	for _, verb := range verbs() {
		_, err := w.do(ctx, verb, w.at(from[verb], "").GetId(), "99")
		refused(t, verb+" with a stale etag", err, codes.Aborted, "ETAG_MISMATCH", "")
		if verb == "merge" {
			continue // asks for the ticket's customer first
		}
		_, err = w.do(ctx, verb, nowhere, "")
		refused(t, verb+" of an unknown ticket", err, codes.NotFound, "TICKET_NOT_FOUND", "")
		_, err = w.do(ctx, verb, "x", "")
		refused(t, verb+" of a malformed id", err, codes.InvalidArgument, "VALIDATION_FAILED", "id")
		_, err = w.do(w.As(access.Auditor), verb, nowhere, "")
		refused(t, verb+" by the auditor", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	}
}

func TestOfRacingMovesExactlyOneWins(t *testing.T) {
	w := newWorld(t)
	ctx := w.manager()
	for verb, state := range map[string]ticket.State{
		"triage": ticket.New, "start": ticket.Assigned, "wait": ticket.InProgress, "resume": ticket.Waiting,
		"resolve": ticket.Waiting, "confirm": ticket.Resolved, "reopen": ticket.Closed, "cancel": ticket.Triaged,
	} {
		of := w.at(state, "")
		won, lost := wins(4, func(int) error { return second(w.do(ctx, verb, of.GetId(), "")) })
		if won != 1 {
			t.Errorf("%s: %d of 4 won", verb, won)
		}
		for _, err := range lost {
			refused(t, "a lost "+verb, err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
		}
		w.replay(of.GetId())
	}
	// Assigning may follow assigning; with an etag one wins all the same.
	of := w.at(ticket.New, "")
	won, lost := wins(4, func(int) error { return second(w.do(ctx, "assign", of.GetId(), of.GetEtag())) })
	if won != 1 {
		t.Errorf("assign: %d of 4 won", won)
	}
	for _, err := range lost {
		refused(t, "a lost assign", err, codes.Aborted, "ETAG_MISMATCH", "")
	}
	// Different verbs from one state: again one.
	of = w.at(ticket.Resolved, "")
	won, _ = wins(4, func(i int) error {
		return second(w.do(ctx, []string{"confirm", "reopen"}[i%2], of.GetId(), of.GetEtag()))
	})
	if won != 1 {
		t.Errorf("confirm against reopen: %d of 4 won", won)
	}
	w.replay(of.GetId())
}

func TestAMoveWithOneRequestIDHappensOnce(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.Assigned, "")
	req := &ticketv1.StartTicketRequest{Id: of.GetId(), RequestId: "start-1"}
	won, lost := wins(4, func(int) error { return second(w.tickets.StartTicket(w.manager(), req)) })
	if won != 4 {
		t.Errorf("%d of 4 repeated calls were answered: %v", won, lost)
	}
	if got := w.get(of.GetId()); got.GetEtag() != "3" {
		t.Errorf("version %s, want 3: one move", got.GetEtag())
	}
}

func TestTriageRefusals(t *testing.T) {
	w := newWorld(t)
	good := func() *ticketv1.TriageTicketRequest {
		return &ticketv1.TriageTicketRequest{
			Id: w.create(&ticketv1.Ticket{}).GetId(), Type: ticketv1.TicketType_TICKET_TYPE_REPAIR,
			Priority: ticketv1.Priority_PRIORITY_P1, DepartmentId: w.desk.GetId(),
		}
	}
	for field, spoil := range map[string]func(*ticketv1.TriageTicketRequest){
		"type":          func(r *ticketv1.TriageTicketRequest) { r.Type = 0 },
		"priority":      func(r *ticketv1.TriageTicketRequest) { r.Priority = 0 },
		"department_id": func(r *ticketv1.TriageTicketRequest) { r.DepartmentId = nowhere },
	} {
		req := good()
		spoil(req)
		_, err := w.tickets.TriageTicket(w.manager(), req)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
}

func TestAssignTicket(t *testing.T) {
	w := newWorld(t)
	of := w.create(&ticketv1.Ticket{})
	_, err := w.tickets.AssignTicket(w.manager(), &ticketv1.AssignTicketRequest{Id: of.GetId(), StaffId: nowhere})
	refused(t, "nobody", err, codes.InvalidArgument, "VALIDATION_FAILED", "staff_id")
	gone := w.staff("gone")
	gone.Status = ticketv1.StaffStatus_STAFF_STATUS_LEFT
	if _, err := w.directory.UpdateStaff(w.manager(), &ticketv1.UpdateStaffRequest{Staff: gone, UpdateMask: mask("status")}); err != nil {
		t.Fatal(err)
	}
	_, err = w.tickets.AssignTicket(w.manager(), &ticketv1.AssignTicketRequest{Id: of.GetId(), StaffId: gone.GetId()})
	refused(t, "somebody who left", err, codes.FailedPrecondition, "STAFF_OFF_DUTY", "")

	// Handing over keeps the state and moves to the new assignee's department.
	other := w.department("engineering")
	engineer, err := w.directory.CreateStaff(w.manager(), &ticketv1.CreateStaffRequest{
		Staff: &ticketv1.Staff{Name: "Li", DepartmentId: other.GetId()},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []*ticketv1.Staff{w.agent, engineer} {
		got, err := w.tickets.AssignTicket(w.manager(), &ticketv1.AssignTicketRequest{Id: of.GetId(), StaffId: to.GetId()})
		if err != nil || got.GetState() != ticket.Assigned || got.GetAssigneeStaffId() != to.GetId() ||
			got.GetDepartmentId() != to.GetDepartmentId() {
			t.Errorf("assigned to %v: %v, %v", to, got, err)
		}
	}
}

func TestReopenIsRefusedAfterFourteenDays(t *testing.T) {
	w := newWorld(t)
	of, late := w.at(ticket.Closed, ""), w.at(ticket.Resolved, "")
	w.Clock.Advance(14 * 24 * time.Hour)
	if got, err := w.do(w.manager(), "reopen", of.GetId(), ""); err != nil || got.GetRound() != 2 ||
		got.GetAssigneeStaffId() != w.agent.GetId() || got.GetResolveTime() != nil || got.GetResolution() != "" {
		t.Errorf("on the last moment: %v, %v", got, err)
	}
	w.Clock.Advance(time.Microsecond)
	_, err := w.do(w.manager(), "reopen", late.GetId(), "")
	refused(t, "too late", err, codes.FailedPrecondition, "TICKET_REOPEN_TOO_LATE", "")
	if got := rpcerr.Info(err).GetMetadata()["last_time"]; got != "2026-11-16T01:00:00Z" {
		t.Errorf("last time %q", got)
	}
}

func TestMergeTicket(t *testing.T) {
	w := newWorld(t)
	customer := w.customer(typev1.Tier_TIER_B)
	into, of := w.create(&ticketv1.Ticket{CustomerId: customer}), w.create(&ticketv1.Ticket{CustomerId: customer})
	theirs := w.create(&ticketv1.Ticket{CustomerId: w.customer(typev1.Tier_TIER_B)})
	done := w.at(ticket.Resolved, customer)
	merge := func(into string) error {
		return second(w.tickets.MergeTicket(w.manager(), &ticketv1.MergeTicketRequest{Id: of.GetId(), IntoId: into, Reason: "same"}))
	}
	refused(t, "into itself", merge(of.GetId()), codes.InvalidArgument, "VALIDATION_FAILED", "into_id")
	refused(t, "into another customer's", merge(theirs.GetId()), codes.FailedPrecondition, "TICKET_OF_OTHER_CUSTOMER", "")
	refused(t, "into a resolved one", merge(done.GetId()), codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	refused(t, "into nothing", merge(nowhere), codes.NotFound, "TICKET_NOT_FOUND", "")
	_, err := w.tickets.MergeTicket(w.manager(), &ticketv1.MergeTicketRequest{Id: nowhere, IntoId: into.GetId(), Reason: "x"})
	refused(t, "of nothing", err, codes.NotFound, "TICKET_NOT_FOUND", "")

	// Two tickets merged into each other at once: one goes on.
	won, lost := wins(4, func(i int) error {
		a, b := of.GetId(), into.GetId()
		if i%2 == 1 {
			a, b = b, a
		}
		return second(w.tickets.MergeTicket(w.manager(), &ticketv1.MergeTicketRequest{Id: a, IntoId: b, Reason: "same"}))
	})
	if won != 1 {
		t.Errorf("%d of 4 merges won: %v", won, lost)
	}
	for _, err := range lost {
		refused(t, "a lost merge", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	}
	gone, kept := w.get(of.GetId()), w.get(into.GetId())
	if gone.GetState() != ticket.Merged {
		gone, kept = kept, gone
	}
	if gone.GetMergedInto() != kept.GetId() || kept.GetState() != ticket.New {
		t.Errorf("%v went into %v", gone, kept)
	}
	events := w.eventsOf(gone.GetId())
	payload, err := event.Unpack[*ticketv1.TicketChanged](events[len(events)-1])
	if err != nil || payload.GetMergedInto() != kept.GetId() || events[len(events)-1].GetType() != "ticket.merged.v1" {
		t.Errorf("event %v, %v", payload, err)
	}
}
