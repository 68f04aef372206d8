package ticket_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	clockrules "github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// A hand-over changes the hands and nothing else; the queue has nobody's.
func TestHandOverAndRelease(t *testing.T) {
	p := ticket.Policy{ConfirmAfter: time.Hour}
	from, to, team := uuid.UUID{1}, uuid.UUID{2}, uuid.UUID{3}
	for _, state := range []ticket.State{ticket.Assigned, ticket.InProgress, ticket.Waiting} {
		was := ticket.Standing{State: state, Round: 2, Assignee: from, Department: team, Weight: ticket.Weight{Priority: ticketv1.Priority_PRIORITY_P2}}
		if state == ticket.Waiting {
			was.WaitFor = ticketv1.WaitFor_WAIT_FOR_CUSTOMER
		}
		want := was
		want.Assignee, want.Department = to, uuid.UUID{4}
		got, err := p.Apply(was, ticket.Move{Verb: ticket.HandOver, Assignee: to, Department: uuid.UUID{4}})
		if err != nil || got != want {
			t.Errorf("handed over %v: %v, %v", state, got, err)
		}
		got, err = p.Apply(was, ticket.Move{Verb: ticket.Release, Department: team})
		if state == ticket.Waiting {
			if err == nil {
				t.Error("what waits is put into the queue")
			}
			continue
		}
		want = was
		want.State, want.Assignee = ticket.Triaged, uuid.Nil
		if err != nil || got != want {
			t.Errorf("released %v: %v, %v", state, got, err)
		}
	}
}

// The clocks of an assignment begin anew with whoever takes over, but not while the ticket waits.
func TestHistoryOfAHandOver(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 2, 1, minute, 0, 0, time.UTC) }
	a, b := uuid.UUID{1}, uuid.UUID{2}
	history := func(moves ...ticket.Moved) (out []clockrules.Event) {
		h := ticket.History{Create: at(0), Moves: append([]ticket.Moved{
			{Verb: ticket.Create, To: ticket.New, At: at(0)}, {Verb: ticket.Assign, From: ticket.New, To: ticket.Assigned, At: at(1), Assignee: a}}, moves...)}
		return h.Events()[3:]
	}
	assigned := func(minute int) clockrules.Event { return clockrules.Event{Name: ticket.EventAssigned, At: at(minute)} }
	for name, c := range map[string]struct {
		moves []ticket.Moved
		want  []clockrules.Event
	}{
		"in progress": {[]ticket.Moved{{Verb: ticket.HandOver, To: ticket.InProgress, At: at(2), Assignee: b}}, []clockrules.Event{assigned(2)}},
		"waiting":     {[]ticket.Moved{{Verb: ticket.HandOver, To: ticket.Waiting, At: at(2), Assignee: b}}, []clockrules.Event{}},
		"waiting, then assigned to the same": {[]ticket.Moved{
			{Verb: ticket.HandOver, To: ticket.Waiting, At: at(2), Assignee: b}, {Verb: ticket.Assign, To: ticket.Assigned, At: at(3), Assignee: b}}, []clockrules.Event{}},
		"released and taken again": {[]ticket.Moved{
			{Verb: ticket.Release, To: ticket.Triaged, At: at(2)}, {Verb: ticket.Assign, To: ticket.Assigned, At: at(3), Assignee: a}}, []clockrules.Event{assigned(3)}},
	} {
		if got := history(c.moves...); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestTaskNeeds(t *testing.T) {
	of := ticket.Needs{Language: "en", Skills: []string{"pumps"}}
	if got := ticket.TaskNeeds(ticketv1.TaskKind_TASK_KIND_CALL_BACK, of); got.Language != "en" || got.Skills != nil {
		t.Errorf("a call-back needs %v", got)
	}
	if got := ticket.TaskNeeds(ticketv1.TaskKind_TASK_KIND_WORK, of); got.String() != "" {
		t.Errorf("work needs %v", got)
	}
}

func TestReassignable(t *testing.T) {
	if err := ticket.Reassignable(ticketv1.TaskState_TASK_STATE_OPEN); err != nil {
		t.Error(err)
	}
	for state, word := range map[ticketv1.TaskState]string{ticketv1.TaskState_TASK_STATE_DONE: "is done", ticketv1.TaskState_TASK_STATE_CANCELLED: "is cancelled"} {
		if err := ticket.Reassignable(state); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v: %v", state, err)
		}
	}
}
