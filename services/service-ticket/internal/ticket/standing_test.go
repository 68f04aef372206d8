package ticket_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

var (
	policy = ticket.Policy{ConfirmAfter: 72 * time.Hour, ReopenWithin: 14 * 24 * time.Hour}
	start  = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	staff  = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	desk   = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8058")
	other  = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8059")
)

func reason(err error) string {
	var public *rpcerr.Error
	if errors.As(err, &public) {
		return public.Reason()
	}
	return ""
}

func walk(t *testing.T, moves ...ticket.Move) ticket.Standing {
	t.Helper()
	s := ticket.Standing{Type: ticketv1.TicketType_TICKET_TYPE_OTHER, Weight: ticket.Weight{Priority: ticketv1.Priority_PRIORITY_P3}}
	for _, m := range moves {
		var err error
		if s, err = policy.Apply(s, m); err != nil {
			t.Fatalf("%s: %v", m.Verb, err)
		}
	}
	return s
}

func resolved() []ticket.Move {
	return []ticket.Move{
		{Verb: ticket.Create, At: start},
		{
			Verb: ticket.Triage, At: start, Type: ticketv1.TicketType_TICKET_TYPE_REPAIR,
			Weight: ticket.Weight{Priority: ticketv1.Priority_PRIORITY_P1}, Department: desk,
		},
		{Verb: ticket.Assign, At: start, Assignee: staff, Department: other},
		{Verb: ticket.Start, At: start},
		{Verb: ticket.Wait, At: start, WaitFor: ticketv1.WaitFor_WAIT_FOR_CUSTOMER},
		{Verb: ticket.Resolve, At: start.Add(time.Hour), Resolution: "seal replaced"},
	}
}

func TestMovesChangeWhatTheyName(t *testing.T) {
	got := walk(t, resolved()[:5]...)
	want := ticket.Standing{
		State: ticket.Waiting, Round: 1, Type: ticketv1.TicketType_TICKET_TYPE_REPAIR,
		Weight: ticket.Weight{Priority: ticketv1.Priority_PRIORITY_P1}, Department: other, Assignee: staff,
		WaitFor: ticketv1.WaitFor_WAIT_FOR_CUSTOMER,
	}
	if got != want {
		t.Errorf("waiting: %+v, want %+v", got, want)
	}

	got = walk(t, resolved()...)
	want.State, want.WaitFor = ticket.Resolved, ticketv1.WaitFor_WAIT_FOR_UNSPECIFIED
	want.Resolution, want.Resolve, want.ConfirmDue = "seal replaced", start.Add(time.Hour), start.Add(73*time.Hour)
	if got != want {
		t.Errorf("resolved: %+v, want %+v", got, want)
	}

	got = walk(t, append(resolved(), ticket.Move{Verb: ticket.Confirm, At: start.Add(2 * time.Hour)})...)
	want.State, want.ConfirmDue, want.Close = ticket.Closed, time.Time{}, start.Add(2*time.Hour)
	if got != want {
		t.Errorf("closed: %+v, want %+v", got, want)
	}

	got = walk(t, append(resolved(), ticket.Move{Verb: ticket.Reopen, At: start.Add(3 * time.Hour)})...)
	want.State, want.Round = ticket.Assigned, 2
	want.Resolution, want.Resolve, want.Close = "", time.Time{}, time.Time{}
	if got != want {
		t.Errorf("reopened: %+v, want %+v", got, want)
	}

	got = walk(t, resolved()[0], ticket.Move{Verb: ticket.Merge, At: start, Into: other})
	if got.State != ticket.Merged || got.MergedInto != other {
		t.Errorf("merged: %+v, want merged into %v", got, other)
	}
}

func TestAContactLeavesWhatIsAndPutsSilenceOff(t *testing.T) {
	waiting, done := walk(t, resolved()[:5]...), walk(t, resolved()...)
	call := ticket.Move{Verb: ticket.Contact, At: start.Add(3 * time.Hour), ContactTime: start.Add(2 * time.Hour), TwoWay: true}
	if got, err := policy.Apply(waiting, call); err != nil || got != waiting || call.EventType() != "ticket.contacted.v1" {
		t.Errorf("while waiting: %+v, %v, %s; want %+v", got, err, call.EventType(), waiting)
	}
	want := done
	want.ConfirmDue = call.ContactTime.Add(72 * time.Hour)
	if got, err := policy.Apply(done, call); err != nil || got != want {
		t.Errorf("after the solution: %+v, %v; want %+v", got, err, want)
	}
	call.TwoWay = false
	if got, err := policy.Apply(done, call); err != nil || got != done || call.EventType() != "ticket.attempted.v1" {
		t.Errorf("an attempt: %+v, %v, %s; want %+v", got, err, call.EventType(), done)
	}
}

func TestReopenEndsWithTheFourteenthDay(t *testing.T) {
	last := start.Add(time.Hour).Add(14 * 24 * time.Hour)
	s := walk(t, append(resolved(), ticket.Move{Verb: ticket.Close, At: start.Add(73 * time.Hour)})...)
	for at, want := range map[time.Time]string{
		last:                      "",
		last.Add(time.Nanosecond): "TICKET_REOPEN_TOO_LATE",
	} {
		got, err := policy.Apply(s, ticket.Move{Verb: ticket.Reopen, At: at})
		if reason(err) != want || want == "" && (err != nil || got.Round != 2) {
			t.Errorf("reopened at %v: %+v, %v, want %q", at, got, err, want)
		}
	}
}

func TestMergeTargets(t *testing.T) {
	customer := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a805a")
	for number := range ticketv1.TicketState_name {
		state := ticketv1.TicketState(number)
		want := "TICKET_WRONG_STATE"
		switch ticket.Name(state) {
		case "new", "triaged", "assigned", "in progress", "waiting":
			want = ""
		}
		err := ticket.CheckMerge(staff, customer, ticket.MergeTarget{ID: other, Customer: customer, State: state})
		if reason(err) != want || want == "" && err != nil {
			t.Errorf("into a ticket that is %s: %v, want %q", ticket.Name(state), err, want)
		}
	}
	err := ticket.CheckMerge(staff, customer, ticket.MergeTarget{ID: other, Customer: desk, State: ticket.New})
	if reason(err) != "TICKET_OF_OTHER_CUSTOMER" {
		t.Errorf("into another customer's: %v", err)
	}
	err = ticket.CheckMerge(staff, customer, ticket.MergeTarget{ID: staff, Customer: customer, State: ticket.New})
	if reason(err) != rpcerr.ReasonValidation {
		t.Errorf("into itself: %v", err)
	}
}

func TestEndedTicketsAreNotCorrected(t *testing.T) {
	for number := range ticketv1.TicketState_name {
		state := ticketv1.TicketState(number)
		ended := state == ticket.Closed || state == ticket.Cancelled || state == ticket.Merged
		if err := ticket.Editable(state); (err != nil) != ended || ended && reason(err) != "TICKET_WRONG_STATE" {
			t.Errorf("correcting a ticket that is %s: %v", ticket.Name(state), err)
		}
		if err := ticket.Commentable(state); (err != nil) != (state == ticket.Merged) {
			t.Errorf("commenting on a ticket that is %s: %v", ticket.Name(state), err)
		}
	}
}

// Whatever is tried at whatever time, the history of what was accepted replays to where
// the ticket stands, and what stands is consistent.
func TestReplayingAHistoryGivesTheState(t *testing.T) {
	verbs := []ticket.Verb{
		ticket.Create, ticket.Triage, ticket.Prioritize, ticket.Assign, ticket.Start, ticket.Wait, ticket.Resume, ticket.Resolve,
		ticket.Confirm, ticket.Close, ticket.Reopen, ticket.Cancel, ticket.Merge, ticket.Retarget, ticket.Contact, "escalate",
	}
	rapid.Check(t, func(t *rapid.T) {
		s, at := ticket.Standing{}, start
		var history []ticket.Step
		for range rapid.IntRange(1, 60).Draw(t, "tries") {
			at = at.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "hours")) * time.Hour)
			m := ticket.Move{
				Verb: rapid.SampledFrom(verbs).Draw(t, "verb"), At: at, Assignee: staff, Department: desk,
				Resolution: "done", Into: other, WaitFor: ticketv1.WaitFor_WAIT_FOR_THIRD_PARTY,
				ContactTime: at, TwoWay: rapid.Bool().Draw(t, "two-way"),
			}
			after, err := policy.Apply(s, m)
			if err != nil {
				if after != (ticket.Standing{}) {
					t.Fatalf("a refused %s gave %+v", m.Verb, after)
				}
				continue
			}
			history = append(history, ticket.Step{Verb: m.Verb, From: s.State, To: after.State, Round: after.Round})
			s = after
			consistent(t, s)
		}
		state, round, err := ticket.Replay(history)
		if err != nil || state != s.State || round != s.Round {
			t.Fatalf("replay: %s, round %d, %v, want %s, round %d", state, round, err, s.State, s.Round)
		}
	})
}

func consistent(t *rapid.T, s ticket.Standing) {
	done := s.State == ticket.Resolved || s.State == ticket.Closed
	for what, ok := range map[string]bool{
		"a resolve time exactly when done":       done == !s.Resolve.IsZero(),
		"a resolution exactly when done":         done == (s.Resolution != ""),
		"a close time exactly when closed":       (s.State == ticket.Closed) == !s.Close.IsZero(),
		"silence runs exactly while resolved":    (s.State == ticket.Resolved) == !s.ConfirmDue.IsZero(),
		"waits for someone exactly when waiting": (s.State == ticket.Waiting) == (s.WaitFor != 0),
		"merged into one exactly when merged":    (s.State == ticket.Merged) == (s.MergedInto != uuid.Nil),
	} {
		if !ok {
			t.Fatalf("not %s: %+v", what, s)
		}
	}
}

func TestReplayFindsBrokenHistories(t *testing.T) {
	good := []ticket.Step{
		{Verb: ticket.Import, From: ticket.None, To: ticket.Resolved, Round: 1},
		{Verb: ticket.Reopen, From: ticket.Resolved, To: ticket.Assigned, Round: 2},
	}
	if state, round, err := ticket.Replay(good); err != nil || state != ticket.Assigned || round != 2 {
		t.Fatalf("an imported and reopened ticket: %v, %d, %v", state, round, err)
	}
	for name, spoil := range map[string]func(s []ticket.Step){
		"gap":             func(s []ticket.Step) { s[1].From = ticket.Closed },
		"wrong target":    func(s []ticket.Step) { s[1].To = ticket.New },
		"wrong round":     func(s []ticket.Step) { s[1].Round = 1 },
		"illegal move":    func(s []ticket.Step) { s[1].Verb = ticket.Start },
		"imported merged": func(s []ticket.Step) { s[0].To, s[1].From = ticket.Merged, ticket.Merged },
		"second import": func(s []ticket.Step) {
			s[1] = ticket.Step{Verb: ticket.Import, From: ticket.Resolved, To: ticket.New, Round: 1}
		},
	} {
		bad := append([]ticket.Step(nil), good...)
		spoil(bad)
		if state, _, err := ticket.Replay(bad); err == nil {
			t.Errorf("%s: replayed to %s", name, ticket.Name(state))
		}
	}
}

func TestAPolicyLeavesTimeForEverything(t *testing.T) {
	const day = 24 * time.Hour
	good := func() ticket.Policy {
		return ticket.Policy{
			ConfirmAfter: day, ReopenWithin: day, DecideWithin: day, UnmergeWithin: day, CallBackWithin: day, DedicatedFor: day,
			FlagAhead: day, PublishEvery: day, MaxLoad: 1,
		}
	}
	if err := good().Check(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(p *ticket.Policy){
		"confirm": func(p *ticket.Policy) { p.ConfirmAfter = 0 }, "reopen": func(p *ticket.Policy) { p.ReopenWithin = -1 },
		"decide": func(p *ticket.Policy) { p.DecideWithin = 0 }, "unmerge": func(p *ticket.Policy) { p.UnmergeWithin = 0 },
		"call back": func(p *ticket.Policy) { p.CallBackWithin = 0 }, "dedicated": func(p *ticket.Policy) { p.DedicatedFor = 0 },
		"flag": func(p *ticket.Policy) { p.FlagAhead = 0 }, "publish": func(p *ticket.Policy) { p.PublishEvery = 0 },
		"load": func(p *ticket.Policy) { p.MaxLoad = 0 },
	} {
		p := good()
		if spoil(&p); p.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
