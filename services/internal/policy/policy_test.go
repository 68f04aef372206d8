package policy_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

func china(t testing.TB) *worktime.Calendar {
	t.Helper()
	cal, err := worktime.China()
	if err != nil {
		t.Fatal(err)
	}
	return cal
}

func hours(n int) *clockv1.ClockTarget {
	return &clockv1.ClockTarget{Amount: &clockv1.ClockTarget_WorkingTime{WorkingTime: durationpb.New(time.Duration(n) * time.Hour)}}
}

func days(n int32) *clockv1.ClockTarget {
	return &clockv1.ClockTarget{Amount: &clockv1.ClockTarget_WorkingDays{WorkingDays: n}}
}

func clause(id string, tier typev1.Tier, priority string, target *clockv1.ClockTarget) *clockv1.PolicyClause {
	return &clockv1.PolicyClause{
		ClauseId: id, Kind: "first-response", Tier: tier, Priority: priority, Target: target, CalendarId: "china-standard",
		StartEvent: "created", StopEvent: "replied", OwnerRole: "service-agent", PauseReasons: []string{"waiting-customer"},
		Ladder: []*clockv1.PolicyStep{{StepId: "warn-80", Percent: 80, Action: clockv1.ClockStepAction_CLOCK_STEP_ACTION_WARN, Role: "owner"}},
	}
}

func words() policy.Vocabulary {
	return policy.Vocabulary{
		Kinds: []string{"first-response", "resolution"}, StartEvents: []string{"created"}, StopEvents: []string{"replied"},
		PauseReasons: []string{"waiting-customer"}, Roles: []string{"service-agent"}, Priorities: []string{"p1", "p3"},
		Severities: []string{"major"}, Calendar: func(id string) bool { return id == "china-standard" },
	}
}

func sound() *clockv1.Policy {
	limit := clause("email", 0, "", hours(4))
	limit.Cap, limit.Channel, limit.Ladder, limit.OwnerRole = true, typev1.Channel_CHANNEL_EMAIL, nil, ""
	return &clockv1.Policy{Name: "standard", Clauses: []*clockv1.PolicyClause{
		clause("any", 0, "", days(1)),
		clause("p3", 0, "p3", hours(8)),
		clause("key-p3", typev1.Tier_TIER_KEY, "p3", hours(2)),
		clause("none", typev1.Tier_TIER_A, "p1", nil),
		limit,
	}}
}

func TestPick(t *testing.T) {
	monday := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	cals := policy.Calendars(func(string) (*worktime.Calendar, error) { return china(t), nil })
	for _, c := range []struct {
		facts policy.Facts
		want  string
	}{
		{policy.Facts{}, "any"},
		{policy.Facts{Tier: typev1.Tier_TIER_B, Priority: "p3"}, "p3"},
		{policy.Facts{Tier: typev1.Tier_TIER_KEY, Priority: "p3"}, "key-p3"},
		{policy.Facts{Tier: typev1.Tier_TIER_KEY, Priority: "p1"}, "any"},
		{policy.Facts{Tier: typev1.Tier_TIER_A, Priority: "p1"}, ""},
		{policy.Facts{Tier: typev1.Tier_TIER_A, Priority: "p1", Channel: typev1.Channel_CHANNEL_EMAIL}, ""},
		{policy.Facts{Priority: "p3", Channel: typev1.Channel_CHANNEL_EMAIL}, "email"},
		{policy.Facts{Tier: typev1.Tier_TIER_KEY, Priority: "p3", Channel: typev1.Channel_CHANNEL_EMAIL}, "key-p3"},
	} {
		choice, ok := policy.Pick(sound(), "first-response", c.facts)
		if ok != (c.want != "") {
			t.Errorf("%+v: picked %v", c.facts, choice)
			continue
		}
		if !ok {
			continue
		}
		terms, got, err := choice.Terms(sound(), monday, nil, cals)
		if err != nil || got.GetClauseId() != c.want || terms.ClauseID != c.want || len(terms.Ladder) != 1 || len(terms.PauseReasons) != 1 {
			t.Errorf("%+v: %+v, %v; want %s", c.facts, terms, err, c.want)
		}
	}
	if _, ok := policy.Pick(sound(), "resolution", policy.Facts{}); ok {
		t.Error("picked a clause of another kind")
	}
}

func TestValidate(t *testing.T) {
	if faults := policy.Validate(sound(), words()); len(faults) != 0 {
		t.Fatalf("a sound policy has faults: %v", faults)
	}
	for name, c := range map[string]struct {
		spoil func(p *clockv1.Policy)
		field string
	}{
		"no clauses":         {func(p *clockv1.Policy) { p.Clauses = nil }, "clauses"},
		"id":                 {func(p *clockv1.Policy) { p.Clauses[0].ClauseId = "A b" }, "clauses[0].clause_id"},
		"same id":            {func(p *clockv1.Policy) { p.Clauses[1].ClauseId = "any" }, "clauses[1].clause_id"},
		"kind":               {func(p *clockv1.Policy) { p.Clauses[0].Kind = "x" }, "clauses[0].kind"},
		"priority":           {func(p *clockv1.Policy) { p.Clauses[1].Priority = "p9" }, "clauses[1].priority"},
		"severity":           {func(p *clockv1.Policy) { p.Clauses[1].Severity = "x" }, "clauses[1].severity"},
		"pause":              {func(p *clockv1.Policy) { p.Clauses[1].PauseReasons = []string{"x"} }, "clauses[1].pause_reasons[0]"},
		"owner":              {func(p *clockv1.Policy) { p.Clauses[1].OwnerRole = "x" }, "clauses[1].owner_role"},
		"cap without target": {func(p *clockv1.Policy) { p.Clauses[4].Target = nil }, "clauses[4].target"},
		"floor alone":        {func(p *clockv1.Policy) { p.Clauses[3].Floor = &clockv1.PolicyFloor{} }, "clauses[3].floor"},
		"floor's event": {func(p *clockv1.Policy) {
			p.Clauses[0].Floor = &clockv1.PolicyFloor{StartEvent: "x", Target: days(1)}
		}, "clauses[0].floor.start_event"},
		"extension alone": {func(p *clockv1.Policy) { p.Clauses[3].Extension = &clockv1.PolicyFloor{} }, "clauses[3].extension"},
		"extension's event": {func(p *clockv1.Policy) {
			p.Clauses[0].Extension = &clockv1.PolicyFloor{StartEvent: "x", Target: days(1)}
		}, "clauses[0].extension.start_event"},
		"extension's target": {func(p *clockv1.Policy) {
			p.Clauses[0].Extension = &clockv1.PolicyFloor{StartEvent: "created"}
		}, "clauses[0].extension.target"},
		"no amount":       {func(p *clockv1.Policy) { p.Clauses[0].Target = &clockv1.ClockTarget{} }, "clauses[0].target"},
		"no days":         {func(p *clockv1.Policy) { p.Clauses[0].Target = days(0) }, "clauses[0].target.working_days"},
		"negative hours":  {func(p *clockv1.Policy) { p.Clauses[0].Target = hours(-1) }, "clauses[0].target.working_time"},
		"no calendar":     {func(p *clockv1.Policy) { p.Clauses[0].CalendarId = "" }, "clauses[0].calendar_id"},
		"calendar":        {func(p *clockv1.Policy) { p.Clauses[0].CalendarId = "x" }, "clauses[0].calendar_id"},
		"start":           {func(p *clockv1.Policy) { p.Clauses[0].StartEvent = "x" }, "clauses[0].start_event"},
		"stop":            {func(p *clockv1.Policy) { p.Clauses[0].StopEvent = "" }, "clauses[0].stop_event"},
		"stops at once":   {func(p *clockv1.Policy) { p.Clauses[0].StopEvent = "created" }, "clauses[0].stop_event"},
		"step id":         {func(p *clockv1.Policy) { p.Clauses[0].Ladder[0].StepId = "" }, "clauses[0].ladder[0].step_id"},
		"percent":         {func(p *clockv1.Policy) { p.Clauses[0].Ladder[0].Percent = 0 }, "clauses[0].ladder[0].percent"},
		"action":          {func(p *clockv1.Policy) { p.Clauses[0].Ladder[0].Action = 0 }, "clauses[0].ladder[0].action"},
		"role":            {func(p *clockv1.Policy) { p.Clauses[0].Ladder[0].Role = "x" }, "clauses[0].ladder[0].role"},
		"nobody's ladder": {func(p *clockv1.Policy) { p.Clauses[0].OwnerRole = "" }, "clauses[0].ladder[0].role"},
		"ambiguous":       {func(p *clockv1.Policy) { p.Clauses[2].Priority = "" }, "clauses[2]"},
	} {
		p := sound()
		c.spoil(p)
		found := false
		for _, f := range policy.Validate(p, words()) {
			found = found || f.GetField() == c.field && f.GetText().GetEn() != "" && f.GetText().GetZh() != ""
		}
		if !found {
			t.Errorf("%s: no fault at %s in %v", name, c.field, policy.Validate(p, words()))
		}
	}
}
