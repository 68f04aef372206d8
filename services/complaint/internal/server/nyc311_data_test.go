//go:build testdata

package server_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

// nyc311Channels are the file's names of channels.
var nyc311Channels = map[string]typev1.Channel{
	"PHONE": typev1.Channel_CHANNEL_PHONE, "ONLINE": typev1.Channel_CHANNEL_WEB, "MOBILE": typev1.Channel_CHANNEL_WEB,
	"OTHER": typev1.Channel_CHANNEL_UNKNOWN, "UNKNOWN": typev1.Channel_CHANNEL_UNKNOWN,
}

// nyc311 reads the file as records of an import.
func nyc311(t *testing.T) (records []*complaintv1.ComplaintRecord) {
	t.Helper()
	f, err := os.Open(filepath.Join(os.Getenv("KEFU_TEST_DATA_DIR"), "nyc311_2018.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) *timestamppb.Timestamp {
		if text == "" {
			return nil
		}
		v, err := time.ParseInLocation("01/02/2006 03:04:05 PM", text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return timestamppb.New(v)
	}
	column := func(name string) int { return slices.Index(rows[0], name) }
	for _, row := range rows[1:] {
		value := func(name string) string { return row[column(name)] }
		channel, known := nyc311Channels[value("Open Data Channel Type")]
		if !known {
			t.Fatalf("channel %q", value("Open Data Channel Type"))
		}
		r := &complaintv1.ComplaintRecord{
			ExternalId: value("Unique Key"), CreateTime: at(value("Created Date")), State: complaint.Received,
			Complaint: &complaintv1.Complaint{
				Channel: channel, Title: value("Complaint Type"), Description: value("Descriptor"), Category: complaintv1.Category_CATEGORY_OTHER,
			},
		}
		if closed := at(value("Closed Date")); value("Status") == "Closed" && closed != nil {
			told := value("Resolution Description")
			if told == "" {
				told = "no result is on record"
			}
			r.State, r.CloseTime, r.Told = complaint.Closed, closed, string([]rune(told)[:min(len([]rune(told)), 5000)])
		}
		records = append(records, r)
	}
	return records
}

// The complaints of New York's 311 line load, but for those closed before they begin, and the
// rates at which the standard's deadlines would have been kept print.
func TestDataNYC311(t *testing.T) {
	w := newWorld(t)
	records := nyc311(t)
	from := time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)
	to := from.AddDate(1, 0, 0)
	backwards, closed := 0, int64(0)
	for _, r := range records {
		received := r.GetCreateTime().AsTime()
		switch {
		case r.GetCloseTime() != nil && r.GetCloseTime().AsTime().Before(received):
			backwards++
		case r.GetCloseTime() != nil && !received.Before(from) && received.Before(to):
			closed++
		}
	}
	created, refused := 0, 0
	for chunk := range slices.Chunk(records, 500) {
		for _, result := range w.load(chunk...) {
			switch result.GetOutcome() {
			case typev1.ImportOutcome_IMPORT_OUTCOME_CREATED:
				created++
			case typev1.ImportOutcome_IMPORT_OUTCOME_REFUSED:
				refused++
				if result.GetRefusals()[0].GetReason() != "COMPLAINT_TIMES_OUT_OF_ORDER" {
					t.Errorf("%s: %v", result.GetExternalId(), result.GetRefusals())
				}
			}
		}
	}
	if refused != backwards || created+refused != len(records) {
		t.Fatalf("%d of %d are in, %d refused, %d end before they begin", created, len(records), refused, backwards)
	}
	_, totals := w.dryRun(&clockv1.DryRunPolicyRequest{Id: "1", Source: "nyc311", Origin: clockv1.DryRunOrigin_DRY_RUN_ORIGIN_IMPORTED, ChangedOnly: true})
	if totals.GetCases() != int64(created) || totals.GetTried().GetMet() == 0 || totals.GetTried().GetMissed() == 0 {
		t.Errorf("replayed %v", totals)
	}
	for _, c := range totals.GetTried().GetClauses() {
		t.Logf("%-18s met %3d, missed %3d, open %3d: %5.1f %% on time, the worst by %v", c.GetClauseId(), c.GetMet(), c.GetMissed(), c.GetOpen(),
			100*float64(c.GetMet())/float64(max(c.GetMet()+c.GetMissed(), 1)), c.GetWorst().AsDuration().Round(time.Minute))
		if strings.HasPrefix(c.GetClauseId(), complaint.ClockPromise) && c.GetMet()+c.GetMissed()+c.GetOpen() != int64(created) {
			t.Errorf("%s: not every complaint has a promise", c.GetClauseId())
		}
	}
	report := must[*complaintv1.ComplaintReport](w)(complaintv1.NewComplaintReportServiceClient(w.Conn).GetComplaintReport(w.as("boss"),
		&complaintv1.GetComplaintReportRequest{
			ReceiveFrom: timestamppb.New(from), ReceiveTo: timestamppb.New(to), Source: "nyc311",
			GroupBy: complaintv1.ReportGroup_REPORT_GROUP_STAGE,
		}))
	for _, g := range report.GetGroups() {
		t.Logf("%-9s %d", g.GetKey(), g.GetReceived())
		if g.GetKey() == "closed" && g.GetNoAnswer() != closed {
			t.Errorf("%d are closed, the file has %d", g.GetNoAnswer(), closed)
		}
	}
}
