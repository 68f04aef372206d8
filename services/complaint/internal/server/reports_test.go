package server_test

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

// tale is what the events say of one complaint: where it stands, and when it entered each stage of
// each round.
type tale struct {
	received time.Time
	last     *complaintv1.ComplaintChanged
	entered  map[int32]map[complaint.State]time.Time
	verdicts map[string]*clockv1.ClockChanged
}

// tales reads the events of complaints and of their clocks, and nothing else.
func tales(t *testing.T, events []*eventv1.Envelope) map[string]*tale {
	t.Helper()
	out := map[string]*tale{}
	for _, e := range events {
		switch payload, _ := e.GetPayload().UnmarshalNew(); p := payload.(type) {
		case *complaintv1.ComplaintChanged:
			of := out[e.GetSubjectId()]
			if of == nil {
				of = &tale{received: e.GetOccurTime().AsTime(), entered: map[int32]map[complaint.State]time.Time{}, verdicts: map[string]*clockv1.ClockChanged{}}
				out[e.GetSubjectId()] = of
			}
			of.last = p
			if p.GetStateBefore() == p.GetStateAfter() {
				continue
			}
			if of.entered[p.GetRound()] == nil {
				of.entered[p.GetRound()] = map[complaint.State]time.Time{}
			}
			at, again := of.entered[p.GetRound()][p.GetStateAfter()]
			if now := e.GetOccurTime().AsTime(); !again || now.Before(at) {
				of.entered[p.GetRound()][p.GetStateAfter()] = now
			}
		case *clockv1.ClockChanged:
			out[p.GetSubjectId()].verdicts[e.GetSubjectId()] = p
		}
	}
	if _, err := event.Unpack[*complaintv1.ComplaintChanged](events[0]); err != nil {
		t.Fatal(err)
	}
	return out
}

// recount makes the figures of some complaints anew.
func recount(key string, of []*tale) *complaintv1.ComplaintFigures {
	out, took, kinds := &complaintv1.ComplaintFigures{Key: key}, map[complaint.State][]time.Duration{}, map[string]*complaintv1.DeadlineRate{}
	for _, t := range of {
		out.Received++
		if t.last.GetSeverity() == complaintv1.Severity_SEVERITY_MAJOR {
			out.Major++
		}
		if t.last.GetRound() > 1 {
			out.RepeatedRounds++
		}
		switch t.last.GetOutcome() {
		case complaintv1.Outcome_OUTCOME_SATISFIED:
			out.Satisfied++
		case complaintv1.Outcome_OUTCOME_ENDED_UNSATISFIED:
			out.EndedUnsatisfied++
		case complaintv1.Outcome_OUTCOME_NO_ANSWER:
			out.NoAnswer++
		default:
			out.Open++
		}
		for _, entered := range t.entered {
			for state, at := range entered {
				if before, ok := entered[state-1]; ok {
					took[state] = append(took[state], at.Sub(before))
				}
			}
		}
		for _, v := range t.verdicts {
			met, missed := v.GetState() == clockv1.ClockState_CLOCK_STATE_MET, v.GetState() == clockv1.ClockState_CLOCK_STATE_MISSED
			if !met && !missed {
				continue
			}
			rate := kinds[v.GetKind()]
			if rate == nil {
				rate = &complaintv1.DeadlineRate{Kind: v.GetKind()}
				kinds[v.GetKind()] = rate
			}
			if met {
				rate.Met++
			} else {
				rate.Missed++
			}
		}
	}
	for _, state := range slices.Sorted(maps.Keys(took)) {
		all := took[state]
		slices.Sort(all)
		sum := time.Duration(0)
		for _, d := range all {
			sum += d
		}
		out.Stages = append(out.Stages, &complaintv1.StageTime{
			Stage: state, Count: int64(len(all)), Longest: durationpb.New(all[len(all)-1]), Median: durationpb.New(all[(len(all)-1)/2]),
			Mean: durationpb.New((sum / time.Duration(len(all))).Round(time.Microsecond)),
		})
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		rate := kinds[kind]
		rate.OnTimeRate = float64(rate.GetMet()) / float64(rate.GetMet()+rate.GetMissed())
		out.Deadlines = append(out.Deadlines, rate)
	}
	return out
}

// regroup tells tales apart as a report does.
func regroup(all map[string]*tale, by func(id string, t *tale) string) []*complaintv1.ComplaintFigures {
	groups := map[string][]*tale{}
	for id, t := range all {
		key := by(id, t)
		groups[key] = append(groups[key], t)
	}
	var out []*complaintv1.ComplaintFigures
	for key, of := range groups {
		out = append(out, recount(key, of))
	}
	slices.SortFunc(out, func(a, b *complaintv1.ComplaintFigures) int {
		return cmp.Or(-cmp.Compare(a.GetReceived(), b.GetReceived()), cmp.Compare(a.GetKey(), b.GetKey()))
	})
	return out
}

// aMonth makes complaints of all kinds: prompt and late ones, returned proposals, disputed answers,
// silence and what is taken up after it.
func (w *world) aMonth(n int) {
	w.t.Helper()
	random := rand.New(rand.NewPCG(9, 26))
	w.set("2026-11-02 09:00:00")
	for i := range n {
		c := w.create(func(c *complaintv1.Complaint) {
			c.ProductModel = []string{"", "M-1", "M-2"}[i%3]
			if i%4 == 0 {
				c.Amount = yuan(20000)
			}
		})
		for _, state := range []complaint.State{complaint.Submitted, complaint.Reviewed, complaint.Assigned, complaint.Contacted, complaint.Proposed} {
			w.Clock.Advance(time.Duration(random.IntN(90)) * time.Minute)
			if i%7 == 6 && state == complaint.Assigned {
				break // it stays
			}
			w.on(c, state, "tech")
		}
		if i%7 == 6 {
			continue
		}
		if i%5 == 1 {
			must[*complaintv1.Complaint](w)(w.client.ApproveSolution(w.as("manager"), &complaintv1.ApproveSolutionRequest{
				Id: c.GetId(), Decision: complaintv1.Decision_DECISION_RETURNED, Reason: "less"}))
			w.Clock.Advance(time.Hour)
		}
		w.on(c, complaint.Told, "tech")
		w.Clock.Advance(time.Duration(random.IntN(30)) * time.Hour)
		switch i % 3 {
		case 0:
			w.on(c, complaint.Closed, "tech")
		case 1:
			must[*complaintv1.Complaint](w)(w.client.RecordAnswer(w.as("tech"), answer(c.GetId(), unsatisfied)))
			w.Clock.Advance(time.Hour)
			must[*complaintv1.Complaint](w)(w.client.NextRound(w.as("manager"), &complaintv1.NextRoundRequest{Id: c.GetId(), CategoryDisputed: i%2 == 0}))
			w.on(c, complaint.Told, "tech2")
		}
		if _, err := w.sweeper.Sweep(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	w.Clock.Advance(40 * 24 * time.Hour)
	for range 3 {
		w.sweepSilences()
	}
	if _, err := w.sweeper.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// Every figure of a report comes out of the events as well, however complaints are told apart.
func TestEveryFigureComesOutOfTheEvents(t *testing.T) {
	w := newWorld(t)
	api := complaintv1.NewComplaintReportServiceClient(w.Conn)
	w.aMonth(21)
	all := tales(t, w.Events(t))
	ofComplaint := map[string]*complaintv1.Complaint{}
	for id := range all {
		ofComplaint[id] = w.get("boss", id)
	}
	for group, by := range map[complaintv1.ReportGroup]func(id string, t *tale) string{
		complaintv1.ReportGroup_REPORT_GROUP_UNSPECIFIED: func(string, *tale) string { return "" },
		complaintv1.ReportGroup_REPORT_GROUP_STAGE:       func(_ string, t *tale) string { return complaint.StateName(t.last.GetStateAfter()) },
		complaintv1.ReportGroup_REPORT_GROUP_HANDLER:     func(_ string, t *tale) string { return t.last.GetHandlerStaffId() },
		complaintv1.ReportGroup_REPORT_GROUP_DEPARTMENT:  func(_ string, t *tale) string { return t.last.GetDepartmentId() },
		complaintv1.ReportGroup_REPORT_GROUP_SEVERITY:    func(_ string, t *tale) string { return complaint.SeverityName(t.last.GetSeverity()) },
		complaintv1.ReportGroup_REPORT_GROUP_CATEGORY:    func(_ string, t *tale) string { return complaint.CategoryName(t.last.GetCategory()) },
		complaintv1.ReportGroup_REPORT_GROUP_PRODUCT:     func(id string, _ *tale) string { return ofComplaint[id].GetProductModel() },
		complaintv1.ReportGroup_REPORT_GROUP_CUSTOMER:    func(id string, _ *tale) string { return ofComplaint[id].GetCustomerId() },
	} {
		got := must[*complaintv1.ComplaintReport](w)(api.GetComplaintReport(w.as("boss"), w.period(group)))
		if diff := gocmp.Diff(regroup(all, by), got.GetGroups(), protocmp.Transform()); diff != "" || got.GetTruncated() {
			t.Errorf("%v: %s", group, diff)
		}
	}
	whole := must[*complaintv1.ComplaintReport](w)(api.GetComplaintReport(w.as("boss"), w.period(0))).GetGroups()[0]
	if len(whole.GetStages()) != 8 || len(whole.GetDeadlines()) != 8 || whole.GetMajor() == 0 || whole.GetRepeatedRounds() == 0 ||
		whole.GetNoAnswer() == 0 || whole.GetSatisfied() == 0 || whole.GetOpen() == 0 {
		t.Errorf("the month has not everything: %v", whole)
	}
}

// period asks for the months of the tests.
func (w *world) period(group complaintv1.ReportGroup) *complaintv1.GetComplaintReportRequest {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &complaintv1.GetComplaintReportRequest{ReceiveFrom: timestamppb.New(from), ReceiveTo: timestamppb.New(from.AddDate(1, 0, 0)), GroupBy: group}
}

// Figures and due lists have what the caller may read, and nothing of what is about them.
func TestFiguresKeepConfidence(t *testing.T) {
	w := newWorld(t)
	api := complaintv1.NewComplaintReportServiceClient(w.Conn)
	w.set("2026-11-02 09:00:00")
	accused := func(c *complaintv1.Complaint) { c.AccusedStaffId = w.staff["tech3"].String() }
	w.on(w.create(accused), complaint.Assigned, "tech2")
	w.on(w.create(nil), complaint.Assigned, "tech")
	w.on(w.create(nil), complaint.Assigned, "tech2")
	w.byCustomer()
	for name, ctx := range map[string]context.Context{
		"boss": w.as("boss"), "manager": w.as("manager"), "agent": w.as("agent"), "agent2": w.as("agent2"), "head": w.as("head"),
		"tech": w.as("tech"), "tech2": w.as("tech2"), "tech3": w.as("tech3"), "clerk": w.as("clerk"), "inspector": w.as("inspector"),
	} {
		readable := map[string]bool{}
		for _, c := range w.list(ctx, &complaintv1.ListComplaintsRequest{}) {
			readable[c.GetId()] = true
		}
		got := must[*complaintv1.ComplaintReport](w)(api.GetComplaintReport(ctx, w.period(0)))
		counted := int64(0)
		for _, g := range got.GetGroups() {
			counted += g.GetReceived()
		}
		if counted != int64(len(readable)) {
			t.Errorf("%s: %d are counted, %d can be read", name, counted, len(readable))
		}
		for _, d := range w.dueList(ctx, &complaintv1.ListDueComplaintsRequest{}) {
			if !readable[d.GetComplaintId()] {
				t.Errorf("%s: %s is due, and cannot be read", name, d.GetNumber())
			}
		}
	}
	for _, req := range []*complaintv1.GetComplaintReportRequest{w.period(complaintv1.ReportGroup_REPORT_GROUP_HANDLER), w.period(complaintv1.ReportGroup_REPORT_GROUP_CUSTOMER)} {
		if got := must[*complaintv1.ComplaintReport](w)(api.GetComplaintReport(w.as("clerk"), req)); len(got.GetGroups()) != 0 {
			t.Errorf("a stranger gets %v", got)
		}
	}
	_, err := api.GetComplaintReport(w.AsCustomer(w.customer), w.period(0))
	w.refused("a customer", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
}

// dueList reads a list to its end, two a page.
func (w *world) dueList(ctx context.Context, req *complaintv1.ListDueComplaintsRequest) (all []*complaintv1.DueComplaint) {
	w.t.Helper()
	api := complaintv1.NewComplaintReportServiceClient(w.Conn)
	for req.PageSize = 2; ; {
		resp, err := api.ListDueComplaints(ctx, req)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, resp.GetDue()...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

// What is due comes soonest first, each once, and can be narrowed to whose it is.
func TestWhatIsDue(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	one := w.on(w.create(nil), complaint.Assigned, "tech").GetId()
	w.Clock.Advance(time.Hour)
	two := w.on(w.create(func(c *complaintv1.Complaint) { c.Amount = yuan(20000) }), complaint.Assigned, "tech2").GetId()
	three := w.create(nil).GetId()
	all := w.dueList(w.as("manager"), &complaintv1.ListDueComplaintsRequest{})
	if !slices.IsSortedFunc(all, func(a, b *complaintv1.DueComplaint) int {
		return a.GetDueTime().AsTime().Compare(b.GetDueTime().AsTime())
	}) {
		t.Errorf("out of order: %v", all)
	}
	of := func(list []*complaintv1.DueComplaint) map[string]int {
		out := map[string]int{}
		for _, d := range list {
			out[d.GetComplaintId()]++
		}
		return out
	}
	// Contact, solution, result and promise; of what was only registered its documentation.
	if diff := gocmp.Diff(map[string]int{one: 4, two: 4, three: 2}, of(all)); diff != "" {
		t.Error(diff)
	}
	until := timestamppb.New(w.Clock.Now().Add(2 * time.Hour))
	for what, c := range map[string]struct {
		req  *complaintv1.ListDueComplaintsRequest
		want map[string]int
	}{
		"soon":           {&complaintv1.ListDueComplaintsRequest{DueBefore: until}, map[string]int{three: 1}},
		"a handler's":    {&complaintv1.ListDueComplaintsRequest{OwnerStaffId: w.staff["tech2"].String()}, map[string]int{two: 3}},
		"a department's": {&complaintv1.ListDueComplaintsRequest{DepartmentId: w.afterSales.String()}, map[string]int{one: 4, two: 4}},
		"major":          {&complaintv1.ListDueComplaintsRequest{Severity: complaintv1.Severity_SEVERITY_MAJOR}, map[string]int{two: 4}},
	} {
		if diff := gocmp.Diff(c.want, of(w.dueList(w.as("manager"), c.req))); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	if got := of(w.dueList(w.as("tech"), &complaintv1.ListDueComplaintsRequest{})); len(got) != 1 || got[one] != 4 {
		t.Errorf("the handler sees %v", got)
	}
}

func TestReportsThatCannotBe(t *testing.T) {
	w := newWorld(t)
	api := complaintv1.NewComplaintReportServiceClient(w.Conn)
	for name, change := range map[string]func(*complaintv1.GetComplaintReportRequest){
		"no beginning":         func(r *complaintv1.GetComplaintReportRequest) { r.ReceiveFrom = nil },
		"no end":               func(r *complaintv1.GetComplaintReportRequest) { r.ReceiveTo = nil },
		"the end first":        func(r *complaintv1.GetComplaintReportRequest) { r.ReceiveTo = r.GetReceiveFrom() },
		"more than a year":     func(r *complaintv1.GetComplaintReportRequest) { r.ReceiveTo.Seconds += 2 * 86400 },
		"no time at all":       func(r *complaintv1.GetComplaintReportRequest) { r.ReceiveFrom.Nanos = -1 },
		"what is no group":     func(r *complaintv1.GetComplaintReportRequest) { r.GroupBy = 99 },
		"what is no handler":   func(r *complaintv1.GetComplaintReportRequest) { r.HandlerStaffId = "x" },
		"a severity not known": func(r *complaintv1.GetComplaintReportRequest) { r.Severity = 9 },
	} {
		req := w.period(0)
		change(req)
		_, err := api.GetComplaintReport(w.as("boss"), req)
		w.refused(name, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	_, err := api.ListDueComplaints(w.as("boss"), &complaintv1.ListDueComplaintsRequest{DueBefore: &timestamppb.Timestamp{Nanos: -1}})
	w.refused("due at no time", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	_, err = api.ListDueComplaints(w.as("boss"), &complaintv1.ListDueComplaintsRequest{PageToken: "x"})
	w.refused("no page", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
}

// Lists can be narrowed to what is severe, about a product or from a ticket.
func TestListsByWhatComplaintsAre(t *testing.T) {
	w := newWorld(t)
	major := w.on(w.create(func(c *complaintv1.Complaint) { c.Amount, c.ProductModel = yuan(20000), "M-1" }), complaint.Reviewed, "tech")
	general := w.on(w.create(func(c *complaintv1.Complaint) { c.ProductModel = "M-2" }), complaint.Reviewed, "tech")
	for what, c := range map[string]struct {
		req  *complaintv1.ListComplaintsRequest
		want []string
	}{
		"major":    {&complaintv1.ListComplaintsRequest{Severity: complaintv1.Severity_SEVERITY_MAJOR}, []string{major.GetId()}},
		"general":  {&complaintv1.ListComplaintsRequest{Severity: complaintv1.Severity_SEVERITY_GENERAL}, []string{general.GetId()}},
		"product":  {&complaintv1.ListComplaintsRequest{ProductModel: "M-2"}, []string{general.GetId()}},
		"ticket":   {&complaintv1.ListComplaintsRequest{TicketId: major.GetTicketId()}, []string{major.GetId()}},
		"no model": {&complaintv1.ListComplaintsRequest{ProductModel: "M"}, nil},
	} {
		for _, who := range []string{"boss", "head"} {
			req := &complaintv1.ListComplaintsRequest{Severity: c.req.GetSeverity(), ProductModel: c.req.GetProductModel(), TicketId: c.req.GetTicketId()}
			if got := ids(w.list(w.as(who), req)); !slices.Equal(got, c.want) {
				t.Errorf("%s by %s: %v", what, who, got)
			}
		}
	}
}

func TestMatrixOfReports(t *testing.T) {
	w := newWorld(t)
	api := complaintv1.NewComplaintReportServiceClient(w.Conn)
	far := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, "")
	number := func(id string) string { return w.get("boss", id).GetNumber() }
	none := func(found bool, err error) error {
		if err == nil && !found {
			err = status.Error(codes.NotFound, "not listed")
		}
		return err
	}
	m := accesstest.NewMatrix(t, &complaintv1.ComplaintReportService_ServiceDesc, map[string]accesstest.Attempt{
		"ListDueComplaints": func(ctx context.Context, id string) error {
			resp, err := api.ListDueComplaints(ctx, &complaintv1.ListDueComplaintsRequest{PageSize: 500})
			return none(slices.ContainsFunc(resp.GetDue(), func(d *complaintv1.DueComplaint) bool { return d.GetNumber() == number(id) }), err)
		},
		"GetComplaintReport": func(ctx context.Context, id string) error {
			req := w.period(0)
			req.CustomerId = w.get("boss", id).GetCustomerId()
			resp, err := api.GetComplaintReport(ctx, req)
			return none(len(resp.GetGroups()) == 1, err)
		},
	})
	w.rows(m, far, w.held(w.staff["tech2"], far))
}
