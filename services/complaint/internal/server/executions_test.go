package server_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

func execution(id string) *complaintv1.RecordExecutionRequest {
	return &complaintv1.RecordExecutionRequest{Id: id, Reference: "PAY-77"}
}

func TestARemedyIsCarriedOutOnceAndByAnother(t *testing.T) {
	w := newWorld(t)
	api := complaintv1.NewRemedyServiceClient(w.Conn)
	c := w.to(complaint.Proposed)
	id := c.GetId()
	_, err := api.RecordExecution(w.as("tech"), execution(id))
	w.refused("before the approval", err, codes.FailedPrecondition, "COMPLAINT_WRONG_STATE", "")
	must[*complaintv1.Complaint](w)(w.client.ApproveSolution(w.as("manager"), approval(id)))
	approved := w.Clock.Now()
	w.Clock.Advance(time.Hour)
	for name, test := range map[string]struct {
		who, reason, clause string
		code                codes.Code
		change              func(*complaintv1.RecordExecutionRequest)
	}{
		"somebody else": {"head", "NOT_THE_HANDLER", "complaint.handler/1", codes.PermissionDenied, func(*complaintv1.RecordExecutionRequest) {}},
		"a stranger":    {"tech2", "COMPLAINT_NOT_FOUND", "", codes.NotFound, func(*complaintv1.RecordExecutionRequest) {}},
		"the approver":  {"manager", "EXECUTOR_APPROVED", "complaint.second-person/1", codes.PermissionDenied, func(*complaintv1.RecordExecutionRequest) {}},
		"stale":         {"tech", "ETAG_MISMATCH", "", codes.Aborted, func(r *complaintv1.RecordExecutionRequest) { r.Etag = "1" }},
		"no reference":  {"tech", "VALIDATION_FAILED", "", codes.InvalidArgument, func(r *complaintv1.RecordExecutionRequest) { r.Reference = "" }},
		"too much": {"tech", "EXECUTION_ABOVE_APPROVED", "complaint.approval-limits/1", codes.FailedPrecondition, func(r *complaintv1.RecordExecutionRequest) {
			r.Amount = yuan(301)
		}},
		"before the approval": {"tech", "VALIDATION_FAILED", "", codes.InvalidArgument, func(r *complaintv1.RecordExecutionRequest) {
			r.ExecuteTime = timestamppb.New(approved.Add(-time.Minute))
		}},
	} {
		req := execution(id)
		test.change(req)
		_, err := api.RecordExecution(w.as(test.who), req)
		w.refused(name, err, test.code, test.reason, test.clause)
	}
	if won := race(3, func() error { return failed(api.RecordExecution(w.as("tech"), execution(id))) }); won != 1 {
		t.Errorf("%d of three carry it out", won)
	}
	_, err = api.RecordExecution(w.as("tech"), execution(id))
	w.refused("again", err, codes.FailedPrecondition, "REMEDY_EXECUTED", "")
	c = w.get("boss", id)
	if done := c.GetProposal().GetExecution(); c.GetState() != complaint.Approved || done.GetReference() != "PAY-77" || done.GetAmount().GetUnits() != 300 ||
		done.GetExecutorStaffId() != w.staff["tech"].String() || !done.GetExecuteTime().AsTime().Equal(w.Clock.Now()) {
		t.Errorf("%v", c.GetProposal())
	}
	w.on(c, complaint.Told, "tech")
	seen, err := w.client.GetComplaint(w.AsCustomer(c.GetCustomerId()), &complaintv1.GetComplaintRequest{Id: id})
	if err != nil || seen.GetProposal().GetExecution() != nil {
		t.Errorf("the customer sees %v, %v", seen, err)
	}
}

func TestNothingIsCarriedOutWhereNothingWasPromised(t *testing.T) {
	w := newWorld(t)
	api, c := complaintv1.NewRemedyServiceClient(w.Conn), w.to(complaint.Contacted)
	req := proposal(c.GetId(), 0)
	req.Proposal.Validity, req.Proposal.Remedy, req.Proposal.Amount = complaintv1.Validity_VALIDITY_NOT_ESTABLISHED, complaintv1.Remedy_REMEDY_NONE, nil
	w.on(must[*complaintv1.Complaint](w)(w.client.ProposeSolution(w.as("tech"), req)), complaint.Told, "tech")
	_, err := api.RecordExecution(w.as("tech"), execution(c.GetId()))
	w.refused("no remedy", err, codes.FailedPrecondition, "NO_REMEDY", "")
}

// A complaint goes to the department of its category unless its review names another; the one
// that is complained about is passed over.
func TestReviewRoutesByCategory(t *testing.T) {
	w := newWorld(t)
	route := func(accused string, category complaintv1.Category) (*complaintv1.Complaint, error) {
		c := w.on(w.create(func(c *complaintv1.Complaint) {
			if accused != "" {
				c.AccusedStaffId = w.staff[accused].String()
			}
		}), complaint.Submitted, "")
		req := w.review(c.GetId())
		req.Category, req.DepartmentId = category, ""
		return w.client.ReviewComplaint(w.as("supervisor"), req)
	}
	for name, test := range map[string]struct {
		accused  string
		category complaintv1.Category
		want     string
	}{
		"quality":            {"", complaintv1.Category_CATEGORY_PRODUCT_QUALITY, w.quality.String()},
		"after-sales":        {"", complaintv1.Category_CATEGORY_AFTER_SALES_SERVICE, w.afterSales.String()},
		"attitude":           {"tech", complaintv1.Category_CATEGORY_SERVICE_ATTITUDE, w.service.String()},
		"their attitude":     {"agent2", complaintv1.Category_CATEGORY_SERVICE_ATTITUDE, w.company.String()},
		"their repair":       {"tech", complaintv1.Category_CATEGORY_AFTER_SALES_SERVICE, w.company.String()},
		"no such department": {"", complaintv1.Category_CATEGORY_PRICE, w.company.String()},
	} {
		if c, err := route(test.accused, test.category); err != nil || c.GetDepartmentId() != test.want {
			t.Errorf("%s: %v, %v, want %s", name, c.GetDepartmentId(), err, test.want)
		}
	}
	_, err := route("", complaintv1.Category_CATEGORY_OTHER)
	w.refused("a category without a route", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
}

// A department that was closed answers for nothing new, by name as by default; what it answers for
// goes on.
func TestReviewPassesClosedDepartmentsOver(t *testing.T) {
	w := newWorld(t)
	mine := w.to(complaint.Proposed)
	w.applyVersion("department.changed.v1", w.afterSales, 2, &ticketv1.DepartmentChanged{Department: &ticketv1.Department{
		Id: w.afterSales.String(), Code: "closed", Function: ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES, CloseTime: timestamppb.Now(),
	}})
	review := func(named string) (*complaintv1.Complaint, error) {
		req := w.review(w.to(complaint.Submitted).GetId())
		req.Category, req.DepartmentId = complaintv1.Category_CATEGORY_AFTER_SALES_SERVICE, named
		return w.client.ReviewComplaint(w.as("supervisor"), req)
	}
	_, err := review(w.afterSales.String())
	w.refused("a closed department", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	if c, err := review(""); err != nil || c.GetDepartmentId() == w.afterSales.String() {
		t.Errorf("by default it goes to %v, %v", c.GetDepartmentId(), err)
	}
	if _, err := w.client.ApproveSolution(w.as("manager"), approval(mine.GetId())); err != nil {
		t.Errorf("what it answers for: %v", err)
	}
}

func TestMatrixOfRemedies(t *testing.T) {
	w := newWorld(t)
	c := complaintv1.NewRemedyServiceClient(w.Conn)
	far := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, "")
	other := w.held(w.staff["tech2"], far)
	m := accesstest.NewMatrix(t, &complaintv1.RemedyService_ServiceDesc, map[string]accesstest.Attempt{
		"RecordExecution": func(ctx context.Context, id string) error {
			req := execution(id)
			req.Etag = "999"
			return failed(c.RecordExecution(ctx, req))
		},
	})
	w.rows(m, far, other)
}
