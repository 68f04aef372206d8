// Package consent holds the rules of when a customer may be written to: what they agreed to
// and the contact budget. It reads no clock and no database.
package consent

import (
	"time"

	"github.com/google/uuid"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

// Purpose is what consent is given for.
type Purpose = customerv1.ConsentPurpose

// HeldBack is why a message must not be sent.
type HeldBack = customerv1.HeldBack

// The reasons; Send is none.
const (
	Send       = customerv1.HeldBack_HELD_BACK_UNSPECIFIED
	NoConsent  = customerv1.HeldBack_HELD_BACK_NO_CONSENT
	Withdrawn  = customerv1.HeldBack_HELD_BACK_WITHDRAWN
	BudgetUsed = customerv1.HeldBack_HELD_BACK_BUDGET_USED
	NoChannel  = customerv1.HeldBack_HELD_BACK_NO_CHANNEL
)

const quality = customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY

// Message is what a sender wants to send.
type Message struct {
	Purpose Purpose
	Channel typev1.Channel
	// Event caused it; zero for none.
	Event uuid.UUID
}

// Transactional tells whether a service event caused the message. Only questions about the
// service may count as such: marketing does not become one by naming an event.
func (m Message) Transactional() bool { return m.Event != uuid.Nil && m.Purpose == quality }

// Recipient is what is known of who would get the message.
type Recipient struct {
	// Decided: there was ever a decision on the purpose; Agreed is the last one.
	Decided, Agreed bool
	HasPhone        bool
	HasEmail        bool
	// Last is when the last message of the kind was granted, zero for never.
	Last time.Time
	// Told: a message of the kind was granted for this event.
	Told bool
}

// Judge decides whether the message may be sent now. With BudgetUsed it says when the budget
// is free again; never for an event that was told.
func Judge(m Message, r Recipient, budget time.Duration, now time.Time) (HeldBack, time.Time) {
	switch {
	case r.Decided && !r.Agreed:
		return Withdrawn, time.Time{}
	case !r.Decided && m.Purpose != quality:
		return NoConsent, time.Time{}
	case !reachable(m.Channel, r):
		return NoChannel, time.Time{}
	case m.Transactional():
		if r.Told {
			return BudgetUsed, time.Time{}
		}
		return Send, time.Time{}
	}
	if free := r.Last.Add(budget); !r.Last.IsZero() && now.Before(free) {
		return BudgetUsed, free
	}
	return Send, time.Time{}
}

func reachable(channel typev1.Channel, r Recipient) bool {
	switch channel {
	case typev1.Channel_CHANNEL_EMAIL:
		return r.HasEmail
	case typev1.Channel_CHANNEL_PHONE, typev1.Channel_CHANNEL_SMS:
		return r.HasPhone
	}
	return true
}
