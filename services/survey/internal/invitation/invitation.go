// Package invitation holds the states of an invitation and the moves between them.
package invitation

import (
	"time"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

// State is where an invitation stands.
type State = surveyv1.InvitationState

// The states.
const (
	Pending  = surveyv1.InvitationState_INVITATION_STATE_PENDING
	Answered = surveyv1.InvitationState_INVITATION_STATE_ANSWERED
	Expired  = surveyv1.InvitationState_INVITATION_STATE_EXPIRED
	Revoked  = surveyv1.InvitationState_INVITATION_STATE_REVOKED
	// HeldBack was never sent.
	HeldBack = surveyv1.InvitationState_INVITATION_STATE_HELD_BACK
)

// Verb is what may be done to an invitation.
type Verb int

// The verbs.
const (
	// Answer keeps the customer's answer.
	Answer Verb = iota
	// Reissue makes another link.
	Reissue
	// Revoke ends the invitation.
	Revoke
	// Expire settles one whose time is over.
	Expire
)

// Life is how long an invitation can be answered unless its maker says otherwise.
const Life = 30 * 24 * time.Hour

// At gives the state at an instant: a pending invitation is expired from its expire time
// on, whether or not that was settled yet.
func At(stored State, expireTime, now time.Time) State {
	if stored == Pending && !now.Before(expireTime) {
		return Expired
	}
	return stored
}

// Next gives the state after a verb; false where the verb is not possible. stored and
// expireTime are those of the row.
func Next(stored State, expireTime, now time.Time, verb Verb) (State, bool) {
	state := At(stored, expireTime, now)
	if verb == Expire {
		// Only what is not settled yet.
		return Expired, stored == Pending && state == Expired
	}
	if state != Pending {
		return state, false
	}
	switch verb {
	case Answer:
		return Answered, true
	case Reissue:
		return Pending, true
	case Revoke:
		return Revoked, true
	}
	return state, false
}
