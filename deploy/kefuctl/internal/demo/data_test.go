//go:build testdata

package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

func dataDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("KEFU_TEST_DATA_DIR")
	if dir == "" {
		t.Fatal("KEFU_TEST_DATA_DIR must name the folder of the data sets: make test-data DATA=DIR")
	}
	return dir
}

func same[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestDataOlist(t *testing.T) {
	shop, err := readOlist(filepath.Join(dataDir(t), "olist"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "customers", len(shop.customers), 8016)
	same(t, "orders", len(shop.orders), 8135)
	same(t, "items", shop.items, 8365)
	same(t, "answers", len(shop.answers), 8225)
	same(t, "orders without items", shop.empty, 775)
	same(t, "persons without a position", shop.unplaced, 29)
	same(t, "persons with two postcodes", shop.mixed, 5)
	same(t, "times skipped by summer time", shop.skipped, 0)
	same(t, "times shown twice", shop.twice, 2)
	reviews, external, persons, repeat := map[string]bool{}, map[string]bool{}, map[string]int{}, 0
	for _, a := range shop.answers {
		review, _, _ := strings.Cut(a.ID, "/")
		reviews[review], external[a.ID] = true, true
		if a.person == "" {
			t.Errorf("%s: nobody's", a.ID)
		}
		if a.record.GetInviteTime().AsTime().After(a.record.GetAnswerTime().AsTime()) {
			t.Errorf("%s: answered before it was asked", a.ID)
		}
	}
	same(t, "review ids", len(reviews), 8191)
	same(t, "external ids", len(external), 8225)
	lines, untimely := 0, 0
	for _, o := range shop.orders {
		persons[o.person]++
		lines += len(o.order.GetLines())
	}
	for _, n := range shop.notes {
		if strings.HasPrefix(n.Text, "shipped ") {
			untimely++
		}
	}
	same(t, "lines", lines, 8365)
	same(t, "orders that lost their shipping time", untimely, 6)
	further := 0
	for _, n := range persons {
		if n > 1 {
			repeat++
			further += n - 1
		}
	}
	same(t, "persons with further orders", repeat, 73)
	same(t, "further orders", further, 119)
}

func TestDataNYC311(t *testing.T) {
	city, err := readNYC311(dataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "rows", city.rows, 1000)
	same(t, "tickets", len(city.tickets), 706)
	same(t, "complaints", len(city.complaints), 294)
	same(t, "without a closing date", city.open, 14)
	same(t, "with one but not Closed", city.ended, 17)
	same(t, "closed before created", city.backwards, 10)
	unknown, backwards, states := 0, 0, map[string]int{}
	for _, r := range city.tickets {
		if r.GetTicket().GetChannel() == typev1.Channel_CHANNEL_UNKNOWN {
			unknown++
		}
		if r.GetResolveTime() != nil && r.GetResolveTime().AsTime().Before(r.GetCreateTime().AsTime()) {
			backwards++
		}
		if r.GetState() == ticketv1.TicketState_TICKET_STATE_CLOSED && r.GetCloseTime() == nil {
			t.Errorf("%s is closed at no time", r.GetExternalId())
		}
		states[r.GetState().String()]++
	}
	for _, r := range city.complaints {
		if r.GetComplaint().GetChannel() == typev1.Channel_CHANNEL_UNKNOWN {
			unknown++
		}
		if r.GetState() == complaintv1.ComplaintState_COMPLAINT_STATE_CLOSED && r.GetCloseTime() == nil {
			t.Errorf("%s is closed at no time", r.GetExternalId())
		}
		states[r.GetState().String()]++
	}
	same(t, "channel UNKNOWN or OTHER", unknown, 167)
	same(t, "left for the service to refuse", backwards, 10)
	same(t, "closed tickets", states["TICKET_STATE_CLOSED"], 685)
	same(t, "resolved tickets", states["TICKET_STATE_RESOLVED"], 13)
	same(t, "closed complaints", states["COMPLAINT_STATE_CLOSED"], 284)
	same(t, "told complaints", states["COMPLAINT_STATE_TOLD"], 4)
	same(t, "received complaints", states["COMPLAINT_STATE_RECEIVED"], 6)
}

func TestDataAirline(t *testing.T) {
	flights, err := readAirline(dataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "answers", len(flights.answers), 1359)
	responses := 0
	for _, a := range flights.answers {
		responses += len(a.GetResponses())
	}
	same(t, "what was answered and what did not apply", responses+flights.inapplicable, 1359*(4+14))
}
