package server_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/server"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/tier"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/subject"
)

// registry is the service under test with clients of its services.
type registry struct {
	background bool
	*testkit.Service
	*server.Server
	customers  customerv1.CustomerServiceClient
	contacts   customerv1.ContactServiceClient
	orders     customerv1.OrderServiceClient
	consents   customerv1.ConsentServiceClient
	requests   customerv1.AccessRequestServiceClient
	glasses    customerv1.BreakGlassServiceClient
	reviews    customerv1.AccessReviewServiceClient
	files      customerv1.FileServiceClient
	attributes customerv1.AttributeServiceClient
	subjects   customerv1.SubjectRequestServiceClient
	own        *subject.Server
	segments   customerv1.SegmentServiceClient
	reports    customerv1.ChangeReportServiceClient
	callers    customerv1.CallerServiceClient
	quality    customerv1.QualityServiceClient
	trade
}

func start(t *testing.T) *registry {
	t.Helper()
	return startWith(t, false)
}

// newServer makes the service's handlers for a process.
func newServer(t *testing.T, p *app.Process, schedule tier.Schedule) (*server.Server, error) {
	t.Helper()
	return server.New(server.Config{
		Pool: p.Pool, Keyring: p.Keyring, Write: p.Write, Pages: p.Pages, Validator: p.Validator,
		Log: p.Log, Now: p.Now, Region: "CN", Disclosure: server.DefaultDisclosure(shanghai(t)), Schedule: schedule,
	})
}

// startWith starts the service with or without what goes on beside calls.
func startWith(t *testing.T, background bool, schedule ...tier.Schedule) *registry {
	t.Helper()
	r := &registry{background: background}
	limits := rpc.DefaultLimits()
	r.Service = testkit.NewService(t, testkit.ServiceConfig{
		Background: background,
		Name:       server.Name,
		Migrations: server.Migrations(),
		Policy:     access.Policy(),
		Limits:     &limits,
		Register: func(p *app.Process) error {
			var err error
			r.Server, err = newServer(t, p, append(schedule, tier.Off)[0])
			if err != nil {
				return err
			}
			r.Server.Register(p.GRPC)
			if err := r.SeedCalendars(t.Context()); err != nil {
				return err
			}
			r.own, err = subject.Install(t.Context(), p, r.Subjects())
			return err
		},
	})
	r.customers = customerv1.NewCustomerServiceClient(r.Conn)
	r.contacts = customerv1.NewContactServiceClient(r.Conn)
	r.orders = customerv1.NewOrderServiceClient(r.Conn)
	r.consents = customerv1.NewConsentServiceClient(r.Conn)
	r.requests = customerv1.NewAccessRequestServiceClient(r.Conn)
	r.glasses = customerv1.NewBreakGlassServiceClient(r.Conn)
	r.reviews = customerv1.NewAccessReviewServiceClient(r.Conn)
	r.subjects = customerv1.NewSubjectRequestServiceClient(r.Conn)
	r.files = customerv1.NewFileServiceClient(r.Conn)
	r.segments = customerv1.NewSegmentServiceClient(r.Conn)
	r.reports = customerv1.NewChangeReportServiceClient(r.Conn)
	r.callers = customerv1.NewCallerServiceClient(r.Conn)
	r.quality = customerv1.NewQualityServiceClient(r.Conn)
	r.attributes = customerv1.NewAttributeServiceClient(r.Conn)
	r.trade = newTrade(r.Conn)
	r.NoneAtEnd("audit records without their customer", `SELECT DISTINCT action || ' of a ' || object_type FROM audit_records
WHERE customer_id IS NULL AND object_type <> ALL($1)`, []string{
		"access_review", "attribute_definition", "calendar", "caller", "clock", "customer_export", "customer_import", "maintenance_plan",
		"segment", "tier_model", "tier_run", "warranty_policy",
	})
	return r
}

func shanghai(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func (r *registry) admin() context.Context { return r.As(access.InformationAdministrator) }

func file(name string) *customerv1.Customer {
	return &customerv1.Customer{
		Name: name, Kind: customerv1.CustomerKind_CUSTOMER_KIND_DIRECT_USER,
		Party: customerv1.Party_PARTY_ORGANISATION,
	}
}

// make opens a file and fails the test when it cannot.
func (r *registry) make(t *testing.T, c *customerv1.Customer) *customerv1.Customer {
	t.Helper()
	made, err := r.customers.CreateCustomer(r.admin(), &customerv1.CreateCustomerRequest{Customer: c})
	if err != nil {
		t.Fatalf("CreateCustomer(%s): %v", c.GetName(), err)
	}
	return made
}

// get reads the file as an administrator.
func (r *registry) get(t *testing.T, id string) *customerv1.Customer {
	t.Helper()
	got, err := r.customers.GetCustomer(r.admin(), &customerv1.GetCustomerRequest{Id: id})
	if err != nil {
		t.Fatalf("GetCustomer: %v", err)
	}
	return got
}

func (r *registry) profile(t *testing.T, id string) *customerv1.Profile {
	t.Helper()
	got, err := r.customers.GetProfile(r.admin(), &customerv1.GetProfileRequest{CustomerId: id})
	if err != nil {
		t.Fatalf("GetProfile: %v", err)
	}
	return got
}

// count runs a query that answers one number, when all reads are filed.
func (r *registry) count(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	r.fileReads(t)
	if err := r.Pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// fileReads does what the sequencer does where nothing goes on beside calls.
func (r *registry) fileReads(t *testing.T) {
	t.Helper()
	if r.background {
		return
	}
	err := pg.InTx(t.Context(), r.Pool, func(tx pgx.Tx) error {
		_, err := audit.Link(t.Context(), tx, r.Process.Keyring.Derive(audit.KeyLabel), 10_000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// in runs a consumer's handler as the consumer would.
func (r *registry) in(t *testing.T, handle func(context.Context, pgx.Tx, []*eventv1.Envelope) error, events ...*eventv1.Envelope) {
	t.Helper()
	if err := pg.InTx(t.Context(), r.Pool, func(tx pgx.Tx) error { return handle(t.Context(), tx, events) }); err != nil {
		t.Fatalf("%s: %v", events[0].GetType(), err)
	}
}

// refused checks code and reason of an error, and that it blames the fields.
func refused(t *testing.T, what string, err error, code codes.Code, reason string, fields ...string) {
	t.Helper()
	if status.Code(err) != code || rpcerr.Reason(err) != reason {
		t.Errorf("%s: %v (reason %q), want %v %s", what, err, rpcerr.Reason(err), code, reason)
		return
	}
	for _, f := range fields {
		if !slices.Contains(blamed(err), f) {
			t.Errorf("%s: blames %v, want %s", what, blamed(err), f)
		}
	}
}

func blamed(err error) []string {
	var out []string
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				out = append(out, v.GetField())
			}
		}
	}
	return out
}

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func newID(t *testing.T) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}
