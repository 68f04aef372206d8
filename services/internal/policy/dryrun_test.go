package policy_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// at is an hour of Monday, 2 March 2026, in Shanghai.
func at(hour int) time.Time { return time.Date(2026, 3, 2, hour-8, 0, 0, 0, time.UTC) }

func happened(name string, hour int) policy.Event { return policy.Event{Name: name, At: at(hour)} }

// over is the end of a case, which stands for some stops.
func over(hour int, stands ...string) policy.Event {
	return policy.Event{At: at(hour), Ends: true, For: stands}
}

func pastCases() []policy.Case {
	p3 := policy.Facts{Tier: typev1.Tier_TIER_KEY, Priority: "p3"} // 2 h
	created := happened("created", 9)
	return []policy.Case{
		{Number: "met", Facts: p3, Events: []policy.Event{happened("replied", 11), created}},
		{Number: "missed", Facts: p3, Events: []policy.Event{created, happened("replied", 14)}},
		{
			Number: "held", Facts: p3, Events: []policy.Event{created, happened("replied", 12)}, Holds: []policy.Hold{
				{Reason: "waiting-customer", From: at(10), To: at(11)}, {Reason: "waiting-customer", From: at(10), To: at(11)},
				{Reason: "other", From: at(9), To: at(18)},
			},
		},
		{Number: "late and open", Facts: p3, Events: []policy.Event{created}},
		{Number: "open", Facts: p3, Events: []policy.Event{happened("created", 17)}},
		{Number: "never began", Facts: p3},
		{Number: "twice", Facts: p3, Events: []policy.Event{created, happened("replied", 10), happened("created", 11), happened("replied", 18)}},
		{Number: "begun again", Facts: p3, Events: []policy.Event{created, happened("created", 10), happened("replied", 11)}},
		{Number: "given up", Facts: p3, Events: []policy.Event{created, over(10)}},
		{Number: "answered by its end", Facts: p3, Events: []policy.Event{created, over(10, "replied")}},
		{Number: "no deadline", Facts: policy.Facts{Tier: typev1.Tier_TIER_A, Priority: "p1"}, Events: []policy.Event{created}},
		{Number: "not told", Facts: p3, Events: []policy.Event{created}, Untold: []string{"replied"}},
	}
}

func TestDryRun(t *testing.T) {
	cals := policy.Loaded(map[string]*worktime.Calendar{"china-standard": china(t)})
	// The draft gives everybody 8 h where the version in effect gives key customers 2 h.
	looser := sound()
	looser.Version, looser.Clauses[2].Target = 2, hours(4)
	run := func() (string, *clockv1.DryRunTotals) {
		var told []string
		dry := policy.NewDryRun(looser, sound(), cals, at(18))
		for _, c := range pastCases() {
			got, err := dry.Replay(&c)
			if err != nil {
				t.Fatal(err)
			}
			line := got.GetNumber() + ":"
			for _, d := range got.GetClocks() {
				line += " " + side(d.GetTried()) + "|" + side(d.GetInEffect())
			}
			if policy.Changed(got) {
				line += " !"
			}
			told = append(told, line)
		}
		return strings.Join(told, "\n"), dry.Totals()
	}
	got, totals := run()
	want := `met: MET|MET
missed: MET|MISSED 3h0m0s !
held: MET|MET
late and open: MISSED 4h0m0s|MISSED 7h0m0s
open: RUNNING|RUNNING
never began:
twice: MET|MET MISSED 2h0m0s|MISSED 4h0m0s
begun again: CANCELLED|CANCELLED MET|MET
given up: CANCELLED|CANCELLED
answered by its end: MET|MET
no deadline:
not told:`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	in := totals.GetInEffect()
	if totals.GetCases() != 12 || totals.GetNewlyMissed() != 0 || totals.GetNoLongerMissed() != 1 || in.GetMet() != 5 || in.GetMissed() != 3 ||
		in.GetOpen() != 1 || in.GetCancelled() != 2 || len(in.GetClauses()) != 1 || in.GetClauses()[0].GetWorst().AsDuration() != 7*time.Hour {
		t.Errorf("totals %v", totals)
	}
	if again, same := run(); again != got || !proto.Equal(same, totals) {
		t.Error("a second run tells something else")
	}
}

func side(o *clockv1.DryRunOutcome) string {
	s := strings.TrimPrefix(o.GetState().String(), "CLOCK_STATE_")
	if late := o.GetMissedBy().AsDuration(); late > 0 {
		s += " " + late.String()
	}
	return s
}
