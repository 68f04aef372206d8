package server_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func emergency(id string) *customerv1.CreateBreakGlassRequest {
	return &customerv1.CreateBreakGlassRequest{BreakGlass: &customerv1.BreakGlass{
		CustomerId: id, Reason: "gas leak at the site, nobody of the account team answers"}}
}

func (r *registry) breakGlass(t *testing.T, ctx context.Context, id string) *customerv1.BreakGlass {
	t.Helper()
	opened, err := r.glasses.CreateBreakGlass(ctx, emergency(id))
	if err != nil {
		t.Fatalf("CreateBreakGlass: %v", err)
	}
	return opened
}

func review(id string) *customerv1.ReviewBreakGlassRequest {
	return &customerv1.ReviewBreakGlassRequest{Id: id, Justified: true, Note: "the fire brigade confirms it"}
}

func TestBrokenGlassOpensAFileForAnHour(t *testing.T) {
	r := start(t)
	made := r.key(t, newID(t))
	other := r.key(t, newID(t))
	agent := r.As(access.ServiceAgent)
	opened := r.breakGlass(t, agent, made.GetId())
	if !opened.GetEndTime().AsTime().Equal(r.Clock.Now().Add(time.Hour)) || opened.GetReview() != nil {
		t.Errorf("opened %v", opened)
	}
	if got, err := r.read(agent, made.GetId()); err != nil || got.GetPhone() != "+8613800138000" {
		t.Errorf("read %v, %v", got, err)
	}
	if n := r.rights(t, made.GetId(), "break-glass:"+opened.GetId()); n != 1 {
		t.Errorf("%d records name the opening", n)
	}
	_, err := r.read(agent, other.GetId())
	refused(t, "another file", err, codes.PermissionDenied, "GRANT_NEEDED")
	_, err = r.read(r.As(access.CRMSpecialist), made.GetId())
	refused(t, "somebody else", err, codes.PermissionDenied, "GRANT_NEEDED")
	r.Clock.Advance(time.Hour)
	_, err = r.read(agent, made.GetId())
	refused(t, "after the hour", err, codes.PermissionDenied, "GRANT_EXPIRED")
}

func TestBreakGlassRefuses(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	agent := r.As(access.ServiceAgent)
	short := emergency(made.GetId())
	short.BreakGlass.Reason = "urgent"
	_, err := r.glasses.CreateBreakGlass(agent, short)
	refused(t, "a short reason", err, codes.InvalidArgument, "VALIDATION_FAILED", "break_glass.reason")
	_, err = r.glasses.CreateBreakGlass(agent, emergency("x"))
	refused(t, "no id", err, codes.InvalidArgument, "VALIDATION_FAILED", "break_glass.customer_id")
	_, err = r.glasses.CreateBreakGlass(agent, emergency(newID(t)))
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.glasses.CreateBreakGlass(r.AsAccount("erp", "breakglass.use"), emergency(made.GetId()))
	refused(t, "a system", err, codes.PermissionDenied, "PEOPLE_ONLY")
	for _, role := range []string{access.Salesperson, access.QCInspector, access.Auditor} {
		_, err = r.glasses.CreateBreakGlass(r.As(role), emergency(made.GetId()))
		refused(t, role, err, codes.PermissionDenied, "PERMISSION_DENIED")
	}
}

func TestSomebodyElseReviewsBrokenGlass(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	both := r.AsPerson("boss", access.SalesManager, access.ServiceAgent)
	opened := r.breakGlass(t, both, made.GetId())
	_, err := r.glasses.ReviewBreakGlass(both, review(opened.GetId()))
	refused(t, "by oneself", err, codes.PermissionDenied, "SECOND_PERSON_NEEDED")
	_, err = r.glasses.ReviewBreakGlass(r.AsAccount("erp", "breakglass.review"), review(opened.GetId()))
	refused(t, "by a system", err, codes.PermissionDenied, "PEOPLE_ONLY")
	_, err = r.glasses.ReviewBreakGlass(r.As(access.SalesManager), review(newID(t)))
	refused(t, "unknown", err, codes.NotFound, "BREAK_GLASS_NOT_FOUND")
	unsaid := review(opened.GetId())
	unsaid.Note = ""
	_, err = r.glasses.ReviewBreakGlass(r.As(access.SalesManager), unsaid)
	refused(t, "without note", err, codes.InvalidArgument, "VALIDATION_FAILED", "note")
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = r.glasses.ReviewBreakGlass(r.As([]string{access.SalesManager, access.CompanyManager}[i%2]), review(opened.GetId()))
		})
	}
	wg.Wait()
	exactlyOne(t, errs, codes.FailedPrecondition, "BREAK_GLASS_REVIEWED")
	got, err := r.glasses.GetBreakGlass(both, &customerv1.GetBreakGlassRequest{Id: opened.GetId()})
	if err != nil || !got.GetReview().GetJustified() || got.GetReview().GetNote() == "" || got.GetEtag() != "2" {
		t.Errorf("reviewed %v, %v", got, err)
	}
}

func TestListBreakGlasses(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	agent, boss := r.As(access.ServiceAgent), r.As(access.SalesManager)
	mine := []string{r.breakGlass(t, agent, made.GetId()).GetId(), r.breakGlass(t, agent, made.GetId()).GetId()}
	other := r.breakGlass(t, r.As(access.CRMSpecialist), made.GetId()).GetId()
	if _, err := r.glasses.ReviewBreakGlass(boss, review(mine[0])); err != nil {
		t.Fatal(err)
	}
	list := func(ctx context.Context, unreviewed bool) int {
		t.Helper()
		req := &customerv1.ListBreakGlassesRequest{Unreviewed: unreviewed, PageSize: 1}
		for n := 0; ; {
			out, err := r.glasses.ListBreakGlasses(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			n += len(out.GetBreakGlasses())
			if req.PageToken = out.GetNextPageToken(); req.PageToken == "" {
				return n
			}
		}
	}
	for name, c := range map[string]struct{ got, want int }{
		"the agent's": {list(agent, false), 2}, "the agent's unreviewed": {list(agent, true), 1},
		"all": {list(boss, false), 3}, "the auditor's": {list(r.As(access.Auditor), false), 3}, "all unreviewed": {list(boss, true), 2},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", name, c.got, c.want)
		}
	}
	_, err := r.glasses.GetBreakGlass(agent, &customerv1.GetBreakGlassRequest{Id: other})
	refused(t, "another's", err, codes.NotFound, "BREAK_GLASS_NOT_FOUND")
}
