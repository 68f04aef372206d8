package ticket_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// record is a complete record of the state.
func record(state ticket.State) ticket.Record {
	r := ticket.Record{State: state, Create: start, Department: desk}
	switch state {
	case ticket.Resolved, ticket.Closed:
		r.Resolve, r.Resolution = start.Add(time.Hour), "done"
		if state == ticket.Closed {
			r.Close = start.Add(2 * time.Hour)
		}
	case ticket.Cancelled:
		r.Resolve = start.Add(time.Hour)
	}
	return r
}

func TestImportedTicketsStandWhereTheSourceSays(t *testing.T) {
	now := start.Add(48 * time.Hour)
	for number := range ticketv1.TicketState_name {
		state := ticketv1.TicketState(number)
		if state == ticket.None || state == ticket.Merged {
			continue
		}
		r := record(state)
		got, at, faults := ticket.Imported(r, now)
		if len(faults) > 0 {
			t.Errorf("%s: %v", ticket.Name(state), faults)
			continue
		}
		want := ticket.Standing{State: state, Round: 1, Department: desk, Resolution: r.Resolution, Close: r.Close}
		wantAt := start
		switch state {
		case ticket.Resolved:
			want.Resolve, wantAt = r.Resolve, r.Resolve
		case ticket.Closed:
			want.Resolve, wantAt = r.Resolve, r.Close
		case ticket.Cancelled:
			wantAt = r.Resolve
		}
		if got != want || !at.Equal(wantAt) {
			t.Errorf("%s: %+v at %v, want %+v at %v", ticket.Name(state), got, at, want, wantAt)
		}
	}
}

func TestRecordsThatCannotBeTrue(t *testing.T) {
	now := start.Add(48 * time.Hour)
	for _, c := range []struct {
		name  string
		state ticket.State
		spoil func(*ticket.Record)
		want  []string
		names []string
	}{
		{"resolved before it was created", ticket.Resolved, func(r *ticket.Record) { r.Resolve = start.Add(-time.Second) },
			[]string{"TICKET_TIMES_OUT_OF_ORDER"}, []string{"2026-11-02T08:59:59Z", "2026-11-02T09:00:00Z"}},
		{"closed before it was resolved", ticket.Closed, func(r *ticket.Record) { r.Close = start.Add(time.Minute) },
			[]string{"TICKET_TIMES_OUT_OF_ORDER"}, []string{"2026-11-02T09:01:00Z", "2026-11-02T10:00:00Z"}},
		{"created in the future", ticket.New, func(r *ticket.Record) { r.Create = now.Add(time.Second) },
			[]string{"TICKET_TIMES_OUT_OF_ORDER"}, []string{"2026-11-04T09:00:01Z", "2026-11-04T09:00:00Z"}},
		{"closed in the future", ticket.Closed, func(r *ticket.Record) { r.Close = now.Add(time.Second) },
			[]string{"TICKET_TIMES_OUT_OF_ORDER"}, []string{"2026-11-04T09:00:01Z"}},
		{"resolved without a time", ticket.Resolved, func(r *ticket.Record) { r.Resolve = time.Time{} },
			[]string{"TICKET_STATE_INCOMPLETE"}, []string{"resolve_time"}},
		{"closed without any time or resolution", ticket.Closed, func(r *ticket.Record) { *r = ticket.Record{State: ticket.Closed, Create: start} },
			[]string{"TICKET_STATE_INCOMPLETE", "TICKET_STATE_INCOMPLETE", "TICKET_STATE_INCOMPLETE"}, []string{"resolve_time", "close_time", "resolution"}},
		{"cancelled without a time", ticket.Cancelled, func(r *ticket.Record) { r.Resolve = time.Time{} },
			[]string{"TICKET_STATE_INCOMPLETE"}, []string{"resolve_time"}},
		{"open with a close time", ticket.InProgress, func(r *ticket.Record) { r.Close = start },
			[]string{"TICKET_STATE_INCOMPLETE"}, []string{"close_time"}},
		{"cancelled with a resolution", ticket.Cancelled, func(r *ticket.Record) { r.Resolution = "x" },
			[]string{"TICKET_STATE_INCOMPLETE"}, []string{"resolution"}},
	} {
		r := record(c.state)
		c.spoil(&r)
		got, _, faults := ticket.Imported(r, now)
		var reasons, texts []string
		for _, f := range faults {
			reasons = append(reasons, f.Reason())
			texts = append(texts, f.Text().EN+f.Text().ZH)
		}
		if !slices.Equal(reasons, c.want) || got != (ticket.Standing{}) {
			t.Errorf("%s: %v, %+v, want %v", c.name, reasons, got, c.want)
		}
		for _, name := range c.names {
			if strings.Count(strings.Join(texts, "\n"), name) < 2 {
				t.Errorf("%s: %q does not name %q in both languages", c.name, texts, name)
			}
		}
	}
}
