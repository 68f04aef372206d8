package server_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func TestComments(t *testing.T) {
	w := newWorld(t)
	customer := w.customer(typev1.Tier_TIER_B)
	of := w.create(&ticketv1.Ticket{CustomerId: customer})
	agent := w.AsStaff(access.ServiceAgent, "agent-1")
	note, err := w.tickets.CreateComment(agent, &ticketv1.CreateCommentRequest{
		TicketId: of.GetId(), Comment: &ticketv1.Comment{Body: "looks like the seal"},
	})
	if err != nil || note.GetPublic() || note.GetAuthorStaffId() != w.agent.GetId() ||
		note.GetAuthorKind() != ticketv1.AuthorKind_AUTHOR_KIND_STAFF {
		t.Fatalf("note %v, %v", note, err)
	}
	reply, err := w.tickets.CreateComment(agent, &ticketv1.CreateCommentRequest{
		TicketId: of.GetId(), Comment: &ticketv1.Comment{Body: "we send somebody", Public: true},
	})
	if err != nil || !reply.GetPublic() {
		t.Fatalf("reply %v, %v", reply, err)
	}
	answer, err := w.tickets.CreateComment(w.AsCustomer(customer), &ticketv1.CreateCommentRequest{
		TicketId: of.GetId(), Comment: &ticketv1.Comment{Body: "thank you"},
	})
	if err != nil || !answer.GetPublic() || answer.GetAuthorKind() != ticketv1.AuthorKind_AUTHOR_KIND_CUSTOMER ||
		answer.GetAuthorStaffId() != "" {
		t.Fatalf("answer %v, %v", answer, err)
	}

	all, err := w.tickets.ListComments(agent, &ticketv1.ListCommentsRequest{TicketId: of.GetId()})
	if err != nil || !slices.Equal(commentIDs(all), []string{note.GetId(), reply.GetId(), answer.GetId()}) {
		t.Errorf("the agent reads %v, %v", all, err)
	}
	req := &ticketv1.ListCommentsRequest{TicketId: of.GetId(), PageSize: 1}
	var read []string
	for {
		page, err := w.tickets.ListComments(w.AsCustomer(customer), req)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, commentIDs(page)...)
		for _, c := range page.GetComments() {
			if c.GetAuthorStaffId() != "" {
				t.Errorf("the customer sees who works on it: %v", c)
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if !slices.Equal(read, []string{reply.GetId(), answer.GetId()}) {
		t.Errorf("the customer reads %v", read)
	}

	events := w.eventsOf(of.GetId())
	if len(events) != 4 {
		t.Fatalf("%d events, want 4", len(events))
	}
	payload, err := event.Unpack[*ticketv1.CommentAdded](events[3])
	if err != nil || events[3].GetType() != "comment.added.v1" || events[3].GetSubjectVersion() != 4 ||
		payload.GetCommentId() != answer.GetId() || !payload.GetPublic() || payload.GetNumber() != of.GetNumber() ||
		payload.GetAuthorKind() != ticketv1.AuthorKind_AUTHOR_KIND_CUSTOMER {
		t.Errorf("event %v with %v, %v", events[3], payload, err)
	}
}

func commentIDs(list *ticketv1.ListCommentsResponse) []string {
	var out []string
	for _, c := range list.GetComments() {
		out = append(out, c.GetId())
	}
	return out
}

func TestCommentRefusals(t *testing.T) {
	w := newWorld(t)
	of := w.create(&ticketv1.Ticket{})
	add := func(id, body string) error {
		return second(w.tickets.CreateComment(w.manager(), &ticketv1.CreateCommentRequest{
			TicketId: id, Comment: &ticketv1.Comment{Body: body},
		}))
	}
	refused(t, "empty", add(of.GetId(), ""), codes.InvalidArgument, "VALIDATION_FAILED", "comment.body")
	refused(t, "malformed", add("x", "y"), codes.InvalidArgument, "VALIDATION_FAILED", "ticket_id")
	refused(t, "unknown", add(nowhere, "y"), codes.NotFound, "TICKET_NOT_FOUND", "")
	for _, state := range states() {
		err := add(w.at(state, "").GetId(), "y")
		if state != ticket.Merged {
			if err != nil {
				t.Errorf("on a ticket that is %v: %v", state, err)
			}
			continue
		}
		refused(t, "merged", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	}
	_, err := w.tickets.CreateComment(w.As(access.Auditor), &ticketv1.CreateCommentRequest{
		TicketId: of.GetId(), Comment: &ticketv1.Comment{Body: "x"},
	})
	refused(t, "auditor", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	_, err = w.tickets.ListComments(w.manager(), &ticketv1.ListCommentsRequest{TicketId: nowhere})
	refused(t, "of an unknown ticket", err, codes.NotFound, "TICKET_NOT_FOUND", "")
	_, err = w.tickets.ListComments(w.manager(), &ticketv1.ListCommentsRequest{TicketId: of.GetId(), PageToken: "x"})
	refused(t, "bad token", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")

	req := &ticketv1.CreateCommentRequest{TicketId: of.GetId(), Comment: &ticketv1.Comment{Body: "once"}, RequestId: "c-1"}
	won, _ := wins(4, func(int) error { return second(w.tickets.CreateComment(w.manager(), req)) })
	if n := w.count("SELECT count(*) FROM comments WHERE body = 'once'"); won != 4 || n != 1 {
		t.Errorf("%d calls answered, %d comments, want 4 and 1", won, n)
	}
}

func TestSilenceClosesResolvedTickets(t *testing.T) {
	w := newWorld(t)
	key := w.registered(typev1.Tier_TIER_KEY)
	mergedIntoKey := w.registered(typev1.Tier_TIER_C)
	old := w.at(ticket.Resolved, w.customer(typev1.Tier_TIER_A))
	nobodys := w.at(ticket.Resolved, "")
	important := w.at(ticket.Resolved, key.GetId())
	moved := w.at(ticket.Resolved, mergedIntoKey.GetId())
	w.merge(mergedIntoKey, key.GetId())
	reopened, talker := w.at(ticket.Resolved, ""), w.customer(typev1.Tier_TIER_B)
	if _, err := w.do(w.manager(), "reopen", reopened.GetId(), ""); err != nil {
		t.Fatal(err)
	}
	talked := w.at(ticket.Resolved, talker)

	w.Clock.Advance(72*time.Hour - time.Microsecond)
	if _, err := w.tickets.CreateComment(w.AsCustomer(talker), &ticketv1.CreateCommentRequest{
		TicketId: talked.GetId(), Comment: &ticketv1.Comment{Body: "still leaks a little"},
	}); err != nil {
		t.Fatal(err)
	}
	late := w.at(ticket.Resolved, "")
	sweep := func() {
		t.Helper()
		if won, lost := wins(3, func(int) error { return w.server.SweepSilent(t.Context()) }); won != 3 {
			t.Fatalf("sweeps failed: %v", lost)
		}
	}
	sweep()
	if got := w.get(old.GetId()); got.GetState() != ticket.Resolved {
		t.Errorf("closed before 72 h: %v", got)
	}
	w.Clock.Advance(time.Microsecond)
	sweep()
	sweep()
	for name, c := range map[string]struct {
		id    string
		state ticket.State
	}{
		"silent": {old.GetId(), ticket.Closed}, "nobody's": {nobodys.GetId(), ticket.Closed},
		"key customer's": {important.GetId(), ticket.Resolved}, "merged into a key customer": {moved.GetId(), ticket.Resolved},
		"reopened": {reopened.GetId(), ticket.Assigned}, "talked": {talked.GetId(), ticket.Resolved},
		"resolved later": {late.GetId(), ticket.Resolved},
	} {
		if got := w.get(c.id); got.GetState() != c.state {
			t.Errorf("%s: %v, want %v", name, got.GetState(), c.state)
		}
		w.replay(c.id)
	}

	closed := w.eventsOf(old.GetId())
	last := closed[len(closed)-1]
	if last.GetType() != "ticket.closed.v1" || last.GetActorId() != "service-ticket" || len(closed) != 5 {
		t.Errorf("events %v, want one closing by the service", closed)
	}
	history, err := w.tickets.ListTransitions(w.manager(), &ticketv1.ListTransitionsRequest{TicketId: old.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	move := history.GetTransitions()[len(history.GetTransitions())-1]
	if move.GetVerb() != "close" || move.GetReason() == "" || move.GetActorKind() != ticketv1.AuthorKind_AUTHOR_KIND_SYSTEM {
		t.Errorf("recorded as %v", move)
	}
	// The key customer is to be called: told once, to staff only.
	notes, err := w.tickets.ListComments(w.manager(), &ticketv1.ListCommentsRequest{TicketId: important.GetId()})
	if err != nil || len(notes.GetComments()) != 1 || notes.GetComments()[0].GetPublic() ||
		notes.GetComments()[0].GetAuthorKind() != ticketv1.AuthorKind_AUTHOR_KIND_SYSTEM {
		t.Errorf("notes %v, %v", notes, err)
	}
	w.Clock.Advance(72 * time.Hour)
	sweep()
	if got := w.get(talked.GetId()); got.GetState() != ticket.Closed {
		t.Errorf("72 h after the last word: %v", got.GetState())
	}
	if got := w.get(important.GetId()); got.GetState() != ticket.Resolved {
		t.Errorf("a key customer's ticket was closed: %v", got)
	}
}

func TestConfirmAgainstSilence(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.Resolved, "")
	w.Clock.Advance(72 * time.Hour)
	_, lost := wins(4, func(i int) error {
		if i%2 == 0 {
			return w.server.SweepSilent(t.Context())
		}
		return second(w.do(w.manager(), "confirm", of.GetId(), ""))
	})
	for _, err := range lost {
		refused(t, "a lost confirmation", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	}
	w.replay(of.GetId())
	if n := w.count("SELECT count(*) FROM ticket_transitions WHERE ticket_id = $1 AND to_state = 7", of.GetId()); n != 1 {
		t.Errorf("closed %d times", n)
	}
}
