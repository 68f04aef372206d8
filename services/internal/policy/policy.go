// Package policy holds the rules by which cases get their clocks, as versioned data: what a
// version says ([Pick]), whether it makes sense ([Validate]), how two differ ([Diff]), how
// past cases would have gone under one ([DryRun]), where versions are kept ([Book]), and the
// calls about them ([Service]). All but the last two is free of I/O.
package policy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// Facts are what a case is chosen a clause by. What is unset fits no condition.
type Facts struct {
	Tier     typev1.Tier
	Channel  typev1.Channel
	Priority string
	Severity string
}

// fits says whether every condition of a clause holds.
func (f Facts) fits(c *clockv1.PolicyClause) bool {
	return fits(c.GetTier(), f.Tier) && fits(c.GetChannel(), f.Channel) &&
		fits(c.GetPriority(), f.Priority) && fits(c.GetSeverity(), f.Severity)
}

func fits[T comparable](wanted, got T) bool {
	var none T
	return wanted == none || wanted == got
}

// conditions counts those of a clause.
func conditions(c *clockv1.PolicyClause) (n int) {
	for _, set := range []bool{c.GetTier() != 0, c.GetChannel() != 0, c.GetPriority() != "", c.GetSeverity() != ""} {
		if set {
			n++
		}
	}
	return n
}

// Choice is the clause that applies to a case, and the caps beside it.
type Choice struct {
	Clause *clockv1.PolicyClause
	Caps   []*clockv1.PolicyClause
}

// Pick chooses the clause of a kind that fits a case: the one with most conditions, the
// first of those. It is false where none fits or the one that does sets no deadline.
func Pick(p *clockv1.Policy, kind string, f Facts) (Choice, bool) {
	var out Choice
	for _, c := range p.GetClauses() {
		switch {
		case c.GetKind() != kind || !f.fits(c):
		case c.GetCap():
			out.Caps = append(out.Caps, c)
		case out.Clause == nil || conditions(c) > conditions(out.Clause):
			out.Clause = c
		}
	}
	if out.Clause.GetTarget() == nil {
		return Choice{}, false
	}
	return out, true
}

// Kinds lists the kinds of clocks a policy speaks of, in the order of the clauses.
func Kinds(p *clockv1.Policy) []string {
	var out []string
	for _, c := range p.GetClauses() {
		if !c.GetCap() && !slices.Contains(out, c.GetKind()) {
			out = append(out, c.GetKind())
		}
	}
	return out
}

// Calendars gives a calendar by its id.
type Calendars func(id string) (*worktime.Calendar, error)

// Terms gives the terms for a clock that starts at an instant, and the clause they come
// from: of the clause that applies and its caps the one that is due first. events tells when
// what floors count from happened; a floor whose event is not there is left out.
func (c Choice) Terms(p *clockv1.Policy, start time.Time, events map[string]time.Time, calendars Calendars) (clock.Terms, *clockv1.PolicyClause, error) {
	clause := c.Clause
	best := terms(p, clause, clause, events)
	if len(c.Caps) == 0 {
		return best, clause, nil
	}
	due, err := dueOf(best, start, calendars)
	if err != nil {
		return clock.Terms{}, nil, err
	}
	for _, limit := range c.Caps {
		t := terms(p, c.Clause, limit, events)
		at, err := dueOf(t, start, calendars)
		if err != nil {
			return clock.Terms{}, nil, err
		}
		if at.Before(due) {
			best, clause, due = t, limit, at
		}
	}
	return best, clause, nil
}

func dueOf(t clock.Terms, start time.Time, calendars Calendars) (time.Time, error) {
	cal, err := calendars(t.CalendarID)
	if err != nil {
		return time.Time{}, err
	}
	resolved, err := t.Resolve(cal, "", start)
	if err != nil {
		return time.Time{}, fmt.Errorf("clause %q: %w", t.ClauseID, err)
	}
	return cal.Add(start, resolved.WorkingTime)
}

// terms takes target and calendar from a clause or cap and the rest from the clause.
func terms(p *clockv1.Policy, clause, amount *clockv1.PolicyClause, events map[string]time.Time) clock.Terms {
	t := clock.Terms{
		Target: clock.TargetOf(amount.GetTarget()), CalendarID: amount.GetCalendarId(), PolicyVersion: p.GetVersion(),
		ClauseID: amount.GetClauseId(), PauseReasons: clause.GetPauseReasons(),
	}
	if id, err := uuid.Parse(p.GetId()); err == nil {
		t.PolicyID = id
	}
	if f := amount.GetFloor(); f != nil {
		if from, ok := events[f.GetStartEvent()]; ok {
			t.Floor = &clock.Floor{From: from, Target: clock.TargetOf(f.GetTarget())}
		}
	}
	for _, s := range clause.GetLadder() {
		t.Ladder = append(t.Ladder, clock.Step{
			ID: s.GetStepId(), Percent: s.GetPercent(), Role: s.GetRole(),
			Escalate: s.GetAction() == clockv1.ClockStepAction_CLOCK_STEP_ACTION_ESCALATE,
		})
	}
	return t
}

// Diff tells how two versions differ, by clause id, in the order of the ids.
func Diff(before, after *clockv1.Policy) *clockv1.PolicyDiff {
	out := &clockv1.PolicyDiff{Before: Bare(before), After: Bare(after)}
	from, to := byID(before), byID(after)
	for id, c := range from {
		if change := diffClause(id, c, to[id]); change != nil {
			out.Changes = append(out.Changes, change)
		}
	}
	for id, c := range to {
		if from[id] == nil {
			out.Changes = append(out.Changes, &clockv1.PolicyChange{
				ClauseId: id, Kind: clockv1.PolicyChangeKind_POLICY_CHANGE_KIND_ADDED, After: c,
			})
		}
	}
	slices.SortFunc(out.Changes, func(a, b *clockv1.PolicyChange) int { return cmp.Compare(a.GetClauseId(), b.GetClauseId()) })
	return out
}

// Bare is a copy of a version without its clauses.
func Bare(p *clockv1.Policy) *clockv1.Policy {
	return &clockv1.Policy{
		Id: p.GetId(), Version: p.GetVersion(), State: p.GetState(), EffectiveTime: p.GetEffectiveTime(), Name: p.GetName(),
		Note: p.GetNote(), CreateTime: p.GetCreateTime(), UpdateTime: p.GetUpdateTime(), Etag: p.GetEtag(),
	}
}

func byID(p *clockv1.Policy) map[string]*clockv1.PolicyClause {
	out := make(map[string]*clockv1.PolicyClause, len(p.GetClauses()))
	for _, c := range p.GetClauses() {
		out[c.GetClauseId()] = c
	}
	return out
}

func diffClause(id string, before, after *clockv1.PolicyClause) *clockv1.PolicyChange {
	change := &clockv1.PolicyChange{
		ClauseId: id, Kind: clockv1.PolicyChangeKind_POLICY_CHANGE_KIND_CHANGED, Before: before, After: after,
	}
	if after == nil {
		change.Kind = clockv1.PolicyChangeKind_POLICY_CHANGE_KIND_REMOVED
		return change
	}
	a, b := before.ProtoReflect(), after.ProtoReflect()
	fields := a.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); !sameField(a, b, f) {
			change.Fields = append(change.Fields, string(f.Name()))
		}
	}
	if len(change.Fields) == 0 {
		return nil
	}
	return change
}

// sameField compares one field by comparing messages that hold nothing else.
func sameField(a, b protoreflect.Message, f protoreflect.FieldDescriptor) bool {
	only := func(m protoreflect.Message) proto.Message {
		out := m.New()
		if m.Has(f) {
			out.Set(f, m.Get(f))
		}
		return out.Interface()
	}
	return proto.Equal(only(a), only(b))
}
