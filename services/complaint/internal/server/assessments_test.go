package server_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

// court is a complaint for which after-sales is responsible, and who assesses it.
type court struct {
	*world
	api         complaintv1.AssessmentServiceClient
	id          string
	sales, boss context.Context
}

// settled takes a complaint of quality to a determined responsibility of a department or of one
// of its people.
func (w *world) settled(r *complaintv1.Responsibility) *court {
	w.t.Helper()
	sales := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, "")
	c := &court{world: w, api: complaintv1.NewAssessmentServiceClient(w.Conn), boss: w.as("boss")}
	_, c.sales = w.member(access.SalesManager, sales)
	c.id = w.to(complaint.Contacted).GetId()
	cause := must[*complaintv1.GetCauseTreeResponse](w)(complaintv1.NewInvestigationServiceClient(w.Conn).GetCauseTree(w.as("tech"),
		&complaintv1.GetCauseTreeRequest{})).GetCauses()[0].GetId()
	must[*complaintv1.Complaint](w)(complaintv1.NewInvestigationServiceClient(w.Conn).RecordInvestigation(w.as("tech"), &complaintv1.RecordInvestigationRequest{
		Id: c.id, Investigation: &complaintv1.Investigation{
			Findings: "worn", Reason: "seal", CauseId: cause, Consequences: []complaintv1.Consequence{complaintv1.Consequence_CONSEQUENCE_LOSS},
		}}))
	held := complaintv1.NewResponsibilityServiceClient(w.Conn)
	do := must[*complaintv1.Responsibility](w)
	do(held.ProposeResponsibility(w.as("tech"), &complaintv1.ProposeResponsibilityRequest{ComplaintId: c.id, Responsibility: r}))
	w.Clock.Advance(14 * 24 * time.Hour) // the window to object
	do(held.DetermineResponsibility(c.sales, &complaintv1.DetermineResponsibilityRequest{ComplaintId: c.id, Reason: "so it is", Held: true}))
	return c
}

func (c *court) ofDepartment() *complaintv1.CreateAssessmentRequest {
	return &complaintv1.CreateAssessmentRequest{ComplaintId: c.id, Assessment: &complaintv1.Assessment{
		DepartmentId: c.afterSales.String(), Points: 5, Grounds: "the lot was not checked"}}
}

func (c *court) approve(ctx context.Context, id string) (*complaintv1.Assessment, error) {
	return c.api.ApproveAssessment(ctx, &complaintv1.ApproveAssessmentRequest{ComplaintId: c.id, Id: id, Reason: "agreed", Approved: true})
}

func (c *court) appeal(ctx context.Context, id string) (*complaintv1.Assessment, error) {
	return c.api.AppealAssessment(ctx, &complaintv1.AppealAssessmentRequest{ComplaintId: c.id, Id: id, Reason: "too much"})
}

func (c *court) decide(ctx context.Context, id string, upheld bool) (*complaintv1.Assessment, error) {
	return c.api.DecideAssessment(ctx, &complaintv1.DecideAssessmentRequest{ComplaintId: c.id, Id: id, Reason: "heard", Upheld: upheld})
}

func ofAfterSales(w *world) *complaintv1.Responsibility {
	return &complaintv1.Responsibility{
		Kind: complaintv1.ResponsibilityKind_RESPONSIBILITY_KIND_DEPARTMENT, DepartmentId: w.afterSales.String(), Grounds: "not checked",
	}
}

// A department is assessed by two managers, its head appeals, which freezes it, and the company
// manager decides; an appeal against the responsibility freezes it as well.
func TestAnAssessmentGoesItsWay(t *testing.T) {
	w := newWorld(t)
	c := w.settled(ofAfterSales(w))
	do := must[*complaintv1.Assessment](w)
	_, err := c.api.CreateAssessment(w.as("tech"), c.ofDepartment())
	w.refused("by no manager", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	a := do(c.api.CreateAssessment(c.sales, c.ofDepartment()))
	if a.GetInEffect() || a.GetCauseId() == "" || len(a.GetConsequences()) != 1 || a.GetState() != complaint.AssessedEntered {
		t.Errorf("entered %v", a)
	}
	_, err = c.api.CreateAssessment(w.as("manager"), c.ofDepartment())
	w.refused("twice", err, codes.AlreadyExists, "ASSESSMENT_EXISTS", "")
	_, err = c.approve(c.sales, a.GetId())
	w.refused("one's own", err, codes.PermissionDenied, "SECOND_PERSON_NEEDED", "")
	_, err = c.appeal(w.as("head"), a.GetId())
	w.refused("an appeal against nothing", err, codes.FailedPrecondition, "ASSESSMENT_WRONG_STATE", "")
	if won := race(3, func() error { return failed(c.approve(w.as("manager"), a.GetId())) }); won != 1 {
		t.Errorf("%d of three approve", won)
	}
	if a = c.list(w.as("head"))[0]; !a.GetInEffect() || a.GetAppealDue() == nil {
		t.Errorf("approved %v", a)
	}
	_, err = c.appeal(w.as("manager"), a.GetId())
	w.refused("an appeal of somebody else", err, codes.PermissionDenied, "NOT_THE_PARTY", "complaint.objection/1")
	if a = do(c.appeal(w.as("head"), a.GetId())); a.GetInEffect() {
		t.Error("an appeal does not freeze it")
	}
	_, err = c.decide(w.as("manager"), a.GetId(), true)
	w.refused("decided by another manager", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	if a = do(c.decide(c.boss, a.GetId(), true)); !a.GetInEffect() || a.GetState() != complaint.AssessedUpheld || len(a.GetSteps()) != 4 {
		t.Errorf("upheld %v", a)
	}
	must[*complaintv1.Responsibility](w)(complaintv1.NewResponsibilityServiceClient(w.Conn).AppealResponsibility(w.as("head"),
		&complaintv1.AppealResponsibilityRequest{ComplaintId: c.id, Reason: "not us"}))
	if c.list(w.as("manager"))[0].GetInEffect() {
		t.Error("the responsibility is appealed, and the assessment counts")
	}
	var types []string
	for _, e := range w.eventsOf(a.GetId()) {
		types = append(types, e.GetType())
	}
	if len(types) != 4 || types[2] != "assessment.appealed.v1" || types[3] != "assessment.upheld.v1" {
		t.Errorf("events %v", types)
	}
}

// list reads the assessments, one a page.
func (c *court) list(ctx context.Context) (all []*complaintv1.Assessment) {
	c.t.Helper()
	for req := (&complaintv1.ListAssessmentsRequest{ComplaintId: c.id, PageSize: 1}); ; {
		resp, err := c.api.ListAssessments(ctx, req)
		if err != nil {
			c.t.Fatal(err)
		}
		all = append(all, resp.GetAssessments()...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

// What is withdrawn or refused makes place for another one; late appeals are none.
func TestAssessmentsThatCameToNothing(t *testing.T) {
	w := newWorld(t)
	c := w.settled(ofAfterSales(w))
	do := must[*complaintv1.Assessment](w)
	a := do(c.api.CreateAssessment(c.sales, c.ofDepartment()))
	a = do(c.api.ApproveAssessment(w.as("manager"), &complaintv1.ApproveAssessmentRequest{ComplaintId: c.id, Id: a.GetId(), Reason: "too much"}))
	if a.GetState() != complaint.AssessedRefused || a.GetInEffect() {
		t.Errorf("refused %v", a)
	}
	a = do(c.api.CreateAssessment(c.sales, c.ofDepartment()))
	do(c.approve(w.as("manager"), a.GetId()))
	do(c.appeal(w.as("head"), a.GetId()))
	if a = do(c.decide(c.boss, a.GetId(), false)); a.GetState() != complaint.AssessedWithdrawn || a.GetInEffect() {
		t.Errorf("withdrawn %v", a)
	}
	a = do(c.api.CreateAssessment(w.as("manager"), c.ofDepartment()))
	a = do(c.approve(c.boss, a.GetId()))
	w.Clock.Set(a.GetAppealDue().AsTime())
	_, err := c.appeal(w.as("head"), a.GetId())
	w.refused("late", err, codes.FailedPrecondition, "OBJECTION_TOO_LATE", "complaint.objection/1")
	if got := c.list(w.as("manager")); len(got) != 3 {
		t.Errorf("%d are kept", len(got))
	}
}

// A person is assessed for what they are responsible for; they see their own and nothing of the
// complaint, the head of their department sees it with the complaint, a stranger nothing.
func TestAPersonIsAssessed(t *testing.T) {
	w := newWorld(t)
	c := w.settled(&complaintv1.Responsibility{
		Kind: complaintv1.ResponsibilityKind_RESPONSIBILITY_KIND_PERSON, StaffId: w.staff["tech2"].String(), Grounds: "skipped a step",
	})
	req := c.ofDepartment()
	req.Assessment.DepartmentId, req.Assessment.StaffId = "", w.staff["tech3"].String()
	_, err := c.api.CreateAssessment(c.sales, req)
	w.refused("somebody else", err, codes.FailedPrecondition, "ASSESSMENT_WITHOUT_RESPONSIBILITY", "complaint.assessment/1")
	req.Assessment.StaffId = w.staff["tech2"].String()
	req.Assessment.DepartmentId = w.service.String()
	_, err = c.api.CreateAssessment(c.sales, req)
	w.refused("in another department", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	req.Assessment.DepartmentId = ""
	a := must[*complaintv1.Assessment](w)(c.api.CreateAssessment(c.sales, req))
	if a.GetDepartmentId() != w.afterSales.String() {
		t.Errorf("entered %v", a)
	}
	must[*complaintv1.Assessment](w)(c.approve(w.as("manager"), a.GetId()))
	if got := c.list(w.as("tech2")); len(got) != 1 {
		t.Errorf("the person sees %d", len(got))
	}
	_, err = w.client.GetComplaint(w.as("tech2"), &complaintv1.GetComplaintRequest{Id: c.id})
	w.refused("the person reads the complaint", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	for _, name := range []string{"tech3", "agent2", "clerk"} {
		_, err = c.api.ListAssessments(w.as(name), &complaintv1.ListAssessmentsRequest{ComplaintId: c.id})
		w.refused(name, err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
		_, err = c.appeal(w.as(name), a.GetId())
		w.refused(name+" appeals", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	}
	must[*complaintv1.Assessment](w)(c.appeal(w.as("tech2"), a.GetId()))
}

func TestAssessmentsThatCannotBe(t *testing.T) {
	w := newWorld(t)
	c := w.settled(ofAfterSales(w))
	fresh := w.to(complaint.Assigned).GetId()
	for name, test := range map[string]struct {
		change         func(*complaintv1.CreateAssessmentRequest)
		code           codes.Code
		reason, clause string
	}{
		"nobody": {func(r *complaintv1.CreateAssessmentRequest) { r.Assessment.DepartmentId = "" }, codes.InvalidArgument, "VALIDATION_FAILED", ""},
		"no such department": {func(r *complaintv1.CreateAssessmentRequest) { r.Assessment.DepartmentId = newID(t).String() },
			codes.InvalidArgument, "VALIDATION_FAILED", ""},
		"nobody known": {func(r *complaintv1.CreateAssessmentRequest) { r.Assessment.StaffId = newID(t).String() }, codes.InvalidArgument, "VALIDATION_FAILED", ""},
		"no points":    {func(r *complaintv1.CreateAssessmentRequest) { r.Assessment.Points = 0 }, codes.InvalidArgument, "VALIDATION_FAILED", ""},
		"another department": {func(r *complaintv1.CreateAssessmentRequest) { r.Assessment.DepartmentId = w.quality.String() },
			codes.FailedPrecondition, "ASSESSMENT_WITHOUT_RESPONSIBILITY", "complaint.assessment/1"},
		"nothing determined": {func(r *complaintv1.CreateAssessmentRequest) { r.ComplaintId = fresh },
			codes.FailedPrecondition, "ASSESSMENT_WITHOUT_RESPONSIBILITY", "complaint.assessment/1"},
		"no complaint": {func(r *complaintv1.CreateAssessmentRequest) { r.ComplaintId = newID(t).String() }, codes.NotFound, "COMPLAINT_NOT_FOUND", ""},
	} {
		req := c.ofDepartment()
		test.change(req)
		_, err := c.api.CreateAssessment(c.sales, req)
		w.refused(name, err, test.code, test.reason, test.clause)
	}
	_, colleague := w.member(access.SalesManager, w.afterSales)
	_, err := c.api.CreateAssessment(colleague, c.ofDepartment())
	w.refused("a manager of that department", err, codes.PermissionDenied, "ASSESSMENT_CONCERNS_CALLER", "complaint.impartiality/1")
	_, err = c.approve(w.as("manager"), newID(t).String())
	w.refused("no such assessment", err, codes.NotFound, "ASSESSMENT_NOT_FOUND", "")
	a := must[*complaintv1.Assessment](w)(c.api.CreateAssessment(c.sales, c.ofDepartment()))
	_, err = c.api.ApproveAssessment(w.as("manager"), &complaintv1.ApproveAssessmentRequest{ComplaintId: c.id, Id: a.GetId(), Reason: "x", Approved: true, Etag: "9"})
	w.refused("stale", err, codes.Aborted, "ETAG_MISMATCH", "")
	must[*complaintv1.Responsibility](w)(complaintv1.NewResponsibilityServiceClient(w.Conn).AppealResponsibility(w.as("head"),
		&complaintv1.AppealResponsibilityRequest{ComplaintId: c.id, Reason: "not us"}))
	_, err = c.approve(w.as("manager"), a.GetId())
	w.refused("while the responsibility is appealed", err, codes.FailedPrecondition, "ASSESSMENT_WITHOUT_RESPONSIBILITY", "complaint.assessment/1")
}

func TestMatrixOfAssessments(t *testing.T) {
	w := newWorld(t)
	api := complaintv1.NewAssessmentServiceClient(w.Conn)
	far := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, "")
	some := newID(t).String()
	// Whoever is let through meets the next rule, which no caller's rights can change.
	next := func(err error) error {
		if code := grpcstatus.Code(err); code == codes.NotFound && rpcerr.Reason(err) == "ASSESSMENT_NOT_FOUND" {
			return nil
		}
		return err
	}
	m := accesstest.NewMatrix(t, &complaintv1.AssessmentService_ServiceDesc, map[string]accesstest.Attempt{
		"CreateAssessment": func(ctx context.Context, id string) error {
			return failed(api.CreateAssessment(ctx, &complaintv1.CreateAssessmentRequest{
				ComplaintId: id, Assessment: &complaintv1.Assessment{DepartmentId: w.company.String(), Points: 1, Grounds: "x"}}))
		},
		"ApproveAssessment": func(ctx context.Context, id string) error {
			return next(failed(api.ApproveAssessment(ctx, &complaintv1.ApproveAssessmentRequest{ComplaintId: id, Id: some, Reason: "x"})))
		},
		"AppealAssessment": func(ctx context.Context, id string) error {
			return next(failed(api.AppealAssessment(ctx, &complaintv1.AppealAssessmentRequest{ComplaintId: id, Id: some, Reason: "x"})))
		},
		"DecideAssessment": func(ctx context.Context, id string) error {
			return next(failed(api.DecideAssessment(ctx, &complaintv1.DecideAssessmentRequest{ComplaintId: id, Id: some, Reason: "x"})))
		},
		"ListAssessments": func(ctx context.Context, id string) error {
			return failed(api.ListAssessments(ctx, &complaintv1.ListAssessmentsRequest{ComplaintId: id}))
		},
	})
	w.rows(m, far, w.held(w.staff["tech2"], far))
}
