package server_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

// byCustomer registers a complaint as its customer.
func (w *world) byCustomer() string {
	w.t.Helper()
	in := w.sample()
	return must[*complaintv1.Complaint](w)(w.client.CreateComplaint(w.AsCustomer(in.GetCustomerId()),
		&complaintv1.CreateComplaintRequest{Complaint: in})).GetId()
}

// readersOf are those of names who may read a complaint.
func (w *world) readable(id string, as map[string]context.Context) map[string]bool {
	w.t.Helper()
	out := map[string]bool{}
	for name, ctx := range as {
		_, err := w.client.GetComplaint(ctx, &complaintv1.GetComplaintRequest{Id: id})
		if err != nil && !accesstest.Refused(err) {
			w.t.Fatal(err)
		}
		out[name] = err == nil
	}
	return out
}

// What somebody of the company registered is read by no agent besides, also where the directory
// does not know who registered it; what a customer registered is read by those who receive it.
func TestWhoReceivesComplaints(t *testing.T) {
	w := newWorld(t)
	desk := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_COMPLAINT_DESK, "")
	_, elsewhere := w.member(access.ServiceAgent, w.afterSales)
	_, atDesk := w.member(access.ServiceAgent, desk)
	as := map[string]context.Context{
		"agent": w.as("agent"), "agent2": w.as("agent2"), "elsewhere": elsewhere, "at the desk": atDesk,
		"nobody knows": w.AsPerson("nobody knows", access.ServiceAgent), "clerk": w.as("clerk"),
	}
	in := w.sample()
	unknown := must[*complaintv1.Complaint](w)(w.client.CreateComplaint(w.AsPerson("new", access.ServiceManager),
		&complaintv1.CreateComplaintRequest{Complaint: in})).GetId()
	known := must[*complaintv1.Complaint](w)(w.client.CreateComplaint(w.as("manager"),
		&complaintv1.CreateComplaintRequest{Complaint: w.sample()})).GetId()
	own := w.byCustomer()
	check := func(what string, want map[string][]string) {
		t.Helper()
		for row, id := range map[string]string{"unknown": unknown, "known": known, "own": own} {
			got := w.readable(id, as)
			for _, name := range want[row] {
				if !got[name] {
					t.Errorf("%s: %s does not read %s", what, name, row)
				}
				delete(got, name)
			}
			for name, may := range got {
				if may {
					t.Errorf("%s: %s reads %s", what, name, row)
				}
			}
		}
	}
	check("nobody is designated", map[string][]string{"own": {"agent", "agent2", "at the desk"}})
	api := complaintv1.NewComplaintReceiverServiceClient(w.Conn)
	set := func(receiver, deputy string) error {
		return failed(api.SetComplaintReceivers(w.as("manager"), &complaintv1.SetComplaintReceiversRequest{
			Receivers: &complaintv1.ComplaintReceivers{ReceiverStaffId: receiver, DeputyStaffId: deputy}}))
	}
	if err := set(w.staff["agent2"].String(), w.staff["clerk"].String()); err != nil {
		t.Fatal(err)
	}
	check("designated", map[string][]string{"own": {"agent2", "clerk"}})
	must[*complaintv1.Complaint](w)(w.client.SubmitComplaint(w.as("clerk"), &complaintv1.SubmitComplaintRequest{Id: own}))
	current := must[*complaintv1.ComplaintReceivers](w)(api.GetComplaintReceivers(w.as("manager"), &complaintv1.GetComplaintReceiversRequest{}))
	must[*complaintv1.ComplaintReceivers](w)(api.SetComplaintReceivers(w.as("manager"), &complaintv1.SetComplaintReceiversRequest{
		Receivers: &complaintv1.ComplaintReceivers{Etag: current.GetEtag()}}))
	check("nobody any more", map[string][]string{"own": {"agent", "agent2", "at the desk"}})
}

func TestDesignatingReceivers(t *testing.T) {
	w := newWorld(t)
	api := complaintv1.NewComplaintReceiverServiceClient(w.Conn)
	one, two := w.staff["agent"].String(), w.staff["agent2"].String()
	for what, r := range map[string]*complaintv1.ComplaintReceivers{
		"nothing":              {},
		"a deputy of nobody":   {DeputyStaffId: one},
		"their own deputy":     {ReceiverStaffId: one, DeputyStaffId: one},
		"somebody unknown":     {ReceiverStaffId: newID(t).String()},
		"a deputy not known":   {ReceiverStaffId: one, DeputyStaffId: newID(t).String()},
		"what is no id at all": {ReceiverStaffId: "x"},
	} {
		_, err := api.SetComplaintReceivers(w.as("manager"), &complaintv1.SetComplaintReceiversRequest{Receivers: r})
		w.refused(what, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	set := &complaintv1.SetComplaintReceiversRequest{Receivers: &complaintv1.ComplaintReceivers{ReceiverStaffId: one, DeputyStaffId: two, Etag: "1"}}
	done := must[*complaintv1.ComplaintReceivers](w)(api.SetComplaintReceivers(w.as("manager"), set))
	if done.GetReceiverStaffId() != one || done.GetDeputyStaffId() != two || done.GetEtag() != "2" {
		t.Errorf("designated %v", done)
	}
	_, err := api.SetComplaintReceivers(w.as("manager"), set)
	w.refused("stale", err, codes.Aborted, "ETAG_MISMATCH", "")
	got := must[*complaintv1.ComplaintReceivers](w)(api.GetComplaintReceivers(w.as("agent"), &complaintv1.GetComplaintReceiversRequest{}))
	if got.GetReceiverStaffId() != one || got.GetEtag() != "2" {
		t.Errorf("read %v", got)
	}
}

func TestMatrixOfReceivers(t *testing.T) {
	w := newWorld(t)
	api := complaintv1.NewComplaintReceiverServiceClient(w.Conn)
	far := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, "")
	m := accesstest.NewMatrix(t, &complaintv1.ComplaintReceiverService_ServiceDesc, map[string]accesstest.Attempt{
		"GetComplaintReceivers": func(ctx context.Context, _ string) error {
			return failed(api.GetComplaintReceivers(ctx, &complaintv1.GetComplaintReceiversRequest{}))
		},
		"SetComplaintReceivers": func(ctx context.Context, _ string) error {
			return failed(api.SetComplaintReceivers(ctx, &complaintv1.SetComplaintReceiversRequest{Receivers: &complaintv1.ComplaintReceivers{
				ReceiverStaffId: w.staff["agent"].String()}}))
		},
		"RenewReceipt": func(ctx context.Context, id string) error {
			return failed(api.RenewReceipt(ctx, &complaintv1.RenewReceiptRequest{Id: id}))
		},
	})
	m.Rowless = []string{"GetComplaintReceivers", "SetComplaintReceivers"}
	w.rows(m, far, w.held(w.staff["tech2"], far))
}
