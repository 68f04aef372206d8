package server_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/clock"
)

func proposal(id, phone string) *customerv1.CreateChangeReportRequest {
	return &customerv1.CreateChangeReportRequest{ChangeReport: &customerv1.ChangeReport{
		CustomerId: id, Customer: &customerv1.Customer{Phone: phone, Region: "华南"}, UpdateMask: mask("phone", "region"),
		Note: "来电告知搬迁", Source: customerv1.ValueSource_VALUE_SOURCE_CUSTOMER,
	}}
}

func (r *registry) report(t *testing.T, id string) *customerv1.ChangeReport {
	t.Helper()
	made, err := r.reports.CreateChangeReport(r.As(access.Salesperson), proposal(id, "13900139000"))
	if err != nil {
		t.Fatalf("CreateChangeReport: %v", err)
	}
	return made
}

func TestApplyChangeReport(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	report := r.report(t, made.GetId())
	// The clock of tests stands at Monday 09:00 in Shanghai: one working day is its close.
	if want := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC); !report.GetDueTime().AsTime().Equal(want) || report.GetOverdue() {
		t.Errorf("due at %v, want %v", report.GetDueTime().AsTime(), want)
	}
	if got := r.get(t, made.GetId()).GetRegion(); got != "华中" {
		t.Errorf("a report that is not decided changed the region to %s", got)
	}
	if n := r.count(t, `SELECT count(*) FROM change_reports WHERE encode(proposal, 'escape') LIKE '%139%'`); n != 0 {
		t.Error("the proposal is stored in plain")
	}
	r.Clock.Advance(time.Hour)
	applied, err := r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: report.GetId(), Etag: "1"})
	if err != nil || applied.GetState() != customerv1.ChangeReportState_CHANGE_REPORT_STATE_APPLIED || !strings.HasSuffix(applied.GetDecider(), "information-administrator") || applied.GetDecideTime() == nil {
		t.Fatalf("applied %v, %v", applied, err)
	}
	if got := r.get(t, made.GetId()); got.GetPhone() != "+8613900139000" || got.GetRegion() != "华南" {
		t.Errorf("the file is %v", got)
	}
	if s := r.states(t, made.GetId())["phone"]; s.GetSource() != customerv1.ValueSource_VALUE_SOURCE_CUSTOMER {
		t.Errorf("the phone came from %v", s)
	}
	var types []string
	for _, e := range r.Events(t) {
		types = append(types, e.GetType())
		if strings.Contains(e.String(), "13900139000") {
			t.Errorf("an event holds the phone: %v", e)
		}
	}
	if got := strings.Join(types, " "); got != "customer.created.v1 changereport.created.v1 clock.met.v1 customer.changed.v1 changereport.applied.v1" &&
		got != "customer.created.v1 changereport.created.v1 customer.changed.v1 clock.met.v1 changereport.applied.v1" {
		t.Errorf("events %s", got)
	}
	_, err = r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: report.GetId()})
	refused(t, "twice", err, codes.FailedPrecondition, "CHANGE_REPORT_DECIDED")
	_, err = r.reports.RefuseChangeReport(r.admin(), &customerv1.RefuseChangeReportRequest{Id: report.GetId(), Reason: "x"})
	refused(t, "refused afterwards", err, codes.FailedPrecondition, "CHANGE_REPORT_DECIDED")
	_, err = r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: report.GetId(), Etag: "1"})
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH")
}

func TestChangeReportsAreRefused(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	create := func(req *customerv1.CreateChangeReportRequest) error {
		_, err := r.reports.CreateChangeReport(r.As(access.Salesperson), req)
		return err
	}
	refused(t, "a bad phone", create(proposal(made.GetId(), "12")), codes.InvalidArgument, "VALIDATION_FAILED", "customer.phone")
	refused(t, "unknown", create(proposal(newID(t), "13900139000")), codes.NotFound, "CUSTOMER_NOT_FOUND")
	bad := proposal(made.GetId(), "")
	bad.ChangeReport.UpdateMask = mask("tier")
	refused(t, "output only", create(bad), codes.InvalidArgument, "UPDATE_MASK_INVALID")
	bad.ChangeReport.UpdateMask = nil
	refused(t, "no mask", create(bad), codes.InvalidArgument, "VALIDATION_FAILED", "change_report.update_mask")
	_, err := r.reports.CreateChangeReport(r.AsCustomer(newID(t)), proposal(made.GetId(), "13900139000"))
	refused(t, "another customer", err, codes.NotFound, "CUSTOMER_NOT_FOUND")
	_, err = r.reports.CreateChangeReport(r.As(access.Auditor), proposal(made.GetId(), "13900139000"))
	refused(t, "an auditor", err, codes.PermissionDenied, "PERMISSION_DENIED")
	own, err := r.reports.CreateChangeReport(r.AsCustomer(made.GetId()), proposal(made.GetId(), "13900139000"))
	if err != nil || own.GetDecider() != "" {
		t.Fatalf("a customer reports on their own file: %v, %v", own, err)
	}
	told, err := r.reports.RefuseChangeReport(r.admin(), &customerv1.RefuseChangeReportRequest{Id: own.GetId(), Reason: "号码不存在"})
	if err != nil || told.GetState() != customerv1.ChangeReportState_CHANGE_REPORT_STATE_REFUSED || told.GetRefuseReason() != "号码不存在" {
		t.Errorf("refused %v, %v", told, err)
	}
	if got := r.get(t, made.GetId()).GetRegion(); got != "华中" {
		t.Errorf("a refused report changed the region to %s", got)
	}
	mine, err := r.reports.CreateChangeReport(r.admin(), proposal(made.GetId(), "13900139000"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: mine.GetId()})
	refused(t, "one's own", err, codes.PermissionDenied, "SECOND_PERSON_NEEDED")
	_, err = r.reports.RefuseChangeReport(r.admin(), &customerv1.RefuseChangeReportRequest{Id: mine.GetId(), Reason: "x"})
	refused(t, "one's own refused", err, codes.PermissionDenied, "SECOND_PERSON_NEEDED")
	_, err = r.reports.RefuseChangeReport(r.admin(), &customerv1.RefuseChangeReportRequest{Id: mine.GetId()})
	refused(t, "no reason", err, codes.InvalidArgument, "VALIDATION_FAILED", "reason")
	_, err = r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: newID(t)})
	refused(t, "nothing", err, codes.NotFound, "CHANGE_REPORT_NOT_FOUND")
	report := r.report(t, made.GetId())
	if _, err := r.files.RetireCustomer(r.admin(), &customerv1.RetireCustomerRequest{Id: made.GetId(), Reason: "closed"}); err != nil {
		t.Fatal(err)
	}
	_, err = r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: report.GetId()})
	refused(t, "of a retired file", err, codes.FailedPrecondition, "CUSTOMER_RETIRED")
	refused(t, "on a retired file", create(proposal(made.GetId(), "13900139000")), codes.FailedPrecondition, "CUSTOMER_RETIRED")
}

func TestOverdueChangeReports(t *testing.T) {
	r := start(t)
	made := r.make(t, full())
	late, other := r.report(t, made.GetId()), r.report(t, r.make(t, full()).GetId())
	if _, err := r.reports.RefuseChangeReport(r.admin(), &customerv1.RefuseChangeReportRequest{Id: other.GetId(), Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	list := func(req *customerv1.ListChangeReportsRequest) []*customerv1.ChangeReport {
		t.Helper()
		out, err := r.reports.ListChangeReports(r.admin(), req)
		if err != nil {
			t.Fatal(err)
		}
		return out.GetChangeReports()
	}
	if got := list(&customerv1.ListChangeReportsRequest{Overdue: true}); len(got) != 0 {
		t.Errorf("overdue at once: %v", got)
	}
	r.Clock.Advance(9*time.Hour + time.Second)
	got := list(&customerv1.ListChangeReportsRequest{Overdue: true})
	if len(got) != 1 || got[0].GetId() != late.GetId() || !got[0].GetOverdue() {
		t.Errorf("overdue after a working day: %v", got)
	}
	r.sweep(t)
	events := r.Events(t)
	missed, err := event.Unpack[*clockv1.ClockChanged](events[len(events)-1])
	if err != nil || events[len(events)-1].GetType() != clock.TypeMissed || missed.GetSubjectId() != late.GetId() || missed.GetClauseId() == "" {
		t.Errorf("the last event is %v, %v", events[len(events)-1], err)
	}
	if got := list(&customerv1.ListChangeReportsRequest{State: customerv1.ChangeReportState_CHANGE_REPORT_STATE_REFUSED}); len(got) != 1 || got[0].GetId() != other.GetId() {
		t.Errorf("refused ones: %v", got)
	}
	if got := list(&customerv1.ListChangeReportsRequest{CustomerId: made.GetId()}); len(got) != 1 {
		t.Errorf("of one customer: %v", got)
	}
	if got := list(&customerv1.ListChangeReportsRequest{Overdue: true, State: customerv1.ChangeReportState_CHANGE_REPORT_STATE_REFUSED}); len(got) != 0 {
		t.Errorf("overdue and refused: %v", got)
	}
	agents, err := r.reports.ListChangeReports(r.As(access.ServiceAgent), &customerv1.ListChangeReportsRequest{})
	if err != nil || len(agents.GetChangeReports()) != 0 {
		t.Errorf("an agent lists %v, %v of others", agents, err)
	}
	_, err = r.reports.GetChangeReport(r.As(access.ServiceAgent), &customerv1.GetChangeReportRequest{Id: late.GetId()})
	refused(t, "another's", err, codes.NotFound, "CHANGE_REPORT_NOT_FOUND")
	mine, err := r.reports.GetChangeReport(r.As(access.Salesperson), &customerv1.GetChangeReportRequest{Id: late.GetId()})
	if err != nil || mine.GetCustomer().GetPhone() != "" || mine.GetCustomer().GetRegion() != "华南" {
		t.Errorf("their own, masked as files are: %v, %v", mine, err)
	}
	// Late is late, and decided all the same.
	if _, err := r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: late.GetId()}); err != nil {
		t.Error(err)
	}
}

func (r *registry) sweep(t *testing.T) {
	t.Helper()
	if _, err := clock.NewSweeper(r.Clocks(), r.Pool, r.Process.Write, r.Process.Log).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestReportDecisionRace(t *testing.T) {
	r := start(t)
	report := r.report(t, r.make(t, full()).GetId())
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			if i%2 == 0 {
				_, errs[i] = r.reports.ApplyChangeReport(r.admin(), &customerv1.ApplyChangeReportRequest{Id: report.GetId()})
				return
			}
			_, errs[i] = r.reports.RefuseChangeReport(r.admin(), &customerv1.RefuseChangeReportRequest{Id: report.GetId(), Reason: "x"})
		})
	}
	wg.Wait()
	exactlyOne(t, errs, codes.FailedPrecondition, "CHANGE_REPORT_DECIDED")
}
