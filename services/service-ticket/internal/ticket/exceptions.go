package ticket

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// ClockDecision runs from the request of an escalation to the decision; EscalationSubject is
// what clocks call one.
const (
	ClockDecision     = "decision"
	EscalationSubject = "escalation"
	// maxException bounds how long an exception may last.
	maxException = 3 * 366 * 24 * time.Hour
)

// Exception is one version of an agreement that a customer goes by another tier's standard.
type Exception struct {
	Version    int32
	Tier       typev1.Tier
	Start, End time.Time
}

// TooLong tells whether an exception lasts longer than one may.
func (e Exception) TooLong() bool { return e.End.Sub(e.Start) > maxException }

// Excepted gives the tier that the exceptions of one customer put them under at an instant,
// unspecified for none, and when that changes next, zero for never. Of the versions that have
// begun the highest counts, also when it has ended.
func Excepted(all []Exception, at time.Time) (tier typev1.Tier, next time.Time) {
	var last Exception
	for _, e := range all {
		if !e.Start.After(at) && e.Version > last.Version {
			last = e
		}
	}
	if at.Before(last.End) {
		tier, next = last.Tier, last.End
	}
	for _, e := range all {
		if e.Version > last.Version && e.Start.Before(e.End) && (next.IsZero() || e.Start.Before(next)) {
			next = e.Start
		}
	}
	return tier, next
}

// NextTier is the tier above one; false for the highest.
func NextTier(t typev1.Tier) (typev1.Tier, bool) {
	if t >= typev1.Tier_TIER_KEY {
		return t, false
	}
	return t + 1, true
}

// DecisionClause is the rule for the decision on an escalation.
func (p Policy) DecisionClause() *clockv1.PolicyClause {
	return &clockv1.PolicyClause{
		ClauseId: "escalation-decision", Kind: ClockDecision, CalendarId: worktime.ChinaID, OwnerRole: access.ServiceSupervisor, Ladder: ladder(),
		Target: &clockv1.ClockTarget{Amount: &clockv1.ClockTarget_WorkingTime{WorkingTime: durationpb.New(p.DecideWithin)}},
	}
}
