package demo

import (
	"fmt"
	"strings"
	"testing"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

const cityHeader = "Unique Key,Created Date,Closed Date,Agency,Agency Name,Complaint Type,Descriptor,Location Type,Incident Address,City,Borough,Status,Resolution Description,Open Data Channel Type\n"

func cityRow(key, closed, agency, status, resolution, channel string) string {
	return fmt.Sprintf("%s,06/26/2018 10:58:54 AM,%s,%s,Agency,Noise,Loud,Street,1 ST,NEW YORK,QUEENS,%s,%s,%s\n", key, closed, agency, status, resolution, channel)
}

func TestReadNYC311(t *testing.T) {
	city, err := readNYC311(folder(t, map[string]string{nycFile: cityHeader +
		cityRow("1", "06/26/2018 12:50:01 PM", "NYPD", "Closed", "Done.", "PHONE") +
		cityRow("2", "06/25/2018 12:50:01 PM", "DOT", "Pending", "See the site.", "ONLINE") +
		cityRow("3", "", "DPR", "In Progress", "", "MOBILE") +
		cityRow("4", "", "DOT", "Closed", "Done.", "UNKNOWN") +
		cityRow("5", "06/27/2018 12:00:00 AM", "HPD", "Closed", "", "OTHER") +
		cityRow("6", "", "DSNY", "Open", "", "PHONE") +
		cityRow("7", "06/28/2018 01:00:00 PM", "DSNY", "Pending", "Scheduled.", "PHONE")}))
	if err != nil {
		t.Fatal(err)
	}
	if city.rows != 7 || city.open != 3 || city.ended != 2 || city.backwards != 1 || len(city.notes) != 1 || city.notes[0].ID != "7" {
		t.Fatalf("got %+v", city)
	}
	for i, want := range []struct {
		state      ticketv1.TicketState
		channel    typev1.Channel
		resolved   bool
		closed     bool
		resolution string
	}{
		{ticketv1.TicketState_TICKET_STATE_CLOSED, typev1.Channel_CHANNEL_PHONE, true, true, "Done."},
		{ticketv1.TicketState_TICKET_STATE_RESOLVED, typev1.Channel_CHANNEL_WEB, true, false, "See the site."},
		{ticketv1.TicketState_TICKET_STATE_IN_PROGRESS, typev1.Channel_CHANNEL_APP, false, false, ""},
		{ticketv1.TicketState_TICKET_STATE_CLOSED, typev1.Channel_CHANNEL_UNKNOWN, false, false, "Done."},
	} {
		got := city.tickets[i]
		if got.GetState() != want.state || got.GetTicket().GetChannel() != want.channel || got.GetResolution() != want.resolution ||
			(got.GetResolveTime() != nil) != want.resolved || (got.GetCloseTime() != nil) != want.closed {
			t.Errorf("ticket %s: %v", got.GetExternalId(), got)
		}
	}
	if got := stamp(city.tickets[0].GetCreateTime().AsTime()); got != "2018-06-26T14:58:54Z" {
		t.Errorf("created %s", got)
	}
	if back := city.tickets[1]; !back.GetResolveTime().AsTime().Before(back.GetCreateTime().AsTime()) {
		t.Error("times that run backwards were mended; the service is to judge them")
	}
	for i, want := range []struct {
		state  complaintv1.ComplaintState
		closed bool
		told   string
	}{
		{complaintv1.ComplaintState_COMPLAINT_STATE_CLOSED, true, "Closed by HPD without a text."},
		{complaintv1.ComplaintState_COMPLAINT_STATE_RECEIVED, false, ""},
		{complaintv1.ComplaintState_COMPLAINT_STATE_TOLD, false, "Scheduled."},
	} {
		got := city.complaints[i]
		if got.GetState() != want.state || (got.GetCloseTime() != nil) != want.closed || got.GetTold() != want.told {
			t.Errorf("complaint %s: %v", got.GetExternalId(), got)
		}
	}
}

func TestReadNYC311RefusesUnknownWords(t *testing.T) {
	for _, bad := range []string{
		cityRow("1", "", "NYPD", "Lost", "", "PHONE"), cityRow("1", "", "HPD", "Lost", "", "PHONE"), cityRow("1", "", "NYPD", "Open", "", "PIGEON"),
	} {
		if _, err := readNYC311(folder(t, map[string]string{nycFile: cityHeader + bad})); err == nil || !strings.Contains(err.Error(), "line 2: unknown") {
			t.Errorf("got %v", err)
		}
	}
}
