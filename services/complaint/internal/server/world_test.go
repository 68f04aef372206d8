package server_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/server"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/subject"
)

// registry is the customer registry of a test.
type registry struct {
	customerv1.UnimplementedCustomerServiceServer
	customerv1.UnimplementedPurchaseCheckServiceServer
	known map[string]*customerv1.CustomerRef
	down  bool
	// bought is what it says of every purchase; nil where it cannot be asked.
	bought *customerv1.PurchaseCheck
	mu     sync.Mutex
	asked  []*customerv1.CheckPurchaseRequest
}

func (r *registry) CheckPurchase(_ context.Context, req *customerv1.CheckPurchaseRequest) (*customerv1.PurchaseCheck, error) {
	r.mu.Lock()
	r.asked = append(r.asked, req)
	r.mu.Unlock()
	if r.bought == nil {
		return nil, status.Error(codes.Unavailable, "down")
	}
	return r.bought, nil
}

func (r *registry) ResolveCustomer(_ context.Context, req *customerv1.ResolveCustomerRequest) (*customerv1.CustomerRef, error) {
	switch ref := r.known[req.GetId()]; {
	case r.down:
		return nil, status.Error(codes.Unavailable, "down")
	case ref == nil:
		return nil, status.Error(codes.NotFound, "none")
	default:
		return ref, nil
	}
}

// world is the service with a small company: customer service (agent, supervisor,
// manager), after-sales (head, tech, tech2, tech3), quality control (inspector), and with the
// company manager (boss) a clerk and the supervisor of another team (lead).
type world struct {
	*testkit.Service
	t        *testing.T
	client   complaintv1.ComplaintServiceClient
	policies clockv1.ComplaintPolicyServiceClient
	server   *server.Server
	registry *registry
	clocks   *clock.Store
	sweeper  *clock.Sweeper

	service, afterSales, quality, company uuid.UUID
	staff                                 map[string]uuid.UUID
	roles                                 map[string]string
	customer, other, key                  string
}

func limits() complaint.Limits {
	return complaint.Limits{
		SupervisorAmount: complaint.Amount{Units: 500}, ManagerAmount: complaint.Amount{Units: 5000},
		ContactAttempts: 3, ContactChannels: 2, EndRounds: 2, AnotherHandlerRound: 3, LowScore: 2, ObjectionDays: 2,
		ReminderDays: []int{2, 5}, NoAnswerDays: 10, ReopenDays: 30,
	}
}

func newID(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, registry: &registry{known: map[string]*customerv1.CustomerRef{}}, staff: map[string]uuid.UUID{}, roles: map[string]string{}}
	peer := dial(t, w.registry)
	w.Service = testkit.NewService(t, testkit.ServiceConfig{
		Name: server.Name, Migrations: server.Migrations(), Policy: access.Policy(),
		Peers: map[string]*grpc.ClientConn{"customer-registry": peer, "service-ticket": peer, "survey": peer},
		Register: func(p *app.Process) (err error) {
			if w.server, err = server.Register(p, server.Targets{}, limits()); err != nil {
				return err
			}
			w.clocks = clock.New(calendar.NewCache(), p.Now)
			w.sweeper = clock.NewSweeper(w.clocks, p.Pool, p.Write, p.Log)
			_, err = subject.Install(t.Context(), p, w.server.Subjects())
			return errors.Join(err, w.server.SeedCalendars(t.Context()), w.server.SeedPolicies(t.Context()))
		},
	})
	w.client = complaintv1.NewComplaintServiceClient(w.Conn)
	w.policies = clockv1.NewComplaintPolicyServiceClient(w.Conn)
	w.NoneAtEnd("audit records without their customer", `SELECT DISTINCT action || ' of a ' || object_type FROM audit_records AS r
WHERE customer_id IS NULL AND EXISTS (SELECT FROM complaints AS c WHERE c.id = r.object_id AND c.customer_id IS NOT NULL)`)
	w.populate()
	return w
}

// dial connects to a registry in memory.
func dial(t *testing.T, r *registry) *grpc.ClientConn {
	t.Helper()
	lis := bufconn.Listen(1 << 16)
	s := grpc.NewServer()
	customerv1.RegisterCustomerServiceServer(s, r)
	customerv1.RegisterPurchaseCheckServiceServer(s, r)
	go func() { _ = s.Serve(lis) }()
	t.Cleanup(s.Stop)
	conn, err := grpc.NewClient("passthrough:///registry", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (w *world) populate() {
	w.t.Helper()
	w.service = w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE, "")
	w.quality = w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL, "")
	w.company = w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_COMPANY_MANAGEMENT, "")
	head := newID(w.t)
	w.afterSales = w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES, head.String())
	for _, s := range []struct {
		name, role string
		department uuid.UUID
	}{
		{"agent", access.ServiceAgent, w.service}, {"agent2", access.ServiceAgent, w.service},
		{"supervisor", access.ServiceSupervisor, w.service}, {"manager", access.ServiceManager, w.service},
		{"head", access.AfterSalesSpecialist, w.afterSales}, {"tech", access.AfterSalesSpecialist, w.afterSales},
		{"tech2", access.AfterSalesSpecialist, w.afterSales}, {"tech3", access.AfterSalesSpecialist, w.afterSales},
		{"inspector", access.QCInspector, w.quality}, {"boss", access.CompanyManager, w.company},
		{"clerk", access.InformationAdministrator, w.company}, {"lead", access.ServiceSupervisor, w.company},
	} {
		member := newID(w.t)
		if s.name == "head" {
			member = head
		}
		w.staff[s.name], w.roles[s.name] = member, s.role
		w.apply("staff.changed.v1", member, &ticketv1.StaffChanged{Staff: &ticketv1.Staff{
			Id: member.String(), Name: s.name, DepartmentId: s.department.String(), Issuer: w.Issuer.URL(), Subject: s.name,
		}})
	}
	w.customer, w.other, w.key = w.newCustomer(typev1.Tier_TIER_C), w.newCustomer(typev1.Tier_TIER_B), w.newCustomer(typev1.Tier_TIER_KEY)
}

func (w *world) department(f ticketv1.DepartmentFunction, head string) uuid.UUID {
	w.t.Helper()
	d := newID(w.t)
	w.apply("department.changed.v1", d, &ticketv1.DepartmentChanged{Department: &ticketv1.Department{
		Id: d.String(), Code: "d" + d.String()[30:], Function: f, HeadStaffId: head,
	}})
	return d
}

// apply has the service take an event of service-ticket.
func (w *world) apply(kind string, subject uuid.UUID, payload proto.Message) {
	w.t.Helper()
	w.applyVersion(kind, subject, 1, payload)
}

func (w *world) applyVersion(kind string, subject uuid.UUID, version int64, payload proto.Message) {
	w.t.Helper()
	packed, err := anypb.New(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	env := &eventv1.Envelope{Id: newID(w.t).String(), Type: kind, SubjectId: subject.String(), SubjectVersion: version, Payload: packed}
	err = pg.InTx(w.t.Context(), w.Pool, func(tx pgx.Tx) error { return w.server.HandleTicketService(w.t.Context(), tx, env) })
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) newCustomer(tier typev1.Tier) string {
	w.t.Helper()
	ref := &customerv1.CustomerRef{Id: newID(w.t).String(), Number: "C-" + tier.String(), Tier: tier, Version: 1}
	if _, err := customerref.Apply(w.t.Context(), w.Pool, ref); err != nil {
		w.t.Fatal(err)
	}
	return ref.GetId()
}

// as is a context of one of the staff.
func (w *world) as(name string) context.Context { return w.AsPerson(name, w.roles[name]) }

// sample is a complaint of a customer who never complained before.
func (w *world) sample() *complaintv1.Complaint {
	w.t.Helper()
	return &complaintv1.Complaint{
		CustomerId: w.newCustomer(typev1.Tier_TIER_C), Channel: typev1.Channel_CHANNEL_PHONE, Title: "pump leaks", Description: "since Monday",
		Category: complaintv1.Category_CATEGORY_AFTER_SALES_SERVICE, OrderNumber: "O-17", Quantity: 2,
		Amount: yuan(300), DemandedRemedy: "a new one", TicketId: newID(w.t).String(),
	}
}

func yuan(units int64) *money.Money { return &money.Money{CurrencyCode: "CNY", Units: units} }

// must is the answer of a call that has to succeed.
func must[T any](w *world) func(v T, err error) T {
	return func(v T, err error) T {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
		return v
	}
}

func (w *world) create(change func(*complaintv1.Complaint)) *complaintv1.Complaint {
	w.t.Helper()
	in := w.sample()
	if change != nil {
		change(in)
	}
	return must[*complaintv1.Complaint](w)(w.client.CreateComplaint(w.as("agent"), &complaintv1.CreateComplaintRequest{Complaint: in}))
}

func (w *world) review(id string) *complaintv1.ReviewComplaintRequest {
	return &complaintv1.ReviewComplaintRequest{
		Id: id, Category: complaintv1.Category_CATEGORY_AFTER_SALES_SERVICE, Quality: complaintv1.Quality_QUALITY_NON_QUALITY,
		Severity: complaintv1.Severity_SEVERITY_GENERAL, ValidAtFirstSight: true, DepartmentId: w.afterSales.String(),
	}
}

func contact(id string) *complaintv1.RecordContactRequest {
	return &complaintv1.RecordContactRequest{Id: id, Channel: typev1.Channel_CHANNEL_PHONE, TwoWay: true, Note: "confirmed"}
}

func proposal(id string, units int64) *complaintv1.ProposeSolutionRequest {
	return &complaintv1.ProposeSolutionRequest{Id: id, Proposal: &complaintv1.Proposal{
		Findings: "worn seal", Cause: "seal", Validity: complaintv1.Validity_VALIDITY_ESTABLISHED,
		Remedy: complaintv1.Remedy_REMEDY_REPAIR, Amount: yuan(units), Solution: "replace the seal",
	}}
}

func approval(id string) *complaintv1.ApproveSolutionRequest {
	return &complaintv1.ApproveSolutionRequest{Id: id, Decision: complaintv1.Decision_DECISION_APPROVED}
}

func told(id string) *complaintv1.TellResultRequest {
	return &complaintv1.TellResultRequest{Id: id, Channel: typev1.Channel_CHANNEL_PHONE, Told: "we repair it"}
}

func answer(id string, s complaintv1.Satisfaction) *complaintv1.RecordAnswerRequest {
	return &complaintv1.RecordAnswerRequest{Id: id, Satisfaction: s, SaidBy: "the customer", Channel: typev1.Channel_CHANNEL_PHONE}
}

const (
	satisfied   = complaintv1.Satisfaction_SATISFACTION_SATISFIED
	unsatisfied = complaintv1.Satisfaction_SATISFACTION_UNSATISFIED
)

// to makes a complaint and takes it to a state, handled by tech.
func (w *world) to(state complaint.State) *complaintv1.Complaint {
	w.t.Helper()
	return w.on(w.create(nil), state, "tech")
}

// on takes a complaint on to a state.
func (w *world) on(c *complaintv1.Complaint, state complaint.State, handler string) *complaintv1.Complaint {
	w.t.Helper()
	id, do := c.GetId(), must[*complaintv1.Complaint](w)
	c = w.get("manager", id)
	for c.GetState() != state {
		switch c.GetState() {
		case complaint.Received:
			c = do(w.client.SubmitComplaint(w.as("agent"), &complaintv1.SubmitComplaintRequest{Id: id}))
		case complaint.Submitted:
			req := w.review(id)
			req.Severity = 0 // what the rules say
			c = do(w.client.ReviewComplaint(w.as("supervisor"), req))
		case complaint.Reviewed:
			c = do(w.client.AssignComplaint(w.as("head"), &complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: w.staff[handler].String()}))
		case complaint.Assigned:
			c = do(w.client.RecordContact(w.as(handler), contact(id)))
		case complaint.Contacted:
			c = do(w.client.ProposeSolution(w.as(handler), proposal(id, 300)))
		case complaint.Proposed:
			c = do(w.client.ApproveSolution(w.as("supervisor"), approval(id)))
		case complaint.Approved:
			c = do(w.client.TellResult(w.as(handler), told(id)))
		case complaint.Told:
			do(w.client.RecordAnswer(w.as(handler), answer(id, satisfied)))
			c = do(w.client.CloseComplaint(w.as("manager"), &complaintv1.CloseComplaintRequest{Id: id}))
		}
	}
	return c
}

func (w *world) get(name, id string) *complaintv1.Complaint {
	w.t.Helper()
	return must[*complaintv1.Complaint](w)(w.client.GetComplaint(w.as(name), &complaintv1.GetComplaintRequest{Id: id}))
}

// refused checks code and reason of an error, and the clause when one is given.
func (w *world) refused(what string, err error, code codes.Code, reason, clause string) {
	w.t.Helper()
	if status.Code(err) != code || rpcerr.Reason(err) != reason {
		w.t.Errorf("%s: %v (%s), want %s %s", what, err, rpcerr.Reason(err), code, reason)
		return
	}
	if got := rpcerr.Info(err).GetMetadata()["clause"]; got != clause {
		w.t.Errorf("%s: clause %q, want %q", what, got, clause)
	}
}
