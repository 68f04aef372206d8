package server_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

const (
	stateApproved = customerv1.AccessRequestState_ACCESS_REQUEST_STATE_APPROVED
	stateRefused  = customerv1.AccessRequestState_ACCESS_REQUEST_STATE_REFUSED
	stateExpired  = customerv1.AccessRequestState_ACCESS_REQUEST_STATE_EXPIRED
	statePending  = customerv1.AccessRequestState_ACCESS_REQUEST_STATE_PENDING
	stateRevoked  = customerv1.AccessRequestState_ACCESS_REQUEST_STATE_REVOKED
)

func (r *registry) ask(t *testing.T, ctx context.Context, given *customerv1.AccessRequest) *customerv1.AccessRequest {
	t.Helper()
	made, err := r.requests.CreateAccessRequest(ctx, &customerv1.CreateAccessRequestRequest{AccessRequest: given})
	if err != nil {
		t.Fatalf("CreateAccessRequest: %v", err)
	}
	return made
}

func wanting(ids ...string) *customerv1.AccessRequest {
	return &customerv1.AccessRequest{CustomerIds: ids, Purpose: "prepare the yearly visit"}
}

func (r *registry) approve(ctx context.Context, id string) (*customerv1.AccessRequest, error) {
	return r.requests.ApproveAccessRequest(ctx, &customerv1.ApproveAccessRequestRequest{Id: id})
}

// A grant from the asking to its end.
func TestAGrantEndsByItself(t *testing.T) {
	r := start(t)
	c := full()
	c.OwnerStaffId = r.hire(t, "sales-1", newID(t))
	made := r.make(t, c)
	sales, boss := r.AsStaff(access.Salesperson, "sales-1"), r.As(access.SalesManager)
	asked := r.ask(t, sales, wanting(made.GetId()))
	if asked.GetState() != statePending || asked.GetDays() != 7 || asked.GetEndTime() != nil || !strings.HasSuffix(asked.GetAsker(), "|sales-1") {
		t.Errorf("asked %v", asked)
	}
	_, err := r.read(sales, made.GetId())
	refused(t, "while it is pending", err, codes.PermissionDenied, "GRANT_NEEDED")
	granted, err := r.approve(boss, asked.GetId())
	if err != nil || granted.GetState() != stateApproved || !granted.GetEndTime().AsTime().Equal(r.Clock.Now().AddDate(0, 0, 7)) ||
		!strings.HasSuffix(granted.GetDecider(), "|tester-sales-manager") || granted.GetEtag() != "2" {
		t.Fatalf("granted %v, %v", granted, err)
	}
	got, err := r.read(sales, made.GetId())
	if err != nil || got.GetPhone() != "+8613800138000" || got.GetAddress() == nil {
		t.Errorf("under the grant: %v, %v", got, err)
	}
	if n := r.rights(t, made.GetId(), "grant:"+asked.GetId()); n != 1 {
		t.Errorf("%d records name the grant", n)
	}
	_, err = r.customers.UpdateCustomer(sales, &customerv1.UpdateCustomerRequest{
		Customer: &customerv1.Customer{Id: made.GetId(), Region: "x"}, UpdateMask: mask("region")})
	refused(t, "a change", err, codes.PermissionDenied, "PERMISSION_DENIED")
	_, err = r.read(r.AsStaff(access.Salesperson, "sales-2"), made.GetId())
	refused(t, "somebody else", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	r.Clock.Advance(7*24*time.Hour - time.Second)
	if _, err = r.read(r.AsStaff(access.Salesperson, "sales-1"), made.GetId()); err != nil {
		t.Errorf("in its last second: %v", err)
	}
	r.Clock.Advance(time.Second)
	_, err = r.read(sales, made.GetId())
	refused(t, "after its end", err, codes.PermissionDenied, "GRANT_EXPIRED")
	if ended, err := r.requests.GetAccessRequest(sales, &customerv1.GetAccessRequestRequest{Id: asked.GetId()}); err != nil || ended.GetState() != stateExpired {
		t.Errorf("ended %v, %v", ended, err)
	}
	var types []string
	for _, e := range r.Events(t) {
		if strings.HasPrefix(e.GetType(), "accessrequest.") {
			types = append(types, e.GetType())
		}
	}
	if strings.Join(types, " ") != "accessrequest.created.v1 accessrequest.approved.v1" {
		t.Errorf("events %v", types)
	}
}

func TestAGrantOpensAKeyCustomer(t *testing.T) {
	r := start(t)
	made := r.key(t, newID(t))
	agent := r.As(access.ServiceAgent)
	asked := r.ask(t, agent, wanting(made.GetId()))
	if _, err := r.approve(r.As(access.CompanyManager), asked.GetId()); err != nil {
		t.Fatal(err)
	}
	if got, err := r.read(agent, made.GetId()); err != nil || got.GetPhone() != "+8613800138000" {
		t.Errorf("read %v, %v", got, err)
	}
	revoked, err := r.requests.RevokeAccessRequest(r.As(access.SalesManager), &customerv1.RevokeAccessRequestRequest{Id: asked.GetId(), Reason: "done"})
	if err != nil || revoked.GetState() != stateRevoked || revoked.GetNote() != "done" || !revoked.GetEndTime().AsTime().Equal(r.Clock.Now()) {
		t.Errorf("revoked %v, %v", revoked, err)
	}
	_, err = r.read(agent, made.GetId())
	refused(t, "after it was revoked", err, codes.PermissionDenied, "GRANT_NEEDED")
}

func TestCreateAccessRequestRefuses(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	agent := r.As(access.ServiceAgent)
	outsider := func(o *customerv1.Outsider) *customerv1.AccessRequest {
		given := wanting(made.GetId())
		given.Outsider = o
		return given
	}
	for field, given := range map[string]*customerv1.AccessRequest{
		"access_request.customer_ids":            {Purpose: "x"},
		"access_request.purpose":                 {CustomerIds: []string{made.GetId()}},
		"access_request.days":                    {CustomerIds: []string{made.GetId()}, Purpose: "x", Days: 31},
		"access_request.customer_ids[0]":         wanting(newID(t)),
		"access_request.outsider.identity_check": outsider(&customerv1.Outsider{Name: "a", Organisation: "b"}),
	} {
		_, err := r.requests.CreateAccessRequest(agent, &customerv1.CreateAccessRequestRequest{AccessRequest: given})
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	req := &customerv1.CreateAccessRequestRequest{AccessRequest: wanting(made.GetId()), RequestId: "one"}
	_, err := r.requests.CreateAccessRequest(r.AsStaff(access.Salesperson, "sales-1"), req)
	refused(t, "a customer of another", err, codes.InvalidArgument, "VALIDATION_FAILED", "access_request.customer_ids[0]")
	_, err = r.requests.CreateAccessRequest(r.AsAccount("erp", "accessrequests.create"), req)
	refused(t, "a system", err, codes.PermissionDenied, "PEOPLE_ONLY")
	_, err = r.requests.CreateAccessRequest(r.As(access.Auditor), req)
	refused(t, "an auditor", err, codes.PermissionDenied, "PERMISSION_DENIED")
	first, err := r.requests.CreateAccessRequest(agent, req)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.requests.CreateAccessRequest(agent, req); err != nil || again.GetId() != first.GetId() {
		t.Errorf("the same again: %v, %v", again, err)
	}
	req.AccessRequest.Purpose = "another"
	_, err = r.requests.CreateAccessRequest(agent, req)
	refused(t, "another body", err, codes.AlreadyExists, "REQUEST_ID_REUSED")
}

// Nobody decides on their own request: not in another role, not by refusing it, not by
// asking anew with the same id, and not past the handler.
func TestNobodyDecidesOnTheirOwnRequest(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	both := r.AsPerson("boss", access.SalesManager, access.CompanyManager, access.ServiceAgent)
	asked := r.ask(t, both, wanting(made.GetId()))
	for name, ctx := range map[string]context.Context{
		"in the same roles": both, "as sales manager": r.AsStaff(access.SalesManager, "boss"), "as company manager": r.AsStaff(access.CompanyManager, "boss"),
	} {
		_, err := r.approve(ctx, asked.GetId())
		refused(t, name, err, codes.PermissionDenied, "SECOND_PERSON_NEEDED")
		_, err = r.requests.RefuseAccessRequest(ctx, &customerv1.RefuseAccessRequestRequest{Id: asked.GetId(), Reason: "x"})
		refused(t, name+", refusing", err, codes.PermissionDenied, "SECOND_PERSON_NEEDED")
	}
	_, err := r.approve(r.AsAccount("erp", "accessrequests.decide"), asked.GetId())
	refused(t, "a system", err, codes.PermissionDenied, "PEOPLE_ONLY")
	for _, role := range []string{access.ServiceAgent, access.InformationAdministrator, access.ServiceManager, access.Salesperson, access.Auditor} {
		_, err := r.approve(r.As(role), asked.GetId())
		refused(t, role, err, codes.PermissionDenied, "PERMISSION_DENIED")
	}
	_, err = r.Pool.Exec(t.Context(), `UPDATE access_requests SET state = 2, decider = asker, decide_time = now(), end_time = now() WHERE id = $1`, asked.GetId())
	if err == nil {
		t.Error("the database took a decision by the asker")
	}
	if got, err := r.approve(r.As(access.SalesManager), asked.GetId()); err != nil || got.GetState() != stateApproved {
		t.Errorf("by somebody else: %v, %v", got, err)
	}
}

func TestDecisionsRefuse(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	agent, boss := r.As(access.ServiceAgent), r.As(access.SalesManager)
	asked := r.ask(t, agent, wanting(made.GetId()))
	id := asked.GetId()
	_, err := r.approve(boss, newID(t))
	refused(t, "unknown", err, codes.NotFound, "ACCESS_REQUEST_NOT_FOUND")
	_, err = r.requests.ApproveAccessRequest(boss, &customerv1.ApproveAccessRequestRequest{Id: id, Days: 8})
	refused(t, "more days", err, codes.InvalidArgument, "VALIDATION_FAILED", "days")
	_, err = r.requests.ApproveAccessRequest(boss, &customerv1.ApproveAccessRequestRequest{Id: id, Etag: "9"})
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH")
	_, err = r.requests.RefuseAccessRequest(boss, &customerv1.RefuseAccessRequestRequest{Id: id})
	refused(t, "without reason", err, codes.InvalidArgument, "VALIDATION_FAILED", "reason")
	_, err = r.requests.RevokeAccessRequest(boss, &customerv1.RevokeAccessRequestRequest{Id: id, Reason: "x"})
	refused(t, "revoked while pending", err, codes.FailedPrecondition, "ACCESS_REQUEST_WRONG_STATE")
	_, err = r.requests.RevokeAccessRequest(r.As(access.CRMSpecialist), &customerv1.RevokeAccessRequestRequest{Id: id, Reason: "x"})
	refused(t, "another's", err, codes.NotFound, "ACCESS_REQUEST_NOT_FOUND")
	_, err = r.requests.RevokeAccessRequest(r.AsAccount("x", "accessrequests.decide"), &customerv1.RevokeAccessRequestRequest{Id: id, Reason: "x"})
	refused(t, "a system", err, codes.PermissionDenied, "PEOPLE_ONLY")
	got, err := r.requests.RefuseAccessRequest(boss, &customerv1.RefuseAccessRequestRequest{Id: id, Reason: "not needed"})
	if err != nil || got.GetState() != stateRefused || got.GetNote() != "not needed" || got.GetEndTime() != nil {
		t.Errorf("refused %v, %v", got, err)
	}
	_, err = r.approve(boss, id)
	refused(t, "decided already", err, codes.FailedPrecondition, "ACCESS_REQUEST_WRONG_STATE")
}

func TestDecisionRace(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	asked := r.ask(t, r.As(access.ServiceAgent), wanting(made.GetId()))
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			boss := r.As([]string{access.SalesManager, access.CompanyManager}[i/2%2])
			if i%2 == 0 {
				_, errs[i] = r.approve(boss, asked.GetId())
				return
			}
			_, errs[i] = r.requests.RefuseAccessRequest(boss, &customerv1.RefuseAccessRequestRequest{Id: asked.GetId(), Reason: "no"})
		})
	}
	wg.Wait()
	exactlyOne(t, errs, codes.FailedPrecondition, "ACCESS_REQUEST_WRONG_STATE")
	if n := r.count(t, `SELECT count(*) FROM event_outbox WHERE type IN ('accessrequest.approved.v1', 'accessrequest.refused.v1')`); n != 1 {
		t.Errorf("%d decisions were told", n)
	}
}

// Lists hold what Get gives, in each state, and nothing else.
func TestListAccessRequests(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	agent, other, boss := r.As(access.ServiceAgent), r.As(access.CRMSpecialist), r.As(access.SalesManager)
	var ids []string
	for range 3 {
		ids = append(ids, r.ask(t, agent, wanting(made.GetId())).GetId())
	}
	foreign := r.ask(t, other, wanting(made.GetId())).GetId()
	for _, id := range ids[:2] {
		if _, err := r.approve(boss, id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.requests.RevokeAccessRequest(agent, &customerv1.RevokeAccessRequestRequest{Id: ids[1], Reason: "not needed any more"}); err != nil {
		t.Fatal(err)
	}
	list := func(ctx context.Context, state customerv1.AccessRequestState) (found []string) {
		t.Helper()
		req := &customerv1.ListAccessRequestsRequest{State: state, PageSize: 2}
		for {
			out, err := r.requests.ListAccessRequests(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range out.GetAccessRequests() {
				found = append(found, a.GetId())
				if got, err := r.requests.GetAccessRequest(ctx, &customerv1.GetAccessRequestRequest{Id: a.GetId()}); err != nil || len(got.GetCustomerIds()) != 1 {
					t.Errorf("listed and not to be had: %v, %v", got, err)
				}
			}
			if req.PageToken = out.GetNextPageToken(); req.PageToken == "" {
				return found
			}
		}
	}
	check := func(name string, ctx context.Context, state customerv1.AccessRequestState, want int) {
		t.Helper()
		if got := list(ctx, state); len(got) != want {
			t.Errorf("%s: %v, want %d", name, got, want)
		}
	}
	check("the asker's", agent, 0, 3)
	check("another's", other, 0, 1)
	check("all", boss, 0, 4)
	check("the auditor's", r.As(access.Auditor), 0, 4)
	check("pending", boss, statePending, 2)
	check("approved", boss, stateApproved, 1)
	check("revoked", boss, stateRevoked, 1)
	check("expired before", boss, stateExpired, 0)
	_, err := r.requests.GetAccessRequest(agent, &customerv1.GetAccessRequestRequest{Id: foreign})
	refused(t, "another's request", err, codes.NotFound, "ACCESS_REQUEST_NOT_FOUND")
	_, err = r.requests.ListAccessRequests(boss, &customerv1.ListAccessRequestsRequest{PageSize: 501})
	refused(t, "page size", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_size")
	r.Clock.Advance(7 * 24 * time.Hour)
	check("expired after", boss, stateExpired, 1)
	check("approved after", boss, stateApproved, 0)
}

func TestExtractForSomebodyOutside(t *testing.T) {
	r := start(t)
	c := full()
	c.Name = "<b>武汉</b>精工"
	made := r.make(t, c)
	r.addContact(t, made.GetId(), &customerv1.Contact{Name: "王五", Phone: "13912345678", Email: "wang@sz.example"})
	sponsor, boss := r.As(access.ServiceAgent), r.As(access.SalesManager)
	given := wanting(made.GetId())
	given.Outsider = &customerv1.Outsider{Name: "赵六", Organisation: "质监局", IdentityCheck: "work card seen"}
	asked := r.ask(t, sponsor, given)
	extract := func(ctx context.Context) (*customerv1.AccessExtract, error) {
		return r.requests.ExtractAccessRequest(ctx, &customerv1.ExtractAccessRequestRequest{Id: asked.GetId()})
	}
	_, err := extract(sponsor)
	refused(t, "before the approval", err, codes.FailedPrecondition, "ACCESS_REQUEST_WRONG_STATE")
	if _, err := r.approve(boss, asked.GetId()); err != nil {
		t.Fatal(err)
	}
	out, err := extract(sponsor)
	if err != nil {
		t.Fatal(err)
	}
	f := out.GetFiles()[0]
	if f.GetPhone() != "138****8000" || f.GetEmail() != "z***@example.com" || f.GetContacts()[0].GetPhone() != "139****5678" ||
		!strings.HasPrefix(f.GetContacts()[0].GetName(), "王") || strings.Contains(f.GetContacts()[0].GetName(), "五") {
		t.Errorf("the extract is not masked: %v", f)
	}
	for _, mark := range []string{out.GetId(), "赵六", "质监局", "tester-service-agent"} {
		if !strings.Contains(out.GetWatermark(), mark) || !strings.Contains(out.GetHtml(), mark) {
			t.Errorf("the watermark %q lacks %s", out.GetWatermark(), mark)
		}
	}
	for _, secret := range []string{"13800138000", "13912345678", "zhang.san", "wang@", "王五", "珞瑜路", "<b>武汉"} {
		if strings.Contains(out.GetHtml(), secret) {
			t.Errorf("the page holds %s", secret)
		}
	}
	if !out.GetExpireTime().AsTime().Equal(r.Clock.Now().AddDate(0, 0, 7)) {
		t.Errorf("it expires at %v", out.GetExpireTime().AsTime())
	}
	if n := r.rights(t, made.GetId(), "grant:"+asked.GetId()); n != 1 {
		t.Errorf("%d records of the file name the grant", n)
	}
	if again, err := extract(sponsor); err != nil || again.GetId() == out.GetId() {
		t.Errorf("another extract: %v, %v", again.GetId(), err)
	}
	_, err = extract(boss)
	refused(t, "not the sponsor", err, codes.NotFound, "ACCESS_REQUEST_NOT_FOUND")
	_, err = extract(r.AsAccount("erp", "accessrequests.create"))
	refused(t, "a system", err, codes.PermissionDenied, "PEOPLE_ONLY")
	// The sponsor gets nothing for themselves from it.
	if got, err := r.read(sponsor, made.GetId()); err != nil || got.GetPhone() != "138****8000" {
		t.Errorf("the sponsor reads %v, %v", got, err)
	}
	own := r.ask(t, sponsor, wanting(made.GetId()))
	if _, err := r.approve(boss, own.GetId()); err != nil {
		t.Fatal(err)
	}
	_, err = r.requests.ExtractAccessRequest(sponsor, &customerv1.ExtractAccessRequestRequest{Id: own.GetId()})
	refused(t, "for oneself", err, codes.FailedPrecondition, "NOT_FOR_OUTSIDER")
	r.Clock.Advance(7 * 24 * time.Hour)
	_, err = extract(sponsor)
	refused(t, "after its end", err, codes.PermissionDenied, "GRANT_EXPIRED")
}
