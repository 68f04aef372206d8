package server_test

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func (w *world) bulk(ctx context.Context, req *ticketv1.BulkTicketsRequest) (*ticketv1.BulkTicketsResponse, error) {
	return ticketv1.NewBulkServiceClient(w.Conn).BulkTickets(ctx, req)
}

// outcomes are the reasons of the results, "" for what was done.
func outcomes(r *ticketv1.BulkTicketsResponse) (out []string) {
	for _, one := range r.GetResults() {
		reason := ""
		for _, f := range one.GetRefusals() {
			reason += f.GetReason()
		}
		out = append(out, reason)
	}
	return out
}

// Each ticket meets the rules of its own call, and one that is refused holds up no other.
func TestBulkMeetsEveryGuard(t *testing.T) {
	w := newWorld(t)
	free, held, early := w.at(ticket.InProgress, "").GetId(), w.at(ticket.InProgress, "").GetId(), w.at(ticket.New, "").GetId()
	w.task(held, w.desk.GetId(), "", true)
	far := w.given(ticket.InProgress, w.department("far").GetId(), "", "", "somebody")
	resolve := &ticketv1.BulkTicketsRequest_Resolve{Resolve: &ticketv1.ResolveTicketRequest{Resolution: "seal replaced"}}
	agent := w.AsStaff(access.ServiceAgent, "agent-1")
	req := &ticketv1.BulkTicketsRequest{Ids: []string{held, early, far, nowhere, free}, RequestId: "b", Action: resolve}
	w.exec(`UPDATE tickets SET registrar = 'somebody' WHERE id = $1`, early)
	got, err := w.bulk(agent, req)
	want := []string{"TICKET_TASKS_OPEN", "TICKET_WRONG_STATE", "TICKET_NOT_FOUND", "TICKET_NOT_FOUND", ""}
	if err != nil || !slices.Equal(outcomes(got), want) || got.GetDone() != 1 {
		t.Fatalf("%v, %v, want %v", outcomes(got), err, want)
	}
	if last := got.GetResults()[4]; last.GetState() != ticket.Resolved || last.GetEtag() != w.get(free).GetEtag() || last.GetId() != free {
		t.Errorf("done %v", last)
	}
	// Neither is a ticket closed that has a required task open: it was never resolved.
	closing, err := w.bulk(w.manager(), &ticketv1.BulkTicketsRequest{Ids: []string{held, free}, Action: &ticketv1.BulkTicketsRequest_Confirm{Confirm: &ticketv1.ConfirmTicketRequest{}}})
	if err != nil || !slices.Equal(outcomes(closing), []string{"TICKET_WRONG_STATE", ""}) {
		t.Errorf("%v, %v", outcomes(closing), err)
	}
	again, err := w.bulk(agent, req)
	if err != nil || again.GetDone() != 1 || w.count(`SELECT count(*) FROM ticket_transitions WHERE ticket_id = $1 AND verb = 'resolve'`, free) != 1 {
		t.Errorf("again: %v, %v", again, err)
	}
	if n := w.count(`SELECT count(*) FROM audit_records WHERE action LIKE '%BulkTickets' AND object_id = $1`, free); n != 2 {
		t.Errorf("%d audit records of two bulks", n)
	}
}

func TestEveryBulkAction(t *testing.T) {
	w := newWorld(t)
	far := w.department("far")
	w.staffOf(far.GetId(), "head")
	into := w.at(ticket.New, "").GetId()
	for _, c := range []struct {
		req  *ticketv1.BulkTicketsRequest
		from ticket.State
		to   ticket.State
	}{
		{&ticketv1.BulkTicketsRequest{Action: &ticketv1.BulkTicketsRequest_Triage{Triage: &ticketv1.TriageTicketRequest{
			Type: ticketv1.TicketType_TICKET_TYPE_REPAIR, Priority: p2, DepartmentId: w.desk.GetId()}}}, ticket.New, ticket.Triaged},
		{&ticketv1.BulkTicketsRequest{Action: &ticketv1.BulkTicketsRequest_Prioritize{Prioritize: &ticketv1.PrioritizeTicketRequest{Priority: p1, Reason: "x"}}}, ticket.New, ticket.New},
		{&ticketv1.BulkTicketsRequest{Action: &ticketv1.BulkTicketsRequest_Assign{Assign: &ticketv1.AssignTicketRequest{StaffId: w.agent.GetId()}}}, ticket.New, ticket.Assigned},
		{&ticketv1.BulkTicketsRequest{Action: &ticketv1.BulkTicketsRequest_AutoAssign{AutoAssign: &ticketv1.AutoAssignTicketRequest{}}}, ticket.Triaged, ticket.Assigned},
		{&ticketv1.BulkTicketsRequest{Action: &ticketv1.BulkTicketsRequest_Transfer{Transfer: &ticketv1.TransferTicketRequest{DepartmentId: far.GetId(), Reason: "x"}}}, ticket.Triaged, ticket.Assigned},
		{&ticketv1.BulkTicketsRequest{Action: &ticketv1.BulkTicketsRequest_Start{Start: &ticketv1.StartTicketRequest{}}}, ticket.Assigned, ticket.InProgress},
		{&ticketv1.BulkTicketsRequest{Action: &ticketv1.BulkTicketsRequest_Wait{Wait: &ticketv1.WaitTicketRequest{
			WaitFor: ticketv1.WaitFor_WAIT_FOR_CUSTOMER, Reason: "x"}}}, ticket.InProgress, ticket.Waiting},
		{&ticketv1.BulkTicketsRequest{Action: &ticketv1.BulkTicketsRequest_Resume{Resume: &ticketv1.ResumeTicketRequest{}}}, ticket.Waiting, ticket.InProgress},
		{&ticketv1.BulkTicketsRequest{Action: &ticketv1.BulkTicketsRequest_Reopen{Reopen: &ticketv1.ReopenTicketRequest{Reason: "x"}}}, ticket.Closed, ticket.Assigned},
		{&ticketv1.BulkTicketsRequest{Action: &ticketv1.BulkTicketsRequest_Cancel{Cancel: &ticketv1.CancelTicketRequest{Reason: "x"}}}, ticket.New, ticket.Cancelled},
		{&ticketv1.BulkTicketsRequest{Action: &ticketv1.BulkTicketsRequest_Merge{Merge: &ticketv1.MergeTicketRequest{IntoId: into, Reason: "x"}}}, ticket.New, ticket.Merged},
	} {
		c.req.Ids = []string{w.at(c.from, "").GetId(), w.at(c.from, "").GetId()}
		got, err := w.bulk(w.manager(), c.req)
		if err != nil || got.GetDone() != 2 || got.GetResults()[1].GetState() != c.to {
			t.Errorf("%v: %v, %v", c.req, got, err)
		}
	}
}

func TestBulkRefusals(t *testing.T) {
	w := newWorld(t)
	id := w.at(ticket.New, "").GetId()
	cancel := &ticketv1.BulkTicketsRequest_Cancel{Cancel: &ticketv1.CancelTicketRequest{Reason: "x"}}
	for field, req := range map[string]*ticketv1.BulkTicketsRequest{
		"ids": {Action: cancel}, "ids[0]": {Ids: []string{"x"}, Action: cancel}, "action": {Ids: []string{id}},
	} {
		_, err := w.bulk(w.manager(), req)
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	_, err := w.bulk(w.AsStaff(access.SupportEngineer, "agent-1"), &ticketv1.BulkTicketsRequest{Ids: []string{id}, Action: cancel})
	refused(t, "an action without its right", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	got, err := w.bulk(w.manager(), &ticketv1.BulkTicketsRequest{Ids: []string{id}, Action: &ticketv1.BulkTicketsRequest_Cancel{Cancel: &ticketv1.CancelTicketRequest{}}})
	if err != nil || got.GetDone() != 0 || got.GetResults()[0].GetRefusals()[0].GetField() != "reason" {
		t.Errorf("without a reason: %v, %v", got, err)
	}
	// The reach is that of the action's right, and not that of the bulk's.
	got, err = w.bulk(w.AsAccount("erp", "tickets.work", "tickets.cancel", "tickets.read"), &ticketv1.BulkTicketsRequest{Ids: []string{id}, Action: cancel})
	if err != nil || got.GetDone() != 1 {
		t.Errorf("a system: %v, %v", got, err)
	}
}

// A version that is not current refuses its ticket alone, as the call for one ticket does.
func TestBulkRefusesWhatIsStale(t *testing.T) {
	w := newWorld(t)
	current, stale, unnamed := w.at(ticket.New, ""), w.at(ticket.New, ""), w.at(ticket.New, "")
	if _, err := w.do(w.manager(), "prioritize", stale.GetId(), ""); err != nil {
		t.Fatal(err)
	}
	req := &ticketv1.BulkTicketsRequest{
		Ids:    []string{stale.GetId(), current.GetId(), unnamed.GetId()},
		Etags:  map[string]string{stale.GetId(): stale.GetEtag(), current.GetId(): current.GetEtag()},
		Action: &ticketv1.BulkTicketsRequest_Cancel{Cancel: &ticketv1.CancelTicketRequest{Reason: "x"}},
	}
	got, err := w.bulk(w.manager(), req)
	if err != nil || !slices.Equal(outcomes(got), []string{"ETAG_MISMATCH", "", ""}) || got.GetDone() != 2 || w.get(stale.GetId()).GetState() != ticket.New {
		t.Fatalf("%v, %v", got, err)
	}
	req.Ids, req.Etags = []string{stale.GetId()}, map[string]string{stale.GetId(): w.get(stale.GetId()).GetEtag()}
	if got, err = w.bulk(w.manager(), req); err != nil || got.GetDone() != 1 {
		t.Errorf("with the present version: %v, %v", got, err)
	}
	for what, etags := range map[string]map[string]string{"etags": {current.GetId(): "1"}, "etags[\"" + stale.GetId() + "\"]": {stale.GetId(): ""}} {
		req.Etags = etags
		_, err := w.bulk(w.manager(), req)
		refused(t, what, err, codes.InvalidArgument, "VALIDATION_FAILED", what)
	}
}
