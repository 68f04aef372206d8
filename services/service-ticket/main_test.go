package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/devissuer"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/server"
)

// The tests start this very binary again as the service.
const childEnv = "SERVICE_TICKET_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

// stream is the EventService of another service: it sends what it has and stays open.
type stream struct {
	eventv1.UnimplementedEventServiceServer
	events []*eventv1.Envelope
}

func (s *stream) StreamEvents(req *eventv1.StreamEventsRequest, out grpc.ServerStreamingServer[eventv1.StreamEventsResponse]) error {
	if after := int(req.GetAfterPosition()); after < len(s.events) {
		if err := out.Send(&eventv1.StreamEventsResponse{Events: s.events[after:]}); err != nil {
			return err
		}
	}
	<-out.Context().Done()
	return nil
}

// registry resolves nobody: customers come by event.
type registry struct {
	customerv1.UnimplementedCustomerServiceServer
}

func newEvent(t *testing.T, kind, customer string, payload proto.Message) *eventv1.Envelope {
	t.Helper()
	packed, err := anypb.New(payload)
	if err != nil {
		t.Fatal(err)
	}
	return &eventv1.Envelope{
		Id: uuid.Must(uuid.NewV7()).String(), Position: 1, Type: kind, SubjectId: uuid.Must(uuid.NewV7()).String(),
		SubjectVersion: 1, CustomerId: customer, OccurTime: timestamppb.Now(), RecordTime: timestamppb.Now(), Payload: packed,
	}
}

// peer serves another service at an address.
func peer(t *testing.T, ca *authn.CA, name string, events ...*eventv1.Envelope) string {
	t.Helper()
	files, err := ca.Issue(name)
	if err != nil {
		t.Fatal(err)
	}
	secure, err := authn.ServerTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(secure)))
	eventv1.RegisterEventServiceServer(s, &stream{events: events})
	customerv1.RegisterCustomerServiceServer(s, registry{})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(lis) }() // ends with Stop
	t.Cleanup(s.Stop)
	return lis.Addr().String()
}

// child runs the service with these arguments.
func child(t *testing.T, env []string, args ...string) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(env, childEnv+"=1")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have ended
	return cmd, out
}

// served reads the log up to the address the service listens on, and goes on reading to
// its end, which the second result tells.
func served(t *testing.T, out io.Reader) (string, <-chan struct{}) {
	t.Helper()
	found, ended := make(chan string, 1), make(chan struct{})
	var once sync.Once
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var record struct{ Msg, GRPC string }
			if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "serving" {
				once.Do(func() { found <- record.GRPC })
			} else {
				t.Log(lines.Text())
			}
		}
		once.Do(func() { close(found) })
	}()
	select {
	case address := <-found:
		if address == "" {
			t.Fatal("the service ended before it served")
		}
		return address, ended
	case <-time.After(30 * time.Second):
		t.Fatal("the service does not serve")
		return "", nil
	}
}

// install is what an operator puts in place for the service: certificates, key, token
// issuer, database, and the addresses of the other services.
type install struct {
	ca     *authn.CA
	issuer *devissuer.Issuer
	db     *testkit.DB
	env    []string
}

func newInstall(t *testing.T) *install {
	t.Helper()
	dir := t.TempDir()
	in := &install{db: testkit.Database(t)}
	var err error
	if in.ca, err = authn.NewCA(filepath.Join(dir, "ca")); err != nil {
		t.Fatal(err)
	}
	files, err := in.ca.Issue(server.Name)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "master.key")
	if err := pii.NewKeyFile(key); err != nil {
		t.Fatal(err)
	}
	provider := httptest.NewUnstartedServer(nil)
	if in.issuer, err = devissuer.Open(filepath.Join(dir, "issuer.key"), "http://"+provider.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	provider.Config.Handler = in.issuer
	provider.Start()
	t.Cleanup(provider.Close)
	in.env = []string{
		"KEFU_DATABASE_URL=" + in.db.DSN, "KEFU_OWNER_DATABASE_URL=" + in.db.OwnerDSN, "KEFU_ISSUERS=" + in.issuer.URL(),
		"KEFU_ERASURE_LIST_DIR=" + dir, "KEFU_MASTER_KEY_FILE=" + key, "KEFU_TLS_CA_FILE=" + files.CAFile, "KEFU_TLS_CERT_FILE=" + files.CertFile,
		"KEFU_TLS_KEY_FILE=" + files.KeyFile, "KEFU_LEAVE_WAIT=10ms",
	}
	return in
}

// tickets connects to the service and gives the context of a manager's calls.
func (in *install) tickets(t *testing.T, address string) (context.Context, ticketv1.TicketServiceClient) {
	t.Helper()
	secure, err := authn.ClientTLS(authn.TLSConfig{CAFile: in.ca.CertFile()}, server.Name)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rpc.Dial(address, rpc.ClientConfig{TLS: secure, Try: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	token, err := in.issuer.Mint(devissuer.Claims{Subject: "manager-1", Audience: "kefu", Roles: []string{access.ServiceManager}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(authn.WithBearer(t.Context(), token), time.Minute)
	t.Cleanup(cancel)
	return ctx, ticketv1.NewTicketServiceClient(conn)
}

func TestTheServiceRuns(t *testing.T) {
	in := newInstall(t)
	customer, answer := uuid.Must(uuid.NewV7()).String(), uuid.Must(uuid.NewV7()).String()
	registryAt := peer(t, in.ca, customerref.Source, newEvent(t, customerref.TypeCreated, customer,
		&customerv1.CustomerChanged{Customer: &customerv1.CustomerRef{Id: customer, Number: "C-202611-000001", Tier: typev1.Tier_TIER_B, Version: 1}}))
	surveyAt := peer(t, in.ca, server.SurveySource, newEvent(t, "answer.received.v1", "",
		&surveyv1.AnswerReceived{AnswerId: answer, Low: true, LowQuestionKey: "overall", LowScore: 1}))
	env := append(in.env, "KEFU_CUSTOMER_REGISTRY_TARGET="+registryAt, "KEFU_SURVEY_TARGET="+surveyAt)
	migrate, out := child(t, env, "migrate")
	said, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate.Wait(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, said)
	}
	service, out := child(t, env)
	address, ended := served(t, out)
	ctx, tickets := in.tickets(t, address)

	// The survey's event opens a ticket, the registry's makes its customer known.
	poll(ctx, t, "the follow-up", func() (bool, error) {
		list, err := tickets.ListTickets(ctx, &ticketv1.ListTicketsRequest{AnswerId: answer})
		return len(list.GetTickets()) == 1, err
	})
	counted := func(want int, sql string, args ...any) func() (bool, error) {
		return func() (bool, error) {
			var n int
			err := in.db.Pool.QueryRow(ctx, sql, args...).Scan(&n)
			return n == want, err
		}
	}
	poll(ctx, t, "the customer", counted(1, "SELECT count(*) FROM customer_refs WHERE id = $1", customer))
	created, err := tickets.CreateTicket(ctx, &ticketv1.CreateTicketRequest{Ticket: &ticketv1.Ticket{
		CustomerId: customer, Channel: typev1.Channel_CHANNEL_PHONE, Title: "Pump leaks",
		Reporter: &ticketv1.Reporter{Phone: "13800138000"},
	}})
	if err != nil || created.GetReporter().GetPhone() != "+8613800138000" {
		t.Fatalf("created %v, %v", created, err)
	}
	poll(ctx, t, "the built-in calendars", counted(2, "SELECT count(*) FROM calendars"))
	poll(ctx, t, "their and the tickets' events, numbered", counted(4,
		"SELECT count(*) FROM event_outbox WHERE position IS NOT NULL AND type IN ('calendar.changed.v1', 'ticket.created.v1')"))

	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ended
	if err := service.Wait(); err != nil {
		t.Errorf("the service did not end in order: %v", err)
	}
}

// poll asks until it is so or ctx ends.
func poll(ctx context.Context, t *testing.T, what string, ok func() (bool, error)) {
	t.Helper()
	for {
		done, err := ok()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if done {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not come", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestTheConfigurationTellsAllItsProblems(t *testing.T) {
	c := config{ConfirmHours: 0, ReopenDays: -1}
	var own []string
	for _, problem := range c.Check() {
		if name, _, ok := strings.Cut(problem.Error(), "; give at least 1"); ok {
			own = append(own, name)
		}
	}
	want := []string{
		"KEFU_TICKET_CONFIRM_HOURS is 0", "KEFU_TICKET_REOPEN_DAYS is -1", "KEFU_TICKET_ESCALATION_HOURS is 0",
		"KEFU_TICKET_UNMERGE_DAYS is 0", "KEFU_TICKET_CALL_BACK_HOURS is 0", "KEFU_TICKET_DEDICATED_MINUTES is 0",
		"KEFU_DUTY_FLAG_DAYS is 0", "KEFU_HOTLINE_PUBLISH_DAYS is 0", "KEFU_TICKET_MAX_LOAD is 0",
	}
	if !slices.Equal(own, want) {
		t.Errorf("%v, want all settings named", c.Check())
	}
}
