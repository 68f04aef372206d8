package server_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func (r *registry) review(t *testing.T, id string) *customerv1.AccessReview {
	t.Helper()
	got, err := r.reviews.GetAccessReview(r.As(access.Auditor), &customerv1.GetAccessReviewRequest{Id: id})
	if err != nil {
		t.Fatalf("GetAccessReview: %v", err)
	}
	return got
}

func (r *registry) sign(ctx context.Context, id string) (*customerv1.AccessReview, error) {
	return r.reviews.SignAccessReview(ctx, &customerv1.SignAccessReviewRequest{Id: id, Findings: "one emergency, justified"})
}

func TestAccessReview(t *testing.T) {
	r := start(t)
	r.Clock.Set(time.Date(2026, 12, 31, 15, 0, 0, 0, time.UTC)) // 23:00 on the quarter's last day
	made := r.make(t, full())
	key := r.key(t, r.hire(t, "owner", newID(t)))
	agent, boss, auditor := r.As(access.ServiceAgent), r.As(access.SalesManager), r.As(access.Auditor)
	owner := r.AsStaff(access.CRMSpecialist, "owner")
	for range 21 {
		if _, err := r.read(owner, made.GetId()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.read(owner, key.GetId()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := r.read(r.As(access.ServiceManager), made.GetId()); err != nil {
			t.Fatal(err)
		}
	}
	asked, no := r.ask(t, agent, wanting(key.GetId())), r.ask(t, agent, wanting(made.GetId()))
	if _, err := r.approve(boss, asked.GetId()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.requests.RefuseAccessRequest(boss, &customerv1.RefuseAccessRequestRequest{Id: no.GetId(), Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	opened := r.breakGlass(t, agent, made.GetId())
	for _, id := range []string{key.GetId(), made.GetId()} {
		if _, err := r.read(agent, id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.customers.UnmaskCustomer(agent, unmask(made.GetId(), thePhone)); err != nil {
		t.Fatal(err)
	}
	r.fileReads(t)
	got := r.review(t, "2026-q4")
	if c := got.GetRequests(); c.GetLodged() != 2 || c.GetApproved() != 1 || c.GetRefused() != 1 || c.GetPending() != 0 {
		t.Errorf("requests %v", c)
	}
	if got.GetUnmasks() != 1 || got.GetBreakGlasses().GetUnreviewed() != 1 || got.GetSignature() != nil {
		t.Errorf("review %v", got)
	}
	readers := map[string]*customerv1.ReaderActivity{}
	for _, a := range got.GetReaders() {
		readers[a.GetReader()[strings.LastIndex(a.GetReader(), "|")+1:]] = a
	}
	if a := readers["owner"]; a.GetReads() != 22 || a.GetCustomers() != 2 || a.GetByRole() != 21 || a.GetByTeam() != 1 || a.GetBusiestDay() != 22 ||
		!a.GetUnusual() || a.GetStaffId() == "" {
		t.Errorf("the owner: %v", a)
	}
	if a := readers["tester-service-agent"]; a.GetReads() != 2 || a.GetByGrant() != 1 || a.GetByBreakGlass() != 1 || a.GetUnusual() || a.GetStaffId() != "" {
		t.Errorf("the agent: %v", a)
	}
	_, err := r.sign(auditor, "2026-q4")
	refused(t, "before its end", err, codes.FailedPrecondition, "QUARTER_NOT_OVER")
	r.Clock.Advance(time.Hour) // midnight in Shanghai
	_, err = r.sign(auditor, "2026-q4")
	refused(t, "with an unreviewed opening", err, codes.FailedPrecondition, "BREAK_GLASS_UNREVIEWED")
	if _, err := r.glasses.ReviewBreakGlass(boss, review(opened.GetId())); err != nil {
		t.Fatal(err)
	}
	_, err = r.sign(r.AsPerson("owner", access.Auditor), "2026-q4")
	refused(t, "by a reader", err, codes.PermissionDenied, "SECOND_PERSON_NEEDED")
	_, err = r.sign(r.AsAccount("erp", "accessreviews.sign"), "2026-q4")
	refused(t, "by a system", err, codes.PermissionDenied, "PEOPLE_ONLY")
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = r.sign(auditor, "2026-q4") })
	}
	wg.Wait()
	exactlyOne(t, errs, codes.FailedPrecondition, "ACCESS_REVIEW_SIGNED")
	// What was signed stays, whatever is found out later.
	signed := r.review(t, "2026-q4")
	if _, err := r.Pool.Exec(t.Context(), `DELETE FROM file_reads`); err != nil {
		t.Fatal(err)
	}
	if again := r.review(t, "2026-q4"); !proto.Equal(again, signed) || again.GetSignature().GetFindings() == "" || again.GetBreakGlasses().GetJustified() != 1 {
		t.Errorf("signed %v\nread %v", signed, again)
	}
	if n := len(r.review(t, "2027-q1").GetReaders()); n != 0 {
		t.Errorf("%d readers in the next quarter", n)
	}
	list, err := r.reviews.ListAccessReviews(r.As(access.Auditor), &customerv1.ListAccessReviewsRequest{})
	if err != nil || len(list.GetAccessReviews()) != 1 || !proto.Equal(list.GetAccessReviews()[0], signed) {
		t.Errorf("list %v, %v", list, err)
	}
}

func TestAccessReviewRefuses(t *testing.T) {
	r := start(t)
	r.Clock.Set(time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC))
	auditor := r.As(access.Auditor)
	for id, reason := range map[string]string{"2027-q1": "ACCESS_REVIEW_NOT_FOUND", "2026-q5": "ACCESS_REVIEW_NOT_FOUND", newID(t): "ACCESS_REVIEW_NOT_FOUND"} {
		_, err := r.reviews.GetAccessReview(auditor, &customerv1.GetAccessReviewRequest{Id: id})
		refused(t, id, err, codes.NotFound, reason)
		_, err = r.sign(auditor, id)
		refused(t, id+", signed", err, codes.NotFound, reason)
	}
	_, err := r.reviews.GetAccessReview(auditor, &customerv1.GetAccessReviewRequest{Id: "2026-Q4"})
	refused(t, "upper case", err, codes.InvalidArgument, "VALIDATION_FAILED", "id")
	_, err = r.reviews.ListAccessReviews(auditor, &customerv1.ListAccessReviewsRequest{PageSize: 101})
	refused(t, "page size", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_size")
	for _, role := range []string{access.ServiceManager, access.InformationAdministrator, access.CompanyManager} {
		_, err = r.sign(r.As(role), "2026-q3")
		refused(t, role, err, codes.PermissionDenied, "PERMISSION_DENIED")
	}
	for _, quarter := range []string{"2026-q1", "2026-q3", "2026-q2"} {
		if _, err := r.sign(auditor, quarter); err != nil {
			t.Fatal(err)
		}
	}
	req := &customerv1.ListAccessReviewsRequest{PageSize: 2}
	var ids []string
	for {
		out, err := r.reviews.ListAccessReviews(auditor, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range out.GetAccessReviews() {
			ids = append(ids, a.GetId())
		}
		if req.PageToken = out.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if strings.Join(ids, " ") != "2026-q3 2026-q2 2026-q1" {
		t.Errorf("listed %v", ids)
	}
}
