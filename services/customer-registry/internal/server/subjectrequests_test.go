package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	subjectv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/subject/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/server"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/subject/subjecttest"
)

const (
	exports     = customerv1.SubjectRequestKind_SUBJECT_REQUEST_KIND_EXPORT
	erasures    = customerv1.SubjectRequestKind_SUBJECT_REQUEST_KIND_ERASURE
	corrections = customerv1.SubjectRequestKind_SUBJECT_REQUEST_KIND_CORRECTION
)

const nobody = "01890a5d-ac96-774b-bcce-b302099a8057"

func refusedAs(err error, code codes.Code, reason string) bool {
	return status.Code(err) == code && rpcerr.Reason(err) == reason
}

func TestSubjectTablesAreDeclared(t *testing.T) {
	subjecttest.Declared(t, start(t).Pool, db.SubjectTables())
}

// peer is another service: it answers a record, erases in two parts, and fails when told to.
type peer struct {
	mu     sync.Mutex
	name   string
	fail   int // so many calls
	calls  []string
	person *subjectv1.Subject
}

func (p *peer) call(what string, person *subjectv1.Subject) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls, p.person = append(p.calls, what), person
	if p.fail > 0 {
		p.fail--
		return errors.New("gone")
	}
	return nil
}

func (p *peer) ExportSubject(_ context.Context, in *subjectv1.ExportSubjectRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[subjectv1.SubjectRecord], error) {
	if err := p.call("export", in.GetSubject()); err != nil {
		return nil, err
	}
	content, err := structpb.NewStruct(map[string]any{"text": "<b>of " + p.name + "</b>"})
	return &records{left: []*subjectv1.SubjectRecord{{Kind: "things", Id: "1", Content: content}}}, err
}

func (p *peer) EraseSubject(_ context.Context, in *subjectv1.EraseSubjectRequest, _ ...grpc.CallOption) (*subjectv1.EraseSubjectResponse, error) {
	err := p.call("erase "+in.GetCursor(), in.GetSubject())
	return &subjectv1.EraseSubjectResponse{Cursor: "second", Done: in.GetCursor() == "second", Erased: map[string]int64{"things": 2}}, err
}

func (p *peer) CorrectSubject(_ context.Context, in *subjectv1.CorrectSubjectRequest, _ ...grpc.CallOption) (*subjectv1.CorrectSubjectResponse, error) {
	return &subjectv1.CorrectSubjectResponse{Done: true, Corrected: 1}, p.call("correct "+in.GetPhone(), in.GetSubject())
}

type records struct {
	grpc.ClientStream
	left []*subjectv1.SubjectRecord
}

func (r *records) Recv() (*subjectv1.SubjectRecord, error) {
	if len(r.left) == 0 {
		return nil, io.EOF
	}
	first := r.left[0]
	r.left = r.left[1:]
	return first, nil
}

func (*records) Header() (metadata.MD, error) { return nil, nil }

// jobs are those of the registry with peers of the test.
func (r *registry) jobs() (*server.SubjectJobs, map[string]*peer) {
	peers := map[string]*peer{}
	j := &server.SubjectJobs{Server: r.Server, Own: r.own, Peers: map[string]subjectv1.SubjectServiceClient{}}
	for _, name := range []string{"service-ticket", "complaint", "survey"} {
		peers[name] = &peer{name: name}
		j.Peers[name] = peers[name]
	}
	return j, peers
}

// work takes steps until none waits.
func work(t *testing.T, j *server.SubjectJobs) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = j.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// person makes a customer who is one.
func (r *registry) person(t *testing.T) *customerv1.Customer {
	t.Helper()
	c, err := r.customers.CreateCustomer(r.As(access.CRMSpecialist), &customerv1.CreateCustomerRequest{RequestId: "person", Customer: &customerv1.Customer{
		Name: "王大山", Kind: customerv1.CustomerKind_CUSTOMER_KIND_DIRECT_USER, Party: customerv1.Party_PARTY_PERSON,
		Phone: "+8613812349876", Email: "wang@example.com", Address: &customerv1.Address{Street: "中山路 7 号"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (r *registry) asks(t *testing.T, ctx context.Context, kind customerv1.SubjectRequestKind, customer, contact string) *customerv1.SubjectRequest {
	t.Helper()
	req := &customerv1.CreateSubjectRequestRequest{Kind: kind, CustomerId: customer, ContactId: contact, Purpose: "asked by phone"}
	if kind == corrections {
		req.Correction = &customerv1.SubjectCorrection{Name: "王大川", Phone: "138 1234 9877"}
	}
	out, err := r.subjects.CreateSubjectRequest(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (r *registry) approves(t *testing.T, id string) {
	t.Helper()
	if _, err := r.subjects.ApproveSubjectRequest(r.AsStaff(access.InformationAdministrator, "admin"), &customerv1.ApproveSubjectRequestRequest{Id: id}); err != nil {
		t.Fatal(err)
	}
}

func (r *registry) request(t *testing.T, id string) *customerv1.SubjectRequest {
	t.Helper()
	out, err := r.subjects.GetSubjectRequest(r.As(access.CRMSpecialist), &customerv1.GetSubjectRequestRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// document reads the whole of one.
func (r *registry) document(ctx context.Context, id string, format customerv1.SubjectDocumentFormat) (string, error) {
	stream, err := r.subjects.ReadSubjectDocument(ctx, &customerv1.ReadSubjectDocumentRequest{Id: id, Format: format})
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return "", err
		}
		out.Write(part.GetData())
	}
}

func TestExportOfAPerson(t *testing.T) {
	r := start(t)
	c := r.person(t)
	themselves := r.AsCustomer(c.GetId())
	j, peers := r.jobs()
	peers["complaint"].fail = 1 // is tried again after a pause
	made := r.asks(t, themselves, exports, c.GetId(), "")
	for range 2 {
		if _, err := j.Step(t.Context()); err == nil {
			continue
		}
	}
	if _, err := r.document(themselves, made.GetId(), 0); !refusedAs(err, codes.FailedPrecondition, "SUBJECT_REQUEST_WRONG_STATE") {
		t.Errorf("before it is done: %v", err)
	}
	r.Clock.Advance(10 * time.Second)
	work(t, j)
	if got := r.request(t, made.GetId()); got.GetState() != customerv1.SubjectRequestState_SUBJECT_REQUEST_STATE_DONE || len(got.GetSteps()) != 4 {
		t.Fatalf("after its steps: %v", got)
	}
	if p := peers["survey"].person; !slices.Equal(p.GetPhones(), []string{"+8613812349876"}) || !slices.Equal(p.GetNames(), []string{"王大山"}) {
		t.Errorf("the others look for %v", p)
	}
	text, err := r.document(themselves, made.GetId(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		CustomerID string
		Records    []struct{ Service, Kind string }
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil || document.CustomerID != c.GetId() {
		t.Fatalf("%v: %s", err, text)
	}
	for _, want := range []string{"+8613812349876", "wang@example.com", "中山路 7 号", "of survey"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in the document", want)
		}
	}
	page, err := r.document(r.As(access.InformationAdministrator), made.GetId(), customerv1.SubjectDocumentFormat_SUBJECT_DOCUMENT_FORMAT_HTML)
	if err != nil || !strings.Contains(page, "&lt;b&gt;of survey") || !strings.Contains(page, "中山路 7 号") || !strings.HasSuffix(page, "</html>\n") {
		t.Errorf("the page: %v\n%s", err, page)
	}
	if _, err := r.document(r.AsCustomer(nobody), made.GetId(), 0); !refusedAs(err, codes.NotFound, "SUBJECT_REQUEST_NOT_FOUND") {
		t.Errorf("read by another customer: %v", err)
	}
	r.Clock.Advance(8 * 24 * time.Hour)
	if _, err := r.document(r.As(access.InformationAdministrator), made.GetId(), 0); !refusedAs(err, codes.FailedPrecondition, "SUBJECT_REQUEST_WRONG_STATE") {
		t.Errorf("after its life: %v", err)
	}
}

// TestErasureGoesOn: with a failure at every step, each time by jobs that know nothing of
// those before.
func TestErasureGoesOn(t *testing.T) {
	r := start(t)
	c := r.person(t)
	made := r.asks(t, r.AsCustomer(c.GetId()), erasures, c.GetId(), "")
	r.approves(t, made.GetId())
	_, peers := r.jobs()
	for _, p := range peers {
		p.fail = 2
	}
	for n := 0; r.request(t, made.GetId()).GetState() != customerv1.SubjectRequestState_SUBJECT_REQUEST_STATE_DONE; n++ {
		if n > 30 {
			t.Fatal("it does not come to its end")
		}
		j, _ := r.jobs()
		for name, p := range peers {
			j.Peers[name] = p
		}
		_, _ = j.Step(t.Context()) // a failure is what the test is about
		r.Clock.Advance(10 * time.Second)
	}
	for name, p := range peers {
		// Twice it failed, and after the registry it is asked once more.
		if want := []string{"erase ", "erase ", "erase ", "erase second", "erase ", "erase second"}; !slices.Equal(p.calls, want) {
			t.Errorf("%s was asked %q", name, p.calls)
		}
	}
	got := r.request(t, made.GetId())
	if got.GetPurpose() != "" || got.GetSteps()[0].GetRecords() != 4 || !got.GetSteps()[3].GetDone() {
		t.Errorf("the receipt: %v", got)
	}
	ctx := r.As(access.CRMSpecialist)
	if _, err := r.customers.GetCustomer(ctx, &customerv1.GetCustomerRequest{Id: c.GetId()}); !refusedAs(err, codes.NotFound, "CUSTOMER_NOT_FOUND") {
		t.Errorf("the file: %v", err)
	}
	if _, err := r.customers.UpdateCustomer(ctx, &customerv1.UpdateCustomerRequest{Customer: c}); !refusedAs(err, codes.NotFound, "CUSTOMER_NOT_FOUND") {
		t.Errorf("a change of the file: %v", err)
	}
	_, err := r.customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{RequestId: "person", Customer: &customerv1.Customer{
		Name: "王大山", Kind: customerv1.CustomerKind_CUSTOMER_KIND_DIRECT_USER, Party: customerv1.Party_PARTY_PERSON,
		Phone: "+8613812349876", Email: "wang@example.com", Address: &customerv1.Address{Street: "中山路 7 号"},
	}})
	if !refusedAs(err, codes.AlreadyExists, "REQUEST_ID_REUSED") {
		t.Errorf("the repeated creation: %v", err)
	}
}

func TestCorrection(t *testing.T) {
	r := start(t)
	c := r.person(t)
	j, peers := r.jobs()
	made := r.asks(t, r.AsStaff(access.CRMSpecialist, "crm-1"), corrections, c.GetId(), "")
	r.approves(t, made.GetId())
	work(t, j)
	got, err := r.customers.GetCustomer(r.As(access.CRMSpecialist), &customerv1.GetCustomerRequest{Id: c.GetId()})
	if err != nil || got.GetName() != "王大川" || got.GetPhone() != "+8613812349877" || got.GetEmail() != "wang@example.com" {
		t.Errorf("%v, %v", got, err)
	}
	if calls := peers["service-ticket"].calls; !slices.Equal(calls, []string{"correct +8613812349877"}) {
		t.Errorf("service-ticket was asked %q", calls)
	}
}

// TestContactRights: of somebody at a company the person goes and the company stays.
func TestContactRights(t *testing.T) {
	r := start(t)
	ctx := r.As(access.CRMSpecialist)
	c := r.make(t, file("上海晨光机械有限公司"))
	contact, err := r.contacts.CreateContact(ctx, &customerv1.CreateContactRequest{CustomerId: c.GetId(), Contact: &customerv1.Contact{Name: "李四", Phone: "+8613900001111"}})
	if err != nil {
		t.Fatal(err)
	}
	j, peers := r.jobs()
	made := r.asks(t, r.AsStaff(access.CRMSpecialist, "crm-1"), corrections, c.GetId(), contact.GetId())
	r.approves(t, made.GetId())
	work(t, j)
	made = r.asks(t, r.AsStaff(access.CRMSpecialist, "crm-1"), erasures, c.GetId(), contact.GetId())
	r.approves(t, made.GetId())
	work(t, j)
	if p := peers["survey"].person; p.GetContactId() != contact.GetId() || !slices.Equal(p.GetNames(), []string{"王大川"}) {
		t.Errorf("the others look for %v", p)
	}
	_, err = r.contacts.GetContact(ctx, &customerv1.GetContactRequest{CustomerId: c.GetId(), Id: contact.GetId()})
	if !refusedAs(err, codes.NotFound, "CONTACT_NOT_FOUND") {
		t.Errorf("the contact: %v", err)
	}
	if _, err := r.customers.GetCustomer(ctx, &customerv1.GetCustomerRequest{Id: c.GetId()}); err != nil {
		t.Errorf("the company: %v", err)
	}
	r.tells(t, "the company", c.GetId(), "contacts", "contacts:  → "+contact.GetId(), "contacts: "+contact.GetId()+" → ")
	if err := r.own.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.tells(t, "the company, when it is erased again", c.GetId(), "contacts", "contacts:  → "+contact.GetId(), "contacts: "+contact.GetId()+" → ")
}

func TestSubjectRequestsAreRefused(t *testing.T) {
	r := start(t)
	c, company := r.person(t), r.make(t, file("上海晨光机械有限公司"))
	crm, admin := r.AsStaff(access.CRMSpecialist, "crm-1"), r.AsStaff(access.InformationAdministrator, "admin")
	create := func(ctx context.Context, req *customerv1.CreateSubjectRequestRequest) error {
		_, err := r.subjects.CreateSubjectRequest(ctx, req)
		return err
	}
	expect := func(what string, err error, code codes.Code, reason string) {
		t.Helper()
		if !refusedAs(err, code, reason) {
			t.Errorf("%s: %v, want %s", what, err, reason)
		}
	}
	asked := func(kind customerv1.SubjectRequestKind, customer string) *customerv1.CreateSubjectRequestRequest {
		return &customerv1.CreateSubjectRequestRequest{Kind: kind, CustomerId: customer, Purpose: "asked by phone"}
	}
	expect("no purpose", create(crm, &customerv1.CreateSubjectRequestRequest{Kind: exports, CustomerId: c.GetId()}), codes.InvalidArgument, "VALIDATION_FAILED")
	expect("nothing to correct", create(crm, asked(corrections, c.GetId())), codes.InvalidArgument, "VALIDATION_FAILED")
	expect("nobody", create(crm, asked(exports, nobody)), codes.NotFound, "CUSTOMER_NOT_FOUND")
	expect("somebody else's", create(r.AsCustomer(nobody), asked(exports, c.GetId())), codes.NotFound, "CUSTOMER_NOT_FOUND")
	expect("a company", create(crm, asked(exports, company.GetId())), codes.FailedPrecondition, "NOT_A_PERSON")
	unknown := asked(exports, c.GetId())
	unknown.ContactId = nobody
	expect("no contact", create(crm, unknown), codes.NotFound, "CONTACT_NOT_FOUND")

	made := r.asks(t, crm, erasures, c.GetId(), "")
	expect("twice", create(admin, asked(erasures, c.GetId())), codes.AlreadyExists, "SUBJECT_REQUEST_OPEN")
	approve := func(ctx context.Context, id, etag string) error {
		_, err := r.subjects.ApproveSubjectRequest(ctx, &customerv1.ApproveSubjectRequestRequest{Id: id, Etag: etag})
		return err
	}
	refuse := func(ctx context.Context, id string) error {
		_, err := r.subjects.RefuseSubjectRequest(ctx, &customerv1.RefuseSubjectRequestRequest{Id: id, Reason: "the account is in dispute"})
		return err
	}
	expect("approved by the asker", approve(crm, made.GetId(), ""), codes.PermissionDenied, "SECOND_PERSON_NEEDED")
	expect("refused by the asker", refuse(crm, made.GetId()), codes.PermissionDenied, "SECOND_PERSON_NEEDED")
	expect("by a system", approve(r.AsAccount("erp", "subjectrequests.decide"), made.GetId(), ""), codes.PermissionDenied, "PEOPLE_ONLY")
	expect("an old etag", approve(admin, made.GetId(), "7"), codes.Aborted, "ETAG_MISMATCH")
	expect("no request", approve(admin, nobody, ""), codes.NotFound, "SUBJECT_REQUEST_NOT_FOUND")

	hold, err := r.subjects.CreateLegalHold(admin, &customerv1.CreateLegalHoldRequest{CustomerId: c.GetId(), Reason: "court file 2026/77"})
	if err != nil {
		t.Fatal(err)
	}
	expect("held", approve(admin, made.GetId(), ""), codes.FailedPrecondition, "LEGAL_HOLD")
	if err := refuse(admin, made.GetId()); err != nil {
		t.Errorf("refused: %v", err)
	}
	expect("twice decided", approve(admin, made.GetId(), ""), codes.FailedPrecondition, "SUBJECT_REQUEST_WRONG_STATE")
	expect("asked while held", create(crm, asked(erasures, c.GetId())), codes.FailedPrecondition, "LEGAL_HOLD")
	r.holds(t, admin, hold)
	r.asks(t, crm, erasures, c.GetId(), "")
}

// holds lists and lifts a hold.
func (r *registry) holds(t *testing.T, admin context.Context, hold *customerv1.LegalHold) {
	t.Helper()
	list := func(lifted bool) int {
		out, err := r.subjects.ListLegalHolds(admin, &customerv1.ListLegalHoldsRequest{Lifted: lifted})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.GetLegalHolds())
	}
	if list(false) != 1 {
		t.Error("the hold is not listed")
	}
	lift := func(id string) error {
		_, err := r.subjects.LiftLegalHold(admin, &customerv1.LiftLegalHoldRequest{Id: id})
		return err
	}
	if err := lift(hold.GetId()); err != nil {
		t.Fatal(err)
	}
	if err := lift(hold.GetId()); !refusedAs(err, codes.FailedPrecondition, "LEGAL_HOLD_LIFTED") {
		t.Errorf("lifted twice: %v", err)
	}
	if err := lift(nobody); !refusedAs(err, codes.NotFound, "LEGAL_HOLD_NOT_FOUND") {
		t.Errorf("no hold: %v", err)
	}
	if list(false) != 0 || list(true) != 1 {
		t.Error("a lifted hold is listed only when asked for")
	}
	_, err := r.subjects.CreateLegalHold(admin, &customerv1.CreateLegalHoldRequest{CustomerId: nobody, Reason: "x"})
	if !refusedAs(err, codes.NotFound, "CUSTOMER_NOT_FOUND") {
		t.Errorf("a hold on nobody: %v", err)
	}
}

// TestOneOfTwoDecisionsIsKept: an erasure is approved and refused at once.
func TestOneOfTwoDecisionsIsKept(t *testing.T) {
	r := start(t)
	c := r.person(t)
	made := r.asks(t, r.AsStaff(access.CRMSpecialist, "crm-1"), erasures, c.GetId(), "")
	results := make([]error, 8)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			ctx := r.AsStaff(access.InformationAdministrator, "admin")
			if i%2 == 0 {
				_, results[i] = r.subjects.ApproveSubjectRequest(ctx, &customerv1.ApproveSubjectRequestRequest{Id: made.GetId()})
			} else {
				_, results[i] = r.subjects.RefuseSubjectRequest(ctx, &customerv1.RefuseSubjectRequestRequest{Id: made.GetId(), Reason: "no"})
			}
		})
	}
	group.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else if !refusedAs(err, codes.FailedPrecondition, "SUBJECT_REQUEST_WRONG_STATE") {
			t.Errorf("a decision that came late: %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d decisions were kept", won)
	}
}

// TestRestoredRegistryForgetsAgain: what the erasure list has and the database has not is
// erased before the service serves.
func TestRestoredRegistryForgetsAgain(t *testing.T) {
	r := start(t)
	c := r.person(t)
	j, _ := r.jobs()
	made := r.asks(t, r.AsStaff(access.CRMSpecialist, "crm-1"), erasures, c.GetId(), "")
	r.approves(t, made.GetId())
	work(t, j)
	// As in a backup of before, of which the list is no part.
	owner := r.DB.Owner(t)
	for _, sql := range []string{
		`DELETE FROM subject_erasures`,
		`ALTER TABLE subject_keys DISABLE TRIGGER USER`,
		`UPDATE customers SET name = '王大山', phone = '\x01', phone_index = '\x01', erase_time = NULL`,
		`UPDATE subject_keys SET wrapped = '\x01', shred_time = NULL`,
		`ALTER TABLE subject_keys ENABLE TRIGGER USER`,
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if err := r.own.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := r.Pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM customers WHERE name <> '' OR phone IS NOT NULL OR erase_time IS NULL)
		+ (SELECT count(*) FROM subject_keys WHERE wrapped IS NOT NULL)`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows came back, %v", left, err)
	}
	for range 2 {
		if err := r.own.Replay(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
