package ticket_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	clauses "github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/internal/worktime"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// goals is the table of the company's rule book: first response / resolution.
const goals = `key 15m/4h 30m/8h 2h/2wd 4h/3wd
a 30m/8h 1h/1wd 4h/3wd 8h/5wd
b 1h/24h 2h/2wd 8h/3wd 1wd/5wd
c 2h/24h 4h/3wd 1wd/5wd 1wd/7wd`

func calendars(t *testing.T) clauses.Calendars {
	t.Helper()
	china, err := worktime.China()
	if err != nil {
		t.Fatal(err)
	}
	always, err := worktime.New(worktime.DayAndNightDefinition())
	if err != nil {
		t.Fatal(err)
	}
	return clauses.Loaded(map[string]*worktime.Calendar{worktime.ChinaID: china, worktime.DayAndNightID: always})
}

func TestTheStandardIsTheRuleBook(t *testing.T) {
	p := ticket.Standard()
	if faults := clauses.Validate(p, ticket.Words()); len(faults) > 0 {
		t.Fatalf("the standard is refused: %v", faults)
	}
	tiers := map[string]typev1.Tier{
		"key": typev1.Tier_TIER_KEY, "a": typev1.Tier_TIER_A, "b": typev1.Tier_TIER_B, "c": typev1.Tier_TIER_C,
	}
	tried := 0
	for line := range strings.SplitSeq(goals, "\n") {
		cells := strings.Fields(line)
		for i, cell := range cells[1:] {
			priority := ticket.PriorityName(ticketv1.Priority(i + 1))
			first, solved, _ := strings.Cut(cell, "/")
			around := i == 0 || i == 1 && cells[0] == "key"
			for kind, want := range map[string]string{
				ticket.ClockFirstResponse: first, ticket.ClockContact: first, ticket.ClockResolution: solved,
			} {
				choice, ok := clauses.Pick(p, kind, clauses.Facts{Tier: tiers[cells[0]], Priority: priority})
				if !ok {
					t.Fatalf("%s %s: no clause for %s", cells[0], priority, kind)
				}
				check(t, choice.Clause, kind+"-"+cells[0]+"-"+priority, want, around)
				if pauses := len(choice.Clause.GetPauseReasons()) > 0; pauses != (kind == ticket.ClockResolution) {
					t.Errorf("%s pauses: %v", choice.Clause.GetClauseId(), pauses)
				}
				tried++
			}
		}
	}
	if tried != 48 {
		t.Errorf("%d cells, want 48", tried)
	}
	for i, want := range []string{"1h", "4h", "1wd", "2wd"} {
		priority := ticket.PriorityName(ticketv1.Priority(i + 1))
		choice, ok := clauses.Pick(p, ticket.ClockProgress, clauses.Facts{Tier: typev1.Tier_TIER_C, Priority: priority})
		if !ok {
			t.Fatalf("no progress clause for %s", priority)
		}
		check(t, choice.Clause, "progress-"+priority, want, i == 0)
	}
}

func check(t *testing.T, c *clockv1.PolicyClause, id, want string, around bool) {
	t.Helper()
	got := c.GetTarget().GetWorkingTime().AsDuration().String()
	if n := c.GetTarget().GetWorkingDays(); n > 0 {
		got = strconv.Itoa(int(n)) + "wd"
	} else if d, err := time.ParseDuration(want); err == nil {
		want = d.String()
	}
	calendar := worktime.ChinaID
	if around {
		calendar = worktime.DayAndNightID
	}
	if c.GetClauseId() != id || got != want || c.GetCalendarId() != calendar {
		t.Errorf("clause %s: %s in %s, want %s: %s in %s", c.GetClauseId(), got, c.GetCalendarId(), id, want, calendar)
	}
}

func TestMailIsAnsweredWithinFourHoursUnlessTheTableIsStricter(t *testing.T) {
	p, cals := ticket.Standard(), calendars(t)
	// Monday, 9:00 in Shanghai.
	start := time.Date(2026, 11, 2, 1, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		tier     typev1.Tier
		priority string
		clause   string
	}{
		{typev1.Tier_TIER_C, "p4", "first-response-e-mail"},
		{typev1.Tier_TIER_B, "p3", "first-response-e-mail"},
		{typev1.Tier_TIER_KEY, "p3", "first-response-key-p3"},
		{typev1.Tier_TIER_A, "p3", "first-response-a-p3"}, // as strict
		{typev1.Tier_TIER_C, "p1", "first-response-c-p1"},
	} {
		choice, _ := clauses.Pick(p, ticket.ClockFirstResponse, clauses.Facts{
			Tier: c.tier, Priority: c.priority, Channel: typev1.Channel_CHANNEL_EMAIL,
		})
		terms, _, err := choice.Terms(p, start, nil, cals)
		if err != nil || terms.ClauseID != c.clause || len(terms.Ladder) != 5 {
			t.Errorf("%v %s: %+v, %v, want %s", c.tier, c.priority, terms, err, c.clause)
		}
	}
	choice, _ := clauses.Pick(p, ticket.ClockFirstResponse, clauses.Facts{
		Tier: typev1.Tier_TIER_C, Priority: "p4", Channel: typev1.Channel_CHANNEL_PHONE,
	})
	if terms, _, err := choice.Terms(p, start, nil, cals); err != nil || terms.ClauseID != "first-response-c-p4" {
		t.Errorf("by phone: %+v, %v", terms, err)
	}
	choice, _ = clauses.Pick(p, ticket.ClockFirstResponse, clauses.Facts{
		Tier: typev1.Tier_TIER_KEY, Priority: "p1", Channel: typev1.Channel_CHANNEL_CHAT,
	})
	if terms, _, err := choice.Terms(p, start, nil, cals); err != nil || terms.ClauseID != "first-response-chat" || terms.Target.WorkingTime != time.Minute {
		t.Errorf("in a chat: %+v, %v", terms, err)
	}
}
