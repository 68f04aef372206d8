package complaint

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Kinds of clocks of a complaint: one a stage, each from the actual end of the one before,
// and what was promised to the customer.
const (
	ClockDocumented = "documented"
	ClockReviewed   = "reviewed"
	ClockAssigned   = "assigned"
	ClockContacted  = "contacted"
	ClockProposed   = "proposed"
	ClockApproved   = "approved"
	ClockTold       = "told"
	// ClockPromise is nobody's own and runs from receipt to the first result told.
	ClockPromise = "promise"
)

// Events that start and stop the clocks of a complaint.
const (
	// EventReceived is the registration, and EventOpened the opening of a round: the
	// registration again, later the unsatisfied answer.
	EventReceived = "received"
	EventOpened   = "opened"
	// EventSubmitted and EventReviewed are, where a round does not review again, the
	// unsatisfied answer, which stands for them.
	EventSubmitted = "submitted"
	EventReviewed  = "reviewed"
	// EventAssigned is the first assignment of a round.
	EventAssigned  = "assigned"
	EventContacted = "contacted"
	EventProposed  = "proposed"
	EventApproved  = "approved"
	EventTold      = "told"
)

// Parts that somebody has in a complaint, whatever their role.
const (
	RoleHandler = "handler"
	// RoleHead is the head of the department that answers for the complaint.
	RoleHead = "department-head"
)

// SubjectType is what clocks call a complaint.
const SubjectType = "complaint"

// SeverityName is a severity as policies write it. A complaint is general until a review
// says that it is major.
func SeverityName(s complaintv1.Severity) string {
	if s == complaintv1.Severity_SEVERITY_UNSPECIFIED {
		s = complaintv1.Severity_SEVERITY_GENERAL
	}
	return strings.ToLower(strings.TrimPrefix(s.String(), "SEVERITY_"))
}

// SeverityOf reads a severity as policies write it; unspecified for none and what is none.
func SeverityOf(name string) complaintv1.Severity {
	return complaintv1.Severity(complaintv1.Severity_value["SEVERITY_"+strings.ToUpper(name)])
}

// Words are what a policy of complaints may speak of.
func Words() policy.Vocabulary {
	starts := []string{
		EventReceived, EventOpened, EventSubmitted, EventReviewed, EventAssigned, EventContacted, EventProposed, EventApproved,
	}
	return policy.Vocabulary{
		Kinds: []string{
			ClockDocumented, ClockReviewed, ClockAssigned, ClockContacted, ClockProposed, ClockApproved, ClockTold, ClockPromise,
		},
		StartEvents: starts, Extensions: starts,
		StopEvents: []string{
			EventSubmitted, EventReviewed, EventAssigned, EventContacted, EventProposed, EventApproved, EventTold,
		},
		PauseReasons: []string{clock.ReasonApprovalPending, clock.ReasonReturned},
		Roles: []string{
			RoleHandler, RoleHead, access.ServiceAgent, access.ServiceSupervisor, access.ServiceManager, access.CompanyManager,
		},
		Severities: []string{
			SeverityName(complaintv1.Severity_SEVERITY_GENERAL), SeverityName(complaintv1.Severity_SEVERITY_MAJOR),
		},
	}
}

// Happens lists the events that a move is. The answer that opens a round stands for its
// receipt and, unless the round reviews again, for its review.
func Happens(v Verb) []string {
	switch v {
	case Create:
		return []string{EventReceived, EventOpened}
	case Submit:
		return []string{EventSubmitted}
	case Review:
		return []string{EventReviewed}
	case Assign:
		return []string{EventAssigned}
	case Contact:
		return []string{EventContacted}
	case Propose:
		return []string{EventProposed}
	case Approve:
		return []string{EventApproved}
	case Tell:
		return []string{EventTold}
	case Reopen, TakeUp:
		return []string{EventOpened, EventReviewed}
	case Dispute, TakeUpDisputed:
		return []string{EventOpened, EventSubmitted}
	}
	return nil
}

// ToCome tells whether an event of the present round is still ahead of a complaint.
func ToCome(s State, event string) bool {
	switch event {
	case EventSubmitted:
		return s < Submitted
	case EventReviewed:
		return s < Reviewed
	case EventAssigned:
		return s < Assigned
	case EventContacted:
		return s < Contacted
	case EventProposed:
		return s < Proposed
	case EventApproved:
		return s < Approved
	case EventTold:
		return s < Told
	}
	return false
}

// Decider is the role that has to decide on a proposal in the end: a service manager, or
// the company manager where customer service is itself concerned or the remedy costs more
// than service managers may approve.
func Decider(function ticketv1.DepartmentFunction, amount Amount, l Limits) string {
	if function == ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE || amount.Compare(l.ManagerAmount) > 0 {
		return access.CompanyManager
	}
	return access.ServiceManager
}

// Standard is version 1 of the complaint policy: the chain by severity. It is the same at
// each call and may be changed by the caller.
//
// That general complaints are decided on within 3 working days of receipt and major ones
// within 5 is no clause of its own: it is what proposal and approval come to when every
// stage is prompt, and as a limit it would charge a late assigner's time to the approver.
func Standard() *clockv1.Policy {
	p := &clockv1.Policy{
		Version: 1, State: clockv1.PolicyState_POLICY_STATE_PUBLISHED, Name: "投诉时限 · Complaint deadlines",
		Clauses: []*clockv1.PolicyClause{
			around(ClockDocumented, 1, EventReceived, EventSubmitted, access.ServiceAgent),
			around(ClockReviewed, 1, EventSubmitted, EventReviewed, access.ServiceSupervisor),
			around(ClockAssigned, 2, EventReviewed, EventAssigned, RoleHead),
			around(ClockContacted, 24, EventAssigned, EventContacted, RoleHandler),
		},
	}
	approved := days(ClockApproved, ClockApproved, 1, EventProposed, EventApproved, access.ServiceManager)
	// A proposal that was returned is the handler's again; the next one has its own day.
	approved.PauseReasons = []string{clock.ReasonReturned}
	approved.Extension = &clockv1.PolicyFloor{StartEvent: EventProposed, Target: workingDays(1)}
	p.Clauses = append(p.Clauses,
		severe(days(ClockProposed+"-general", ClockProposed, 2, EventAssigned, EventProposed, RoleHandler), complaintv1.Severity_SEVERITY_GENERAL),
		severe(days(ClockProposed+"-major", ClockProposed, 4, EventAssigned, EventProposed, RoleHandler), complaintv1.Severity_SEVERITY_MAJOR),
		approved)
	general := days(ClockTold+"-general", ClockTold, 3, EventAssigned, EventTold, RoleHandler)
	major := days(ClockTold+"-major", ClockTold, 3, EventAssigned, EventTold, RoleHandler)
	major.Floor = &clockv1.PolicyFloor{StartEvent: EventOpened, Target: workingDays(5)}
	for _, told := range []*clockv1.PolicyClause{general, major} {
		told.PauseReasons = []string{clock.ReasonApprovalPending}
		told.Extension = &clockv1.PolicyFloor{StartEvent: EventApproved, Target: workingTime(4 * time.Hour)}
	}
	p.Clauses = append(p.Clauses,
		severe(general, complaintv1.Severity_SEVERITY_GENERAL), severe(major, complaintv1.Severity_SEVERITY_MAJOR),
		severe(promise(ClockPromise+"-general", 3), complaintv1.Severity_SEVERITY_GENERAL),
		severe(promise(ClockPromise+"-major", 5), complaintv1.Severity_SEVERITY_MAJOR))
	return p
}

// around is a clause in hours, day and night.
func around(kind string, hours time.Duration, start, stop, owner string) *clockv1.PolicyClause {
	return &clockv1.PolicyClause{
		ClauseId: kind, Kind: kind, Target: workingTime(hours * time.Hour), CalendarId: worktime.DayAndNightID,
		StartEvent: start, StopEvent: stop, OwnerRole: owner, Ladder: ladder(),
	}
}

// days is a clause in working days.
func days(id, kind string, n int32, start, stop, owner string) *clockv1.PolicyClause {
	return &clockv1.PolicyClause{
		ClauseId: id, Kind: kind, Target: workingDays(n), CalendarId: worktime.ChinaID,
		StartEvent: start, StopEvent: stop, OwnerRole: owner, Ladder: ladder(),
	}
}

// promise is what the customer was told to expect. It warns those who can still keep it.
func promise(id string, n int32) *clockv1.PolicyClause {
	c := days(id, ClockPromise, n, EventReceived, EventTold, "")
	warn := clockv1.ClockStepAction_CLOCK_STEP_ACTION_WARN
	c.Ladder = []*clockv1.PolicyStep{
		{StepId: "warn-80-head", Percent: 80, Action: warn, Role: RoleHead},
		{StepId: "warn-80-manager", Percent: 80, Action: warn, Role: access.ServiceManager},
	}
	return c
}

func severe(c *clockv1.PolicyClause, s complaintv1.Severity) *clockv1.PolicyClause {
	c.Severity = SeverityName(s)
	return c
}

func workingDays(n int32) *clockv1.ClockTarget {
	return &clockv1.ClockTarget{Amount: &clockv1.ClockTarget_WorkingDays{WorkingDays: n}}
}

func workingTime(d time.Duration) *clockv1.ClockTarget {
	return &clockv1.ClockTarget{Amount: &clockv1.ClockTarget_WorkingTime{WorkingTime: durationpb.New(d)}}
}

// ladder warns the owner and then brings a miss before the head of department and the
// manager.
func ladder() []*clockv1.PolicyStep {
	warn, escalate := clockv1.ClockStepAction_CLOCK_STEP_ACTION_WARN, clockv1.ClockStepAction_CLOCK_STEP_ACTION_ESCALATE
	return []*clockv1.PolicyStep{
		{StepId: "warn-80", Percent: 80, Action: warn, Role: clock.RoleOwner},
		{StepId: "escalate-head", Percent: 100, Action: escalate, Role: RoleHead},
		{StepId: "escalate-manager", Percent: 100, Action: escalate, Role: access.ServiceManager},
	}
}
