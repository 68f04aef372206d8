package server_test

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

// material is a cause that is built in.
const material = "01900000-0000-7000-8000-000000000013"

func (w *world) investigations() complaintv1.InvestigationServiceClient {
	return complaintv1.NewInvestigationServiceClient(w.Conn)
}

func investigation(id string) *complaintv1.RecordInvestigationRequest {
	return &complaintv1.RecordInvestigationRequest{Id: id, Investigation: &complaintv1.Investigation{
		Findings: "the seal is brittle", Reason: "seal leaks", CauseId: material,
		Whys:         []*complaintv1.Why{{Question: "why does it leak?", Answer: "the seal broke"}, {Question: "why?", Answer: "wrong rubber"}},
		Consequences: []complaintv1.Consequence{complaintv1.Consequence_CONSEQUENCE_LOSS, complaintv1.Consequence_CONSEQUENCE_LOST_ORDER},
		Loss:         yuan(800),
	}}
}

func inspection(id string) *complaintv1.ConfirmQualityRequest {
	return &complaintv1.ConfirmQualityRequest{Id: id, Inspection: &complaintv1.Inspection{
		Quality: complaintv1.Quality_QUALITY_QUALITY, Cause: "rubber of another lot", Measures: "sort the lot",
	}}
}

// ofQuality is a complaint of quality, in the hands of tech.
func (w *world) ofQuality() string {
	w.t.Helper()
	c := w.on(w.create(func(c *complaintv1.Complaint) { c.Category = complaintv1.Category_CATEGORY_PRODUCT_QUALITY }), complaint.Submitted, "")
	req := w.review(c.GetId())
	req.Category, req.Quality = complaintv1.Category_CATEGORY_PRODUCT_QUALITY, complaintv1.Quality_QUALITY_QUALITY
	must[*complaintv1.Complaint](w)(w.client.ReviewComplaint(w.as("supervisor"), req))
	return w.on(w.get("boss", c.GetId()), complaint.Contacted, "tech").GetId()
}

func TestAComplaintOfQualityIsConfirmedByQualityControl(t *testing.T) {
	w := newWorld(t)
	api, do, id := w.investigations(), must[*complaintv1.Complaint](w), w.ofQuality()
	c := do(api.RecordInvestigation(w.as("tech"), investigation(id)))
	found := c.GetInvestigation()
	if c.GetState() != complaint.Contacted || found.GetCauseId() != material || len(found.GetWhys()) != 2 || found.GetWhys()[1].GetAnswer() != "wrong rubber" ||
		len(found.GetConsequences()) != 2 || found.GetLoss().GetUnits() != 800 || found.GetRound() != 1 || found.GetInvestigatorStaffId() != w.staff["tech"].String() {
		t.Errorf("%v", c)
	}
	_, err := w.client.ProposeSolution(w.as("tech"), proposal(id, 300))
	w.refused("before the inspection", err, codes.FailedPrecondition, "QUALITY_NOT_CONFIRMED", "complaint.quality-confirmation/1")
	c = do(api.ConfirmQuality(w.as("inspector"), inspection(id)))
	if i := c.GetInspection(); c.GetState() != complaint.Contacted || i.GetCause() != "rubber of another lot" || i.GetInspectorStaffId() != w.staff["inspector"].String() || i.GetRound() != 1 {
		t.Errorf("%v", c)
	}
	again := inspection(id)
	again.Inspection.Quality, again.Inspection.Measures = complaintv1.Quality_QUALITY_NON_QUALITY, ""
	if c = do(api.ConfirmQuality(w.as("inspector"), again)); c.GetQuality() != complaintv1.Quality_QUALITY_NON_QUALITY {
		t.Errorf("quality is %v", c.GetQuality())
	}
	do(api.ConfirmQuality(w.as("inspector"), inspection(id)))
	w.on(do(w.client.ProposeSolution(w.as("tech"), proposal(id, 300))), complaint.Told, "tech")
	seen, err := w.client.GetComplaint(w.AsCustomer(c.GetCustomerId()), &complaintv1.GetComplaintRequest{Id: id})
	if err != nil || seen.GetInvestigation() != nil || seen.GetInspection() != nil {
		t.Errorf("the customer sees %v, %v", seen, err)
	}
	do(w.client.RecordAnswer(w.as("tech"), answer(id, unsatisfied)))
	do(w.client.NextRound(w.as("manager"), &complaintv1.NextRoundRequest{Id: id}))
	w.on(w.get("boss", id), complaint.Contacted, "tech")
	_, err = w.client.ProposeSolution(w.as("tech"), proposal(id, 300))
	w.refused("in the next round", err, codes.FailedPrecondition, "QUALITY_NOT_CONFIRMED", "complaint.quality-confirmation/1")
	history, err := w.client.ListComplaintTransitions(w.as("boss"), &complaintv1.ListComplaintTransitionsRequest{ComplaintId: id})
	var verbs []string
	for _, line := range history.GetTransitions() {
		verbs = append(verbs, line.GetVerb())
	}
	if err != nil || !slices.Contains(verbs, "recordInvestigation") || !slices.Contains(verbs, "confirmQuality") {
		t.Errorf("%v, %v", verbs, err)
	}
}

func TestWhatInvestigationsAreRefused(t *testing.T) {
	w := newWorld(t)
	api, id := w.investigations(), w.ofQuality()
	early := w.to(complaint.Reviewed).GetId()
	for name, test := range map[string]struct {
		who, reason, clause string
		code                codes.Code
		change              func(*complaintv1.RecordInvestigationRequest)
	}{
		"somebody else": {"head", "NOT_THE_HANDLER", "complaint.handler/1", codes.PermissionDenied, func(*complaintv1.RecordInvestigationRequest) {}},
		"too early":     {"manager", "COMPLAINT_WRONG_STATE", "", codes.FailedPrecondition, func(r *complaintv1.RecordInvestigationRequest) { r.Id = early }},
		"a stranger":    {"tech2", "COMPLAINT_NOT_FOUND", "", codes.NotFound, func(*complaintv1.RecordInvestigationRequest) {}},
		"stale":         {"tech", "ETAG_MISMATCH", "", codes.Aborted, func(r *complaintv1.RecordInvestigationRequest) { r.Etag = "1" }},
		"no cause": {"tech", "VALIDATION_FAILED", "", codes.InvalidArgument, func(r *complaintv1.RecordInvestigationRequest) {
			r.Investigation.CauseId = newID(t).String()
		}},
		"no findings": {"tech", "VALIDATION_FAILED", "", codes.InvalidArgument, func(r *complaintv1.RecordInvestigationRequest) {
			r.Investigation.Findings = ""
		}},
		"a loss of nothing": {"tech", "VALIDATION_FAILED", "", codes.InvalidArgument, func(r *complaintv1.RecordInvestigationRequest) {
			r.Investigation.Consequences = nil
		}},
	} {
		req := investigation(id)
		test.change(req)
		_, err := api.RecordInvestigation(w.as(test.who), req)
		w.refused(name, err, test.code, test.reason, test.clause)
	}
	none := inspection(id)
	none.Inspection.Measures = ""
	_, err := api.ConfirmQuality(w.as("inspector"), none)
	w.refused("no measures", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	_, err = api.ConfirmQuality(w.as("manager"), inspection(id))
	w.refused("not of quality control", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	if _, err := w.Pool.Exec(t.Context(), "UPDATE complaints SET handler_staff_id = $2 WHERE id = $1", id, w.staff["inspector"]); err != nil {
		t.Fatal(err)
	}
	_, err = api.ConfirmQuality(w.as("inspector"), inspection(id))
	w.refused("who handles", err, codes.PermissionDenied, "INSPECTOR_HANDLES", "complaint.inspector/1")
	if _, err := w.Pool.Exec(t.Context(), "UPDATE complaints SET handler_staff_id = NULL, accused_staff_id = $2 WHERE id = $1", id, w.staff["inspector"]); err != nil {
		t.Fatal(err)
	}
	_, err = api.ConfirmQuality(w.as("inspector"), inspection(id))
	w.refused("who is complained about", err, codes.PermissionDenied, "COMPLAINT_CONCERNS_CALLER", "complaint.impartiality/1")
}

// The third complaint with a cause within 90 days becomes major when its cause is found, and
// its deadlines follow.
func TestTheThirdOfACauseIsMajor(t *testing.T) {
	w := newWorld(t)
	api, do := w.investigations(), must[*complaintv1.Complaint](w)
	for n := range 3 {
		id := w.to(complaint.Contacted).GetId()
		c := do(api.RecordInvestigation(w.as("tech"), investigation(id)))
		if want := n == 2; want != (c.GetSeverity() == complaintv1.Severity_SEVERITY_MAJOR) || want != slices.Equal(clauses(c), []string{"repeat-cause/1"}) {
			t.Errorf("number %d is %v by %v", n+1, c.GetSeverity(), clauses(c))
		}
		clocks, err := w.client.ListComplaintClocks(w.as("boss"), &complaintv1.ListComplaintClocksRequest{ComplaintId: id})
		days := int32(0)
		for _, k := range clocks.GetClocks() {
			if k.GetKind() == complaint.ClockProposed && k.GetState() == clockv1.ClockState_CLOCK_STATE_RUNNING {
				days = k.GetTarget().GetWorkingDays()
			}
		}
		if want := map[bool]int32{false: 2, true: 4}[n == 2]; err != nil || days != want {
			t.Errorf("number %d is to be proposed in %d working days, want %d: %v", n+1, days, want, err)
		}
		if n < 2 {
			continue
		}
		links, err := complaintv1.NewSeverityServiceClient(w.Conn).GetComplaintRepeats(w.as("boss"), &complaintv1.GetComplaintRepeatsRequest{ComplaintId: id})
		if err != nil || len(links.GetRepeats()) != 2 || links.GetRepeats()[0].GetBases()[0] != complaintv1.RepeatBasis_REPEAT_BASIS_CAUSE {
			t.Errorf("%v, %v", links, err)
		}
		req := investigation(id)
		req.Investigation.CauseId = ""
		c = do(api.RecordInvestigation(w.as("tech"), req))
		if c.GetSeverity() != complaintv1.Severity_SEVERITY_MAJOR || len(c.GetSeverityReasons()) != 0 {
			t.Errorf("without the cause: %v", c)
		}
	}
}

func TestTheTreeOfCauses(t *testing.T) {
	w := newWorld(t)
	api := w.investigations()
	add := func(code, parent string) (*complaintv1.Cause, error) {
		return api.CreateCause(w.as("manager"), &complaintv1.CreateCauseRequest{
			Cause: &complaintv1.Cause{Code: code, ParentId: parent, NameZh: "密封", NameEn: "Seals"}})
	}
	change := func(c *complaintv1.Cause, paths ...string) error {
		return failed(api.UpdateCause(w.as("manager"), &complaintv1.UpdateCauseRequest{Cause: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}}))
	}
	seals, err := add("material.seals", material)
	if err != nil || seals.GetParentId() != material || seals.GetEtag() != "1" {
		t.Fatalf("%v, %v", seals, err)
	}
	_, err = add("material.seals", "")
	w.refused("the same code", err, codes.AlreadyExists, "CAUSE_EXISTS", "")
	_, err = add("x", newID(t).String())
	w.refused("no parent", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	_, err = add("no code", "")
	w.refused("a code with a space", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	w.refused("a circle", change(&complaintv1.Cause{Id: material, ParentId: seals.GetId()}, "parent_id"), codes.FailedPrecondition, "CAUSE_CYCLE", "")
	w.refused("no such cause", change(&complaintv1.Cause{Id: newID(t).String()}, "retired"), codes.NotFound, "CAUSE_NOT_FOUND", "")
	w.refused("no id", change(&complaintv1.Cause{Id: "x"}, "retired"), codes.InvalidArgument, "VALIDATION_FAILED", "")
	w.refused("the code", change(&complaintv1.Cause{Id: material, Code: "y"}, "code"), codes.InvalidArgument, "UPDATE_MASK_INVALID", "")
	w.refused("no name", change(&complaintv1.Cause{Id: material}, "name_en"), codes.InvalidArgument, "VALIDATION_FAILED", "")
	w.refused("stale", change(&complaintv1.Cause{Id: material, Etag: "7", Retired: true}, "retired"), codes.Aborted, "ETAG_MISMATCH", "")
	wins := race(2, func() error {
		return change(&complaintv1.Cause{Id: seals.GetId(), Etag: "1", Retired: true}, "retired")
	})
	if wins != 1 {
		t.Errorf("%d of two retire it", wins)
	}
	all, err := api.GetCauseTree(w.as("tech"), &complaintv1.GetCauseTreeRequest{})
	used, also := api.GetCauseTree(w.as("tech"), &complaintv1.GetCauseTreeRequest{InUse: true})
	if err != nil || also != nil || len(all.GetCauses()) != 7 || len(used.GetCauses()) != 6 {
		t.Errorf("%v, %v; %v, %v", all, err, used, also)
	}
	id := w.to(complaint.Contacted).GetId()
	req := investigation(id)
	req.Investigation.CauseId = seals.GetId()
	_, err = api.RecordInvestigation(w.as("tech"), req)
	w.refused("a retired cause", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
}

func TestMatrixOfInvestigations(t *testing.T) {
	w := newWorld(t)
	c := w.investigations()
	far := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, "")
	other := w.held(w.staff["tech2"], far)
	m := accesstest.NewMatrix(t, &complaintv1.InvestigationService_ServiceDesc, map[string]accesstest.Attempt{
		"RecordInvestigation": func(ctx context.Context, id string) error {
			req := investigation(id)
			req.Etag = "999"
			return failed(c.RecordInvestigation(ctx, req))
		},
		"ConfirmQuality": func(ctx context.Context, id string) error {
			req := inspection(id)
			req.Etag = "999"
			return failed(c.ConfirmQuality(ctx, req))
		},
		"CreateCause": func(ctx context.Context, _ string) error {
			return failed(c.CreateCause(ctx, &complaintv1.CreateCauseRequest{Cause: &complaintv1.Cause{Code: "material", NameZh: "x", NameEn: "x"}}))
		},
		"UpdateCause": func(ctx context.Context, _ string) error {
			return failed(c.UpdateCause(ctx, &complaintv1.UpdateCauseRequest{Cause: &complaintv1.Cause{Id: material, Etag: "999"}}))
		},
		"GetCauseTree": func(ctx context.Context, _ string) error {
			return failed(c.GetCauseTree(ctx, &complaintv1.GetCauseTreeRequest{}))
		},
	})
	m.Rowless = []string{"CreateCause", "UpdateCause", "GetCauseTree"}
	w.rows(m, far, other)
}
