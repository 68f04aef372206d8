package server_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// A deadline that comes when others apply counts from where it would have started, with the
// holds since, as if it had been there all along.
func TestADeadlineThatComesLateCountsFromTheStart(t *testing.T) {
	w := newWorld(t)
	twin := w.at(ticket.InProgress, "").GetId()
	w.publish(w.draft("resolution-c-p3", func(c *clockv1.PolicyClause) { c.Target, c.CalendarId = nil, "" }), time.Time{})
	id := w.at(ticket.InProgress, "").GetId()
	if c := w.clocksOf(id)["resolution"]; c != nil {
		t.Fatalf("without a deadline there is %v", c)
	}
	for _, verb := range []string{"wait", "resume"} {
		w.Clock.Advance(time.Hour)
		for _, id := range []string{twin, id} {
			w.must(w.do(w.manager(), verb, id, ""))
		}
	}
	same := func() {
		t.Helper()
		got, want := w.explain(id, "resolution"), w.explain(twin, "resolution")
		if !proto.Equal(got.GetClock().GetDueTime(), want.GetClock().GetDueTime()) || len(got.GetSegments()) != len(want.GetSegments()) ||
			got.GetClock().GetState() != clock.Running {
			t.Errorf("%v, want %v", got, want)
		}
	}
	retarget := func(version int64) {
		t.Helper()
		w.must(w.tickets.RetargetTicket(w.manager(), &ticketv1.RetargetTicketRequest{Id: id, PolicyVersion: version, Reason: "contract"}))
	}
	retarget(1)
	same()
	retarget(2)
	w.state(id, "resolution", clock.Cancelled)
	w.Clock.Advance(time.Minute)
	retarget(1)
	same()
	// Another priority is another way to a deadline.
	retarget(2)
	w.prioritize(id, ticketv1.Priority_PRIORITY_P4)
	w.prioritize(twin, ticketv1.Priority_PRIORITY_P4)
	same()
	w.rebuilt()
}

// What ended does not begin again because other targets apply.
func TestWhatEndedIsNotMissing(t *testing.T) {
	w := newWorld(t)
	id := w.at(ticket.InProgress, "").GetId()
	w.must(w.tickets.RecordTicketContact(w.manager(), &ticketv1.RecordTicketContactRequest{
		Id: id, Channel: typev1.Channel_CHANNEL_PHONE, TwoWay: true, Note: "heard her out"}))
	met := w.state(id, "first-response", clock.Met)
	w.prioritize(id, ticketv1.Priority_PRIORITY_P1)
	if got := w.state(id, "first-response", clock.Met); got.GetId() != met.GetId() {
		t.Errorf("the first response is asked for again: %v", got)
	}
	w.state(id, "contact", clock.Met)
	w.rebuilt()
}
