package server_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
)

func TestSeverityFollowsTheFacts(t *testing.T) {
	w := newWorld(t)
	review := func(c *complaintv1.Complaint, severity complaintv1.Severity) error {
		w.on(c, complaint.Submitted, "")
		req := w.review(c.GetId())
		req.Severity = severity
		_, err := w.client.ReviewComplaint(w.as("manager"), req)
		return err
	}
	for clause, change := range map[string]func(*complaintv1.Complaint){
		"complaint.severity-injury/1":       func(c *complaintv1.Complaint) { c.SeverityFacts = []complaintv1.SeverityFact{1} },
		"complaint.severity-legal/1":        func(c *complaintv1.Complaint) { c.SeverityFacts = []complaintv1.SeverityFact{2} },
		"complaint.severity-press/1":        func(c *complaintv1.Complaint) { c.SeverityFacts = []complaintv1.SeverityFact{3} },
		"complaint.severity-key-customer/1": func(c *complaintv1.Complaint) { c.CustomerId = w.key },
		"complaint.severity-amount/1":       func(c *complaintv1.Complaint) { c.Amount = yuan(10001) },
	} {
		other := w.newCustomer(typev1.Tier_TIER_C)
		c := w.create(func(c *complaintv1.Complaint) {
			c.CustomerId = other
			change(c)
		})
		w.refused(clause, review(c, complaintv1.Severity_SEVERITY_GENERAL), codes.FailedPrecondition, "SEVERITY_TOO_LOW", clause)
		if err := review(c, complaintv1.Severity_SEVERITY_MAJOR); err != nil {
			t.Errorf("%s as major: %v", clause, err)
		}
	}
}

// clauses are the reasons why a complaint must be major.
func clauses(c *complaintv1.Complaint) (out []string) {
	for _, r := range c.GetSeverityReasons() {
		out = append(out, strings.TrimPrefix(r.GetClause(), "complaint.severity-"))
	}
	return out
}

// The third complaint of a customer or about a product within 90 days is major, says so from
// its registration on, and is linked to those before.
func TestTheThirdIsMajorAndSaysWhy(t *testing.T) {
	w := newWorld(t)
	severity := complaintv1.NewSeverityServiceClient(w.Conn)
	about := func(customer, product string) *complaintv1.Complaint {
		return w.create(func(c *complaintv1.Complaint) { c.CustomerId, c.ProductModel = customer, product })
	}
	about(w.customer, "P-1")
	w.Clock.Advance(91 * 24 * time.Hour)
	first := about(w.customer, "P-1")
	second := about(w.customer, "P-2")
	if len(first.GetSeverityReasons())+len(second.GetSeverityReasons()) > 0 {
		t.Errorf("the first is major by %v, the second by %v", clauses(first), clauses(second))
	}
	third := about(w.customer, "")
	if got := clauses(third); !slices.Equal(got, []string{"repeat-customer/1"}) || third.GetSeverityPolicyVersion() != 1 {
		t.Errorf("the third of the customer: %v by version %d", got, third.GetSeverityPolicyVersion())
	}
	if text := third.GetSeverityReasons()[0]; !strings.Contains(text.GetTextEn(), "complaint 3 of the customer within 90 days") || !strings.Contains(text.GetTextZh(), "第 3 次") {
		t.Errorf("%v", text)
	}
	about(w.other, "P-1")
	product := about(w.newCustomer(typev1.Tier_TIER_C), "P-1")
	if got := clauses(product); !slices.Equal(got, []string{"repeat-product/1"}) {
		t.Errorf("the third about the product: %v", got)
	}
	w.on(third, complaint.Submitted, "")
	_, err := w.client.ReviewComplaint(w.as("manager"), w.review(third.GetId()))
	w.refused("the third as general", err, codes.FailedPrecondition, "SEVERITY_TOO_LOW", "complaint.severity-repeat-customer/1")
	req := w.review(third.GetId())
	req.Severity = complaintv1.Severity_SEVERITY_UNSPECIFIED
	if c, err := w.client.ReviewComplaint(w.as("manager"), req); err != nil || c.GetSeverity() != complaintv1.Severity_SEVERITY_MAJOR || len(c.GetSeverityReasons()) != 1 {
		t.Errorf("raised by the facts: %v, %v", c, err)
	}

	links, err := severity.GetComplaintRepeats(w.as("manager"), &complaintv1.GetComplaintRepeatsRequest{ComplaintId: first.GetId()})
	if err != nil || len(links.GetRepeats()) != 4 || !links.GetRepeats()[3].GetLater() || links.GetRepeats()[0].GetBases()[0] != complaintv1.RepeatBasis_REPEAT_BASIS_PRODUCT {
		t.Errorf("linked with the first: %v, %v", links, err)
	}
	links, err = severity.GetComplaintRepeats(w.as("manager"), &complaintv1.GetComplaintRepeatsRequest{ComplaintId: third.GetId()})
	if err != nil || len(links.GetRepeats()) != 2 || links.GetRepeats()[0].GetLater() {
		t.Errorf("linked with the third: %v, %v", links, err)
	}
	w.on(w.get("boss", first.GetId()), complaint.Assigned, "tech")
	links, err = severity.GetComplaintRepeats(w.as("tech"), &complaintv1.GetComplaintRepeatsRequest{ComplaintId: first.GetId()})
	if err != nil || len(links.GetRepeats()) != 0 {
		t.Errorf("the handler of the first sees others' complaints: %v, %v", links, err)
	}
	_, err = severity.GetComplaintRepeats(w.as("tech"), &complaintv1.GetComplaintRepeatsRequest{ComplaintId: second.GetId()})
	w.refused("a stranger", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	seen, err := w.client.GetComplaint(w.AsCustomer(w.customer), &complaintv1.GetComplaintRequest{Id: third.GetId()})
	if err != nil || len(seen.GetSeverityReasons()) > 0 || seen.GetSeverityPolicyVersion() != 0 {
		t.Errorf("the customer sees %v, %v", seen, err)
	}
}

func rules() *complaintv1.SeverityPolicy {
	return &complaintv1.SeverityPolicy{Injury: true, MajorAmount: &money.Money{Units: 100}, RepeatDays: 30, SameCustomer: 2, Note: "stricter on money"}
}

// A complaint is judged by the rules it was registered under.
func TestSeverityRulesAreVersioned(t *testing.T) {
	w := newWorld(t)
	severity := complaintv1.NewSeverityServiceClient(w.Conn)
	before := w.create(nil)
	from := w.Clock.Now().Add(time.Hour)
	in := rules()
	in.EffectiveTime = timestamppb.New(from)
	made, err := severity.PublishSeverityPolicy(w.as("manager"), &complaintv1.PublishSeverityPolicyRequest{Policy: in, RequestId: "r1"})
	if err != nil || made.GetVersion() != 2 {
		t.Fatalf("%v, %v", made, err)
	}
	again, err := severity.PublishSeverityPolicy(w.as("manager"), &complaintv1.PublishSeverityPolicyRequest{Policy: in, RequestId: "r1"})
	if err != nil || again.GetVersion() != 2 {
		t.Errorf("the same again: %v, %v", again, err)
	}
	_, err = severity.PublishSeverityPolicy(w.as("manager"), &complaintv1.PublishSeverityPolicyRequest{Policy: rules(), RequestId: "r1"})
	w.refused("other rules under the same id", err, codes.AlreadyExists, "REQUEST_ID_REUSED", "")
	early := w.create(nil)
	w.Clock.Advance(2 * time.Hour)
	after := w.create(nil)
	if len(clauses(before))+len(clauses(early)) > 0 || !slices.Equal(clauses(after), []string{"amount/2"}) {
		t.Errorf("before %v, early %v, after %v", clauses(before), clauses(early), clauses(after))
	}
	w.on(early, complaint.Submitted, "")
	if c, err := w.client.ReviewComplaint(w.as("manager"), w.review(early.GetId())); err != nil || c.GetSeverityPolicyVersion() != 1 {
		t.Errorf("reviewed under the old rules: %v, %v", c, err)
	}
	got, err := severity.GetSeverityPolicy(w.as("supervisor"), &complaintv1.GetSeverityPolicyRequest{Version: 2})
	if err != nil || !got.GetEffectiveTime().AsTime().Equal(from) || got.GetMajorAmount().GetUnits() != 100 || got.GetKeyCustomer() {
		t.Errorf("%v, %v", got, err)
	}
	_, err = severity.GetSeverityPolicy(w.as("manager"), &complaintv1.GetSeverityPolicyRequest{Version: 99})
	w.refused("no such version", err, codes.NotFound, "SEVERITY_POLICY_NOT_FOUND", "")
	list, err := severity.ListSeverityPolicies(w.as("manager"), &complaintv1.ListSeverityPoliciesRequest{PageSize: 1})
	if err != nil || len(list.GetPolicies()) != 1 || list.GetPolicies()[0].GetVersion() != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	list, err = severity.ListSeverityPolicies(w.as("manager"), &complaintv1.ListSeverityPoliciesRequest{PageSize: 1, PageToken: list.GetNextPageToken()})
	if err != nil || len(list.GetPolicies()) != 1 || list.GetPolicies()[0].GetVersion() != 1 || list.GetNextPageToken() != "" {
		t.Errorf("%v, %v", list, err)
	}
	for what, change := range map[string]func(*complaintv1.SeverityPolicy){
		"a time in the past": func(p *complaintv1.SeverityPolicy) {
			p.EffectiveTime = timestamppb.New(w.Clock.Now().Add(-time.Hour))
		},
		"no time":          func(p *complaintv1.SeverityPolicy) { p.EffectiveTime = &timestamppb.Timestamp{Nanos: -1} },
		"no note":          func(p *complaintv1.SeverityPolicy) { p.Note = "" },
		"no days":          func(p *complaintv1.SeverityPolicy) { p.RepeatDays = 0 },
		"the first":        func(p *complaintv1.SeverityPolicy) { p.SameProduct = 1 },
		"an amount of yen": func(p *complaintv1.SeverityPolicy) { p.MajorAmount.CurrencyCode = "JPY" },
	} {
		p := rules()
		change(p)
		_, err := severity.PublishSeverityPolicy(w.as("manager"), &complaintv1.PublishSeverityPolicyRequest{Policy: p})
		w.refused(what, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
}

// race tries at once and tells how many succeeded.
func race(n int, try func() error) (won int) {
	errs := make(chan error, n)
	for range n {
		go func() { errs <- try() }()
	}
	for range n {
		if <-errs == nil {
			won++
		}
	}
	return won
}

// Of two reviews at once one wins, and the reasons are those of the one.
func TestOneOfTwoReviewsRaises(t *testing.T) {
	w := newWorld(t)
	w.create(func(c *complaintv1.Complaint) { c.CustomerId = w.customer })
	w.create(func(c *complaintv1.Complaint) { c.CustomerId = w.customer })
	c := w.on(w.create(func(c *complaintv1.Complaint) { c.CustomerId = w.customer }), complaint.Submitted, "")
	if won := race(2, func() error {
		req := w.review(c.GetId())
		req.Severity = 0
		return failed(w.client.ReviewComplaint(w.as("manager"), req))
	}); won != 1 {
		t.Errorf("%d of two reviews win", won)
	}
	if got := w.get("manager", c.GetId()); len(got.GetSeverityReasons()) != 1 || got.GetSeverity() != complaintv1.Severity_SEVERITY_MAJOR {
		t.Errorf("%v", got)
	}
}

func TestMatrixOfSeverity(t *testing.T) {
	w := newWorld(t)
	c := complaintv1.NewSeverityServiceClient(w.Conn)
	far := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, "")
	other := w.held(w.staff["tech2"], far)
	m := accesstest.NewMatrix(t, &complaintv1.SeverityService_ServiceDesc, map[string]accesstest.Attempt{
		"PublishSeverityPolicy": func(ctx context.Context, _ string) error {
			return failed(c.PublishSeverityPolicy(ctx, &complaintv1.PublishSeverityPolicyRequest{Policy: rules()}))
		},
		"GetSeverityPolicy": func(ctx context.Context, _ string) error {
			return failed(c.GetSeverityPolicy(ctx, &complaintv1.GetSeverityPolicyRequest{Version: 1}))
		},
		"ListSeverityPolicies": func(ctx context.Context, _ string) error {
			return failed(c.ListSeverityPolicies(ctx, &complaintv1.ListSeverityPoliciesRequest{}))
		},
		"GetComplaintRepeats": func(ctx context.Context, id string) error {
			return failed(c.GetComplaintRepeats(ctx, &complaintv1.GetComplaintRepeatsRequest{ComplaintId: id}))
		},
	})
	m.Rowless = []string{"PublishSeverityPolicy", "GetSeverityPolicy", "ListSeverityPolicies"}
	w.rows(m, far, other)
}

// rows checks the matrix on a complaint of the caller's own, of their team and of others.
func (w *world) rows(m *accesstest.Matrix, far uuid.UUID, other string) {
	w.t.Helper()
	for _, role := range accesstest.Roles() {
		if role == access.Customer {
			mine := w.held(w.staff["tech2"], far)
			m.Role(role, w.AsCustomer(w.get("boss", mine).GetCustomerId()), map[accesstest.Reach]string{accesstest.Own: mine, accesstest.Company: other})
			continue
		}
		me, ctx := w.member(role, w.quality)
		m.Role(role, ctx, map[accesstest.Reach]string{
			accesstest.Own: w.held(me, far), accesstest.Team: w.held(w.staff["tech3"], w.quality), accesstest.Company: other,
		})
	}
	m.Others(w.Service, other)
}
