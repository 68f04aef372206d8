package policy_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/audit"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/idempotency"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/runtime/write"
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
		Severities: []string{"major"}, Extensions: []string{"created"}, Calendar: func(id string) bool { return id == "china-standard" },
		Reach: func(_ string, target worktime.Target) error {
			if target.WorkingDays > 900 {
				return errors.New("never")
			}
			return nil
		},
		Kind: func(id string) string { return map[string]string{"progress-p1": "progress"}[id] },
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
	cals := policy.Loaded(map[string]*worktime.Calendar{"china-standard": china(t)})
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

func TestWhereNothingExtendsClocks(t *testing.T) {
	p, w := sound(), words()
	w.Extensions = nil
	p.Clauses[0].Extension = &clockv1.PolicyFloor{StartEvent: "created", Target: days(1)}
	if faults := policy.Validate(p, w); len(faults) != 1 || faults[0].GetField() != "clauses[0].extension" {
		t.Errorf("faults %v", faults)
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
		"no name":            {func(p *clockv1.Policy) { p.Name = " " }, "name"},
		"other kind":         {func(p *clockv1.Policy) { p.Clauses[0].ClauseId = "progress-p1" }, "clauses[0].clause_id"},
		"never reached":      {func(p *clockv1.Policy) { p.Clauses[0].Target = days(999) }, "clauses[0].target"},
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

func TestDiff(t *testing.T) {
	before, after := sound(), sound()
	after.Clauses[0].Target, after.Clauses[0].OwnerRole = days(2), "service-supervisor"
	after.Clauses = append(after.Clauses[:1:1], after.Clauses[2:]...)
	after.Clauses = append(after.Clauses, clause("zz", typev1.Tier_TIER_B, "", hours(1)))
	var got []string
	for _, c := range policy.Diff(before, after).GetChanges() {
		kind := strings.TrimPrefix(c.GetKind().String(), "POLICY_CHANGE_KIND_")
		got = append(got, kind+" "+c.GetClauseId()+":"+strings.Join(c.GetFields(), "+"))
	}
	if want := "CHANGED any:target+owner_role REMOVED p3: ADDED zz:"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if n := len(policy.Diff(before, sound()).GetChanges()); n != 0 {
		t.Errorf("%d changes of nothing", n)
	}
}

type source struct{ cal *worktime.Calendar }

func (s source) Load(_ context.Context, _ pg.DBTX, id string) (*worktime.Calendar, int64, error) {
	if id != "china-standard" {
		return nil, 0, errors.New("unknown")
	}
	return s.cal, 1, nil
}

type keyring struct{}

func (keyring) Derive(label string) []byte { return append([]byte(label), make([]byte, 32)...)[:32] }

func TestBook(t *testing.T) {
	db := testkit.Database(t, event.Migrations(), audit.Migrations(), idempotency.Migrations(), policy.Migrations())
	now := testkit.NewClock()
	path, err := write.New(write.Config{Pool: db.Pool, Keyring: keyring{}, Service: "s", Log: slog.New(slog.DiscardHandler), Wake: func() {}, Now: now.Now})
	if err != nil {
		t.Fatal(err)
	}
	book := policy.NewBook(words(), source{china(t)}, now.Now)
	do := func(fn func(ctx context.Context, tx *write.Tx) (*clockv1.Policy, error)) (out *clockv1.Policy, err error) {
		err = write.Job(t.Context(), path, "test", func(ctx context.Context, tx *write.Tx) error {
			out, err = fn(ctx, tx)
			return err
		})
		return out, err
	}
	must := func(p *clockv1.Policy, err error) *clockv1.Policy {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	reason := func(err error) string {
		var public *rpcerr.Error
		if !errors.As(err, &public) {
			return ""
		}
		return public.Reason()
	}
	create := func(ctx context.Context, tx *write.Tx) (*clockv1.Policy, error) { return book.Create(ctx, tx, sound()) }
	for range 2 {
		err := write.Job(t.Context(), path, "seed", func(ctx context.Context, tx *write.Tx) error {
			done, err := book.Seed(ctx, tx, sound())
			if !done {
				tx.Unchanged()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	first := must(book.InEffect(t.Context(), db.Pool, now.Now().AddDate(-20, 0, 0)))
	if first.GetVersion() != 1 || first.GetState() != clockv1.PolicyState_POLICY_STATE_PUBLISHED {
		t.Fatalf("seeded %v", first)
	}
	draft := must(do(create))
	id := draft.GetId()
	update := func(etag string, p *clockv1.Policy) (*clockv1.Policy, error) {
		return do(func(ctx context.Context, tx *write.Tx) (*clockv1.Policy, error) {
			return book.Update(ctx, tx, id, etag, func(*clockv1.Policy) (*clockv1.Policy, error) { return p, nil })
		})
	}
	publish := func(etag string, at time.Time) (*clockv1.Policy, error) {
		return do(func(ctx context.Context, tx *write.Tx) (*clockv1.Policy, error) {
			return book.Publish(ctx, tx, id, etag, at)
		})
	}
	spoilt := sound()
	spoilt.Clauses[0].CalendarId = "x"
	draft = must(update(draft.GetEtag(), spoilt))
	if _, err := publish("", time.Time{}); reason(err) != policy.ReasonInvalid {
		t.Errorf("published with a fault: %v", err)
	}
	if _, err := update("1", sound()); reason(err) != rpcerr.ReasonStale {
		t.Errorf("stale: %v", err)
	}
	draft = must(update(draft.GetEtag(), sound()))
	if _, err := publish("", now.Now().Add(-time.Second)); reason(err) != rpcerr.ReasonValidation {
		t.Errorf("published into the past: %v", err)
	}
	from := now.Now().Add(time.Hour)
	must(publish(draft.GetEtag(), from))
	if _, err := update("", sound()); reason(err) != policy.ReasonNotDraft {
		t.Errorf("changed what is published: %v", err)
	}
	if _, err := db.Pool.Exec(t.Context(), `UPDATE clock_policies SET definition = '' WHERE state = 2`); !pg.Violates(err, "clock_policies_published_check") {
		t.Errorf("a statement changed what is published: %v", err)
	}
	if p := must(book.InEffect(t.Context(), db.Pool, now.Now())); p.GetVersion() != 1 {
		t.Errorf("in effect: %v", p.GetVersion())
	}
	if p := must(book.InEffect(t.Context(), db.Pool, from)); p.GetId() != draft.GetId() {
		t.Errorf("in effect later: %v", p.GetVersion())
	}
	now.Advance(2 * time.Hour)
	list, err := book.List(t.Context(), db.Pool, 0, 10)
	if err != nil || len(list) != 2 || list[0].GetId() != draft.GetId() || list[1].GetState() != clockv1.PolicyState_POLICY_STATE_RETIRED {
		t.Errorf("%v, %v", list, err)
	}
	for _, name := range []string{uuid.NewString(), "99", "x"} {
		if _, err := book.Get(t.Context(), db.Pool, name); reason(err) != "POLICY_NOT_FOUND" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := book.Published(t.Context(), db.Pool, 99); reason(err) != "POLICY_NOT_FOUND" {
		t.Errorf("no version: %v", err)
	}
}
