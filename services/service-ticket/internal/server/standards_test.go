package server_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func (w *world) standards() ticketv1.StandardServiceClient {
	return ticketv1.NewStandardServiceClient(w.Conn)
}

// clause is the one that the open resolution clock of a ticket goes by.
func (w *world) clause(id string) (clause string) {
	w.t.Helper()
	if err := w.Pool.QueryRow(w.t.Context(), `SELECT clause_id FROM clocks WHERE subject_id = $1 AND kind = 'resolution'
		ORDER BY start_time DESC LIMIT 1`, id).Scan(&clause); err != nil {
		w.t.Fatal(err)
	}
	return clause
}

func (w *world) except(customer string, tier typev1.Tier, start, end time.Time) (*ticketv1.StandardException, error) {
	in := &ticketv1.StandardException{CustomerId: customer, Tier: tier, EndTime: timestamppb.New(end), Reason: "合同约定"}
	if !start.IsZero() {
		in.StartTime = timestamppb.New(start)
	}
	return w.standards().SetStandardException(w.manager(), &ticketv1.SetStandardExceptionRequest{Exception: in})
}

func TestAnExceptionRaisesACustomersTickets(t *testing.T) {
	w := newWorld(t)
	customer, other := w.customer(typev1.Tier_TIER_C), w.customer(typev1.Tier_TIER_C)
	open, theirs := w.create(&ticketv1.Ticket{CustomerId: customer}), w.create(&ticketv1.Ticket{CustomerId: other})
	now := w.Clock.Now()
	first, err := w.except(customer, typev1.Tier_TIER_KEY, time.Time{}, now.Add(48*time.Hour))
	if err != nil || first.GetVersion() != 1 || !first.GetInEffect() {
		t.Fatalf("%v, %v", first, err)
	}
	later := w.create(&ticketv1.Ticket{CustomerId: customer})
	if w.clause(open.GetId()) != "resolution-key-p3" || w.clause(later.GetId()) != "resolution-key-p3" || w.clause(theirs.GetId()) != "resolution-c-p3" {
		t.Errorf("under it: %s, %s; another's %s", w.clause(open.GetId()), w.clause(later.GetId()), w.clause(theirs.GetId()))
	}
	// From a reopening on, too.
	for _, verb := range []string{"assign", "start", "resolve", "reopen"} {
		if _, err := w.do(w.manager(), verb, later.GetId(), ""); err != nil {
			t.Fatal(err)
		}
	}
	if w.clause(later.GetId()) != "resolution-key-p3" {
		t.Errorf("reopened: %s", w.clause(later.GetId()))
	}
	// The next version takes its place when it begins, and what ends it stays ended.
	if next, err := w.except(customer, typev1.Tier_TIER_A, now.Add(time.Hour), now.Add(2*time.Hour)); err != nil || next.GetVersion() != 2 || next.GetInEffect() {
		t.Fatalf("%v, %v", next, err)
	}
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{59 * time.Minute, "resolution-key-p3"}, {time.Minute, "resolution-a-p3"}, {time.Hour, "resolution-c-p3"}} {
		w.Clock.Advance(step.after)
		if err := w.server.SweepStandards(t.Context()); err != nil {
			t.Fatal(err)
		}
		fresh := w.create(&ticketv1.Ticket{CustomerId: customer})
		if w.clause(open.GetId()) != step.want || w.clause(fresh.GetId()) != step.want {
			t.Errorf("%v: %s and %s, want %s", step.after, w.clause(open.GetId()), w.clause(fresh.GetId()), step.want)
		}
	}
	if n := w.count("SELECT count(*) FROM customer_standards"); n != 0 {
		t.Errorf("%d standards to look at", n)
	}
	list, err := w.standards().ListStandardExceptions(w.manager(), &ticketv1.ListStandardExceptionsRequest{CustomerId: customer, PageSize: 1})
	if err != nil || len(list.GetExceptions()) != 1 || list.GetExceptions()[0].GetVersion() != 2 || list.GetExceptions()[0].GetInEffect() || list.GetNextPageToken() == "" {
		t.Errorf("%v, %v", list, err)
	}
}

func TestAnExceptionIsEnded(t *testing.T) {
	w := newWorld(t)
	customer := w.customer(typev1.Tier_TIER_A)
	open := w.create(&ticketv1.Ticket{CustomerId: customer})
	end := func() error {
		return second(w.standards().EndStandardException(w.manager(), &ticketv1.EndStandardExceptionRequest{CustomerId: customer, Reason: "合同终止"}))
	}
	refused(t, "none", end(), codes.NotFound, "STANDARD_EXCEPTION_NOT_FOUND", "")
	if _, err := w.except(customer, typev1.Tier_TIER_C, time.Time{}, w.Clock.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if w.clause(open.GetId()) != "resolution-c-p3" {
		t.Errorf("lowered: %s", w.clause(open.GetId()))
	}
	w.Clock.Advance(time.Minute)
	if err := end(); err != nil || w.clause(open.GetId()) != "resolution-a-p3" {
		t.Errorf("ended: %v, %s", err, w.clause(open.GetId()))
	}
	refused(t, "twice", end(), codes.NotFound, "STANDARD_EXCEPTION_NOT_FOUND", "")
	list, err := w.standards().ListStandardExceptions(w.manager(), &ticketv1.ListStandardExceptionsRequest{})
	if err != nil || len(list.GetExceptions()) != 2 || list.GetExceptions()[1].GetInEffect() || list.GetExceptions()[0].GetReason() != "合同终止" {
		t.Errorf("%v, %v", list, err)
	}
}

func TestExceptionRefusals(t *testing.T) {
	w := newWorld(t)
	customer, now := w.customer(typev1.Tier_TIER_A), w.Clock.Now()
	for name, c := range map[string]struct {
		customer   string
		start, end time.Time
		field      string
	}{
		"unknown customer": {nowhere, time.Time{}, now.Add(time.Hour), "exception.customer_id"},
		"from the past":    {customer, now.Add(-time.Second), now.Add(time.Hour), "exception.start_time"},
		"no time":          {customer, now.Add(time.Hour), now.Add(time.Hour), "exception.end_time"},
		"for ever":         {customer, time.Time{}, now.AddDate(4, 0, 0), "exception.end_time"},
	} {
		_, err := w.except(c.customer, typev1.Tier_TIER_KEY, c.start, c.end)
		refused(t, name, err, codes.InvalidArgument, "VALIDATION_FAILED", c.field)
	}
}

// requested asks for a higher standard as a caller who may.
func (w *world) requested(id string) *ticketv1.Escalation {
	w.t.Helper()
	got, err := w.standards().RequestEscalation(w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.RequestEscalationRequest{TicketId: id, Reason: "客户停产"})
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func TestEscalationRaisesOneCase(t *testing.T) {
	w := newWorld(t)
	c, boss := w.standards(), w.AsStaff(access.ServiceSupervisor, "boss")
	w.staffOf(w.desk.GetId(), "boss")
	customer := w.customer(typev1.Tier_TIER_C)
	row, other := w.at(ticket.InProgress, customer), w.create(&ticketv1.Ticket{CustomerId: customer})
	asked := w.requested(row.GetId())
	if asked.GetState() != ticketv1.EscalationState_ESCALATION_STATE_REQUESTED || asked.GetFromTier() != typev1.Tier_TIER_C ||
		asked.GetToTier() != typev1.Tier_TIER_B || asked.GetByCustomer() || asked.GetRequestStaffId() != w.agent.GetId() {
		t.Errorf("asked %v", asked)
	}
	if n := w.count(`SELECT count(*) FROM clocks WHERE subject_id = $1 AND subject_type = 'escalation' AND clause_id = 'escalation-decision' AND owner_role = 'service-supervisor'`, asked.GetId()); n != 1 {
		t.Errorf("%d clocks of the decision", n)
	}
	_, err := c.RequestEscalation(w.manager(), &ticketv1.RequestEscalationRequest{TicketId: row.GetId(), Reason: "x"})
	refused(t, "twice", err, codes.AlreadyExists, "ESCALATION_EXISTS", "")
	if list, err := c.FindEscalations(boss, &ticketv1.FindEscalationsRequest{}); err != nil || len(list.GetEscalations()) != 1 {
		t.Errorf("to decide: %v, %v", list, err)
	}
	decide := func(int) error {
		return second(c.DecideEscalation(boss, &ticketv1.DecideEscalationRequest{Id: asked.GetId(), Grant: true, Reason: "同意"}))
	}
	if won, lost := wins(4, decide); won != 1 {
		t.Errorf("%d of 4 decided, %v", won, lost)
	}
	refused(t, "decided", decide(0), codes.FailedPrecondition, "ESCALATION_DECIDED", "")
	if w.clause(row.GetId()) != "resolution-b-p3" || w.clause(other.GetId()) != "resolution-c-p3" {
		t.Errorf("raised %s, the customer's other ticket %s", w.clause(row.GetId()), w.clause(other.GetId()))
	}
	if n := w.count("SELECT count(*) FROM clocks WHERE subject_id = $1 AND stop_time IS NOT NULL", asked.GetId()); n != 1 {
		t.Errorf("the clock of the decision goes on")
	}
	// It stays raised when the customer's exception comes and goes below it, and over rounds.
	if _, err := w.except(customer, typev1.Tier_TIER_KEY, time.Time{}, w.Clock.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	above := w.clause(row.GetId())
	w.Clock.Advance(time.Minute)
	if err := w.server.SweepStandards(t.Context()); err != nil {
		t.Fatal(err)
	}
	if above != "resolution-key-p3" || w.clause(row.GetId()) != "resolution-b-p3" {
		t.Errorf("with an exception %s, after it %s", above, w.clause(row.GetId()))
	}
	for _, verb := range []string{"resolve", "reopen"} {
		if _, err := w.do(w.manager(), verb, row.GetId(), ""); err != nil {
			t.Fatal(err)
		}
	}
	if w.clause(row.GetId()) != "resolution-b-p3" {
		t.Errorf("in the next round %s", w.clause(row.GetId()))
	}
	list, err := c.FindTicketEscalations(w.AsCustomer(customer), &ticketv1.FindTicketEscalationsRequest{TicketId: row.GetId()})
	if err != nil || len(list.GetEscalations()) != 1 || list.GetEscalations()[0].GetDecideStaffId() != "" || list.GetEscalations()[0].GetRequestStaffId() != "" ||
		list.GetEscalations()[0].GetDecisionReason() != "同意" {
		t.Errorf("the customer sees %v, %v", list, err)
	}
}

// Thursday 17:30 in Shanghai and two business hours: Friday 10:30.
func TestTheDecisionIsDueInBusinessHours(t *testing.T) {
	w := newWorld(t)
	at := time.Date(2026, 11, 26, 9, 30, 0, 0, time.UTC)
	w.Clock.Advance(at.Sub(w.Clock.Now()))
	row := w.at(ticket.Assigned, "")
	if due := w.requested(row.GetId()).GetDueTime().AsTime(); !due.Equal(time.Date(2026, 11, 27, 2, 30, 0, 0, time.UTC)) {
		t.Errorf("due %s", due)
	}
}

func TestEscalationRefusals(t *testing.T) {
	w := newWorld(t)
	c := w.standards()
	mine := w.customer(typev1.Tier_TIER_B)
	row := w.at(ticket.Assigned, mine)
	ask := func(id string) error {
		return second(c.RequestEscalation(w.manager(), &ticketv1.RequestEscalationRequest{TicketId: id, Reason: "x"}))
	}
	refused(t, "unknown", ask(nowhere), codes.NotFound, "TICKET_NOT_FOUND", "")
	refused(t, "resolved", ask(w.at(ticket.Resolved, "").GetId()), codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	refused(t, "at the top", ask(w.at(ticket.Assigned, w.customer(typev1.Tier_TIER_KEY)).GetId()), codes.FailedPrecondition, "ESCALATION_AT_TOP", "")
	imported := w.imports(w.importer(), record("1", ticket.New))[0].GetId()
	refused(t, "imported", ask(imported), codes.FailedPrecondition, "TICKET_WITHOUT_CLOCKS", "")
	// The customer asks; who asked does not decide, nor does an agent.
	asked, err := c.RequestEscalation(w.AsCustomer(mine), &ticketv1.RequestEscalationRequest{TicketId: row.GetId(), Reason: "太慢了"})
	if err != nil || !asked.GetByCustomer() {
		t.Fatalf("%v, %v", asked, err)
	}
	own := w.at(ticket.Assigned, "")
	byBoss, err := c.RequestEscalation(w.manager(), &ticketv1.RequestEscalationRequest{TicketId: own.GetId(), Reason: "x"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.DecideEscalation(w.manager(), &ticketv1.DecideEscalationRequest{Id: byBoss.GetId(), Reason: "x"})
	refused(t, "their own", err, codes.PermissionDenied, "SECOND_PERSON_NEEDED", "")
	_, err = c.DecideEscalation(w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.DecideEscalationRequest{Id: asked.GetId(), Reason: "x"})
	refused(t, "an agent", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	far := w.department("far")
	w.staffOf(far.GetId(), "far-boss")
	_, err = c.DecideEscalation(w.AsStaff(access.ServiceSupervisor, "far-boss"), &ticketv1.DecideEscalationRequest{Id: asked.GetId(), Reason: "x"})
	refused(t, "another team's supervisor", err, codes.NotFound, "ESCALATION_NOT_FOUND", "")
	if list, err := c.FindEscalations(w.AsStaff(access.ServiceSupervisor, "far-boss"), &ticketv1.FindEscalationsRequest{}); err != nil || len(list.GetEscalations()) != 0 {
		t.Errorf("another team's list: %v, %v", list, err)
	}
	_, err = c.DecideEscalation(w.manager(), &ticketv1.DecideEscalationRequest{Id: nowhere, Reason: "x"})
	refused(t, "unknown escalation", err, codes.NotFound, "ESCALATION_NOT_FOUND", "")
	// Refused, the standard stays; a resolution ends what nobody decided.
	if _, err := c.DecideEscalation(w.manager(), &ticketv1.DecideEscalationRequest{Id: asked.GetId(), Reason: "理由不足"}); err != nil || w.clause(row.GetId()) != "resolution-b-p3" {
		t.Errorf("refused: %v, %s", err, w.clause(row.GetId()))
	}
	for _, verb := range []string{"start", "resolve"} {
		if _, err := w.do(w.manager(), verb, own.GetId(), ""); err != nil {
			t.Fatal(err)
		}
	}
	list, err := c.FindTicketEscalations(w.manager(), &ticketv1.FindTicketEscalationsRequest{TicketId: own.GetId()})
	if err != nil || list.GetEscalations()[0].GetState() != ticketv1.EscalationState_ESCALATION_STATE_LAPSED {
		t.Errorf("after the resolution: %v, %v", list, err)
	}
	if n := w.count("SELECT count(*) FROM clocks WHERE subject_id = $1 AND stop_time IS NULL", byBoss.GetId()); n != 0 {
		t.Errorf("the clock of the decision goes on")
	}
}
