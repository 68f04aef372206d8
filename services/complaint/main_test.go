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

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	settings "github.com/kefu-suite/kefu/runtime/config"
	"github.com/kefu-suite/kefu/runtime/devissuer"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/complaint/internal/server"
	"github.com/kefu-suite/kefu/services/internal/access"
)

// The tests start this very binary again as the service.
const childEnv = "COMPLAINT_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

// neighbour is another service: it sends the events it is given and knows no customers.
type neighbour struct {
	eventv1.UnimplementedEventServiceServer
	customerv1.UnimplementedCustomerServiceServer
	events chan *eventv1.Envelope
}

func (n *neighbour) StreamEvents(_ *eventv1.StreamEventsRequest, out grpc.ServerStreamingServer[eventv1.StreamEventsResponse]) error {
	for position := int64(1); ; position++ {
		select {
		case e := <-n.events:
			e.Position = position
			if err := out.Send(&eventv1.StreamEventsResponse{Events: []*eventv1.Envelope{e}}); err != nil {
				return err
			}
		case <-out.Context().Done():
			return nil
		}
	}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func (n *neighbour) send(t *testing.T, kind string, payload proto.Message) {
	t.Helper()
	packed, err := anypb.New(payload)
	if err != nil {
		t.Fatal(err)
	}
	n.events <- &eventv1.Envelope{
		Id: newID(), Type: kind, SubjectId: newID(), SubjectVersion: 1,
		OccurTime: timestamppb.Now(), RecordTime: timestamppb.Now(), Payload: packed,
	}
}

// listen serves a neighbour under its name.
func listen(t *testing.T, ca *authn.CA, name string) (*neighbour, string) {
	t.Helper()
	files, err := ca.Issue(name)
	if err != nil {
		t.Fatal(err)
	}
	secure, err := authn.ServerTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	n := &neighbour{events: make(chan *eventv1.Envelope, 8)}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(secure)))
	eventv1.RegisterEventServiceServer(s, n)
	customerv1.RegisterCustomerServiceServer(s, n)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(lis) }() // ends with Stop
	t.Cleanup(s.Stop)
	return n, lis.Addr().String()
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

// company is what the service runs in.
type company struct {
	registry, tickets, survey *neighbour
	ca                        *authn.CA
	issuer                    *devissuer.Issuer
	env                       []string
}

func found(t *testing.T) *company {
	t.Helper()
	dir, c := t.TempDir(), &company{}
	var err error
	if c.ca, err = authn.NewCA(filepath.Join(dir, "ca")); err != nil {
		t.Fatal(err)
	}
	files, err := c.ca.Issue(server.Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := pii.NewKeyFile(filepath.Join(dir, "master.key")); err != nil {
		t.Fatal(err)
	}
	provider := httptest.NewUnstartedServer(nil)
	if c.issuer, err = devissuer.Open(filepath.Join(dir, "issuer.key"), "http://"+provider.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	provider.Config.Handler = c.issuer
	provider.Start()
	t.Cleanup(provider.Close)
	var registryAt, ticketsAt, surveyAt string
	c.registry, registryAt = listen(t, c.ca, "customer-registry")
	c.tickets, ticketsAt = listen(t, c.ca, "service-ticket")
	c.survey, surveyAt = listen(t, c.ca, "survey")
	db := testkit.Database(t)
	c.env = []string{
		"KEFU_DATABASE_URL=" + db.DSN, "KEFU_OWNER_DATABASE_URL=" + db.OwnerDSN, "KEFU_ISSUERS=" + c.issuer.URL(),
		"KEFU_ERASURE_LIST_DIR=" + dir, "KEFU_MASTER_KEY_FILE=" + filepath.Join(dir, "master.key"), "KEFU_TLS_CA_FILE=" + files.CAFile,
		"KEFU_TLS_CERT_FILE=" + files.CertFile, "KEFU_TLS_KEY_FILE=" + files.KeyFile, "KEFU_LEAVE_WAIT=10ms",
		"KEFU_CUSTOMER_REGISTRY_TARGET=" + registryAt, "KEFU_SERVICE_TICKET_TARGET=" + ticketsAt, "KEFU_SURVEY_TARGET=" + surveyAt,
	}
	return c
}

// The process migrates, serves, lives from the events of its neighbours and ends in order.
func TestTheServiceRuns(t *testing.T) {
	c := found(t)
	migrate, out := child(t, c.env, "migrate")
	said, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate.Wait(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, said)
	}
	service, out := child(t, c.env)
	address, ended := served(t, out)
	secure, err := authn.ClientTLS(authn.TLSConfig{CAFile: c.ca.CertFile()}, server.Name)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rpc.Dial(address, rpc.ClientConfig{TLS: secure, Try: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c.live(ctx, t, complaintv1.NewComplaintServiceClient(conn))
	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ended
	if err := service.Wait(); err != nil {
		t.Errorf("the service did not end in order: %v", err)
	}
}

// as is a context of a person.
func (c *company) as(ctx context.Context, t *testing.T, subject, role string) context.Context {
	t.Helper()
	token, err := c.issuer.Mint(devissuer.Claims{Subject: subject, Audience: "kefu", Roles: []string{role}})
	if err != nil {
		t.Fatal(err)
	}
	return authn.WithBearer(ctx, token)
}

// live takes one complaint to a survey's answer and into its next round.
func (c *company) live(ctx context.Context, t *testing.T, complaints complaintv1.ComplaintServiceClient) {
	customer, unit, handler := newID(), newID(), newID()
	c.registry.send(t, "customer.created.v1", &customerv1.CustomerChanged{Customer: &customerv1.CustomerRef{
		Id: customer, Number: "C-202611-000001", Tier: typev1.Tier_TIER_B, Version: 1,
	}})
	c.tickets.send(t, "department.changed.v1", &ticketv1.DepartmentChanged{Department: &ticketv1.Department{Id: unit, Code: "after-sales", HeadStaffId: handler}})
	c.tickets.send(t, "staff.changed.v1", &ticketv1.StaffChanged{Staff: &ticketv1.Staff{
		Id: handler, Name: "Li", DepartmentId: unit, Issuer: c.issuer.URL(), Subject: "li",
	}})
	manager, li := c.as(ctx, t, "manager", access.ServiceManager), c.as(ctx, t, "li", access.AfterSalesSpecialist)
	step := func(made *complaintv1.Complaint, err error) *complaintv1.Complaint {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	var made *complaintv1.Complaint
	poll(ctx, t, "the customer", func() (err error) {
		made, err = complaints.CreateComplaint(manager, &complaintv1.CreateComplaintRequest{Complaint: &complaintv1.Complaint{
			CustomerId: customer, Channel: typev1.Channel_CHANNEL_PHONE, Title: "Pump leaks",
		}})
		return err
	})
	id := made.GetId()
	step(complaints.SubmitComplaint(manager, &complaintv1.SubmitComplaintRequest{Id: id}))
	poll(ctx, t, "the department", func() error {
		_, err := complaints.ReviewComplaint(manager, &complaintv1.ReviewComplaintRequest{
			Id: id, Category: complaintv1.Category_CATEGORY_AFTER_SALES_SERVICE, Quality: complaintv1.Quality_QUALITY_NON_QUALITY,
			Severity: complaintv1.Severity_SEVERITY_GENERAL, DepartmentId: unit,
		})
		return err
	})
	poll(ctx, t, "the head", func() error {
		_, err := complaints.AssignComplaint(li, &complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: handler})
		return err
	})
	step(complaints.RecordContact(li, &complaintv1.RecordContactRequest{Id: id, Channel: typev1.Channel_CHANNEL_PHONE, TwoWay: true, Note: "n"}))
	step(complaints.ProposeSolution(li, &complaintv1.ProposeSolutionRequest{Id: id, Proposal: &complaintv1.Proposal{
		Findings: "f", Cause: "c", Validity: complaintv1.Validity_VALIDITY_ESTABLISHED, Remedy: complaintv1.Remedy_REMEDY_REPAIR, Solution: "s",
	}}))
	step(complaints.ApproveSolution(manager, &complaintv1.ApproveSolutionRequest{Id: id, Decision: complaintv1.Decision_DECISION_APPROVED}))
	step(complaints.TellResult(li, &complaintv1.TellResultRequest{Id: id, Channel: typev1.Channel_CHANNEL_PHONE, Told: "t"}))
	c.survey.send(t, "answer.received.v1", &surveyv1.AnswerReceived{AnswerId: newID(), ComplaintId: id, Round: 1, Score: 1})
	poll(ctx, t, "the answer", func() error {
		_, err := complaints.NextRound(manager, &complaintv1.NextRoundRequest{Id: id})
		return err
	})
	if made = step(complaints.GetComplaint(manager, &complaintv1.GetComplaintRequest{Id: id})); made.GetRound() != 2 || made.GetRounds()[0].GetAnswer().GetSurveyAnswerId() == "" {
		t.Errorf("after the survey: %v", made)
	}
}

// poll tries until it succeeds or ctx ends.
func poll(ctx context.Context, t *testing.T, what string, try func() error) {
	t.Helper()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not come: %v", what, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestTheConfigurationTellsItsProblems(t *testing.T) {
	var c config
	err := settings.LoadFrom(&c, map[string]string{
		"KEFU_COMPLAINT_SUPERVISOR_AMOUNT": "6000.00", "KEFU_COMPLAINT_LOW_SCORE": "much",
	})
	if err == nil || !strings.Contains(err.Error(), "6000.00 is above the manager's 5000.00") || !strings.Contains(err.Error(), "KEFU_COMPLAINT_LOW_SCORE") {
		t.Errorf("%v", err)
	}
}
