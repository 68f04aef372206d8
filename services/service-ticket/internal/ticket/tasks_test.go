package ticket_test

import (
	"slices"
	"testing"
	"time"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// Of all moves exactly those that end the work wait for required sub-tasks.
func TestTasksHoldBackWhatEndsTheWork(t *testing.T) {
	p := ticket.Policy{ConfirmAfter: time.Hour, ReopenWithin: time.Hour}
	held := []ticket.Verb{ticket.Resolve, ticket.Merge, ticket.Confirm, ticket.Close}
	for verb, from := range map[ticket.Verb]ticket.State{
		ticket.Triage: ticket.New, ticket.Assign: ticket.New, ticket.Start: ticket.Assigned, ticket.Wait: ticket.InProgress,
		ticket.Resume: ticket.Waiting, ticket.Cancel: ticket.InProgress, ticket.Contact: ticket.InProgress,
		ticket.Resolve: ticket.InProgress, ticket.Merge: ticket.InProgress, ticket.Confirm: ticket.Resolved, ticket.Close: ticket.Resolved,
	} {
		for _, open := range []int{0, 1} {
			want := ""
			if open > 0 && slices.Contains(held, verb) {
				want = ticket.ReasonTasksOpen
			}
			_, err := p.Apply(ticket.Standing{State: from, OpenTasks: open}, ticket.Move{Verb: verb})
			if got := rpcerr.Reason(err); got != want {
				t.Errorf("%s with %d open tasks: %q, want %q", verb, open, got, want)
			}
			if counted := ticket.Counts(verb); want != "" && !counted {
				t.Errorf("%s does not ask for open tasks", verb)
			}
		}
	}
}

func TestAnImportedTicketEndsWithItsTasks(t *testing.T) {
	now := time.Now()
	for state, want := range map[ticket.State]int{ticket.InProgress: 0, ticket.Resolved: 1, ticket.Closed: 1} {
		r := ticket.Record{State: state, Create: now.Add(-3 * time.Hour), OpenTasks: 1}
		if state != ticket.InProgress {
			r.Resolve, r.Resolution = now.Add(-2*time.Hour), "done"
		}
		if state == ticket.Closed {
			r.Close = now.Add(-time.Hour)
		}
		_, _, faults := ticket.Imported(r, now)
		if len(faults) != want || want > 0 && faults[0].Reason() != ticket.ReasonTasksOpen {
			t.Errorf("%v: %v", state, faults)
		}
	}
}

func TestTaskStates(t *testing.T) {
	for s := range ticketv1.TaskState_name {
		state := ticketv1.TaskState(s)
		if err := ticket.Endable(state); (err == nil) != (state == ticketv1.TaskState_TASK_STATE_OPEN) {
			t.Errorf("%v: %v", state, err)
		}
	}
	for s := range ticketv1.TicketState_name {
		state := ticket.State(s)
		if err := ticket.Delegable(state, ticketv1.TaskKind_TASK_KIND_WORK); (err == nil) != ticket.Open(state) || err != nil && rpcerr.Reason(err) != ticket.ReasonWrongState {
			t.Errorf("%v: %v", state, err)
		}
	}
}
