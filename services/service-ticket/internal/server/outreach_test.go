package server_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func (w *world) outreach() ticketv1.OutreachServiceClient {
	return ticketv1.NewOutreachServiceClient(w.Conn)
}

// installed tells what the registry's event does of a product.
func (w *world) installed(customer, model, serial string) {
	w.t.Helper()
	payload, err := anypb.New(&customerv1.ProductInstalled{ProductModel: model, SerialNumber: serial})
	if err != nil {
		w.t.Fatal(err)
	}
	env := &eventv1.Envelope{
		Id: uuid.NewString(), Type: "product.installed.v1", SubjectId: uuid.NewString(), SubjectVersion: 1, CustomerId: customer, Payload: payload,
	}
	if err := pgx.BeginFunc(w.t.Context(), w.Pool, func(tx pgx.Tx) error { return w.server.HandleProducts(w.t.Context(), tx, env) }); err != nil {
		w.t.Fatal(err)
	}
}

func TestAFaultFindsItsCustomers(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.customer(typev1.Tier_TIER_KEY), w.customer(typev1.Tier_TIER_B), w.customer(typev1.Tier_TIER_B)
	gone, survivor := w.registered(typev1.Tier_TIER_C), w.customer(typev1.Tier_TIER_C)
	w.merge(gone, survivor)
	for _, p := range [][3]string{
		{a, "CR-64", "SN0100"}, {a, "cr-64", "SN0101"}, {b, "CR-64", "SN0199"}, {c, "CR-64", "SN0200"}, {c, "CR-32", "SN0150"}, {c, "CR-64", "SN01500"},
		{gone.GetId(), "CR-64", "SN0110"}, {survivor, "CR-64", "SN0111"}, {nowhere, "CR-64", "SN0120"},
	} {
		w.installed(p[0], p[1], p[2])
	}
	made, err := w.outreach().CreateFaultNotice(w.manager(), &ticketv1.CreateFaultNoticeRequest{Notice: &ticketv1.FaultNotice{
		ProductModel: "CR-64", SerialFrom: "SN0100", SerialTo: "SN0199", Title: "密封件缺陷", Priority: p2, DepartmentId: w.desk.GetId()}})
	if err != nil || made.GetFoundTime() != nil || made.GetCustomers() != 0 {
		t.Fatal(made, err)
	}
	// Two replicas at once open nothing twice.
	if won, lost := wins(2, func(int) error { return w.server.SweepNotices(t.Context()) }); won != 2 {
		t.Fatal(lost)
	}
	list, err := w.outreach().ListFaultContacts(w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.ListFaultContactsRequest{NoticeId: made.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, one := range list.GetContacts() {
		found = append(found, one.GetCustomerId())
		got := w.get(one.GetTicketId())
		if got.GetMode() != ticketv1.Mode_MODE_PROACTIVE || got.GetDepartmentId() != w.desk.GetId() || got.GetPriority() != p2 || got.GetTitle() != "密封件缺陷" ||
			got.GetCustomerId() != one.GetCustomerId() || got.GetNumber() != one.GetTicketNumber() || got.GetDueTime() == nil || one.GetState() != ticket.New {
			t.Errorf("opened %v of %v", got, one)
		}
	}
	want := []string{a, b, survivor}
	slices.Sort(want)
	if slices.Sort(found); !slices.Equal(found, want) {
		t.Errorf("found %v, want %v", found, want)
	}
	if _, err := w.do(w.manager(), "cancel", list.GetContacts()[0].GetTicketId(), ""); err != nil {
		t.Fatal(err)
	}
	got, err := w.outreach().GetFaultNotice(w.manager(), &ticketv1.GetFaultNoticeRequest{Id: made.GetId()})
	if err != nil || got.GetCustomers() != 3 || got.GetDone() != 1 || got.GetFoundTime() == nil {
		t.Errorf("%v, %v", got, err)
	}
	all, err := w.outreach().ListFaultNotices(w.manager(), &ticketv1.ListFaultNoticesRequest{})
	if err != nil || len(all.GetNotices()) != 1 || all.GetNotices()[0].GetCustomers() != 3 {
		t.Errorf("%v, %v", all, err)
	}
}

// The customers of a notice are listed to whom GetTicket shows their tickets, to nobody else,
// and page by page.
func TestCustomersOfAFaultAreShownWithTheirTickets(t *testing.T) {
	w := newWorld(t)
	far := w.department("far")
	w.staffOf(w.desk.GetId(), "m-"+access.SupportEngineer)
	me, stranger := w.staffOf(w.desk.GetId(), "m-"+access.AfterSalesSpecialist), w.staffOf(far.GetId(), "stranger")
	for i := range 6 {
		w.installed(w.customer(typev1.Tier_TIER_B), "M", fmt.Sprint(i))
	}
	made, err := w.outreach().CreateFaultNotice(w.manager(), &ticketv1.CreateFaultNoticeRequest{Notice: &ticketv1.FaultNotice{
		ProductModel: "M", Title: "x", DepartmentId: w.desk.GetId()}})
	if err == nil {
		err = w.server.SweepNotices(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.outreach().ListFaultContacts(w.manager(), &ticketv1.ListFaultContactsRequest{NoticeId: made.GetId()})
	if err != nil || len(all.GetContacts()) != 6 {
		t.Fatal(all, err)
	}
	for i, to := range [][2]string{{far.GetId(), me.GetId()}, {far.GetId(), stranger.GetId()}, {w.desk.GetId(), w.agent.GetId()}, {far.GetId(), stranger.GetId()}} {
		w.exec(`UPDATE tickets SET state = $2, department_id = $3, assignee_staff_id = $4 WHERE id = $1`,
			all.GetContacts()[i].GetTicketId(), int16(ticket.InProgress), to[0], to[1])
	}
	lengths := map[string]int{}
	for role, subject := range map[string]string{
		access.ServiceManager: "boss", access.ServiceSupervisor: "agent-1", access.ServiceAgent: "agent-1", access.QCInspector: "unknown",
		access.SupportEngineer: "m-" + access.SupportEngineer, access.AfterSalesSpecialist: "m-" + access.AfterSalesSpecialist,
	} {
		ctx := w.AsStaff(role, subject)
		var listed, readable []string
		req := &ticketv1.ListFaultContactsRequest{NoticeId: made.GetId(), PageSize: 1}
		for {
			page, err := w.outreach().ListFaultContacts(ctx, req)
			if err != nil {
				t.Fatal(role, err)
			}
			for _, c := range page.GetContacts() {
				listed = append(listed, c.GetTicketId())
			}
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		for _, c := range all.GetContacts() {
			if _, err := w.tickets.GetTicket(ctx, &ticketv1.GetTicketRequest{Id: c.GetTicketId()}); err == nil {
				readable = append(readable, c.GetTicketId())
			}
		}
		if lengths[role] = len(listed); !slices.Equal(listed, readable) {
			t.Errorf("a %s is shown %v and reads %v", role, listed, readable)
		}
	}
	if lengths[access.AfterSalesSpecialist] != 1 || lengths[access.ServiceManager] != 6 {
		t.Errorf("shown %v; an after-sales specialist has one of the six", lengths)
	}
}

// A notice can be worked again: for products that came to be known since, and for a wider range.
// Whoever was called is not called again.
func TestAFaultIsLookedForAgain(t *testing.T) {
	w := newWorld(t)
	first, later, beyond := w.customer(typev1.Tier_TIER_B), w.customer(typev1.Tier_TIER_B), w.customer(typev1.Tier_TIER_B)
	w.installed(first, "M", "150")
	w.installed(beyond, "M", "250")
	made, err := w.outreach().CreateFaultNotice(w.manager(), &ticketv1.CreateFaultNoticeRequest{Notice: &ticketv1.FaultNotice{
		ProductModel: "M", SerialFrom: "100", SerialTo: "199", Title: "x", DepartmentId: w.desk.GetId()}})
	if err != nil {
		t.Fatal(err)
	}
	repeat := func(from, to string) (*ticketv1.FaultNotice, error) {
		return w.outreach().RepeatFaultNotice(w.manager(), &ticketv1.RepeatFaultNoticeRequest{Id: made.GetId(), SerialFrom: from, SerialTo: to})
	}
	found := func(want ...string) {
		t.Helper()
		if err := w.server.SweepNotices(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := w.outreach().ListFaultContacts(w.manager(), &ticketv1.ListFaultContactsRequest{NoticeId: made.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, one := range list.GetContacts() {
			got = append(got, one.GetCustomerId())
		}
		slices.Sort(want)
		if slices.Sort(got); !slices.Equal(got, want) || w.count("SELECT count(*) FROM tickets") != len(want) {
			t.Errorf("found %v, want %v", got, want)
		}
	}
	found(first)
	w.installed(later, "M", "160")
	found(first)
	got, err := repeat("", "")
	if err != nil || got.GetFoundTime() != nil || got.GetCustomers() != 1 || got.GetSerialTo() != "199" {
		t.Errorf("%v, %v", got, err)
	}
	found(first, later)
	for _, bad := range [][2]string{{"120", "299"}, {"100", "198"}, {"100", "1999"}, {"", "299"}} {
		_, err := repeat(bad[0], bad[1])
		refused(t, fmt.Sprint(bad), err, codes.InvalidArgument, "VALIDATION_FAILED", "serial_to")
	}
	if got, err = repeat("100", "299"); err != nil || got.GetSerialTo() != "299" {
		t.Errorf("%v, %v", got, err)
	}
	found(first, later, beyond)
	_, err = w.outreach().RepeatFaultNotice(w.manager(), &ticketv1.RepeatFaultNoticeRequest{Id: nowhere})
	refused(t, "unknown", err, codes.NotFound, "FAULT_NOTICE_NOT_FOUND", "")
}

// More customers than one transaction takes are all found.
func TestAFaultOfManyCustomers(t *testing.T) {
	w := newWorld(t)
	for i := range 45 {
		w.installed(w.customer(typev1.Tier_TIER_C), "M", fmt.Sprintf("%03d", i))
	}
	made, err := w.outreach().CreateFaultNotice(w.manager(), &ticketv1.CreateFaultNoticeRequest{Notice: &ticketv1.FaultNotice{
		ProductModel: "M", Title: "x", DepartmentId: w.desk.GetId()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.server.SweepNotices(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := w.outreach().GetFaultNotice(w.manager(), &ticketv1.GetFaultNoticeRequest{Id: made.GetId()})
	if err != nil || got.GetCustomers() != 45 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestFaultNoticeRefusals(t *testing.T) {
	w := newWorld(t)
	for field, n := range map[string]*ticketv1.FaultNotice{
		"notice.product_model": {Title: "x", DepartmentId: w.desk.GetId()},
		"notice.serial_to":     {ProductModel: "M", Title: "x", DepartmentId: w.desk.GetId(), SerialFrom: "1", SerialTo: "10"},
		"notice.department_id": {ProductModel: "M", Title: "x", DepartmentId: nowhere},
	} {
		_, err := w.outreach().CreateFaultNotice(w.manager(), &ticketv1.CreateFaultNoticeRequest{Notice: n})
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	_, err := w.outreach().GetFaultNotice(w.manager(), &ticketv1.GetFaultNoticeRequest{Id: nowhere})
	refused(t, "unknown", err, codes.NotFound, "FAULT_NOTICE_NOT_FOUND", "")
	_, err = w.outreach().ListFaultContacts(w.manager(), &ticketv1.ListFaultContactsRequest{NoticeId: nowhere})
	refused(t, "the contacts of none", err, codes.NotFound, "FAULT_NOTICE_NOT_FOUND", "")
	_, err = w.outreach().CreateFaultNotice(w.AsStaff(access.ServiceAgent, "agent-1"), &ticketv1.CreateFaultNoticeRequest{})
	refused(t, "by an agent", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
}

// A call-back is a task of a solved ticket too, and never holds it back.
func TestCallBacksAreDueTasks(t *testing.T) {
	w := newWorld(t)
	create := func(id string, x *ticketv1.Task) (*ticketv1.Task, error) {
		x.Title, x.DueTime, x.OwnerStaffId = "回访", w.in(24), w.agent.GetId()
		return w.tasks().CreateTask(w.manager(), &ticketv1.CreateTaskRequest{TicketId: id, Task: x})
	}
	back := ticketv1.TaskKind_TASK_KIND_CALL_BACK
	for _, state := range []ticket.State{ticket.InProgress, ticket.Resolved, ticket.Closed} {
		got, err := create(w.at(state, "").GetId(), &ticketv1.Task{Kind: back})
		if err != nil || got.GetKind() != back {
			t.Errorf("%v: %v, %v", state, got, err)
		}
	}
	_, err := create(w.at(ticket.Cancelled, "").GetId(), &ticketv1.Task{Kind: back})
	refused(t, "of a cancelled ticket", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
	_, err = create(w.at(ticket.InProgress, "").GetId(), &ticketv1.Task{Kind: back, Required: true})
	refused(t, "that holds back", err, codes.InvalidArgument, "VALIDATION_FAILED", "task.required")
	// A key customer who was silent is called.
	of := w.at(ticket.Resolved, w.customer(typev1.Tier_TIER_KEY)).GetId()
	w.Clock.Advance(73 * time.Hour)
	if err := w.server.SweepSilent(t.Context()); err != nil {
		t.Fatal(err)
	}
	tasks, err := w.tasks().ListTicketTasks(w.manager(), &ticketv1.ListTicketTasksRequest{TicketId: of})
	if err != nil || len(tasks.GetTasks()) != 1 || tasks.GetTasks()[0].GetKind() != back || tasks.GetTasks()[0].GetOwnerStaffId() != w.agent.GetId() {
		t.Fatalf("%v, %v", tasks, err)
	}
	if due := tasks.GetTasks()[0].GetDueTime().AsTime(); !due.Equal(w.Clock.Now().Add(standardPolicy().CallBackWithin)) {
		t.Errorf("at %v a call-back is due at %v", w.Clock.Now(), due)
	}
}
