// Package clock is the engine of deadlines. A clock is an append-only log (started, paused,
// resumed, retargeted, stopped and so on) which [Fold], a pure function, turns into a
// [State]: target, due time, met or missed and by how much. Rows of the database cache
// that state, so that a [Sweeper] finds what is to fire; nothing ever patches a due time.
//
// Due is the earliest instant at which the counted time is complete. A stop at that instant
// is in time, an instant later is not. Pauses are instants; whatever target applies, they are
// measured anew in its calendar from the original start. A pause after due changes nothing.
//
// The calendar a clock was computed with is kept by id and version, so that every receipt
// can be made again when the calendar has long changed. Instants have microseconds.
package clock

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// tick is the resolution of instants: that of the database.
const tick = time.Microsecond

// The reasons this package writes and has texts for. Others are the callers' own slugs.
const (
	ReasonCalendarChanged   = "calendar-changed"
	ReasonWaitingCustomer   = "waiting-customer"
	ReasonWaitingThirdParty = "waiting-third-party"
	ReasonApprovalPending   = "approval-pending"
	ReasonReturned          = "returned"
)

// RoleOwner in a ladder stands for the clock's owner.
const RoleOwner = "owner"

// Phase is where a clock stands; Pending is never stored.
type Phase = clockv1.ClockState

// Short names of the phases.
const (
	Pending   = clockv1.ClockState_CLOCK_STATE_PENDING
	Running   = clockv1.ClockState_CLOCK_STATE_RUNNING
	Paused    = clockv1.ClockState_CLOCK_STATE_PAUSED
	Met       = clockv1.ClockState_CLOCK_STATE_MET
	Missed    = clockv1.ClockState_CLOCK_STATE_MISSED
	Cancelled = clockv1.ClockState_CLOCK_STATE_CANCELLED
)

// Type is what an entry of the log says.
type Type = clockv1.ClockLogType

// Short names of the types.
const (
	EntryStarted    = clockv1.ClockLogType_CLOCK_LOG_TYPE_STARTED
	EntryPaused     = clockv1.ClockLogType_CLOCK_LOG_TYPE_PAUSED
	EntryResumed    = clockv1.ClockLogType_CLOCK_LOG_TYPE_RESUMED
	EntryRetargeted = clockv1.ClockLogType_CLOCK_LOG_TYPE_RETARGETED
	EntryStopped    = clockv1.ClockLogType_CLOCK_LOG_TYPE_STOPPED
	EntryCancelled  = clockv1.ClockLogType_CLOCK_LOG_TYPE_CANCELLED
	EntryWarned     = clockv1.ClockLogType_CLOCK_LOG_TYPE_WARNED
	EntryEscalated  = clockv1.ClockLogType_CLOCK_LOG_TYPE_ESCALATED
	EntryMissed     = clockv1.ClockLogType_CLOCK_LOG_TYPE_MISSED
	EntryHandedOver = clockv1.ClockLogType_CLOCK_LOG_TYPE_HANDED_OVER
	EntryExtended   = clockv1.ClockLogType_CLOCK_LOG_TYPE_EXTENDED
)

// Subject is the case a clock belongs to: "ticket" or "complaint" and its id.
type Subject struct {
	Type string
	ID   uuid.UUID
}

// Owner is who is to keep a clock; the zero Owner is nobody.
type Owner struct {
	Role         string    `json:"role,omitempty"`
	StaffID      uuid.UUID `json:"staff_id,omitzero"`
	DepartmentID uuid.UUID `json:"department_id,omitzero"`
}

// Step is one step of a ladder. It fires once a clock, whatever retargets it.
type Step struct {
	ID string `json:"id"`
	// Percent of the target's working time; from 100 on it fires on a miss only.
	Percent  int32 `json:"percent"`
	Escalate bool  `json:"escalate,omitempty"`
	// Role it goes to; "owner" for the clock's owner.
	Role string `json:"role"`
}

// Floor holds a due time back: it is not before Target is complete from From.
type Floor struct {
	From   time.Time       `json:"from"`
	Target worktime.Target `json:"target"`
}

// Terms say how long a clock may run and how that is measured. Callers leave the last part
// empty; it is resolved when the terms are entered in the log, and frozen with them.
type Terms struct {
	Target        worktime.Target `json:"target"`
	Floor         *Floor          `json:"floor,omitempty"`
	CalendarID    string          `json:"calendar_id"`
	PolicyID      uuid.UUID       `json:"policy_id,omitzero"`
	PolicyVersion int64           `json:"policy_version,omitempty"`
	ClauseID      string          `json:"clause_id,omitempty"`
	// PauseReasons are the reasons for which the clock pauses; other pauses count.
	PauseReasons []string `json:"pause_reasons,omitempty"`
	Ladder       []Step   `json:"ladder,omitempty"`

	CalendarVersion string        `json:"calendar_version"`
	WorkingTime     time.Duration `json:"working_time"`
}

// pausesFor says whether a pause for a reason counts under these terms.
func (t *Terms) pausesFor(reason string) bool { return slices.Contains(t.PauseReasons, reason) }

// Resolve turns the target of t into working time of a calendar, counted from the start of
// the clock. Refused is what the calendar refuses, and a target that is not above zero.
func (t Terms) Resolve(cal *worktime.Calendar, version string, start time.Time) (Terms, error) {
	working, err := amount(cal, start, t.Target)
	if err != nil {
		return Terms{}, err
	}
	if t.Floor != nil {
		n, err := amount(cal, t.Floor.From, t.Floor.Target)
		if err != nil {
			return Terms{}, err
		}
		until, err := cal.Add(t.Floor.From, n)
		if err != nil {
			return Terms{}, err
		}
		working = max(working, cal.Between(start, until))
	}
	if working = ceil(working); working <= 0 {
		return Terms{}, fmt.Errorf("the target of clause %q is %v of working time from %v: it must be above zero",
			t.ClauseID, working, start)
	}
	if t.Floor != nil {
		t.Floor = &Floor{From: instant(t.Floor.From), Target: t.Floor.Target}
	}
	t.CalendarVersion, t.WorkingTime = version, working
	return t, nil
}

// same says whether terms agree but for what was resolved.
func (t Terms) same(as Terms) bool {
	floors := t.Floor == nil && as.Floor == nil ||
		t.Floor != nil && as.Floor != nil && t.Floor.Target == as.Floor.Target && instant(t.Floor.From).Equal(as.Floor.From)
	return floors && t.Target == as.Target && t.CalendarID == as.CalendarID && t.PolicyID == as.PolicyID &&
		t.PolicyVersion == as.PolicyVersion && t.ClauseID == as.ClauseID &&
		slices.Equal(t.PauseReasons, as.PauseReasons) && slices.Equal(t.Ladder, as.Ladder)
}

func amount(cal *worktime.Calendar, start time.Time, t worktime.Target) (time.Duration, error) {
	if t.WorkingDays != 0 {
		return cal.WorkingTime(start, t.WorkingDays)
	}
	return t.WorkingTime, nil
}

// ceil rounds up to the resolution of instants.
func ceil(d time.Duration) time.Duration {
	if rest := d % tick; rest > 0 {
		return d + tick - rest
	}
	return d
}

// instant cuts a time to the resolution that the database keeps.
func instant(t time.Time) time.Time { return t.UTC().Truncate(tick) }

// Entry is one entry of a clock's log. It is never changed.
type Entry struct {
	// Position counts from 1 without gaps: the order of the commits.
	Position int64
	Type     Type
	// At is when it took effect, RecordTime when it was written down. An At may lie before
	// that of an earlier entry, for machines' clocks jump; what that means Fold says.
	At, RecordTime time.Time
	Actor          string
	ActorKind      eventv1.ActorKind
	// Reason is a slug: of a pause why, of its end the same again.
	Reason string
	// Terms of a start and a retarget, resolved.
	Terms *Terms
	// Owner of a start and a hand-over.
	Owner *Owner
	// Step that fired, the role it went to, and when it, or a miss, ought to have been seen.
	Step      string
	Role      string
	Scheduled time.Time
	// Amount of an extension: at least so much working time remains from At.
	Amount time.Duration
}

// Late is how long after its time a step or a miss was found.
func (e *Entry) Late() time.Duration {
	if e.Scheduled.IsZero() {
		return 0
	}
	return max(0, e.At.Sub(e.Scheduled))
}

// Clock is a clock and what its log makes of it.
type Clock struct {
	ID      uuid.UUID
	Subject Subject
	Kind    string
	Round   int32
	State
}

// Named finds, among the clocks of a case, the one with that id, or of that kind the one of
// the latest round, the last of those; in one round alone where that is not 0. It is nil
// where there is none.
func Named(clocks []Clock, name string, round int32) *Clock {
	var found *Clock
	for i := range clocks {
		c := &clocks[i]
		named := c.Kind == name || c.ID.String() == name
		if named && (round == 0 || c.Round == round) && (found == nil || c.Round >= found.Round) {
			found = c
		}
	}
	return found
}
