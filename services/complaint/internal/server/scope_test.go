package server_test

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

// held is a complaint in the hands of somebody in a department, which nobody here registered.
func (w *world) held(handler, department uuid.UUID) string {
	w.t.Helper()
	id := w.create(nil).GetId()
	for _, sql := range []string{
		`UPDATE complaints SET state = 4, registered_by = 'x|nobody', registered_in = NULL, handler_staff_id = $2, department_id = $3 WHERE id = $1`,
		`WITH gone AS (DELETE FROM complaint_readers WHERE complaint_id = $1 AND reader NOT IN ('staff:' || $2::uuid, 'department:' || $3::uuid))
		 INSERT INTO complaint_readers (complaint_id, reader, state) SELECT $1, r, 4 FROM unnest(ARRAY['staff:' || $2::uuid, 'department:' || $3::uuid]) r
		 ON CONFLICT DO NOTHING`,
	} {
		if _, err := w.Pool.Exec(w.t.Context(), sql, id, handler, department); err != nil {
			w.t.Fatal(err)
		}
	}
	return id
}

// attempts calls every method so that whoever is let through changes nothing of the
// complaint: with an etag that is not the complaint's.
func (w *world) attempts() map[string]accesstest.Attempt {
	const stale = "999"
	c := w.client
	out := w.readings()
	out["CreateComplaint"] = w.registers
	out["ImportComplaints"] = func(ctx context.Context, _ string) error {
		return failed(c.ImportComplaints(ctx, &complaintv1.ImportComplaintsRequest{
			Source: "nyc311", Records: []*complaintv1.ComplaintRecord{w.record("1", nil)}}))
	}
	out["SubmitComplaint"] = func(ctx context.Context, id string) error {
		return failed(c.SubmitComplaint(ctx, &complaintv1.SubmitComplaintRequest{Id: id, Etag: stale}))
	}
	out["ReviewComplaint"] = func(ctx context.Context, id string) error {
		req := w.review(id)
		req.Etag = stale
		return failed(c.ReviewComplaint(ctx, req))
	}
	out["AssignComplaint"] = func(ctx context.Context, id string) error {
		return failed(c.AssignComplaint(ctx, &complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: w.staff["tech"].String(), Etag: stale}))
	}
	out["RecordContact"] = func(ctx context.Context, id string) error {
		req := contact(id)
		req.Etag = stale
		return failed(c.RecordContact(ctx, req))
	}
	out["ProposeSolution"] = func(ctx context.Context, id string) error {
		req := proposal(id, 1)
		req.Etag = stale
		return failed(c.ProposeSolution(ctx, req))
	}
	out["ApproveSolution"] = func(ctx context.Context, id string) error {
		req := approval(id)
		req.Etag = stale
		return failed(c.ApproveSolution(ctx, req))
	}
	out["TellResult"] = func(ctx context.Context, id string) error {
		req := told(id)
		req.Etag = stale
		return failed(c.TellResult(ctx, req))
	}
	out["RecordAnswer"] = func(ctx context.Context, id string) error {
		req := answer(id, satisfied)
		req.Etag = stale
		return failed(c.RecordAnswer(ctx, req))
	}
	out["NextRound"] = func(ctx context.Context, id string) error {
		return failed(c.NextRound(ctx, &complaintv1.NextRoundRequest{Id: id, Etag: stale}))
	}
	out["ReopenComplaint"] = func(ctx context.Context, id string) error {
		req := reopen(id)
		req.Etag = stale
		return failed(c.ReopenComplaint(ctx, req))
	}
	out["CloseComplaint"] = func(ctx context.Context, id string) error {
		return failed(c.CloseComplaint(ctx, &complaintv1.CloseComplaintRequest{Id: id, Etag: stale}))
	}
	out["RetargetComplaint"] = func(ctx context.Context, id string) error {
		return failed(c.RetargetComplaint(ctx, &complaintv1.RetargetComplaintRequest{Id: id, PolicyVersion: 1, Reason: "x", Etag: stale}))
	}
	return out
}

// readings are the attempts that only read.
func (w *world) readings() map[string]accesstest.Attempt {
	c := w.client
	return map[string]accesstest.Attempt{
		"GetComplaint": func(ctx context.Context, id string) error {
			return failed(c.GetComplaint(ctx, &complaintv1.GetComplaintRequest{Id: id}))
		},
		"ListComplaints": w.lists,
		"ListComplaintContacts": func(ctx context.Context, id string) error {
			return failed(c.ListComplaintContacts(ctx, &complaintv1.ListComplaintContactsRequest{ComplaintId: id}))
		},
		"ListComplaintTransitions": func(ctx context.Context, id string) error {
			return failed(c.ListComplaintTransitions(ctx, &complaintv1.ListComplaintTransitionsRequest{ComplaintId: id}))
		},
		"ListComplaintClocks": func(ctx context.Context, id string) error {
			return failed(c.ListComplaintClocks(ctx, &complaintv1.ListComplaintClocksRequest{ComplaintId: id}))
		},
		"ExplainComplaintClock": func(ctx context.Context, id string) error {
			return failed(c.ExplainComplaintClock(ctx, &complaintv1.ExplainComplaintClockRequest{ComplaintId: id, Clock: complaint.ClockPromise}))
		},
	}
}

func failed[T any](_ T, err error) error { return err }

// lists looks for a complaint by its number. What a list leaves out is not found.
func (w *world) lists(ctx context.Context, id string) error {
	page, err := w.client.ListComplaints(ctx, &complaintv1.ListComplaintsRequest{Number: w.get("boss", id).GetNumber()})
	if err == nil && len(page.GetComplaints()) == 0 {
		err = status.Error(codes.NotFound, "not listed")
	}
	return err
}

// registers registers a complaint of the same customer. Customers who name another are told
// that there is no such customer: a refusal as well.
func (w *world) registers(ctx context.Context, id string) error {
	in := w.sample()
	in.CustomerId = w.get("boss", id).GetCustomerId()
	_, err := w.client.CreateComplaint(ctx, &complaintv1.CreateComplaintRequest{Complaint: in})
	if status.Code(err) == codes.InvalidArgument {
		return status.Error(codes.PermissionDenied, err.Error())
	}
	return err
}

// member adds somebody of a role to a department.
func (w *world) member(role string, department uuid.UUID) (uuid.UUID, context.Context) {
	w.t.Helper()
	id := newID(w.t)
	w.apply("staff.changed.v1", id, &ticketv1.StaffChanged{Staff: &ticketv1.Staff{
		Id: id.String(), Name: role, DepartmentId: department.String(), Issuer: w.Issuer.URL(), Subject: "m-" + id.String(),
	}})
	return id, w.AsPerson("m-"+id.String(), role)
}

// TestMatrixOnRows asserts every method × every caller × a complaint of their own, of their
// team and of others, and one about themselves, of which they see the allegation alone.
func TestMatrixOnRows(t *testing.T) {
	w := newWorld(t)
	far := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, "")
	other := w.held(w.staff["tech2"], far)
	m := accesstest.NewMatrix(t, &complaintv1.ComplaintService_ServiceDesc, w.attempts())
	m.Rowless = []string{"CreateComplaint", "ImportComplaints"}
	for _, role := range accesstest.Roles() {
		if role == access.Customer {
			mine := w.held(w.staff["tech2"], far)
			m.Role(role, w.AsCustomer(w.get("boss", mine).GetCustomerId()), map[accesstest.Reach]string{
				accesstest.Own: mine, accesstest.Company: other,
			})
			continue
		}
		me, ctx := w.member(role, w.quality)
		m.Role(role, ctx, map[accesstest.Reach]string{
			accesstest.Own: w.held(me, far), accesstest.Team: w.held(w.staff["tech3"], w.quality), accesstest.Company: other,
		})
		accused := w.held(w.staff["tech3"], w.quality)
		if _, err := w.Pool.Exec(t.Context(), "UPDATE complaints SET accused_staff_id = $2 WHERE id = $1", accused, me); err != nil {
			t.Fatal(err)
		}
		m.Check(role+", who is accused,", ctx, func(l accesstest.Line) accesstest.Reach {
			if l.Name() == "GetComplaint" || slices.Contains(m.Rowless, l.Name()) {
				return l.Role(role)
			}
			return accesstest.None
		}, map[accesstest.Reach]string{accesstest.Own: accused})
	}
	m.Others(w.Service, other)
	t.Logf("complaints: %d cells, %d wrong", m.Cells, m.Wrong)
}

// Service supervisors see, beyond what their team registered or answers for, what waits for
// a step of theirs, while it waits: the review, the approval of what they may approve, and
// the end of what came from customers themselves and so is no team's.
func TestSupervisorsSeeWhatWaitsForThem(t *testing.T) {
	w := newWorld(t)
	_, ctx := w.member(access.ServiceSupervisor, w.quality)
	do := must[*complaintv1.Complaint](w)
	sees := func(what, id string, want bool) {
		t.Helper()
		for method, attempt := range w.readings() {
			if err := attempt(ctx, id); accesstest.Refused(err) == want {
				t.Errorf("%s of one that %s: %v, want allowed %v", method, what, err, want)
			}
		}
	}
	id := w.create(nil).GetId()
	sees("is received", id, true)
	do(w.client.SubmitComplaint(ctx, &complaintv1.SubmitComplaintRequest{Id: id}))
	sees("is submitted", id, true)
	do(w.client.ReviewComplaint(ctx, w.review(id)))
	sees("is reviewed", id, false)
	w.on(w.get("boss", id), complaint.Contacted, "tech")
	sees("is in work", id, false)
	do(w.client.ProposeSolution(w.as("tech"), proposal(id, 501)))
	sees("waits for the approval of 501.00", id, false)
	_, err := w.client.ApproveSolution(ctx, approval(id))
	w.refused("501.00", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	do(w.client.ApproveSolution(w.as("manager"), &complaintv1.ApproveSolutionRequest{
		Id: id, Decision: complaintv1.Decision_DECISION_RETURNED, Reason: "less will do"}))
	do(w.client.ProposeSolution(w.as("tech"), proposal(id, 500)))
	sees("waits for the approval of 500.00", id, true)
	do(w.client.RecordContact(w.as("tech"), contact(id)))
	sees("still waits for it", id, true)
	do(w.client.ApproveSolution(ctx, approval(id)))
	sees("is approved", id, false)
	w.on(w.get("boss", id), complaint.Told, "tech")
	do(w.client.RecordAnswer(w.as("tech"), answer(id, unsatisfied)))
	sees("is answered", id, false)
	do(w.client.NextRound(w.as("supervisor"), &complaintv1.NextRoundRequest{Id: id, CategoryDisputed: true}))
	sees("waits for another review", id, true)
	req := w.review(id)
	req.DepartmentId = w.service.String()
	do(w.client.ReviewComplaint(ctx, req))
	do(w.client.AssignComplaint(w.as("manager"), &complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: w.staff["agent2"].String()}))
	do(w.client.RecordContact(w.as("agent2"), contact(id)))
	do(w.client.ProposeSolution(w.as("agent2"), proposal(id, 1)))
	sees("the company manager decides on", id, false)

	in := w.sample()
	in.CustomerId = w.customer
	id = do(w.client.CreateComplaint(w.AsCustomer(w.customer), &complaintv1.CreateComplaintRequest{Complaint: in})).GetId()
	sees("a customer registered", id, true)
	do(w.client.SubmitComplaint(ctx, &complaintv1.SubmitComplaintRequest{Id: id}))
	w.on(w.get("boss", id), complaint.Approved, "tech")
	sees("is nobody's and approved", id, false)
	w.on(w.get("boss", id), complaint.Told, "tech")
	do(w.client.RecordAnswer(w.as("tech"), answer(id, satisfied)))
	sees("is nobody's and answered", id, true)
	do(w.client.CloseComplaint(ctx, &complaintv1.CloseComplaintRequest{Id: id}))
	sees("is closed", id, false)
}

// The migration that narrowed supervisors gives complaints that were there the keys they
// would have got by their last move.
func TestComplaintsThatWereThereGotTheSameKeys(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	for _, state := range []complaint.State{complaint.Received, complaint.Submitted, complaint.Reviewed, complaint.Proposed, complaint.Told, complaint.Closed} {
		w.to(state)
		in := w.sample()
		c := do(w.client.CreateComplaint(w.AsCustomer(in.GetCustomerId()), &complaintv1.CreateComplaintRequest{Complaint: in}))
		do(w.client.SubmitComplaint(w.as("supervisor"), &complaintv1.SubmitComplaintRequest{Id: c.GetId()}))
		if state > complaint.Submitted {
			w.on(c, state, "tech")
		}
	}
	for _, units := range []int64{500, 501} {
		do(w.client.ProposeSolution(w.as("tech"), proposal(w.to(complaint.Contacted).GetId(), units)))
	}
	keys := func() (all []string) {
		rows, err := w.Pool.Query(t.Context(), "SELECT complaint_id || ' ' || reader || ' ' || state FROM complaint_readers ORDER BY 1")
		if err == nil {
			all, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	run := func(sql string) {
		if _, err := w.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := fs.ReadFile(db.Migrations().FS, "migrations/0003_narrow_supervisors.sql")
	if err != nil {
		t.Fatal(err)
	}
	up, down, _ := strings.Cut(string(raw), "-- +goose Down")
	want := keys()
	run(down)
	if got := keys(); len(got) == len(want) {
		t.Fatal("the way back took nothing away")
	}
	run(up)
	if diff := cmp.Diff(want, keys()); diff != "" {
		t.Error(diff)
	}
}
