package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func (w *world) deskService() ticketv1.DeskServiceClient {
	return ticketv1.NewDeskServiceClient(w.Conn)
}

// line says in a word what an entry of a timeline tells.
func line(e *ticketv1.TimelineEntry) string {
	switch what := e.GetWhat().(type) {
	case *ticketv1.TimelineEntry_Transition:
		return what.Transition.GetVerb()
	case *ticketv1.TimelineEntry_Comment:
		return "comment " + what.Comment.GetBody()
	case *ticketv1.TimelineEntry_Contact:
		return "contact " + what.Contact.GetNote()
	case *ticketv1.TimelineEntry_Plan:
		return "plan " + what.Plan.GetText()
	case *ticketv1.TimelineEntry_Entry:
		return fmt.Sprint("entry ", what.Entry.GetMinutes())
	case *ticketv1.TimelineEntry_TaskCreated:
		return "task " + what.TaskCreated.GetTitle()
	case *ticketv1.TimelineEntry_TaskEnded:
		return "done " + what.TaskEnded.GetResult()
	case *ticketv1.TimelineEntry_LinkedTicketId:
		return "link"
	case *ticketv1.TimelineEntry_MergedTicketId:
		return "merged"
	case *ticketv1.TimelineEntry_Deadline:
		return what.Deadline.GetKind() + " " + what.Deadline.GetEvent()
	}
	return "nothing"
}

func (w *world) timeline(ctx context.Context, of string, size int32) (out []string) {
	w.t.Helper()
	req := &ticketv1.ListTimelineRequest{TicketId: of, PageSize: size}
	for {
		page, err := w.deskService().ListTimeline(ctx, req)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range page.GetEntries() {
			out = append(out, line(e))
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return out
		}
	}
}

func TestTheWholeStoryOfATicket(t *testing.T) {
	w := newWorld(t)
	who := w.customer(typev1.Tier_TIER_B)
	of := w.create(&ticketv1.Ticket{CustomerId: who, Priority: p1}).GetId()
	agent := w.AsStaff(access.ServiceAgent, "agent-1")
	step := func(what string, do func() error) {
		t.Helper()
		w.Clock.Advance(time.Minute)
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	verb := func(v string) func() error { return func() error { return second(w.do(w.manager(), v, of, "")) } }
	comment := func(body string, public bool) func() error {
		return func() error {
			return second(w.tickets.CreateComment(agent, &ticketv1.CreateCommentRequest{TicketId: of, Comment: &ticketv1.Comment{Body: body, Public: public}}))
		}
	}
	step("assign", verb("assign"))
	step("start", verb("start"))
	step("note", comment("a secret", false))
	step("reply", comment("we are on it", true))
	step("contact", verb("recordContact"))
	step("plan", func() error {
		return second(w.work().CreateSolutionPlan(agent, &ticketv1.CreateSolutionPlanRequest{TicketId: of, Plan: &ticketv1.SolutionPlan{Text: "a seal"}}))
	})
	step("entry", func() error {
		return second(w.work().CreateWorkEntry(agent, &ticketv1.CreateWorkEntryRequest{TicketId: of, Entry: &ticketv1.WorkEntry{Kind: ticketv1.WorkEntryKind_WORK_ENTRY_KIND_TIME, Minutes: 7}}))
	})
	task := w.task(of, w.desk.GetId(), "", true)
	step("task", func() error {
		return second(w.tasks().CompleteTask(w.manager(), &ticketv1.CompleteTaskRequest{Id: task.GetId(), Result: "12 mm"}))
	})
	step("link", func() error {
		return second(w.work().LinkTickets(w.manager(), &ticketv1.LinkTicketsRequest{TicketId: w.create(&ticketv1.Ticket{}).GetId(), OtherId: of, Kind: ticketv1.LinkKind_LINK_KIND_RELATED}))
	})
	step("merge", func() error {
		return second(w.tickets.MergeTicket(w.manager(), &ticketv1.MergeTicketRequest{Id: w.create(&ticketv1.Ticket{CustomerId: who}).GetId(), IntoId: of, Reason: "the same"}))
	})
	w.Clock.Advance(25 * time.Hour)
	if _, err := w.sweeper.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	step("resolve", verb("resolve"))
	got := w.timeline(agent, of, 0)
	moves := []string{
		"create", "assign", "start", "comment a secret", "comment we are on it", "contact called back", "plan a seal", "entry 7", "task measure the shaft", "done 12 mm",
		"link", "merged",
	}
	if !slices.Equal(got[:len(moves)], moves) || got[len(got)-1] != "resolve" || !slices.Contains(got, "resolution missed") {
		t.Errorf("the story is %q", got)
	}
	for _, size := range []int32{1, 3} {
		if paged := w.timeline(agent, of, size); !slices.Equal(paged, got) {
			t.Errorf("by %d: %q", size, paged)
		}
	}
	if theirs := w.timeline(w.AsCustomer(who), of, 0); !slices.Equal(theirs, []string{"create", "assign", "start", "comment we are on it", "resolve"}) {
		t.Errorf("the customer is told %q", theirs)
	}
	page, err := w.deskService().ListTimeline(w.AsCustomer(who), &ticketv1.ListTimelineRequest{TicketId: of})
	if err != nil || page.GetEntries()[1].GetTransition().GetAssigneeStaffId() != "" || page.GetEntries()[3].GetComment().GetAuthorStaffId() != "" {
		t.Errorf("the customer is told who: %v, %v", page, err)
	}
	for what, ctx := range map[string]context.Context{"another customer": w.AsCustomer(w.customer(typev1.Tier_TIER_B)), "a stranger": w.AsStaff(access.ServiceAgent, "stranger")} {
		_, err := w.deskService().ListTimeline(ctx, &ticketv1.ListTimelineRequest{TicketId: of})
		refused(t, what, err, codes.NotFound, "TICKET_NOT_FOUND", "")
	}
	_, err = w.deskService().ListTimeline(agent, &ticketv1.ListTimelineRequest{TicketId: of, PageToken: "x"})
	refused(t, "a bad token", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")
}

func TestQueuesAreCounted(t *testing.T) {
	w := newWorld(t)
	far := w.department("far")
	for _, c := range []struct {
		state      ticket.State
		department string
		assignee   string
	}{
		{ticket.New, "", ""}, {ticket.Triaged, w.desk.GetId(), ""}, {ticket.Triaged, w.desk.GetId(), ""}, {ticket.Assigned, w.desk.GetId(), w.agent.GetId()},
		{ticket.InProgress, w.desk.GetId(), w.agent.GetId()}, {ticket.Waiting, w.desk.GetId(), w.agent.GetId()}, {ticket.Closed, w.desk.GetId(), w.agent.GetId()},
		{ticket.Triaged, far.GetId(), ""},
	} {
		w.given(c.state, c.department, c.assignee, "", "")
	}
	// A task counts where it is done, in anybody's hands, and only while it is open and past its time.
	of := w.given(ticket.Closed, "", "", "", "")
	for _, c := range []struct {
		department, owner string
		due               int
	}{{w.desk.GetId(), "", -1}, {w.desk.GetId(), w.agent.GetId(), -1}, {w.desk.GetId(), "", 1}, {far.GetId(), "", -1}} {
		w.opened(of, c.department, c.owner, c.due)
	}
	w.exec(`UPDATE tasks SET state = 2, end_time = now() WHERE id = $1`, w.opened(of, far.GetId(), "", -1))
	w.exec(`UPDATE tickets SET priority = 1, due_time = $2 WHERE id = (SELECT id FROM tickets WHERE department_id = $1 AND state = 2 LIMIT 1)`, w.desk.GetId(), w.Clock.Now().Add(-time.Second))
	count := func(ctx context.Context) map[string]string {
		t.Helper()
		got, err := w.deskService().CountQueues(ctx, &ticketv1.CountQueuesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, q := range got.GetQueues() {
			out[q.GetDepartmentId()] = fmt.Sprint(q.GetWaiting(), q.GetWaitingP1(), q.GetInHands(), q.GetOnHold(), q.GetOverdue(), q.GetOverdueTasks())
		}
		return out
	}
	if got := count(w.manager()); len(got) != 3 || got[""] != "1 0 0 0 0 0" || got[w.desk.GetId()] != "2 1 2 1 1 2" || got[far.GetId()] != "1 0 0 0 0 1" {
		t.Errorf("a manager's: %v", got)
	}
	if got := count(w.AsStaff(access.ServiceAgent, "agent-1")); len(got) != 2 || got[w.desk.GetId()] != "2 1 2 1 1 2" {
		t.Errorf("an agent's: %v", got)
	}
	if got := count(w.AsStaff(access.ServiceAgent, "nobody")); len(got) != 1 {
		t.Errorf("a stranger's: %v", got)
	}
}

func TestListsByTierPhaseChannelAndDueTime(t *testing.T) {
	w := newWorld(t)
	key, plain := w.customer(typev1.Tier_TIER_KEY), w.customer(typev1.Tier_TIER_C)
	slow := w.create(&ticketv1.Ticket{CustomerId: plain, Channel: typev1.Channel_CHANNEL_LETTER, Phase: ticketv1.Phase_PHASE_PRE_SALE}).GetId()
	fast := w.create(&ticketv1.Ticket{CustomerId: key, Priority: p1}).GetId()
	mid := w.create(&ticketv1.Ticket{CustomerId: key, Channel: typev1.Channel_CHANNEL_SOCIAL}).GetId()
	w.at(ticket.Resolved, key)
	due := ticketv1.TicketOrder_TICKET_ORDER_DUE
	for name, c := range map[string]struct {
		req  *ticketv1.ListTicketsRequest
		want []string
	}{
		"tier":              {&ticketv1.ListTicketsRequest{Tier: typev1.Tier_TIER_KEY, States: []ticket.State{ticket.New}}, []string{mid, fast}},
		"channel":           {&ticketv1.ListTicketsRequest{Channel: typev1.Channel_CHANNEL_LETTER}, []string{slow}},
		"phase":             {&ticketv1.ListTicketsRequest{Phase: ticketv1.Phase_PHASE_PRE_SALE}, []string{slow}},
		"tier and channel":  {&ticketv1.ListTicketsRequest{Tier: typev1.Tier_TIER_KEY, Channel: typev1.Channel_CHANNEL_SOCIAL}, []string{mid}},
		"due":               {&ticketv1.ListTicketsRequest{Order: due}, []string{fast, mid, slow}},
		"due of a tier":     {&ticketv1.ListTicketsRequest{Order: due, Tier: typev1.Tier_TIER_C}, []string{slow}},
		"due of a customer": {&ticketv1.ListTicketsRequest{Order: due, CustomerId: key}, []string{fast, mid}},
		"due soon":          {&ticketv1.ListTicketsRequest{Order: due, DueBefore: w.in(1)}, []string{fast}},
	} {
		for _, size := range []int32{0, 1} {
			c.req.PageSize, c.req.PageToken = size, ""
			if got := w.list(w.manager(), c.req); !slices.Equal(got, c.want) {
				t.Errorf("%s by %d: %v, want %v", name, size, got, c.want)
			}
		}
	}
	_, err := w.tickets.ListTickets(w.manager(), &ticketv1.ListTicketsRequest{DueBefore: w.in(1)})
	refused(t, "a due time in another order", err, codes.InvalidArgument, "VALIDATION_FAILED", "due_before")
	for field, req := range map[string]*ticketv1.ListTicketsRequest{"tier": {Tier: typev1.Tier_TIER_KEY}, "order": {Order: due}} {
		_, err = w.tickets.ListTickets(w.AsCustomer(key), req)
		refused(t, "a customer's "+field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	// An agent gets what is theirs in that order too.
	if _, err := w.do(w.manager(), "assign", mid, ""); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE tickets SET department_id = $1 WHERE id = $2`, w.department("far").GetId(), slow)
	if got := w.list(w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.ListTicketsRequest{Order: due}); !slices.Equal(got, []string{fast, mid}) {
		t.Errorf("an agent's: %v", got)
	}
}

func TestSearchFindsAnyPart(t *testing.T) {
	w := newWorld(t)
	who := w.customer(typev1.Tier_TIER_B)
	a := w.create(&ticketv1.Ticket{Title: "水泵漏水，需要维修", ProductModel: "ＣＲ-64", CustomerId: who})
	b := w.create(&ticketv1.Ticket{Title: "Pump leaks at the SEAL", SerialNumber: "SN-77812"})
	c := w.create(&ticketv1.Ticket{Title: "电机 异响"})
	for text, want := range map[string][]string{
		"水泵": {a.GetId()}, "漏": {a.GetId()}, "seal": {b.GetId()}, "ea": {b.GetId()}, "cr-64": {a.GetId()}, "7781": {b.GetId()}, "异响": {c.GetId()},
		"机 异": {c.GetId()}, "没有": nil, "水 泵": nil, strings.ToLower(c.GetNumber()): {c.GetId()}, "t-2026": {c.GetId(), b.GetId(), a.GetId()},
	} {
		for _, size := range []int32{0, 1} {
			if got := w.list(w.manager(), &ticketv1.ListTicketsRequest{Text: text, PageSize: size}); !slices.Equal(got, want) {
				t.Errorf("%q by %d: %v, want %v", text, size, got, want)
			}
		}
	}
	for name, ctx := range map[string]context.Context{"the customer": w.AsCustomer(who), "who registered it": w.manager()} {
		if got := w.list(ctx, &ticketv1.ListTicketsRequest{Text: "维修", CustomerId: who}); !slices.Equal(got, []string{a.GetId()}) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := w.list(w.AsCustomer(who), &ticketv1.ListTicketsRequest{Text: "seal"}); len(got) != 0 {
		t.Errorf("a customer finds others': %v", got)
	}
	// Nobody finds what is out of their reach, whichever way they are served.
	far := w.department("far").GetId()
	w.exec(`UPDATE tickets SET department_id = $1`, far)
	for _, role := range []string{access.ServiceAgent, access.ServiceSupervisor} {
		w.exec(`UPDATE tickets SET registrar = 'somebody'`)
		if got := w.list(w.AsStaff(role, "agent-1"), &ticketv1.ListTicketsRequest{Text: "pump"}); len(got) != 0 {
			t.Errorf("%s finds %v", role, got)
		}
		w.exec(`UPDATE tickets SET assignee_staff_id = $1 WHERE id = $2`, w.agent.GetId(), b.GetId())
		if got := w.list(w.AsStaff(role, "agent-1"), &ticketv1.ListTicketsRequest{Text: "pump"}); !slices.Equal(got, []string{b.GetId()}) {
			t.Errorf("%s finds %v of their own", role, got)
		}
		w.exec(`UPDATE tickets SET assignee_staff_id = NULL`)
	}
	w.exec(`UPDATE tickets SET department_id = NULL`)
	if _, err := w.tickets.UpdateTicket(w.manager(), &ticketv1.UpdateTicketRequest{Ticket: &ticketv1.Ticket{Id: c.GetId(), Title: "轴承磨损"}, UpdateMask: mask("title")}); err != nil {
		t.Fatal(err)
	}
	for text, n := range map[string]int{"异响": 0, "轴承": 1} {
		if got := w.list(w.manager(), &ticketv1.ListTicketsRequest{Text: text}); len(got) != n {
			t.Errorf("after a correction %q finds %v", text, got)
		}
	}
}

// watchers reads server-sent events as they come.
func (w *world) watching(ctx context.Context, req *ticketv1.WatchTicketsRequest) func(n int) []*ticketNotice {
	w.t.Helper()
	stream, err := w.deskService().WatchTickets(ctx, req)
	if err != nil {
		w.t.Fatal(err)
	}
	next := func(s grpc.ServerStreamingClient[httpbody.HttpBody]) string {
		part, err := s.Recv()
		if err != nil {
			w.t.Fatal(err)
		}
		return string(part.GetData())
	}
	if hello := next(stream); !strings.Contains(hello, "retry: ") {
		w.t.Fatalf("the stream begins with %q", hello)
	}
	return func(n int) (out []*ticketNotice) {
		w.t.Helper()
		for len(out) < n {
			for block := range strings.SplitSeq(next(stream), "\n\n") {
				var one ticketNotice
				for l := range strings.SplitSeq(block, "\n") {
					if data, ok := strings.CutPrefix(l, "data: "); ok {
						if err := json.Unmarshal([]byte(data), &one); err != nil {
							w.t.Fatal(err)
						}
						out = append(out, &one)
					}
					if id, ok := strings.CutPrefix(l, "id: "); ok {
						one.Position = id
					}
				}
			}
		}
		return out
	}
}

type ticketNotice struct {
	TicketID, Type, State, Position string
	Gone                            bool
}

func TestWatchTellsWhatIsWithinReach(t *testing.T) {
	w := newWorldInTheBackground(t)
	ctx, cancel := context.WithCancel(w.AsStaff(access.ServiceAgent, "agent-1"))
	defer cancel()
	far := w.department("far").GetId()
	read := w.watching(ctx, &ticketv1.WatchTicketsRequest{})
	first := w.create(&ticketv1.Ticket{}).GetId()
	hidden := w.create(&ticketv1.Ticket{}).GetId()
	mate := w.staff("mate")
	if _, err := w.tickets.TriageTicket(w.manager(), &ticketv1.TriageTicketRequest{Id: hidden, Type: ticketv1.TicketType_TICKET_TYPE_OTHER, Priority: p2, DepartmentId: far}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.tickets.AssignTicket(w.manager(), &ticketv1.AssignTicketRequest{Id: first, StaffId: mate.GetId()}); err != nil {
		t.Fatal(err)
	}
	last := w.create(&ticketv1.Ticket{}).GetId()
	var got []*ticketNotice
	for len(got) == 0 || got[len(got)-1].TicketID != last {
		got = append(got, read(1)...)
	}
	var seen []string
	for _, n := range got {
		seen = append(seen, fmt.Sprint(n.TicketID == first, n.TicketID == last, n.Type, n.Gone))
	}
	if !slices.Contains(seen, fmt.Sprint(true, false, "ticket.assigned.v1", true)) || !slices.Contains(seen, fmt.Sprint(false, true, "ticket.created.v1", false)) {
		t.Errorf("told %v", seen)
	}
	// A browser that connects again misses nothing and gets nothing twice.
	// It repeats the position that it began with, which is older.
	again := w.watching(metadata.AppendToOutgoingContext(ctx, "last-event-id", got[len(got)-1].Position), &ticketv1.WatchTicketsRequest{AfterPosition: 1})
	newest := w.create(&ticketv1.Ticket{}).GetId()
	if n := again(1)[0]; n.TicketID != newest {
		t.Errorf("goes on with %v, want %s", n, newest)
	}
	_, err := w.work().AddWatcher(ctx, &ticketv1.AddWatcherRequest{TicketId: last})
	if err != nil {
		t.Fatal(err)
	}
	only := w.watching(ctx, &ticketv1.WatchTicketsRequest{WatchedOnly: true})
	w.create(&ticketv1.Ticket{})
	if _, err := w.do(w.manager(), "prioritize", last, ""); err != nil {
		t.Fatal(err)
	}
	if n := only(1)[0]; n.TicketID != last || n.Type != "ticket.prioritized.v1" {
		t.Errorf("watched %v", n)
	}
	for what, bad := range map[string]context.Context{
		"no position": metadata.AppendToOutgoingContext(ctx, "last-event-id", "x"), "a position to come": metadata.AppendToOutgoingContext(ctx, "last-event-id", "999999"),
	} {
		stream, err := w.deskService().WatchTickets(bad, &ticketv1.WatchTicketsRequest{})
		for err == nil {
			_, err = stream.Recv()
		}
		refused(t, what, err, codes.InvalidArgument, "VALIDATION_FAILED", "after_position")
	}
}

// newWorldInTheBackground is a world whose events get their positions.
func newWorldInTheBackground(t *testing.T) *world {
	t.Helper()
	return bareWorld(t, true).settled(t)
}
