// Package server holds the RPCs of the survey service, what it does on the events of other
// services, and its sweep.
package server

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// Config is what a Server needs. Everything is required.
type Config struct {
	Pool      *pgxpool.Pool
	Write     *write.Path
	Pages     *page.Sealer
	Validator protovalidate.Validator
	// LinkKey is the keyring's key derived with LinkKeyLabel.
	LinkKey []byte
	// Registry resolves customers not known here.
	Registry customerref.Resolver
	// Contacts says who may be written to.
	Contacts ContactBudget
	// Low says which scores are low.
	Low questionnaire.Thresholds
	// Audience streams whom campaigns ask.
	Audience Audience
	// Sender takes messages out of the company.
	Sender Sender
	// FirstUse is how long after a new customer's first delivery they are asked for their opinion on
	// use, Again how long after a follow-up was resolved the low answer's questions are asked again.
	FirstUse, Again time.Duration
	Log             *slog.Logger
	Now             func() time.Time
}

// Server serves questionnaires, invitations, answers and their analysis.
type Server struct {
	surveyv1.UnimplementedQuestionnaireServiceServer
	surveyv1.UnimplementedDesignServiceServer
	surveyv1.UnimplementedInvitationServiceServer
	surveyv1.UnimplementedAnswerServiceServer
	surveyv1.UnimplementedEntryServiceServer
	surveyv1.UnimplementedAnalysisServiceServer
	surveyv1.UnimplementedCleaningServiceServer
	surveyv1.UnimplementedTopicServiceServer
	surveyv1.UnimplementedCampaignServiceServer
	surveyv1.UnimplementedFollowUpServiceServer

	pool      *pgxpool.Pool
	write     *write.Path
	pages     *page.Sealer
	validator protovalidate.Validator
	links     links
	registry  customerref.Resolver
	contacts  ContactBudget
	low       questionnaire.Thresholds
	audience  Audience
	sender    Sender
	firstUse  time.Duration
	again     time.Duration
	log       *slog.Logger
	now       func() time.Time
	queries   *db.Queries
	missing   missing
	analyses  analyses
}

// New makes a Server. It fails when something is missing.
func New(cfg Config) (*Server, error) {
	if cfg.Pool == nil || cfg.Write == nil || cfg.Pages == nil || cfg.Validator == nil || len(cfg.LinkKey) == 0 ||
		cfg.Registry == nil || cfg.Contacts == nil || cfg.Low == (questionnaire.Thresholds{}) || cfg.Sender == nil || cfg.Audience == nil ||
		cfg.FirstUse <= 0 || cfg.Again <= 0 || cfg.Log == nil || cfg.Now == nil {
		return nil, errors.New("survey server: a required part is missing")
	}
	return &Server{
		pool: cfg.Pool, write: cfg.Write, pages: cfg.Pages, validator: cfg.Validator,
		links: links{key: cfg.LinkKey}, registry: cfg.Registry, contacts: cfg.Contacts, low: cfg.Low, sender: cfg.Sender, audience: cfg.Audience,
		firstUse: cfg.FirstUse, again: cfg.Again, log: cfg.Log, now: cfg.Now,
		queries: db.New(), missing: newMissing(),
	}, nil
}

// Register adds the services to a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	surveyv1.RegisterQuestionnaireServiceServer(r, s)
	surveyv1.RegisterDesignServiceServer(r, s)
	surveyv1.RegisterInvitationServiceServer(r, s)
	surveyv1.RegisterAnswerServiceServer(r, s)
	surveyv1.RegisterEntryServiceServer(r, s)
	surveyv1.RegisterAnalysisServiceServer(r, s)
	surveyv1.RegisterCleaningServiceServer(r, s)
	surveyv1.RegisterTopicServiceServer(r, s)
	surveyv1.RegisterCampaignServiceServer(r, s)
	surveyv1.RegisterFollowUpServiceServer(r, s)
}

// moment is the present as Postgres keeps it, so that what a call answers equals what a
// later one reads.
func (s *Server) moment() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// parse reads an id that the request's rules may have left unchecked.
func parse(field, id string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(id)
	if err != nil || len(id) != 36 {
		return uuid.Nil, rpcerr.Invalid(field, rpcerr.T(
			"it must be a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057.",
			"必须是 UUID，例如 01890a5d-ac96-774b-bcce-b302099a8057。"))
	}
	return parsed, nil
}

// optional reads an id of the request where the empty one means none.
func optional(field, id string) (*uuid.UUID, error) {
	if id == "" {
		return nil, nil
	}
	parsed, err := parse(field, id)
	if err != nil {
		return nil, err
	}
	return &parsed, nil
}

func newID() (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("draw an id: %w", err)
	}
	return id, nil
}

// maxFaults bounds an answer: details travel as a header.
const maxFaults = 20

// faulty makes one public error of the faults, a field violation each; prefix leads their
// paths. The keys of the questions at fault stand in the metadata as well.
func faulty(code codes.Code, reason, prefix string, lead rpcerr.Text, faults []questionnaire.Fault) *rpcerr.Error {
	lead.EN += ": " + faults[0].Text.EN
	lead.ZH += "：" + faults[0].Text.ZH
	if more := len(faults) - 1; more > 0 {
		lead.EN += fmt.Sprintf(" (and %d more)", more)
		lead.ZH += fmt.Sprintf("（另有 %d 处）", more)
	}
	lead.EN, lead.ZH = lead.EN+".", lead.ZH+"。"
	out := rpcerr.New(code, reason, lead)
	var questions []string
	seen := map[string]bool{"": true}
	for i, fault := range faults {
		if i == maxFaults {
			break
		}
		out = out.Field(prefix+fault.Path, rpcerr.Text{EN: fault.Text.EN + ".", ZH: fault.Text.ZH + "。"})
		if !seen[fault.Question] {
			seen[fault.Question] = true
			questions = append(questions, fault.Question)
		}
	}
	if len(questions) > 0 {
		out = out.With("questions", strings.Join(questions, ","))
	}
	return out
}

// noNUL refuses the one character that Postgres cannot store.
func noNUL(field, value string) error {
	if strings.ContainsRune(value, 0) {
		return rpcerr.Invalid(field, rpcerr.T("it holds a NUL character; take it out.", "含有 NUL 字符；请去掉。"))
	}
	return nil
}
