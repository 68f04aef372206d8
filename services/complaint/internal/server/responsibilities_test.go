package server_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

const (
	heldDepartment = complaintv1.ResponsibilityKind_RESPONSIBILITY_KIND_DEPARTMENT
	heldPerson     = complaintv1.ResponsibilityKind_RESPONSIBILITY_KIND_PERSON
	heldNobody     = complaintv1.ResponsibilityKind_RESPONSIBILITY_KIND_NONE
)

// held is the API of responsibilities, with a complaint of tech's and a sales manager.
type holding struct {
	*world
	api   complaintv1.ResponsibilityServiceClient
	id    string
	sales context.Context
}

func newHolding(t *testing.T) *holding {
	t.Helper()
	w := newWorld(t)
	h := &holding{world: w, api: complaintv1.NewResponsibilityServiceClient(w.Conn), id: w.to(complaint.Contacted).GetId()}
	_, h.sales = w.member(access.SalesManager, w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, ""))
	return h
}

func (h *holding) propose(who string, kind complaintv1.ResponsibilityKind, department, person string) (*complaintv1.Responsibility, error) {
	return h.api.ProposeResponsibility(h.as(who), &complaintv1.ProposeResponsibilityRequest{ComplaintId: h.id, Responsibility: &complaintv1.Responsibility{
		Kind: kind, DepartmentId: department, StaffId: person, Grounds: "the torque was not checked"}})
}

func (h *holding) object(ctx context.Context) (*complaintv1.Responsibility, error) {
	return h.api.ObjectResponsibility(ctx, &complaintv1.ObjectResponsibilityRequest{ComplaintId: h.id, Reason: "it was"})
}

func (h *holding) determine(ctx context.Context, held bool) (*complaintv1.Responsibility, error) {
	return h.api.DetermineResponsibility(ctx, &complaintv1.DetermineResponsibilityRequest{ComplaintId: h.id, Reason: "the log says", Held: held})
}

func (h *holding) appeal(ctx context.Context) (*complaintv1.Responsibility, error) {
	return h.api.AppealResponsibility(ctx, &complaintv1.AppealResponsibilityRequest{ComplaintId: h.id, Reason: "the log is another's"})
}

func (h *holding) decide(ctx context.Context, held bool) (*complaintv1.Responsibility, error) {
	return h.api.DecideResponsibility(ctx, &complaintv1.DecideResponsibilityRequest{ComplaintId: h.id, Reason: "heard both", Held: held})
}

func TestResponsibilityIsObjectedToDeterminedAppealedAndDecided(t *testing.T) {
	h := newHolding(t)
	do := must[*complaintv1.Responsibility](h.world)
	r := do(h.propose("tech", heldDepartment, h.afterSales.String(), ""))
	if r.GetState() != complaint.HeldProposed || r.GetInEffect() || r.GetObjectionDue().AsTime().Sub(h.Clock.Now()) < 24*time.Hour {
		t.Errorf("%v", r)
	}
	_, err := h.propose("tech", heldDepartment, h.afterSales.String(), "")
	h.refused("a second proposal", err, codes.FailedPrecondition, "RESPONSIBILITY_WRONG_STATE", "")
	_, err = h.determine(h.sales, true)
	h.refused("within the window", err, codes.FailedPrecondition, "OBJECTION_WINDOW_OPEN", "complaint.objection/1")
	_, err = h.object(h.as("tech"))
	h.refused("not the head", err, codes.PermissionDenied, "NOT_THE_PARTY", "complaint.objection/1")
	_, err = h.object(h.as("tech2"))
	h.refused("a stranger", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	if won := race(3, func() error { return failed(h.object(h.as("head"))) }); won != 1 {
		t.Errorf("%d of three objections count", won)
	}
	if r = do(h.determine(h.sales, true)); r.GetState() != complaint.HeldDetermined || !r.GetInEffect() {
		t.Errorf("%v", r)
	}
	_, err = h.decide(h.as("boss"), true)
	h.refused("no appeal", err, codes.FailedPrecondition, "RESPONSIBILITY_WRONG_STATE", "")
	if r = do(h.appeal(h.as("head"))); r.GetState() != complaint.HeldAppealed || r.GetInEffect() {
		t.Errorf("an appeal does not freeze it: %v", r)
	}
	if r = do(h.decide(h.as("boss"), true)); r.GetState() != complaint.HeldFinal || !r.GetInEffect() || len(r.GetSteps()) != 5 || r.GetSteps()[1].GetReason() != "it was" {
		t.Errorf("%v", r)
	}
	_, err = h.appeal(h.as("head"))
	h.refused("what is final", err, codes.FailedPrecondition, "RESPONSIBILITY_WRONG_STATE", "")
	got, err := h.api.GetResponsibility(h.sales, &complaintv1.GetResponsibilityRequest{ComplaintId: h.id})
	if err != nil || got.GetEtag() != "5" {
		t.Errorf("%v, %v", got, err)
	}
	_, err = h.api.GetResponsibility(h.as("tech2"), &complaintv1.GetResponsibilityRequest{ComplaintId: h.id})
	h.refused("a stranger reads", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
}

func TestAPersonWhoIsHeldResponsibleKnowsAndAnswers(t *testing.T) {
	h := newHolding(t)
	do := must[*complaintv1.Responsibility](h.world)
	_, err := h.api.GetResponsibility(h.as("tech"), &complaintv1.GetResponsibilityRequest{ComplaintId: h.id})
	h.refused("none yet", err, codes.NotFound, "RESPONSIBILITY_NOT_FOUND", "")
	_, err = h.determine(h.as("boss"), true)
	h.refused("none to determine", err, codes.NotFound, "RESPONSIBILITY_NOT_FOUND", "")
	do(h.propose("tech", heldPerson, "", h.staff["tech2"].String()))
	if r := do(h.api.GetResponsibility(h.as("tech2"), &complaintv1.GetResponsibilityRequest{ComplaintId: h.id})); r.GetDepartmentId() != h.afterSales.String() {
		t.Errorf("%v", r)
	}
	if _, err := h.client.GetComplaint(h.as("tech2"), &complaintv1.GetComplaintRequest{Id: h.id}); err == nil {
		t.Error("the party sees the complaint")
	}
	h.Clock.Advance(10 * 24 * time.Hour)
	_, err = h.object(h.as("tech2"))
	h.refused("too late", err, codes.FailedPrecondition, "OBJECTION_TOO_LATE", "complaint.objection/1")
	_, err = h.api.DetermineResponsibility(h.sales, &complaintv1.DetermineResponsibilityRequest{ComplaintId: h.id, Reason: "x", Etag: "9"})
	h.refused("stale", err, codes.Aborted, "ETAG_MISMATCH", "")
	if r := do(h.determine(h.sales, false)); r.GetState() != complaint.HeldNoLonger || r.GetInEffect() || r.GetObjectionDue() != nil {
		t.Errorf("%v", r)
	}
	do(h.propose("tech", heldNobody, "", ""))
	if r := do(h.determine(h.sales, true)); r.GetObjectionDue() != nil || !r.GetInEffect() {
		t.Errorf("nobody answers: %v", r)
	}
}

func TestWhoMayNotSettleResponsibility(t *testing.T) {
	h := newHolding(t)
	do := must[*complaintv1.Responsibility](h.world)
	_, err := h.propose("head", heldNobody, "", "")
	h.refused("not the handler", err, codes.PermissionDenied, "NOT_THE_PROPOSER", "complaint.responsibility/1")
	_, err = h.propose("tech", heldPerson, "", h.staff["tech"].String())
	h.refused("on oneself", err, codes.PermissionDenied, "RESPONSIBILITY_CONCERNS_CALLER", "complaint.impartiality/1")
	for name, given := range map[string][2]string{
		"no person": {"", ""}, "an unknown one": {"", newID(t).String()}, "of another department": {h.quality.String(), h.staff["tech2"].String()},
	} {
		_, err := h.propose("tech", heldPerson, given[0], given[1])
		h.refused(name, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	// Sales and supply cannot determine on itself; the company manager does.
	member, ctx := h.member(access.SalesManager, h.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, ""))
	do(h.propose("tech", heldPerson, "", member.String()))
	h.Clock.Advance(10 * 24 * time.Hour)
	_, err = h.determine(h.sales, true)
	h.refused("sales on itself", err, codes.PermissionDenied, "DETERMINER_CONCERNED", "complaint.responsibility/1")
	_, err = h.determine(ctx, true)
	h.refused("the party", err, codes.PermissionDenied, "RESPONSIBILITY_CONCERNS_CALLER", "complaint.impartiality/1")
	do(h.determine(h.as("boss"), true))
	do(h.appeal(ctx))
	_, err = h.decide(h.as("boss"), true)
	h.refused("who determined", err, codes.PermissionDenied, "SECOND_PERSON_NEEDED", "")
	// Whoever is complained about neither proposes nor determines.
	if _, err := h.Pool.Exec(t.Context(), "UPDATE complaints SET handler_staff_id = NULL, accused_staff_id = $2 WHERE id = $1", h.id, h.staff["boss"]); err != nil {
		t.Fatal(err)
	}
	_, err = h.decide(h.as("boss"), true)
	h.refused("who is complained about", err, codes.PermissionDenied, "COMPLAINT_CONCERNS_CALLER", "complaint.impartiality/1")
}

func TestMatrixOfResponsibilities(t *testing.T) {
	w := newWorld(t)
	c := complaintv1.NewResponsibilityServiceClient(w.Conn)
	far := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, "")
	hold := func(id string) {
		if _, err := w.Pool.Exec(t.Context(), `INSERT INTO complaint_responsibilities (id, complaint_id, kind, grounds, state, proposer_actor, determiner_actor, version)
			VALUES ($1, $2, 5, '', 1, 'x|nobody', '', 1) ON CONFLICT DO NOTHING`, newID(t), id); err != nil {
			t.Fatal(err)
		}
	}
	try := func(f func(context.Context, string) error) accesstest.Attempt {
		return func(ctx context.Context, id string) error {
			hold(id)
			return f(ctx, id)
		}
	}
	const stale = "999"
	m := accesstest.NewMatrix(t, &complaintv1.ResponsibilityService_ServiceDesc, map[string]accesstest.Attempt{
		"ProposeResponsibility": func(ctx context.Context, id string) error {
			// Who may try and is not the one to propose is told so: not a question of the matrix.
			_, err := c.ProposeResponsibility(ctx, &complaintv1.ProposeResponsibilityRequest{ComplaintId: id, Responsibility: &complaintv1.Responsibility{
				Kind: heldNobody, Grounds: "x"}})
			return unless(err, "NOT_THE_PROPOSER")
		},
		"ObjectResponsibility": try(func(ctx context.Context, id string) error {
			return failed(c.ObjectResponsibility(ctx, &complaintv1.ObjectResponsibilityRequest{ComplaintId: id, Reason: "x", Etag: stale}))
		}),
		"DetermineResponsibility": try(func(ctx context.Context, id string) error {
			return failed(c.DetermineResponsibility(ctx, &complaintv1.DetermineResponsibilityRequest{ComplaintId: id, Reason: "x", Etag: stale}))
		}),
		"AppealResponsibility": try(func(ctx context.Context, id string) error {
			return failed(c.AppealResponsibility(ctx, &complaintv1.AppealResponsibilityRequest{ComplaintId: id, Reason: "x", Etag: stale}))
		}),
		"DecideResponsibility": try(func(ctx context.Context, id string) error {
			return failed(c.DecideResponsibility(ctx, &complaintv1.DecideResponsibilityRequest{ComplaintId: id, Reason: "x", Etag: stale}))
		}),
		"GetResponsibility": try(func(ctx context.Context, id string) error {
			return failed(c.GetResponsibility(ctx, &complaintv1.GetResponsibilityRequest{ComplaintId: id}))
		}),
	})
	w.rows(m, far, w.held(w.staff["tech2"], far))
}

// unless is the error, nil where it has that reason.
func unless(err error, reason string) error {
	if rpcerr.Reason(err) == reason {
		return nil
	}
	return err
}
