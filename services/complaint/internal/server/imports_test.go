package server_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

func (w *world) record(externalID string, change func(*complaintv1.ComplaintRecord)) *complaintv1.ComplaintRecord {
	r := &complaintv1.ComplaintRecord{
		ExternalId: externalID, State: complaint.Closed, Told: "fixed",
		CreateTime: timestamppb.New(w.Clock.Now().Add(-48 * time.Hour)), CloseTime: timestamppb.New(w.Clock.Now().Add(-24 * time.Hour)),
		Complaint: &complaintv1.Complaint{Channel: typev1.Channel_CHANNEL_UNKNOWN, Title: "noise"},
	}
	if change != nil {
		change(r)
	}
	return r
}

func (w *world) load(records ...*complaintv1.ComplaintRecord) []*typev1.ImportResult {
	w.t.Helper()
	return must[*complaintv1.ImportComplaintsResponse](w)(w.client.ImportComplaints(w.as("clerk"),
		&complaintv1.ImportComplaintsRequest{Source: "nyc311", Records: records})).GetResults()
}

func TestImportedComplaintsAreHistory(t *testing.T) {
	w := newWorld(t)
	results := w.load(
		w.record("closed", nil),
		w.record("told", func(r *complaintv1.ComplaintRecord) { r.State, r.CloseTime = complaint.Told, nil }),
		w.record("reviewed", func(r *complaintv1.ComplaintRecord) {
			r.State, r.CloseTime, r.Told = complaint.Reviewed, nil, ""
			r.DepartmentId, r.Complaint.CustomerId = w.afterSales.String(), w.customer
			r.Complaint.AccusedStaffId = w.staff["tech3"].String()
		}),
		w.record("lone", func(r *complaintv1.ComplaintRecord) { r.State, r.CloseTime, r.Told = complaint.Reviewed, nil, "" }),
	)
	for i, r := range results {
		if r.GetOutcome() != typev1.ImportOutcome_IMPORT_OUTCOME_CREATED || r.GetId() == "" || !strings.HasPrefix(r.GetNumber(), "CP-202610-") {
			t.Fatalf("record %d: %v", i, r)
		}
	}
	closed := w.get("manager", results[0].GetId())
	if closed.GetState() != complaint.Closed || closed.GetOutcome() != complaintv1.Outcome_OUTCOME_NO_ANSWER || closed.GetSource() != "nyc311" ||
		closed.GetExternalId() != "closed" || closed.GetRounds()[0].GetTold() != "fixed" || closed.GetCustomerId() != "" ||
		closed.GetCategory() != complaintv1.Category_CATEGORY_OTHER || !closed.GetCreateTime().AsTime().Equal(w.Clock.Now().Add(-48*time.Hour)) ||
		!closed.GetCloseTime().AsTime().Equal(w.Clock.Now().Add(-24*time.Hour)) {
		t.Errorf("imported as %v", closed)
	}
	events := w.Events(t)
	for i, e := range events {
		if e.GetType() != "complaint.imported.v1" || !e.GetHistoric() || e.GetSubjectId() != results[i].GetId() || e.GetOccurTime().AsTime().After(w.Clock.Now().Add(-time.Hour)) {
			t.Errorf("event %v", e)
		}
	}
	if len(events) != 4 || events[2].GetCustomerId() != w.customer {
		t.Errorf("%d events, %v", len(events), events)
	}
	for _, r := range results {
		w.checkHistory(r.GetId())
	}
	if got := w.list(w.as("manager"), &complaintv1.ListComplaintsRequest{Source: "nyc311", ExternalId: "told"}); len(got) != 1 || got[0].GetId() != results[1].GetId() {
		t.Errorf("found by external id: %v", got)
	}
	if got := w.list(w.as("manager"), &complaintv1.ListComplaintsRequest{Source: "nyc311"}); len(got) != 4 {
		t.Errorf("found by source: %d", len(got))
	}
	w.imported(results)
}

// imported takes what was imported further.
func (w *world) imported(results []*typev1.ImportResult) {
	w.t.Helper()
	do := must[*complaintv1.Complaint](w)
	w.on(w.get("manager", results[2].GetId()), complaint.Closed, "tech")
	_, err := w.client.AssignComplaint(w.as("manager"), &complaintv1.AssignComplaintRequest{Id: results[3].GetId(), HandlerStaffId: nobody})
	w.refused("unknown handler", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	c := do(w.client.AssignComplaint(w.as("manager"), &complaintv1.AssignComplaintRequest{Id: results[3].GetId(), HandlerStaffId: w.staff["tech"].String()}))
	if c.GetDepartmentId() != w.afterSales.String() {
		w.t.Errorf("a complaint without department got %q", c.GetDepartmentId())
	}
	do(w.client.RecordAnswer(w.as("manager"), answer(results[1].GetId(), unsatisfied)))
	c = do(w.client.NextRound(w.as("manager"), &complaintv1.NextRoundRequest{Id: results[1].GetId(), CategoryDisputed: true}))
	w.on(c, complaint.Closed, "tech")
	for _, r := range results {
		w.checkHistory(r.GetId())
	}
}

func TestARecordIsImportedOnce(t *testing.T) {
	w := newWorld(t)
	first := w.load(w.record("1", nil), w.record("1", nil), w.record("2", nil))
	if first[1].GetOutcome() != typev1.ImportOutcome_IMPORT_OUTCOME_EXISTS || first[1].GetId() != first[0].GetId() || first[1].GetNumber() != first[0].GetNumber() {
		t.Errorf("twice in one call: %v", first)
	}
	again := w.load(w.record("2", nil), w.record("1", func(r *complaintv1.ComplaintRecord) { r.Complaint.Title = "" }), w.record("3", nil))
	outcomes := []typev1.ImportOutcome{again[0].GetOutcome(), again[1].GetOutcome(), again[2].GetOutcome()}
	if !slices.Equal(outcomes, []typev1.ImportOutcome{2, 2, 1}) || again[0].GetId() != first[2].GetId() {
		t.Errorf("again: %v", again)
	}
	before := len(w.Events(t))
	if all := w.load(w.record("1", nil)); all[0].GetOutcome() != typev1.ImportOutcome_IMPORT_OUTCOME_EXISTS || len(w.Events(t)) != before {
		t.Errorf("nothing new: %v", all)
	}
}

func TestWhatIsNotImported(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name, field string
		change      func(*complaintv1.ComplaintRecord)
		reasons     []string
	}{
		{"title", "complaint.title", func(r *complaintv1.ComplaintRecord) { r.Complaint.Title = "" }, []string{"VALIDATION_FAILED"}},
		{"NUL", "complaint.description", func(r *complaintv1.ComplaintRecord) { r.Complaint.Description = "a\x00b" }, []string{"VALIDATION_FAILED"}},
		{"proposed", "state", func(r *complaintv1.ComplaintRecord) { r.State = complaint.Proposed }, []string{"VALIDATION_FAILED"}},
		{"order of times", "close_time", func(r *complaintv1.ComplaintRecord) {
			r.CloseTime = timestamppb.New(r.GetCreateTime().AsTime().Add(-time.Second))
		}, []string{"COMPLAINT_TIMES_OUT_OF_ORDER"}},
		{"future", "create_time", func(r *complaintv1.ComplaintRecord) {
			r.State, r.CloseTime, r.CreateTime = complaint.Received, nil, timestamppb.New(w.Clock.Now().Add(time.Hour))
		}, []string{"VALIDATION_FAILED"}},
		{"no time", "create_time", func(r *complaintv1.ComplaintRecord) { r.CreateTime = &timestamppb.Timestamp{Nanos: -5} }, []string{"VALIDATION_FAILED"}},
		{"no close time", "close_time", func(r *complaintv1.ComplaintRecord) { r.CloseTime = nil }, []string{"COMPLAINT_STATE_INCOMPLETE"}},
		{"told nothing", "told", func(r *complaintv1.ComplaintRecord) { r.Told = "" }, []string{"COMPLAINT_STATE_INCOMPLETE"}},
		{"open and closed", "close_time", func(r *complaintv1.ComplaintRecord) { r.State = complaint.Assigned }, []string{"VALIDATION_FAILED"}},
		{"customer", "complaint.customer_id", func(r *complaintv1.ComplaintRecord) { r.Complaint.CustomerId = nobody }, []string{"VALIDATION_FAILED"}},
		{"department and staff", "complaint.accused_staff_id", func(r *complaintv1.ComplaintRecord) {
			r.DepartmentId, r.Complaint.AccusedStaffId = nobody, "01890a5d-ac96-774b-bcce-b302099a8058"
		}, []string{"VALIDATION_FAILED", "VALIDATION_FAILED"}},
		{"amount", "complaint.amount", func(r *complaintv1.ComplaintRecord) { r.Complaint.Amount = yuan(-1) }, []string{"VALIDATION_FAILED"}},
	}
	records := []*complaintv1.ComplaintRecord{w.record("sound", nil)}
	for i, test := range tests {
		records = append(records, w.record(fmt.Sprint(i), test.change))
	}
	results := w.load(records...)
	if results[0].GetOutcome() != typev1.ImportOutcome_IMPORT_OUTCOME_CREATED {
		t.Errorf("the sound record: %v", results[0])
	}
	for i, test := range tests {
		r := results[i+1]
		var reasons []string
		for _, refusal := range r.GetRefusals() {
			reasons = append(reasons, refusal.GetReason())
			if refusal.GetMessage() == "" {
				t.Errorf("%s: no message", test.name)
			}
		}
		if r.GetOutcome() != typev1.ImportOutcome_IMPORT_OUTCOME_REFUSED || r.GetId() != "" || !slices.Equal(reasons, test.reasons) || r.GetRefusals()[0].GetField() != test.field {
			t.Errorf("%s: %v", test.name, r)
		}
	}
	if got := results[4].GetRefusals()[0].GetMessage(); !strings.Contains(got, "create_time") || !strings.Contains(got, "close_time") {
		t.Errorf("times out of order are told as %q", got)
	}
	if len(w.Events(t)) != 1 {
		t.Error("a refused record left an event")
	}
}

func TestWhoMayImportWhat(t *testing.T) {
	w := newWorld(t)
	req := &complaintv1.ImportComplaintsRequest{Source: "nyc311", Records: []*complaintv1.ComplaintRecord{w.record("1", nil)}}
	_, err := w.client.ImportComplaints(w.as("manager"), req)
	w.refused("manager", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	if _, err := w.client.ImportComplaints(w.AsAccount("loader", "complaints.import"), req); err != nil {
		t.Errorf("service account: %v", err)
	}
	for name, req := range map[string]*complaintv1.ImportComplaintsRequest{
		"source": {Source: "NYC 311", Records: req.GetRecords()}, "nothing": {Source: "nyc311"},
		"too many": {Source: "nyc311", Records: make([]*complaintv1.ComplaintRecord, 501)},
	} {
		_, err := w.client.ImportComplaints(w.as("clerk"), req)
		w.refused(name, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	w.registry.down = true
	req.Records[0] = w.record("2", func(r *complaintv1.ComplaintRecord) { r.Complaint.CustomerId = nobody })
	_, err = w.client.ImportComplaints(w.as("clerk"), req)
	w.refused("registry down", err, codes.Unavailable, "DEPENDENCY_UNAVAILABLE", "")
	req.RequestId = "r"
	req.Records[0] = w.record("3", nil)
	must[*complaintv1.ImportComplaintsResponse](w)(w.client.ImportComplaints(w.as("clerk"), req))
	req.Records[0] = w.record("4", nil)
	_, err = w.client.ImportComplaints(w.as("clerk"), req)
	w.refused("another body", err, codes.AlreadyExists, "REQUEST_ID_REUSED", "")
}

// Five hundred records load in one call well within its time, and imports of the same
// records at once store each of them once.
func TestConcurrentImportsOfFiveHundred(t *testing.T) {
	w := newWorld(t)
	var records []*complaintv1.ComplaintRecord
	for i := range 500 {
		records = append(records, w.record(fmt.Sprint(i), func(r *complaintv1.ComplaintRecord) { r.Complaint.CustomerId = w.customer }))
	}
	start := time.Now()
	results := w.load(records[:250]...)
	t.Logf("250 records in %v", time.Since(start))
	const racers = 4
	all := make([][]*typev1.ImportResult, racers)
	var wg sync.WaitGroup
	for i := range racers {
		ctx := w.AsPerson(fmt.Sprint("clerk", i), "information-administrator")
		wg.Go(func() {
			resp, err := w.client.ImportComplaints(ctx, &complaintv1.ImportComplaintsRequest{Source: "nyc311", Records: records})
			if err != nil {
				t.Errorf("import %d: %v", i, err)
				return
			}
			all[i] = resp.GetResults()
		})
	}
	wg.Wait()
	created := len(results)
	for _, results := range all {
		for i, r := range results {
			if r.GetOutcome() == typev1.ImportOutcome_IMPORT_OUTCOME_CREATED {
				created++
			}
			if r.GetId() != all[0][i].GetId() || r.GetNumber() == "" {
				t.Errorf("record %d is %v and %v", i, r, all[0][i])
			}
		}
	}
	if events := w.Events(t); created != 500 || len(events) != 500 {
		t.Errorf("%d created, %d events", created, len(events))
	}
	fresh := make([]*complaintv1.ComplaintRecord, 0, 500)
	for i := range 500 {
		fresh = append(fresh, w.record(fmt.Sprint("fresh", i), func(r *complaintv1.ComplaintRecord) { r.Complaint.CustomerId = w.customer }))
	}
	start = time.Now()
	w.load(fresh...)
	t.Logf("500 records in %v", time.Since(start))
}
