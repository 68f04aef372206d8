package server_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
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

// attempts calls the methods about one complaint so that whoever is let through changes
// nothing: with an etag that is not the complaint's.
func (w *world) attempts() map[string]func(ctx context.Context, id string) error {
	const stale = "999"
	c := w.client
	return map[string]func(ctx context.Context, id string) error{
		"GetComplaint": func(ctx context.Context, id string) error {
			_, err := c.GetComplaint(ctx, &complaintv1.GetComplaintRequest{Id: id})
			return err
		},
		"ListComplaintContacts": func(ctx context.Context, id string) error {
			_, err := c.ListComplaintContacts(ctx, &complaintv1.ListComplaintContactsRequest{ComplaintId: id})
			return err
		},
		"SubmitComplaint": func(ctx context.Context, id string) error {
			_, err := c.SubmitComplaint(ctx, &complaintv1.SubmitComplaintRequest{Id: id, Etag: stale})
			return err
		},
		"ReviewComplaint": func(ctx context.Context, id string) error {
			req := w.review(id)
			req.Etag = stale
			_, err := c.ReviewComplaint(ctx, req)
			return err
		},
		"AssignComplaint": func(ctx context.Context, id string) error {
			_, err := c.AssignComplaint(ctx, &complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: w.staff["tech"].String(), Etag: stale})
			return err
		},
		"RecordContact": func(ctx context.Context, id string) error {
			req := contact(id)
			req.Etag = stale
			_, err := c.RecordContact(ctx, req)
			return err
		},
		"ProposeSolution": func(ctx context.Context, id string) error {
			req := proposal(id, 1)
			req.Etag = stale
			_, err := c.ProposeSolution(ctx, req)
			return err
		},
		"ApproveSolution": func(ctx context.Context, id string) error {
			req := approval(id)
			req.Etag = stale
			_, err := c.ApproveSolution(ctx, req)
			return err
		},
		"TellResult": func(ctx context.Context, id string) error {
			req := told(id)
			req.Etag = stale
			_, err := c.TellResult(ctx, req)
			return err
		},
		"CloseComplaint": func(ctx context.Context, id string) error {
			_, err := c.CloseComplaint(ctx, &complaintv1.CloseComplaintRequest{Id: id, Etag: stale})
			return err
		},
	}
}

// TestMatrixOnRows asserts the methods about a complaint × every role × a complaint of their
// own, of their team and of others. Service supervisors review and decide on all complaints,
// whoever registered them, so their team is everyone.
func TestMatrixOnRows(t *testing.T) {
	w := newWorld(t)
	table := accesstest.Table(t)
	far := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, "")
	other := w.held(w.staff["tech2"], far)
	cells, wrong := 0, 0
	for _, role := range accesstest.Roles() {
		if role == access.Customer {
			continue // reading_test tells what customers see
		}
		member := newID(t)
		w.apply("staff.changed.v1", member, &ticketv1.StaffChanged{Staff: &ticketv1.Staff{
			Id: member.String(), Name: role, DepartmentId: w.quality.String(), Issuer: w.Issuer.URL(), Subject: "m-" + role,
		}})
		rows := map[accesstest.Reach]string{
			accesstest.Own: w.held(member, far), accesstest.Team: w.held(w.staff["tech3"], w.quality), accesstest.Company: other,
		}
		for method, attempt := range w.attempts() {
			reach := table["/kefu.complaint.v1.ComplaintService/"+method].Role(role)
			if role == access.ServiceSupervisor && reach != accesstest.None {
				reach = accesstest.Company
			}
			for row, id := range rows {
				cells++
				err := attempt(w.AsPerson("m-"+role, role), id)
				code := status.Code(err)
				allowed := code != codes.NotFound && code != codes.PermissionDenied && code != codes.Unauthenticated
				if allowed != reach.Covers(row) {
					wrong++
					t.Errorf("%s by %s on row %d: %v, want allowed %v", method, role, row, err, reach.Covers(row))
				}
			}
		}
	}
	t.Logf("complaints: %d cells, %d wrong", cells, wrong)
}
