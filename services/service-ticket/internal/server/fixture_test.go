package server_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/internal/subject"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/server"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

const nowhere = "01890a5d-ac96-774b-bcce-b302099a8057"

// world is the service under test with a directory and a registry.
type world struct {
	*testkit.Service
	t         *testing.T
	server    *server.Server
	tickets   ticketv1.TicketServiceClient
	directory ticketv1.DirectoryServiceClient
	policies  clockv1.TicketPolicyServiceClient
	registry  *registry
	clocks    *clock.Store
	sweeper   *clock.Sweeper

	desk  *ticketv1.Department
	agent *ticketv1.Staff
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return bareWorld(t, false).settled(t)
}

// settled is a world as a service has it that runs, with a desk and somebody there.
func (w *world) settled(t *testing.T) *world {
	t.Helper()
	if err := w.server.SeedCalendars(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.server.SeedPolicies(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.server.SeedTriage(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.desk = w.department("desk")
	w.agent = w.staff("agent-1")
	return w
}

// bareWorld is one as a service finds it that never ran, with or without what goes on beside
// calls.
func bareWorld(t *testing.T, background bool) *world {
	t.Helper()
	w := &world{t: t, registry: &registry{refs: map[string]*customerv1.CustomerRef{}}}
	w.Service = testkit.NewService(t, testkit.ServiceConfig{
		Background: background,
		Name:       server.Name,
		Migrations: []pg.MigrationSet{customerref.Migrations(), clock.Migrations(), policy.Migrations(), subject.Migrations(), db.Migrations()},
		Policy:     access.Policy(),
		Register: func(p *app.Process) error {
			var err error
			calendars := calendar.NewCache()
			w.clocks = clock.New(calendars, p.Now)
			w.sweeper = clock.NewSweeper(w.clocks, p.Pool, p.Write, p.Log)
			w.server, err = server.New(server.Config{
				Pool: p.Pool, Lists: p.Lists, Keyring: p.Keyring, Write: p.Write, Pages: p.Pages, Validator: p.Validator, Log: p.Log,
				Now: p.Now, Registry: w.registry, Issuer: "http://127.0.0.1:9", Region: "CN",
				Policy: standardPolicy(),
				Clocks: w.clocks, Calendars: calendars,
			})
			if err != nil {
				return err
			}
			w.server.Register(p.GRPC)
			_, err = subject.Install(t.Context(), p, w.server.Subjects())
			return err
		},
	})
	w.tickets = ticketv1.NewTicketServiceClient(w.Conn)
	w.directory = ticketv1.NewDirectoryServiceClient(w.Conn)
	w.policies = clockv1.NewTicketPolicyServiceClient(w.Conn)
	// A ticket has the customer of its first record, unless it got one later.
	w.NoneAtEnd("audit records without their customer", `WITH things AS (
  SELECT id, ticket_id FROM comments UNION ALL SELECT id, ticket_id FROM tasks UNION ALL SELECT id, ticket_id FROM solution_plans
  UNION ALL SELECT id, ticket_id FROM work_entries UNION ALL SELECT id, ticket_id FROM escalations UNION ALL SELECT id, id FROM tickets
)
SELECT DISTINCT r.action || ' of a ' || r.object_type FROM audit_records AS r LEFT JOIN things AS t ON t.id = r.object_id
WHERE r.customer_id IS NULL AND (r.object_type IN ('standard-exception', 'customer-standard') OR EXISTS (
  SELECT FROM audit_records AS first WHERE first.object_id = t.ticket_id AND first.customer_id IS NOT NULL AND first.id < r.id))`)
	return w
}

// maxLoad is how many tickets somebody pulls at most.
var maxLoad = 20

// standardPolicy has the numbers of a service that is not configured.
func standardPolicy() ticket.Policy {
	const day = 24 * time.Hour
	return ticket.Policy{
		ConfirmAfter: 3 * day, ReopenWithin: 14 * day, DecideWithin: 2 * time.Hour, UnmergeWithin: 14 * day, CallBackWithin: day,
		DedicatedFor: 10 * time.Minute, FlagAhead: 7 * day, PublishEvery: 90 * day, MaxLoad: maxLoad,
	}
}

func (w *world) department(code string) *ticketv1.Department {
	w.t.Helper()
	d, err := w.directory.CreateDepartment(w.As(access.ServiceManager), &ticketv1.CreateDepartmentRequest{
		Department: &ticketv1.Department{Code: code, Name: &typev1.Text{Zh: "客户服务部"}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) staff(subject string) *ticketv1.Staff {
	w.t.Helper()
	s, err := w.directory.CreateStaff(w.As(access.ServiceManager), &ticketv1.CreateStaffRequest{
		Staff: &ticketv1.Staff{Name: "王芳", DepartmentId: w.desk.GetId(), Subject: subject},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// manager may do everything to tickets.
func (w *world) manager() context.Context { return w.AsStaff(access.ServiceManager, "manager-1") }

// customer makes a customer that this service knows.
func (w *world) customer(tier typev1.Tier) string {
	w.t.Helper()
	ref := w.registered(tier)
	if _, err := customerref.Apply(w.t.Context(), w.Pool, ref); err != nil {
		w.t.Fatal(err)
	}
	return ref.GetId()
}

// registered makes a customer that only the registry knows.
func (w *world) registered(tier typev1.Tier) *customerv1.CustomerRef {
	w.t.Helper()
	ref := &customerv1.CustomerRef{
		Id: newID(w.t), Number: "C-202611-000001", Kind: customerv1.CustomerKind_CUSTOMER_KIND_DIRECT_USER,
		Tier: tier, Status: customerv1.CustomerStatus_CUSTOMER_STATUS_ACTIVE, Language: "zh-CN", Version: 1,
	}
	w.registry.add(ref)
	return ref
}

// merge folds a customer into another, as the registry's event tells.
func (w *world) merge(ref *customerv1.CustomerRef, into string) {
	w.t.Helper()
	ref.MergedInto, ref.Version = into, ref.GetVersion()+1
	if _, err := customerref.Apply(w.t.Context(), w.Pool, ref); err != nil {
		w.t.Fatal(err)
	}
	w.registry.follow(ref.GetId(), into)
}

func (w *world) create(t *ticketv1.Ticket) *ticketv1.Ticket {
	w.t.Helper()
	if t.GetTitle() == "" {
		t.Title = "Pump leaks"
	}
	if t.GetChannel() == 0 {
		t.Channel = typev1.Channel_CHANNEL_PHONE
	}
	out, err := w.tickets.CreateTicket(w.manager(), &ticketv1.CreateTicketRequest{Ticket: t})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// at makes a ticket and moves it to a state by the shortest way.
func (w *world) at(state ticket.State, customer string) *ticketv1.Ticket {
	w.t.Helper()
	t := w.create(&ticketv1.Ticket{CustomerId: customer})
	way := map[ticket.State][]string{
		ticket.New: nil, ticket.Triaged: {"triage"}, ticket.Assigned: {"assign"},
		ticket.InProgress: {"assign", "start"}, ticket.Waiting: {"assign", "start", "wait"},
		ticket.Resolved: {"assign", "start", "resolve"}, ticket.Closed: {"assign", "start", "resolve", "confirm"},
		ticket.Cancelled: {"cancel"}, ticket.Merged: {"merge"},
	}
	for _, verb := range way[state] {
		var err error
		if t, err = w.do(w.manager(), verb, t.GetId(), ""); err != nil {
			w.t.Fatalf("%s: %v", verb, err)
		}
	}
	if t.GetState() != state {
		w.t.Fatalf("the ticket is %v, want %v", t.GetState(), state)
	}
	return t
}

// verbs are those a caller can call.
func verbs() []string {
	return []string{"triage", "prioritize", "assign", "start", "wait", "resume", "resolve", "confirm", "reopen", "cancel", "merge", "recordContact"}
}

// do calls a verb with everything it needs.
func (w *world) do(ctx context.Context, verb, id, etag string) (*ticketv1.Ticket, error) {
	switch verb {
	case "triage":
		return w.tickets.TriageTicket(ctx, &ticketv1.TriageTicketRequest{
			Id: id, Etag: etag, Type: ticketv1.TicketType_TICKET_TYPE_REPAIR,
			Priority: ticketv1.Priority_PRIORITY_P2, DepartmentId: w.desk.GetId(), Reason: "leak",
		})
	case "prioritize":
		return w.tickets.PrioritizeTicket(ctx, &ticketv1.PrioritizeTicketRequest{
			Id: id, Etag: etag, Priority: ticketv1.Priority_PRIORITY_P1, Reason: "the line stands still",
		})
	case "assign":
		return w.tickets.AssignTicket(ctx, &ticketv1.AssignTicketRequest{Id: id, Etag: etag, StaffId: w.agent.GetId()})
	case "start":
		return w.tickets.StartTicket(ctx, &ticketv1.StartTicketRequest{Id: id, Etag: etag})
	case "wait":
		return w.tickets.WaitTicket(ctx, &ticketv1.WaitTicketRequest{
			Id: id, Etag: etag, WaitFor: ticketv1.WaitFor_WAIT_FOR_CUSTOMER, Reason: "photo asked for",
		})
	case "resume":
		return w.tickets.ResumeTicket(ctx, &ticketv1.ResumeTicketRequest{Id: id, Etag: etag})
	case "resolve":
		return w.tickets.ResolveTicket(ctx, &ticketv1.ResolveTicketRequest{Id: id, Etag: etag, Resolution: "seal replaced"})
	case "confirm":
		return w.tickets.ConfirmTicket(ctx, &ticketv1.ConfirmTicketRequest{Id: id, Etag: etag})
	case "reopen":
		return w.tickets.ReopenTicket(ctx, &ticketv1.ReopenTicketRequest{Id: id, Etag: etag, Reason: "leaks again"})
	case "cancel":
		return w.tickets.CancelTicket(ctx, &ticketv1.CancelTicketRequest{Id: id, Etag: etag, Reason: "wrong number"})
	case "recordContact":
		return w.tickets.RecordTicketContact(ctx, &ticketv1.RecordTicketContactRequest{
			Id: id, Etag: etag, Channel: typev1.Channel_CHANNEL_PHONE, TwoWay: true, Note: "called back",
		})
	case "merge":
		var owner *uuid.UUID
		if err := w.Pool.QueryRow(ctx, "SELECT customer_id FROM tickets WHERE id = $1", id).Scan(&owner); err != nil {
			w.t.Fatal(err)
		}
		into := &ticketv1.Ticket{}
		if owner != nil {
			into.CustomerId = owner.String()
		}
		return w.tickets.MergeTicket(ctx, &ticketv1.MergeTicketRequest{
			Id: id, Etag: etag, IntoId: w.create(into).GetId(), Reason: "the same",
		})
	}
	w.t.Fatalf("no verb %q", verb)
	return nil, nil
}

func (w *world) get(id string) *ticketv1.Ticket {
	w.t.Helper()
	t, err := w.tickets.GetTicket(w.manager(), &ticketv1.GetTicketRequest{Id: id})
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// eventsOf gives the events of one thing, oldest first.
func (w *world) eventsOf(id string) []*eventv1.Envelope {
	w.t.Helper()
	var out []*eventv1.Envelope
	for _, e := range w.Events(w.t) {
		if e.GetSubjectId() == id {
			out = append(out, e)
		}
	}
	return out
}

func (w *world) count(sql string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.Pool.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.Pool.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

// refused checks code, reason and, unless empty, the field of an error.
func refused(t *testing.T, what string, err error, code codes.Code, reason, field string) {
	t.Helper()
	if status.Code(err) != code || rpcerr.Reason(err) != reason {
		t.Errorf("%s: %v (%s), want %v (%s)", what, err, rpcerr.Reason(err), code, reason)
		return
	}
	if field == "" {
		return
	}
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				if v.GetField() == field {
					return
				}
			}
		}
	}
	t.Errorf("%s: %v does not name the field %s", what, status.Convert(err).Details(), field)
}

// wins counts how many of n calls at the same time succeed, and gives the errors of the
// others.
func wins(n int, call func(i int) error) (won int, lost []error) {
	var wg sync.WaitGroup
	errs := make([]error, n)
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			lost = append(lost, err)
		}
	}
	return won, lost
}

func newID(t *testing.T) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

// registry answers what it was told to.
type registry struct {
	mu    sync.Mutex
	refs  map[string]*customerv1.CustomerRef
	down  bool
	asked int
}

func (r *registry) add(ref *customerv1.CustomerRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refs[ref.GetId()] = ref
}

func (r *registry) follow(id, into string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refs[id] = r.refs[into]
}

func (r *registry) stop(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

func (r *registry) ResolveCustomer(_ context.Context, in *customerv1.ResolveCustomerRequest, _ ...grpc.CallOption) (*customerv1.CustomerRef, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.down {
		return nil, status.Error(codes.Unavailable, "down")
	}
	if ref, ok := r.refs[in.GetId()]; ok {
		return ref, nil
	}
	return nil, rpcerr.NotFound("customer", in.GetId()).GRPCStatus().Err()
}
