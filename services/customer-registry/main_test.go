package main

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
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
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/server"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// source streams what a test puts into it, as another service would.
type source struct {
	eventv1.UnimplementedEventServiceServer
	mu   sync.Mutex
	all  []*eventv1.Envelope
	more chan struct{} // closed when an event comes
}

func newSource() *source { return &source{more: make(chan struct{})} }

// after gives the events behind a position, and what tells of further ones.
func (s *source) after(position int64) ([]*eventv1.Envelope, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all[position:]), s.more
}

func (s *source) StreamEvents(req *eventv1.StreamEventsRequest, to grpc.ServerStreamingServer[eventv1.StreamEventsResponse]) error {
	for at := req.GetAfterPosition(); ; {
		events, more := s.after(at)
		if len(events) > 0 {
			if err := to.Send(&eventv1.StreamEventsResponse{Events: events}); err != nil {
				return err
			}
			at += int64(len(events))
			continue
		}
		select {
		case <-to.Context().Done():
			return nil
		case <-more:
		}
	}
}

// put streams one event about the customer.
func (s *source) put(t *testing.T, kind, customerID string, payload proto.Message) {
	t.Helper()
	packed, err := anypb.New(payload)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, &eventv1.Envelope{
		Id: newID(t), Position: int64(len(s.all) + 1), Type: kind, SubjectId: newID(t), SubjectVersion: 1, CustomerId: customerID,
		OccurTime: timestamppb.Now(), RecordTime: timestamppb.Now(), Payload: packed,
	})
	close(s.more)
	s.more = make(chan struct{})
}

func newID(t *testing.T) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

// peer serves the source and returns a connection to it.
func peer(t *testing.T, s *source) *grpc.ClientConn {
	t.Helper()
	lis := bufconn.Listen(1 << 20)
	srv := grpc.NewServer()
	eventv1.RegisterEventServiceServer(srv, s)
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

func TestTheThreeStreamsReachTheProfile(t *testing.T) {
	sources := map[string]*source{}
	peers := map[string]*grpc.ClientConn{}
	for _, name := range []string{"service-ticket", "complaint", "survey"} {
		sources[name] = newSource()
		peers[name] = peer(t, sources[name])
	}
	service := testkit.NewService(t, testkit.ServiceConfig{
		Name: server.Name, Migrations: server.Migrations(), Policy: access.Policy(),
		Register:   func(p *app.Process) error { return run(t.Context(), p, testConfig("CN")) },
		Background: true, Peers: peers,
	})
	client := customerv1.NewCustomerServiceClient(service.Conn)
	admin := service.As(access.InformationAdministrator)
	made, err := client.CreateCustomer(admin, &customerv1.CreateCustomerRequest{Customer: &customerv1.Customer{
		Name: "x", Kind: customerv1.CustomerKind_CUSTOMER_KIND_AGENT, Party: customerv1.Party_PARTY_ORGANISATION,
	}})
	if err != nil {
		t.Fatal(err)
	}
	sources["service-ticket"].put(t, "ticket.created.v1", made.GetId(), &ticketv1.TicketChanged{StateAfter: ticketv1.TicketState_TICKET_STATE_NEW})
	sources["complaint"].put(t, "complaint.received.v1", made.GetId(), &complaintv1.ComplaintChanged{StateAfter: complaintv1.ComplaintState_COMPLAINT_STATE_RECEIVED})
	sources["survey"].put(t, "answer.received.v1", made.GetId(), &surveyv1.AnswerReceived{Score: 4})
	deadline := time.Now().Add(10 * time.Second)
	for {
		p, err := client.GetProfile(admin, &customerv1.GetProfileRequest{CustomerId: made.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		s := p.GetSummary()
		if s.GetOpenTickets() == 1 && s.GetOpenComplaints() == 1 && p.GetMeanScore() == 4 && len(p.GetTimeline()) == 3 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the profile does not follow: %v", p)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestAnUnknownDefaultRegionStopsTheStart(t *testing.T) {
	process, _ := testkit.Prepare(t, testkit.ServiceConfig{
		Name: server.Name, Migrations: server.Migrations(), Policy: access.Policy(),
	})
	if err := run(t.Context(), process, testConfig("China")); err == nil {
		t.Error("phones would be read by the rules of a country that does not exist")
	}
}

func testConfig(region string) Config {
	return Config{
		DefaultRegion: region, TimeZone: "Asia/Shanghai", GrantDays: 7, BreakGlassTime: time.Hour, UnmaskBudget: 20, AccessReviewDays: 30,
		ContactBudget: 720 * time.Hour, TierSchedule: "off",
	}
}

func TestConfigNamesEachLimitThatIsWrong(t *testing.T) {
	good := testConfig("CN")
	base := len(good.Check())
	for name, spoil := range map[string]func(*Config){
		"KEFU_TIME_ZONE":          func(c *Config) { c.TimeZone = "Mars/Base" },
		"KEFU_GRANT_DAYS":         func(c *Config) { c.GrantDays = 31 },
		"KEFU_BREAK_GLASS_TIME":   func(c *Config) { c.BreakGlassTime = 25 * time.Hour },
		"KEFU_ACCESS_REVIEW_DAYS": func(c *Config) { c.AccessReviewDays = 0 },
		"KEFU_UNMASK_BUDGET":      func(c *Config) { c.UnmaskBudget = -1 },
		"KEFU_CONTACT_BUDGET":     func(c *Config) { c.ContactBudget = time.Minute },
		"KEFU_TIER_SCHEDULE":      func(c *Config) { c.TierSchedule = "weekly" },
	} {
		c := testConfig("CN")
		spoil(&c)
		problems := c.Check()
		if len(problems) != base+1 || !strings.Contains(problems[base].Error(), name) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}
