package server_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

const (
	urgent, soon, later = ticketv1.Urgency_URGENCY_HIGH, ticketv1.Urgency_URGENCY_MEDIUM, ticketv1.Urgency_URGENCY_LOW
	wide, some, single  = ticketv1.Impact_IMPACT_HIGH, ticketv1.Impact_IMPACT_MEDIUM, ticketv1.Impact_IMPACT_LOW
	p4                  = ticketv1.Priority_PRIORITY_P4
	byMatrix, byHand    = ticketv1.PrioritySource_PRIORITY_SOURCE_MATRIX, ticketv1.PrioritySource_PRIORITY_SOURCE_GIVEN
	byDefault           = ticketv1.PrioritySource_PRIORITY_SOURCE_DEFAULT
)

// weighs checks what a ticket weighs, and that a list tells the same.
func (w *world) weighs(what, id string, want ticket.Weight) {
	w.t.Helper()
	got := w.get(id)
	if is := (ticket.Weight{
		Urgency: got.GetUrgency(), Impact: got.GetImpact(), Priority: got.GetPriority(), PrioritySource: got.GetPrioritySource(),
	}); is != want {
		w.t.Errorf("%s: %+v, want %+v", what, is, want)
	}
	list, err := w.tickets.ListTickets(w.manager(), &ticketv1.ListTicketsRequest{Number: got.GetNumber()})
	if err != nil || len(list.GetTickets()) != 1 || list.GetTickets()[0].GetUrgency() != want.Urgency || list.GetTickets()[0].GetImpact() != want.Impact {
		w.t.Errorf("%s in a list: %v, %v", what, list, err)
	}
}

func TestUrgencyAndImpactGiveThePriority(t *testing.T) {
	w := newWorld(t)
	got := w.create(&ticketv1.Ticket{Title: "x", Urgency: urgent, Impact: some})
	w.weighs("both", got.GetId(), ticket.Weight{Urgency: urgent, Impact: some, Priority: p2, PrioritySource: byMatrix})
	if n := w.count("SELECT count(*) FROM clocks WHERE subject_id = $1 AND clause_id = 'resolution-c-p2'", got.GetId()); n != 1 {
		t.Errorf("%d clocks of P2", n)
	}
	why := w.taken(got.GetId()).GetSuggestions()
	if len(why) != 1 || why[0].GetSource() != ticketv1.TriageSource_TRIAGE_SOURCE_MATRIX || !why[0].GetApplied() || why[0].GetConfidence() != 1 ||
		why[0].GetReason().GetZh() != "紧急程度“高”、影响范围“中”对应 P2" || why[0].GetReason().GetEn() != "urgency high and impact medium give P2" {
		t.Errorf("why: %v", why)
	}
	one := w.create(&ticketv1.Ticket{Title: "x", Urgency: urgent})
	w.weighs("one alone", one.GetId(), ticket.Weight{Urgency: urgent, Priority: p3, PrioritySource: byDefault})
	own := w.create(&ticketv1.Ticket{Title: "x", Urgency: urgent, Impact: wide, Priority: p4})
	w.weighs("overridden", own.GetId(), ticket.Weight{Urgency: urgent, Impact: wide, Priority: p4, PrioritySource: byHand})
	if why := w.taken(own.GetId()).GetSuggestions(); len(why) != 1 || why[0].GetPriority() != p1 || why[0].GetApplied() {
		t.Errorf("what the matrix says of it: %v", why)
	}
	// What both say goes before a rule's priority, what one says does not.
	both := w.create(&ticketv1.Ticket{Title: "冒烟", Urgency: later, Impact: single})
	w.weighs("both against a rule", both.GetId(), ticket.Weight{Urgency: later, Impact: single, Priority: p4, PrioritySource: byMatrix})
	half := w.create(&ticketv1.Ticket{Title: "冒烟", Urgency: later})
	w.weighs("one against a rule", half.GetId(), ticket.Weight{Urgency: later, Priority: p1, PrioritySource: ticketv1.PrioritySource_PRIORITY_SOURCE_RULE})
}

func TestEveryWayInTakesUrgencyAndImpact(t *testing.T) {
	w := newWorld(t)
	call := call("c-1", "13800138000")
	call.Title, call.Urgency, call.Impact = "x", urgent, wide
	want := ticket.Weight{Urgency: urgent, Impact: wide, Priority: p1, PrioritySource: byMatrix}
	w.weighs("a call", w.takes(call).GetCase().GetTicketId(), want)

	c, _ := w.connector("shop", typev1.Channel_CHANNEL_CHAT)
	sent, err := c.send("m-1", "t", "x", func(_ *ticketv1.ReceiveMessageRequest, payload map[string]any) {
		payload["urgency"], payload["impact"] = "URGENCY_HIGH", "IMPACT_HIGH"
	})
	if err != nil {
		t.Fatal(err)
	}
	w.weighs("a message", w.numbered(sent.GetReference()).GetId(), want)

	receipt, err := w.form(func(r *ticketv1.SubmitContactFormRequest) { r.Title, r.Description, r.Urgency = "x", "", urgent })
	if err != nil {
		t.Fatal(err)
	}
	w.weighs("the form", w.numbered(receipt.GetReference()).GetId(), ticket.Weight{Urgency: urgent, Priority: p3, PrioritySource: byDefault})

	first, second := record("1", ticket.New), record("2", ticket.New)
	first.Ticket.Urgency, first.Ticket.Impact = urgent, wide
	second.Ticket.Urgency, second.Ticket.Impact, second.Ticket.Priority = urgent, wide, p3
	results := w.imports(w.importer(), first, second)
	w.weighs("an import", results[0].GetId(), want)
	w.weighs("an import with a priority", results[1].GetId(), ticket.Weight{Urgency: urgent, Impact: wide, Priority: p3, PrioritySource: byHand})
}

func TestChangedImpactChangesPriorityAndClocks(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.create(&ticketv1.Ticket{Title: "x", Urgency: urgent, Impact: single}).GetId()
	change := func(req *ticketv1.PrioritizeTicketRequest) error {
		req.Id = id
		if req.GetReason() == "" {
			req.Reason = "整条产线受影响"
		}
		return second(w.tickets.PrioritizeTicket(w.manager(), req))
	}
	w.set("2026-11-02 10:00:00")
	if err := change(&ticketv1.PrioritizeTicketRequest{Impact: wide}); err != nil {
		t.Fatal(err)
	}
	w.weighs("changed impact", id, ticket.Weight{Urgency: urgent, Impact: wide, Priority: p1, PrioritySource: byMatrix})
	w.due(id, "resolution", "2026-11-03 09:00:00") // 24 h from the registration
	moves, err := w.tickets.ListTransitions(w.manager(), &ticketv1.ListTransitionsRequest{TicketId: id})
	if err != nil || len(moves.GetTransitions()) != 2 {
		t.Fatalf("%v, %v", moves, err)
	}
	if m := moves.GetTransitions()[1]; m.GetVerb() != "prioritize" || m.GetReason() != "整条产线受影响" || m.GetPriority() != p1 || m.GetImpact() != wide ||
		m.GetUrgency() != urgent || m.GetPrioritySource() != byMatrix || moves.GetTransitions()[0].GetPriority() != p3 {
		t.Errorf("history: %v", moves)
	}
	if why := w.taken(id).GetSuggestions()[0]; !why.GetOverridden() || why.GetPriority() != p3 {
		t.Errorf("what it was taken for: %v", why)
	}
	// Somebody gives another; the next change of what it follows from takes it from there again.
	if err := change(&ticketv1.PrioritizeTicketRequest{Priority: p3}); err != nil {
		t.Fatal(err)
	}
	w.weighs("given", id, ticket.Weight{Urgency: urgent, Impact: wide, Priority: p3, PrioritySource: byHand})
	if err := change(&ticketv1.PrioritizeTicketRequest{Urgency: soon}); err != nil {
		t.Fatal(err)
	}
	w.weighs("taken anew", id, ticket.Weight{Urgency: soon, Impact: wide, Priority: p2, PrioritySource: byMatrix})

	refused(t, "nothing", change(&ticketv1.PrioritizeTicketRequest{}), codes.InvalidArgument, "VALIDATION_FAILED", "priority")
	id = w.create(&ticketv1.Ticket{Title: "x"}).GetId()
	refused(t, "one alone", change(&ticketv1.PrioritizeTicketRequest{Urgency: soon}), codes.InvalidArgument, "VALIDATION_FAILED", "priority")
	if err := change(&ticketv1.PrioritizeTicketRequest{Urgency: soon, Priority: p4}); err != nil {
		t.Fatal(err)
	}
	w.must(w.do(w.manager(), "cancel", id, ""))
	refused(t, "an ended one", change(&ticketv1.PrioritizeTicketRequest{Urgency: soon}), codes.FailedPrecondition, ticket.ReasonWrongState, "")
}

func TestTriageByUrgencyAndImpact(t *testing.T) {
	w := newWorld(t)
	settle := func(id string, req *ticketv1.TriageTicketRequest) error {
		req.Id, req.Type, req.DepartmentId = id, ticketv1.TicketType_TICKET_TYPE_OTHER, w.desk.GetId()
		return second(w.tickets.TriageTicket(w.manager(), req))
	}
	id := w.create(&ticketv1.Ticket{Title: "x"}).GetId()
	refused(t, "neither", settle(id, &ticketv1.TriageTicketRequest{}), codes.InvalidArgument, "VALIDATION_FAILED", "priority")
	refused(t, "another without a reason", settle(id, &ticketv1.TriageTicketRequest{Urgency: later, Impact: single, Priority: p1}),
		codes.InvalidArgument, "VALIDATION_FAILED", "reason")
	if err := settle(id, &ticketv1.TriageTicketRequest{Urgency: soon, Impact: wide}); err != nil {
		t.Fatal(err)
	}
	w.weighs("settled", id, ticket.Weight{Urgency: soon, Impact: wide, Priority: p2, PrioritySource: byMatrix})
	other := w.create(&ticketv1.Ticket{Title: "x", Urgency: soon, Impact: wide}).GetId()
	if err := settle(other, &ticketv1.TriageTicketRequest{Priority: p1, Reason: "媒体关注"}); err != nil {
		t.Fatal(err)
	}
	w.weighs("overridden", other, ticket.Weight{Urgency: soon, Impact: wide, Priority: p1, PrioritySource: byHand})
	refused(t, "twice", settle(other, &ticketv1.TriageTicketRequest{}), codes.FailedPrecondition, ticket.ReasonWrongState, "")
}

func TestTheMatrixIsVersioned(t *testing.T) {
	w := newWorld(t)
	boss, c := w.manager(), w.triage()
	before := w.create(&ticketv1.Ticket{Title: "x", Urgency: later, Impact: single}).GetId()
	w.Clock.Advance(time.Minute)
	draft, err := c.CreateTriageRules(boss, &ticketv1.CreateTriageRulesRequest{TriageRules: &ticketv1.TriageRules{Rules: []*ticketv1.TriageRule{
		{RuleId: "line", Words: []string{"停线"}, Impact: wide, Confidence: 0.8}, {RuleId: "soon", Words: []string{"尽快"}, Urgency: soon, Confidence: 0.6},
	}}})
	if err != nil || len(draft.GetPriorityMatrix()) != 9 {
		t.Fatalf("%v, %v", draft, err)
	}
	change := func(cells []*ticketv1.PriorityCell) error {
		return second(c.UpdateTriageRules(boss, &ticketv1.UpdateTriageRulesRequest{
			TriageRules: &ticketv1.TriageRules{Version: draft.GetVersion(), PriorityMatrix: cells}, UpdateMask: mask("priority_matrix"),
		}))
	}
	cells := ticket.StandardMatrix()
	if err := change(cells[1:]); err != nil {
		t.Fatal(err)
	}
	publish := func() error {
		return second(c.PublishTriageRules(boss, &ticketv1.PublishTriageRulesRequest{Version: draft.GetVersion()}))
	}
	refused(t, "a matrix with a gap", publish(), codes.FailedPrecondition, "TRIAGE_RULES_INVALID", "triage_rules.priority_matrix")
	for _, cell := range cells {
		cell.Priority = p2
	}
	if err := change(cells); err != nil {
		t.Fatal(err)
	}
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	after := w.create(&ticketv1.Ticket{Title: "停线，请尽快"}).GetId()
	w.weighs("by the rules and the new matrix", after, ticket.Weight{Urgency: soon, Impact: wide, Priority: p2, PrioritySource: byMatrix})
	why := w.taken(after).GetSuggestions()
	if len(why) != 3 || why[0].GetUrgency() != soon || why[1].GetImpact() != wide || why[2].GetConfidence() != 0.6 {
		t.Errorf("why: %v", why)
	}
	// A ticket keeps the matrix under which it was registered.
	if err := second(w.tickets.PrioritizeTicket(boss, &ticketv1.PrioritizeTicketRequest{Id: before, Impact: some, Reason: "多人受影响"})); err != nil {
		t.Fatal(err)
	}
	w.weighs("by its own matrix", before, ticket.Weight{Urgency: later, Impact: some, Priority: p4, PrioritySource: byMatrix})
	// Departing from what a rule said of urgency needs a reason, which says what it is about.
	err = second(w.tickets.TriageTicket(chinese(boss), &ticketv1.TriageTicketRequest{
		Id: after, Type: ticketv1.TicketType_TICKET_TYPE_OTHER, DepartmentId: w.desk.GetId(), Urgency: later,
	}))
	refused(t, "another urgency", err, codes.InvalidArgument, "VALIDATION_FAILED", "reason")
	if got := descriptions(err); !slices.Equal(got, []string{"分类规则 soon 给出了不同的紧急程度；请说明更改理由"}) {
		t.Errorf("%q", got)
	}
	tried, err := c.SuggestTriage(w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.SuggestTriageRequest{Title: "x", Urgency: later, Impact: single, RulesVersion: 1})
	if err != nil || len(tried.GetSuggestions()) != 1 || tried.GetSuggestions()[0].GetPriority() != p4 {
		t.Errorf("by version 1: %v, %v", tried, err)
	}
	// Of an imported ticket it is the one in effect at its time in the source.
	old := record("old", ticket.New)
	old.Ticket.Urgency, old.Ticket.Impact = later, single
	fresh := record("fresh", ticket.New)
	fresh.Ticket.Urgency, fresh.Ticket.Impact, fresh.CreateTime = later, single, timestamppb.New(w.Clock.Now())
	results := w.imports(w.importer(), old, fresh)
	w.weighs("old", results[0].GetId(), ticket.Weight{Urgency: later, Impact: single, Priority: p4, PrioritySource: byMatrix})
	w.weighs("fresh", results[1].GetId(), ticket.Weight{Urgency: later, Impact: single, Priority: p2, PrioritySource: byMatrix})
}

// chinese asks for texts in Chinese.
func chinese(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "accept-language", rpcerr.Chinese)
}

// descriptions are what a refusal says of its fields.
func descriptions(err error) (out []string) {
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				out = append(out, v.GetDescription())
			}
		}
	}
	return out
}
