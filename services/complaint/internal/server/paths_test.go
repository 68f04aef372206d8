package server_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

// guard is one guard of the chain: a call that it refuses, of a complaint in a state.
type guard struct {
	name           string
	at             complaint.State
	by             string
	call           func(w *world, ctx context.Context, id string) error
	code           codes.Code
	reason, clause string
	// account is what a system account with every permission is refused with; empty where the
	// guard is about a person and the account meets another one.
	account, accountClause string
}

func guards() []guard {
	const denied, precondition = codes.PermissionDenied, codes.FailedPrecondition
	contacts := func(w *world, ctx context.Context, id string) error {
		return failed(w.client.RecordContact(ctx, contact(id)))
	}
	assigns := func(to string) func(w *world, ctx context.Context, id string) error {
		return func(w *world, ctx context.Context, id string) error {
			return failed(w.client.AssignComplaint(ctx, &complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: w.staff[to].String()}))
		}
	}
	proposes := func(w *world, ctx context.Context, id string) error {
		return failed(w.client.ProposeSolution(ctx, proposal(id, 300)))
	}
	approves := func(w *world, ctx context.Context, id string) error {
		return failed(w.client.ApproveSolution(ctx, approval(id)))
	}
	answers := func(w *world, ctx context.Context, id string) error {
		return failed(w.client.RecordAnswer(ctx, answer(id, satisfied)))
	}
	closes := func(w *world, ctx context.Context, id string) error {
		return failed(w.client.CloseComplaint(ctx, &complaintv1.CloseComplaintRequest{Id: id, Reason: "enough"}))
	}
	again := func(w *world, ctx context.Context, id string) error {
		return failed(w.client.NextRound(ctx, &complaintv1.NextRoundRequest{Id: id}))
	}
	reopens := func(w *world, ctx context.Context, id string) error {
		return failed(w.client.ReopenComplaint(ctx, reopen(id)))
	}
	executes := func(w *world, ctx context.Context, id string) error {
		return failed(complaintv1.NewRemedyServiceClient(w.Conn).RecordExecution(ctx, execution(id)))
	}
	return []guard{
		{"assigned by no head", complaint.Reviewed, "tech", assigns("tech2"), denied, "NOT_HEAD_OF_DEPARTMENT", "complaint.assigner/1",
			"NOT_HEAD_OF_DEPARTMENT", "complaint.assigner/1"},
		{"given elsewhere", complaint.Reviewed, "head", assigns("inspector"), precondition, "HANDLER_OF_OTHER_DEPARTMENT", "complaint.handler/1", "", ""},
		{"contacted by another", complaint.Assigned, "head", contacts, denied, "NOT_THE_HANDLER", "complaint.handler/1", "NOT_THE_HANDLER", "complaint.handler/1"},
		{"proposed by another", complaint.Contacted, "head", proposes, denied, "NOT_THE_HANDLER", "complaint.handler/1", "NOT_THE_HANDLER", "complaint.handler/1"},
		{"approved above the limit", complaint.Proposed, "manager", func(w *world, ctx context.Context, id string) error {
			return approves(w, ctx, w.dearer(id))
		}, denied, "AMOUNT_ABOVE_LIMIT", "complaint.approval-limits/1", "AMOUNT_ABOVE_LIMIT", "complaint.approval-limits/1"},
		{"carried out by another", complaint.Approved, "head", executes, denied, "NOT_THE_HANDLER", "complaint.handler/1", "NOT_THE_HANDLER", "complaint.handler/1"},
		{"closed without an answer", complaint.Told, "manager", closes, precondition, "ANSWER_MISSING", "complaint.closing/1", "ANSWER_MISSING", "complaint.closing/1"},
		{"another round without an answer", complaint.Told, "manager", again, precondition, "ANSWER_MISSING", "complaint.next-round/1",
			"ANSWER_MISSING", "complaint.next-round/1"},
		{"answered twice", complaint.Told, "tech", func(w *world, ctx context.Context, id string) error {
			if err := answers(w, w.as("tech"), id); err != nil {
				w.t.Fatal(err)
			}
			return answers(w, ctx, id)
		}, precondition, "ANSWER_RECORDED", "complaint.first-answer/1", "NOT_THE_HANDLER", "complaint.handler/1"},
		{"ended over the answer too early", complaint.Told, "boss", func(w *world, ctx context.Context, id string) error {
			if err := failed(w.client.RecordAnswer(w.as("tech"), answer(id, unsatisfied))); err != nil {
				w.t.Fatal(err)
			}
			return closes(w, ctx, id)
		}, precondition, "ANSWER_UNSATISFIED", "complaint.ending-unsatisfied/1", "ANSWER_UNSATISFIED", "complaint.ending-unsatisfied/1"},
		{"taken up though satisfied", complaint.Closed, "manager", reopens, precondition, "COMPLAINT_NOT_REOPENABLE", "complaint.reopening/1",
			"COMPLAINT_NOT_REOPENABLE", "complaint.reopening/1"},
	}
}

// dearer has the proposal of a complaint replaced by one of 5,001.00.
func (w *world) dearer(id string) string {
	w.t.Helper()
	do := must[*complaintv1.Complaint](w)
	do(w.client.ApproveSolution(w.as("manager"), &complaintv1.ApproveSolutionRequest{Id: id, Decision: complaintv1.Decision_DECISION_RETURNED, Reason: "x"}))
	do(w.client.ProposeSolution(w.as("tech"), proposal(id, 5001)))
	return id
}

// asSystem is another system with every permission on complaints.
func (w *world) asSystem() context.Context {
	return w.AsAccount("erp", "complaints.read", "complaints.submit", "complaints.review", "complaints.assign", "complaints.work",
		"complaints.approve", "complaints.close", "complaints.history", "complaints.reopen", "complaints.retarget")
}

// Every guard refuses by its clause whichever way a complaint came in, and whoever calls.
func TestEveryGuardOnEveryPath(t *testing.T) {
	w := newWorld(t)
	imported := 0
	paths := map[string]func(g guard) (id string){
		"single": func(g guard) string { return w.to(g.at).GetId() },
		"import": func(g guard) string {
			imported++
			result := w.load(w.record("guard-"+string(rune('a'+imported)), func(r *complaintv1.ComplaintRecord) {
				r.State, r.CloseTime, r.Told, r.DepartmentId = complaint.Reviewed, nil, "", w.afterSales.String()
			}))[0]
			if result.GetId() == "" {
				t.Fatalf("imported as %v", result)
			}
			return w.on(&complaintv1.Complaint{Id: result.GetId()}, g.at, "tech").GetId()
		},
	}
	for path, make := range paths {
		for _, g := range guards() {
			w.refused(path+": "+g.name, g.call(w, w.as(g.by), make(g)), g.code, g.reason, g.clause)
			if g.account == "" {
				continue
			}
			err := g.call(w, w.asSystem(), make(g))
			code := codes.FailedPrecondition
			if g.account == "NOT_THE_HANDLER" || g.account == "NOT_HEAD_OF_DEPARTMENT" || g.account == "AMOUNT_ABOVE_LIMIT" {
				code = codes.PermissionDenied
			}
			w.refused(path+", by a system: "+g.name, err, code, g.account, g.accountClause)
		}
	}
}

// What other services tell, and what the service does by itself, passes no guard either: no second
// answer, none to another round, no end over an answer, and no stage of ours by import.
func TestNoGuardIsPassedFromWithin(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	c := w.to(complaint.Told)
	must[*complaintv1.Complaint](w)(w.client.RecordAnswer(w.as("tech"), answer(c.GetId(), unsatisfied)))
	before := w.get("boss", c.GetId())
	for what, e := range map[string]struct{ round, score int32 }{"a second answer": {1, 5}, "an answer to no round": {2, 5}} {
		if err := w.deliver(w.survey(c.GetId(), e.round, e.score)); err != nil {
			t.Fatal(err)
		}
		if got := w.get("boss", c.GetId()); got.GetEtag() != before.GetEtag() || got.GetAnswer().GetSatisfaction() != unsatisfied {
			t.Errorf("%s: %v", what, got)
		}
	}
	w.set("2026-12-30 09:00:00")
	for range 4 {
		w.sweepSilences()
	}
	if got := w.get("boss", c.GetId()); got.GetEtag() != before.GetEtag() {
		t.Errorf("an unsatisfied customer is silent: %v", got)
	}
	for _, state := range []complaint.State{complaint.Proposed, complaint.Approved} {
		result := w.load(w.record("stage-"+complaint.StateName(state), func(r *complaintv1.ComplaintRecord) {
			r.State, r.CloseTime, r.Told = state, nil, ""
		}))[0]
		if result.GetId() != "" || len(result.GetRefusals()) == 0 {
			t.Errorf("imported as %s: %v", complaint.StateName(state), result)
		}
	}
	for _, service := range []string{"survey", "service-ticket", "customer-registry", "gateway"} {
		_, err := w.client.CloseComplaint(w.AsService(service), &complaintv1.CloseComplaintRequest{Id: c.GetId(), Reason: "x"})
		w.refused(service+" closes", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	}
}
