package server_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func (r *registry) qualityOf(t *testing.T, id string) *customerv1.CustomerQuality {
	t.Helper()
	got, err := r.quality.GetCustomerQuality(r.admin(), &customerv1.GetCustomerQualityRequest{CustomerId: id})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestQuality(t *testing.T) {
	r := start(t)
	good, poor, gone := r.make(t, rich()), r.make(t, file("poor")), r.make(t, file("gone"))
	if _, err := r.verify(r.admin(), r.addContact(t, good.GetId(), person("李四")), "", "phone", "email"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.files.VerifyCustomer(r.admin(), &customerv1.VerifyCustomerRequest{Id: good.GetId(), Fields: []string{"phone", "email", "address"}, Method: "called"}); err != nil {
		t.Fatal(err)
	}
	if got := r.qualityOf(t, good.GetId()); got.GetOverall() != 100 || len(got.GetReasons()) != 0 || got.GetDefinition() != 2 {
		t.Errorf("the good file: %v", got)
	}
	got := r.qualityOf(t, poor.GetId())
	if got.GetCompleteness() != 0 || got.GetAccuracy() != 100 || got.GetTimeliness() != 100 || got.GetOverall() != 60 ||
		got.GetReasons()[0].GetFault() != customerv1.QualityFault_QUALITY_FAULT_NO_PHONE_NOR_EMAIL {
		t.Errorf("the poor file: %v", got)
	}
	if _, err := r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: gone.GetId(), Reason: "closed"}); err != nil {
		t.Fatal(err)
	}
	list := func(req *customerv1.ListCustomerQualitiesRequest) (ids []string) {
		t.Helper()
		if err := r.ScoreFiles(t.Context()); err != nil {
			t.Fatal(err)
		}
		for {
			out, err := r.quality.ListCustomerQualities(r.As(access.CRMSpecialist), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range out.GetCustomerQualities() {
				ids = append(ids, q.GetCustomerId())
			}
			if req.PageToken = out.GetNextPageToken(); req.PageToken == "" {
				return ids
			}
		}
	}
	if ids := list(&customerv1.ListCustomerQualitiesRequest{PageSize: 1}); !slices.Equal(ids, []string{poor.GetId(), good.GetId()}) {
		t.Errorf("the work list %v", ids)
	}
	if ids := list(&customerv1.ListCustomerQualitiesRequest{ResponsibleStaffId: good.GetResponsibleStaffId()}); !slices.Equal(ids, []string{good.GetId()}) {
		t.Errorf("one person's %v", ids)
	}
	// Time alone makes it worse: 30 days and a tenth of them, then the whole of them.
	r.Clock.Advance(30*24*time.Hour + time.Minute)
	if got := r.qualityOf(t, good.GetId()); got.GetTimeliness() != 90 || got.GetReasons()[0].GetFault() != customerv1.QualityFault_QUALITY_FAULT_OVERDUE {
		t.Errorf("when the review came due: %v", got)
	}
	r.Clock.Advance(30 * 24 * time.Hour)
	if got := r.qualityOf(t, good.GetId()); got.GetTimeliness() != 0 || got.GetOverall() != 70 {
		t.Errorf("long overdue: %v", got)
	}
	list(&customerv1.ListCustomerQualitiesRequest{})
	if n := r.count(t, `SELECT timeliness FROM customer_quality WHERE customer_id = $1`, good.GetId()); n != 0 {
		t.Errorf("the list says %d", n)
	}
	if err := r.SnapshotQuality(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Clock.Advance(31 * 24 * time.Hour)
	for range 2 {
		if err := r.SnapshotQuality(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	trend, err := r.quality.ListQualitySnapshots(r.admin(), &customerv1.ListQualitySnapshotsRequest{})
	months := trend.GetQualitySnapshots()
	if err != nil || len(months) != 2 || months[1].GetId() != "2027-01" || months[1].GetFiles() != 2 || months[1].GetOverall() != 65 {
		t.Errorf("the trend %v, %v", trend, err)
	}
	_, err = r.quality.GetCustomerQuality(r.admin(), &customerv1.GetCustomerQualityRequest{CustomerId: newID(t)})
	refused(t, "unknown", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.quality.ListCustomerQualities(r.As(access.ServiceAgent), &customerv1.ListCustomerQualitiesRequest{})
	refused(t, "an agent", err, codes.PermissionDenied, "PERMISSION_DENIED")
}
