// Package server answers the calls about tickets, the policy of their deadlines, the
// directory and calendars, opens the follow-up tickets that low survey answers ask for, and
// closes tickets on which the customer stays silent.
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

	calendarv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/contactdata"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// Name is the service's name in addresses, certificates and events.
const Name = directory.Source

// Config is what a Server needs; everything is required.
type Config struct {
	Pool      *pgxpool.Pool
	Lists     *pgxpool.Pool // of pg.InOrder
	Keyring   *pii.Keyring
	Write     *write.Path
	Pages     *page.Sealer
	Validator protovalidate.Validator
	Log       *slog.Logger
	Now       func() time.Time
	// Registry resolves customers not known here yet.
	Registry customerref.Resolver
	// Issuer is that of staff for whom none is given.
	Issuer string
	// Region is where a phone without country code is, e.g. "CN".
	Region string
	Policy ticket.Policy
	// Clocks keeps the deadlines of tickets, which are measured in Calendars.
	Clocks    *clock.Store
	Calendars *calendar.Cache
}

// Server implements the services of tickets, the directory and calendars, and has the one of
// policies.
type Server struct {
	calendarv1.UnsafeCalendarServiceServer
	ticketv1.UnsafeTicketServiceServer
	ticketv1.UnsafeDirectoryServiceServer
	ticketv1.UnsafeOrganisationServiceServer
	ticketv1.UnsafeDutyServiceServer
	ticketv1.UnsafeHandoverServiceServer
	ticketv1.UnsafeHotlineServiceServer
	ticketv1.UnsafeTaskServiceServer
	ticketv1.UnsafeQueueServiceServer
	ticketv1.UnsafeWorkServiceServer
	ticketv1.UnsafeCannedAnswerServiceServer
	ticketv1.UnsafeBulkServiceServer
	ticketv1.UnsafeDeskServiceServer
	ticketv1.UnsafeOutreachServiceServer
	ticketv1.UnsafeTriageServiceServer
	ticketv1.UnsafeIntakeServiceServer
	ticketv1.UnsafeStandardServiceServer

	pool      *pgxpool.Pool
	lists     *pgxpool.Pool
	keys      *pii.Keyring
	write     *write.Path
	pages     *page.Sealer
	validator protovalidate.Validator
	log       *slog.Logger
	clock     func() time.Time
	registry  customerref.Resolver
	issuer    string
	region    string
	policy    ticket.Policy
	clocks    *clock.Store
	calendars *calendar.Cache
	book      *policy.Book
	policies  *policy.Service
	triager   *triager
	// feed is what front ends watch.
	feed *event.Server
	// pulls gathers those who ask for their next ticket.
	pulls *write.Together[*ticketv1.NextTicketRequest, *ticketv1.Ticket, *pulls]
	q     *db.Queries
}

// New makes a Server. It fails when the region is none that phones are read by, or the
// policy would close or reopen at once.
func New(cfg Config) (*Server, error) {
	if !contactdata.Region(cfg.Region) {
		return nil, fmt.Errorf("default region %q: give a two-letter country code such as CN", cfg.Region)
	}
	if err := cfg.Policy.Check(); err != nil {
		return nil, err
	}
	if cfg.Issuer == "" {
		return nil, errors.New("staff need the issuer of their tokens")
	}
	s := &Server{
		pool: cfg.Pool, lists: cfg.Lists, keys: cfg.Keyring, write: cfg.Write, pages: cfg.Pages, validator: cfg.Validator,
		log: cfg.Log, clock: cfg.Now, registry: cfg.Registry, issuer: cfg.Issuer, region: cfg.Region,
		policy: cfg.Policy, clocks: cfg.Clocks, calendars: cfg.Calendars, q: db.New(),
	}
	s.feed = event.NewServer(cfg.Pool, cfg.Log)
	s.triager = &triager{q: s.q}
	s.pulls = write.NewTogether(s.write, parallelPulls, mostPulls, s.readPulls, s.nextTickets)
	s.book = policy.NewBook(ticket.Words(), cfg.Calendars, s.now)
	s.policies = policy.NewService(policy.Config{
		Book: s.book, Pool: cfg.Pool, Write: cfg.Write, Pages: cfg.Pages, Validator: cfg.Validator, Now: cfg.Now,
		SubjectType: ticket.SubjectType, Cases: s.pastTickets,
	})
	return s, nil
}

// Register puts the services on a gRPC server.
func (s *Server) Register(on grpc.ServiceRegistrar) {
	ticketv1.RegisterTicketServiceServer(on, s)
	ticketv1.RegisterDirectoryServiceServer(on, s)
	ticketv1.RegisterOrganisationServiceServer(on, s)
	ticketv1.RegisterDutyServiceServer(on, s)
	ticketv1.RegisterHandoverServiceServer(on, s)
	ticketv1.RegisterHotlineServiceServer(on, s)
	ticketv1.RegisterTaskServiceServer(on, s)
	ticketv1.RegisterQueueServiceServer(on, s)
	ticketv1.RegisterWorkServiceServer(on, s)
	ticketv1.RegisterCannedAnswerServiceServer(on, s)
	ticketv1.RegisterBulkServiceServer(on, s)
	ticketv1.RegisterDeskServiceServer(on, s)
	ticketv1.RegisterOutreachServiceServer(on, s)
	ticketv1.RegisterTriageServiceServer(on, s)
	ticketv1.RegisterIntakeServiceServer(on, s)
	ticketv1.RegisterStandardServiceServer(on, s)
	calendarv1.RegisterCalendarServiceServer(on, s)
	clockv1.RegisterTicketPolicyServiceServer(on, s.policies)
}

// now is the present in the resolution the database keeps.
func (s *Server) now() time.Time { return micro(s.clock()) }

func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// etag is how a row's version is told.
func etag(version int64) string { return strconv.FormatInt(version, 10) }

// current refuses an etag that is given and not the row's.
func current(given string, version int64, kind string, id uuid.UUID) error {
	if given != "" && given != etag(version) {
		return rpcerr.Stale(kind, id.String())
	}
	return nil
}

// parseID reads the id in a field; validation has not seen those of updated resources.
func parseID(field, id string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(id)
	if err != nil || len(id) != 36 {
		return uuid.Nil, rpcerr.Invalid(field, rpcerr.T(
			"it must be a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057",
			"必须是 UUID，例如 01890a5d-ac96-774b-bcce-b302099a8057"))
	}
	return parsed, nil
}

// parseOptional reads an id that may be absent.
func parseOptional(field, id string) (uuid.UUID, error) {
	if id == "" {
		return uuid.Nil, nil
	}
	return parseID(field, id)
}

func newID() (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make an id: %w", err)
	}
	return id, nil
}

// cursor opens a page token to the id after which the page goes on.
func (s *Server) cursor(ctx context.Context, req paged) (uuid.UUID, error) {
	at, err := s.pages.Open(ctx, req, req.GetPageToken())
	if err != nil || at == "" {
		return uuid.Nil, err
	}
	id, err := uuid.Parse(at)
	if err != nil {
		return uuid.Nil, fmt.Errorf("cursor of a page: %w", err)
	}
	return id, nil
}
