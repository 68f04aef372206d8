// Package server answers the calls of the customer registry and applies the
// events of the other services to its summaries and timelines.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/tier"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/contactdata"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/internal/subject"
)

// Name is the service's name in addresses, certificates and events.
const Name = customerref.Source

// Config is what a Server needs; everything is required.
type Config struct {
	Pool    *pgxpool.Pool
	Keyring *pii.Keyring
	Write   *write.Path
	Pages   *page.Sealer
	// Validator holds the rules of the contracts' messages.
	Validator protovalidate.Validator
	Log       *slog.Logger
	Now       func() time.Time
	// Region is where a phone without country code is, e.g. "CN".
	Region     string
	Disclosure Disclosure
	// Schedule is how often customers are scored by themselves; empty is never.
	Schedule tier.Schedule
}

// Disclosure is how long and how much is disclosed.
type Disclosure struct {
	// GrantDays is for how many days an access request asks that says nothing.
	GrantDays int32
	// BreakGlass is how long an emergency opens a file.
	BreakGlass time.Duration
	// UnmaskBudget is how many values one person may unmask a day.
	UnmaskBudget int32
	// ContactBudget is the time in which one message of a kind is sent to a contact.
	ContactBudget time.Duration
	// ReviewDays is how many days after its end a quarter's access review is to be signed.
	ReviewDays int32
	// Zone is that of the company's days and quarters.
	Zone *time.Location
}

// DefaultDisclosure has the values of the business rules, in China's time zone.
func DefaultDisclosure(zone *time.Location) Disclosure {
	return Disclosure{
		GrantDays: 7, BreakGlass: time.Hour, UnmaskBudget: 20, ContactBudget: 30 * 24 * time.Hour, ReviewDays: 30, Zone: zone,
	}
}

// Server implements the registry's services.
type Server struct {
	customerv1.UnimplementedCustomerServiceServer
	customerv1.UnimplementedContactServiceServer
	customerv1.UnimplementedOrderServiceServer
	customerv1.UnimplementedConsentServiceServer
	customerv1.UnimplementedAccessRequestServiceServer
	customerv1.UnimplementedBreakGlassServiceServer
	customerv1.UnimplementedAccessReviewServiceServer
	customerv1.UnimplementedSubjectRequestServiceServer
	customerv1.UnimplementedFileServiceServer
	customerv1.UnimplementedAttributeServiceServer
	customerv1.UnimplementedPurchaseServiceServer
	customerv1.UnimplementedWarrantyServiceServer
	customerv1.UnimplementedPurchaseCheckServiceServer
	customerv1.UnimplementedTierServiceServer
	customerv1.UnimplementedCustomerImportServiceServer
	customerv1.UnimplementedCustomerExportServiceServer
	customerv1.UnimplementedSegmentServiceServer
	customerv1.UnimplementedChangeReportServiceServer
	customerv1.UnimplementedCallerServiceServer
	customerv1.UnimplementedQualityServiceServer

	pool      *pgxpool.Pool
	keys      *pii.Keyring
	write     *write.Path
	pages     *page.Sealer
	validator protovalidate.Validator
	log       *slog.Logger
	time      func() time.Time
	region    string
	q         *db.Queries

	disclosure Disclosure
	attributes attributeCache
	calendars  *calendar.Cache
	clocks     *clock.Store
	schedule   tier.Schedule
	tiers      worker
	sheets     worker
	auditKey   []byte
	// reads keeps the records of files that are read; begin is its Begin.
	reads *audit.Reads
	begin func(ctx context.Context, acts ...audit.Act) *audit.Reading
	// sheetRows is how many files a sheet of an export takes, sheetKept how much is kept of the
	// faults of an import, and of what a dry run would change.
	sheetRows, sheetKept int64
}

// Migrations are all tables that the service needs besides those of the runtime.
func Migrations() []pg.MigrationSet {
	return []pg.MigrationSet{directory.Migrations(), subject.Migrations(), calendar.Migrations(), clock.Migrations(), db.Migrations()}
}

// SeedCalendars makes sure that deadlines can be measured before service-ticket has told of
// its calendars: the built-in ones stand in until their events come.
func (s *Server) SeedCalendars(ctx context.Context) error { return calendar.Seed(ctx, s.pool) }

// Sweep fires the deadlines of change reports until ctx ends.
func (s *Server) Sweep(ctx context.Context) error {
	return clock.NewSweeper(s.clocks, s.pool, s.write, s.log).Run(ctx)
}

// HoldReads holds the records of files that were read until they are filed, until ctx ends.
func (s *Server) HoldReads(ctx context.Context) error { return s.reads.Run(ctx) }

// New makes a Server. It fails when the region is none that phones are read by.
func New(cfg Config) (*Server, error) {
	if !contactdata.Region(cfg.Region) {
		return nil, fmt.Errorf("default region %q: give a two-letter country code such as CN", cfg.Region)
	}
	calendars := calendar.NewCache()
	s := &Server{
		calendars: calendars, clocks: clock.New(calendars, cfg.Now),
		pool: cfg.Pool, keys: cfg.Keyring, write: cfg.Write, pages: cfg.Pages, validator: cfg.Validator,
		log: cfg.Log, time: cfg.Now, region: cfg.Region, q: db.New(), disclosure: cfg.Disclosure,
		schedule: cfg.Schedule, tiers: newWorker(), sheets: newWorker(),
		auditKey: cfg.Keyring.Derive(audit.KeyLabel), sheetRows: maxSheetRows, sheetKept: maxKept,
	}
	s.reads = audit.NewReads(s.pool, s.log, s.auditKey)
	s.begin = s.reads.Begin
	return s, nil
}

// Register puts the registry's services on a gRPC server.
func (s *Server) Register(on grpc.ServiceRegistrar) {
	customerv1.RegisterCustomerServiceServer(on, s)
	customerv1.RegisterContactServiceServer(on, s)
	customerv1.RegisterOrderServiceServer(on, s)
	customerv1.RegisterConsentServiceServer(on, s)
	customerv1.RegisterAccessRequestServiceServer(on, s)
	customerv1.RegisterBreakGlassServiceServer(on, s)
	customerv1.RegisterAccessReviewServiceServer(on, s)
	customerv1.RegisterSubjectRequestServiceServer(on, s)
	customerv1.RegisterFileServiceServer(on, s)
	customerv1.RegisterAttributeServiceServer(on, s)
	customerv1.RegisterPurchaseServiceServer(on, s)
	customerv1.RegisterWarrantyServiceServer(on, s)
	customerv1.RegisterPurchaseCheckServiceServer(on, s)
	customerv1.RegisterTierServiceServer(on, s)
	customerv1.RegisterCustomerImportServiceServer(on, s)
	customerv1.RegisterCustomerExportServiceServer(on, s)
	customerv1.RegisterSegmentServiceServer(on, s)
	customerv1.RegisterChangeReportServiceServer(on, s)
	customerv1.RegisterCallerServiceServer(on, s)
	customerv1.RegisterQualityServiceServer(on, s)
}

// now is the present in the resolution the database keeps.
func (s *Server) now() time.Time { return micro(s.time()) }

func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// own refuses a customer who asks for another customer, as if there were none.
func own(ctx context.Context, id uuid.UUID) error {
	caller := authn.FromContext(ctx)
	if caller.Kind == authn.Customer && caller.Subject != id.String() {
		return notFound(id)
	}
	return nil
}

func notFound(id uuid.UUID) *rpcerr.Error { return rpcerr.NotFound("customer", id.String()) }

// exists answers CUSTOMER_NOT_FOUND for an id that is no customer's.
func (s *Server) exists(ctx context.Context, on pg.DBTX, id uuid.UUID) error {
	found, err := s.q.CustomerExists(ctx, on, id)
	if err != nil {
		return fmt.Errorf("look customer up: %w", err)
	}
	if !found {
		return notFound(id)
	}
	return nil
}

// invalid makes one error of the faults of a message that stands at prefix.
func invalid(prefix string, faults []customer.Fault) error {
	if len(faults) == 0 {
		return nil
	}
	out := rpcerr.Invalid(prefix+faults[0].Field, faults[0].Text)
	for _, f := range faults[1:] {
		out = out.Field(prefix+f.Field, f.Text)
	}
	return out
}

// etag is how a row's version is told.
func etag(version int64) string { return strconv.FormatInt(version, 10) }

// current refuses an etag that is given and not the row's.
func current(given string, version int64, kind string, id uuid.UUID) error {
	if given != "" && given != etag(version) {
		return rpcerr.Stale(kind, id.String())
	}
	return nil
}

// parseID reads the id in a field of the request.
func parseID(field, id string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return uuid.Nil, rpcerr.Invalid(field, rpcerr.T(
			"it must be a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057",
			"必须是 UUID，例如 01890a5d-ac96-774b-bcce-b302099a8057"))
	}
	return parsed, nil
}

func newID() (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make an id: %w", err)
	}
	return id, nil
}

func isInvalid(err error) (*rpcerr.Error, bool) {
	var public *rpcerr.Error
	if errors.As(err, &public) && public.Code() == codes.InvalidArgument {
		return public, true
	}
	return nil, false
}
