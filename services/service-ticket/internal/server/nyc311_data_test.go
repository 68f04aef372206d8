//go:build testdata

package server_test

import (
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// city is one request of the New York 311 data.
type city struct {
	id, agency, kind, text, channel string
	created, closed                 time.Time
}

func readCity(t *testing.T) []city {
	t.Helper()
	dir := os.Getenv("KEFU_TEST_DATA_DIR")
	if dir == "" {
		t.Fatal("KEFU_TEST_DATA_DIR names no folder: run make test-data DATA=DIR")
	}
	file, err := os.Open(filepath.Join(dir, "nyc311_2018.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	in := csv.NewReader(file)
	head, err := in.Read()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, name := range head {
		at[name] = i
	}
	var out []city
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		when := func(column string) time.Time {
			if row[at[column]] == "" {
				return time.Time{}
			}
			moment, err := time.ParseInLocation("01/02/2006 03:04:05 PM", row[at[column]], zone)
			if err != nil {
				t.Fatal(err)
			}
			return moment.UTC()
		}
		out = append(out, city{
			id: row[at["Unique Key"]], agency: row[at["Agency"]], kind: row[at["Complaint Type"]],
			text:    row[at["Descriptor"]] + "\n" + row[at["Location Type"]], // what was known when it came in
			channel: row[at["Open Data Channel Type"]], created: when("Created Date"), closed: when("Closed Date"),
		})
	}
}

func (c *city) record(departments map[string]string) *ticketv1.TicketRecord {
	channels := map[string]typev1.Channel{
		"PHONE": typev1.Channel_CHANNEL_PHONE, "ONLINE": typev1.Channel_CHANNEL_WEB, "MOBILE": typev1.Channel_CHANNEL_APP,
	}
	channel, ok := channels[c.channel]
	if !ok {
		channel = typev1.Channel_CHANNEL_UNKNOWN
	}
	r := &ticketv1.TicketRecord{
		ExternalId: c.id, State: ticket.New, CreateTime: timestamppb.New(c.created), DepartmentId: departments[c.agency],
		Ticket: &ticketv1.Ticket{Channel: channel, Type: ticketv1.TicketType_TICKET_TYPE_REQUEST, Title: c.kind, Description: c.text},
	}
	if !c.closed.IsZero() {
		r.State, r.Resolution = ticket.Closed, "closed"
		r.ResolveTime, r.CloseTime = timestamppb.New(c.closed), timestamppb.New(c.closed)
	}
	return r
}

// replayCity imports the city's requests; those closed before they were created are refused.
func (w *world) replayCity(all []city) (imported []city, refusedRows int) {
	w.t.Helper()
	departments := map[string]string{}
	for _, c := range all {
		if departments[c.agency] == "" {
			departments[c.agency] = w.department("agency-" + lower(c.agency)).GetId()
		}
	}
	for from := 0; from < len(all); from += 500 {
		part := all[from:min(from+500, len(all))]
		var records []*ticketv1.TicketRecord
		for i := range part {
			records = append(records, part[i].record(departments))
		}
		for i, result := range w.imports(w.importer(), records...) {
			switch {
			case result.GetOutcome() == typev1.ImportOutcome_IMPORT_OUTCOME_CREATED:
				imported = append(imported, part[i])
			case part[i].closed.IsZero() || !part[i].closed.Before(part[i].created):
				w.t.Errorf("%s was refused: %v", part[i].id, result.GetRefusals())
			default:
				refusedRows++
			}
		}
	}
	return imported, refusedRows
}

func lower(s string) string {
	out := []rune{}
	for _, r := range s {
		switch {
		case r >= 'A' && r <= 'Z':
			out = append(out, r+'a'-'A')
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			out = append(out, r)
		default:
			out = append(out, '-')
		}
	}
	return string(out)
}

// TestDataNYC311Standards replays the city's requests through the import and asks a dry run
// which would have met the standard of a solution: for a customer of tier C and P3 five
// working days of the default calendar. It is counted anew by walking the days.
func TestDataNYC311Standards(t *testing.T) {
	w := newWorld(t)
	all := readCity(t)
	imported, refusedRows := w.replayCity(all)
	channels := map[typev1.Channel]int{}
	for i := range imported {
		channels[imported[i].record(map[string]string{}).GetTicket().GetChannel()]++
	}
	for channel, n := range channels {
		if got := w.count("SELECT count(*) FROM tickets WHERE source = 'nyc311' AND channel = $1", int16(channel)); got != n {
			t.Errorf("%s: %d tickets, want %d", channel, got, n)
		}
	}
	met, missed := w.dryRunCity(imported)
	wantMet, wantMissed := 0, 0
	walk := newOffice(t)
	for _, c := range imported {
		if c.closed.IsZero() {
			continue
		}
		if walk.after(c.created, 40*time.Hour).Before(c.closed) {
			wantMissed++
		} else {
			wantMet++
		}
	}
	t.Logf("nyc311: %d rows, %d imported, %d refused (closed before created), resolution of C/P3: %d met, %d missed", len(all), len(imported), refusedRows, met, missed)
	for channel, n := range channels {
		t.Logf("nyc311: %s %d", channel, n)
	}
	if met != wantMet || missed != wantMissed || met == 0 || missed == 0 {
		t.Errorf("the dry run says %d met and %d missed, walking the days %d and %d", met, missed, wantMet, wantMissed)
	}
}

// dryRunCity counts the closed requests by whether they met the resolution standard in effect.
func (w *world) dryRunCity(imported []city) (met, missed int) {
	w.t.Helper()
	closed := map[string]bool{}
	for _, c := range imported {
		if !c.closed.IsZero() {
			closed[c.id] = true
		}
	}
	stream, err := w.policies.DryRunPolicy(w.manager(), &clockv1.DryRunPolicyRequest{
		Id: "1", Source: "nyc311", Origin: clockv1.DryRunOrigin_DRY_RUN_ORIGIN_IMPORTED,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ids := map[string]string{}
	rows, err := w.Pool.Query(w.t.Context(), "SELECT id::text, external_id FROM tickets WHERE source = 'nyc311'")
	if err != nil {
		w.t.Fatal(err)
	}
	for rows.Next() {
		var id, external string
		if err := rows.Scan(&id, &external); err != nil {
			w.t.Fatal(err)
		}
		ids[id] = external
	}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return met, missed
		}
		if err != nil {
			w.t.Fatal(err)
		}
		c := part.GetCase()
		if c == nil || !closed[ids[c.GetSubjectId()]] {
			continue
		}
		for _, o := range c.GetClocks() {
			if o.GetKind() != "resolution" {
				continue
			}
			switch o.GetInEffect().GetState() {
			case clockv1.ClockState_CLOCK_STATE_MET:
				met++
			case clockv1.ClockState_CLOCK_STATE_MISSED:
				missed++
			}
		}
	}
}

// TestDataNYC311Triage learns from the city's earlier requests which agency they went to, and
// is measured with the later ones.
func TestDataNYC311Triage(t *testing.T) {
	w := newWorld(t)
	w.replayCity(readCity(t))
	got, err := w.triage().TrainTriageModel(w.manager(), &ticketv1.TrainTriageModelRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range got.GetAccuracies() {
		t.Logf("nyc311: %s: learned from %d until %s, measured with %d from %s: right %.3f, the commonest %.3f, of %d values, used %v",
			a.GetField(), a.GetTrainCount(), a.GetTrainUntil().AsTime().Format(time.DateOnly), a.GetTestCount(), a.GetTestFrom().AsTime().Format(time.DateOnly),
			a.GetAccuracy(), a.GetBaselineAccuracy(), a.GetValueCount(), a.GetUsed())
	}
	if d := got.GetAccuracies()[1]; !d.GetUsed() || d.GetAccuracy() < 0.7 || d.GetAccuracy() <= d.GetBaselineAccuracy()+0.2 {
		t.Errorf("departments: %v", d)
	}
	if kind := got.GetAccuracies()[0]; kind.GetUsed() {
		t.Errorf("all are requests, and yet a model of types is used: %v", kind)
	}
}

// office is the default calendar of 2018 and early 2019, written down here from the notice of the State
// Council and not taken from the code.
type office struct {
	zone           *time.Location
	closed, opened map[string]bool
}

func newOffice(t *testing.T) office {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	days := func(dates ...string) map[string]bool {
		out := map[string]bool{}
		for _, d := range dates {
			out["20"+d] = true
		}
		return out
	}
	return office{
		zone: zone,
		closed: days("18-01-01", "18-02-15", "18-02-16", "18-02-17", "18-02-18", "18-02-19", "18-02-20", "18-02-21", "18-04-05", "18-04-06", "18-04-07", "18-04-29", "18-04-30", "18-05-01",
			"18-06-16", "18-06-17", "18-06-18", "18-09-22", "18-09-23", "18-09-24", "18-10-01", "18-10-02", "18-10-03", "18-10-04", "18-10-05", "18-10-06", "18-10-07", "18-12-30", "18-12-31",
			"19-01-01", "19-02-04", "19-02-05", "19-02-06", "19-02-07", "19-02-08", "19-02-09", "19-02-10", "19-04-05"),
		opened: days("18-02-11", "18-02-24", "18-04-08", "18-04-28", "18-09-29", "18-09-30", "18-12-29", "19-02-02", "19-02-03"),
	}
}

func (o office) works(day time.Time) bool {
	date := day.Format(time.DateOnly)
	weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
	return o.opened[date] || !weekend && !o.closed[date]
}

// after is when so much working time from an instant on is over: of days with 9 to 12 and 13
// to 18 five working days are forty hours.
func (o office) after(from time.Time, amount time.Duration) time.Time {
	local := from.In(o.zone)
	for day := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, o.zone); ; day = day.AddDate(0, 0, 1) {
		if !o.works(day) {
			continue
		}
		for _, shift := range [][2]time.Duration{{9 * time.Hour, 12 * time.Hour}, {13 * time.Hour, 18 * time.Hour}} {
			open, shut := day.Add(shift[0]), day.Add(shift[1])
			if open.Before(from) {
				open = from
			}
			if !open.Before(shut) {
				continue
			}
			if left := shut.Sub(open); left < amount {
				amount -= left
				continue
			}
			return open.Add(amount)
		}
	}
}
