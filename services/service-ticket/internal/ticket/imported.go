package ticket

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// Record is what an import tells of a ticket's way. Zero times mean absent.
type Record struct {
	State                  State
	Create, Resolve, Close time.Time
	Resolution             string
	Department             uuid.UUID
	// Tasks are its sub-tasks, OpenTasks those of them that are required and not done.
	Tasks, OpenTasks int
}

// Reasons of refused records.
const (
	ReasonOutOfOrder = "TICKET_TIMES_OUT_OF_ORDER"
	ReasonIncomplete = "TICKET_STATE_INCOMPLETE"
)

// Imported gives where an imported ticket stands and when its last move was, or every
// rule that the record breaks. No clock runs for it.
func Imported(r Record, now time.Time) (Standing, time.Time, []*rpcerr.Error) {
	faults := slices.Concat(r.complete(), r.ordered(now))
	if len(faults) > 0 {
		return Standing{}, time.Time{}, faults
	}
	s := Standing{State: r.State, Round: 1, Department: r.Department}
	at := r.Create
	switch r.State {
	case Resolved, Closed:
		s.Resolution, s.Resolve, s.Close = r.Resolution, r.Resolve, r.Close
		at = r.Resolve
		if r.State == Closed {
			at = r.Close
		}
	case Cancelled:
		at = r.Resolve
	}
	return s, at, nil
}

// complete checks that the state's facts are there, and no others.
func (r Record) complete() []*rpcerr.Error {
	var faults []*rpcerr.Error
	check := func(field string, given, wanted bool) {
		switch {
		case wanted && !given:
			faults = append(faults, incomplete(field, rpcerr.T(
				"a ticket that is %[1]s needs %[2]s, and the record has none",
				"状态为“%[1]s”的工单必须提供 %[2]s，但该记录没有", Label(r.State), field)))
		case given && !wanted:
			faults = append(faults, incomplete(field, rpcerr.T(
				"a ticket that is %[1]s has no %[2]s; leave it out or correct the state",
				"状态为“%[1]s”的工单不应有 %[2]s；请去掉该字段或更正状态", Label(r.State), field)))
		}
	}
	resolved := r.State == Resolved || r.State == Closed
	check("resolve_time", !r.Resolve.IsZero(), resolved || r.State == Cancelled)
	check("close_time", !r.Close.IsZero(), r.State == Closed)
	check("resolution", r.Resolution != "", resolved)
	if r.Tasks > 0 {
		check("department_id", r.Department != uuid.Nil, true)
	}
	if resolved && r.OpenTasks > 0 {
		faults = append(faults, tasksLeft(r.OpenTasks))
	}
	return faults
}

// ordered checks each time that is given against the one before it and the present.
func (r Record) ordered(now time.Time) []*rpcerr.Error {
	var faults []*rpcerr.Error
	before, beforeName := r.Create, "create_time"
	if r.Create.After(now) {
		faults = append(faults, outOfOrder("create_time", rpcerr.T(
			"create_time %[1]s is later than the present time %[2]s",
			"create_time %[1]s 晚于当前时间 %[2]s", stamp(r.Create), stamp(now))))
	}
	for _, t := range []struct {
		name string
		at   time.Time
	}{{"resolve_time", r.Resolve}, {"close_time", r.Close}} {
		if t.at.IsZero() {
			continue
		}
		if t.at.Before(before) {
			faults = append(faults, outOfOrder(t.name, rpcerr.T(
				"%[1]s %[2]s is before %[3]s %[4]s; correct one of them",
				"%[1]s %[2]s 早于 %[3]s %[4]s；请更正其中之一", t.name, stamp(t.at), beforeName, stamp(before))))
		}
		if t.at.After(now) {
			faults = append(faults, outOfOrder(t.name, rpcerr.T(
				"%[1]s %[2]s is later than the present time %[3]s",
				"%[1]s %[2]s 晚于当前时间 %[3]s", t.name, stamp(t.at), stamp(now))))
		}
		before, beforeName = t.at, t.name
	}
	return faults
}

func incomplete(field string, text rpcerr.Text) *rpcerr.Error {
	return rpcerr.New(codes.InvalidArgument, ReasonIncomplete, text).With("field", field)
}

func outOfOrder(field string, text rpcerr.Text) *rpcerr.Error {
	return rpcerr.New(codes.InvalidArgument, ReasonOutOfOrder, text).With("field", field)
}
