// Package edge is the REST face of the suite: it lets HTTP in, finds out who is
// calling, and passes the call on to the service over gRPC. It holds no business
// rule.
//
// A request's way:
//
//	request id, headers, recovery → log → limits → sign-in → transcoding → service
//
// What the edge refuses itself has the shape of every other error: a
// google.rpc.Status in JSON with code, reason and request id.
package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/rs/cors"
	"google.golang.org/grpc"

	"github.com/kefu-suite/kefu/gateway/internal/surveypage"
	"github.com/kefu-suite/kefu/runtime/authn"

	auditv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/audit/v1"
	calendarv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
)

// Limits bound what a request may be.
type Limits struct {
	// BodyBytes bounds an ordinary body; a larger one is 413.
	BodyBytes int64 `env:"KEFU_HTTP_MAX_BODY_BYTES" envDefault:"1048576"`
	// ImportBytes bounds the body of an `:import` call.
	ImportBytes int64 `env:"KEFU_HTTP_MAX_IMPORT_BYTES" envDefault:"4194304"`
	// Depth bounds how deep a body nests.
	Depth int `env:"KEFU_HTTP_MAX_DEPTH" envDefault:"32"`
	// Streams is the number of requests in flight on one connection of HTTP/2.
	Streams int `env:"KEFU_HTTP_MAX_STREAMS" envDefault:"100"`
	// HeaderBytes bounds the headers; larger ones are 431.
	HeaderBytes int `env:"KEFU_HTTP_MAX_HEADER_BYTES" envDefault:"16384"`
	// HeaderRead, Read, Write and Idle are the timeouts of a connection.
	HeaderRead time.Duration `env:"KEFU_HTTP_HEADER_READ" envDefault:"5s"`
	Read       time.Duration `env:"KEFU_HTTP_READ" envDefault:"15s"`
	Write      time.Duration `env:"KEFU_HTTP_WRITE" envDefault:"30s"`
	Idle       time.Duration `env:"KEFU_HTTP_IDLE" envDefault:"60s"`
	// Call bounds one call to a service, also where Grpc-Timeout asks for more.
	Call time.Duration `env:"KEFU_HTTP_CALL" envDefault:"25s"`
	// UploadBytes bounds a file that is uploaded, and Transfer how long neither a byte of it nor
	// of an exported file may move.
	UploadBytes int64         `env:"KEFU_HTTP_MAX_UPLOAD_BYTES" envDefault:"1073741824"`
	Transfer    time.Duration `env:"KEFU_HTTP_TRANSFER_IDLE" envDefault:"30s"`
	// Stream bounds a call that answers with a stream, in the place of Call and Write.
	Stream time.Duration `env:"KEFU_HTTP_STREAM" envDefault:"10m"`
}

// Check tells the limits that are none, each with its setting.
func (l Limits) Check() []error {
	var problems []error
	for name, n := range map[string]int64{
		"KEFU_HTTP_MAX_BODY_BYTES": l.BodyBytes, "KEFU_HTTP_MAX_IMPORT_BYTES": l.ImportBytes, "KEFU_HTTP_MAX_HEADER_BYTES": int64(l.HeaderBytes),
		"KEFU_HTTP_MAX_DEPTH": int64(l.Depth), "KEFU_HTTP_MAX_STREAMS": int64(l.Streams), "KEFU_HTTP_HEADER_READ": int64(l.HeaderRead),
		"KEFU_HTTP_READ": int64(l.Read), "KEFU_HTTP_WRITE": int64(l.Write), "KEFU_HTTP_IDLE": int64(l.Idle),
		"KEFU_HTTP_CALL": int64(l.Call), "KEFU_HTTP_STREAM": int64(l.Stream),
		"KEFU_HTTP_MAX_UPLOAD_BYTES": l.UploadBytes, "KEFU_HTTP_TRANSFER_IDLE": int64(l.Transfer),
	} {
		if n <= 0 {
			problems = append(problems, fmt.Errorf("%s is not positive; a limit must be", name))
		}
	}
	return problems
}

// Conns are the connections to the services.
type Conns struct {
	Customer, Ticket, Complaint, Survey grpc.ClientConnInterface
}

// Config is what the edge is made of. All of it but Origins and TrustedHops is required.
type Config struct {
	Log      *slog.Logger
	Limits   Limits
	Conns    Conns
	Verifier *authn.Verifier
	Minter   *authn.Minter
	// Docs serves /docs and /openapi.json.
	Docs http.Handler
	// Origins are the web origins that browsers may call from; none by default.
	Origins []string
	// TrustedHops are the proxies whose X-Forwarded-For is believed.
	TrustedHops []netip.Prefix
	// Ready says whether calls can be served and, by service, why not.
	Ready func(context.Context) map[string]error
}

// New makes the handler of the public port. It fails when a route cannot be
// registered.
func New(ctx context.Context, cfg Config) (http.Handler, error) {
	routes, err := describe()
	if err != nil {
		return nil, err
	}
	rest, err := newMux(ctx, cfg, routes)
	if err != nil {
		return nil, err
	}
	customer := &carrier{cfg.Conns.Customer, routes}
	files := &transfers{
		limits: cfg.Limits, imports: customerv1.NewCustomerImportServiceClient(customer), exports: customerv1.NewCustomerExportServiceClient(customer),
	}
	guarded := signIn(cfg.Verifier, cfg.Minter, files.uploads(limitCall(cfg.Limits, routes, limitBody(cfg.Limits, refuseQuery(routes, notModified(files.downloads(rest)))))))
	root := http.NewServeMux()
	root.Handle("/v1/", guarded)
	root.Handle("/docs", cfg.Docs)
	root.Handle("/docs/", cfg.Docs)
	root.Handle("/openapi.json", cfg.Docs)
	root.Handle("/s/", nobody(cfg.Minter, cfg.Limits, surveypage.Handler(surveyv1.NewAnswerServiceClient(cfg.Conns.Survey))))
	root.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	root.HandleFunc("/readyz", readyz(cfg.Ready))
	root.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/docs/", http.StatusFound) })
	root.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { writeError(w, r, noRoute(r)) })

	var h http.Handler = root
	if len(cfg.Origins) > 0 {
		h = cors.New(cors.Options{
			AllowedOrigins: cfg.Origins,
			AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete},
			AllowedHeaders: []string{"Authorization", "Content-Type", "Accept-Language", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID", "X-Request-Id"},
			ExposedHeaders: []string{"ETag", "Retry-After", "X-Request-Id"},
			MaxAge:         600,
		}).Handler(h)
	}
	return identify(cfg.TrustedHops, protect(cfg.Log, record(cfg.Log, refusePath(h)))), nil
}

// newMux registers every service with a REST binding.
func newMux(ctx context.Context, cfg Config, routes *routeTable) (http.Handler, error) {
	mux := runtime.NewServeMux(muxOptions(routes)...)
	customer := &carrier{cfg.Conns.Customer, routes}
	ticket := &carrier{cfg.Conns.Ticket, routes}
	complaint := &carrier{cfg.Conns.Complaint, routes}
	survey := &carrier{cfg.Conns.Survey, routes}
	trails := bySource{"customer-registry": customer, "service-ticket": ticket, "complaint": complaint, "survey": survey}
	err := errors.Join(
		auditv1.RegisterAuditServiceHandlerClient(ctx, mux, auditv1.NewAuditServiceClient(trails)),
		customerv1.RegisterCustomerServiceHandlerClient(ctx, mux, customerv1.NewCustomerServiceClient(customer)),
		customerv1.RegisterContactServiceHandlerClient(ctx, mux, customerv1.NewContactServiceClient(customer)),
		customerv1.RegisterOrderServiceHandlerClient(ctx, mux, customerv1.NewOrderServiceClient(customer)),
		customerv1.RegisterConsentServiceHandlerClient(ctx, mux, customerv1.NewConsentServiceClient(customer)),
		customerv1.RegisterFileServiceHandlerClient(ctx, mux, customerv1.NewFileServiceClient(customer)),
		customerv1.RegisterAttributeServiceHandlerClient(ctx, mux, customerv1.NewAttributeServiceClient(customer)),
		customerv1.RegisterSegmentServiceHandlerClient(ctx, mux, customerv1.NewSegmentServiceClient(customer)),
		customerv1.RegisterChangeReportServiceHandlerClient(ctx, mux, customerv1.NewChangeReportServiceClient(customer)),
		customerv1.RegisterCallerServiceHandlerClient(ctx, mux, customerv1.NewCallerServiceClient(customer)),
		customerv1.RegisterQualityServiceHandlerClient(ctx, mux, customerv1.NewQualityServiceClient(customer)),
		customerv1.RegisterAccessRequestServiceHandlerClient(ctx, mux, customerv1.NewAccessRequestServiceClient(customer)),
		customerv1.RegisterBreakGlassServiceHandlerClient(ctx, mux, customerv1.NewBreakGlassServiceClient(customer)),
		customerv1.RegisterAccessReviewServiceHandlerClient(ctx, mux, customerv1.NewAccessReviewServiceClient(customer)),
		customerv1.RegisterSubjectRequestServiceHandlerClient(ctx, mux, customerv1.NewSubjectRequestServiceClient(customer)),
		customerv1.RegisterPurchaseServiceHandlerClient(ctx, mux, customerv1.NewPurchaseServiceClient(customer)),
		customerv1.RegisterWarrantyServiceHandlerClient(ctx, mux, customerv1.NewWarrantyServiceClient(customer)),
		customerv1.RegisterTierServiceHandlerClient(ctx, mux, customerv1.NewTierServiceClient(customer)),
		customerv1.RegisterCustomerImportServiceHandlerClient(ctx, mux, customerv1.NewCustomerImportServiceClient(customer)),
		customerv1.RegisterCustomerExportServiceHandlerClient(ctx, mux, customerv1.NewCustomerExportServiceClient(customer)),
		ticketv1.RegisterTicketServiceHandlerClient(ctx, mux, ticketv1.NewTicketServiceClient(ticket)),
		ticketv1.RegisterDirectoryServiceHandlerClient(ctx, mux, ticketv1.NewDirectoryServiceClient(ticket)),
		ticketv1.RegisterOrganisationServiceHandlerClient(ctx, mux, ticketv1.NewOrganisationServiceClient(ticket)),
		ticketv1.RegisterDutyServiceHandlerClient(ctx, mux, ticketv1.NewDutyServiceClient(ticket)),
		ticketv1.RegisterHandoverServiceHandlerClient(ctx, mux, ticketv1.NewHandoverServiceClient(ticket)),
		ticketv1.RegisterHotlineServiceHandlerClient(ctx, mux, ticketv1.NewHotlineServiceClient(ticket)),
		ticketv1.RegisterTriageServiceHandlerClient(ctx, mux, ticketv1.NewTriageServiceClient(ticket)),
		ticketv1.RegisterIntakeServiceHandlerClient(ctx, mux, ticketv1.NewIntakeServiceClient(ticket)),
		ticketv1.RegisterStandardServiceHandlerClient(ctx, mux, ticketv1.NewStandardServiceClient(ticket)),
		ticketv1.RegisterTaskServiceHandlerClient(ctx, mux, ticketv1.NewTaskServiceClient(ticket)),
		ticketv1.RegisterQueueServiceHandlerClient(ctx, mux, ticketv1.NewQueueServiceClient(ticket)),
		ticketv1.RegisterWorkServiceHandlerClient(ctx, mux, ticketv1.NewWorkServiceClient(ticket)),
		ticketv1.RegisterCannedAnswerServiceHandlerClient(ctx, mux, ticketv1.NewCannedAnswerServiceClient(ticket)),
		ticketv1.RegisterBulkServiceHandlerClient(ctx, mux, ticketv1.NewBulkServiceClient(ticket)),
		ticketv1.RegisterDeskServiceHandlerClient(ctx, mux, ticketv1.NewDeskServiceClient(ticket)),
		ticketv1.RegisterOutreachServiceHandlerClient(ctx, mux, ticketv1.NewOutreachServiceClient(ticket)),
		calendarv1.RegisterCalendarServiceHandlerClient(ctx, mux, calendarv1.NewCalendarServiceClient(ticket)),
		clockv1.RegisterTicketPolicyServiceHandlerClient(ctx, mux, clockv1.NewTicketPolicyServiceClient(ticket)),
		clockv1.RegisterComplaintPolicyServiceHandlerClient(ctx, mux, clockv1.NewComplaintPolicyServiceClient(complaint)),
		complaintv1.RegisterComplaintServiceHandlerClient(ctx, mux, complaintv1.NewComplaintServiceClient(complaint)),
		complaintv1.RegisterSeverityServiceHandlerClient(ctx, mux, complaintv1.NewSeverityServiceClient(complaint)),
		complaintv1.RegisterResponsibilityServiceHandlerClient(ctx, mux, complaintv1.NewResponsibilityServiceClient(complaint)),
		complaintv1.RegisterRemedyServiceHandlerClient(ctx, mux, complaintv1.NewRemedyServiceClient(complaint)),
		complaintv1.RegisterInvestigationServiceHandlerClient(ctx, mux, complaintv1.NewInvestigationServiceClient(complaint)),
		complaintv1.RegisterComplaintStatusServiceHandlerClient(ctx, mux, complaintv1.NewComplaintStatusServiceClient(complaint)),
		complaintv1.RegisterAssessmentServiceHandlerClient(ctx, mux, complaintv1.NewAssessmentServiceClient(complaint)),
		complaintv1.RegisterComplaintReportServiceHandlerClient(ctx, mux, complaintv1.NewComplaintReportServiceClient(complaint)),
		complaintv1.RegisterComplaintReceiverServiceHandlerClient(ctx, mux, complaintv1.NewComplaintReceiverServiceClient(complaint)),
		surveyv1.RegisterQuestionnaireServiceHandlerClient(ctx, mux, surveyv1.NewQuestionnaireServiceClient(survey)),
		surveyv1.RegisterInvitationServiceHandlerClient(ctx, mux, surveyv1.NewInvitationServiceClient(survey)),
		surveyv1.RegisterDesignServiceHandlerClient(ctx, mux, surveyv1.NewDesignServiceClient(survey)),
		surveyv1.RegisterEntryServiceHandlerClient(ctx, mux, surveyv1.NewEntryServiceClient(survey)),
		surveyv1.RegisterAnswerServiceHandlerClient(ctx, mux, surveyv1.NewAnswerServiceClient(survey)),
		surveyv1.RegisterAnalysisServiceHandlerClient(ctx, mux, surveyv1.NewAnalysisServiceClient(survey)),
		surveyv1.RegisterCampaignServiceHandlerClient(ctx, mux, surveyv1.NewCampaignServiceClient(survey)),
		surveyv1.RegisterFollowUpServiceHandlerClient(ctx, mux, surveyv1.NewFollowUpServiceClient(survey)),
		surveyv1.RegisterCleaningServiceHandlerClient(ctx, mux, surveyv1.NewCleaningServiceClient(survey)),
		surveyv1.RegisterTopicServiceHandlerClient(ctx, mux, surveyv1.NewTopicServiceClient(survey)),
	)
	if err != nil {
		return nil, fmt.Errorf("register the services at the edge: %w", err)
	}
	return mux, nil
}

// NewServer wraps the handler in a server with the timeouts and sizes of l.
func NewServer(l Limits, h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: l.HeaderRead,
		ReadTimeout:       l.Read,
		WriteTimeout:      l.Write,
		IdleTimeout:       l.Idle,
		MaxHeaderBytes:    l.HeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: l.Streams},
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // the prober may have gone
}

// readyz answers 200 while at least one service can be reached: a gateway taken
// away because one of four services is down would take the other three with it.
// The body names each service and its fault.
func readyz(ready func(context.Context) map[string]error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		faults := ready(r.Context())
		code, text, down := http.StatusOK, "", 0
		for _, name := range sortedKeys(faults) {
			state := "ok"
			if err := faults[name]; err != nil {
				state, down = err.Error(), down+1
			}
			text += name + ": " + state + "\n"
		}
		if down == len(faults) {
			code = http.StatusServiceUnavailable
		}
		plain(w, code, text)
	}
}
