package server_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/internal/subject"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
	"github.com/kefu-suite/kefu/services/survey/internal/server"
)

// The seeded questionnaires.
const (
	ticketSurvey    = "01900000-0000-7000-8000-000000000001"
	complaintSurvey = "01900000-0000-7000-8000-000000000002"
)

const (
	rating = surveyv1.QuestionType_QUESTION_TYPE_RATING
	nps    = surveyv1.QuestionType_QUESTION_TYPE_NPS
	effort = surveyv1.QuestionType_QUESTION_TYPE_EFFORT
	single = surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE
	words  = surveyv1.QuestionType_QUESTION_TYPE_TEXT
)

// registry is the customer registry as this service sees it.
type registry struct {
	mu    sync.Mutex
	known map[string]*customerv1.CustomerRef
	down  bool
	asked int
	// held are the customers that must not be written to; refused those it does not judge.
	held    map[string]customerv1.HeldBack
	refused map[string]bool
	// pool has the customers that segments choose from; segments are known by id.
	pool     *pgxpool.Pool
	segments map[string][]string
	// forgets keeps no record of what is reserved.
	forgets bool
	// without is a channel by which nobody can be reached.
	without  typev1.Channel
	reserved []*customerv1.ReserveContactRequest
}

func (r *registry) ReserveContact(_ context.Context, in *customerv1.ReserveContactRequest, _ ...grpc.CallOption) (*customerv1.ContactReservation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return nil, status.Error(codes.Unavailable, "down")
	}
	if r.without != 0 && in.GetChannel() == r.without {
		return &customerv1.ContactReservation{HeldBack: customerv1.HeldBack_HELD_BACK_NO_CHANNEL}, nil
	}
	if r.refused[in.GetCustomerId()] {
		return nil, status.Error(codes.NotFound, "unknown")
	}
	if !r.forgets {
		r.reserved = append(r.reserved, in)
	}
	if why := r.held[in.GetCustomerId()]; why != 0 {
		return &customerv1.ContactReservation{HeldBack: why, BudgetTime: timestamppb.Now()}, nil
	}
	return &customerv1.ContactReservation{Id: uuid.NewString(), Granted: true}, nil
}

func (r *registry) ResolveCustomer(_ context.Context, in *customerv1.ResolveCustomerRequest, _ ...grpc.CallOption) (*customerv1.CustomerRef, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.down {
		return nil, status.Error(codes.Unavailable, "down")
	}
	if ref, ok := r.known[in.GetId()]; ok {
		return ref, nil
	}
	return nil, status.Error(codes.NotFound, "unknown")
}

func (r *registry) set(change func(r *registry)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// kit is a service under test with its clients.
type kit struct {
	*testkit.Service
	t              testing.TB
	server         *server.Server
	registry       *registry
	questionnaires surveyv1.QuestionnaireServiceClient
	designs        surveyv1.DesignServiceClient
	invitations    surveyv1.InvitationServiceClient
	answers        surveyv1.AnswerServiceClient
	entries        surveyv1.EntryServiceClient
	analyses       surveyv1.AnalysisServiceClient
	log            *safeBuffer
	sender         *outbox
}

// safeBuffer takes log lines from any goroutine.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newKit(t testing.TB) *kit {
	t.Helper()
	k := &kit{t: t, sender: new(outbox), registry: &registry{known: map[string]*customerv1.CustomerRef{}, held: map[string]customerv1.HeldBack{}, refused: map[string]bool{}}, log: new(safeBuffer)}
	k.Service = testkit.NewService(t, testkit.ServiceConfig{
		Name: "survey", Migrations: []pg.MigrationSet{customerref.Migrations(), directory.Migrations(), subject.Migrations(), db.Migrations()},
		Policy: access.Policy(), Log: k.log,
		Register: func(p *app.Process) error {
			s, err := server.New(server.Config{
				Pool: p.Pool, Write: p.Write, Pages: p.Pages, Validator: p.Validator,
				LinkKey: p.Keyring.Derive(server.LinkKeyLabel), Registry: k.registry, Contacts: k.registry,
				Audience: k.registry, Sender: k.sender, FirstUse: 30 * 24 * time.Hour, Again: 7 * 24 * time.Hour,
				Low: questionnaire.Thresholds{Rating: 2, NPS: 6}, Log: p.Log, Now: p.Now,
			})
			if err != nil {
				return err
			}
			k.server, k.registry.pool = s, p.Pool
			s.Register(p.GRPC)
			_, err = subject.Install(t.Context(), p, s.Subjects())
			return err
		},
	})
	k.questionnaires = surveyv1.NewQuestionnaireServiceClient(k.Conn)
	k.designs = surveyv1.NewDesignServiceClient(k.Conn)
	k.invitations = surveyv1.NewInvitationServiceClient(k.Conn)
	k.entries = surveyv1.NewEntryServiceClient(k.Conn)
	k.answers = surveyv1.NewAnswerServiceClient(k.Conn)
	k.analyses = surveyv1.NewAnalysisServiceClient(k.Conn)
	k.NoneAtEnd("audit records without their customer", `SELECT DISTINCT action || ' of a ' || object_type FROM audit_records AS r
WHERE customer_id IS NULL AND (object_type = 'invitation' OR EXISTS (
  SELECT FROM answers AS a WHERE a.id = r.object_id AND a.customer_id IS NOT NULL))`)
	return k
}

// crm may everything of this service but import.
func (k *kit) crm() context.Context { return k.As(access.CRMSpecialist) }

// importer may import.
func (k *kit) importer() context.Context { return k.As(access.InformationAdministrator) }

func both(s string) *typev1.Text { return &typev1.Text{Zh: s + "？", En: s + "?"} }

func question(key string, kind surveyv1.QuestionType, choices ...string) *surveyv1.Question {
	q := &surveyv1.Question{Key: key, Type: kind, Text: both(key)}
	for _, c := range choices {
		q.Choices = append(q.Choices, &surveyv1.Choice{Key: c, Text: both(c)})
	}
	return q
}

// draft makes a questionnaire with these questions.
func (k *kit) draft(questions ...*surveyv1.Question) *surveyv1.Questionnaire {
	k.t.Helper()
	q, err := k.questionnaires.CreateQuestionnaire(k.crm(), &surveyv1.CreateQuestionnaireRequest{
		Questionnaire: &surveyv1.Questionnaire{Title: both("title"), Questions: questions}})
	if err != nil {
		k.t.Fatalf("create questionnaire: %v", err)
	}
	return q
}

// published makes and publishes one.
func (k *kit) published(questions ...*surveyv1.Question) *surveyv1.Questionnaire {
	k.t.Helper()
	return k.publish(k.draft(questions...).GetId())
}

func (k *kit) publish(id string) *surveyv1.Questionnaire {
	k.t.Helper()
	q, err := k.questionnaires.PublishQuestionnaire(k.crm(), &surveyv1.PublishQuestionnaireRequest{Id: id})
	if err != nil {
		k.t.Fatalf("publish: %v", err)
	}
	return q
}

// ref is a customer as the registry tells it.
func ref(id string, consent bool, version int64) *customerv1.CustomerRef {
	return &customerv1.CustomerRef{
		Id: id, Number: "C-202611-000001", Kind: customerv1.CustomerKind_CUSTOMER_KIND_DIRECT_USER, Tier: typev1.Tier_TIER_B,
		Status: customerv1.CustomerStatus_CUSTOMER_STATUS_ACTIVE, ServiceQualityConsent: consent, Language: "en", Version: version,
	}
}

// customer is one that is known here and consents.
func (k *kit) customer() string {
	k.t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	if _, err := customerref.Apply(k.t.Context(), k.Pool, ref(id, true, 1)); err != nil {
		k.t.Fatal(err)
	}
	return id
}

// invite makes an invitation with its link.
func (k *kit) invite(questionnaireID, customerID string) *surveyv1.InvitationLink {
	k.t.Helper()
	link, err := k.invitations.CreateInvitation(k.crm(), &surveyv1.CreateInvitationRequest{
		Invitation: &surveyv1.Invitation{QuestionnaireId: questionnaireID, CustomerId: customerID}})
	if err != nil {
		k.t.Fatalf("invite: %v", err)
	}
	return link
}

// submit answers a link.
func (k *kit) submit(token string, responses ...*surveyv1.Response) *surveyv1.AnswerReceipt {
	k.t.Helper()
	receipt, err := k.answers.SubmitAnswer(k.AsPublic(), &surveyv1.SubmitAnswerRequest{Token: token, Responses: responses})
	if err != nil {
		k.t.Fatalf("submit: %v", err)
	}
	return receipt
}

func score(key string, n int32) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Score{Score: n}}
}

func choice(key, c string) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Choice{Choice: c}}
}

func comment(key, s string) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Text{Text: s}}
}

// refused checks code and reason of a refusal and the fields it names.
func refused(t testing.TB, err error, code codes.Code, reason string, fields ...string) {
	t.Helper()
	if status.Code(err) != code || rpcerr.Reason(err) != reason {
		t.Errorf("got %v, want %v %s", err, code, reason)
		return
	}
	var named []string
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				named = append(named, v.GetField())
			}
		}
	}
	if len(fields) > 0 && !slices.Equal(named, fields) {
		t.Errorf("%s names the fields %q, want %q", reason, named, fields)
	}
}

// envelope is an event as another service would stream it.
func envelope(t testing.TB, kind, subject, customer string, payload proto.Message) *eventv1.Envelope {
	t.Helper()
	packed, err := anypb.New(payload)
	if err != nil {
		t.Fatal(err)
	}
	return &eventv1.Envelope{
		Id: uuid.Must(uuid.NewV7()).String(), Position: 1, Type: kind, SubjectId: subject, SubjectVersion: 1,
		CustomerId: customer, OccurTime: timestamppb.Now(), RecordTime: timestamppb.Now(), Payload: packed,
	}
}

// feed gives an event to a consumer's handler as the consumer does, and makes what is due.
func (k *kit) feed(handle func(context.Context, pgx.Tx, *eventv1.Envelope) error, e *eventv1.Envelope) error {
	k.t.Helper()
	if err := pg.InTx(k.t.Context(), k.Pool, func(tx pgx.Tx) error { return handle(k.t.Context(), tx, e) }); err != nil {
		return err
	}
	return k.server.MakeInvitations(k.t.Context())
}

// types are those of the events so far.
func (k *kit) types() []string {
	k.t.Helper()
	var types []string
	for _, e := range k.Events(k.t) {
		types = append(types, e.GetType())
	}
	return types
}

// count runs a query that gives one number.
func (k *kit) count(sql string, args ...any) int {
	k.t.Helper()
	var n int
	if err := k.Pool.QueryRow(k.t.Context(), sql, args...).Scan(&n); err != nil {
		k.t.Fatal(err)
	}
	return n
}

// calls are one call a permission, on a questionnaire that need not exist.
func (k *kit) calls(id string) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"read": func(ctx context.Context) error {
			_, err := k.questionnaires.GetQuestionnaire(ctx, &surveyv1.GetQuestionnaireRequest{Id: id})
			return err
		},
		"write": func(ctx context.Context) error {
			_, err := k.questionnaires.PublishQuestionnaire(ctx, &surveyv1.PublishQuestionnaireRequest{Id: id})
			return err
		},
		"invite": func(ctx context.Context) error {
			_, err := k.invitations.IssueLink(ctx, &surveyv1.IssueLinkRequest{Id: id})
			return err
		},
		"answers": func(ctx context.Context) error {
			_, err := k.questionnaires.ListAnswers(ctx, &surveyv1.ListAnswersRequest{QuestionnaireId: id})
			return err
		},
		"results": func(ctx context.Context) error {
			_, err := k.questionnaires.GetResults(ctx, &surveyv1.GetResultsRequest{QuestionnaireId: id})
			return err
		},
		"import": func(ctx context.Context) error {
			_, err := k.questionnaires.ImportAnswers(ctx, &surveyv1.ImportAnswersRequest{QuestionnaireId: id, Source: "x",
				Records: []*surveyv1.AnswerRecord{{}}})
			return err
		},
	}
}
