package ticket

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Kinds of clocks of a ticket.
const (
	// ClockFirstResponse runs from registration to the first public reply or two-way contact.
	ClockFirstResponse = "first-response"
	// ClockContact runs from the assignment to the first two-way contact after it.
	ClockContact = "contact"
	// ClockResolution runs from the opening of a round to its solution.
	ClockResolution = "resolution"
	// ClockProgress runs from one public reply to the next.
	ClockProgress = "progress"
)

// Events that start and stop the clocks of a ticket.
const (
	// EventCreated is the registration.
	EventCreated = "created"
	// EventOpened is the opening of a round, the first one with the registration.
	EventOpened = "opened"
	// EventAssigned is the assignment to somebody who did not have the ticket.
	EventAssigned = "assigned"
	// EventReplied is a public reply by staff, and EventFollowedUp each one after another.
	EventReplied    = "replied"
	EventFollowedUp = "followed-up"
	// EventContacted is a two-way contact with the customer.
	EventContacted = "contacted"
	// EventResponded is a public reply by staff or a two-way contact.
	EventResponded = "responded"
	// EventResolved is the solution of a round.
	EventResolved = "resolved"
)

// SubjectType is what clocks call a ticket.
const SubjectType = "ticket"

// PriorityName is a priority as policies write it, e.g. "p3".
func PriorityName(p ticketv1.Priority) string {
	return strings.ToLower(strings.TrimPrefix(p.String(), "PRIORITY_"))
}

// PriorityLabel is a priority as people read it in either language, e.g. "P3".
func PriorityLabel(p ticketv1.Priority) string { return strings.ToUpper(PriorityName(p)) }

// TypeName is a type as dry runs write it, e.g. "technical_problem".
func TypeName(t ticketv1.TicketType) string {
	return strings.ToLower(strings.TrimPrefix(t.String(), "TICKET_TYPE_"))
}

// PriorityOf reads a priority as policies write it; unspecified for none and what is none.
func PriorityOf(name string) ticketv1.Priority {
	return ticketv1.Priority(ticketv1.Priority_value["PRIORITY_"+strings.ToUpper(name)])
}

// Words are what a policy of tickets may speak of.
func Words() policy.Vocabulary {
	return policy.Vocabulary{
		Kinds:        []string{ClockFirstResponse, ClockContact, ClockResolution, ClockProgress},
		StartEvents:  []string{EventCreated, EventOpened, EventAssigned, EventReplied},
		StopEvents:   []string{EventResponded, EventReplied, EventFollowedUp, EventContacted, EventResolved},
		PauseReasons: []string{clock.ReasonWaitingCustomer, clock.ReasonWaitingThirdParty},
		Roles:        []string{access.ServiceAgent, access.ServiceSupervisor, access.ServiceManager},
		Priorities:   []string{"p1", "p2", "p3", "p4"},
	}
}

// OnReply are the events of a public reply by staff, stops before starts.
func OnReply() []string { return []string{EventFollowedUp, EventResponded, EventReplied} }

// OnContact are the events of a two-way contact.
func OnContact() []string { return []string{EventResponded, EventContacted} }

// OnResolve are the events that a solution stands for: it is told to the customer, which
// answers for whatever else was owed, but for a word with them.
func OnResolve() []string {
	return []string{EventResolved, EventResponded, EventReplied, EventFollowedUp}
}

// PauseReason is why clocks pause while a ticket waits.
func PauseReason(w ticketv1.WaitFor) string {
	if w == ticketv1.WaitFor_WAIT_FOR_CUSTOMER {
		return clock.ReasonWaitingCustomer
	}
	return clock.ReasonWaitingThirdParty
}

// amount is a target and the calendar it is measured in.
type amount struct {
	hours time.Duration
	days  int32
	// around the clock; else in business hours
	around bool
}

func (a amount) target() *clockv1.ClockTarget {
	if a.days > 0 {
		return &clockv1.ClockTarget{Amount: &clockv1.ClockTarget_WorkingDays{WorkingDays: a.days}}
	}
	return &clockv1.ClockTarget{Amount: &clockv1.ClockTarget_WorkingTime{WorkingTime: durationpb.New(a.hours)}}
}

func (a amount) calendar() string {
	if a.around {
		return worktime.DayAndNightID
	}
	return worktime.ChinaID
}

// standard is first response, which is the assignee's contact too, and resolution of a tier, from P1 to P4.
type standard struct {
	tier  typev1.Tier
	cells [4][2]amount
}

func standards() []standard {
	around := func(d time.Duration) amount { return amount{hours: d, around: true} }
	hours := func(n time.Duration) amount { return amount{hours: n * time.Hour} }
	days := func(n int32) amount { return amount{days: n} }
	return []standard{
		{typev1.Tier_TIER_KEY, [4][2]amount{
			{around(15 * time.Minute), around(4 * time.Hour)}, {around(30 * time.Minute), around(8 * time.Hour)},
			{hours(2), days(2)}, {hours(4), days(3)},
		}},
		{typev1.Tier_TIER_A, [4][2]amount{
			{around(30 * time.Minute), around(8 * time.Hour)}, {hours(1), days(1)},
			{hours(4), days(3)}, {hours(8), days(5)},
		}},
		{typev1.Tier_TIER_B, [4][2]amount{
			{around(time.Hour), around(24 * time.Hour)}, {hours(2), days(2)},
			{hours(8), days(3)}, {days(1), days(5)},
		}},
		{typev1.Tier_TIER_C, [4][2]amount{
			{around(2 * time.Hour), around(24 * time.Hour)}, {hours(4), days(3)},
			{days(1), days(5)}, {days(1), days(7)},
		}},
	}
}

// progress is how long a customer may go without news, from P1 to P4.
func progress() [4]amount {
	return [4]amount{{hours: time.Hour, around: true}, {hours: 4 * time.Hour}, {days: 1}, {days: 2}}
}

// Standard is version 1 of the service standards: by tier and priority, with the limits for
// e-mail and chat. It is the same at each call and may be changed by the caller.
func Standard() *clockv1.Policy {
	p := &clockv1.Policy{
		Version: 1, State: clockv1.PolicyState_POLICY_STATE_PUBLISHED, Name: "服务标准 · Service standards",
	}
	for _, s := range standards() {
		tier := strings.ToLower(strings.TrimPrefix(s.tier.String(), "TIER_"))
		for i, cell := range s.cells {
			priority := fmt.Sprintf("p%d", i+1)
			name := tier + "-" + priority
			first := clause(ClockFirstResponse+"-"+name, ClockFirstResponse, cell[0], EventCreated, EventResponded)
			contact := clause(ClockContact+"-"+name, ClockContact, cell[0], EventAssigned, EventContacted)
			solved := clause(ClockResolution+"-"+name, ClockResolution, cell[1], EventOpened, EventResolved)
			solved.PauseReasons = []string{clock.ReasonWaitingCustomer}
			for _, c := range []*clockv1.PolicyClause{first, contact, solved} {
				c.Tier, c.Priority = s.tier, priority
				p.Clauses = append(p.Clauses, c)
			}
		}
	}
	for i, a := range progress() {
		priority := fmt.Sprintf("p%d", i+1)
		c := clause(ClockProgress+"-"+priority, ClockProgress, a, EventReplied, EventFollowedUp)
		// There is no news to tell while the customer's own answer is awaited.
		c.Priority, c.PauseReasons = priority, []string{clock.ReasonWaitingCustomer}
		p.Clauses = append(p.Clauses, c)
	}
	mail := amount{hours: 4 * time.Hour}
	for _, kind := range []string{ClockFirstResponse, ClockContact} {
		p.Clauses = append(p.Clauses, &clockv1.PolicyClause{
			ClauseId: kind + "-e-mail", Kind: kind, Channel: typev1.Channel_CHANNEL_EMAIL,
			Cap: true, Target: mail.target(), CalendarId: mail.calendar(),
		})
	}
	chat := amount{hours: time.Minute}
	p.Clauses = append(p.Clauses, &clockv1.PolicyClause{
		ClauseId: ClockFirstResponse + "-chat", Kind: ClockFirstResponse, Channel: typev1.Channel_CHANNEL_CHAT,
		Cap: true, Target: chat.target(), CalendarId: chat.calendar(),
	})
	return p
}

func clause(id, kind string, a amount, start, stop string) *clockv1.PolicyClause {
	return &clockv1.PolicyClause{
		ClauseId: id, Kind: kind, Target: a.target(), CalendarId: a.calendar(), StartEvent: start, StopEvent: stop,
		OwnerRole: access.ServiceAgent, Ladder: ladder(),
	}
}

// ladder warns the owner twice and then brings a miss before one after another.
func ladder() []*clockv1.PolicyStep {
	warn, escalate := clockv1.ClockStepAction_CLOCK_STEP_ACTION_WARN, clockv1.ClockStepAction_CLOCK_STEP_ACTION_ESCALATE
	return []*clockv1.PolicyStep{
		{StepId: "warn-50", Percent: 50, Action: warn, Role: clock.RoleOwner},
		{StepId: "warn-80", Percent: 80, Action: warn, Role: clock.RoleOwner},
		{StepId: "escalate-agent", Percent: 100, Action: escalate, Role: clock.RoleOwner},
		{StepId: "escalate-supervisor", Percent: 125, Action: escalate, Role: access.ServiceSupervisor},
		{StepId: "escalate-manager", Percent: 150, Action: escalate, Role: access.ServiceManager},
	}
}
