package complaint_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/clocktest"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

func calendars(t testing.TB) policy.Calendars {
	t.Helper()
	china, err := worktime.China()
	if err != nil {
		t.Fatal(err)
	}
	always, err := worktime.New(worktime.DayAndNightDefinition())
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]*worktime.Calendar{worktime.ChinaID: china, worktime.DayAndNightID: always}
	return func(id string) (*worktime.Calendar, error) {
		if known[id] == nil {
			return nil, fmt.Errorf("no calendar %q", id)
		}
		return known[id], nil
	}
}

// chain is the table of the company's rule book: stage, severity, target, from, to, owner.
const chain = `documented general 1h    received  submitted service-agent
documented major   1h    received  submitted service-agent
reviewed   general 1h    submitted reviewed  service-supervisor
reviewed   major   1h    submitted reviewed  service-supervisor
assigned   general 2h    reviewed  assigned  department-head
assigned   major   2h    reviewed  assigned  department-head
contacted  general 24h   assigned  contacted handler
contacted  major   24h   assigned  contacted handler
proposed   general 2wd   assigned  proposed  handler
proposed   major   4wd   assigned  proposed  handler
approved   general 1wd   proposed  approved  service-manager
approved   major   1wd   proposed  approved  service-manager
told       general 3wd   assigned  told      handler
told       major   3wd   assigned  told      handler
promise    general 3wd   received  told      -
promise    major   5wd   received  told      -`

func TestTheStandardIsTheChain(t *testing.T) {
	p := complaint.Standard()
	if faults := policy.Validate(p, complaint.Words()); len(faults) > 0 {
		t.Fatalf("the standard is refused: %v", faults)
	}
	tried := 0
	for line := range strings.SplitSeq(chain, "\n") {
		f := strings.Fields(line)
		choice, ok := policy.Pick(p, f[0], policy.Facts{Severity: f[1]})
		if !ok {
			t.Fatalf("%s %s: no clause", f[0], f[1])
		}
		c := choice.Clause
		got, calendar := c.GetTarget().GetWorkingTime().AsDuration().String(), worktime.DayAndNightID
		want := strings.Replace(f[2], "h", "h0m0s", 1)
		if n := c.GetTarget().GetWorkingDays(); n > 0 {
			got, want, calendar = strconv.Itoa(int(n))+"wd", f[2], worktime.ChinaID
		}
		owner := strings.Trim(f[5], "-")
		if got != want || c.GetCalendarId() != calendar || c.GetStartEvent() != f[3] || c.GetStopEvent() != f[4] || c.GetOwnerRole() != owner {
			t.Errorf("%s %s: %v", f[0], f[1], c)
		}
		if id := c.GetClauseId(); id != f[0] && id != f[0]+"-"+f[1] {
			t.Errorf("%s %s: clause %q", f[0], f[1], id)
		}
		checkLadder(t, c)
		tried++
	}
	if kinds := policy.Kinds(p); tried != 16 || len(kinds) != 8 {
		t.Errorf("%d lines, kinds %v", tried, kinds)
	}
}

// Every clock warns at 80 %; one with an owner escalates a miss, the promise warns those who
// can still keep it.
func checkLadder(t *testing.T, c *clockv1.PolicyClause) {
	t.Helper()
	want := []string{"80 owner", "100 department-head", "100 service-manager"}
	if c.GetKind() == complaint.ClockPromise {
		want = []string{"80 department-head", "80 service-manager"}
	}
	var got []string
	for _, s := range c.GetLadder() {
		got = append(got, fmt.Sprintf("%d %s", s.GetPercent(), s.GetRole()))
		if escalates := s.GetAction() == clockv1.ClockStepAction_CLOCK_STEP_ACTION_ESCALATE; escalates != (s.GetPercent() == 100) {
			t.Errorf("%s: step %v", c.GetClauseId(), s)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: ladder %v, want %v", c.GetClauseId(), got, want)
	}
}

// due gives when a clock is due that starts at an instant.
func due(t testing.TB, cals policy.Calendars, kind, severity string, start time.Time, events map[string]time.Time) time.Time {
	t.Helper()
	p := complaint.Standard()
	choice, ok := policy.Pick(p, kind, policy.Facts{Severity: severity})
	if !ok {
		t.Fatalf("no clause for %s", kind)
	}
	terms, _, err := choice.Terms(p, start, events, cals)
	if err != nil {
		t.Fatal(err)
	}
	cal, err := cals(terms.CalendarID)
	if err != nil {
		t.Fatal(err)
	}
	if terms, err = terms.Resolve(cal, "1", start); err != nil {
		t.Fatal(err)
	}
	at, err := cal.Add(start, terms.WorkingTime)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// The example of the rule book: received on Friday at 20:00, each stage using all its time.
func TestReceivedOnFridayNight(t *testing.T) {
	cals := calendars(t)
	at := clocktest.WallClock(t, "2026-11-06 20:00:00")
	for _, c := range []struct{ kind, want string }{
		{complaint.ClockDocumented, "2026-11-06 21:00:00"}, {complaint.ClockReviewed, "2026-11-06 22:00:00"},
		{complaint.ClockAssigned, "2026-11-07 00:00:00"}, {complaint.ClockContacted, "2026-11-08 00:00:00"},
	} {
		at = due(t, cals, c.kind, "general", at, nil)
		if want := clocktest.WallClock(t, c.want); !at.Equal(want) {
			t.Errorf("%s is due %v, want %v", c.kind, at, want)
		}
	}
}

// Proposal and approval come to 3 and 5 working days from receipt when every stage is prompt.
func TestPromptStagesComeTogether(t *testing.T) {
	cals := calendars(t)
	cal, err := cals(worktime.ChinaID)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 5))
	from := clocktest.WallClock(t, "2025-01-01 00:00:00")
	for severity, together := range map[string]int{"general": 3, "major": 5} {
		for range 300 {
			received := from.Add(time.Duration(random.IntN(500*24*3600)) * time.Second)
			proposed := due(t, cals, complaint.ClockProposed, severity, received, nil)
			approved := due(t, cals, complaint.ClockApproved, severity, proposed, nil)
			want, err := cal.AddWorkingDays(received, together)
			if err != nil {
				t.Fatal(err)
			}
			if !approved.Equal(want) {
				t.Fatalf("%s, received %v: approved by %v, want %v", severity, received, approved, want)
			}
		}
	}
}

// The result of a major complaint is due 3 working days from assignment or 5 from receipt,
// whichever is later.
func TestTheResultOfAMajorComplaint(t *testing.T) {
	cals := calendars(t)
	cal, err := cals(worktime.ChinaID)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(8, 13))
	from := clocktest.WallClock(t, "2025-01-01 00:00:00")
	earlier, later := 0, 0
	for range 300 {
		received := from.Add(time.Duration(random.IntN(400*24*3600)) * time.Second)
		assigned := received.Add(time.Duration(random.IntN(8*24*3600)) * time.Second)
		got := due(t, cals, complaint.ClockTold, "major", assigned, map[string]time.Time{complaint.EventOpened: received})
		three, err := cal.AddWorkingDays(assigned, 3)
		if err != nil {
			t.Fatal(err)
		}
		five, err := cal.AddWorkingDays(received, 5)
		if err != nil {
			t.Fatal(err)
		}
		want := five
		if earlier++; three.After(five) {
			want = three
			later++
		}
		if !got.Equal(want) {
			t.Fatalf("received %v, assigned %v: due %v, want %v", received, assigned, got, want)
		}
	}
	if later == 0 || later == earlier {
		t.Errorf("%d of %d by the assignment: both ways must be tried", later, earlier)
	}
}

func TestPausesAndExtensionsOfTheStandard(t *testing.T) {
	for _, c := range complaint.Standard().GetClauses() {
		var pauses []string
		extension := ""
		switch c.GetKind() {
		case complaint.ClockTold:
			pauses, extension = []string{clock.ReasonApprovalPending}, "approved 4h0m0s 0wd"
		case complaint.ClockApproved:
			pauses, extension = []string{clock.ReasonReturned}, "proposed 0s 1wd"
		}
		got := ""
		if e := c.GetExtension(); e != nil {
			target := clock.TargetOf(e.GetTarget())
			got = fmt.Sprintf("%s %v %dwd", e.GetStartEvent(), target.WorkingTime, target.WorkingDays)
		}
		if !slices.Equal(c.GetPauseReasons(), pauses) || got != extension {
			t.Errorf("%s: pauses %v, extension %q", c.GetClauseId(), c.GetPauseReasons(), got)
		}
	}
}

func TestWhatIsToCome(t *testing.T) {
	order := []string{
		complaint.EventReceived, complaint.EventSubmitted, complaint.EventReviewed, complaint.EventAssigned,
		complaint.EventContacted, complaint.EventProposed, complaint.EventApproved, complaint.EventTold,
	}
	for i, state := range []complaint.State{
		complaint.Received, complaint.Submitted, complaint.Reviewed, complaint.Assigned, complaint.Contacted,
		complaint.Proposed, complaint.Approved, complaint.Told, complaint.Closed,
	} {
		for j, event := range order {
			if got := complaint.ToCome(state, event); got != (j > i) {
				t.Errorf("%s: %s to come: %v", complaint.StateName(state), event, got)
			}
		}
		if complaint.ToCome(state, complaint.EventOpened) {
			t.Errorf("%s: the opening is to come", complaint.StateName(state))
		}
	}
}

// Every event that the standard speaks of is one that a move brings about.
func TestMovesBringAboutTheEvents(t *testing.T) {
	happens := map[string]bool{}
	for _, v := range append(complaint.Verbs(), complaint.Create) {
		for _, event := range complaint.Happens(v) {
			happens[event] = true
		}
	}
	words := complaint.Words()
	for _, event := range append(words.StartEvents, words.StopEvents...) {
		if !happens[event] {
			t.Errorf("no move is %q", event)
		}
	}
	if complaint.Happens(complaint.Import) != nil || complaint.Happens(complaint.Attempt) != nil {
		t.Error("what is imported or only attempted happens")
	}
}

func TestWhoDecidesInTheEnd(t *testing.T) {
	service, other := ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE, ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES
	for _, c := range []struct {
		function ticketv1.DepartmentFunction
		amount   complaint.Amount
		want     string
	}{
		{other, complaint.Amount{}, "service-manager"},
		{other, complaint.Amount{Units: 5000}, "service-manager"},
		{other, complaint.Amount{Units: 5000, Nanos: 10_000_000}, "company-manager"},
		{service, complaint.Amount{}, "company-manager"},
	} {
		if got := complaint.Decider(c.function, c.amount, limits()); got != c.want {
			t.Errorf("%v %v: %s, want %s", c.function, c.amount, got, c.want)
		}
	}
	for s, want := range map[complaintv1.Severity]string{0: "general", 1: "general", 2: "major"} {
		if got := complaint.SeverityName(s); got != want {
			t.Errorf("%v is %q", s, got)
		}
	}
}
