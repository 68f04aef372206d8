package disclosure

import (
	"time"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// State is where an access request stands.
type State = customerv1.AccessRequestState

// The states.
const (
	Pending  = customerv1.AccessRequestState_ACCESS_REQUEST_STATE_PENDING
	Approved = customerv1.AccessRequestState_ACCESS_REQUEST_STATE_APPROVED
	Rejected = customerv1.AccessRequestState_ACCESS_REQUEST_STATE_REFUSED
	Revoked  = customerv1.AccessRequestState_ACCESS_REQUEST_STATE_REVOKED
	Expired  = customerv1.AccessRequestState_ACCESS_REQUEST_STATE_EXPIRED
)

// Verb is what may be done to an access request.
type Verb int

// The verbs.
const (
	Approve Verb = iota
	Refuse
	Revoke
	Extract
)

// At gives the state at an instant: a grant ends by itself, nothing has to end it.
func At(stored State, end, now time.Time) State {
	if stored == Approved && !now.Before(end) {
		return Expired
	}
	return stored
}

// Next gives the state after a verb; false where it is not possible from the state.
func Next(state State, verb Verb) (State, bool) {
	switch {
	case state == Pending && verb == Approve:
		return Approved, true
	case state == Pending && verb == Refuse:
		return Rejected, true
	case state == Approved && verb == Revoke:
		return Revoked, true
	case state == Approved && verb == Extract:
		return Approved, true
	}
	return state, false
}

// Days gives for how many days a request asks: given, or the default where it says nothing.
func Days(asked, standard int32) int32 {
	if asked == 0 {
		return standard
	}
	return asked
}

// Granted gives for how many days is granted: those asked for, or fewer that the approver
// says; false for more.
func Granted(asked, given int32) (int32, bool) {
	if given == 0 {
		return asked, true
	}
	return given, given <= asked
}

// End is when a grant of so many days ends.
func End(from time.Time, days int32) time.Time {
	return from.Add(time.Duration(days) * 24 * time.Hour)
}
