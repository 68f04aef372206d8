package server_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func (w *world) triage() ticketv1.TriageServiceClient { return ticketv1.NewTriageServiceClient(w.Conn) }

// functional adds a department that gets tickets by what it does.
func (w *world) functional(code string, f ticketv1.DepartmentFunction) string {
	w.t.Helper()
	d, err := w.directory.CreateDepartment(w.As(access.ServiceManager), &ticketv1.CreateDepartmentRequest{
		Department: &ticketv1.Department{Code: code, Name: &typev1.Text{Zh: code}, Function: f},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return d.GetId()
}

// taken is what a ticket was taken for.
func (w *world) taken(id string) *ticketv1.TicketTriage {
	w.t.Helper()
	got, err := w.triage().GetTicketTriage(w.manager(), &ticketv1.GetTicketTriageRequest{TicketId: id})
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func TestNewTicketsAreTriagedByRules(t *testing.T) {
	w := newWorld(t)
	repairs := w.functional("repairs", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES)
	service := w.functional("service", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE)
	got := w.create(&ticketv1.Ticket{Title: "产线停线", Description: "机器故障"})
	if got.GetType() != ticketv1.TicketType_TICKET_TYPE_REPAIR || got.GetPriority() != ticketv1.Priority_PRIORITY_P1 ||
		got.GetDepartmentId() != repairs || got.GetState() != ticket.New {
		t.Errorf("taken for %v", got)
	}
	why := w.taken(got.GetId())
	if why.GetRulesVersion() != 1 || len(why.GetSuggestions()) != 3 || why.GetSuggestions()[0].GetRuleId() != "repair" ||
		why.GetSuggestions()[0].GetConfidence() != 0.8 || !slices.Equal(why.GetSuggestions()[1].GetWords(), []string{"停线"}) ||
		why.GetSuggestions()[2].GetSource() != ticketv1.TriageSource_TRIAGE_SOURCE_ROUTE {
		t.Errorf("why: %v", why)
	}
	// Its clocks are those of the priority that the rules gave.
	if n := w.count("SELECT count(*) FROM clocks WHERE subject_id = $1 AND clause_id = 'resolution-c-p1'", got.GetId()); n != 1 {
		t.Errorf("%d clocks of P1", n)
	}
	// What the registrant gave stays, and what was thought of it is shown.
	kept := w.create(&ticketv1.Ticket{Title: "机器故障，紧急", Type: ticketv1.TicketType_TICKET_TYPE_CONSULTATION, Priority: ticketv1.Priority_PRIORITY_P4})
	why = w.taken(kept.GetId())
	if kept.GetType() != ticketv1.TicketType_TICKET_TYPE_CONSULTATION || kept.GetPriority() != ticketv1.Priority_PRIORITY_P4 || kept.GetDepartmentId() != service ||
		why.GetSuggestions()[0].GetApplied() || why.GetSuggestions()[1].GetApplied() || !why.GetSuggestions()[2].GetApplied() {
		t.Errorf("given: %v because of %v", kept, why)
	}
	plain := w.create(&ticketv1.Ticket{Title: "x"})
	if plain.GetType() != ticketv1.TicketType_TICKET_TYPE_OTHER || plain.GetPriority() != ticketv1.Priority_PRIORITY_P3 || plain.GetDepartmentId() != service {
		t.Errorf("nothing fits: %v", plain)
	}
	// A route that is set applies to the next ticket, and so does one that is taken away.
	route, err := w.organisation().SetRoute(w.manager(), &ticketv1.SetRouteRequest{ProductModel: "P-1", DepartmentId: w.desk.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.create(&ticketv1.Ticket{Title: "机器故障", ProductModel: "p-1"}); got.GetDepartmentId() != w.desk.GetId() {
		t.Errorf("routed to %s", got.GetDepartmentId())
	}
	if _, err := w.organisation().DeleteRoute(w.manager(), &ticketv1.DeleteRouteRequest{Id: route.GetId()}); err != nil {
		t.Fatal(err)
	}
	if got := w.create(&ticketv1.Ticket{Title: "机器故障", ProductModel: "p-1"}); got.GetDepartmentId() != repairs {
		t.Errorf("without the route to %s", got.GetDepartmentId())
	}
}

// A subject goes to the department that does such work before the type does, and where no
// route says otherwise.
func TestSubjectsGoToTheDepartmentOfTheWork(t *testing.T) {
	w := newWorld(t)
	repairs := w.functional("repairs", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES)
	const faulty = "新机器故障，质量问题"
	// Nobody does quality control yet.
	if got := w.create(&ticketv1.Ticket{Title: faulty}); got.GetDepartmentId() != repairs {
		t.Errorf("without such a department: to %s", got.GetDepartmentId())
	}
	quality := w.functional("quality", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL)
	sales := w.functional("sales", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY)
	for title, want := range map[string]string{faulty: quality, "订单何时发货": sales, "机器故障": repairs} {
		if got := w.create(&ticketv1.Ticket{Title: title}); got.GetDepartmentId() != want {
			t.Errorf("%s: to %s, want %s", title, got.GetDepartmentId(), want)
		}
	}
	if _, err := w.organisation().SetRoute(w.manager(), &ticketv1.SetRouteRequest{ProductModel: "P-1", DepartmentId: w.desk.GetId()}); err != nil {
		t.Fatal(err)
	}
	got := w.create(&ticketv1.Ticket{Title: faulty, ProductModel: "P-1"})
	if got.GetDepartmentId() != w.desk.GetId() {
		t.Errorf("with a route: to %s", got.GetDepartmentId())
	}
	why := w.taken(w.create(&ticketv1.Ticket{Title: faulty}).GetId()).GetSuggestions()
	if last := why[len(why)-1]; last.GetRuleId() != "product-quality" || last.GetDepartmentId() != quality || !last.GetApplied() {
		t.Errorf("why: %v", why)
	}
}

// Rules say what whoever takes a ticket must be able to; what the registrant said of it stays.
func TestRulesSayWhatIsNeeded(t *testing.T) {
	w := newWorld(t)
	boss, c := w.manager(), w.triage()
	draft, err := c.CreateTriageRules(boss, &ticketv1.CreateTriageRulesRequest{TriageRules: &ticketv1.TriageRules{Rules: []*ticketv1.TriageRule{
		{RuleId: "seals", Words: []string{"密封", "seal"}, Skills: []string{"seals"}, Language: "en", DepartmentId: w.desk.GetId(), Confidence: 0.8},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PublishTriageRules(boss, &ticketv1.PublishTriageRulesRequest{Version: draft.GetVersion()}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		title       string
		given, want *ticketv1.TicketNeeds
		applied     bool
	}{
		{"the seal leaks", nil, &ticketv1.TicketNeeds{Language: "en", Skills: []string{"seals"}}, true},
		{"密封漏水", &ticketv1.TicketNeeds{Language: "zh-CN"}, &ticketv1.TicketNeeds{Language: "zh-cn", Skills: []string{"seals"}}, false},
		{"the seal leaks", &ticketv1.TicketNeeds{Skills: []string{"pumps"}}, &ticketv1.TicketNeeds{Language: "en", Skills: []string{"pumps"}}, false},
		{"nothing of the kind", nil, nil, false},
	} {
		got := w.create(&ticketv1.Ticket{Title: c.title, Needs: c.given})
		if !proto.Equal(got.GetNeeds(), c.want) || !proto.Equal(w.get(got.GetId()).GetNeeds(), c.want) {
			t.Errorf("%s with %v needs %v, want %v", c.title, c.given, got.GetNeeds(), c.want)
		}
		for _, made := range w.taken(got.GetId()).GetSuggestions() {
			if made.GetField() == ticketv1.TriageField_TRIAGE_FIELD_NEEDS && made.GetApplied() != c.applied {
				t.Errorf("%s with %v: %v", c.title, c.given, made)
			}
		}
	}
	// Whoever takes one must have it: the agent lists neither.
	_, err = w.queue().NextTicket(w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.NextTicketRequest{DepartmentOnly: true})
	refused(t, "somebody without the skill", err, codes.NotFound, "TICKET_QUEUE_EMPTY", "")
	first := w.create(&ticketv1.Ticket{Title: "seal"})
	if _, err := w.queue().SetTicketNeeds(boss, &ticketv1.SetTicketNeedsRequest{Id: first.GetId(), Needs: &ticketv1.TicketNeeds{}}); err != nil {
		t.Fatal(err)
	}
	if made := w.taken(first.GetId()).GetSuggestions(); len(made) != 2 || made[0].GetOverridden() || !made[1].GetOverridden() {
		t.Errorf("not told as overridden: %v", made)
	}
	if _, err := w.queue().NextTicket(w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.NextTicketRequest{DepartmentOnly: true}); err != nil {
		t.Errorf("now that nothing is needed: %v", err)
	}
}

func TestOverridingARuleNeedsAReason(t *testing.T) {
	w := newWorld(t)
	settle := func(id, reason string, kind ticketv1.TicketType) error {
		return second(w.tickets.TriageTicket(w.manager(), &ticketv1.TriageTicketRequest{
			Id: id, Type: kind, Priority: ticketv1.Priority_PRIORITY_P3, DepartmentId: w.desk.GetId(), Reason: reason,
		}))
	}
	got := w.create(&ticketv1.Ticket{Title: "机器故障"})
	err := settle(got.GetId(), "", ticketv1.TicketType_TICKET_TYPE_CONSULTATION)
	refused(t, "another type", err, codes.InvalidArgument, "VALIDATION_FAILED", "reason")
	if err := settle(got.GetId(), "只是询问", ticketv1.TicketType_TICKET_TYPE_CONSULTATION); err != nil {
		t.Fatal(err)
	}
	if why := w.taken(got.GetId()); !why.GetSuggestions()[0].GetOverridden() {
		t.Errorf("not told as overridden: %v", why)
	}
	// What agrees, and what no rule spoke of, needs none.
	agreed := w.create(&ticketv1.Ticket{Title: "机器故障"})
	if err := settle(agreed.GetId(), "", ticketv1.TicketType_TICKET_TYPE_REPAIR); err != nil {
		t.Error(err)
	}
	if why := w.taken(agreed.GetId()); why.GetSuggestions()[0].GetOverridden() {
		t.Errorf("told as overridden: %v", why)
	}
}

func TestVersionsOfTriageRules(t *testing.T) {
	w := newWorld(t)
	boss, c := w.manager(), w.triage()
	draft, err := c.CreateTriageRules(boss, &ticketv1.CreateTriageRulesRequest{TriageRules: &ticketv1.TriageRules{Note: "漏水"}})
	if err != nil || draft.GetState() != ticketv1.TriageRulesState_TRIAGE_RULES_STATE_DRAFT || len(draft.GetRules()) < 10 {
		t.Fatalf("%v, %v", draft, err)
	}
	leak := &ticketv1.TriageRule{RuleId: "leak", Words: []string{"漏水"}, Priority: ticketv1.Priority_PRIORITY_P2, Confidence: 2}
	change := func(etag string, rules ...*ticketv1.TriageRule) (*ticketv1.TriageRules, error) {
		return c.UpdateTriageRules(boss, &ticketv1.UpdateTriageRulesRequest{
			TriageRules: &ticketv1.TriageRules{Version: draft.GetVersion(), Rules: rules, Etag: etag}, UpdateMask: mask("rules"),
		})
	}
	changed, err := change(draft.GetEtag(), leak)
	if err != nil || len(changed.GetRules()) != 1 || changed.GetNote() != "漏水" {
		t.Fatalf("%v, %v", changed, err)
	}
	_, err = change(draft.GetEtag(), leak)
	refused(t, "a stale etag", err, codes.Aborted, "ETAG_MISMATCH", "")
	faults, err := c.ValidateTriageRules(boss, &ticketv1.ValidateTriageRulesRequest{Version: draft.GetVersion()})
	if err != nil || len(faults.GetFaults()) != 1 || faults.GetFaults()[0].GetField() != "rules[0].confidence" {
		t.Errorf("%v, %v", faults, err)
	}
	publish := func(at *timestamppb.Timestamp) error {
		return second(c.PublishTriageRules(boss, &ticketv1.PublishTriageRulesRequest{Version: draft.GetVersion(), EffectiveTime: at}))
	}
	refused(t, "faults", publish(nil), codes.FailedPrecondition, "TRIAGE_RULES_INVALID", "triage_rules.rules[0].confidence")
	leak.Confidence = 0.7
	if _, err := change("", leak); err != nil {
		t.Fatal(err)
	}
	refused(t, "the past", publish(timestamppb.New(w.Clock.Now().Add(-time.Second))), codes.InvalidArgument, "VALIDATION_FAILED", "effective_time")
	// What a draft would say can be asked for before it applies.
	tried, err := c.SuggestTriage(boss, &ticketv1.SuggestTriageRequest{Title: "漏水", RulesVersion: draft.GetVersion()})
	if err != nil || len(tried.GetSuggestions()) != 1 || tried.GetSuggestions()[0].GetPriority() != ticketv1.Priority_PRIORITY_P2 {
		t.Errorf("%v, %v", tried, err)
	}
	if won, lost := wins(4, func(int) error { return publish(timestamppb.New(w.Clock.Now().Add(time.Hour))) }); won != 1 {
		t.Errorf("%d of 4 published, %v", won, lost)
	}
	refused(t, "published", publish(nil), codes.FailedPrecondition, "TRIAGE_RULES_NOT_DRAFT", "")
	_, err = change("", leak)
	refused(t, "change of a published one", err, codes.FailedPrecondition, "TRIAGE_RULES_NOT_DRAFT", "")
	if got := w.create(&ticketv1.Ticket{Title: "漏水"}); got.GetPriority() != ticketv1.Priority_PRIORITY_P3 {
		t.Errorf("before it applies: %v", got.GetPriority())
	}
	w.Clock.Advance(time.Hour)
	if got := w.create(&ticketv1.Ticket{Title: "漏水"}); got.GetPriority() != ticketv1.Priority_PRIORITY_P2 {
		t.Errorf("when it applies: %v", got.GetPriority())
	}
	list, err := c.ListTriageRules(boss, &ticketv1.ListTriageRulesRequest{PageSize: 1})
	if err != nil || len(list.GetTriageRules()) != 1 || list.GetTriageRules()[0].GetVersion() != draft.GetVersion() || len(list.GetTriageRules()[0].GetRules()) > 0 || list.GetNextPageToken() == "" {
		t.Errorf("%v, %v", list, err)
	}
	list, err = c.ListTriageRules(boss, &ticketv1.ListTriageRulesRequest{PageSize: 1, PageToken: list.GetNextPageToken()})
	if err != nil || len(list.GetTriageRules()) != 1 || list.GetTriageRules()[0].GetVersion() != 1 || list.GetNextPageToken() != "" {
		t.Errorf("the rest: %v, %v", list, err)
	}
	for name, err := range map[string]error{
		"get":      second(c.GetTriageRules(boss, &ticketv1.GetTriageRulesRequest{Version: 99})),
		"update":   second(c.UpdateTriageRules(boss, &ticketv1.UpdateTriageRulesRequest{TriageRules: &ticketv1.TriageRules{Version: 99}, UpdateMask: mask("note")})),
		"validate": second(c.ValidateTriageRules(boss, &ticketv1.ValidateTriageRulesRequest{Version: 99})),
		"publish":  second(c.PublishTriageRules(boss, &ticketv1.PublishTriageRulesRequest{Version: 99})),
		"suggest":  second(c.SuggestTriage(boss, &ticketv1.SuggestTriageRequest{RulesVersion: 99, Title: "x"})),
	} {
		refused(t, name, err, codes.NotFound, "TRIAGE_RULES_NOT_FOUND", "")
	}
	_, err = c.UpdateTriageRules(boss, &ticketv1.UpdateTriageRulesRequest{TriageRules: &ticketv1.TriageRules{}, UpdateMask: mask("note")})
	refused(t, "no version", err, codes.InvalidArgument, "VALIDATION_FAILED", "triage_rules.version")
}

func TestPastTicketsTeach(t *testing.T) {
	w := newWorld(t)
	c := w.triage()
	if err := w.server.LearnWhenOld(t.Context()); err != nil || w.count("SELECT count(*) FROM triage_models") != 0 {
		t.Fatalf("learned from nothing: %v", err)
	}
	var records []*ticketv1.TicketRecord
	for i := range 200 {
		r := record(fmt.Sprint(i), ticket.Closed)
		r.CreateTime = timestamppb.New(r.GetCreateTime().AsTime().Add(time.Duration(i-1000) * time.Hour))
		r.Ticket.Title, r.Ticket.Type = "漏水严重", ticketv1.TicketType_TICKET_TYPE_REPAIR
		if i%3 == 0 {
			r.Ticket.Title, r.Ticket.Type = "询问价格", ticketv1.TicketType_TICKET_TYPE_CONSULTATION
		}
		records = append(records, r)
	}
	if _, err := w.tickets.ImportTickets(w.importer(), &ticketv1.ImportTicketsRequest{Source: "old-desk", Records: records}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds a fresh one
		if err := w.server.LearnWhenOld(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	list, err := c.ListTriageModels(w.manager(), &ticketv1.ListTriageModelsRequest{})
	if err != nil || len(list.GetTriageModels()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	kind := list.GetTriageModels()[0].GetAccuracies()[0]
	// Of the later 40 tickets every third is a consultation.
	want := &ticketv1.TriageAccuracy{
		Field: ticketv1.TriageField_TRIAGE_FIELD_TYPE, TrainCount: 160, TestCount: 40, ValueCount: 2, Accuracy: 1,
		BaselineAccuracy: 27.0 / 40, BaselineValue: "TICKET_TYPE_REPAIR", Used: true,
		TrainUntil: records[159].GetCreateTime(), TestFrom: records[160].GetCreateTime(), TestUntil: records[199].GetCreateTime(),
	}
	if !proto.Equal(kind, want) {
		t.Errorf("measured %v\nwant %v", kind, want)
	}
	if department := list.GetTriageModels()[0].GetAccuracies()[1]; department.GetUsed() || department.GetUnusedReason().GetEn() == "" {
		t.Errorf("departments: %v", department)
	}
	got := w.create(&ticketv1.Ticket{Title: "阀门漏水严重"})
	why := w.taken(got.GetId())
	if why.GetModelVersion() != 1 || len(why.GetLearned()) != 1 || why.GetLearned()[0].GetType() != ticketv1.TicketType_TICKET_TYPE_REPAIR ||
		why.GetLearned()[0].GetConfidence() != 1 || why.GetLearned()[0].GetApplied() || !slices.Contains(why.GetLearned()[0].GetWords(), "漏水") {
		t.Errorf("learned: %v", why)
	}
	if got.GetType() != ticketv1.TicketType_TICKET_TYPE_OTHER {
		t.Errorf("taken over by itself: %v", got.GetType())
	}
	next, err := c.TrainTriageModel(w.manager(), &ticketv1.TrainTriageModelRequest{})
	if err != nil || next.GetVersion() != 2 || w.count("SELECT count(*) FROM triage_models WHERE content IS NOT NULL") != 1 {
		t.Errorf("%v, %v", next, err)
	}
	tried, err := c.SuggestTriage(w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.SuggestTriageRequest{Title: "询问价格"})
	if err != nil || tried.GetModelVersion() != 2 || tried.GetLearned()[0].GetType() != ticketv1.TicketType_TICKET_TYPE_CONSULTATION {
		t.Errorf("%v, %v", tried, err)
	}
}
