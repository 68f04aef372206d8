package server_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

const nobody = "01890a5d-ac96-774b-bcce-b302099a8057"

// verb is a call of the API that is sound but for the state of the complaint.
type verb struct {
	name string
	from []complaint.State
	by   string
	call func(w *world, ctx context.Context, id, etag string) error
}

func verbs() []verb {
	only := func(_ *complaintv1.Complaint, err error) error { return err }
	return []verb{
		{"submit", []complaint.State{complaint.Received}, "agent", func(w *world, ctx context.Context, id, etag string) error {
			return only(w.client.SubmitComplaint(ctx, &complaintv1.SubmitComplaintRequest{Id: id, Etag: etag}))
		}},
		{"review", []complaint.State{complaint.Submitted}, "supervisor", func(w *world, ctx context.Context, id, etag string) error {
			req := w.review(id)
			req.Etag = etag
			return only(w.client.ReviewComplaint(ctx, req))
		}},
		{"assign", []complaint.State{complaint.Reviewed, complaint.Assigned, complaint.Contacted}, "head", func(w *world, ctx context.Context, id, etag string) error {
			return only(w.client.AssignComplaint(ctx, &complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: w.staff["tech"].String(), Etag: etag}))
		}},
		{"recordContact", []complaint.State{complaint.Assigned, complaint.Contacted, complaint.Proposed, complaint.Approved, complaint.Told}, "tech", func(w *world, ctx context.Context, id, etag string) error {
			req := contact(id)
			req.Etag = etag
			return only(w.client.RecordContact(ctx, req))
		}},
		{"propose", []complaint.State{complaint.Contacted}, "tech", func(w *world, ctx context.Context, id, etag string) error {
			req := proposal(id, 100)
			req.Etag = etag
			return only(w.client.ProposeSolution(ctx, req))
		}},
		{"approve", []complaint.State{complaint.Proposed}, "supervisor", func(w *world, ctx context.Context, id, etag string) error {
			req := approval(id)
			req.Etag = etag
			return only(w.client.ApproveSolution(ctx, req))
		}},
		{"tell", []complaint.State{complaint.Approved}, "tech", func(w *world, ctx context.Context, id, etag string) error {
			req := told(id)
			req.Etag = etag
			return only(w.client.TellResult(ctx, req))
		}},
		{"recordAnswer", []complaint.State{complaint.Told}, "tech", func(w *world, ctx context.Context, id, etag string) error {
			req := answer(id, unsatisfied)
			req.Etag = etag
			return only(w.client.RecordAnswer(ctx, req))
		}},
		{"close", []complaint.State{complaint.Told}, "supervisor", func(w *world, ctx context.Context, id, etag string) error {
			return only(w.client.CloseComplaint(ctx, &complaintv1.CloseComplaintRequest{Id: id, Etag: etag}))
		}},
		{"nextRound", []complaint.State{complaint.Told}, "agent", func(w *world, ctx context.Context, id, etag string) error {
			return only(w.client.NextRound(ctx, &complaintv1.NextRoundRequest{Id: id, Etag: etag}))
		}},
	}
}

func way() []complaint.State {
	return []complaint.State{complaint.Received, complaint.Submitted, complaint.Reviewed, complaint.Assigned, complaint.Contacted,
		complaint.Proposed, complaint.Approved, complaint.Told, complaint.Closed}
}

func TestEveryIllegalMoveIsRefusedWithTheState(t *testing.T) {
	w := newWorld(t)
	c := w.create(nil)
	for _, state := range way() {
		c = w.on(c, state, "tech")
		for _, v := range verbs() {
			if contains(v.from, state) {
				continue
			}
			err := v.call(w, w.as("manager"), c.GetId(), "")
			w.refused(v.name+" in "+complaint.StateName(state), err, codes.FailedPrecondition, "COMPLAINT_WRONG_STATE", "")
			info := rpcerr.Info(err).GetMetadata()
			if info["state"] != complaint.StateName(state) || info["allowed_states"] == "" || !strings.Contains(status.Convert(err).Message(), info["state"]) {
				t.Errorf("%s in %s says %v", v.name, complaint.StateName(state), err)
			}
		}
	}
	w.checkHistory(c.GetId())
}

func contains(list []complaint.State, state complaint.State) bool {
	for _, s := range list {
		if s == state {
			return true
		}
	}
	return false
}

// What holds for every verb: unknown complaints, the one complained about, old versions,
// strangers.
func TestWhatEveryVerbRefuses(t *testing.T) {
	w := newWorld(t)
	for _, v := range verbs() {
		t.Run(v.name, func(t *testing.T) {
			c := w.on(w.create(func(c *complaintv1.Complaint) { c.AccusedStaffId = w.staff["tech3"].String() }), v.from[0], "tech")
			w.refused(v.name+" unknown", v.call(w, w.as("manager"), nobody, ""), codes.NotFound, "COMPLAINT_NOT_FOUND", "")
			w.refused(v.name+" bad id", v.call(w, w.as("manager"), "7", ""), codes.InvalidArgument, "VALIDATION_FAILED", "")
			w.refused(v.name+" old", v.call(w, w.as(v.by), c.GetId(), "99"), codes.Aborted, "ETAG_MISMATCH", "")
			accused := w.AsPerson("tech3", "service-manager", "company-manager")
			w.refused(v.name+" by the accused", v.call(w, accused, c.GetId(), ""), codes.PermissionDenied, "COMPLAINT_CONCERNS_CALLER", "complaint.impartiality/1")
			stranger := w.AsPerson("stranger", w.roles[v.by])
			if v.by == "supervisor" || v.by == "agent" {
				stranger = w.AsPerson("stranger", "information-administrator", "after-sales-specialist")
			}
			err := v.call(w, stranger, c.GetId(), "")
			if reason := rpcerr.Reason(err); reason != "COMPLAINT_NOT_FOUND" && reason != "PERMISSION_DENIED" {
				t.Errorf("%s by a stranger: %v", v.name, err)
			}
			if got := w.get("manager", c.GetId()); got.GetEtag() != c.GetEtag() && v.name != "recordAnswer" {
				t.Errorf("%s: a refused call changed the complaint", v.name)
			}
		})
	}
}

// Of many who make the same move at once exactly one does it.
func TestExactlyOneMakesEachMove(t *testing.T) {
	w := newWorld(t)
	for _, v := range verbs() {
		t.Run(v.name, func(t *testing.T) {
			c := w.on(w.create(nil), v.from[0], "tech")
			if v.name == "close" || v.name == "nextRound" {
				said := satisfied
				if v.name == "nextRound" {
					said = unsatisfied
				}
				c = must[*complaintv1.Complaint](w)(w.client.RecordAnswer(w.as("tech"), answer(c.GetId(), said)))
			}
			// Verbs that may be repeated have their one winner by the version they saw.
			etag, lost := "", []string{"COMPLAINT_WRONG_STATE", "ANSWER_RECORDED"}
			if v.name == "assign" || v.name == "recordContact" {
				etag, lost = c.GetEtag(), []string{"ETAG_MISMATCH"}
			}
			const racers = 8
			errs := make([]error, racers)
			var wg sync.WaitGroup
			for i := range racers {
				ctx := w.as(v.by)
				wg.Go(func() { errs[i] = v.call(w, ctx, c.GetId(), etag) })
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				switch reason := rpcerr.Reason(err); {
				case err == nil:
					won++
				case reason != lost[0] && (len(lost) < 2 || reason != lost[1]):
					t.Errorf("lost with %v", err)
				}
			}
			if won != 1 {
				t.Errorf("%d of %d won", won, racers)
			}
			w.checkHistory(c.GetId())
		})
	}
}

func TestTheSameRequestIsOneEffect(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	req := &complaintv1.CreateComplaintRequest{Complaint: w.sample(), RequestId: "r1"}
	first := do(w.client.CreateComplaint(w.as("agent"), req))
	if again := do(w.client.CreateComplaint(w.as("agent"), req)); again.GetId() != first.GetId() {
		t.Error("a repeated call registered another complaint")
	}
	req.Complaint.Title = "another"
	_, err := w.client.CreateComplaint(w.as("agent"), req)
	w.refused("create", err, codes.AlreadyExists, "REQUEST_ID_REUSED", "")
	submit := &complaintv1.SubmitComplaintRequest{Id: first.GetId(), RequestId: "r2"}
	do(w.client.SubmitComplaint(w.as("agent"), submit))
	if again := do(w.client.SubmitComplaint(w.as("agent"), submit)); again.GetState() != complaint.Submitted {
		t.Errorf("repeated: %v", again.GetState())
	}
	submit.Reason = "another"
	_, err = w.client.SubmitComplaint(w.as("agent"), submit)
	w.refused("submit", err, codes.AlreadyExists, "REQUEST_ID_REUSED", "")
}

func TestWhatCannotBeRegistered(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*complaintv1.Complaint){
		"no customer":            func(c *complaintv1.Complaint) { c.CustomerId = "" },
		"unknown customer":       func(c *complaintv1.Complaint) { c.CustomerId = nobody },
		"unknown staff":          func(c *complaintv1.Complaint) { c.AccusedStaffId = nobody },
		"no title":               func(c *complaintv1.Complaint) { c.Title = "" },
		"long title":             func(c *complaintv1.Complaint) { c.Title = strings.Repeat("漏", 201) },
		"no channel":             func(c *complaintv1.Complaint) { c.Channel = 0 },
		"channel of imports":     func(c *complaintv1.Complaint) { c.Channel = typev1.Channel_CHANNEL_UNKNOWN },
		"negative amount":        func(c *complaintv1.Complaint) { c.Amount = yuan(-1) },
		"amount of nothing":      func(c *complaintv1.Complaint) { c.Amount = &money.Money{Units: 1} },
		"text no database holds": func(c *complaintv1.Complaint) { c.Description = "a\x00b" },
		"the same fact twice":    func(c *complaintv1.Complaint) { c.SeverityFacts = []complaintv1.SeverityFact{1, 1} },
	} {
		in := w.sample()
		change(in)
		_, err := w.client.CreateComplaint(w.as("agent"), &complaintv1.CreateComplaintRequest{Complaint: in})
		w.refused(name, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	w.registry.down = true
	in := w.sample()
	in.CustomerId = nobody
	_, err := w.client.CreateComplaint(w.as("agent"), &complaintv1.CreateComplaintRequest{Complaint: in})
	w.refused("registry down", err, codes.Unavailable, "DEPENDENCY_UNAVAILABLE", "")
	w.registry.down = false
	w.registry.known[nobody] = &customerv1.CustomerRef{Id: nobody, Number: "C-1", Version: 1}
	if _, err := w.client.CreateComplaint(w.as("agent"), &complaintv1.CreateComplaintRequest{Complaint: in}); err != nil {
		t.Errorf("a customer the registry knows: %v", err)
	}
}

func TestReviewAndAssignmentName(t *testing.T) {
	w := newWorld(t)
	c := w.to(complaint.Submitted)
	req := w.review(c.GetId())
	req.DepartmentId = nobody
	_, err := w.client.ReviewComplaint(w.as("supervisor"), req)
	w.refused("unknown department", err, codes.InvalidArgument, "VALIDATION_FAILED", "")

	c = w.on(w.create(func(c *complaintv1.Complaint) { c.AccusedStaffId = w.staff["tech3"].String() }), complaint.Reviewed, "")
	assign := func(by, handler string) error {
		_, err := w.client.AssignComplaint(w.as(by), &complaintv1.AssignComplaintRequest{Id: c.GetId(), HandlerStaffId: handler})
		return err
	}
	w.refused("unknown staff", assign("head", nobody), codes.InvalidArgument, "VALIDATION_FAILED", "")
	w.refused("other department", assign("head", w.staff["inspector"].String()), codes.FailedPrecondition, "HANDLER_OF_OTHER_DEPARTMENT", "complaint.handler/1")
	w.refused("concerned", assign("head", w.staff["tech3"].String()), codes.FailedPrecondition, "HANDLER_CONCERNED", "complaint.impartiality/1")
	w.refused("not the head", assign("tech", w.staff["tech"].String()), codes.PermissionDenied, "NOT_HEAD_OF_DEPARTMENT", "complaint.assigner/1")
	w.refused("the company manager", assign("boss", w.staff["tech"].String()), codes.PermissionDenied, "NOT_HEAD_OF_DEPARTMENT", "complaint.assigner/1")
	if err := assign("manager", w.staff["tech"].String()); err != nil {
		t.Errorf("the service manager: %v", err)
	}
}

func TestOnlyTheHandlerWorks(t *testing.T) {
	w := newWorld(t)
	c := w.create(nil)
	for _, v := range verbs() {
		if v.by != "tech" {
			continue
		}
		w.on(c, v.from[0], "tech")
		w.refused(v.name, v.call(w, w.as("head"), c.GetId(), ""), codes.PermissionDenied, "NOT_THE_HANDLER", "complaint.handler/1")
		w.refused(v.name+" of a colleague's", v.call(w, w.as("tech2"), c.GetId(), ""), codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	}
	for _, v := range verbs() {
		if v.by == "tech" {
			c := w.to(v.from[0])
			if err := v.call(w, w.as("manager"), c.GetId(), ""); err != nil {
				t.Errorf("%s by the service manager: %v", v.name, err)
			}
		}
	}
}

func TestTimesAndChannelsThatCannotBe(t *testing.T) {
	w := newWorld(t)
	c := w.to(complaint.Assigned)
	w.Clock.Advance(time.Hour)
	record := func(change func(*complaintv1.RecordContactRequest)) error {
		req := contact(c.GetId())
		change(req)
		_, err := w.client.RecordContact(w.as("tech"), req)
		return err
	}
	for name, change := range map[string]func(*complaintv1.RecordContactRequest){
		"future": func(r *complaintv1.RecordContactRequest) {
			r.ContactTime = timestamppb.New(w.Clock.Now().Add(time.Minute))
		},
		"before the round": func(r *complaintv1.RecordContactRequest) {
			r.ContactTime = timestamppb.New(c.GetCreateTime().AsTime().Add(-time.Second))
		},
		"no time": func(r *complaintv1.RecordContactRequest) { r.ContactTime = &timestamppb.Timestamp{Nanos: -1} },
		"no note": func(r *complaintv1.RecordContactRequest) { r.Note = "" },
		"channel": func(r *complaintv1.RecordContactRequest) { r.Channel = typev1.Channel_CHANNEL_UNKNOWN },
	} {
		w.refused(name, record(change), codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	if err := record(func(r *complaintv1.RecordContactRequest) { r.ContactTime = timestamppb.New(c.GetCreateTime().AsTime()) }); err != nil {
		t.Errorf("at the round's beginning: %v", err)
	}
	c = w.on(w.get("manager", c.GetId()), complaint.Approved, "tech")
	tell := told(c.GetId())
	tell.Channel = typev1.Channel_CHANNEL_UNKNOWN
	_, err := w.client.TellResult(w.as("tech"), tell)
	w.refused("told over unknown", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	c = w.on(c, complaint.Told, "tech")
	w.Clock.Advance(time.Hour)
	for name, at := range map[string]time.Time{
		"answered before told": c.GetRounds()[0].GetTellTime().AsTime().Add(-time.Second), "answered tomorrow": w.Clock.Now().Add(time.Hour),
	} {
		req := answer(c.GetId(), satisfied)
		req.AnswerTime = timestamppb.New(at)
		_, err := w.client.RecordAnswer(w.as("tech"), req)
		w.refused(name, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	req := answer(c.GetId(), satisfied)
	req.Channel = typev1.Channel_CHANNEL_UNKNOWN
	_, err = w.client.RecordAnswer(w.as("tech"), req)
	w.refused("answered over unknown", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
}

func TestProposalsThatDoNotHoldTogether(t *testing.T) {
	w := newWorld(t)
	c := w.to(complaint.Contacted)
	for name, change := range map[string]func(*complaintv1.Proposal){
		"nothing for an established one": func(p *complaintv1.Proposal) { p.Remedy = complaintv1.Remedy_REMEDY_NONE },
		"refund of what": func(p *complaintv1.Proposal) {
			p.Remedy, p.Amount = complaintv1.Remedy_REMEDY_REFUND, nil
		},
		"negative amount": func(p *complaintv1.Proposal) { p.Amount = yuan(-5) },
		"no findings":     func(p *complaintv1.Proposal) { p.Findings = "" },
		"no cause":        func(p *complaintv1.Proposal) { p.Cause = "" },
	} {
		req := proposal(c.GetId(), 1)
		change(req.Proposal)
		_, err := w.client.ProposeSolution(w.as("tech"), req)
		w.refused(name, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
}

func TestApprovalsWithinLimitsByAnother(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	propose := func(by string, units int64) string {
		c := w.to(complaint.Contacted)
		do(w.client.ProposeSolution(w.as(by), proposal(c.GetId(), units)))
		return c.GetId()
	}
	approve := func(by, id string) error {
		_, err := w.client.ApproveSolution(w.as(by), approval(id))
		return err
	}
	const above, clause = "AMOUNT_ABOVE_LIMIT", "complaint.approval-limits/1"
	id := propose("tech", 501)
	err := approve("supervisor", id)
	w.refused("supervisor", err, codes.PermissionDenied, above, clause)
	if rpcerr.Info(err).GetMetadata()["limit"] != "500.00" {
		t.Errorf("the refusal does not name the limit: %v", err)
	}
	if err := approve("manager", id); err != nil {
		t.Errorf("manager: %v", err)
	}
	id = propose("tech", 5001)
	w.refused("manager", approve("manager", id), codes.PermissionDenied, above, clause)
	if err := approve("boss", id); err != nil {
		t.Errorf("company manager: %v", err)
	}
	id = propose("manager", 1)
	w.refused("own", approve("manager", id), codes.PermissionDenied, "APPROVER_PROPOSED", "complaint.second-person/1")
	_, err = w.client.ApproveSolution(w.as("manager"), &complaintv1.ApproveSolutionRequest{Id: id, Decision: complaintv1.Decision_DECISION_RETURNED, Reason: "x"})
	w.refused("own returned", err, codes.PermissionDenied, "APPROVER_PROPOSED", "complaint.second-person/1")
	_, err = w.client.ApproveSolution(w.as("boss"), &complaintv1.ApproveSolutionRequest{Id: id, Decision: complaintv1.Decision_DECISION_RETURNED})
	w.refused("returned without reason", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
}

func TestTheCompanyManagerDecidesAboutCustomerService(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	c := w.to(complaint.Submitted)
	id := c.GetId()
	req := w.review(id)
	req.DepartmentId = w.service.String()
	do(w.client.ReviewComplaint(w.as("supervisor"), req))
	do(w.client.AssignComplaint(w.as("manager"), &complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: w.staff["agent2"].String()}))
	do(w.client.RecordContact(w.as("agent2"), contact(id)))
	do(w.client.ProposeSolution(w.as("agent2"), proposal(id, 0)))
	for _, by := range []string{"supervisor", "manager"} {
		_, err := w.client.ApproveSolution(w.as(by), approval(id))
		w.refused(by, err, codes.PermissionDenied, "APPROVER_CONCERNED", "complaint.service-concerned/1")
	}
	do(w.client.ApproveSolution(w.as("boss"), approval(id)))
	w.checkHistory(id)
}

func TestAnswersComeFirstAndOnce(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	id := w.to(complaint.Told).GetId()
	_, err := w.client.CloseComplaint(w.as("supervisor"), &complaintv1.CloseComplaintRequest{Id: id})
	w.refused("closed without answer", err, codes.FailedPrecondition, "ANSWER_MISSING", "complaint.closing/1")
	_, err = w.client.NextRound(w.as("supervisor"), &complaintv1.NextRoundRequest{Id: id})
	w.refused("next round without answer", err, codes.FailedPrecondition, "ANSWER_MISSING", "complaint.next-round/1")
	do(w.client.RecordAnswer(w.as("tech"), answer(id, satisfied)))
	_, err = w.client.RecordAnswer(w.as("tech"), answer(id, unsatisfied))
	w.refused("second answer", err, codes.FailedPrecondition, "ANSWER_RECORDED", "complaint.first-answer/1")
	_, err = w.client.NextRound(w.as("supervisor"), &complaintv1.NextRoundRequest{Id: id})
	w.refused("next round for the satisfied", err, codes.FailedPrecondition, "ANSWER_SATISFIED", "complaint.next-round/1")
	other := w.to(complaint.Told).GetId()
	do(w.client.RecordAnswer(w.as("tech"), answer(other, unsatisfied)))
	_, err = w.client.CloseComplaint(w.as("supervisor"), &complaintv1.CloseComplaintRequest{Id: other, Reason: "x"})
	w.refused("closed over the answer", err, codes.FailedPrecondition, "ANSWER_UNSATISFIED", "complaint.ending-unsatisfied/1")
}

func TestDepartmentsWithoutHeadAreAssignedByTheServiceManager(t *testing.T) {
	w := newWorld(t)
	lone := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_TECHNICAL_SUPPORT, "")
	c := w.to(complaint.Submitted)
	req := w.review(c.GetId())
	req.DepartmentId = lone.String()
	must[*complaintv1.Complaint](w)(w.client.ReviewComplaint(w.as("supervisor"), req))
	_, err := w.client.AssignComplaint(w.AsPerson("unknown", "company-manager"), &complaintv1.AssignComplaintRequest{Id: c.GetId(), HandlerStaffId: w.staff["tech"].String()})
	w.refused("nobody heads it", err, codes.PermissionDenied, "NOT_HEAD_OF_DEPARTMENT", "complaint.assigner/1")
}
