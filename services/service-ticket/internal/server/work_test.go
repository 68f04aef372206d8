package server_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc/codes"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func (w *world) work() ticketv1.WorkServiceClient { return ticketv1.NewWorkServiceClient(w.Conn) }

func TestPlansAndEntries(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.InProgress, w.customer(typev1.Tier_TIER_KEY)).GetId()
	agent := w.AsStaff(access.ServiceAgent, "agent-1")
	plan := func(id, text string) (*ticketv1.SolutionPlan, error) {
		return w.work().CreateSolutionPlan(agent, &ticketv1.CreateSolutionPlanRequest{TicketId: id, Plan: &ticketv1.SolutionPlan{Text: text, PlanTime: w.in(3)}})
	}
	if got, err := plan(of, "replace the seal"); err != nil || got.GetStaffId() != w.agent.GetId() || got.GetRound() != 1 || got.GetPlanTime() == nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := plan(of, "replace the pump"); err != nil {
		t.Fatal(err)
	}
	plans, err := w.work().ListSolutionPlans(agent, &ticketv1.ListSolutionPlansRequest{TicketId: of})
	if err != nil || len(plans.GetPlans()) != 2 || plans.GetPlans()[1].GetText() != "replace the pump" {
		t.Errorf("%v, %v", plans, err)
	}
	_, err = plan(w.at(ticket.Resolved, "").GetId(), "late")
	refused(t, "of a resolved ticket", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	_, err = plan(nowhere, "none")
	refused(t, "of no ticket", err, codes.NotFound, "TICKET_NOT_FOUND", "")

	entry := func(e *ticketv1.WorkEntry) (*ticketv1.WorkEntry, error) {
		return w.work().CreateWorkEntry(agent, &ticketv1.CreateWorkEntryRequest{TicketId: of, Entry: e})
	}
	const spent, parts = ticketv1.WorkEntryKind_WORK_ENTRY_KIND_TIME, ticketv1.WorkEntryKind_WORK_ENTRY_KIND_PARTS
	yuan := func(units int64, nanos int32) *money.Money {
		return &money.Money{CurrencyCode: "CNY", Units: units, Nanos: nanos}
	}
	var ids []string
	for _, e := range []*ticketv1.WorkEntry{
		{Kind: spent, Minutes: 45}, {Kind: ticketv1.WorkEntryKind_WORK_ENTRY_KIND_TRAVEL, Minutes: 30}, {Kind: parts, Amount: yuan(120, 500_000_000)},
		{Kind: parts, Amount: yuan(0, 10_000_000)}, {Kind: parts, Amount: &money.Money{CurrencyCode: "EUR", Units: 7}}, {Kind: spent, Minutes: 600},
	} {
		made, err := entry(e)
		if err != nil {
			t.Fatalf("%v: %v", e, err)
		}
		ids = append(ids, made.GetId())
	}
	void := func(who, id string) error {
		return second(w.work().VoidWorkEntry(w.AsStaff(access.ServiceAgent, who), &ticketv1.VoidWorkEntryRequest{Id: id, Reason: "typed wrong"}))
	}
	w.staff("mate")
	refused(t, "a mate's", void("mate", ids[5]), codes.NotFound, "WORK_ENTRY_NOT_FOUND", "")
	if err := void("agent-1", ids[5]); err != nil {
		t.Fatal(err)
	}
	refused(t, "again", void("agent-1", ids[5]), codes.FailedPrecondition, "WORK_ENTRY_VOID", "")
	refused(t, "unknown", void("agent-1", nowhere), codes.NotFound, "WORK_ENTRY_NOT_FOUND", "")
	list, err := w.work().ListWorkEntries(agent, &ticketv1.ListWorkEntriesRequest{TicketId: of, PageSize: 2})
	if err != nil || len(list.GetEntries()) != 2 || list.GetNextPageToken() == "" || list.GetTotalMinutes() != 75 || len(list.GetTotals()) != 2 ||
		list.GetTotals()[0].GetUnits() != 120 || list.GetTotals()[0].GetNanos() != 510_000_000 || list.GetTotals()[1].GetUnits() != 7 {
		t.Errorf("%v, %v", list, err)
	}
	for field, e := range map[string]*ticketv1.WorkEntry{
		"entry.kind": {}, "entry.minutes": {Kind: spent}, "entry.amount": {Kind: parts, Amount: yuan(1, 1)}, "entry.work_time": {Kind: spent, Minutes: 1, WorkTime: w.in(1)},
		"entry.amount.currency_code": {Kind: parts, Amount: &money.Money{CurrencyCode: "yuan", Units: 1}},
	} {
		_, err := entry(e)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	for what, e := range map[string]*ticketv1.WorkEntry{
		"both": {Kind: spent, Minutes: 1, Amount: yuan(1, 0)}, "minutes of parts": {Kind: parts, Minutes: 1, Amount: yuan(1, 0)},
		"nothing": {Kind: parts}, "less": {Kind: parts, Amount: yuan(-1, 0)}, "too much": {Kind: parts, Amount: yuan(100_000_000, 0)},
	} {
		_, err := entry(e)
		refused(t, what, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	_, err = w.work().CreateWorkEntry(w.As(access.ServiceManager), &ticketv1.CreateWorkEntryRequest{TicketId: of, Entry: &ticketv1.WorkEntry{Kind: spent, Minutes: 1}})
	refused(t, "by nobody", err, codes.NotFound, "STAFF_NOT_FOUND", "")
}

func TestWatchersAndLinks(t *testing.T) {
	w := newWorld(t)
	who := w.customer(typev1.Tier_TIER_KEY)
	a, b := w.at(ticket.InProgress, who).GetId(), w.at(ticket.InProgress, who)
	agent, mate := w.AsStaff(access.ServiceAgent, "agent-1"), w.staff("mate")
	watch := func(staff string) error {
		return second(w.work().AddWatcher(agent, &ticketv1.AddWatcherRequest{TicketId: a, StaffId: staff}))
	}
	for _, who := range []string{"", mate.GetId(), mate.GetId()} {
		if err := watch(who); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, "nobody", watch(nowhere), codes.InvalidArgument, "VALIDATION_FAILED", "staff_id")
	remove := func() error {
		return second(w.work().RemoveWatcher(agent, &ticketv1.RemoveWatcherRequest{TicketId: a, StaffId: mate.GetId()}))
	}
	list := func() int {
		t.Helper()
		got, err := w.work().FindWatchers(agent, &ticketv1.FindWatchersRequest{TicketId: a})
		if err != nil {
			t.Fatal(err)
		}
		return len(got.GetWatchers())
	}
	if n := list(); n != 2 {
		t.Errorf("%d watchers", n)
	}
	if err := remove(); err != nil || list() != 1 {
		t.Errorf("removed: %v, %d left", err, list())
	}
	refused(t, "removed again", remove(), codes.NotFound, "WATCHER_NOT_FOUND", "")
	w.leave(mate.GetId())
	refused(t, "who left", watch(mate.GetId()), codes.FailedPrecondition, "STAFF_OFF_DUTY", "")

	far := w.given(ticket.InProgress, w.department("far").GetId(), "", "", "somebody")
	link := func(to string) (*ticketv1.TicketLink, error) {
		return w.work().LinkTickets(agent, &ticketv1.LinkTicketsRequest{TicketId: a, OtherId: to, Kind: ticketv1.LinkKind_LINK_KIND_DUPLICATES})
	}
	made, err := link(b.GetId())
	if err != nil || made.GetOtherNumber() != b.GetNumber() {
		t.Fatal(made, err)
	}
	_, err = link(b.GetId())
	refused(t, "again", err, codes.AlreadyExists, "LINK_EXISTS", "")
	_, err = link(a)
	refused(t, "itself", err, codes.InvalidArgument, "VALIDATION_FAILED", "other_id")
	for what, id := range map[string]string{"unknown": nowhere, "out of reach": far} {
		_, err = link(id)
		refused(t, what, err, codes.NotFound, "TICKET_NOT_FOUND", "")
	}
	if _, err := w.work().LinkTickets(w.manager(), &ticketv1.LinkTicketsRequest{TicketId: far, OtherId: a, Kind: ticketv1.LinkKind_LINK_KIND_CAUSED_BY}); err != nil {
		t.Fatal(err)
	}
	links, err := w.work().FindTicketLinks(agent, &ticketv1.FindTicketLinksRequest{TicketId: a})
	if err != nil || len(links.GetLinks()) != 2 || links.GetLinks()[0].GetOtherId() != b.GetId() ||
		links.GetLinks()[1].GetTicketId() != "" || links.GetLinks()[1].GetTicketNumber() != w.get(far).GetNumber() {
		t.Errorf("%v, %v", links, err)
	}
	unlink := func() error {
		return second(w.work().UnlinkTickets(agent, &ticketv1.UnlinkTicketsRequest{TicketId: b.GetId(), Id: made.GetId()}))
	}
	if err := unlink(); err != nil {
		t.Error(err)
	}
	refused(t, "unlinked again", unlink(), codes.NotFound, "LINK_NOT_FOUND", "")
}

// A merge takes sub-tasks and watchers along; undone, both tickets are what they were, with
// what happened since told, and the deadlines run from their first start.
func TestAMergeIsUndone(t *testing.T) {
	w := newWorld(t)
	who := w.customer(typev1.Tier_TIER_B)
	from, into := w.at(ticket.Waiting, who).GetId(), w.at(ticket.Assigned, who).GetId()
	kept, done := w.task(from, w.desk.GetId(), "", false), w.task(from, w.desk.GetId(), "", false)
	if _, err := w.work().AddWatcher(w.manager(), &ticketv1.AddWatcherRequest{TicketId: from, StaffId: w.agent.GetId()}); err != nil {
		t.Fatal(err)
	}
	deadlines := func() (out []string) {
		t.Helper()
		got, err := w.tickets.ListTicketClocks(w.manager(), &ticketv1.ListTicketClocksRequest{TicketId: from})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got.GetClocks() {
			if c.GetState() == clockv1.ClockState_CLOCK_STATE_RUNNING || c.GetState() == clockv1.ClockState_CLOCK_STATE_PAUSED {
				out = append(out, c.GetKind()+" "+c.GetState().String()+" "+c.GetStartTime().AsTime().Format(time.RFC3339)+" "+c.GetDueTime().AsTime().Format(time.RFC3339))
			}
		}
		slices.Sort(out)
		return out
	}
	before := deadlines()
	w.Clock.Advance(time.Minute)
	if _, err := w.tickets.MergeTicket(w.manager(), &ticketv1.MergeTicketRequest{Id: from, IntoId: into, Reason: "the same"}); err != nil {
		t.Fatal(err)
	}
	if len(deadlines()) != 0 || len(before) == 0 {
		t.Errorf("deadlines %v before and %v after the merge", before, deadlines())
	}
	w.Clock.Advance(time.Minute)
	if _, err := w.tasks().CompleteTask(w.manager(), &ticketv1.CompleteTaskRequest{Id: done.GetId(), Result: "done"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.do(w.manager(), "start", into, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.tickets.CreateComment(w.manager(), &ticketv1.CreateCommentRequest{TicketId: into, Comment: &ticketv1.Comment{Body: "asked"}}); err != nil {
		t.Fatal(err)
	}
	undo := func(id, etag string) (*ticketv1.UnmergeTicketResponse, error) {
		return w.work().UnmergeTicket(w.manager(), &ticketv1.UnmergeTicketRequest{Id: id, Etag: etag, Reason: "two machines"})
	}
	_, err := undo(into, "")
	refused(t, "of a ticket that is not merged", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	_, err = undo(nowhere, "")
	refused(t, "of no ticket", err, codes.NotFound, "TICKET_NOT_FOUND", "")
	_, err = undo(from, "1")
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH", "")
	got, err := undo(from, "")
	if err != nil {
		t.Fatal(err)
	}
	back := got.GetTicket()
	if back.GetState() != ticket.Waiting || back.GetWaitFor() != ticketv1.WaitFor_WAIT_FOR_CUSTOMER || back.GetMergedInto() != "" || back.GetAssigneeStaffId() != w.agent.GetId() {
		t.Errorf("back as %v", back)
	}
	if got.GetIntoId() != into || got.GetReturned() != 2 || got.GetNotReturned() != 1 || got.GetCommentsSince() != 1 ||
		len(got.GetMovesSince()) != 1 || got.GetMovesSince()[0].GetVerb() != "start" {
		t.Errorf("told %v", got)
	}
	if after := deadlines(); !slices.Equal(after, before) {
		t.Errorf("deadlines %v, want %v", after, before)
	}
	if n := w.count(`SELECT count(*) FROM tasks WHERE ticket_id = $1`, from); n != 1 || w.count(`SELECT count(*) FROM watchers WHERE ticket_id = $1`, into) != 0 {
		t.Errorf("%d sub-tasks came back, of %s", n, kept.GetId())
	}
	w.replay(from)
	if events := w.eventsOf(from); events[len(events)-1].GetType() != "ticket.unmerged.v1" {
		t.Errorf("events %v", events)
	}
	// It goes on as before, and can be merged again.
	if _, err := w.do(w.manager(), "resume", from, ""); err != nil {
		t.Error(err)
	}
	if _, err := w.tickets.MergeTicket(w.manager(), &ticketv1.MergeTicketRequest{Id: from, IntoId: into, Reason: "the same after all"}); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(14*24*time.Hour + time.Second)
	_, err = undo(from, "")
	refused(t, "after 14 days", err, codes.FailedPrecondition, "TICKET_UNMERGE_TOO_LATE", "")
}

func TestAMergeIsUndoneOnce(t *testing.T) {
	w := newWorld(t)
	from, into := w.at(ticket.New, "").GetId(), w.at(ticket.New, "").GetId()
	if _, err := w.tickets.MergeTicket(w.manager(), &ticketv1.MergeTicketRequest{Id: from, IntoId: into, Reason: "the same"}); err != nil {
		t.Fatal(err)
	}
	won, lost := wins(4, func(int) error {
		return second(w.work().UnmergeTicket(w.manager(), &ticketv1.UnmergeTicketRequest{Id: from, Reason: "not"}))
	})
	if won != 1 {
		t.Errorf("%d undid a merge", won)
	}
	for _, err := range lost {
		refused(t, "the others", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	}
}

func TestCannedAnswers(t *testing.T) {
	w := newWorld(t)
	canned := ticketv1.NewCannedAnswerServiceClient(w.Conn)
	create := func(a *ticketv1.CannedAnswer) (*ticketv1.CannedAnswer, error) {
		return canned.CreateCannedAnswer(w.manager(), &ticketv1.CreateCannedAnswerRequest{Answer: a})
	}
	texts := []*ticketv1.CannedText{
		{Language: "zh-CN", Body: "{reporter.name}您好，工单 {ticket.number} 已由{department.name}的{staff.name}受理。{ticket.due}"},
		{Language: "en", Body: "Dear {reporter.name}, {ticket.number} is with {staff.name}."},
	}
	made, err := create(&ticketv1.CannedAnswer{Code: "taken", Title: "已受理", Texts: texts})
	if err != nil || made.GetEtag() != "1" || len(made.GetTexts()) != 2 {
		t.Fatal(made, err)
	}
	_, err = create(&ticketv1.CannedAnswer{Code: "taken", Title: "x", Texts: texts})
	refused(t, "the code again", err, codes.AlreadyExists, "CANNED_ANSWER_EXISTS", "")
	for field, a := range map[string]*ticketv1.CannedAnswer{
		"answer.code":              {Code: "A", Title: "x", Texts: texts},
		"answer.texts[0].body":     {Code: "a", Title: "x", Texts: []*ticketv1.CannedText{{Language: "en", Body: "{phone}"}}},
		"answer.texts[1].language": {Code: "a", Title: "x", Texts: []*ticketv1.CannedText{{Language: "en", Body: "a"}, {Language: "EN", Body: "b"}}},
		"answer.department_id":     {Code: "a", Title: "x", Texts: texts, DepartmentId: nowhere},
		"answer.texts":             {Code: "a", Title: "x"},
	} {
		_, err := create(a)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	of := w.create(&ticketv1.Ticket{CustomerId: w.customer(typev1.Tier_TIER_B), Reporter: &ticketv1.Reporter{Name: "李雷"}})
	if _, err := w.do(w.manager(), "assign", of.GetId(), ""); err != nil {
		t.Fatal(err)
	}
	agent := w.AsStaff(access.ServiceAgent, "agent-1")
	render := func(language string) string {
		t.Helper()
		got, err := canned.RenderCannedAnswer(agent, &ticketv1.RenderCannedAnswerRequest{TicketId: of.GetId(), Id: made.GetId(), Language: language})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetLanguage() + ": " + got.GetBody()
	}
	if got, want := render(""), "zh-CN: 李雷您好，工单 "+of.GetNumber()+" 已由客户服务部的王芳受理。"; len(got) <= len(want) || got[:len(want)] != want {
		t.Errorf("%q, want %q and when it is due", got, want)
	}
	if got, want := render("en-GB"), "en: Dear 李雷, "+of.GetNumber()+" is with 王芳."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := w.queue().SetTicketNeeds(w.manager(), &ticketv1.SetTicketNeedsRequest{Id: of.GetId(), Needs: &ticketv1.TicketNeeds{Language: "en"}}); err != nil {
		t.Fatal(err)
	}
	if got := render(""); got[:3] != "en:" {
		t.Errorf("of a ticket that needs English: %q", got)
	}
	got, err := canned.RenderCannedAnswer(w.manager(), &ticketv1.RenderCannedAnswerRequest{TicketId: of.GetId(), Id: made.GetId()})
	if err != nil || !slices.Equal(got.GetMissing(), []string{"staff.name"}) {
		t.Errorf("%v, %v", got, err)
	}
	changed, err := canned.UpdateCannedAnswer(w.manager(), &ticketv1.UpdateCannedAnswerRequest{
		Answer: &ticketv1.CannedAnswer{Id: made.GetId(), Title: "收到", Etag: "1"}, UpdateMask: mask("title")})
	if err != nil || changed.GetTitle() != "收到" || changed.GetEtag() != "2" || len(changed.GetTexts()) != 2 {
		t.Errorf("%v, %v", changed, err)
	}
	_, err = canned.UpdateCannedAnswer(w.manager(), &ticketv1.UpdateCannedAnswerRequest{
		Answer: &ticketv1.CannedAnswer{Id: made.GetId(), Etag: "1"}, UpdateMask: mask("title")})
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH", "")
	if _, err := create(&ticketv1.CannedAnswer{Code: "far", Title: "x", Texts: texts, DepartmentId: w.department("far").GetId()}); err != nil {
		t.Fatal(err)
	}
	for department, want := range map[string]int{"": 2, w.desk.GetId(): 1} {
		list, err := canned.ListCannedAnswers(agent, &ticketv1.ListCannedAnswersRequest{DepartmentId: department})
		if err != nil || len(list.GetAnswers()) != want {
			t.Errorf("of %q: %v, %v", department, list, err)
		}
	}
	remove := func() error {
		return second(canned.DeleteCannedAnswer(w.manager(), &ticketv1.DeleteCannedAnswerRequest{Id: made.GetId()}))
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	refused(t, "deleted again", remove(), codes.NotFound, "CANNED_ANSWER_NOT_FOUND", "")
	_, err = canned.RenderCannedAnswer(agent, &ticketv1.RenderCannedAnswerRequest{TicketId: of.GetId(), Id: made.GetId()})
	refused(t, "a deleted one", err, codes.NotFound, "CANNED_ANSWER_NOT_FOUND", "")
}
