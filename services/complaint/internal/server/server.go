// Package server answers the calls of the complaint service and applies the events of
// the other services to complaints.
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
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/db"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/internal/subject"
)

// Name is the service's name in addresses, certificates and events.
const Name = "complaint"

// surveySource is the service that sends what customers answered.
const surveySource = "survey"

// kind names the resource in errors and audit records.
const kind = "complaint"

// Migrations are all tables that the service needs besides those of the runtime.
func Migrations() []pg.MigrationSet {
	return []pg.MigrationSet{
		customerref.Migrations(), directory.Migrations(), calendar.Migrations(), clock.Migrations(), policy.Migrations(),
		subject.Migrations(), db.Migrations(),
	}
}

// Targets are where the other services are.
type Targets struct{ CustomerRegistry, ServiceTicket, Survey string }

// Server implements the services of complaints.
type Server struct {
	complaintv1.UnimplementedComplaintServiceServer
	complaintv1.UnimplementedSeverityServiceServer
	complaintv1.UnimplementedInvestigationServiceServer
	complaintv1.UnimplementedRemedyServiceServer
	complaintv1.UnimplementedResponsibilityServiceServer
	complaintv1.UnimplementedComplaintStatusServiceServer
	complaintv1.UnimplementedComplaintReceiverServiceServer
	complaintv1.UnimplementedAssessmentServiceServer
	complaintv1.UnimplementedComplaintReportServiceServer

	pool      *pgxpool.Pool
	write     *write.Path
	pages     *page.Sealer
	validator protovalidate.Validator
	registry  customerref.Resolver
	purchases purchaseChecker
	limits    complaint.Limits
	clock     func() time.Time
	clocks    *clock.Store
	calendars *calendar.Cache
	book      *policy.Book
	secrets   secrets
	courier   Courier
	log       *slog.Logger
	q         *db.Queries
}

// Register puts the service on a process: its calls, and the consumers of the events
// that it lives from. It fails when the limits make no sense or a target is unusable.
func Register(p *app.Process, targets Targets, limits complaint.Limits) (*Server, error) {
	if err := limits.Check(); err != nil {
		return nil, fmt.Errorf("limits of complaints: %w", err)
	}
	registry, err := p.Dial(customerref.Source, targets.CustomerRegistry)
	if err != nil {
		return nil, err
	}
	calendars := calendar.NewCache()
	clocks := clock.New(calendars, p.Now)
	s := &Server{
		pool: p.Pool, write: p.Write, pages: p.Pages, validator: p.Validator,
		registry: customerv1.NewCustomerServiceClient(registry), purchases: customerv1.NewPurchaseCheckServiceClient(registry), limits: limits, clock: p.Now,
		clocks: clocks, calendars: calendars, q: db.New(), log: p.Log,
		secrets: secrets{key: p.Keyring.Derive(secretKeyLabel)}, courier: LogCourier{p.Log},
	}
	s.book = policy.NewBook(complaint.Words(), calendars, s.now)
	clockv1.RegisterComplaintPolicyServiceServer(p.GRPC, policy.NewService(policy.Config{
		Book: s.book, Pool: p.Pool, Write: p.Write, Pages: p.Pages, Validator: p.Validator, Now: p.Now,
		SubjectType: complaint.SubjectType, Cases: s.pastComplaints,
	}))
	p.Go("sweep of clocks", clock.NewSweeper(clocks, p.Pool, p.Write, p.Log).Run)
	p.Go("silent customers", s.FollowSilence)
	complaintv1.RegisterComplaintServiceServer(p.GRPC, s)
	complaintv1.RegisterSeverityServiceServer(p.GRPC, s)
	complaintv1.RegisterInvestigationServiceServer(p.GRPC, s)
	complaintv1.RegisterRemedyServiceServer(p.GRPC, s)
	complaintv1.RegisterResponsibilityServiceServer(p.GRPC, s)
	complaintv1.RegisterComplaintStatusServiceServer(p.GRPC, s)
	complaintv1.RegisterComplaintReceiverServiceServer(p.GRPC, s)
	complaintv1.RegisterAssessmentServiceServer(p.GRPC, s)
	complaintv1.RegisterComplaintReportServiceServer(p.GRPC, s)
	return s, errors.Join(
		p.Follow(customerref.Source, targets.CustomerRegistry, customerref.Handle),
		p.FollowAs(Name+"/calendars", directory.Source, targets.ServiceTicket, s.HandleTicketService),
		p.Follow(surveySource, targets.Survey, s.HandleSurvey),
	)
}

func (s *Server) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// id reads an id that the request's validation has passed.
func id(text string) uuid.UUID { return uuid.MustParse(text) }

// optional reads an id that may be empty.
func optional(text string) *uuid.UUID {
	if text == "" {
		return nil
	}
	v := id(text)
	return &v
}

// value is the id, zero for none.
func value(v *uuid.UUID) uuid.UUID {
	if v == nil {
		return uuid.Nil
	}
	return *v
}

// pointer is the id, nil for none.
func pointer(v uuid.UUID) *uuid.UUID {
	if v == uuid.Nil {
		return nil
	}
	return &v
}

func text(v *uuid.UUID) string {
	if v == nil {
		return ""
	}
	return v.String()
}

func stamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

func etag(version int64) string { return strconv.FormatInt(version, 10) }

// public turns a rule's refusal into the error that callers get. Who may not take a step
// is denied; what the complaint's facts forbid is a failed precondition.
func public(err error) error {
	var r *complaint.Refusal
	if !errors.As(err, &r) {
		return err
	}
	code := codes.FailedPrecondition
	switch r.Reason {
	case complaint.ReasonConcernsCaller, complaint.ReasonNotHead, complaint.ReasonNotHandler,
		complaint.ReasonApproverProposed, complaint.ReasonApproverConcerned, complaint.ReasonAmountAboveLimit, complaint.ReasonInspectorHandles,
		complaint.ReasonExecutorApproved, complaint.ReasonNotProposer, complaint.ReasonNotParty,
		complaint.ReasonDeterminerConcerned, complaint.ReasonResponsibilityConcerns, complaint.ReasonAssessmentConcerns:
		code = codes.PermissionDenied
	}
	e := rpcerr.New(code, r.Reason, r.Text)
	if r.Clause != "" {
		e = e.Clause(r.Clause)
	}
	if r.Field != "" {
		e = e.Field(r.Field, r.Text)
	}
	for k, v := range r.Facts {
		e = e.With(k, v)
	}
	return e
}

func notFound(complaintID uuid.UUID) error { return rpcerr.NotFound(kind, complaintID.String()) }

// missing tells whether a query found no row.
func missing(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

// staff looks up a member of staff that a request names; one the directory does not know
// is a violation of that field.
func staff(ctx context.Context, tx pg.DBTX, staffID uuid.UUID, field string) (directory.Member, error) {
	m, err := directory.Staff(ctx, tx, staffID)
	if errors.Is(err, directory.ErrUnknown) {
		return m, rpcerr.Invalid(field, rpcerr.T(
			"there is no member of staff %[1]s; give the id of one in the directory",
			"没有员工 %[1]s；请填写组织架构中员工的 id", staffID))
	}
	return m, err
}

// department is staff for departments.
func department(ctx context.Context, tx pg.DBTX, departmentID uuid.UUID, field string) (directory.Unit, error) {
	d, err := directory.Department(ctx, tx, departmentID)
	if errors.Is(err, directory.ErrUnknown) {
		return d, rpcerr.Invalid(field, rpcerr.T(
			"there is no department %[1]s; give the id of one in the directory",
			"没有部门 %[1]s；请填写组织架构中部门的 id", departmentID))
	}
	return d, err
}
