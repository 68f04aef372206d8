package server_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/internal/access"
)

var began = time.Date(2026, 11, 2, 2, 0, 0, 0, time.UTC)

// envelope is an event of another service; each happens an hour after the
// version before.
func envelope(t *testing.T, kind, subject string, version int64, customerID string, payload proto.Message) *eventv1.Envelope {
	t.Helper()
	packed, err := anypb.New(payload)
	if err != nil {
		t.Fatal(err)
	}
	return &eventv1.Envelope{
		Id: newID(t), Type: kind, SubjectId: subject, SubjectVersion: version, CustomerId: customerID,
		OccurTime: timestamppb.New(began.Add(time.Duration(version) * time.Hour)), Payload: packed,
	}
}

func ticketEvent(t *testing.T, verb, subject string, version int64, customerID string, state ticketv1.TicketState) *eventv1.Envelope {
	t.Helper()
	return envelope(t, "ticket."+verb+".v1", subject, version, customerID, &ticketv1.TicketChanged{
		Number: "T-202611-000001", StateAfter: state, Channel: typev1.Channel_CHANNEL_PHONE,
	})
}

func complaintEvent(t *testing.T, verb, subject string, version int64, customerID string, state complaintv1.ComplaintState, twoWay bool) *eventv1.Envelope {
	t.Helper()
	return envelope(t, "complaint."+verb+".v1", subject, version, customerID, &complaintv1.ComplaintChanged{
		Number: "CP-202611-000001", StateAfter: state, Channel: typev1.Channel_CHANNEL_EMAIL, TwoWay: twoWay,
	})
}

func answer(t *testing.T, customerID string, version int64, score int32) *eventv1.Envelope {
	t.Helper()
	return envelope(t, "answer.received.v1", newID(t), version, customerID, &surveyv1.AnswerReceived{Score: score})
}

// standing is what a summary says.
type standing struct {
	tickets, complaints int32
	contact             time.Time
	mean                float64
	scores              int32
	types               []string
}

func (r *registry) standing(t *testing.T, id string) standing {
	t.Helper()
	p := r.profile(t, id)
	s := standing{
		tickets: p.GetSummary().GetOpenTickets(), complaints: p.GetSummary().GetOpenComplaints(),
		mean: p.GetMeanScore(), scores: p.GetScores(),
	}
	if at := p.GetSummary().GetLastContactTime(); at != nil {
		s.contact = at.AsTime()
	}
	for _, e := range p.GetTimeline() {
		s.types = append(s.types, e.GetType())
	}
	return s
}

func (s standing) check(t *testing.T, what string, want standing) {
	t.Helper()
	if s.tickets != want.tickets || s.complaints != want.complaints || !s.contact.Equal(want.contact) ||
		s.mean != want.mean || s.scores != want.scores || !slices.Equal(s.types, want.types) {
		t.Errorf("%s: %+v\nwant %+v", what, s, want)
	}
}

func at(hours int) time.Time { return began.Add(time.Duration(hours) * time.Hour) }

func TestProfileFollowsATicket(t *testing.T) {
	r := start(t)
	c, ticket := r.make(t, full()).GetId(), newID(t)
	for _, step := range []struct {
		env  *eventv1.Envelope
		want standing
	}{
		{ticketEvent(t, "created", ticket, 1, c, ticketv1.TicketState_TICKET_STATE_NEW),
			standing{tickets: 1, contact: at(1), types: []string{"ticket.created.v1"}}},
		{ticketEvent(t, "assigned", ticket, 2, c, ticketv1.TicketState_TICKET_STATE_ASSIGNED),
			standing{tickets: 1, contact: at(1), types: []string{"ticket.assigned.v1", "ticket.created.v1"}}},
		{ticketEvent(t, "updated", ticket, 3, c, ticketv1.TicketState_TICKET_STATE_ASSIGNED),
			standing{tickets: 1, contact: at(1), types: []string{"ticket.assigned.v1", "ticket.created.v1"}}},
		{envelope(t, "comment.added.v1", ticket, 4, c, &ticketv1.CommentAdded{Number: "T-202611-000001"}),
			standing{tickets: 1, contact: at(1), types: []string{"ticket.assigned.v1", "ticket.created.v1"}}},
		{envelope(t, "comment.added.v1", ticket, 5, c, &ticketv1.CommentAdded{Number: "T-202611-000001", Public: true}),
			standing{tickets: 1, contact: at(5), types: []string{"comment.added.v1", "ticket.assigned.v1", "ticket.created.v1"}}},
		{ticketEvent(t, "closed", ticket, 6, c, ticketv1.TicketState_TICKET_STATE_CLOSED),
			standing{contact: at(5), types: []string{"ticket.closed.v1", "comment.added.v1", "ticket.assigned.v1", "ticket.created.v1"}}},
		{ticketEvent(t, "reopened", ticket, 7, c, ticketv1.TicketState_TICKET_STATE_ASSIGNED),
			standing{tickets: 1, contact: at(5), types: []string{"ticket.reopened.v1", "ticket.closed.v1", "comment.added.v1", "ticket.assigned.v1", "ticket.created.v1"}}},
	} {
		for range 2 { // the second time nothing may change
			r.in(t, r.HandleTicket, step.env)
			r.standing(t, c).check(t, step.env.GetType(), step.want)
		}
	}
	entry := r.profile(t, c).GetTimeline()[0]
	if entry.GetNumber() != "T-202611-000001" || entry.GetState() != "assigned" || entry.GetSubjectId() != ticket ||
		!entry.GetOccurTime().AsTime().Equal(at(7)) || entry.GetScore() != 0 || entry.GetHistoric() {
		t.Errorf("entry %v", entry)
	}
}

func TestEveryFinalTicketStateCountsAsClosed(t *testing.T) {
	r := start(t)
	for number, name := range ticketv1.TicketState_name {
		c := r.make(t, file(name)).GetId()
		r.in(t, r.HandleTicket, ticketEvent(t, "imported", newID(t), 1, c, ticketv1.TicketState(number)))
		want := int32(1)
		switch ticketv1.TicketState(number) {
		case ticketv1.TicketState_TICKET_STATE_CLOSED, ticketv1.TicketState_TICKET_STATE_CANCELLED, ticketv1.TicketState_TICKET_STATE_MERGED:
			want = 0
		}
		if got := r.standing(t, c).tickets; got != want {
			t.Errorf("%s: %d open tickets, want %d", name, got, want)
		}
	}
}

func TestProfileFollowsAComplaint(t *testing.T) {
	r := start(t)
	c, id := r.make(t, full()).GetId(), newID(t)
	for _, step := range []struct {
		verb    string
		state   complaintv1.ComplaintState
		twoWay  bool
		open    int32
		contact int
	}{
		{"received", complaintv1.ComplaintState_COMPLAINT_STATE_RECEIVED, false, 1, 1},
		{"assigned", complaintv1.ComplaintState_COMPLAINT_STATE_ASSIGNED, false, 1, 1},
		{"attempted", complaintv1.ComplaintState_COMPLAINT_STATE_ASSIGNED, false, 1, 1},
		{"attempted", complaintv1.ComplaintState_COMPLAINT_STATE_CONTACTED, true, 1, 4},
		{"contacted", complaintv1.ComplaintState_COMPLAINT_STATE_CONTACTED, true, 1, 5},
		{"told", complaintv1.ComplaintState_COMPLAINT_STATE_TOLD, false, 1, 6},
		{"answered", complaintv1.ComplaintState_COMPLAINT_STATE_TOLD, false, 1, 7},
		{"closed", complaintv1.ComplaintState_COMPLAINT_STATE_CLOSED, false, 0, 7},
	} {
		version := int64(len(r.standing(t, c).types) + 1)
		env := complaintEvent(t, step.verb, id, version, c, step.state, step.twoWay)
		r.in(t, r.HandleComplaint, env)
		r.in(t, r.HandleComplaint, env)
		got := r.standing(t, c)
		if got.complaints != step.open || !got.contact.Equal(at(step.contact)) || got.tickets != 0 {
			t.Errorf("after %s: %+v, want %d open and contact at %d h", step.verb, got, step.open, step.contact)
		}
	}
	if entry := r.profile(t, c).GetTimeline()[0]; entry.GetState() != "closed" || entry.GetNumber() != "CP-202611-000001" {
		t.Errorf("entry %v", entry)
	}
}

func TestProfileFollowsSurveys(t *testing.T) {
	r := start(t)
	c := r.make(t, full()).GetId()
	events := []*eventv1.Envelope{
		envelope(t, "invitation.created.v1", newID(t), 1, c, &surveyv1.InvitationChanged{State: "pending"}),
		answer(t, c, 2, 5), answer(t, c, 3, 2), answer(t, c, 4, 0),
		envelope(t, "questionnaire.published.v1", newID(t), 5, "", &surveyv1.QuestionnairePublished{Version: 1}),
	}
	for range 2 {
		for _, env := range events {
			r.in(t, r.HandleSurvey, env)
		}
	}
	r.standing(t, c).check(t, "survey", standing{
		contact: at(4), mean: 3.5, scores: 2,
		types: []string{"answer.received.v1", "answer.received.v1", "answer.received.v1", "invitation.created.v1"},
	})
	timeline := r.profile(t, c).GetTimeline()
	if timeline[3].GetState() != "pending" || timeline[2].GetScore() != 5 {
		t.Errorf("timeline %v", timeline)
	}
}

func TestACaseThatMovesTakesItsHistoryAlong(t *testing.T) {
	r := start(t)
	a, b, ticket := r.make(t, full()).GetId(), r.make(t, file("b")).GetId(), newID(t)
	open := ticketv1.TicketState_TICKET_STATE_NEW
	none := ticketEvent(t, "created", ticket, 1, "", open)
	first := ticketEvent(t, "updated", ticket, 2, a, open)
	second := ticketEvent(t, "assigned", ticket, 3, b, open)
	r.in(t, r.HandleTicket, none)
	r.standing(t, a).check(t, "without a customer", standing{})
	r.in(t, r.HandleTicket, first)
	r.standing(t, a).check(t, "given to a", standing{tickets: 1, contact: at(1), types: []string{"ticket.created.v1"}})
	r.in(t, r.HandleTicket, second)
	moved := standing{tickets: 1, contact: at(1), types: []string{"ticket.assigned.v1", "ticket.created.v1"}}
	r.standing(t, a).check(t, "taken from a", standing{})
	r.standing(t, b).check(t, "given to b", moved)
	for _, env := range []*eventv1.Envelope{none, first, second, first, none} {
		r.in(t, r.HandleTicket, env)
		r.standing(t, a).check(t, "a after a replay", standing{})
		r.standing(t, b).check(t, "b after a replay", moved)
	}
	r.in(t, r.HandleTicket, ticketEvent(t, "updated", ticket, 4, "", open))
	r.standing(t, b).check(t, "taken from b", standing{})
}

// A run of events leaves what the same events leave one by one.
func TestARunOfEventsIsTheSameAsEachByItself(t *testing.T) {
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 1))
		r := start(t)
		var owners [2][]string // of the run, of the single events
		for i := range owners {
			for _, name := range []string{"a", "b", "c"} {
				owners[i] = append(owners[i], r.make(t, file(name)).GetId())
			}
		}
		var events [2][]*eventv1.Envelope
		versions := [5]int64{}
		subjects := [2][5]string{}
		for i := range subjects {
			for j := range subjects[i] {
				subjects[i][j] = newID(t)
			}
		}
		for range 40 {
			n, owner, verb := random.IntN(5), random.IntN(4), random.IntN(4)
			versions[n] += int64(random.IntN(3)) - 1 // some repeat, some are older
			state := ticketv1.TicketState(1 + random.IntN(9))
			for i := range events {
				customer := ""
				if owner < 3 {
					customer = owners[i][owner]
				}
				env := ticketEvent(t, []string{"created", "updated", "assigned"}[verb%3], subjects[i][n], versions[n]+1, customer, state)
				if verb == 3 {
					env = envelope(t, "comment.added.v1", subjects[i][n], versions[n]+1, customer,
						&ticketv1.CommentAdded{Number: "T-202611-000001", Public: state%2 == 0})
				}
				events[i] = append(events[i], env)
			}
		}
		r.in(t, r.HandleTicket, events[0]...)
		for _, env := range events[1] {
			r.in(t, r.HandleTicket, env)
		}
		for n := range owners[0] {
			got, want := r.standing(t, owners[0][n]), r.standing(t, owners[1][n])
			slices.Sort(got.types) // events at one instant have no order
			slices.Sort(want.types)
			got.check(t, "the run of seed "+strconv.FormatUint(seed, 10), want)
		}
	}
}

func TestEventsOfUnknownCustomersDoNotStopTheStream(t *testing.T) {
	r := start(t)
	r.in(t, r.HandleTicket, ticketEvent(t, "created", newID(t), 1, newID(t), ticketv1.TicketState_TICKET_STATE_NEW))
	r.in(t, r.HandleTicket, envelope(t, "policy.changed.v1", newID(t), 1, "", &surveyv1.QuestionnairePublished{}))
	r.in(t, r.HandleComplaint, envelope(t, "plan.changed.v1", newID(t), 1, "", &surveyv1.QuestionnairePublished{}))
	broken := ticketEvent(t, "created", newID(t), 1, "", ticketv1.TicketState_TICKET_STATE_NEW)
	broken.Payload.Value = []byte{0xff}
	if err := pg.InTx(t.Context(), r.Pool, func(tx pgx.Tx) error { return r.HandleTicket(t.Context(), tx, []*eventv1.Envelope{broken}) }); err == nil {
		t.Error("a payload that cannot be read was accepted")
	}
}

func TestConsumersOfThreeStreamsAtOnce(t *testing.T) {
	r := start(t)
	a, b := r.make(t, full()).GetId(), r.make(t, file("b")).GetId()
	var wg sync.WaitGroup
	const n = 15
	wg.Go(func() {
		ticket := newID(t)
		for i := range n { // one ticket to and fro
			r.in(t, r.HandleTicket, ticketEvent(t, "assigned", ticket, int64(i+1), []string{a, b}[i%2], ticketv1.TicketState_TICKET_STATE_ASSIGNED))
		}
	})
	wg.Go(func() {
		complaint := newID(t)
		for i := range n {
			r.in(t, r.HandleComplaint, complaintEvent(t, "told", complaint, int64(i+1), []string{b, a}[i%2], complaintv1.ComplaintState_COMPLAINT_STATE_TOLD, false))
		}
	})
	wg.Go(func() {
		for i := range n {
			r.in(t, r.HandleSurvey, answer(t, []string{a, b}[i%2], int64(i+1), 4))
		}
	})
	wg.Wait()
	sa, sb := r.standing(t, a), r.standing(t, b)
	if sa.tickets != 1 || sb.tickets != 0 || sa.complaints != 0 || sb.complaints != 1 {
		t.Errorf("open cases: a %+v, b %+v", sa, sb)
	}
	if sa.scores != 8 || sb.scores != 7 || sa.mean != 4 || len(sa.types) != 15+8 || len(sb.types) != 15+7 {
		t.Errorf("scores and timelines: a %+v, b %+v", sa, sb)
	}
	if !sa.contact.Equal(at(15)) || !sb.contact.Equal(at(15)) {
		t.Errorf("last contacts: %v and %v", sa.contact, sb.contact)
	}
}

func TestProfile(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	for i := range 5 {
		r.in(t, r.HandleSurvey, answer(t, made.GetId(), int64(i/2), int32(i+1))) // pairs at one instant
	}
	var scores []int32
	req := &customerv1.GetProfileRequest{CustomerId: made.GetId(), PageSize: 2}
	for {
		p, err := r.customers.GetProfile(r.AsCustomer(made.GetId()), req)
		if err != nil {
			t.Fatal(err)
		}
		if p.GetCustomer().GetPhone() != made.GetPhone() || p.GetCustomer().GetTags() != nil || p.GetSummary().GetNumber() != made.GetNumber() {
			t.Errorf("profile %v", p)
		}
		for _, e := range p.GetTimeline() {
			scores = append(scores, e.GetScore())
		}
		if req.PageToken = p.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if !slices.Equal(scores, []int32{5, 4, 3, 2, 1}) {
		t.Errorf("timeline %v, want newest first", scores)
	}
	masked, err := r.customers.GetProfile(r.As(access.ServiceAgent), &customerv1.GetProfileRequest{CustomerId: made.GetId()})
	if err != nil || masked.GetCustomer().GetPhone() != "138****8000" || masked.GetCustomer().GetAddress() != nil {
		t.Errorf("an agent's profile: %v, %v", masked, err)
	}
}
