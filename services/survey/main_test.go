package main

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/subject"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
)

// neighbour streams what a test puts into it, as another service would, and knows every
// customer, as the registry would.
type neighbour struct {
	eventv1.UnimplementedEventServiceServer
	customerv1.UnimplementedCustomerServiceServer
	events chan *eventv1.Envelope
	next   int64
}

func (n *neighbour) StreamEvents(_ *eventv1.StreamEventsRequest, to grpc.ServerStreamingServer[eventv1.StreamEventsResponse]) error {
	for {
		select {
		case <-to.Context().Done():
			return nil
		case e := <-n.events:
			if err := to.Send(&eventv1.StreamEventsResponse{Events: []*eventv1.Envelope{e}}); err != nil {
				return err
			}
		}
	}
}

func (n *neighbour) ResolveCustomer(_ context.Context, req *customerv1.ResolveCustomerRequest) (*customerv1.CustomerRef, error) {
	return &customerv1.CustomerRef{Id: req.GetId(), ServiceQualityConsent: true, Version: 1}, nil
}

func (n *neighbour) put(t *testing.T, kind, subject, customer string, payload proto.Message) {
	t.Helper()
	packed, err := anypb.New(payload)
	if err != nil {
		t.Fatal(err)
	}
	n.next++
	n.events <- &eventv1.Envelope{
		Id: uuid.Must(uuid.NewV7()).String(), Position: n.next, Type: kind, SubjectId: subject, SubjectVersion: 1, CustomerId: customer,
		OccurTime: timestamppb.Now(), RecordTime: timestamppb.Now(), Payload: packed,
	}
}

// generous lets everything be sent.
type generous struct {
	customerv1.UnimplementedConsentServiceServer
}

func (generous) ReserveContact(context.Context, *customerv1.ReserveContactRequest) (*customerv1.ContactReservation, error) {
	return &customerv1.ContactReservation{Id: uuid.NewString(), Granted: true}, nil
}

func connect(t *testing.T, n *neighbour) *grpc.ClientConn {
	t.Helper()
	lis := bufconn.Listen(1 << 20)
	srv := grpc.NewServer()
	eventv1.RegisterEventServiceServer(srv, n)
	customerv1.RegisterCustomerServiceServer(srv, n)
	customerv1.RegisterConsentServiceServer(srv, generous{})
	go func() { _ = srv.Serve(lis) }() // ends with Stop
	t.Cleanup(srv.Stop)
	conn, err := grpc.NewClient("passthrough:///peer", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// The whole process: the ticket's event comes before anything is known of the customer.
func TestFromAResolvedTicketToResults(t *testing.T) {
	neighbours, peers := map[string]*neighbour{}, map[string]*grpc.ClientConn{}
	for _, name := range []string{"customer-registry", "service-ticket", "complaint"} {
		neighbours[name] = &neighbour{events: make(chan *eventv1.Envelope, 8)}
		peers[name] = connect(t, neighbours[name])
	}
	service := testkit.NewService(t, testkit.ServiceConfig{
		Name: "survey", Migrations: []pg.MigrationSet{customerref.Migrations(), subject.Migrations(), db.Migrations()}, Policy: access.Policy(),
		Register: func(p *app.Process) error {
			return run(t.Context(), p, Config{LowRating: 2, LowNPS: 6, FirstUse: time.Hour, AskAgain: time.Hour})
		},
		Background: true, Peers: peers,
	})
	crm := service.As(access.CRMSpecialist)
	invitations, answers := surveyv1.NewInvitationServiceClient(service.Conn), surveyv1.NewAnswerServiceClient(service.Conn)
	customer, ticket, complaint := uuid.NewString(), uuid.NewString(), uuid.NewString()
	neighbours["service-ticket"].put(t, "ticket.resolved.v1", ticket, customer, &ticketv1.TicketChanged{Round: 1})
	neighbours["complaint"].put(t, "complaint.told.v1", complaint, customer, &complaintv1.ComplaintChanged{Round: 1})
	var asked []*surveyv1.Invitation
	eventually(t, "an invitation for the ticket and one for the complaint", func() bool {
		list, err := invitations.ListInvitations(crm, &surveyv1.ListInvitationsRequest{CustomerId: customer})
		if err != nil {
			t.Fatal(err)
		}
		asked = list.GetInvitations()
		return len(asked) == 2
	})
	ofTicket := asked[0]
	if ofTicket.GetTicketId() == "" {
		ofTicket = asked[1]
	}
	link, err := invitations.IssueLink(crm, &surveyv1.IssueLinkRequest{Id: ofTicket.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := answers.SubmitAnswer(service.AsPublic(), &surveyv1.SubmitAnswerRequest{Token: link.GetToken(),
		Responses: []*surveyv1.Response{{QuestionKey: "overall", Value: &surveyv1.Response_Score{Score: 1}}}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the answer in the counts", func() bool {
		var n int
		if err := service.Pool.QueryRow(t.Context(), `SELECT count(*) FROM counts WHERE question_key = 'overall' AND value = '1' AND n = 1`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
	results, err := surveyv1.NewQuestionnaireServiceClient(service.Conn).GetResults(crm, &surveyv1.GetResultsRequest{QuestionnaireId: ofTicket.GetQuestionnaireId()})
	if err != nil || results.GetAnswers() != 1 || results.GetResponseRate() != 1 || results.GetQuestions()[0].GetMean() != 1 {
		t.Errorf("results %v, %v", results, err)
	}
	neighbours["customer-registry"].put(t, customerref.TypeChanged, customer, customer, &customerv1.CustomerChanged{
		Customer: &customerv1.CustomerRef{Id: customer, Version: 2}})
	eventually(t, "the complaint's invitation revoked, because consent was withdrawn", func() bool {
		list, err := invitations.ListInvitations(crm, &surveyv1.ListInvitationsRequest{ComplaintId: complaint})
		if err != nil {
			t.Fatal(err)
		}
		return list.GetInvitations()[0].GetState() == surveyv1.InvitationState_INVITATION_STATE_REVOKED
	})
	_, err = invitations.CreateInvitation(crm, &surveyv1.CreateInvitationRequest{
		Invitation: &surveyv1.Invitation{QuestionnaireId: ofTicket.GetQuestionnaireId(), CustomerId: customer}})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("invited after the withdrawal: %v", err)
	}
}

func TestConfigChecksItsLimits(t *testing.T) {
	common := len((&Config{LowRating: 2, LowNPS: 6, FirstUse: time.Hour, AskAgain: time.Hour}).Check())
	for _, c := range []struct {
		rating, nps int32
		problems    int
	}{{2, 6, 0}, {1, 0, 0}, {5, 10, 0}, {0, 6, 1}, {6, 6, 1}, {2, -1, 1}, {2, 11, 1}, {0, 11, 2}} {
		cfg := Config{LowRating: c.rating, LowNPS: c.nps, FirstUse: time.Hour, AskAgain: time.Hour}
		if got := len(cfg.Check()) - common; got != c.problems {
			t.Errorf("%d and %d: %d problems, want %d", c.rating, c.nps, got, c.problems)
		}
	}
	if got := len((&Config{LowRating: 2, LowNPS: 6}).Check()) - common; got != 2 {
		t.Errorf("without times: %d problems, want 2", got)
	}
}
